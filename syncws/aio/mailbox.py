"""What waits to be dealt with by a task that runs while there is something."""

from __future__ import annotations

import collections
import contextlib
import functools
from collections.abc import Awaitable
from typing import Callable, Generic, TypeVar

from ..lazy import Latch
from ..mailbox import ROOM
from .bridge import Bridge, Task

T = TypeVar("T")


class AsyncMailbox(Generic[T]):
    """
    Passes letters on, one after the other, in a task of its own. For one event loop.

    Args:
        deliver: awaited with each letter; must not raise.
    """

    def __init__(self, bridge: Bridge, deliver: Callable[[T], Awaitable[None]]) -> None:
        self._bridge = bridge
        self._deliver = deliver
        self._letters: collections.deque[T] = collections.deque(maxlen=ROOM)
        self._task: Task | None = None
        self._idle = Latch()  # of the task
        self._finished = False

    def put(self, letter: T) -> None:
        """Leave a letter. Does not block. From any thread."""
        self._bridge.run(self._put, letter)

    def _put(self, letter: T) -> None:
        if self._finished:
            return
        self._letters.append(letter)
        if self._task is None:
            idle = self._idle = Latch()
            with contextlib.suppress(RuntimeError):  # the loop is about to end
                self._task = self._bridge.spawn(self._run, functools.partial(self._ended, idle))

    async def _run(self) -> None:
        try:
            while self._letters:
                await self._deliver(self._letters.popleft())
        finally:
            self._task = None  # at once: the next letter begins another

    def _ended(self, idle: Latch) -> None:
        """Be told of the end of a task, which may have been cancelled before it began."""
        if self._idle is idle:
            self._task = None
        idle.set()

    async def finish(self) -> None:
        """Take no more, and wait until those that are there are dealt with."""
        self._finished = True
        if self._task is not None:
            await self._bridge.happened(self._idle)

    def cut(self) -> None:
        """Take no more, and cancel what is going on."""
        self._finished = True
        if self._task is not None:
            self._task.cancel()
