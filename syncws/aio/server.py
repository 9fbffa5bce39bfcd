"""serve(): threads accept and do the opening handshakes, handlers are tasks of the event loop."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import socket
from types import TracebackType
from typing import Any

from ..addresses import address_text
from ..codes import CloseCode, State
from ..connection import Connection
from ..deadline import Deadline
from ..handlers import Handler, Verdict, call_handler
from ..lazy import Latch
from ..sansio import validated_close
from ..server import ThreadingServer
from ..session import Session
from .attendant import attended_by
from .bridge import Bridge, Task, start_worker
from .client import CreateConnection, chosen
from .connection import AsyncConnection, hold
from .loops import current
from .opening import Opening

_HOOKS = ("process_request", "process_response", "select_subprotocol")
_CANCEL_WAIT = 1.0  # seconds for handlers to notice that they were cancelled


class _LoopServer(ThreadingServer):
    """Hands open connections over to an event loop."""

    def __init__(
        self, bridge: Bridge, create: CreateConnection, handler: Handler, *args: Any, **options: Any
    ) -> None:
        self._bridge = bridge
        self._create = create
        self._handler = handler
        self._tasks: dict[Session, Task] = {}
        self._hooks: set[Task] = set()
        self.open: set[AsyncConnection] = set()
        limit = options.get("open_timeout", 10.0)
        for name in _HOOKS:
            hook = options.get(name)
            if _is_coroutine_function(hook):
                options[name] = functools.partial(self._call_hook, hook, limit)
        super().__init__(handler, *args, create_connection=attended_by(bridge), **options)

    def _call_hook(self, hook: Any, limit: float | None, *args: object) -> Any:
        return self._bridge.from_thread(functools.partial(hook, *args), limit, self._hooks)

    def _serve(self, session: Session) -> None:
        handed_over = False
        try:
            if self._open(session) is not None:
                handed_over = self._bridge.soon(self._begin, session)
        finally:
            if not handed_over:
                session.abort()
                self._end_session(session)

    def _begin(self, session: Session) -> None:
        try:
            self._tasks[session] = self._bridge.spawn(
                functools.partial(self._handle, session), functools.partial(self._ended, session)
            )
        except BaseException as exc:
            session.abort()
            self._end_session(session)
            if not isinstance(exc, RuntimeError):  # the loop is about to end
                raise

    async def _handle(self, session: Session) -> None:
        """Let the handler do its work, then close the connection."""
        connection = session.connection
        assert connection is not None
        code = CloseCode.GOING_AWAY  # if this is cancelled
        ends = False
        try:
            with Verdict(connection) as verdict:
                await self._run_handler(connection)
            code = verdict.code
        except (KeyboardInterrupt, SystemExit):
            ends = True  # the program, which must not be kept from it
            raise
        finally:
            hold(connection)  # this may be cancelled again
            connection._engine.begin_close(validated_close(code, ""))
            # If the loop was closed, it drops its tasks, and they cannot wait.
            if self._bridge.is_running() and not ends:
                await self._bridge.happened(connection._engine.closed)

    def _ended(self, session: Session) -> None:
        """Let go of a client whose task has ended, or was cancelled before it began."""
        connection = session.connection
        assert connection is not None
        hold(connection)
        connection._engine.begin_close(validated_close(CloseCode.GOING_AWAY, ""))
        self._tasks.pop(session, None)
        self._end_session(session)

    async def _run_handler(self, connection: Connection) -> None:
        ws = self._create(connection)
        self.open.add(ws)
        try:
            result = call_handler(self._handler, ws, connection.path)
            if not inspect.isawaitable(result):
                raise TypeError(
                    f"the handler returned {type(result).__name__} and is no coroutine function; "
                    "one that blocks belongs to syncws.ThreadingServer"
                )
            await result
        finally:
            self.open.discard(ws)

    def _interrupt_handlers(self) -> bool:
        self._bridge.run(self._cancel_handlers)
        return self._wait_idle(Deadline(_CANCEL_WAIT))

    def _cancel_handlers(self) -> None:
        for task in (*self._tasks.values(), *self._hooks):
            with contextlib.suppress(RuntimeError):  # its loop is closed
                task.cancel()


def _is_coroutine_function(function: object) -> bool:
    """Tell also of objects that are called, and of partial ones."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        type(function).__call__
    )


