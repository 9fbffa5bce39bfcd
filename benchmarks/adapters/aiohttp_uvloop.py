"""aiohttp on uvloop."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import uvloop
from aiohttp import web
from task import Task

from . import coroutines


def measure(task: Task) -> dict[str, float]:
    context = task.client_context() or True
    text = isinstance(task.message, str)

    async def main() -> dict[str, float]:
        async with aiohttp.ClientSession() as session:

            async def connect(task: Task) -> coroutines.Link:
                ws = await session.ws_connect(task.url, ssl=context, compress=0, max_msg_size=0)
                if text:
                    return coroutines.Link(ws.send_str, ws.receive_str, ws.close)
                return coroutines.Link(ws.send_bytes, ws.receive_bytes, ws.close)

            return await coroutines.measure(connect, task)

    return uvloop.run(main())


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(compress=False, max_msg_size=0)
    await ws.prepare(request)
    async for message in ws:
        if message.type is aiohttp.WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await ws.send_bytes(message.data)
    return ws


def serve(sock: socket.socket, task: Task) -> None:
    async def main() -> None:
        application = web.Application()
        application.router.add_get("/", echo)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.SockSite(runner, sock, ssl_context=task.server_context()).start()
        await asyncio.Event().wait()

    uvloop.run(main())
