"""
A chat with callbacks, for asyncio: all clients get what one of them sends.

Usage: callbacks_chat.py [PORT [HOST [ORIGIN...]]], with the Origins of pages that may connect.
"""

import asyncio
import contextlib
import sys

from syncws.aio import SAME_ORIGIN, ConnectionClosed
from syncws.aio.callbacks import WebSocketServer


async def send(client, message):
    # Neither one that is gone nor one that does not read may stop the others for long.
    with contextlib.suppress(ConnectionClosed, asyncio.TimeoutError):
        await asyncio.wait_for(client.writer.send(message), timeout=1)


async def tell(clients, message):
    await asyncio.gather(*(send(client, message) for client in clients))


async def main(port=8765, host="localhost", *origins):
    server = WebSocketServer(host, int(port), origins=origins or SAME_ORIGIN)

    @server.connection
    async def on_connection(client):
        await tell(server.clients.values(), "somebody came")  # all the others

        @client.message
        async def on_message(reader):
            await tell(server.clients.values(), await reader.get())

        @client.closed
        async def on_closed(code, reason):
            await tell(server.clients.values(), "somebody left")

    async with server:
        print(f"listening on ws://{host}:{server.port}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
