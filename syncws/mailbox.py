"""
What waits to be dealt with by a thread that is lent out while there is something.

Knows nothing of WebSocket.
"""

from __future__ import annotations

import collections
import logging
import threading
from typing import Callable, Generic, TypeVar

from .workers import Workers

T = TypeVar("T")
ROOM = 256  # letters that wait; the oldest are dropped


class Mailbox(Generic[T]):
    """
    Passes letters on, one after the other, in a worker's thread. Thread-safe.

    Args:
        deliver: called with each letter; must not raise.
    """

    def __init__(self, workers: Workers, deliver: Callable[[T], None]) -> None:
        self._workers = workers
        self._deliver = deliver
        self._letters: collections.deque[T] = collections.deque(maxlen=ROOM)
        self._changed = threading.Condition()
        self._busy = False
        self._finished = False

    def put(self, letter: T) -> None:
        """Leave a letter. Does not block."""
        with self._changed:
            if self._finished:
                return
            self._letters.append(letter)
            if self._busy:
                return
            self._busy = True
        try:
            self._workers.get().start(self._run, self._idle)
        except RuntimeError as exc:  # the next letter tries again
            logging.getLogger("syncws").error("no thread for a callback: %s", exc)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._letters:
                    self._idle()
                    return
                letter = self._letters.popleft()
            try:
                self._deliver(letter)
            except BaseException:
                self._idle()
                raise

    def _idle(self) -> None:
        with self._changed:
            self._busy = False
            self._changed.notify_all()

    def finish(self) -> None:
        """Take no more, and wait until those that are there are dealt with."""
        with self._changed:
            self._finished = True
            while self._busy:
                self._changed.wait()
