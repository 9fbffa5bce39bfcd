"""
Who reads a connection: whoever waits for a message, or a thread of its own.

Knows nothing of WebSocket. Reading is a role that one thread has at a time. A caller that finds no
message takes the role and reads the socket itself, so that no thread stands between the socket and
whoever wants the message. When for a moment nobody has asked, the reader thread takes over, so that
Pings and Closes are served while the application computes. It starts when first needed.

Somebody always watches: either the role is held, or the reader is on the lookout's list.
"""

from __future__ import annotations

import collections
import itertools
import threading
from collections.abc import Iterator
from typing import Callable

from .deadline import ENDLESS, Deadline
from .forks import on_change
from .housekeeper import Timer, housekeeper
from .recvqueue import Message, RecvQueue
from .transport import Transport

# For between one and two of these, nobody must have asked before the reader thread takes over.
TICK = 0.007  # seconds
# Reads of what is there although the time is over: a message that came may take some. But a peer
# that never stops sending must not keep anybody.
_GRACE = 16
# An aborted stream ends at once, unless Ctrl-C hit a reader between taking the role and noting so.
_LEAVING = 5.0  # seconds


class Reader:
    """
    Reads one transport until its end. Thread-safe.

    Args:
        received: told of the bytes; returns whether everybody who waited for a message has one.
        ended: told of the end of the stream, or of the error that was it; the last call of all.
        name: of the thread.

    Attributes:
        wanted: set when the end is near: from then on somebody reads all the time.
        backlog: set when ``received`` has more to tell of what it was told; it is asked with b"".
    """

    def __init__(
        self,
        transport: Transport,
        queue: RecvQueue,
        received: Callable[[bytes], bool],
        ended: Callable[[BaseException | None], None],
        name: str,
    ) -> None:
        self.wanted = False
        self.backlog = False
        self._transport = transport
        self._queue = queue
        self._received = received
        self._ended = ended
        self._name = name
        # Held by who reads, and for ever after the end. It may be handed to the thread.
        self._role = threading.Lock()
        self._holder: int | None = None  # the thread that has it
        self._thread: threading.Thread | None = None
        self._asleep = threading.Lock()  # the thread sleeps in acquiring it
        self._asleep.acquire()
        self._over = False
        self._turns = 0  # how often callers read for themselves
        self._watched = False  # by the lookout
        self._served = False  # whether the last read gave a message to all who waited for one
        self._overdue: Timer | None = None

    def start(self, trailing: bytes) -> None:
        """Begin, with bytes that were read already."""
        self._role.acquire()
        if trailing:
            self._received(trailing)
        self._leave()

    def is_reading(self) -> bool:
        """Whether the caller is reading just now: it was called back."""
        return self._holder == threading.get_ident()

    # For callers.

    def get(self, deadline: Deadline) -> Message:
        """Take the next message; see RecvQueue.get. Reads the socket if nobody does."""
        messages = self._queue.messages
        if self._role.acquire(False):
            self._turns += 1
            self._holder = threading.get_ident()
            try:
                for _ in _tries(deadline):
                    if messages or self._over or not self._read_once(deadline):
                        break
            finally:
                self._leave()
            try:
                return messages.popleft()
            except IndexError:  # nothing came, or somebody else took it
                pass
        return self._queue.get(deadline)

    def read_until(self, done: Callable[[], bool], deadline: Deadline) -> None:
        """Read until something is done, the time is over, the queue full or somebody else reads."""
        if self._role.acquire(False):
            self._turns += 1
            self._holder = threading.get_ident()
            try:
                for _ in _tries(deadline):
                    if done() or self._over or self._queue.full or not self._read_once(deadline):
                        break
            finally:
                self._leave()

    def wake(self) -> None:
        """See to it that somebody reads now."""
        if self._role.acquire(False):
            self._hand_to_thread()

    def expect_end(self) -> None:
        """The transport was aborted: see to it that the end is noted, whatever happens."""
        self._overdue = self._overdue or housekeeper.call_later(_LEAVING, self._force_end)
        self.wake()

    def disown(self) -> None:
        """Let nobody read any more: in a forked child."""
        self._over = True

    def _force_end(self) -> None:
        if not self._over:
            self._end(None)

    def _read_once(self, deadline: Deadline = ENDLESS) -> bool:
        """Read and pass it on; return False if the time is over. Needs the role."""
        transport = self._transport
        try:
            backlog = self.backlog
            if not (backlog or transport.fill(deadline)):  # Ctrl-C here costs nothing
                return False
            try:
                data = b"" if backlog else transport.take()
                if data or backlog:
                    self._served = self._received(data or b"")
                elif data is not None:
                    self._end(None)
            except OSError:
                raise
            except BaseException:
                # Ctrl-C, or a callback that exits: what was received may be lost, so nothing can
                # follow it, neither from the socket nor from the backlog.
                transport.abort()
                self._force_end()
                raise
        except OSError as exc:
            self._end(exc)
        return True

    def _leave(self) -> None:
        """Give the role up, and see to it that somebody watches."""
        self._holder = None
        if self._over:
            return
        if self.wanted or self._queue.waiting:
            self._hand_to_thread()
            return
        self._role.release()
        if not self._watched:
            self._watched = True
            _lookout.add(self, self._turns)

    def look(self, turns: int) -> None:
        """Let the thread take over if since then no caller has read. For the lookout."""
        self._watched = False  # first: who leaves from now on asks to be watched again
        if self._role.acquire(False):
            if turns == self._turns:
                self._hand_to_thread()
            else:
                self._leave()

    def _hand_to_thread(self) -> None:
        """Let the thread have the role that the caller has."""
        if self._thread is not None:
            self._asleep.release()
            return
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        try:
            self._thread.start()
        except RuntimeError as exc:  # the system has no more threads
            self._thread = None
            self._end(exc)

    def _end(self, error: BaseException | None) -> None:
        """The stream is at its end. Needs the role, which nobody gets after that."""
        self._over = True
        if self._overdue is not None:
            self._overdue.cancel()
        self._ended(error)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._asleep.release()

    # The thread.

    def _run(self) -> None:
        """Read until callers read for themselves; sleep until nobody does."""
        try:
            while not self._over:
                self._holder = threading.get_ident()
                self._served = False
                while self.wanted or not self._served:
                    self._queue.park()
                    self._read_once()
                    if self._over:
                        return
                self._leave()
                self._asleep.acquire()
        except BaseException as exc:
            if not self._over:
                self._end(exc)
            raise


