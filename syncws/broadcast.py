"""One message to many connections: encoded once, and never waiting for a slow peer."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import threading
from collections.abc import Iterable
from typing import Any, Callable, TypeVar

from .codes import CloseCode
from .connection import Connection
from .deadline import Deadline, wait
from .exceptions import Close, ConnectionClosed
from .outgoing import DataLike, PreparedMessage, as_prepared

T = TypeVar("T")

_POLICIES = ("drop", "drop_oldest", "close")
_TOO_SLOW = Close(CloseCode.TRY_AGAIN_LATER.value, "reads too slowly")
MAX_BACKLOG = 512 * 1024  # bytes


@dataclasses.dataclass(frozen=True)
class Block:
    """
    For ``broadcast(on_full=)``: wait for room, then drop.

    Args:
        timeout: seconds, for all slow peers together.

    Raises:
        ValueError: the timeout is negative.
    """

    timeout: float

    def __post_init__(self) -> None:
        if not self.timeout >= 0:
            raise ValueError(f"timeout={self.timeout!r}; expected seconds, 0 or more")


def broadcast(
    connections: Iterable[T],
    message: DataLike | PreparedMessage,
    *,
    text: bool | None = None,
    compress: bool | None = None,
    on_full: str | Block = "drop",
    max_backlog: int = MAX_BACKLOG,
) -> list[T]:
    """
    Send a message to many connections; return those that got it, in their order.

    Does not block, but with ``on_full=Block(...)``. What a peer does not take at once, because it
    reads slowly or another message is on its way to it, waits in its backlog and goes out by itself
    as soon as it can. "Got it" means: the operating system has it, or the backlog. Connections that
    are closing or closed are left out.

    May be called from any thread, from several at once, and in an event loop. What one thread
    broadcasts and sends goes to each peer in that order. What is in a backlog when its connection
    closes is dropped, and so not sent before a ``close()``.

    Args:
        connections: Connections and AsyncConnections.
        message: ``str``, which is sent as Text, bytes-like, as Binary, or a PreparedMessage.
        text, compress: as of ``Connection.send``.
        on_full: what to do where the backlog is full: ``"drop"`` this message; ``"drop_oldest"``,
            those in the backlog; ``"close"`` the connection with 1013; or ``Block(timeout)``.
        max_backlog: bytes that may wait for each peer; a single message always may.

    Raises:
        TypeError: not a message, or one of the connections is none; nothing was sent.
        ValueError: ``on_full`` or ``max_backlog`` cannot be used.
    """
    if on_full not in _POLICIES and not isinstance(on_full, Block):
        raise ValueError(f"on_full={on_full!r}; expected {', '.join(_POLICIES)} or a Block")
    if max_backlog < 0:
        raise ValueError(f"max_backlog={max_backlog!r}; expected bytes, 0 or more")
    if isinstance(getattr(connections, "connection", connections), Connection):
        raise TypeError("expected an iterable of connections, got one: write [ws]")
    given = list(connections)
    blocking = [each if isinstance(each, Connection) else _behind(each) for each in given]
    prepared = as_prepared(message, text, compress)
    if isinstance(on_full, Block):
        got = _wait_for_room(blocking, prepared, max_backlog, Deadline(on_full.timeout))
    else:
        got = [_offer(each, prepared, max_backlog, on_full) for each in blocking]
    return list(itertools.compress(given, got))


def _behind(connection: Any) -> Connection:
    """Return the Connection behind one for event loops, which this module does not know."""
    found = getattr(connection, "connection", None)
    if not isinstance(found, Connection):
        raise TypeError(f"expected connections, got {type(connection).__name__}")
    return found


def _offer(
    connection: Connection,
    message: PreparedMessage,
    max_backlog: int,
    on_full: str,
    when_room: Callable[[], None] | None = None,
) -> bool | None:
    """Send to one, whatever happens to others; return None if it is closing or broken."""
    sender = connection._engine.sender
    try:
        if sender.offer(message, max_backlog, on_full == "drop_oldest", when_room):
            return True
        if on_full == "close":
            connection.logger.info("%r reads too slowly, closing it", connection)
            connection._engine.begin_close(_TOO_SLOW)
            sender.backlog.clear()
        return False
    except ConnectionClosed:
        return None
    except Exception:
        connection.logger.exception("broadcast to %r failed", connection)
        return None


def _wait_for_room(
    connections: list[Connection], message: PreparedMessage, max_backlog: int, deadline: Deadline
) -> list[bool | None]:
    """Send to all, those without room as soon as they have it; after the deadline no more."""
    event = threading.Event()
    room: collections.deque[int] = collections.deque()

    def has_room(index: int) -> None:
        room.append(index)
        event.set()

    callbacks = [functools.partial(has_room, index) for index in range(len(connections))]
    got = [
        _offer(each, message, max_backlog, "wait", tell)
        for each, tell in zip(connections, callbacks)
    ]
    slow = {index for index, has in enumerate(got) if has is False}
    try:
        while slow and wait(event, deadline):
            event.clear()
            while room:
                index = room.popleft()
                got[index] = _offer(
                    connections[index], message, max_backlog, "wait", callbacks[index]
                )
                if got[index] is not False:
                    slow.discard(index)
    finally:
        for index in slow:
            connections[index]._engine.sender.backlog.forget(callbacks[index])
    for index in slow:
        got[index] = _offer(connections[index], message, max_backlog, "drop")
    return got
