"""What the clients with an asyncio API do."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable
from typing import Callable, NamedTuple, Union

from task import Task, expect
from timing import AsyncRun, timed_async

Message = Union[str, bytes]
_TICK = 0.001  # seconds


class Link(NamedTuple):
    """The methods of an open connection, under the same names for all libraries."""

    send: Callable[[Message], Awaitable[object]]
    recv: Callable[[], Awaitable[Message]]
    close: Callable[[], Awaitable[object]]


Connect = Callable[[Task], Awaitable[Link]]


async def measure(connect: Connect, task: Task) -> dict[str, float]:
    """Do the task with connections from ``connect(task)``."""
    if task.op == "connect":
        return await timed_async(_connect(connect, task), task)
    link = await connect(task)
    if task.op == "stuck":
        return await _stuck(link, task)
    return await timed_async(await _RUNS[task.op](link, task), task)


def _connect(connect: Connect, task: Task) -> AsyncRun:
    async def run(count: int) -> None:
        for _ in range(count):
            link = await connect(task)
            await link.close()

    return run


async def _round_trips(link: Link, task: Task) -> AsyncRun:
    if task.deflate:
        return await _round_trips_of_many(link, task)
    message = task.message
    send, recv = link.send, link.recv
    await send(message)
    expect(await recv(), message)

    async def run(count: int) -> None:
        for _ in range(count):
            await send(message)
            await recv()

    return run


async def _round_trips_of_many(link: Link, task: Task) -> AsyncRun:
    send, recv = link.send, link.recv
    messages = task.messages
    for message in messages:
        await send(message)
        expect(await recv(), message)

    async def run(count: int) -> None:
        for message in itertools.islice(itertools.cycle(messages), count):
            await send(message)
            await recv()

    return run


async def _receive(link: Link, task: Task) -> AsyncRun:
    recv = link.recv
    await link.send("go")
    for message in task.messages:
        expect(await recv(), message)

    async def run(count: int) -> None:
        for _ in range(count):
            await recv()

    return run


async def _send(link: Link, task: Task) -> AsyncRun:
    message = task.message
    send = link.send

    async def run(count: int) -> None:
        for _ in range(count):
            await send(message)
        await send("end")
        expect(await link.recv(), str(count))

    return run


async def _stuck(link: Link, task: Task) -> dict[str, float]:
    """Tell by how much a task that sleeps for a millisecond at a time oversleeps, at most."""
    waiting = [
        asyncio.ensure_future(link.send(bytes(task.size))) for _ in range(2**26 // task.size)
    ]
    longest = 0.0
    end = time.perf_counter() + max(task.seconds, 0.5)
    while (before := time.perf_counter()) < end:
        await asyncio.sleep(_TICK)
        longest = max(longest, time.perf_counter() - before - _TICK)
    expect(all(sending.done() for sending in waiting), False)
    return {"lag": longest}


_RUNS = {"round_trips": _round_trips, "receive": _receive, "send": _send, "send_many": _send}
