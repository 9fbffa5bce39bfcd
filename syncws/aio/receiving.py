"""Messages into an event loop: whole, piece by piece, or as events."""

from __future__ import annotations

import contextlib
import functools
from typing import Any, Callable, TypeVar, cast

from ..arriving import Arriving, Message
from ..deadline import NOW, Deadline
from ..engine import Engine
from ..event_types import CloseConnection, Event, Waiting, event_of, event_of_end
from ..exceptions import WebSocketException
from ..receiving import check_not_events
from ..recvqueue import QueueClosed
from .bridge import Bridge

T = TypeVar("T")


class AsyncReceiver:
    """Takes what one connection received for the tasks of one loop, any number of them."""

    def __init__(self, bridge: Bridge, engine: Engine) -> None:
        self._bridge = bridge
        self._queue = engine.queue
        self._takers: list[Any] = []  # what those wait for who found nothing
        self.engine = engine

    async def message(self) -> Message:
        """
        Take the next message, or wait for one; see AsyncConnection.recv.

        Raises:
            ConcurrencyError, ConnectionClosed: as recv.
        """
        check_not_events(self.engine)
        return await self.take(self._queue.get, whole=True)

    async def take(self, take: Callable[[Deadline], T], whole: bool) -> T:
        """
        Take something from the queue, or wait for it.

        Raises:
            ConnectionClosed: nothing is left, and nothing will come.
            RuntimeError: the caller is in another loop.
        """
        self._bridge.check()  # first: listening elsewhere would disturb those who wait here
        while True:
            listening = self._queue.listen(self._fed, whole)
            try:
                if not (listening and whole):  # pieces may have come before
                    with contextlib.suppress(TimeoutError):
                        return take(NOW)
                if listening:
                    await self._wait_fed()
                with contextlib.suppress(TimeoutError):
                    return take(NOW)
            except QueueClosed:
                raise self.engine.closed_error() from self.engine.cause
            finally:
                if listening and not self._takers:
                    self._queue.unlisten(self._fed)

    async def _wait_fed(self) -> None:
        waiter = self._bridge.waiter()
        self._takers.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._takers:  # cancelled
                self._takers.remove(waiter)

    def _fed(self) -> None:
        self._bridge.run(self._wake_takers)

    def _wake_takers(self) -> None:
        takers, self._takers = self._takers, []
        for waiter in takers:
            self._bridge.fire(waiter)


class Pieces:
    """The next message, piece by piece. For one task at a time."""

    def __init__(self, receiver: AsyncReceiver) -> None:
        self._receiver = receiver
        self._queue = receiver.engine.queue
        self._arriving: Arriving | None = None
        self._any = False  # a piece was given out
        self._over = False

    async def next(self) -> Message | None:
        """
        Wait for the next piece; None behind the last. There is one at least, which may be empty.

        Raises:
            ConcurrencyError, ConnectionClosed: as AsyncConnection.recv_stream.
        """
        if self._over:
            return None
        if self._arriving is None:
            check_not_events(self._receiver.engine)
            first = await self._receiver.take(self._queue.begin_stream, whole=False)
            if isinstance(first, (str, bytes)):
                self._over = True
                return first
            self._arriving = first
        piece = await self._next_of(self._arriving)
        self._over = piece is None
        if piece is None and not self._any:
            piece = "" if self._arriving.text else b""
        self._any = True
        return piece

    async def _next_of(self, arriving: Arriving) -> Message | None:
        next_piece = functools.partial(self._queue.next_piece, arriving)
        while True:
            piece = await self._receiver.take(next_piece, whole=False)
            if piece is None or piece:
                return piece

    def drop(self) -> None:
        """Nobody wants the rest of the message."""
        self._leave(self._queue.drop)

    def give_back(self) -> None:
        """Leave the rest of the message to others."""
        self._leave(self._queue.give_back)

    def _leave(self, how: Callable[[Arriving], None]) -> None:
        if self._arriving is not None and not self._over:
            how(self._arriving)
        self._over = True


class Events:
    """An asynchronous iterator over what happens on a connection, up to CloseConnection."""

    def __init__(self, receiver: AsyncReceiver) -> None:
        self._receiver = receiver
        self._over = False

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Event:
        if self._over:
            raise StopAsyncIteration
        queue = self._receiver.engine.queue
        try:
            item = await self._receiver.take(queue.get, whole=True)
        except WebSocketException as exc:
            event = event_of_end(exc)
            self._over = isinstance(event, CloseConnection)
            return event
        if queue.parked:
            queue.taken()
        return event_of(cast(Waiting, item))
