"""A way to cut short what another thread opens."""

from __future__ import annotations

from .transport import Transport


class Cutter:
    """Lets another thread cut a ``connect()`` short, once there is a connection to be cut."""

    def __init__(self) -> None:
        self._transport: Transport | None = None
        self._wanted = False

    def take(self, transport: Transport) -> None:
        """Tell what is to be cut, now or later."""
        self._transport = transport
        if self._wanted:
            transport.abort()

    def cut(self) -> None:
        """Let ``connect()`` fail, or the connection that it has made end."""
        self._wanted = True
        if self._transport is not None:
            self._transport.abort()
