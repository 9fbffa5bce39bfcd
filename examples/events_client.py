"""Greet a server and show all that happens. Usage: events_client.py [PORT [HOST]]"""

import sys

from syncws.events import TextMessage, open_websocket


def main(port=8765, host="localhost"):
    with open_websocket(f"ws://{host}:{port}") as websocket:
        websocket.send("hello")
        for event in websocket:
            print(event, flush=True)
            if isinstance(event, TextMessage):
                websocket.close(1000, reason="Goodbye!")


if __name__ == "__main__":
    main(*sys.argv[1:])
