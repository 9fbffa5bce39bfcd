"""
What a callback server decides without waiting: what it is told, and who is there.

The blocking and the asyncio form share it.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from .callback_logic import Callback, ClientLogic, F, checked
from .codes import State
from .engine import Engine
from .sansio import validated_close

C = TypeVar("C", bound=ClientLogic)


class Clients(Generic[C]):
    """The clients of a server. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._there: list[C] = []
        self._count = 0

    def number(self) -> int:
        """Return a number for a new client."""
        with self._lock:
            self._count += 1
            return self._count

    def add(self, client: C) -> None:
        """Let others see it."""
        with self._lock:
            self._there.append(client)

    def discard(self, client: C) -> None:
        """Let others see it no more."""
        with self._lock:
            self._there = [other for other in self._there if other is not client]

    def by_address(self) -> dict[tuple[str, int], C]:
        """Return those that are open, by address and port; a copy."""
        return {client.key: client for client in self if client.state is State.OPEN}

    def __iter__(self) -> Iterator[C]:
        with self._lock:
            return iter(list(self._there))


def heartbeat(timeout: float) -> dict[str, float | None]:
    """
    Say in our options: a Ping after half of the time, the end after all of it; 0 for neither.

    Raises:
        ValueError: it is negative.
    """
    if timeout < 0:
        raise ValueError(f"timeout={timeout!r} seconds; expected 0 for no heartbeat, or more")
    half = timeout / 2 or None
    return {"ping_interval": half, "ping_timeout": half}


def server_options(
    timeout: float, certs: tuple[str, str] | None, options: dict[str, Any]
) -> dict[str, Any]:
    """
    Return the options of a server, with those of asws3 in our words.

    Raises:
        ValueError: one cannot be used.
        OSError: a file of ``certs`` cannot be read.
    """
    options = {**heartbeat(timeout), **options}
    if certs is not None:
        if "ssl" in options:
            raise ValueError("certs= and ssl= are given; use one")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certs)
        options["ssl"] = context
    return options


class ServerLogic(Generic[C]):
    """
    The part of a server that waits for nothing.

    Attributes:
        addr, port: where it listens: from the start of the block on the port it really has.
    """

    def __init__(
        self,
        addr: str | None,
        port: int,
        certs: tuple[str, str] | None,
        timeout: float,
        options: dict[str, Any],
    ) -> None:
        self.addr = addr
        self.port = port
        self._given_port = port
        self._options = server_options(timeout, certs, options)
        self._on_connection: Callback | None = None
        self._clients: Clients[C] = Clients()

    def connection(self, callback: F) -> F:
        """Call it for every new client, as ``callback(client)``, before its first message."""
        self._on_connection = self._checked(callback)
        return callback

    @property
    def clients(self) -> dict[tuple[str, int], C]:
        """
        The clients that are open, by ``(addr, port)``; a copy, made now.

        A new client is in it after its ``on_connection`` has returned.
        """
        return self._clients.by_address()

    def _checked(self, callback: Callback) -> Callback:
        return checked(callback)

    def _begin_close(self, code: int, reason: str) -> list[Engine]:
        """
        Begin to close the connections of all clients; return what is to be waited for.

        Raises:
            ValueError: the code or the reason may not be sent.
        """
        close = validated_close(code, reason)
        engines = [client.connection._engine for client in self._clients]
        for engine in engines:
            engine.begin_close(close)
        return engines

    def _listens_at(self, address: Any) -> None:
        """Note where, as ``getsockname()`` says it."""
        self.port = address[1] if isinstance(address, tuple) else 0
