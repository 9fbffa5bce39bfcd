"""One open connection after the other, with pauses between them."""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Callable

from ..attempts import Attempts
from ..codes import CloseCode, State
from ..housekeeper import housekeeper
from ..uri import parse_uri
from .connection import AsyncConnection, code_for
from .loops import current

OnReconnect = Callable[[int, float, Exception], object]


class Connections:
    """
    An asynchronous iterator of open connections; ``reconnect()`` makes it.

    One task at a time may iterate. As an async context manager it closes at the end of the block,
    and the connection with it, as that would.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def __aiter__(self) -> Connections:
        return self

    async def __anext__(self) -> AsyncConnection:
        """
        Close the connection that was handed out before, then return a new one that is open.

        Raises:
            StopAsyncIteration: ``close()`` was called.
            Exception: what ``connect()`` raised, or how the last connection ended, if ``retry=``
                says that connecting again does not help.
        """
        steps = self._steps
        del self  # as in the blocking one
        return await steps.next()

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """
        End the loop: close the connection that is open, and make no other.

        Waits as ``AsyncConnection.close()`` does. Another task that iterates is woken from its
        pause; its attempt to connect goes on to its end.

        Raises:
            ValueError: the code or the reason may not be sent.
        """
        await self._steps.close(code, reason)

    async def __aenter__(self) -> Connections:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(code_for(exc))

    def __del__(self) -> None:
        """Close the connection of a loop that was left."""
        connection = self._steps.connection
        if connection is not None and connection.state is State.OPEN:
            connection.close_soon()


class Steps:
    """
    What Connections do.

    Args:
        url: for the log.
        make: opens a connection.
        attempts: decides whether and when to try again.
        on_reconnect: told before each pause.

    Attributes:
        connection: the one that is open, or was.
    """

    def __init__(
        self,
        url: str,
        make: Callable[[], Awaitable[AsyncConnection]],
        attempts: Attempts,
        on_reconnect: OnReconnect | None,
        logger: logging.Logger | None,
    ) -> None:
        self._place = parse_uri(url).host_header
        self._make = make
        self._attempts = attempts
        self._on_reconnect = on_reconnect
        self._log = logger or logging.getLogger("syncws.client")
        self.connection: AsyncConnection | None = None
        self._opened = 0.0
        self._over = False
        self._wake: Callable[[], object] = int  # ends a pause

    async def next(self) -> AsyncConnection:
        """
        Do as ``Connections.__anext__``.

        Raises:
            StopAsyncIteration, Exception: as there.
        """
        await self._finish_last()
        while not self._over:
            try:
                connection = await self._make()
            except Exception as exc:
                if not self._over:
                    await self._pause(exc, 0.0)
            else:
                self._opened = time.monotonic()
                if not self._over:
                    self.connection = connection
                    return connection
                await connection.close()  # as was asked for meanwhile
        raise StopAsyncIteration

    async def close(self, code: int, reason: str) -> None:
        """Do as ``Connections.close``."""
        self._over = True
        self._wake()
        connection, self.connection = self.connection, None
        if connection is not None:
            await connection.close(code, reason)

    async def _finish_last(self) -> None:
        """Close the connection that the loop is done with, and pause unless it was stable."""
        connection = self.connection
        if connection is None:
            return
        lasted = time.monotonic() - self._opened
        await connection.close()
        self.connection = None
        if not self._over:
            await self._pause(connection.connection._engine.closed_error(), lasted)

    async def _pause(self, exc: Exception, lasted: float) -> None:
        delay = self._attempts.after(exc, lasted)
        if delay is None:
            raise exc
        number = self._attempts.failures
        self._log.info("%s: attempt %d follows in %.3g s: %s", self._place, number, delay, exc)
        if self._on_reconnect is not None:
            await result_of(self._on_reconnect(number, delay, exc))
        if not self._over:
            await self._sleep(delay)

    async def _sleep(self, delay: float) -> None:
        bridge = current()
        waiter = bridge.waiter()
        self._wake = functools.partial(bridge.run, bridge.fire, waiter)
        timer = housekeeper.call_later(delay, self._wake)
        try:
            await waiter
        finally:
            timer.cancel()


async def result_of(value: object) -> Any:
    """Return what a function returned, or the coroutine that it is."""
    return await value if inspect.isawaitable(value) else value
