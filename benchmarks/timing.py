"""How the clock is read: once before and once after a number of rounds that takes long enough."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Callable, Optional

from task import Task

Run = Callable[[int], None]
# May return when it ended: callbacks know that earlier than who waits for them.
AsyncRun = Callable[[int], Awaitable[Optional[float]]]


def timed(run: Run, task: Task) -> dict[str, float]:
    """Warm up ``run(count)``, then measure it with a count that takes about ``task.seconds``."""
    count = 1
    elapsed = _time(run, count)
    while elapsed < task.warm_up:
        count *= 2
        elapsed = _time(run, count)
    count = _scaled(count, elapsed, task)
    return figures(count, _time(run, count))


async def timed_async(run: AsyncRun, task: Task) -> dict[str, float]:
    """Do what ``timed`` does, for a coroutine function."""
    count = 1
    elapsed = await _time_async(run, count)
    while elapsed < task.warm_up:
        count *= 2
        elapsed = await _time_async(run, count)
    count = _scaled(count, elapsed, task)
    return figures(count, await _time_async(run, count))


def figures(count: int, seconds: float) -> dict[str, float]:
    """Put it in both ways."""
    return {"count": count, "rate": count / seconds, "time": seconds / count}


def _scaled(count: int, elapsed: float, task: Task) -> int:
    return max(1, round(count / elapsed * task.seconds))


def _time(run: Run, count: int) -> float:
    start = time.perf_counter()
    run(count)
    return time.perf_counter() - start


async def _time_async(run: AsyncRun, count: int) -> float:
    start = time.perf_counter()
    ended = await run(count)
    return (ended or time.perf_counter()) - start
