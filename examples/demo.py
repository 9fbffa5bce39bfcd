"""
An echo server and a client that talks to it. Usage: demo.py [PORT [HOST]]

The port is any free one unless it is given.
"""

import sys

from syncws import ThreadingServer, connect


def echo(ws):
    for message in ws:
        print(f"server: received {message!r}, sends it back")
        ws.send(message)


def main(port=0, host="localhost"):
    with ThreadingServer(echo, host, int(port)) as server:
        server.start()
        url = f"ws://{host}:{server.server_address[1]}"
        print(f"server: listens on {url}")
        with connect(url) as ws:
            print("client: connected")
            for message in ["Hello!", "How are you?", b"\x00\xff"]:
                print(f"client: sends {message!r}")
                ws.send(message)
                print(f"client: received {ws.recv()!r}")
            print(f"client: Pong after {ws.ping() * 1000:.2f} ms")
        print(f"client: closed with {ws.close_code}")


if __name__ == "__main__":
    main(*sys.argv[1:])
