"""Several connections in one thread: wait until one of them has something to receive."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable
from typing import TypeVar

from .connection import Connection
from .deadline import NOW, Deadline
from .deadline import wait as wait_once

C = TypeVar("C", bound=Connection)


def wait(connections: Iterable[C], timeout: float | None = None) -> list[C]:
    """
    Wait until connections are ready; return those that are, in their order.

    A connection is ready if ``recv()`` would not block: a message is there, or it has ended. Blocks
    until one is, as ``multiprocessing.connection.wait``; without connections it returns at once.
    Thread-safe; but another thread that receives from the same connection may be faster, and then
    ``recv()`` blocks. With ``recv(timeout=0)`` it does not.

    Args:
        connections: of either role. Each needs a thread that reads while this waits.
        timeout: seconds; ``None`` waits for ever, 0 does not wait.

    Returns:
        An empty list if the time lapsed.

    Raises:
        TypeError: one of them is not a Connection.
    """
    if isinstance(connections, Connection):  # which is iterated over for its messages
        raise TypeError("expected an iterable of connections, got one: write [ws]")
    given = list(connections)
    for connection in given:
        if not isinstance(connection, Connection):
            raise TypeError(f"expected Connections, got {type(connection).__name__}")
    deadline = Deadline(timeout)
    for connection in given:  # what has come already needs no other thread
        has_come = functools.partial(bool, connection._queue.messages)
        connection._engine.reader.read_until(has_come, NOW)
    event = threading.Event()
    come = event.set
    try:
        while True:
            event.clear()
            ready = [each for each in given if not each._queue.listen(come, whole=True)]
            if ready or not given or deadline.lapsed:
                return ready
            for connection in given:
                connection._engine.reader.wake()
            wait_once(event, deadline)
    finally:
        for connection in given:
            connection._queue.unlisten(come)
