"""
What threads wait on, made only when one does: for most connections that is never.

A Condition costs more than a kilobyte. Knows nothing of WebSocket.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Callable


class Latch:
    """An event that happens once, for ever. Thread-safe."""

    __slots__ = ("_callbacks", "_happened")

    def __init__(self) -> None:
        self._happened = False
        self._callbacks: list[Callable[[], object]] = []

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._happened

    def set(self) -> None:
        """Let it happen, and wake everybody."""
        self._happened = True
        callbacks, self._callbacks = self._callbacks, []  # what they hold may hold this
        for callback in tuple(callbacks):
            callback()

    def call(self, callback: Callable[[], object]) -> None:
        """Call back when it happens, in whichever thread that is, or now; perhaps twice."""
        if not self._happened:
            self._callbacks.append(callback)  # either set() finds it, or it is found set below
        if self._happened:
            callback()

    def forget(self, callback: Callable[[], object]) -> None:
        """Do not call back any more; it may be called just now."""
        with contextlib.suppress(ValueError):  # it has been called
            self._callbacks.remove(callback)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has happened; return False on a timeout."""
        if self._happened:
            return True
        waiter = threading.Event()
        self.call(waiter.set)
        try:
            return waiter.wait(timeout)
        finally:
            self.forget(waiter.set)


class Condition:
    """As threading.Condition; the lock is needed for every call."""

    __slots__ = ("_condition", "_lock")

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._condition: threading.Condition | None = None

    def wait(self, timeout: float | None = None) -> bool:
        """Release the lock, wait to be notified, take it again; return False on a timeout."""
        if self._condition is None:
            self._condition = threading.Condition(self._lock)
        return self._condition.wait(timeout)

    def notify(self, count: int = 1) -> None:
        """Wake that many of those who wait."""
        if self._condition is not None:
            self._condition.notify(count)

    def notify_all(self) -> None:
        """Wake all of them."""
        if self._condition is not None:
            self._condition.notify_all()
