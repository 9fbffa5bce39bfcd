"""
A server that sends what a producer makes. Usage: producer.py [PORT [HOST]]

send() raises ConnectionClosed when the client has left, which breaks out of the loop. The server
takes that as a normal end of the handler.
"""

import itertools
import sys
import time

from syncws import ThreadingServer


def producer():
    for number in itertools.count():
        yield f"message {number}"
        time.sleep(0.5)


def handler(ws):
    for message in producer():
        ws.send(message)


def main(port=8765, host="localhost"):
    with ThreadingServer(handler, host, int(port)) as server:
        print(f"listening on ws://{host}:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
