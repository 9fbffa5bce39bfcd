"""
Send every message back while it still arrives, however long it is: in 64 KiB of memory or so.

Usage: callbacks_echo.py [PORT [HOST]]
"""

import sys

from syncws.callbacks import WebSocketServer


def main(port=8765, host="localhost"):
    server = WebSocketServer(host, int(port), max_size=None)

    @server.connection
    def on_connection(client):
        @client.message
        def on_message(reader):
            client.writer.feed(reader)

    with server:
        print(f"listening on ws://{host}:{server.port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
