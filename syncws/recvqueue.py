"""
The messages that wait to be received: bounded, closable, drainable.

One thread feeds it, any number take from it. Knows nothing of WebSocket: a message is a ``str`` or
``bytes`` that comes whole or in pieces.

Finished messages lie in a deque, so taking one that is there needs no lock. The message that is
still arriving lies apart: who takes it whole gets it once it is complete, who streams it gets the
pieces as they come.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Sequence
from typing import Callable

from .arriving import MANY, SHORT, Arriving, Message
from .deadline import Deadline, wait
from .lazy import Condition

# Seconds. A destructor may call drain() in the feeder's own thread, between its look and its wait.
_LOOK_AGAIN = 0.5


class QueueClosed(Exception):
    """Nothing is left in the queue, and nothing will come any more."""


class RecvQueue:
    """
    A queue with backpressure in messages and bytes.

    Attributes:
        messages: the finished messages that wait; ``popleft`` may be called by anybody, who must
            call ``taken`` if ``parked`` is set then.
        parked: whether the feeder waits for room.
        waiting: how many takers found nothing and wait.
        in_vain: called by a taker who was woken, found nothing and will wait again.
    """

    def __init__(self, max_messages: int | None, max_bytes: int | None) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        # Guards everything; only taking a message that is there does without. Takers that find
        # nothing wait on _filled (notified by the feeder and close), the feeder waits on _emptied
        # (notified by takers, drain and close).
        # Reentrant, since the destructor of a connection may call drain() anywhere.
        self._lock = threading.RLock()
        self._filled = Condition(self._lock)
        self._emptied = Condition(self._lock)
        self.messages: collections.deque[Message] = collections.deque()
        self._arriving: Arriving | None = None
        self.waiting = 0  # takers that found nothing
        self._waiting_whole = 0  # those of them who do not take it piece by piece
        self.parked = False
        self.in_vain: Callable[[], None] = lambda: None
        # Of takers and a feeder that must not block: called once, with the lock held.
        self._whole_listeners: list[Callable[[], None]] = []  # few; a set takes 216 bytes
        self._piece_listeners: list[Callable[[], None]] = []
        self._resume: Callable[[], None] | None = None
        self._draining = False
        self._closed = False
        # Takers do not count. The feeder notes each batch as (messages fed up to its end, bytes);
        # a batch of which nothing lies in the deque any more has been taken.
        self._batches: list[tuple[int, int]] = []
        self._fed = 0
        self._bytes = 0  # in the batches
        self._pieces_bytes = 0  # in unfinished messages, and in pieces not yet taken

    def __len__(self) -> int:
        """Return how many finished messages wait."""
        return len(self.messages)

    # For the feeder.

    def put(self, messages: Sequence[Message], size: int) -> bool:
        """
        Add finished messages of ``size`` bytes together; return whether that serves all who wait.

        Does not block; see ``park``.
        """
        with self._lock:
            if self._draining and self._full():
                return False
            return self._add(messages, size)

    def put_piece(self, data: Message, size: int, last: bool) -> bool:
        """
        Add the next piece, of ``size`` bytes, of the message that is arriving.

        Returns whether that serves all who wait for a message.
        """
        with self._lock:
            if self._arriving is None:
                self._arriving = Arriving(isinstance(data, str))
            arriving = self._arriving
            self._pieces_bytes -= arriving.size
            arriving.add(data, size)
            self._pieces_bytes += arriving.size
            if last:
                self._arriving = None
                arriving.finished = True
                if not arriving.streamed:
                    self._pieces_bytes -= arriving.size
                    if not (self._draining and self._full()):
                        return self._add([arriving.joined()], arriving.size)
            if self.waiting:
                self._filled.notify_all()
                self._call(self._piece_listeners)
            return False

    def _add(self, messages: Sequence[Message], size: int) -> bool:
        if self.messages:
            self._forget_taken()
        else:
            self._batches.clear()
            self._bytes = 0
        self.messages.extend(messages)
        self._fed += len(messages)
        self._bytes += size
        if len(self._batches) >= MANY and self._batches[-1][1] < SHORT:
            size += self._batches.pop()[1]
        self._batches.append((self._fed, size))
        if not self.waiting:
            return False
        served = len(messages) >= self.waiting
        self._filled.notify(len(messages))
        self._call_listeners()
        return served

    @property
    def wanting(self) -> bool:
        """Whether somebody waits for what is not there; who was woken just now may still wait."""
        return self.waiting > len(self.messages)

    @property
    def full(self) -> bool:
        """Whether the feeder would have to wait."""
        if self._draining or not self._over_limit():
            return False
        with self._lock:
            return self._full()

    def park(self) -> None:
        """
        Wait while the queue is full.

        Blocks until takers have made room, someone waits for the rest of the message that is
        arriving, or the queue is draining or closed.
        """
        if not self._over_limit():
            return
        with self._lock:
            try:
                self.parked = True
                while not self._draining and self._full():
                    wait(self._emptied, Deadline(_LOOK_AGAIN))
            finally:
                self.parked = False

    def pause(self, resume: Callable[[], None]) -> bool:
        """
        Do as ``park`` without blocking: return False if the queue is not full.

        Args:
            resume: called once it is not, from any thread; it must not block.
        """
        with self._lock:
            # First: a destructor may call drain() right behind the look, and takers, who need no
            # lock to take a message, look only then whether somebody is parked.
            self._resume = resume
            self.parked = True
            if self._draining or not self._full():
                self._resume = None
                self.parked = False
            return self.parked

    def _unpark(self) -> None:
        """Let a feeder that waits look again. Needs the lock."""
        self._emptied.notify()
        if self._resume is not None and (self._draining or not self._full()):
            resume, self._resume = self._resume, None
            self.parked = False
            resume()

    def _over_limit(self) -> bool:
        """Tell whether the feeder may have to wait, by what it knows without asking the takers."""
        if self._max_messages is not None and len(self.messages) >= self._max_messages:
            return True
        held = self._bytes + self._pieces_bytes
        return self._max_bytes is not None and held >= self._max_bytes

    def _full(self) -> bool:
        """Tell whether the feeder has to wait. Needs the lock."""
        self._forget_taken()
        if not self._over_limit():
            return False
        arriving = self._arriving
        if self.messages or (arriving is not None and arriving.streamed):
            return True
        # Someone waits for a message, so the one that is arriving must be let in to its end; also
        # for those who do not wait but ask again and again.
        return not (
            self._waiting_whole
            or self._whole_listeners
            or (arriving is not None and arriving.wanted)
        )

    def _forget_taken(self) -> None:
        """Drop the notes of batches of which nothing is left. Needs the lock."""
        taken = self._fed - len(self.messages)
        while self._batches and self._batches[0][0] <= taken:
            self._bytes -= self._batches.pop(0)[1]

    def drain(self) -> None:
        """From now on the feeder never waits: what finds no room is dropped."""
        with self._lock:
            self._draining = True
            self._unpark()

    def close(self) -> None:
        """Let takers have what is there, then raise QueueClosed."""
        with self._lock:
            self._draining = self._closed = True
            self._unpark()
            self._filled.notify_all()
            self._call_listeners()

    def disown(self) -> None:
        """Empty and close it: in a forked child, where its locks may be held for ever."""
        messages = self.messages
        self.__init__(None, None)  # type: ignore[misc]
        messages.clear()
        self.messages = messages
        self._closed = True

    # For takers.

    def get(self, deadline: Deadline) -> Message:
        """
        Take the next message, whole.

        Blocks until there is one. Any number of threads may wait: each message goes to one.

        Raises:
            TimeoutError: the deadline lapsed. Nothing is lost: the next call goes on from there.
            QueueClosed: nothing is left and nothing will come.
        """
        while True:
            with self._lock:
                if not self.messages:
                    if self._arriving is not None and not self._arriving.streamed:
                        self._arriving.wanted = True
                    self._wait(deadline, whole=True)
                if self.messages:
                    message = self.messages.popleft()
                    if self.parked:
                        self.taken()
                    return message
            self.in_vain()

    def _wait(self, deadline: Deadline, whole: bool = False) -> None:
        """Wait until something may have come. Needs the lock."""
        if self._closed:
            raise QueueClosed
        self.waiting += 1
        self._waiting_whole += whole
        try:
            self._unpark()
            if deadline.lapsed or not wait(self._filled, deadline):
                raise TimeoutError(f"no message in {deadline.seconds} s")
        except BaseException:
            # The message that came just now may have woken this thread alone.
            if self.messages:
                self._filled.notify()
            raise
        finally:
            self.waiting -= 1
            self._waiting_whole -= whole

    def taken(self) -> None:
        """Let a feeder that waits go on if there is room now."""
        with self._lock:
            if not self._full():
                self._unpark()

    # For takers that must not block: they ask with a deadline that has lapsed, and listen before.

    def listen(self, callback: Callable[[], None], whole: bool) -> bool:
        """
        Call back once, when a message may have come, or a piece if not ``whole``, or the end.

        The callback must not block; it is called from any thread, with the lock held. Returns False
        if there is no need to: a message is there for who wants it whole, or the queue is closed.
        """
        with self._lock:
            if self._closed or (whole and self.messages):
                return False
            listeners = self._whole_listeners if whole else self._piece_listeners
            if callback not in listeners:
                listeners.append(callback)
                self.waiting += 1
            if whole and self._arriving is not None and not self._arriving.streamed:
                self._arriving.wanted = True
            self._unpark()
            return True

    def unlisten(self, callback: Callable[[], None]) -> None:
        """Do not call back."""
        with self._lock:
            for listeners in (self._whole_listeners, self._piece_listeners):
                if callback in listeners:
                    listeners.remove(callback)
                    self.waiting -= 1

    def _call_listeners(self) -> None:
        """Needs the lock."""
        self._call(self._whole_listeners)
        self._call(self._piece_listeners)

    def _call(self, listeners: list[Callable[[], None]]) -> None:
        while listeners:
            self.waiting -= 1
            listeners.pop()()

    # For takers of pieces.

    def begin_stream(self, deadline: Deadline) -> Message | Arriving:
        """
        Take the next message as it comes.

        Blocks until a message has begun. What is returned is either the message, if it is there
        whole, or what ``next_piece`` needs.

        Raises:
            TimeoutError, QueueClosed: as ``get``.
        """
        with self._lock:
            while True:
                if self.messages:
                    message = self.messages.popleft()
                    self._unpark()
                    return message
                if self._arriving is not None and not self._arriving.streamed:
                    self._arriving.stream()
                    return self._arriving
                self._wait(deadline)

    def next_piece(self, arriving: Arriving, deadline: Deadline) -> Message | None:
        """
        Take the next piece; None behind the last.

        Blocks until there is one.

        Raises:
            TimeoutError: the deadline lapsed; ask again, or ``give_back``.
            QueueClosed: the rest will not come.
        """
        with self._lock:
            while not arriving.pieces:
                if arriving.finished:
                    return None
                self._wait(deadline)
            data, size = arriving.pieces.popleft()
            arriving.size -= size
            self._pieces_bytes -= size
            self._unpark()
            return data

    def give_back(self, arriving: Arriving) -> None:
        """Stop streaming; what is left of the message becomes the next one to take."""
        with self._lock:
            arriving.unstream()
            if arriving.finished:
                self._pieces_bytes -= arriving.size
                # As if the last one taken had not been, and were this one.
                self._forget_taken()
                self._batches.insert(0, (self._fed - len(self.messages), arriving.size))
                self._bytes += arriving.size
                self.messages.appendleft(arriving.joined())
            self._filled.notify_all()
            self._call_listeners()

    def drop(self, arriving: Arriving) -> None:
        """Stop streaming; nobody wants the rest of the message."""
        with self._lock:
            arriving.dropped = True
            arriving.pieces.clear()
            self._pieces_bytes -= arriving.size
            arriving.size = 0
            self._unpark()
