"""
Compression: what is agreed on, what it saves, and what goes as it is.

Usage: compression.py [PORT [HOST]]
"""

import json
import os
import sys

from syncws import Deflate, ThreadingServer, connect

# Takes two thirds of the time of the default, for messages that are a third larger.
SETTINGS = Deflate(level=1, threshold=100)


def echo(ws):
    for message in ws:
        ws.send(message)


def exchange(ws, what, message, **options):
    before = ws.stats.bytes_sent
    ws.send(message, **options)
    assert ws.recv() == message
    print(f"{what}: {len(message)} bytes took {ws.stats.bytes_sent - before}")


def main(port=0, host="localhost"):
    with ThreadingServer(echo, host, int(port), compression=SETTINGS) as server:
        server.start()
        with connect(f"ws://{host}:{server.server_address[1]}", compression=SETTINGS) as ws:
            print("agreed on:", *ws.extensions)
            rows = json.dumps([{"number": number, "even": number % 2 == 0} for number in range(99)])
            exchange(ws, "JSON", rows)
            exchange(ws, "the same again", rows)  # refers to the message before
            exchange(ws, "short", "hello")
            exchange(ws, "short, if you say so", "hello hello hello", compress=True)
            exchange(ws, "random", os.urandom(1000))  # would not get smaller
            exchange(ws, "as it is", rows, compress=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
