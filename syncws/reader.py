"""
Who reads a connection: whoever waits for a message, or a thread of its own.

Knows nothing of WebSocket. Reading is a role that one thread has at a time. A caller that finds no
message takes the role and reads the socket itself, so that no thread stands between the socket and
whoever wants the message. When for a moment nobody has asked, the reader thread takes over, so that
Pings and Closes are served while the application computes. It starts when first needed.

An event loop may take the thread's place, and then keeps the role.

Somebody always watches: either the role is held, or the reader is on the lookout's list.
"""

from __future__ import annotations

import collections
import itertools
import socket
import threading
from collections.abc import Iterator
from typing import Callable, Protocol

from .arriving import Message
from .deadline import ENDLESS, NOW, Deadline, taking
from .forks import on_change
from .housekeeper import Timer, housekeeper
from .recvqueue import RecvQueue
from .threads import Thread
from .transport import Transport

# For between one and two of these, nobody must have asked before the reader thread takes over.
TICK = 0.007  # seconds
# Reads of what is there although the time is over: a message that came may take some. But a peer
# that never stops sending must not keep anybody.
_GRACE = 16
_ROUNDS = 160  # and of telling what was read, which may take many
# An aborted stream ends at once, unless Ctrl-C hit a reader right before it gave the role back.
LEAVING = 5.0  # seconds


class Attendant(Protocol):
    """An event loop that reads in the place of the thread."""

    def watch(self) -> None:
        """Take the role: call ``read_ready`` when there is something to read. From any thread."""

    def leave(self) -> None:
        """Let go of the socket, which is about to be closed."""

    def refuse_to_block(self) -> None:
        """Raise RuntimeError if the caller would wait for itself: in the event loop."""


