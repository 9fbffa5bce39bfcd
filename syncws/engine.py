"""
What makes one connection run: its reader, its timers, its end.

Every user holds a Connection, which holds an Engine; the reader thread and the timers hold only the
Engine. So a Connection that nobody holds any more can go, and takes the rest with it.

How a connection ends is decided in ``sansio.closing`` alone: here its actions are carried out. The
state lock guards that, and is never held across I/O; the reader thread never waits for a writer.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import weakref
from typing import Callable

from .codes import CloseCode, Opcode, Role, State
from .deadline import Deadline, wait
from .exceptions import (
    Close,
    InheritedConnection,
    ProtocolError,
    WebSocketException,
    connection_closed,
)
from .forks import on_change
from .framelog import FrameLog
from .housekeeper import Timer, housekeeper
from .intake import Intake
from .keepalive import Keepalive
from .lazy import Latch
from .masking import mask_key
from .options import Options
from .pings import Pings, Waiter
from .reader import LEAVING, Reader
from .recvqueue import RecvQueue
from .sansio import Action, Agreement, Fragment, Input, Ping, Pong, Protocol
from .sender import Sender
from .transport import Transport
from .writer import make_writer


class Engine:
    """
    The inside of a Connection. Thread-safe.

    Attributes:
        queue, reader, sender: messages received, who reads them, messages sent.
        intake: how fragments get into the queue.
        pings: Pings in flight.
        closed: set when all is over: no thread, no file descriptor is left.
        cause: the error that ended the connection, if nobody asked for its end.
        bytes_received, messages_received: counts.
        events_whole: how events() takes what is received, or None if recv() takes it.
        auto_pong: whether Pings are answered.
        on_control: told of every Ping and Pong, or None. Called by whoever reads, without a lock:
            it must not block. Returns whether that serves all who wait for a message.
    """

    def __init__(
        self,
        transport: Transport,
        role: Role,
        options: Options,
        deflate: Agreement | None,
        logger: logging.Logger,
    ) -> None:
        self.protocol = Protocol(role, options.max_size, options.max_fragments, deflate)
        self.queue = RecvQueue(options.max_queue, options.max_queue_bytes)
        self.intake = Intake(self.queue)
        self.pings = Pings()
        self.closed = Latch()
        self.cause: BaseException | None = None
        self.bytes_received = self.messages_received = 0
        self.auto_pong = True
        self.events_whole: bool | None = None
        self.on_control: Callable[[Ping | Pong], bool] | None = None
        self._reads = self._uncounted = 0  # reads; bytes of the last one without a message yet
        self._options = options
        self._logger = logger
        # Asked once: a log call for each frame would cost, also where nothing is written.
        self._frame_log = FrameLog(logger, self) if logger.isEnabledFor(logging.DEBUG) else None
        self._transport = transport
        self._writer = make_writer(transport)
        self.reader = Reader(
            transport, self.queue, self._received, self._ended, f"syncws-{role.value}-reader"
        )
        # Reentrant, since a signal handler may close a connection that is being closed.
        self._state_lock = threading.RLock()
        self._inherited: InheritedConnection | None = None
        self._close_timer: Timer | None = None
        self._keepalive: Keepalive | None = None
        self._keepalive_payload = b""
        self._deflate = deflate
        self.sender = self._make_sender()

    def _make_sender(self) -> Sender:
        options, terms, settings = self._options, self._deflate, self._options.deflate
        deflater = terms.deflater(self.protocol.role, settings) if terms and settings else None
        return Sender(
            self.protocol,
            self._writer,
            options.fragment_size,
            deflater,
            self._check_open,
            self._write_failed,
            self._give_up_message,
            self._frame_log.sent if self._frame_log else None,
        )

    def start(self, trailing: bytes) -> None:
        """Begin to read, first what came behind the opening handshake."""
        _live.add(self)
        options = self._options
        if options.ping_interval is not None:
            self._keepalive = Keepalive(
                options.ping_interval,
                options.ping_timeout,
                self._keepalive_ping,
                self._signs_of_life,
                self._peer_silent,
            )
            self._keepalive.start()
        self.reader.start(trailing)

    # Control frames.

    def ping(self, payload: bytes) -> Waiter[float]:
        """Send a Ping without waiting; see Connection.ping_nowait."""
        waiter = self.pings.add(payload)
        try:
            self.post(Opcode.PING, payload)
        except BaseException:
            self.pings.discard(payload)
            raise
        return waiter

    def post(self, opcode: Opcode, payload: bytes) -> None:
        """
        Send a Ping or Pong, and expect no answer.

        Raises:
            TimeoutError, WebSocketException, ValueError: as Connection.pong.
        """
        frame = self.protocol.control_frame(opcode, payload, mask_key())
        if self._writer.stuffed:
            raise TimeoutError("the peer does not read: too many Pings and Pongs wait to be sent")
        with self._state_lock:
            self._check_open()
            self._writer.post(frame)
            self.sender.note(opcode, payload, frame)
        self._writer.flush_nowait()

    # The end.

    def close(self, close: Close, limit: float | None) -> None:
        """Do the closing handshake; cut TCP if it takes over ``limit`` seconds. Blocks."""
        self._happened(self.protocol.close_called, close)
        if self.reader.is_reading():
            return  # called back by a Ping's future: it cannot wait for itself
        deadline = Deadline(limit)
        self.reader.read_until(self.closed.is_set, deadline)
        if not wait(self.closed, deadline):
            self._close_timed_out(limit)
            wait(self.closed, Deadline(LEAVING))  # at once, unless a loop reads and stands still

    def begin_close(self, close: Close) -> None:
        """Send a Close without waiting; ``close_timeout`` later TCP is cut."""
        self._happened(self.protocol.close_called, close)

    def abort(self) -> None:
        """Cut TCP."""
        self._happened(self.protocol.step, Input.ABORT_CALLED)

    def abandon(self) -> None:
        """
        Do the same from a destructor, which may run anywhere: no lock but a reentrant one.

        If nobody reads just now, the reader's lookout finds the end.
        """
        self._transport.abort()
        self.queue.drain()

    def _write_failed(self, exc: OSError) -> WebSocketException:
        """The network is gone. The reader meets the same end behind what is still unread."""
        with self._state_lock:
            if not self._over:
                # Behind a Close it is no news.
                if self.cause is None and self.protocol.rcvd is None:
                    self.cause = exc
                self._arm_close_timer(self.abort)
        return self.closed_error()

    def closed_error(self) -> WebSocketException:
        """Say why nothing can be sent or received."""
        if self._inherited is not None:
            return self._inherited
        return connection_closed(self.protocol.rcvd, self.protocol.sent, self.cause, self._over)

    @property
    def _over(self) -> bool:
        return self.protocol.state is State.CLOSED

    def _happened(self, note: Callable[..., tuple[Action, ...]], *args: object) -> None:
        """Tell the protocol what happened, and do what it says is to be done about it."""
        with self._state_lock:
            actions = note(*args)
            for action in actions:
                self._act(action)
        if actions:
            self._writer.flush_nowait()
        if Action.ABORT in actions:
            self.queue.drain()
            self._transport.abort()
            self.reader.expect_end()

    def _act(self, action: Action) -> None:
        """Do what neither blocks nor takes another lock than the queue's. Needs the state lock."""
        if action is Action.SEND_CLOSE:
            frame = self.protocol.close_frame(mask_key())
            self._writer.post(frame)
            self.sender.note(Opcode.CLOSE, str(self.protocol.sent).encode(), frame)
        elif action is Action.ARM_TIMER:
            self._arm_close_timer()
        elif action is Action.DRAIN:
            self.queue.drain()
            self.reader.wanted = True
        elif action is Action.HALF_CLOSE:
            self._writer.finish()

    def _arm_close_timer(self, lapsed: Callable[[], None] | None = None) -> None:
        """Needs the state lock."""
        limit = self._options.close_timeout
        if limit is not None and self._close_timer is None:
            lapsed = lapsed or (lambda: self._close_timed_out(limit))
            self._close_timer = housekeeper.call_later(limit, lapsed)

    def _close_timed_out(self, limit: float | None) -> None:
        with self._state_lock:
            if self.cause is None and self.protocol.rcvd is None:
                self.cause = TimeoutError(f"the peer sent no Close in {limit} s")
        self._happened(self.protocol.step, Input.TIMER_LAPSED)

    def _give_up_message(self) -> None:
        self.begin_close(Close(CloseCode.INTERNAL_ERROR.value, "message not finished"))

    def _check_open(self) -> None:
        """
        Raise ConnectionClosed unless frames may be sent.

        A sender needs no lock: a Close that is posted from now on cannot pass it, who is writing.
        """
        if not self.protocol.is_open:
            raise self.closed_error()

    # What the reader tells.

    def _received(self, data: bytes) -> bool:
        """Take bytes from the peer; return whether everybody who waited for a message has one."""
        try:
            self._reads += bool(data)
            self.bytes_received += len(data)
            facts = self.protocol.receive(data)
            self.reader.backlog = self.protocol.backlog
            if self._frame_log is not None:
                self._frame_log.received(facts)
            served, size = False, self._uncounted + len(data) + self.protocol.inflated
            for fact in facts:
                if isinstance(fact, list):
                    self.messages_received += len(fact)
                    served = self.queue.put(fact, size)
                    size = 0  # a read has one run as a rule, which is all of it but a few bytes
                else:
                    served = self._handle(fact) or served
            self._uncounted = size if self.protocol.backlog else 0
            return served and not self.queue.wanting
        except Exception as exc:
            self._logger.exception("%s: a bug of syncws; please report it", self)
            self.cause = exc
            self.reader.backlog = False
            self.abort()
            return False
        finally:
            if self._transport.wants_flush or self._writer.busy:
                self._writer.nudge()

    def _handle(self, fact: Fragment | Ping | Pong | Close | ProtocolError) -> bool:
        """Deal with anything but messages; return whether all who wait for one are served."""
        if isinstance(fact, Fragment):
            self.messages_received += fact.message_finished
            return self.intake.put_fragment(fact)
        elif isinstance(fact, (Ping, Pong)):
            if isinstance(fact, Pong):
                self.pings.answered(fact.payload)
            elif self.auto_pong:
                self._answer(fact)
            return self.on_control is not None and self.on_control(fact)
        elif isinstance(fact, Close):
            self._happened(self.protocol.close_received, fact)
        else:
            self._logger.info("%s failed: %s", self, fact)
            self.cause = fact
            self._happened(self.protocol.rule_broken, fact)
        return False

    def _answer(self, ping: Ping) -> None:
        """RFC 6455 section 5.5.2: "an endpoint MUST send a Pong frame in response"."""
        frame = self.protocol.control_frame(Opcode.PONG, ping.payload, mask_key())
        with self._state_lock:
            if self.protocol.state is State.OPEN:
                self._writer.post_reply(frame)
                self.sender.note(Opcode.PONG, ping.payload, frame)

    def _ended(self, error: BaseException | None) -> None:
        """Wake everybody: nothing more will come. The last act of whoever reads."""
        with self._state_lock:
            if self.cause is None and self.protocol.rcvd is None and not self._over:
                self.cause = error or self._writer.failure
            self.protocol.step(Input.END_OF_STREAM)
            if self._close_timer is not None:
                self._close_timer.cancel()
        if self._keepalive is not None:
            self._keepalive.stop()
        self._transport.shutdown()
        self._writer.close()
        self.queue.close()
        try:
            self.pings.fail(self.closed_error)
            if self._frame_log is not None:
                self._frame_log.ended(self.closed_error())
        finally:
            self.closed.set()

    # What the keepalive asks.

    def _keepalive_ping(self) -> bool:
        if self.protocol.state is not State.OPEN:
            return False
        # A peer that never answers, but sends, would let them pile up.
        self.pings.discard(self._keepalive_payload)
        self._keepalive_payload = os.urandom(4)
        # Closing meanwhile, or stuffed: then the silence speaks.
        with contextlib.suppress(WebSocketException, TimeoutError):
            self.ping(self._keepalive_payload)
        return True

    def _signs_of_life(self) -> object:
        """Any byte received counts as life, and any that the peer takes from us."""
        # While the queue is full we do not read: that silence is our own.
        if self.queue.parked:
            return None
        return self._reads, self._transport.progress, self._transport.confirmed()

    def _peer_silent(self) -> None:
        limit = self._options.ping_timeout
        with self._state_lock:
            if self.cause is None:
                self.cause = TimeoutError(f"keepalive: nothing from the peer in {limit} s")
        self._happened(self.protocol.peer_silent, "keepalive ping timeout")

    # What it tells of itself.

    def __str__(self) -> str:
        return f"{self.protocol.role.value} {self.protocol.state.value}"

    # After a fork.

    def _disown(self, parent: int) -> None:
        """Leave the connection to the parent process: in the child, where this thread is alone."""
        if self.closed.is_set():
            return
        self._inherited = InheritedConnection(parent, os.getpid())
        # Locks may be held by threads that do not exist here.
        self._state_lock = threading.RLock()
        self.protocol.step(Input.ABORT_CALLED)
        self.queue.disown()
        self.reader.disown()
        self.pings = Pings()
        self._writer = make_writer(self._transport)
        self.sender = self._make_sender()
        self.closed = Latch()
        self.closed.set()
        self._transport.disown()


_live: weakref.WeakSet[Engine] = weakref.WeakSet()


def _disown_all(parent: int) -> None:
    if parent == os.getpid():
        return  # not a fork
    for engine in list(_live):
        engine._disown(parent)
    _live.clear()


on_change(_disown_all)
