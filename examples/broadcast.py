"""
A ticker: a number every tenth of a second to all who are there, whoever of them is slow.

Who reads too slowly misses old numbers and gets the new ones. Usage: broadcast.py [PORT [HOST]]
"""

import itertools
import sys
import time

from syncws import ThreadingServer, broadcast


def listen(ws):
    for _ in ws:
        pass


def main(port=8765, host="localhost"):
    with ThreadingServer(listen, host, int(port)) as server:
        server.start()
        print(f"listening on ws://{host}:{server.server_address[1]}", flush=True)
        for number in itertools.count():
            broadcast(server.connections, f"tick {number}", on_full="drop_oldest")
            time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
