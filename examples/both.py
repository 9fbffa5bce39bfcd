"""
A server that receives and sends at the same time. Usage: both.py [PORT [HOST]]

The handler's thread receives, a second thread sends. Either ends when the connection does.
"""

import contextlib
import itertools
import sys
import threading

from syncws import ConnectionClosed, ThreadingServer


def send_numbers(ws):
    with contextlib.suppress(ConnectionClosed):
        for number in itertools.count():
            ws.send(f"message {number}")
            ws.wait_closed(timeout=0.5)


def handler(ws):
    sender = threading.Thread(target=send_numbers, args=[ws])
    sender.start()
    for message in ws:
        print(f"< {message}", flush=True)
    sender.join()
    print("both are done", flush=True)


def main(port=8765, host="localhost"):
    with ThreadingServer(handler, host, int(port)) as server:
        print(f"listening on ws://{host}:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
