"""The ways to take what was received that are more than one step: piece by piece, and as events."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import cast

from .arriving import Message
from .deadline import ENDLESS, Deadline
from .engine import Engine
from .event_types import Event, Waiting, event_of, event_of_end
from .exceptions import ConcurrencyError
from .recvqueue import QueueClosed


def receive(engine: Engine, timeout: float | None) -> Message:
    """
    Take the next message, or wait for one; see Connection.recv.

    Raises:
        ConcurrencyError, TimeoutError, ConnectionClosed: as recv.
    """
    check_not_events(engine)
    deadline = ENDLESS if timeout is None else Deadline(timeout)
    try:
        return engine.reader.get(deadline)
    except QueueClosed:
        raise engine.closed_error() from engine.cause


def pieces(engine: Engine, timeout: float | None) -> Generator[Message, None, None]:
    """
    Yield the next message piece by piece; see Connection.recv_stream.

    Raises:
        ConcurrencyError, TimeoutError, ConnectionClosed: as recv_stream.
    """
    check_not_events(engine)
    queue, reader = engine.queue, engine.reader
    try:
        reader.wake()
        arriving = queue.begin_stream(Deadline(timeout))
        if isinstance(arriving, (str, bytes)):
            yield arriving
            return
        empty = True
        try:
            while True:
                reader.wake()
                piece = queue.next_piece(arriving, Deadline(timeout))
                if piece is None:
                    break
                if piece:
                    yield piece
                    empty = False
            if empty:
                yield "" if arriving.text else b""
        except GeneratorExit:
            queue.drop(arriving)
            raise
        except BaseException:
            queue.give_back(arriving)
            raise
    except QueueClosed:
        raise engine.closed_error() from engine.cause


def take_as_events(engine: Engine, whole: bool) -> None:
    """
    Let events() have what arrives from now on; see Connection.events.

    Raises:
        ConcurrencyError: it has it, in another form.
    """
    if engine.events_whole not in (None, whole):
        raise ConcurrencyError(f"events() was called before, with whole={engine.events_whole}")
    engine.events_whole = whole
    engine.intake.apart = not whole
    engine.on_control = engine.intake.put_control


def check_not_events(engine: Engine) -> None:
    """
    Refuse to receive in two ways.

    Raises:
        ConcurrencyError: events() has what this connection receives.
    """
    if engine.events_whole is not None:
        raise ConcurrencyError("events() takes what this connection receives; iterate over that")


def events(engine: Engine, timeout: float | None) -> Iterator[Event]:
    """Yield what happens up to the end; see Connection.events."""
    queue = engine.queue
    while True:
        try:
            item = engine.reader.get(Deadline(timeout))
        except QueueClosed:
            yield event_of_end(engine.closed_error())
            return
        if queue.parked:
            queue.taken()
        yield event_of(cast(Waiting, item))
