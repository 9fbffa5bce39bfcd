"""One time limit over many steps. Monotonic clock only; knows nothing of sockets."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from typing import Protocol

# Waiting for a lock is not interrupted by Ctrl-C on Windows, so it is done in slices there.
_SLICE = 0.25 if os.name == "nt" else None
# Longer than poll() can wait, which is 24 days; nobody will tell it from for ever.
FOREVER = 2_000_000.0
_NOT_WAITING = itertools.repeat(False)  # one for all: it never ends, and many connections wait


class Deadline:
    """
    A moment after which a call must give up; ``None`` seconds means never.

    Zero or negative seconds mean "do not wait": the deadline has lapsed from the start.
    """

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        endless = seconds is None or seconds >= FOREVER
        self._end = None if endless else time.monotonic() + seconds  # type: ignore[operator]

    def remaining(self) -> float | None:
        """Return the seconds that are left, never below zero; ``None`` if there is no limit."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    @property
    def lapsed(self) -> bool:
        """Whether the time is over."""
        return self._end is not None and time.monotonic() >= self._end

    def earlier(self, seconds: float | None) -> Deadline:
        """Return the earlier of this deadline and one ``seconds`` from now."""
        remaining = self.remaining()
        if seconds is None or (remaining is not None and remaining <= seconds):
            return self
        return Deadline(seconds)


ENDLESS = Deadline(None)
NOW = Deadline(0)


class Waitable(Protocol):
    """A condition or an event."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait once; return False on a timeout."""


def wait(waitable: Waitable, deadline: Deadline) -> bool:
    """
    Wait once on a condition or an event; return False when the deadline has lapsed.

    A condition may also return True early, as always: test what was waited for again.
    """
    remaining = deadline.remaining()
    if _SLICE is None or (remaining is not None and remaining <= _SLICE):
        return waitable.wait(remaining)
    while not waitable.wait(_SLICE):
        if deadline.lapsed:
            return False
    return True


# Ctrl-C may come right behind ``mine = lock.acquire()``, before ``mine`` is set; then nobody would
# release the lock. In a ``for`` over a map nothing comes in between, since Python 3.11. Nor does
# Python find the way to ``finally`` from the end of a loop in ``try``, where Ctrl-C may come, too.


def taking(lock: threading.Lock) -> Iterator[bool]:
    """
    Return what tries to acquire a lock whenever it is asked, without waiting.

    For ``for mine in takes: ... break`` in a ``try``, with ``if mine: lock.release()`` at its end.
    """
    return map(lock.acquire, _NOT_WAITING)


def acquire(lock: threading.Lock, deadline: Deadline) -> bool:
    """Acquire a lock unless the deadline lapses first; tell whether it was acquired."""
    acquired = False
    for acquired in map(lock.acquire, itertools.repeat(True), _slices(deadline)):
        if acquired:
            break
    return acquired


def _slices(deadline: Deadline) -> Iterator[float]:
    """Yield how long to wait each time, -1 for ever."""
    while True:
        remaining = deadline.remaining()
        if remaining is not None:
            yield min(remaining, _SLICE or threading.TIMEOUT_MAX)
        else:
            yield _SLICE or -1
        if deadline.lapsed:
            return
