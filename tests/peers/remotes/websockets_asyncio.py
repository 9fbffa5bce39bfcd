"""``websockets``, its asyncio implementation."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

from websockets.asyncio.client import connect as websockets_connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from peers.remotes import base
from peers.remotes.base import PATIENCE, Arrivals, Gone, Loop, Message


class Remote(base.Remote):
    def __init__(self, ws: Connection, loop: Loop, own_loop: bool) -> None:
        self._ws = ws
        self._loop = loop
        self._own_loop = own_loop
        self.subprotocol = ws.subprotocol
        self.released = asyncio.Event()

    def send(self, message: Message) -> None:
        self._loop.run(self._ws.send(message))

    def send_fragments(self, parts: Sequence[Message]) -> None:
        self._loop.run(self._ws.send(iter(parts)))

    def recv(self) -> Message:
        try:
            return self._loop.run(self._ws.recv())
        except ConnectionClosed:
            raise Gone(self._ws.close_code, self._ws.close_reason) from None

    def ping(self, payload: bytes) -> None:
        async def ping() -> None:
            pong = await self._ws.ping(payload)
            await asyncio.wait_for(pong, PATIENCE)

        self._loop.run(ping())

    def close(self, code: int, reason: str) -> None:
        self._loop.run(self._ws.close(code, reason))

    def vanish(self) -> None:
        self._loop.call(self._ws.transport.abort)

    def release(self) -> None:
        self._loop.run(self._ws.close())
        self._loop.call(self.released.set)
        if self._own_loop:
            self._loop.close()


class Listener(base.Listener):
    def __init__(self, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> None:
        self._arrivals = Arrivals()
        self._loop = Loop()
        self._server = self._loop.run(self._serve(subprotocols, context))
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, subprotocols, context):
        subprotocols = list(subprotocols) or None
        return await serve(self._handle, "127.0.0.1", 0, subprotocols=subprotocols, ssl=context)

    async def _handle(self, ws: Connection) -> None:
        remote = Remote(ws, self._loop, own_loop=False)
        self._arrivals.put(remote)
        await remote.released.wait()

    def accept(self) -> Remote:
        return self._arrivals.get()

    def close(self) -> None:
        self._server.close()
        self._loop.run(self._server.wait_closed())
        self._loop.close()


def connect(url: str, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> Remote:
    async def dial() -> Connection:
        subs = list(subprotocols) or None
        return await websockets_connect(url, subprotocols=subs, ssl=context, proxy=None)

    loop = Loop()
    try:
        return Remote(loop.run(dial()), loop, own_loop=True)
    except BaseException:
        loop.close()
        raise
