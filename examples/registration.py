"""
A chat: all clients get what one of them sends. Usage: registration.py [PORT [HOST]]

This keeps its own register of clients; ``server.connections`` lists the open ones, too.
"""

import contextlib
import sys
import threading

from syncws import ConnectionClosed, ThreadingServer

connected = set()
lock = threading.Lock()


def send_to_all(message):
    with lock:
        everybody = list(connected)
    for ws in everybody:
        # Neither one that is gone nor one that does not read may stop the others for long.
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            ws.send(message, timeout=1)


def handler(ws):
    with lock:
        connected.add(ws)
    try:
        for message in ws:
            send_to_all(message)
    finally:
        with lock:
            connected.remove(ws)


def main(port=8765, host="localhost"):
    with ThreadingServer(handler, host, int(port)) as server:
        print(f"listening on ws://{host}:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
