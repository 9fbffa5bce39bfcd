"""aiohttp on uvloop."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import uvloop
import wire
from aiohttp import web
from task import Task

from . import coroutines


def measure(task: Task) -> dict[str, float]:
    context = task.client_context() or True
    text = task.deflate or isinstance(task.message, str)
    compress = wire.WINDOW_BITS if task.deflate else 0  # its level is 1, and its memory level 8

    async def main() -> dict[str, float]:
        async with aiohttp.ClientSession() as session:

            async def connect(task: Task) -> coroutines.Link:
                ws = await session.ws_connect(
                    task.url, ssl=context, compress=compress, max_msg_size=0
                )
                if text:
                    return coroutines.Link(ws.send_str, ws.receive_str, ws.close)
                return coroutines.Link(ws.send_bytes, ws.receive_bytes, ws.close)

            return await coroutines.measure(connect, task)

    return uvloop.run(main())


COMPRESS = web.AppKey("compress", bool)


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(compress=request.app[COMPRESS], max_msg_size=0)
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
        application[COMPRESS] = task.deflate
        application.router.add_get("/", echo)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.SockSite(runner, sock, ssl_context=task.server_context()).start()
        await asyncio.Event().wait()

    uvloop.run(main())
