"""
What happens on a connection, as frozen dataclasses with the names and fields of wsproto.

Waits for nothing, so blocking and asyncio code share it.
"""

from __future__ import annotations

import dataclasses
from typing import Generic, TypeVar, Union

from .exceptions import ConnectionClosed
from .sansio import Fragment
from .sansio import Ping as PingFrame
from .sansio import Pong as PongFrame

T = TypeVar("T", str, bytes)
# What waits in the queue of a connection whose events are taken.
Waiting = Union[str, bytes, Fragment, PingFrame, PongFrame]


class Event:
    """Base of all events."""


@dataclasses.dataclass(frozen=True)
class Message(Event, Generic[T]):
    """
    A message, or the next piece of one.

    Attributes:
        data: ``str`` for a Text message, ``bytes`` for a Binary one.
        frame_finished: whether the frame ended with it; of no meaning to a program.
        message_finished: whether the message ended with it.
    """

    data: T
    frame_finished: bool = True
    message_finished: bool = True


@dataclasses.dataclass(frozen=True)
class TextMessage(Message[str]):
    """A Text message, or the next piece of one."""


@dataclasses.dataclass(frozen=True)
class BytesMessage(Message[bytes]):
    """A Binary message, or the next piece of one."""


@dataclasses.dataclass(frozen=True)
class Ping(Event):
    """The peer sent a Ping (RFC 6455 section 5.5.2). It has been answered."""

    payload: bytes = b""

    def response(self) -> Pong:
        """Return the Pong that answers it."""
        return Pong(self.payload)


@dataclasses.dataclass(frozen=True)
class Pong(Event):
    """The peer sent a Pong, asked for or not (RFC 6455 section 5.5.3)."""

    payload: bytes = b""


@dataclasses.dataclass(frozen=True)
class CloseConnection(Event):
    """
    The connection is closed: the last event.

    Attributes:
        code: the peer's, or 1006 if it sent none (RFC 6455 section 7.1.5).
        reason: the peer's.
    """

    code: int
    reason: str | None = None

    def response(self) -> CloseConnection:
        """Return the Close that answers it. It has been sent."""
        return CloseConnection(self.code, self.reason)


def event_of(item: Waiting) -> Event:
    """Tell what came as an event."""
    if isinstance(item, str):
        return TextMessage(item)
    if isinstance(item, bytes):
        return BytesMessage(item)
    if isinstance(item, PingFrame):
        return Ping(item.payload)
    if isinstance(item, PongFrame):
        return Pong(item.payload)
    data, flags = item.data, (item.frame_finished, item.message_finished)
    return TextMessage(data, *flags) if isinstance(data, str) else BytesMessage(data, *flags)


def event_of_end(error: Exception) -> CloseConnection:
    """
    Tell of the end as an event.

    Raises:
        WebSocketException: the end is none of the connection: a process that inherited it.
    """
    if not isinstance(error, ConnectionClosed):
        raise error
    return CloseConnection(error.code, error.reason or None)
