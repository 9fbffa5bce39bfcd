"""
A WebSocket server with callbacks, in the words of the asws3 library; in an event loop.

    server = WebSocketServer("localhost", 8765)

    @server.connection
    async def on_connection(client):
        @client.message
        async def on_message(reader):
            await client.writer.send(await reader.get())

    async with server:
        await server.serve_forever()
"""

from __future__ import annotations

import functools
import socket
from types import TracebackType
from typing import Any, Callable, TypeVar

from ..callback_logic import Callback, ClientLogic, callable_or_raise
from ..callback_servers import ServerLogic
from ..codes import CloseCode, Opcode
from ..exceptions import Close, ConnectionClosed
from ..handlers import Verdict
from ..housekeeper import housekeeper
from ..sansio import Ping, Pong
from .asyncio_bridge import run_in
from .bridge import Bridge
from .callback_streams import WebSocketReader, WebSocketWriter
from .connection import AsyncConnection
from .fragments import FragmentContext
from .loops import current
from .mailbox import AsyncMailbox
from .receiving import Pieces
from .reconnect import result_of
from .server import Server, serve

__all__ = [
    "Client",
    "DataType",
    "FragmentContext",
    "WebSocketReader",
    "WebSocketServer",
    "WebSocketWriter",
]

DataType = Opcode
S = TypeVar("S", bound="WebSocketServer")


class Client(ClientLogic):
    """
    A client of the server; ``WebSocketServer`` makes it. For the event loop of the server.

    Attributes:
        writer: sends to it.
        addr, port, connection, last_message: see ClientLogic.
    """

    def __init__(self, ws: AsyncConnection, number: int, bridge: Bridge) -> None:
        super().__init__(ws, number)  # type: ignore[arg-type]
        self.writer = WebSocketWriter(ws)
        self._ws = ws
        self._mailbox: AsyncMailbox[Ping | Pong] = AsyncMailbox(bridge, self._deliver)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Do the closing handshake; waits as ``AsyncConnection.close()``.

        Raises:
            ValueError: the code or the reason may not be sent.
        """
        await self._ws.close(code, reason)

    def _checked(self, callback: Callback) -> Callback:
        return callable_or_raise(callback)

    def _heard(self, frame: Ping | Pong) -> bool:
        self._mailbox.put(frame)
        return False

    async def _deliver(self, frame: Ping | Pong) -> None:
        call = self.control_call(frame)
        try:
            if call is not None:
                await self.do(call)
        except Exception as exc:
            self.failed(exc)
            self._ws._engine.begin_close(Close(CloseCode.INTERNAL_ERROR.value))

    async def do(self, call: Callable[[], object]) -> None:
        """Do what is a callback's; a connection that is closed, here or elsewhere, is no error."""
        try:
            await result_of(call())
        except ConnectionClosed as exc:
            self.closed_meanwhile(exc)

    async def read_messages(self) -> None:
        """Call the message callback for one message after the other, up to the end."""
        while True:
            pieces = Pieces(self._ws._receiver)
            try:
                first = await pieces.next()
            except ConnectionClosed:
                return
            assert first is not None
            reader = WebSocketReader(pieces, first)
            self.touch()
            try:
                if self.on_message is not None:
                    await self.do(functools.partial(self.on_message, reader))
            finally:
                reader.drop()

    async def end(self) -> None:
        """Tell of the end, behind all else. Waits while callbacks run."""
        await self._mailbox.finish()
        call = self.closed_call()
        if call is not None:
            await self.do(call)

    def cut(self) -> None:
        """Cancel the callbacks for Pings and Pongs; call no other."""
        self._mailbox.cut()


