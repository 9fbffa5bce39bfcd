"""
A server that passes what it receives to a consumer. Usage: consumer.py [PORT [HOST]]

The loop ends when the client closes the connection.
"""

import sys

from syncws import ThreadingServer


def consumer(message):
    print(f"< {message}", flush=True)


def handler(ws):
    for message in ws:
        consumer(message)
    print(f"closed with {ws.close_code}", flush=True)


def main(port=8765, host="localhost"):
    with ThreadingServer(handler, host, int(port)) as server:
        print(f"listening on ws://{host}:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
