"""One time limit over many steps. Monotonic clock only; knows nothing of sockets."""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol

# Waiting for a lock is not interrupted by Ctrl-C on Windows, so it is done in slices there.
_SLICE = 0.25 if os.name == "nt" else None
# Longer than poll() can wait, which is 24 days; nobody will tell it from for ever.
FOREVER = 2_000_000.0


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


def acquire(lock: threading.Lock, deadline: Deadline) -> bool:
    """Acquire a lock unless the deadline lapses first; tell whether it was acquired."""
    if lock.acquire(False):
        return True
    remaining = deadline.remaining()
    if _SLICE is None:
        return lock.acquire(
            True, -1 if remaining is None else min(remaining, threading.TIMEOUT_MAX)
        )
    while not lock.acquire(True, _SLICE if remaining is None else min(remaining, _SLICE)):
        remaining = deadline.remaining()
        if remaining == 0.0:
            return False
    return True
