"""
A client that comes back, and loses no message. Usage: reconnect.py [PORT [HOST [COUNT]]]

It numbers its messages, and sends each one again until the server has echoed it.
"""

import sys

from syncws import Backoff, ConnectionClosed, reconnect


def tell(number, delay, exc):
    print(f"attempt {number} follows in {delay:.2f} s: {exc}", flush=True)


def main(port=8765, host="localhost", count=1000):
    url = f"ws://{host}:{port}"
    number = 0
    for ws in reconnect(url, backoff=Backoff(initial=0.2, maximum=30), on_reconnect=tell):
        try:
            while number < int(count):
                ws.send(f"message {number}")
                print(f"< {ws.recv()}", flush=True)
                number += 1
            break
        except ConnectionClosed:
            pass  # the loop goes on with a new connection
    print(f"all {number} came back")


if __name__ == "__main__":
    main(*sys.argv[1:])
