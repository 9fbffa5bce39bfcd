"""An event loop as the reader of a connection, in the place of the connection's thread."""

from __future__ import annotations

import contextlib
import functools
from typing import Any, Callable

from ..addresses import address_text
from ..connection import Connection
from ..reader import Reader
from .bridge import Bridge


def attend(bridge: Bridge, connection: Connection) -> None:
    """Let the loop read a connection, unless one does. From any thread."""
    reader = connection._engine.reader
    if not reader.attended:
        name = functools.partial(address_text, connection.remote_address)
        reader.attend(_Attendant(bridge, reader, name))


def attended_by(
    bridge: Bridge, prepare: Callable[[Connection], object] | None = None
) -> Callable[..., Connection]:
    """
    Return what makes blocking connections that the loop reads from the first byte on.

    Otherwise a thread would begin if the loop is busy, and stay. ``prepare`` is called with each
    connection before that, in whichever thread makes it.
    """

    def make(*args: Any) -> Connection:
        connection = Connection(*args)
        if prepare is not None:
            prepare(connection)
        attend(bridge, connection)
        return connection

    return make


class _Attendant:
    """
    Reads one connection in an event loop, until its end or the loop's.

    Without blocking: while the queue is full it does not look at the socket. It holds nothing that
    users hold, so a connection that nobody holds any more can go.
    """

    def __init__(self, bridge: Bridge, reader: Reader, name: Callable[[], str]) -> None:
        self._bridge = bridge
        self._reader = reader
        self._queue = reader.queue
        self._sock = reader.sock
        self._name = name
        # The role of reading, once it is here. It may come when the loop is just being closed, so
        # that two threads would give it back: pop() decides who does.
        self._role: list[None] = []
        self._watching = self._coming = False

    def __str__(self) -> str:
        return self._name()

    def watch(self) -> None:
        """Begin to read. From any thread."""
        self._role.append(None)
        self._bridge.bequeath(self, self._give_back)
        self._go_on()

    def leave(self) -> None:
        """The connection is at its end."""
        self._bridge.disinherit(self)
        self._role.clear()
        self._unwatch()

    def refuse_to_block(self) -> None:
        """
        Refuse a blocking call that would wait for the caller itself.

        Raises:
            RuntimeError: it comes from the event loop.
        """
        if self._bridge.is_running():
            raise RuntimeError(
                "this call would block the event loop: await the same method of the "
                "AsyncConnection, or call it in a thread"
            )

    def _go_on(self) -> None:
        self._bridge.run(self._begin)

    def _begin(self) -> None:
        if self._watching or not self._role or self._queue.pause(self._go_on):
            return
        self._watching = self._bridge.watch(self._sock, self._ready)
        if not self._watching:
            self._bridge.disinherit(self)
            self._give_back()
        elif self._reader.more:
            self._come_back()

    def _come_back(self) -> None:
        """Read in the loop's next round, whatever the socket says."""
        if not self._coming:
            self._coming = True
            self._bridge.soon(self._back)

    def _back(self) -> None:
        self._coming = False
        self._ready()

    def _ready(self) -> None:
        """Read once, so that others get their turn."""
        if self._coming:  # that will be soon enough
            return
        if not self._watching or not self._reader.read_ready():
            return
        if self._queue.full and self._queue.pause(self._go_on):
            self._unwatch()
        elif self._reader.more:
            self._come_back()

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._bridge.unwatch(self._sock)

    def _give_back(self) -> None:
        """Let a thread read: the loop is closed, or cannot do it."""
        if self._bridge.is_running():
            self._unwatch()
        self._watching = mine = False
        with contextlib.suppress(IndexError):
            self._role.pop()
            mine = True
        with contextlib.suppress(OSError):
            self._sock.settimeout(self._sock.gettimeout())  # uvloop left it non-blocking
        self._reader.give_back(mine)
