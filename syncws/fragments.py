"""Sends one message in fragments that are handed in one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Callable

from .connection import Connection
from .outgoing import DataLike, Fragments, Part


class FragmentContext:
    """Sends the fragments of one message. For one thread at a time; ``fragments`` makes it."""

    def __init__(self, send: Callable[[Part], None]) -> None:
        self._fragments = Fragments()
        self._send = send

    def send(self, data: DataLike) -> None:
        """
        Send the fragment before this one, and keep this one until the next, or the end.

        Blocks until the operating system has taken it.

        Raises:
            TypeError: it is neither ``str`` nor bytes-like, or not what the others were.
            ConnectionClosed, TimeoutError: as ``Connection.send``.
        """
        frame = self._fragments.keep_back(data)
        if frame is not None:
            self._send(frame)

    def send_now(self, data: DataLike, final: bool) -> None:
        """Do the same without keeping any back; ``final`` says that it is the last."""
        self._send(self._fragments.frame(data, final))

    def finish(self) -> None:
        """Send the one that was kept back."""
        frame = self._fragments.last()
        if frame is not None:
            self._send(frame)


@contextlib.contextmanager
def fragments(connection: Connection) -> Iterator[FragmentContext]:
    """
    Yield what sends one message; the messages of others wait until the block ends.

    If it ends with an exception in the middle of the message, the connection is closed with 1011.
    """
    limit = connection._send_deadline
    with connection._engine.sender.message(limit(None)) as send:
        context = FragmentContext(lambda part: send(part, limit(None)))
        yield context
        context.finish()
