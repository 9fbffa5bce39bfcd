"""
A WebSocket server with callbacks, in the words of the asws3 library; in threads.

    server = WebSocketServer("localhost", 8765)

    @server.connection
    def on_connection(client):
        @client.message
        def on_message(reader):
            client.writer.send(reader.get())

    with server:
        server.serve_forever()
"""

from __future__ import annotations

import functools
import socket
import threading
from types import TracebackType
from typing import Any, Callable, TypeVar

from .callback_logic import ClientLogic
from .callback_servers import ServerLogic
from .callback_streams import WebSocketReader, WebSocketWriter
from .codes import CloseCode, Opcode
from .connection import Connection
from .deadline import Deadline, wait
from .exceptions import Close, ConnectionClosed
from .fragments import FragmentContext
from .handlers import run_handler
from .mailbox import Mailbox
from .receiving import pieces
from .sansio import Ping, Pong
from .server import ThreadingServer
from .workers import Workers

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
    A client of the server. Thread-safe; ``WebSocketServer`` makes it.

    Attributes:
        writer: sends to it.
        addr, port, connection, last_message: see ClientLogic.
    """

    def __init__(self, connection: Connection, number: int, workers: Workers) -> None:
        super().__init__(connection, number)
        self.writer = WebSocketWriter(connection)
        self._mailbox: Mailbox[Ping | Pong] = Mailbox(workers, self._deliver)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Do the closing handshake. Blocks until it is done, at most ``close_timeout`` seconds.

        Raises:
            ValueError: the code or the reason may not be sent.
        """
        self.connection.close(code, reason)

    def _heard(self, frame: Ping | Pong) -> bool:
        self._mailbox.put(frame)
        return False

    def _deliver(self, frame: Ping | Pong) -> None:
        call = self.control_call(frame)
        try:
            if call is not None:
                self.do(call)
        except Exception as exc:
            self.failed(exc)
            self.connection._engine.begin_close(Close(CloseCode.INTERNAL_ERROR.value))

    def do(self, call: Callable[[], object]) -> None:
        """Do what is a callback's; a connection that is closed, here or elsewhere, is no error."""
        try:
            call()
        except ConnectionClosed as exc:
            self.closed_meanwhile(exc)

    def read_messages(self) -> None:
        """Call the message callback for one message after the other, up to the end."""
        while True:
            try:
                reader = WebSocketReader(pieces(self.connection._engine, None))
            except ConnectionClosed:
                return
            self.touch()
            try:
                if self.on_message is not None:
                    self.do(functools.partial(self.on_message, reader))
            finally:
                reader.drop()

    def end(self) -> None:
        """Tell of the end, behind all else. Blocks while callbacks run."""
        self._mailbox.finish()
        call = self.closed_call()
        if call is not None:
            self.do(call)


class WebSocketServer(ServerLogic[Client]):
    """
    A server whose clients are served by callbacks. It serves while its ``with`` block runs.

    Each client has a thread, in which ``on_connection`` and its message and closed callbacks run,
    one after the other; those of Pings and Pongs run in another. So callbacks of several clients
    run at the same time. What a callback raises is logged with its traceback, and closes the
    connection with 1011. All methods may be called from any thread.

    Args:
        addr, port: where to listen; port 0: any free port.
        certs: paths of certificate and key, for TLS.
        timeout: seconds. A client from which nothing comes is sent a Ping after half of them, and
            is cut off after all of them, with 1011; 0 means never.
        **options: of ``ThreadingServer``: ``ssl``, ``origins``, ``subprotocols``,
            ``max_connections``, ``max_size``, ``compression``, ...; ``max_size=None`` is for
            callbacks that read piece by piece.

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
        timeout: float = 120,
        **options: Any,
    ) -> None:
        super().__init__(addr, port, certs, timeout, options)
        self._workers = Workers("syncws-callback")
        self._server: ThreadingServer | None = None
        self._over = threading.Event()

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets, for their ``getsockname()``; none outside the ``with`` block."""
        return () if self._server is None else tuple(self._server._listeners)

    def __enter__(self: S) -> S:
        """
        Begin to serve. Does not block.

        Raises:
            OSError: it cannot listen there.
            RuntimeError: it serves already.
        """
        if self._server is not None:
            raise RuntimeError("this server is serving already")
        server = ThreadingServer(self._serve, self.addr, self._given_port, **self._options)
        self._workers = Workers("syncws-callback")
        self._over.clear()
        self._listens_at(server.server_address)
        self._server = server
        server.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all clients with 1001, and wait for callbacks, at most ``close_timeout`` s."""
        server, self._server = self._server, None
        if server is not None:
            self._over.set()
            server.shutdown()
            self._workers.close()

    def serve_forever(self) -> None:
        """
        Wait, while callbacks do the work. Blocks until ``stop()``, or Ctrl-C.

        Raises:
            RuntimeError: outside the ``with`` block.
        """
        if self._server is None:
            raise RuntimeError("the server serves inside its with block: with server: ...")
        wait(self._over, Deadline(None))

    def stop(self) -> None:
        """Let ``serve_forever()`` return. Does not block; may be called from a callback."""
        self._over.set()

    def disconnect_client(self, client: Client, code: int = 1000, reason: str = "") -> None:
        """Close the connection of a client; as ``client.close()``."""
        client.close(code, reason)

    def disconnect_all(
        self, timeout: float = 1, code: int = CloseCode.GOING_AWAY, reason: str = ""
    ) -> None:
        """
        Close the connections of all clients. Blocks until they are, at most ``timeout`` seconds.

        Those that are left then are cut off.

        Raises:
            ValueError: the code or the reason may not be sent.
        """
        engines = self._begin_close(code, reason)
        deadline = Deadline(timeout)
        for engine in engines:
            if not wait(engine.closed, deadline):
                engine.abort()

    def _serve(self, connection: Connection) -> None:
        """Be the handler of a client, in its thread."""
        client = Client(connection, self._clients.number(), self._workers)
        try:
            run_handler(lambda ws: self._talk(client), connection)
        finally:
            self._clients.discard(client)
        client.end()

    def _talk(self, client: Client) -> None:
        if self._on_connection is not None:
            client.do(functools.partial(self._on_connection, client))
        self._clients.add(client)
        client.read_messages()
