"""
A client that pings when nothing comes. Usage: keep_open.py [PORT [HOST [SECONDS]]]

By default syncws does this for you (see ``ping_interval``); by hand you decide what happens then.
"""

import sys

from syncws import ConnectionClosed, connect


def main(port=8765, host="localhost", seconds=20):
    with connect(f"ws://{host}:{port}", ping_interval=None) as ws:
        while True:
            try:
                message = ws.recv(timeout=float(seconds))
            except TimeoutError:
                # No message: check the connection.
                try:
                    print(f"alive: Pong after {ws.ping(timeout=10):.6f} s", flush=True)
                except TimeoutError:
                    print("dead: no Pong")
                    ws.abort()  # the closing handshake would wait for the dead peer, too
                    return
            except ConnectionClosed as exc:
                print(f"closed: {exc}")
                return
            else:
                print(f"< {message}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
