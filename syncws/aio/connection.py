"""The connection as coroutines: what tasks hold of a blocking Connection."""

from __future__ import annotations

import collections
import functools
import logging
import uuid
from collections.abc import AsyncIterator, Generator, Sequence
from types import TracebackType
from typing import Any, TypeVar

from ..arriving import Message, decoded
from ..codes import CloseCode, Role, State
from ..connection import Connection
from ..exceptions import ConnectionClosedOK
from ..outgoing import DataLike
from ..pings import Waiter
from ..receiving import take_as_events
from ..sansio import Request, Response, validated_close
from ..stats import Stats
from .attendant import attend
from .bridge import Bridge
from .loops import current
from .receiving import AsyncReceiver, Events, Pieces
from .sending import AsyncSender, Sendable

C = TypeVar("C", bound="AsyncConnection")


class AsyncConnection:
    """
    An open WebSocket connection for the tasks of one event loop, of asyncio or trio.

    ``connect()`` and ``serve()`` make them. All methods are for the event loop in which it was
    made; any number of tasks may use them at a time. Threads use ``connection`` at the same time.
    No method has a timeout: the loop has, ``asyncio.wait_for()`` or ``trio.fail_after()``.

    A task that is cancelled in a method loses no message and tears none. As an async context
    manager it closes at the end of the block, with 1000, with 1011 on an exception, with 1001 when
    the task is cancelled. As an async iterator it yields messages until it is closed normally.

    Args:
        connection: an open connection, which may be in use by threads.

    Attributes:
        connection: the blocking Connection behind it, for threads.
        id, state, role, path, request, response, subprotocol, extensions, local_address,
            remote_address, latency, close_code, close_reason, stats, logger: as of Connection.
    """

    id: uuid.UUID
    state: State
    role: Role
    path: str
    request: Request
    response: Response
    subprotocol: str | None
    extensions: Sequence[str]
    local_address: Any
    remote_address: Any
    latency: float
    close_code: int | None
    close_reason: str | None
    stats: Stats
    logger: logging.Logger

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        engine = self._engine = connection._engine
        self._bridge = current()
        self._queue = engine.queue
        self._reader = engine.reader
        self._messages = engine.queue.messages
        self._receiver = AsyncReceiver(self._bridge, engine)
        self._sender = AsyncSender(self._bridge, engine)
        attend(self._bridge, connection)

    def __getattr__(self, name: str) -> Any:
        if name in _SAME:
            return getattr(self.connection, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # Receiving.

    async def recv(self, decode: bool | None = None) -> Message:
        """
        Return the next message: ``str`` for a Text message, ``bytes`` for a Binary one.

        Waits until there is one. Several tasks may wait: each message goes to one of them. Messages
        that came before the connection closed can still be received after it.

        Args:
            decode: ``True`` returns ``str``, ``False`` returns ``bytes``, whatever was sent.

        Raises:
            ConnectionClosed: no message is left.
            UnicodeDecodeError: ``decode=True`` and the message is not UTF-8.
        """
        if not (self._bridge.greedy and self._reader.attended):  # a thread may feed without end
            await self._bridge.polite()
        try:
            message = self._messages.popleft()
        except IndexError:
            message = await self._receiver.message()
        if self._queue.parked:
            self._queue.taken()
        return message if decode is None else decoded(message, decode)

    async def recv_stream(self) -> AsyncIterator[Message]:
        """
        Yield the next message piece by piece, as it arrives; all pieces are ``str`` or ``bytes``.

        Needs memory for the pieces that wait only, so ``max_size`` may be ``None``. A loop that is
        left early drops the rest of the message, once Python closes the generator; trio wants
        ``contextlib.aclosing()`` for that. One that is cancelled leaves it to the next
        ``recv_stream`` or ``recv``.

        Raises:
            ConnectionClosed: no message is left, or the connection closed in the middle of one.
        """
        pieces = Pieces(self._receiver)
        try:
            piece = await pieces.next()
            while piece is not None:
                yield piece
                piece = await pieces.next()
        except GeneratorExit:
            pieces.drop()
            raise
        except BaseException:
            pieces.give_back()
            raise

    def events(self, *, whole: bool = False) -> Events:
        """
        Iterate over what happens, in the order of arrival, as the events of ``syncws.events``.

        Each step waits. The last one is CloseConnection, whatever the end was. Pings have been
        answered already. From this call on Pings and Pongs count among the messages that wait, and
        ``recv`` is no longer possible.

        Args:
            whole: yield messages when they are complete. Otherwise long or fragmented ones come in
                pieces, as they arrive, with ``message_finished=False`` up to the last, and
                ``max_size`` may be ``None``.

        Raises:
            ConcurrencyError: it was called with another ``whole`` before.
        """
        take_as_events(self._engine, whole)
        self._messages = collections.deque()  # lets recv() ask, and be told
        return Events(self._receiver)

    def __aiter__(self: C) -> C:
        """Yield messages until the connection closes normally; raise ConnectionClosedError else."""
        return self  # no generator: trio complains of those that are left in the middle

    async def __anext__(self) -> Message:
        try:
            return await self.recv()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None

    # Sending.

    async def send(
        self,
        message: Sendable,
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> None:
        """
        Send a message: ``str`` as Text, bytes-like as Binary, an iterable of them in fragments.

        Waits only if the operating system does not take it at once. Messages of several tasks and
        threads go out one after the other, whole.

        A task that is cancelled while it waits for its turn sends nothing. Behind that, the message
        goes out by itself, but for an iterable: then the connection is closed with 1011, as if the
        iterable had raised.

        Args:
            message: what to send; an iterable, asynchronous or not, yields all ``str`` or all
                bytes-like. A PreparedMessage has its own ``text`` and ``compress``.
            text, compress: as of ``Connection.send``.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            TypeError: not a message.
            ConcurrencyError: called by the iterable that this task is sending.
        """
        rest = self._sender.send(message, text, compress)
        if rest is not None:
            await rest

    async def send_many(
        self,
        messages: Sequence[DataLike],
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> None:
        """
        Send several messages in one write; see ``send`` for the rest.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            TypeError: one of them is not a message; nothing was sent.
        """
        await self._sender.send_many(list(messages), text, compress)

    # Control frames.

    async def ping(self, payload: DataLike | None = None) -> PongWaiter:
        """
        Send a Ping; return what can be awaited for its Pong (RFC 6455 section 5.5.2).

        Does not wait. ``latency = await (await ws.ping())`` waits for the round trip.

        Args:
            payload: up to 125 bytes, unlike that of any Ping in flight; ``None`` picks 4 random
                bytes.

        Raises:
            TimeoutError: the peer has not taken earlier Pings and Pongs of 64 KiB.
            ConnectionClosed: the connection is closing or closed.
            ConcurrencyError: a Ping with this payload is in flight.
            ValueError: the payload is too long.
        """
        await self._bridge.polite()
        return PongWaiter(self._bridge, self.connection.ping_nowait(payload))

    async def pong(self, payload: DataLike = b"") -> None:
        """
        Send a Pong that nobody asked for (RFC 6455 section 5.5.3); Pings are answered anyway.

        Does not wait.

        Raises:
            TimeoutError, ConnectionClosed, ValueError: as ``ping``.
        """
        await self._bridge.polite()
        self.connection.pong(payload)

    # The end.

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Do the closing handshake (RFC 6455 section 7.1.2) and close TCP.

        Waits until that is done, at most ``close_timeout`` seconds: then TCP is cut. Cancelled, it
        goes on by itself. Messages that are queued can still be received. Calling it again waits
        for the same end; on a closed connection it does nothing.

        Args:
            code: 1000-1003, 1007-1014 or 3000-4999.
            reason: up to 123 bytes in UTF-8.

        Raises:
            ValueError: the code or the reason may not be sent.
        """
        close = validated_close(code, reason)
        hold(self.connection)  # it goes on if this is cancelled
        self._engine.begin_close(close)
        await self.wait_closed()

    def close_soon(self) -> None:
        """Do what ``close()`` does without waiting. From any thread, and from destructors."""
        self._bridge.soon(_begin_close, self.connection)

    def abort(self) -> None:
        """Cut TCP at once, without a closing handshake (RFC 6455 section 7.1.7)."""
        self._engine.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, whoever closes it."""
        await self._bridge.happened(self._engine.closed)

    async def __aenter__(self: C) -> C:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(code_for(exc))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.connection!r}>"


_SAME = frozenset(AsyncConnection.__annotations__)


def code_for(exc: BaseException | None) -> CloseCode:
    """Return the close code for what ended a block of code."""
    if exc is None:
        return CloseCode.NORMAL_CLOSURE
    # Cancelled, or interrupted: nothing is wrong with the connection.
    return CloseCode.INTERNAL_ERROR if isinstance(exc, Exception) else CloseCode.GOING_AWAY


class PongWaiter:
    """
    Awaited it gives the seconds from a Ping to its Pong, or raises ConnectionClosed.

    Several tasks may await it, and cancel that; the Ping stays in flight.
    """

    def __init__(self, bridge: Bridge, pong: Waiter[float]) -> None:
        self._bridge = bridge
        self._pong = pong

    def done(self) -> bool:
        """Whether the Pong has come, or never will."""
        return self._pong.done()

    def __await__(self) -> Generator[Any, Any, float]:
        return self._wait().__await__()

    __iter__ = __await__  # for ``yield from`` in coroutines that are generators

    async def _wait(self) -> float:
        if not self._pong.done():
            waiter = self._bridge.waiter()
            self._pong.add_done_callback(lambda _: self._bridge.run(self._bridge.fire, waiter))
            await waiter
        return self._pong.result()


def hold(connection: Connection) -> None:
    """Let nobody miss a connection that is about to end: its destructor would warn of it."""
    connection._engine.closed.call(functools.partial(id, connection))


def _begin_close(connection: Connection) -> None:
    hold(connection)
    connection._engine.begin_close(validated_close(CloseCode.NORMAL_CLOSURE, ""))
