"""Bytes that go one way through a relay, and what happens to them there."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
import os
import socket
import struct

_READ_SIZE = 64 * 1024
_MOST = 4 * 1024 * 1024  # bytes on the way at once; then the sender is held back
_TICK = 0.02  # seconds: what is throttled moves that often
_RESET = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # struct linger


@dataclasses.dataclass
class Fault:
    """
    What is wrong with the network, one way.

    Attributes:
        delay: seconds that each byte takes.
        rate: bytes a second that pass, at most.
        cut: whether nothing passes.
    """

    delay: float = 0.0
    rate: float | None = None
    cut: bool = False

    def restored(self) -> None:
        """Be as at first."""
        self.delay, self.rate, self.cut = 0.0, None, False


class Line:
    """
    The bytes from a source to a target, both non-blocking. For one thread at a time.

    Attributes:
        blocked: whether the target takes no more just now.
        done: whether nothing will pass any more.
        torn: whether something vanished, so that nothing may follow.
    """

    def __init__(self, source: socket.socket, target: socket.socket, fault: Fault) -> None:
        self.source = source
        self.target = target
        self.fault = fault
        self._waiting: collections.deque[tuple[float, bytes]] = collections.deque()
        self._size = 0  # of what waits
        self._free = 0.0  # the time when all that waits will have gone
        self._ended = False
        self.blocked = self.done = self.torn = False

    def wants_to_read(self, now: float) -> bool:
        """Tell whether more bytes may come."""
        return not self._ended and self._size < _MOST and self._next_read() <= now

    def _next_read(self) -> float:
        return self._free - self.fault.delay - _TICK if self.fault.rate else 0.0

    def next_time(self, now: float) -> float:
        """Return when there is something to do that no socket tells of."""
        times = [self._waiting[0][0]] if self._waiting and not self.blocked else []
        if not self._ended and self._next_read() > now:
            times.append(self._next_read())
        return max(now, min(times, default=math.inf))

    def read(self, now: float) -> None:
        """Take what has come. Raises OSError when the source is gone."""
        fault = self.fault
        if not self.wants_to_read(now):
            return
        size = _READ_SIZE if fault.rate is None else max(1, int(fault.rate * _TICK))
        try:
            data = self.source.recv(size)
        except (BlockingIOError, InterruptedError):
            return
        if not data:
            self._ended = True
        elif fault.cut:
            self.torn = True
        else:
            due = max(now + fault.delay, self._free)
            self._free = due + len(data) / fault.rate if fault.rate else due
            self._waiting.append((self._free, data))
            self._size += len(data)

    def write(self, now: float) -> None:
        """Let go on what is due, and the end. Raises OSError when the target is gone."""
        if self.fault.cut:
            self._lose()
        self.blocked = False
        while self._waiting and self._waiting[0][0] <= now:
            due, data = self._waiting.popleft()
            try:
                sent = self.target.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            self._size -= sent
            if sent < len(data):
                self._waiting.appendleft((due, data[sent:]))
                self.blocked = True
                return
        if self._ended and not self._waiting and not self.done:
            self.done = True
            with contextlib.suppress(OSError):  # it has ended, too
                self.target.shutdown(socket.SHUT_WR)

    def _lose(self) -> None:
        """Let vanish what is on the way, and the end."""
        self.torn = self.torn or bool(self._waiting) or (self._ended and not self.done)
        self._waiting.clear()
        self._size = 0
        self.done = self.done or self._ended

    def give_up(self) -> None:
        """Let nothing pass any more, since an end is gone, and the other must not see it."""
        self._ended = self.done = self.torn = True
        self._waiting.clear()


def reset(sock: socket.socket) -> None:
    """Let the close of a socket be a reset."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
