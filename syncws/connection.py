"""
The object that users hold: one WebSocket connection, client or server, used by blocking calls.

The waist of the library: below it the engine, above it the doors that open connections. What users
hand in is checked and brought into one form here.
"""

from __future__ import annotations

import collections
import concurrent.futures
import logging
import os
import sys
import uuid
import warnings
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from .addresses import address, address_text
from .arriving import Message, decoded
from .codes import CloseCode, Opcode, Role, State
from .deadline import ENDLESS, Deadline, wait
from .engine import Engine
from .event_types import Event
from .exceptions import ConnectionClosedOK
from .options import Options
from .outgoing import DataLike, PreparedMessage, as_content, as_fragments, as_prepared, as_whole
from .pings import Waiter
from .receiving import events, pieces, receive, take_as_events
from .sansio import Request, Response, agreed, validated_close
from .stats import Stats
from .transport import Transport

C = TypeVar("C", bound="Connection")


class Connection:
    """
    An open WebSocket connection; ``connect()`` and ``ThreadingServer`` make them.

    Every method may be called from any thread at any time, and every blocking call ends when its
    timeout lapses or the connection does. As a context manager it closes at the end of the block,
    with 1000, or with 1011 on an exception. As an iterator it yields messages until a normal close.

    Timeouts are seconds; ``None`` waits for ever unless the method names an option, 0 does not
    wait. A lapsed timeout raises the builtin ``TimeoutError``.

    Attributes:
        role: ``Role.CLIENT`` or ``Role.SERVER``.
        request, response: the client's and the server's half of the opening handshake.
        subprotocol: the subprotocol agreed on, or ``None``.
        extensions: what else was agreed on: the values of the server's Sec-WebSocket-Extensions.
        local_address, remote_address: as of ``socket.getsockname()`` and ``getpeername()``; that of
            the client, if ``trusted_proxies=`` lets a server believe its proxy.
        logger: ``syncws.client`` or ``syncws.server``, unless another was given.
    """

    def __init__(
        self,
        transport: Transport,
        role: Role,
        request: Request,
        response: Response,
        options: Options,
        logger: logging.Logger | None = None,
    ) -> None:
        self.role = role
        self.request = request
        self.response = response
        self.subprotocol = response.headers.get("Sec-WebSocket-Protocol")
        self.extensions = response.headers.get_all("Sec-WebSocket-Extensions")
        self.logger = logger or logging.getLogger(f"syncws.{role.value}")
        self.local_address = address(transport.sock.getsockname)
        self.remote_address = transport.remote_address or address(transport.sock.getpeername)
        self._options = options
        self._engine = Engine(transport, role, options, agreed(self.extensions), self.logger)
        # What recv() needs when messages wait, without a detour.
        self._queue = self._engine.queue
        self._messages = self._queue.messages
        self._id: uuid.UUID | None = None

    def _start(self, trailing: bytes) -> None:
        """Begin to read, first what came behind the opening handshake. For the doors."""
        self._engine.start(trailing)

    # Receiving.

    def recv(self, timeout: float | None = None, decode: bool | None = None) -> Message:
        """
        Return the next message: ``str`` for a Text message, ``bytes`` for a Binary one.

        Blocks until there is one. Several threads may wait: each message goes to one of them.
        Messages that came before the connection closed can still be received after it.

        Args:
            timeout: seconds.
            decode: ``True`` returns ``str``, ``False`` returns ``bytes``, whatever was sent.

        Raises:
            TimeoutError: no message in time; nothing is lost, also of one that is arriving.
            ConnectionClosed: no message is left.
            ConcurrencyError: events() was called.
            UnicodeDecodeError: ``decode=True`` and the message is not UTF-8.
        """
        try:
            message = self._messages.popleft() if self._messages else receive(self._engine, timeout)
        except IndexError:  # another thread was faster
            message = receive(self._engine, timeout)
        if self._queue.parked:
            self._queue.taken()
        return message if decode is None else decoded(message, decode)

    def recv_stream(self, timeout: float | None = None) -> Iterator[Message]:
        """
        Yield the next message piece by piece, as it arrives; all pieces are ``str`` or ``bytes``.

        Blocks until there is a piece. Needs memory for the pieces that wait only, so ``max_size``
        may be ``None``. A loop that is left early drops the rest of the message.

        Args:
            timeout: seconds for each piece.

        Raises:
            TimeoutError: no piece in time; the next ``recv_stream`` or ``recv`` goes on from there.
            ConnectionClosed: no message is left, or the connection closed in the middle of one.
        """
        yield from pieces(self._engine, timeout)

    def events(self, timeout: float | None = None, *, whole: bool = False) -> Iterator[Event]:
        """
        Yield what happens, in the order of arrival, as the events of ``syncws.events``.

        Blocks until there is one. The last one is CloseConnection, whatever the end was. Pings have
        been answered already. From this call on, also before the first event is asked for, Pings
        and Pongs count among the messages that wait, and ``recv`` is no longer possible.

        Args:
            timeout: seconds for each event.
            whole: yield messages when they are complete. Otherwise long or fragmented ones come in
                pieces, as they arrive, with ``message_finished=False`` up to the last, and
                ``max_size`` may be ``None``.

        Raises:
            TimeoutError: no event in time; nothing is lost, call it again.
            ConcurrencyError: it was called with another ``whole`` before.
        """
        take_as_events(self._engine, whole)
        self._messages = collections.deque()  # lets recv() ask, and be told
        return self._events(timeout)

    def _events(self, timeout: float | None) -> Iterator[Event]:
        yield from events(self._engine, timeout)

    def __iter__(self) -> Iterator[Message]:
        """Yield messages until the connection closes normally; raise ConnectionClosedError else."""
        try:
            while True:
                yield self.recv()
        except ConnectionClosedOK:
            return

    # Sending.

    def send(
        self,
        message: DataLike | Iterable[DataLike] | PreparedMessage,
        *,
        text: bool | None = None,
        compress: bool | None = None,
        timeout: float | None = None,
    ) -> None:
        """
        Send a message: ``str`` as Text, bytes-like as Binary, an iterable of them in fragments.

        Blocks until the operating system has taken it. Messages of several threads go out one after
        the other, whole; Pings and Pongs pass between the fragments of a long one.

        Args:
            message: what to send; an iterable yields all ``str`` or all bytes-like. A
                PreparedMessage has its own ``text`` and ``compress``.
            text: ``True`` sends bytes-like as Text (it must be UTF-8), ``False`` sends ``str`` as
                Binary.
            compress: ``True`` compresses if the peer can do it, ``False`` does not; ``None`` does
                from ``Deflate.threshold`` bytes on. What would not become smaller goes as it is. An
                iterable, whose size nobody knows, is compressed only with ``True``.
            timeout: seconds; ``None`` means the option ``send_timeout``.

        Raises:
            TimeoutError: the peer does not read. If it says "not sent", nothing was; otherwise the
                rest goes out by itself as soon as the peer reads.
            ConnectionClosed: the connection is closing or closed.
            TypeError: not a message.
            ConcurrencyError: called by the iterable that this thread is sending.

        If an iterable raises, or time lapses in the middle of one, the connection is closed with
        1011: the peer would take what it has for the whole message.
        """
        content = as_content(message, text)
        deadline = self._send_deadline(timeout)
        if content is not None:
            opcode, payload = content
            self._engine.sender.send(opcode, payload, deadline, compress)
        elif isinstance(message, PreparedMessage):
            self._engine.sender.send_prepared(as_prepared(message, text, compress), deadline)
        else:
            self._engine.sender.send_fragments(as_fragments(message, text), deadline, compress)

    def send_many(
        self,
        messages: Iterable[DataLike],
        *,
        text: bool | None = None,
        compress: bool | None = None,
        timeout: float | None = None,
    ) -> None:
        """
        Send several messages in one write; see ``send`` for the rest.

        All messages are encoded before the first goes out.

        Raises:
            TimeoutError: the peer does not read. If it says "not sent", nothing was; otherwise all
                go out by themselves.
            ConnectionClosed: the connection is closing or closed.
            TypeError: one of them is not a message; nothing was sent.
        """
        contents = [as_whole(message, text) for message in messages]
        self._engine.sender.send_many(contents, self._send_deadline(timeout), compress)

    def _send_deadline(self, timeout: float | None) -> Deadline:
        limit = self._options.send_timeout if timeout is None else timeout
        return ENDLESS if limit is None else Deadline(limit)

    # Control frames.

    def ping(self, payload: DataLike | None = None, timeout: float | None = None) -> float:
        """
        Send a Ping and wait for its Pong; return the round trip in seconds (RFC 6455 5.5.2).

        Blocks until the Pong arrives; other threads may send and receive meanwhile.

        Args:
            payload: up to 125 bytes, unlike that of any Ping in flight; ``None``: 4 random ones.
            timeout: seconds.

        Raises:
            TimeoutError: no Pong in time; the connection stays open.
            ConnectionClosed: the connection closed before the Pong.
            ConcurrencyError: a Ping with this payload is in flight.
            ValueError: the payload is too long.
        """
        data = os.urandom(4) if payload is None else as_whole(payload, None)[1]
        deadline = Deadline(timeout)
        reader = self._engine.reader
        if not deadline.lapsed:  # first: the Pong of a Ping might come at once
            reader.refuse_to_block()
        waiter = self._engine.ping(data)
        try:
            reader.read_until(waiter.done, deadline)
            return waiter.result(deadline.remaining())
        except concurrent.futures.TimeoutError:
            raise TimeoutError(f"no Pong in {timeout} s") from None
        finally:
            self._engine.pings.discard(data)

    def ping_nowait(self, payload: DataLike | None = None) -> Waiter[float]:
        """
        Send a Ping; return a future of the round trip in seconds.

        Does not block. The future fails with ConnectionClosed if no Pong comes before the end.

        Raises:
            TimeoutError: the peer has not taken earlier Pings and Pongs of 64 KiB.
            ConnectionClosed, ConcurrencyError, ValueError: as ``ping``.
        """
        return self._engine.ping(os.urandom(4) if payload is None else as_whole(payload, None)[1])

    def pong(self, payload: DataLike = b"") -> None:
        """
        Send a Pong that nobody asked for (RFC 6455 section 5.5.3); Pings are answered anyway.

        Does not block.

        Raises:
            TimeoutError, ConnectionClosed, ValueError: as ``ping_nowait``.
        """
        self._engine.post(Opcode.PONG, as_whole(payload, None)[1])

    # The end.

    def close(self, code: int = 1000, reason: str = "", timeout: float | None = None) -> None:
        """
        Do the closing handshake (RFC 6455 section 7.1.2) and close TCP.

        Blocks until that is done, at most ``timeout`` seconds: then TCP is cut (and 5 s more, if an
        event loop reads the connection and stands still). Wakes every thread that waits in another
        method. Messages that are queued can still be received. Calling it again waits for the same
        end; on a closed connection it does nothing.

        Args:
            code: 1000-1003, 1007-1014 or 3000-4999.
            reason: up to 123 bytes in UTF-8.
            timeout: seconds; ``None`` means the option ``close_timeout``.

        Raises:
            ValueError: the code or the reason may not be sent.
        """
        limit = self._options.close_timeout if timeout is None else timeout
        self._engine.close(validated_close(code, reason), limit)

    def abort(self) -> None:
        """Cut TCP at once, without a closing handshake (RFC 6455 section 7.1.7). Does not block."""
        self._engine.abort()

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the connection is closed; return False if it is not after ``timeout`` s."""
        return wait(self._engine.closed, Deadline(timeout))

    def __enter__(self: C) -> C:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(CloseCode.NORMAL_CLOSURE if exc_type is None else CloseCode.INTERNAL_ERROR)

    def __del__(self) -> None:
        """End the reader of a connection that nobody holds any more."""
        engine = getattr(self, "_engine", None)
        # At the very end of the program the reader may have been stopped with a lock in its hand.
        if engine is not None and self.state is not State.CLOSED and not sys.is_finalizing():
            shown = repr(self)  # as it was
            engine.abandon()
            warnings.warn(f"unclosed {shown}", ResourceWarning, source=self, stacklevel=2)

    # What it tells of itself.

    @property
    def state(self) -> State:
        """OPEN, CLOSING or CLOSED, in the words of RFC 6455; CLOSING once a write has failed."""
        state = self._engine.protocol.state
        return State.CLOSING if state is State.OPEN and self._engine.cause is not None else state

    @property
    def path(self) -> str:
        """The request target, with its query."""
        return self.request.path

    @property
    def id(self) -> uuid.UUID:
        """A random name for this connection, made when first asked for."""
        if self._id is None:
            self._id = uuid.uuid4()
        return self._id

    @property
    def latency(self) -> float:
        """The last round trip of a Ping in seconds; 0.0 before the first."""
        return self._engine.pings.latency

    @property
    def close_code(self) -> int | None:
        """The close code of RFC 6455 section 7.1.5 once closed, 1006 if the peer sent none."""
        if self._engine.protocol.state is not State.CLOSED:
            return None
        rcvd = self._engine.protocol.rcvd
        return CloseCode.ABNORMAL_CLOSURE.value if rcvd is None else rcvd.code

    @property
    def close_reason(self) -> str | None:
        """The peer's reason once closed (RFC 6455 section 7.1.6)."""
        if self._engine.protocol.state is not State.CLOSED:
            return None
        return "" if self._engine.protocol.rcvd is None else self._engine.protocol.rcvd.reason

    @property
    def stats(self) -> Stats:
        """Counts of messages, frames and bytes each way, and of the messages that wait."""
        return Stats(
            self._engine.sender.messages,
            self._engine.messages_received,
            self._engine.sender.frames_sent,
            self._engine.protocol.frames_received,
            self._engine.sender.bytes_sent,
            self._engine.bytes_received,
            len(self._queue),
            len(self._engine.sender.backlog.items),
            self._engine.sender.backlog.dropped,
        )

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.role.value} {self.state.value} "
            f"{address_text(self.remote_address)} queued={len(self._queue)}>"
        )
