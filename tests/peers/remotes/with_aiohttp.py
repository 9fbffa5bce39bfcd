"""``aiohttp``, client and server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Union

import aiohttp
from aiohttp import WSMsgType, web

from peers.remotes import base
from peers.remotes.base import Arrivals, Gone, Loop, Message

WebSocket = Union[aiohttp.ClientWebSocketResponse, web.WebSocketResponse]


class Remote(base.Remote):
    close_answer = 1000

    def __init__(
        self,
        ws: WebSocket,
        loop: Loop,
        transport: asyncio.Transport,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._ws = ws
        self._loop = loop
        self._transport = transport
        self._session = session
        self.subprotocol = ws.ws_protocol if session is None else ws.protocol
        self.released = asyncio.Event()

    def send(self, message: Message) -> None:
        send = self._ws.send_str if isinstance(message, str) else self._ws.send_bytes
        self._loop.run(send(message))

    def recv(self) -> Message:
        while True:
            message = self._read()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                return message.data

    def ping(self, payload: bytes) -> None:
        self._loop.run(self._ws.ping(payload))
        while True:
            message = self._read()
            if message.type is WSMsgType.PONG and message.data == payload:
                return

    def _read(self) -> aiohttp.WSMessage:
        message = self._loop.run(self._ws.receive())
        if message.type is WSMsgType.PING:  # autoping would hide the Pongs
            self._loop.run(self._ws.pong(message.data))
        elif message.type is WSMsgType.CLOSE:  # answered already
            raise Gone(message.data, message.extra)
        elif message.type in (WSMsgType.CLOSED, WSMsgType.ERROR):
            raise Gone(1006)
        return message

    def close(self, code: int, reason: str) -> None:
        self._loop.run(self._ws.close(code=code, message=reason.encode()))

    def vanish(self) -> None:
        self._loop.call(self._transport.abort)

    def release(self) -> None:
        self._loop.run(self._ws.close())
        self._loop.call(self.released.set)
        if self._session is not None:
            self._loop.run(self._session.close())
            self._loop.close()


class Listener(base.Listener):
    def __init__(self, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> None:
        self._arrivals = Arrivals()
        self._subprotocols = subprotocols
        self._loop = Loop()
        self._runner, self.port = self._loop.run(self._serve(context))

    async def _serve(self, context: ssl.SSLContext | None) -> tuple[web.AppRunner, int]:
        app = web.Application()
        app.router.add_get("/", self._handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        return runner, runner.addresses[0][1]

    async def _handle(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(autoping=False, protocols=self._subprotocols)
        await ws.prepare(request)
        remote = Remote(ws, self._loop, request.transport)
        self._arrivals.put(remote)
        await remote.released.wait()
        return ws

    def accept(self) -> Remote:
        return self._arrivals.get()

    def close(self) -> None:
        self._loop.run(self._runner.cleanup())
        self._loop.close()


def connect(url: str, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> Remote:
    loop = Loop()

    async def dial() -> Remote:
        session = aiohttp.ClientSession()
        ws = await session.ws_connect(
            url, autoping=False, protocols=subprotocols, ssl=context or True
        )
        return Remote(ws, loop, ws._response.connection.transport, session)

    try:
        return loop.run(dial())
    except BaseException:
        loop.close()
        raise
