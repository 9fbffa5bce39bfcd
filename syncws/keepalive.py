"""
The keepalive: a Ping now and then, and the verdict on a peer that stays silent.

Needs no thread: its steps are timers of the housekeeper.
"""

from __future__ import annotations

import time
from typing import Callable

from .housekeeper import Timer, housekeeper

# Seconds. A verdict that comes so late was held up, by a greenlet that computes or because the
# process was stopped; and so was whoever reads. That one gets its turn before we look again.
_LATE = 0.5
_LOOK_AGAIN = 1.0


class Keepalive:
    """
    Pings every ``interval`` seconds, and gives the peer ``timeout`` seconds to show life.

    Args:
        interval, timeout: seconds; no ``timeout``, no verdict.
        ping: sends a Ping; returns False if there is nobody to ping any more.
        signs: returns a value that changes with every sign of life, or None if silence is not the
            peer's fault.
        silent: is told that the peer is dead.
    """

    def __init__(
        self,
        interval: float,
        timeout: float | None,
        ping: Callable[[], bool],
        signs: Callable[[], object],
        silent: Callable[[], None],
    ) -> None:
        self._interval = interval
        self._timeout = timeout
        self._ping = ping
        self._signs = signs
        self._silent = silent
        self._stopped = False
        self._timers: list[Timer] = []

    def start(self) -> None:
        """Begin with an interval of waiting."""
        self._timers = [timer for timer in self._timers if timer.pending]
        self._timers.append(housekeeper.call_later(self._interval, self._next))
        if self._stopped:
            self.stop()

    def stop(self) -> None:
        """Send and judge no more."""
        self._stopped = True
        for timer in self._timers:
            timer.cancel()

    def _next(self) -> None:
        if not self._ping():
            return
        if self._timeout is not None:
            self._check_later(self._timeout, self._signs())
        self.start()

    def _check_later(self, seconds: float, signs: object) -> None:
        due = time.monotonic() + seconds
        check = housekeeper.call_later(seconds, lambda: self._check(signs, due))
        self._timers.append(check)
        if self._stopped:
            check.cancel()

    def _check(self, before: object, due: float) -> None:
        now = self._signs()
        if now is None or now != before or self._stopped:
            return
        if time.monotonic() - due > _LATE:
            self._check_later(_LOOK_AGAIN, before)
        else:
            self._silent()
