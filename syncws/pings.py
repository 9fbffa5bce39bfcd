"""Pings in flight and those who wait for their Pongs (RFC 6455 sections 5.5.2 and 5.5.3)."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from typing import Callable

from .exceptions import ConcurrencyError

Waiter = concurrent.futures.Future  # of seconds, from the Ping to its Pong


class Pings:
    """
    The Pings that have no Pong yet, oldest first. Thread-safe.

    Attributes:
        latency: the last round trip in seconds; 0.0 before the first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: dict[bytes, tuple[float, Waiter[float]]] = {}
        self.latency = 0.0

    def add(self, payload: bytes) -> Waiter[float]:
        """
        Note a Ping that is about to be sent.

        Raises:
            ConcurrencyError: one with the same payload is in flight.
        """
        with self._lock:
            if payload in self._waiters:
                raise ConcurrencyError(f"a Ping with payload {payload!r} is in flight already")
            waiter: Waiter[float] = Waiter()
            waiter.set_running_or_notify_cancel()
            self._waiters[payload] = (time.monotonic(), waiter)
            return waiter

    def discard(self, payload: bytes) -> None:
        """Forget a Ping for which nobody waits any more."""
        with self._lock:
            self._waiters.pop(payload, None)

    def answered(self, payload: bytes) -> None:
        """Complete a Ping, and the earlier ones, which the peer need not have answered."""
        now = time.monotonic()
        with self._lock:
            if payload not in self._waiters:
                return
            done = []
            for key in list(self._waiters):
                done.append(self._waiters.pop(key))
                if key == payload:
                    break
        self.latency = now - done[-1][0]
        for sent, waiter in done:
            waiter.set_result(now - sent)

    def fail(self, error: Callable[[], Exception]) -> None:
        """Tell all who wait, each with an exception of its own, that no Pong will come."""
        with self._lock:
            waiters, self._waiters = self._waiters, {}
        for _, waiter in waiters.values():
            waiter.set_exception(error())
