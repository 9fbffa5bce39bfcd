"""
What syncws logs at three levels. Usage: logging_levels.py [PORT [HOST]]

Set the level before a connection is opened: a connection asks for it only once.
"""

import logging
import sys

from syncws import InvalidStatus, ThreadingServer, connect


def handler(ws):
    ws.send(f"you sent {ws.recv()}")
    raise RuntimeError("this handler is broken")


def run(host, port):
    with ThreadingServer(handler, host, int(port)) as server:
        server.start()
        url = f"ws://{host}:{server.server_address[1]}"
        with connect(url) as ws:
            ws.send("hello")
            ws.wait_closed()
        try:
            connect(url, origin="https://elsewhere.example")
        except InvalidStatus as exc:
            print(exc)


def main(port=0, host="localhost"):
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    for level in ["ERROR", "INFO", "DEBUG"]:
        print(f"\n=== {level}")
        logging.getLogger("syncws").setLevel(level)
        run(host, port)


if __name__ == "__main__":
    main(*sys.argv[1:])
