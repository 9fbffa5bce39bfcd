"""A server that reads a name, sends a greeting and closes. Usage: hello_server.py [PORT [HOST]]"""

import sys

from syncws import ThreadingServer


def hello(ws):
    name = ws.recv()
    print(f"< {name}")
    greeting = f"Hello {name}!"
    ws.send(greeting)
    print(f"> {greeting}")


def main(port=8765, host="localhost"):
    with ThreadingServer(hello, host, int(port)) as server:
        print(f"listening on ws://{host}:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