class Reader:
    """
    Reads one transport until its end. Thread-safe.

    Args:
        received: told of the bytes; returns whether everybody who waited for a message has one.
        ended: told of the end of the stream, or of the error that was it; the last call of all.
        name: of the thread.

    Attributes:
        queue: where ``received`` puts messages.
        wanted: set when somebody is to read all the time: the end is near, or an event loop waits.
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
        self.queue = queue
        queue.in_vain = self.wake
        self._transport = transport
        self._received = received
        self._ended = ended
        self._name = name
        # Held until the start, by who reads, and for ever after the end. It may be handed on.
        self._role = threading.Lock()
        self._role.acquire()
        self._takes = taking(self._role)
        self._holder: int | None = None  # the thread that has it
        self._thread: threading.Thread | None = None
        self._attendant: Attendant | None = None
        self._loop: Attendant | None = None  # it, or the one whose place the thread has taken
        self._asleep = threading.Lock()  # the thread sleeps in acquiring it
        self._asleep.acquire()
        self._over = False
        self._turns = 0  # how often callers read for themselves
        self._watched = False  # by the lookout
        self._served = False  # whether the last read gave a message to all who waited for one
        self._overdue: Timer | None = None

    def start(self, trailing: bytes) -> None:
        """Begin, with bytes that were read already."""
        if trailing:
            self._received(trailing)
        self._leave()

    def is_reading(self) -> bool:
        """Whether the caller is reading just now: it was called back."""
        return self._holder == threading.get_ident()

    # For callers.

    def get(self, deadline: Deadline) -> Message:
        """Take the next message; see RecvQueue.get. Reads the socket if nobody does."""
        messages = self.queue.messages
        while self._read(messages.__len__, deadline):
            try:
                return messages.popleft()
            except IndexError:  # nothing came, or somebody else took it
                if deadline.lapsed:
                    break
        else:
            if not (messages or deadline.lapsed):
                self.refuse_to_block()
        return self.queue.get(deadline)

    def _tries(self, deadline: Deadline) -> Iterator[None]:
        """Say how often to read until a deadline."""
        return _ENDLESSLY if deadline is ENDLESS else self._tries_until(deadline)

    def _tries_until(self, deadline: Deadline) -> Iterator[None]:
        while not deadline.lapsed:
            yield
        reads, rounds = _GRACE, _ROUNDS
        while reads and rounds:
            yield
            reads -= not self.backlog
            rounds -= 1

    def read_until(self, done: Callable[[], bool], deadline: Deadline) -> None:
        """Read until something is done, the time is over, the queue full or somebody else reads."""
        read = self._read(lambda: done() or self.queue.full, deadline)
        if not (read or done() or deadline.lapsed):
            self.refuse_to_block()

    def _read(self, done: Callable[[], object], deadline: Deadline) -> bool:
        """Read until something is done or the time is over; return False if somebody else reads."""
        mine = False
        try:
            for mine in self._takes:
                if mine:
                    self._read_on(done, deadline)
                break
        finally:  # without a call that Ctrl-C could hit before the role is given back
            if mine:
                self._holder = None
            if mine and not self._over:
                try:
                    self._role.release()
                    self._left()
                except BaseException:
                    self._left()
                    raise
        return mine

    def _read_on(self, done: Callable[[], object], deadline: Deadline) -> None:
        """Read, as ``_read``. Needs the role."""
        self._turns += 1
        self._holder = threading.get_ident()
        for _ in self._tries(deadline):
            if done() or self._over or not self._read_once(deadline):
                break

    def refuse_to_block(self) -> None:
        """Raise RuntimeError in the event loop that reads, or has let a thread do so."""
        if self._loop is not None:
            self._loop.refuse_to_block()

    def wake(self) -> None:
        """See to it that somebody reads now."""
        if self._role.acquire(False):
            self._hand_over()

    def expect_end(self) -> None:
        """The transport was aborted: see to it that the end is noted, whatever happens."""
        self._overdue = self._overdue or housekeeper.call_later(LEAVING, self._overtime)
        self.wake()

    def disown(self) -> None:
        """Let nobody read any more: in a forked child."""
        self._over = True
        self._attendant = self._loop = None

    def _overtime(self) -> None:
        if self._attendant is None:
            self._force_end()
        else:  # it is busy, and would still know a socket that was closed by others
            self._overdue = housekeeper.call_later(LEAVING, self._overtime)

    def _force_end(self) -> None:
        if not self._over:
            self._end(None)

    # For attendants.

    def attend(self, attendant: Attendant) -> None:
        """Let an event loop take the place of the thread, as soon as nobody else reads."""
        self._attendant = self._loop = attendant
        self.wake()

    @property
    def attended(self) -> bool:
        """Whether an event loop does, or will."""
        return self._attendant is not None

    def give_back(self, role: bool) -> None:
        """Let the thread take the place of the event loop, and the role if that has it."""
        self._attendant = None
        self.wanted = True  # no task will read for itself
        if role and not self._over:
            self._hand_to_thread()

    def read_ready(self) -> bool:
        """
        Read what is there, without waiting, and pass it on; return False at the end of the stream.

        The caller has the role and keeps it.
        """
        if self._over:  # a loop goes on in a forked child
            return False
        self._holder = threading.get_ident()
        self._read_once(NOW)
        self._holder = None
        return not self._over

    @property
    def sock(self) -> socket.socket:
        """What to wait for."""
        return self._transport.sock

    @property
    def more(self) -> bool:
        """Whether ``read_ready`` has something to read, whatever the socket says."""
        return self.backlog or self._transport.more

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
        """Give the role back."""
        self._holder = None
        if not self._over:
            self._role.release()
            self._left()

    def _left(self) -> None:
        """See to it that somebody watches, now that the role is free."""
        if self.wanted or self.queue.wanting or self._attendant is not None:
            self.wake()
        elif not self._watched:
            self._watched = True
            _lookout.add(self, self._turns)

    def look(self, turns: int) -> None:
        """Let the thread take over if since then no caller has read. For the lookout."""
        self._watched = False  # first: who leaves from now on asks to be watched again
        if self._role.acquire(False):
            if turns == self._turns:
                self._hand_over()
            else:
                self._leave()

    def _hand_over(self) -> None:
        """Let the attendant or the thread have the role that the caller has."""
        if self._attendant is not None:
            self._attendant.watch()
        else:
            self._hand_to_thread()

    def _hand_to_thread(self) -> None:
        if self._thread is not None:
            self._asleep.release()
            return
        self._thread = Thread(self._run, self._name)
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
        if self._attendant is not None:
            self._attendant.leave()
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
                    self.queue.park()
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
