"""
What waits for a slow peer: whole messages that have not begun to go out, bounded in bytes.

Knows nothing of WebSocket: an item is whatever has to wait.
"""

from __future__ import annotations

import threading
from typing import Any, Callable


class Backlog:
    """
    A queue that refuses or drops instead of waiting. Thread-safe.

    Attributes:
        items: what waits, with its size; a list, since an empty deque takes 600 bytes.
        added: how many were ever added.
        dropped: how many were refused, or had to make way for newer ones.
    """

    __slots__ = ("_bytes", "_listeners", "_lock", "added", "dropped", "items")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = 0
        self._listeners: list[Callable[[], None]] | None = None
        self.items: list[tuple[Any, int]] = []
        self.added = self.dropped = 0

    def add(
        self,
        item: object,
        size: int,
        limit: int,
        oldest: bool,
        when_room: Callable[[], None] | None,
    ) -> bool:
        """
        Add an item of ``size`` bytes; return False if there is no room. The first always finds it.

        Args:
            limit: bytes of all that may wait.
            oldest: the oldest ones make way.
            when_room: called once there may be room, if there is none: from any thread, with the
                lock held. Then nothing counts as dropped yet.
        """
        with self._lock:
            if self.items and self._bytes + size > limit:
                if not oldest:
                    self._refuse(when_room)
                    return False
                self._make_room(limit - size)
            self.items.append((item, size))
            self._bytes += size
            self.added += 1
            return True

    def _refuse(self, when_room: Callable[[], None] | None) -> None:
        if when_room is None:
            self.dropped += 1
        else:
            self._listeners = [*(self._listeners or ()), when_room]

    def _make_room(self, limit: int) -> None:
        """Drop the oldest until so many bytes are left. Needs the lock."""
        self.dropped += len(self._take_while(lambda: self._bytes > limit))

    @property
    def gone(self) -> int:
        """How many of those that were added wait no more."""
        return self.added - len(self.items)

    def take(self, size: int) -> list[Any]:
        """Take out the first items, about ``size`` bytes of them; one at least if there is one."""
        with self._lock:
            enough = self._bytes - size
            taken = self._take_while(lambda: self._bytes > enough)
            self._call_listeners()
        return taken

    def _take_while(self, more: Callable[[], bool]) -> list[Any]:
        count = 0
        while count < len(self.items) and more():
            self._bytes -= self.items[count][1]
            count += 1
        taken = [item for item, _ in self.items[:count]]
        del self.items[:count]
        return taken

    def clear(self) -> None:
        """Drop all: nothing will go out any more."""
        with self._lock:
            self._make_room(-1)
            self._call_listeners()

    def forget(self, when_room: Callable[[], None]) -> None:
        """Do not call back."""
        with self._lock:
            if self._listeners and when_room in self._listeners:
                self._listeners.remove(when_room)

    def _call_listeners(self) -> None:
        """Needs the lock."""
        listeners, self._listeners = self._listeners, None
        for callback in listeners or ():
            callback()
