"""What the clients with a blocking API do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Callable, NamedTuple, Union

from task import Task, expect
from timing import Run, timed

Message = Union[str, bytes]
BATCH = 100  # messages for one call of send_many


class Link(NamedTuple):
    """The methods of an open connection, under the same names for all libraries."""

    send: Callable[[Message], object]
    recv: Callable[[], Message]
    close: Callable[[], object]
    send_many: Callable[[Sequence[Message]], object] | None = None


def measure(connect: Callable[[Task], Link], task: Task) -> dict[str, float]:
    """Do the task with connections from ``connect(task)``."""
    if task.op == "connect":
        return timed(_connect(connect, task), task)
    return timed(_RUNS[task.op](connect(task), task), task)


def _connect(connect: Callable[[Task], Link], task: Task) -> Run:
    def run(count: int) -> None:
        for _ in range(count):
            connect(task).close()

    return run


def _round_trips(link: Link, task: Task) -> Run:
    if task.deflate:
        return _round_trips_of_many(link, task)
    message = task.message
    send, recv = link.send, link.recv
    send(message)
    expect(recv(), message)

    def run(count: int) -> None:
        for _ in range(count):
            send(message)
            recv()

    return run


def _round_trips_of_many(link: Link, task: Task) -> Run:
    send, recv = link.send, link.recv
    messages = task.messages
    for message in messages:
        send(message)
        expect(recv(), message)

    def run(count: int) -> None:
        for message in itertools.islice(itertools.cycle(messages), count):
            send(message)
            recv()

    return run


def _receive(link: Link, task: Task) -> Run:
    recv = link.recv
    link.send("go")
    for message in task.messages:
        expect(recv(), message)

    def run(count: int) -> None:
        for _ in range(count):
            recv()

    return run


def _send(link: Link, task: Task) -> Run:
    message = task.message
    send = link.send

    def run(count: int) -> None:
        for _ in range(count):
            send(message)
        send("end")
        expect(link.recv(), str(count))

    return run


def _send_many(link: Link, task: Task) -> Run:
    send_many = link.send_many
    if send_many is None:
        return _send(link, task)
    message = task.message

    def run(count: int) -> None:
        for _ in range(count // BATCH):
            send_many([message] * BATCH)
        send_many([message] * (count % BATCH))
        link.send("end")
        expect(link.recv(), str(count))

    return run


_RUNS = {
    "round_trips": _round_trips,
    "receive": _receive,
    "send": _send,
    "send_many": _send_many,
}
