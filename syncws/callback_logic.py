"""
What a client of the callback system decides without waiting: which callback is told what.

The blocking and the asyncio form share it.
"""

from __future__ import annotations

import abc
import inspect
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from .codes import State
from .connection import Connection
from .exceptions import ConnectionClosed
from .sansio import Ping, Pong

Callback = Callable[..., Any]
F = TypeVar("F", bound=Callback)


class ClientLogic(abc.ABC):
    """
    A client of the server, as the callbacks see it: what it is called, and whom it tells.

    Attributes:
        addr, port: the client's. A port that nobody knows (Unix sockets, some proxies) is a number
            below 0 that no other client of this server has.
        connection: the Connection behind it.
        last_message: ``time.monotonic()`` when the last message began, or the client came.
    """

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection = connection
        where = connection.remote_address
        host, port = where[:2] if isinstance(where, tuple) else (where or "", 0)
        self.addr: str = host
        self.port: int = port or -number
        self.last_message = time.monotonic()
        self.on_message: Callback | None = None
        self.on_closed: Callback | None = None
        self._on_control: dict[type, Callback] = {}

    @property
    def key(self) -> tuple[str, int]:
        """Where ``server.clients`` has it."""
        return self.addr, self.port

    @property
    def state(self) -> State:
        """OPEN, CLOSING or CLOSED."""
        return self.connection.state

    def message(self, callback: F) -> F:
        """
        Call it for every message, as ``callback(reader)``, from the first piece of it on.

        One message after the other: the next waits until the callback has returned. What it has not
        read of its message then is dropped. A decorator.
        """
        self.on_message = self._checked(callback)
        return callback

    def ping(self, callback: F) -> F:
        """
        Call it for every Ping, as ``callback(payload, length)``, instead of answering the Ping.

        It is called beside the message callback. A callback that is slow misses the oldest of the
        Pings and Pongs that wait beyond 256. A decorator.
        """
        self._hear(Ping, callback)
        self.connection._engine.auto_pong = False
        return callback

    def pong(self, callback: F) -> F:
        """Call it for every Pong, as ``callback(payload, length)``; as ``ping``. A decorator."""
        self._hear(Pong, callback)
        return callback

    def closed(self, callback: F) -> F:
        """
        Call it once, when all is over, as ``callback(code, reason)``; the last call of all.

        The code is 1006 if the client sent none. A decorator.
        """
        self.on_closed = self._checked(callback)
        return callback

    def _hear(self, kind: type, callback: Callback) -> None:
        self._on_control[kind] = self._checked(callback)
        self.connection._engine.on_control = self._heard

    @abc.abstractmethod
    def _heard(self, frame: Ping | Pong) -> bool:
        """Take note of a control frame; called by whoever reads."""

    def _checked(self, callback: Callback) -> Callback:
        return checked(callback)

    def touch(self) -> None:
        """Note that a message begins."""
        self.last_message = time.monotonic()

    def control_call(self, frame: Ping | Pong) -> Callable[[], Any] | None:
        """Return what is to be called for a control frame."""
        callback = self._on_control.get(type(frame))
        if callback is None:
            return None
        return lambda: callback(frame.payload, len(frame.payload))

    def closed_call(self) -> Callable[[], Any] | None:
        """Return what is to be called at the end."""
        callback, ws = self.on_closed, self.connection
        return None if callback is None else lambda: callback(ws.close_code, ws.close_reason)

    def closed_meanwhile(self, exc: ConnectionClosed) -> None:
        """Log that a callback met the end of a connection: this one's, or that of another."""
        ws = self.connection
        level = logging.INFO if self.state is State.OPEN else logging.DEBUG
        ws.logger.log(level, "%r %s: a callback met %s", ws, ws.path, exc, exc_info=exc)

    def failed(self, exc: Exception) -> None:
        """Log what a callback raised; the connection is to be closed with 1011."""
        ws = self.connection
        ws.logger.error("%r %s: a callback failed", ws, ws.path, exc_info=exc)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.addr}:{self.port} {self.state.value}>"


def callable_or_raise(callback: F) -> F:
    """
    Return a callback.

    Raises:
        TypeError: it cannot be called.
    """
    if not callable(callback):
        raise TypeError(f"a callback is called; got {callback!r}")
    return callback


def checked(callback: F) -> F:
    """
    Return a callback for threads.

    Raises:
        TypeError: it cannot be called, or is a coroutine function, which nobody would await.
    """
    callable_or_raise(callback)
    if inspect.iscoroutinefunction(callback):
        raise TypeError(f"{callback!r} is a coroutine function; here callbacks run in threads")
    return callback
