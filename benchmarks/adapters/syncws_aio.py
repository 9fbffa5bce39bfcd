"""syncws.aio: connect() and serve(), on asyncio's own event loop."""

from __future__ import annotations

import asyncio
import socket

from task import Task

from syncws import aio

from . import coroutines
from .syncws_threads import options


async def measured(task: Task) -> dict[str, float]:
    context = task.client_context()

    async def connect(task: Task) -> coroutines.Link:
        ws = await aio.connect(task.url, ssl=context, **options(task))
        return coroutines.Link(ws.send, ws.recv, ws.close)

    return await coroutines.measure(connect, task)


async def serving(sock: socket.socket, task: Task) -> None:
    async def echo(ws: aio.AsyncConnection) -> None:
        async for message in ws:
            await ws.send(message)

    context = task.server_context()
    async with aio.serve(
        echo, sock=sock, ssl=context, max_connections=10_000, **options(task)
    ) as server:
        await server.serve_forever()


def measure(task: Task) -> dict[str, float]:
    return asyncio.run(measured(task))


def serve(sock: socket.socket, task: Task) -> None:
    asyncio.run(serving(sock, task))