class WebSocketServer(ServerLogic[Client]):
    """
    A server whose clients are served by callbacks. It serves while its ``async with`` block runs.

    Or while its ``with`` block does, in which the event loop is run: that is asws3's way, and
    asyncio's only. Each client has a task, in which ``on_connection`` and its message and closed
    callbacks run, one after the other; those of Pings and Pongs run in another. Callbacks are
    coroutine functions, or do not wait. What one raises is logged with its traceback, and closes
    the connection with 1011.

    Args:
        addr, port: where to listen; port 0: any free port.
        certs: paths of certificate and key, for TLS.
        loop: the event loop of a ``with`` block; by default the one that is set.
        timeout, **options: as of ``syncws.callbacks.WebSocketServer``.

    Attributes:
        addr, port: where it listens: from the start of the block on the port it really has.

    Raises:
        ValueError: an argument cannot be used.
        OSError: a file of ``certs`` cannot be read.
    """

    def __init__(
        self,
        addr: str | None,
        port: int,
        certs: tuple[str, str] | None = None,
        loop: Any = None,
        timeout: float = 120,
        **options: Any,
    ) -> None:
        super().__init__(addr, port, certs, timeout, options)
        self._loop = loop
        self._server: Server | None = None

    def _checked(self, callback: Callback) -> Callback:
        return callable_or_raise(callback)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets, for their ``getsockname()``; none outside the block."""
        return () if self._server is None else self._server.sockets

    async def __aenter__(self: S) -> S:
        """
        Begin to serve.

        Raises:
            OSError: it cannot listen there.
            RuntimeError: it serves already.
        """
        if self._server is not None:
            raise RuntimeError("this server is serving already")
        self._server = await serve(self._serve, self.addr, self._given_port, **self._options)
        self._listens_at(self.sockets[0].getsockname())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all clients with 1001, and wait for callbacks, at most ``close_timeout`` s."""
        server, self._server = self._server, None
        if server is not None:
            await server.__aexit__(exc_type, exc, traceback)

    def __enter__(self: S) -> S:
        """
        Do the same by running the event loop, which must not be running.

        Raises:
            OSError: it cannot listen there.
            RuntimeError: it serves already, or the event loop is running.
        """
        return run_in(self._loop, self.__aenter__)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run_in(self._loop, lambda: self.__aexit__(exc_type, exc, traceback))

    async def serve_forever(self) -> None:
        """
        Wait, while callbacks do the work, until ``stop()``, or the task is cancelled.

        Raises:
            RuntimeError: outside the block.
        """
        if self._server is None:
            raise RuntimeError("the server serves inside its block: async with server: ...")
        await self._server.serve_forever()

    def stop(self) -> None:
        """Close the server, so that ``serve_forever()`` returns. Does not wait."""
        if self._server is not None:
            self._server.close()

    async def disconnect_client(self, client: Client, code: int = 1000, reason: str = "") -> None:
        """Close the connection of a client; as ``client.close()``."""
        await client.close(code, reason)

    async def disconnect_all(
        self, timeout: float = 1, code: int = CloseCode.GOING_AWAY, reason: str = ""
    ) -> None:
        """
        Close the connections of all clients. Waits until they are, at most ``timeout`` seconds.

        Those that are left then are cut off.

        Raises:
            ValueError: the code or the reason may not be sent.
        """
        engines = self._begin_close(code, reason)
        timers = [housekeeper.call_later(timeout, engine.abort) for engine in engines]
        for engine, timer in zip(engines, timers):
            await current().happened(engine.closed)
            timer.cancel()

    async def _serve(self, ws: AsyncConnection) -> None:
        """Be the handler of a client, in its task."""
        client = Client(ws, self._clients.number(), current())
        try:
            with Verdict(ws.connection) as verdict:
                await self._talk(client)
            await ws.close(verdict.code)
            await client.end()
        except BaseException:  # cancelled; the server closes the connection
            client.cut()
            raise
        finally:
            self._clients.discard(client)

    async def _talk(self, client: Client) -> None:
        if self._on_connection is not None:
            await client.do(functools.partial(self._on_connection, client))
        self._clients.add(client)
        await client.read_messages()
