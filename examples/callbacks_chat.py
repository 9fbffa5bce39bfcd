"""
A chat with callbacks: all clients get what one of them sends.

Usage: callbacks_chat.py [PORT [HOST [ORIGIN...]]], with the Origins of pages that may connect.
"""

import contextlib
import sys

from syncws import SAME_ORIGIN, ConnectionClosed
from syncws.callbacks import WebSocketServer


def main(port=8765, host="localhost", *origins):
    server = WebSocketServer(host, int(port), origins=origins or SAME_ORIGIN, send_timeout=1)

    def tell(clients, message):
        for client in clients:
            # Neither one that is gone nor one that does not read may stop the others for long.
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                client.writer.send(message)

    @server.connection
    def on_connection(client):
        tell(server.clients.values(), "somebody came")  # all the others

        @client.message
        def on_message(reader):
            tell(server.clients.values(), reader.get())

        @client.closed
        def on_closed(code, reason):
            tell(server.clients.values(), "somebody left")

    with server:
        print(f"listening on ws://{host}:{server.port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
