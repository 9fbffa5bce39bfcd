"""Sends one message in fragments that are handed in one by one, in an event loop."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Callable

from ..outgoing import DataLike, Fragments, Part
from .sending import AsyncSender


class FragmentContext:
    """Sends the fragments of one message. For one task at a time; ``fragments`` makes it."""

    def __init__(self, send: Callable[[Part], Awaitable[None]]) -> None:
        self._fragments = Fragments()
        self._send = send

    async def send(self, data: DataLike) -> None:
        """
        Send the fragment before this one, and keep this one until the next, or the end.

        Raises:
            TypeError: it is neither ``str`` nor bytes-like, or not what the others were.
            ConnectionClosed: as ``AsyncConnection.send``.
        """
        frame = self._fragments.keep_back(data)
        if frame is not None:
            await self._send(frame)

    async def send_now(self, data: DataLike, final: bool) -> None:
        """Do the same without keeping any back; ``final`` says that it is the last."""
        await self._send(self._fragments.frame(data, final))

    async def finish(self) -> None:
        """Send the one that was kept back."""
        frame = self._fragments.last()
        if frame is not None:
            await self._send(frame)


@contextlib.asynccontextmanager
async def fragments(sender: AsyncSender) -> AsyncIterator[FragmentContext]:
    """
    Yield what sends one message; the messages of others wait until the block ends.

    If it ends with an exception in the middle of the message, the connection is closed with 1011.
    """
    async with sender.message() as send:
        context = FragmentContext(lambda part: send(sender.frames(part)))
        yield context
        await context.finish()
