"""Pass further arguments to a handler. Usage: partial_handler.py [PORT [HOST]]"""

import functools
import sys

from syncws import ThreadingServer


def handler(ws, path, extra_argument):
    ws.send(f"{extra_argument} at {path}")


def main(port=8765, host="localhost"):
    bound_handler = functools.partial(handler, extra_argument="spam")
    with ThreadingServer(bound_handler, host, int(port)) as server:
        print(f"listening on ws://{host}:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