_ENDLESSLY = itertools.repeat(None)


def _tries(deadline: Deadline) -> Iterator[None]:
    """Say how often to read until a deadline."""
    return _ENDLESSLY if deadline is ENDLESS else _tries_until(deadline)


def _tries_until(deadline: Deadline) -> Iterator[None]:
    while not deadline.lapsed:
        yield
    yield from itertools.repeat(None, _GRACE)


class _Lookout:
    """Looks at every reader whose role is free, all of them with one timer."""

    def __init__(self) -> None:
        self.start_afresh()

    def start_afresh(self) -> None:
        self._new: collections.deque[tuple[Reader, int]] = collections.deque()
        self._due: list[tuple[Reader, int]] = []
        self._armed = False

    def add(self, reader: Reader, turns: int) -> None:
        """Look at the reader after one or two ticks."""
        self._new.append((reader, turns))
        if not self._armed:
            self._armed = True
            housekeeper.call_later(TICK, self._tick)

    def _tick(self) -> None:
        self._armed = False  # first: who is added from now on arms it again
        due, self._due = self._due, [self._new.popleft() for _ in range(len(self._new))]
        for reader, turns in due:
            reader.look(turns)
        if self._due and not self._armed:
            self._armed = True
            housekeeper.call_later(TICK, self._tick)


_lookout = _Lookout()
on_change(lambda parent: _lookout.start_afresh())
