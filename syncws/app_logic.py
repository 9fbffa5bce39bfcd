"""Which callback of ``WebSocketApp`` is told what. Waits for nothing."""

from __future__ import annotations

import logging
from typing import Any, Callable

from .codes import Opcode
from .event_types import Event, Message, Ping, Pong, TextMessage
from .exceptions import ConnectionClosed, ConnectionClosedOK

Callback = Callable[..., object]


class AppCallbacks:
    """
    The callbacks of an app, each an attribute that may be ``None``; see WebSocketApp.

    Each is called with the app and what it is told. What it raises goes to ``on_error``, or to the
    log.
    """

    on_open: Callback | None
    on_reconnect: Callback | None
    on_message: Callback | None
    on_error: Callback | None
    on_close: Callback | None
    on_ping: Callback | None
    on_pong: Callback | None
    on_cont_message: Callback | None
    on_data: Callback | None

    _log = logging.getLogger("syncws.client")
    _in_pieces = False  # the message that comes

    def _tell_open(self, again: bool) -> None:
        self._in_pieces = False
        self._call((again and self.on_reconnect) or self.on_open)

    def _tell(self, event: Event) -> None:
        """Call back for an event; the end of the connection is not the end of the app."""
        if isinstance(event, Ping):
            self._call(self.on_ping, event.payload)
        elif isinstance(event, Pong):
            self._call(self.on_pong, event.payload)
        elif isinstance(event, Message):
            opcode = Opcode.TEXT if isinstance(event, TextMessage) else Opcode.BINARY
            whole = event.message_finished and not self._in_pieces
            self._in_pieces = not event.message_finished
            self._call(self.on_data, event.data, opcode, event.message_finished)
            if whole:
                self._call(self.on_message, event.data)
            else:
                self._call(self.on_cont_message, event.data, event.message_finished)

    def _tell_end(self, how: Exception, asked: bool) -> bool:
        """Tell of the end of a connection, or why there is none; return whether it is an error."""
        # Whatever the code that close() was told: the server has answered.
        answered = asked and isinstance(how, ConnectionClosed) and how.rcvd is not None
        if answered or isinstance(how, ConnectionClosedOK):
            return False
        self._report(how, "the connection failed")
        return True

    def _call(self, callback: Callback | None, *args: Any) -> None:
        if callback is None:
            return
        try:
            callback(self, *args)
        except Exception as exc:
            self._report(exc, "a callback failed")

    def _report(self, exc: Exception, what: str) -> None:
        if self.on_error is None:
            self._log.error("%s", what, exc_info=exc)
            return
        try:
            self.on_error(self, exc)
        except Exception:
            self._log.exception("on_error failed; it was told: %r", exc)
