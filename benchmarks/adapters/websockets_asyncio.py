"""websockets.asyncio on asyncio's own event loop."""

from __future__ import annotations

import asyncio
import socket

from task import Task
from websockets.asyncio.client import connect as open_connection
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as make_server

from . import coroutines
from .websockets_options import options


def measure(task: Task) -> dict[str, float]:
    context = task.client_context()

    async def connect(task: Task) -> coroutines.Link:
        ws = await open_connection(task.url, ssl=context, proxy=None, **options(task))
        return coroutines.Link(ws.send, ws.recv, ws.close)

    return asyncio.run(coroutines.measure(connect, task))


def serve(sock: socket.socket, task: Task) -> None:
    async def echo(ws: ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)

    async def main() -> None:
        context = task.server_context()
        async with make_server(echo, sock=sock, ssl=context, **options(task)) as server:
            await server.serve_forever()

    asyncio.run(main())