class Server:
    """
    A running WebSocket server, in the manner of ``asyncio.Server``; ``serve()`` makes it.

    As an async context manager it closes at the end of the block.
    """

    def __init__(self, bridge: Bridge, server: _LoopServer) -> None:
        self._bridge = bridge
        self._server = server
        self._closing = False
        self._closed = Latch()
        self._name = f"a server on {address_text(server.server_address)}"
        bridge.bequeath(self, self.close)
        server.start()

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets; none once it is closing."""
        return () if self._closing else tuple(self._server._listeners)

    @property
    def connections(self) -> set[AsyncConnection]:
        """The connections that are open now."""
        return {ws for ws in self._server.open if ws.state is State.OPEN}

    @property
    def logger(self) -> logging.Logger:
        """``syncws.server``, unless another was given."""
        return self._server.logger

    def is_serving(self) -> bool:
        """Whether it accepts clients."""
        return not self._closing

    def close(self, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """
        Stop: accept no more and close all connections. Does not wait; see ``wait_closed()``.

        Handlers that are left after ``close_timeout`` are cancelled.

        Args:
            code, reason: for the Close frames; those of the first call count.

        Raises:
            ValueError: the code or the reason may not be sent.
        """
        validated_close(code, reason)
        if not self._closing:
            start_worker(functools.partial(self._shut_down, code, reason))
            self._closing = True
            self._bridge.disinherit(self)

    def _shut_down(self, code: int, reason: str) -> None:
        try:
            self._server.shutdown(code, reason)
        finally:
            self._closed.set()

    async def wait_closed(self) -> None:
        """Wait until ``close()`` is done: all connections are closed, all handlers have ended."""
        await self._bridge.happened(self._closed)

    async def serve_forever(self) -> None:
        """Wait until the server is closed; close it if the task is cancelled."""
        try:
            await self.wait_closed()
        finally:
            self.close()
            await self.wait_closed()

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._server!r}>"


class serve(Opening[Server]):
    """
    Listen for WebSocket clients, under asyncio or trio.

    Await it, or use it as an async context manager; both give a Server that is accepting::

        async with serve(handler, "localhost", 8765) as server:
            await server.serve_forever()

    Threads accept clients and do the opening handshakes, one for each that is going on; then
    the handler is called as a task of the event loop.

    Args:
        handler: a coroutine function, called as ``handler(ws)``, or ``handler(ws, path)`` if it
            takes two arguments. When it returns the connection is closed with 1000, when it raises
            with 1011, and the traceback is logged; when it is cancelled with 1001.
        host, port: where to listen; on every address of the host name. Port 0: any free port.
        create_connection: a subclass of AsyncConnection, or a function with its arguments.
        create_protocol: the same, by an older name.
        **options: all other arguments of ``ThreadingServer``. Its hooks may be coroutine functions;
            others are called in threads.

    Raises:
        OSError, ssl.SSLError, ...: as ``ThreadingServer``, when it is awaited.
    """

    def __init__(
        self,
        handler: Handler,
        host: str | None = "localhost",
        port: int = 8765,
        *,
        create_connection: CreateConnection | None = None,
        create_protocol: CreateConnection | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._args = (chosen(create_connection, create_protocol), handler, host, port)
        self._options = options

    async def _open(self) -> Server:
        bridge = current()
        # In a thread, since looking up the host takes its time.
        job = functools.partial(_LoopServer, bridge, *self._args, **self._options)
        return Server(bridge, await bridge.in_thread(job, ThreadingServer.server_close))
