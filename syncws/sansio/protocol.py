"""
The protocol of one open connection, both roles: bytes in, facts out; calls in, bytes out.

No socket, thread, clock or random here: masking keys come in as arguments. It has two halves that
may be used at the same time. ``receive`` belongs to whoever reads the connection. Everything about
its end (``step``, ``rcvd``, ``sent``) belongs to whoever holds the caller's one state lock.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple, Union

from ..codes import CloseCode, Opcode, Role, State, may_be_sent
from ..exceptions import Close, ProtocolError
from .assembler import Assembler, Fragment
from .closing import Action, Closing, Input, Phase
from .codec import FrameDecoder, Item, encode_frame, encode_header
from .deflate import STEP, Agreement
from .frames import (
    MAX_CONTROL_PAYLOAD,
    MAX_REASON,
    Frame,
    close_payload,
    decode_text,
    parse_close,
)


class Ping(NamedTuple):
    """The peer wants a Pong with this payload (RFC 6455 section 5.5.2)."""

    payload: bytes


class Pong(NamedTuple):
    """The peer answers a Ping, or just says that it is alive (RFC 6455 section 5.5.3)."""

    payload: bytes


_MANY = 256  # items, if not all of them are finished messages
_BINARY, _CLOSE = int(Opcode.BINARY), int(Opcode.CLOSE)

Message = Union[str, bytes]
# Finished messages come in runs, so that thousands of small ones cost little more than one.
Fact = Union["list[Message]", Fragment, Ping, Pong, Close, ProtocolError]


class Protocol:
    """
    One connection after its opening handshake.

    Attributes:
        role: which end this is.
        rcvd: the Close frame received, or ``None``.
        sent: the Close frame sent, or ``None``.
        frames_received: frames that arrived whole.
        inflated: bytes of the finished messages that were inflated by the last ``receive``.
        backlog: whether it has more to tell; then ask with ``receive(b"")`` before reading on.
        is_open: whether frames may be sent: no Close was sent or received.
    """

    def __init__(
        self,
        role: Role,
        max_size: int | None = None,
        max_fragments: int | None = None,
        deflate: Agreement | None = None,
    ) -> None:
        self.role = role
        self.rcvd: Close | None = None
        self.sent: Close | None = None
        self.frames_received = 0
        self.is_open = True
        self._closing = Closing(role)
        # RFC 6455 section 5.1: clients mask every frame, servers none.
        self._decoder = FrameDecoder(role is Role.SERVER, max_size, deflate is not None)
        self._inflater = None if deflate is None else deflate.inflater(role, max_size)
        self._stream: Iterator[Item] = iter(())  # what is yet to be inflated
        self.inflated = self._pieces = 0
        self.backlog = False
        self._assembler = Assembler(max_size, max_fragments)
        self._ended = False

    # The reader's half.

    def receive(self, data: bytes) -> list[Fact]:
        """
        Take bytes from the peer; return what they mean, in order.

        A Close or a ProtocolError is the last fact there will ever be: "After sending a control
        frame indicating the connection should be closed, a peer does not send any further data"
        (section 1.4). What comes behind it is not looked at.
        """
        if self._ended:
            return []
        self.inflated = self._pieces = 0
        items = self._decoder.feed(data)
        messages = self._decoder.messages
        if messages == len(items) and messages and not (self._assembler.active or self.backlog):
            self.frames_received += messages
            return [items]  # type: ignore[list-item]
        # As a rule a read ends within a message: a run, and little else, and nothing is held back.
        if self._inflater is not None or self.backlog or len(items) - messages >= _MANY:
            items, messages = self._some_of(items)
        facts: list[Fact] = []
        for item in _with_runs(items, messages):
            try:
                fact = self._judge(item)
            except ProtocolError as exc:
                fact = exc
            facts.append(fact)
            if isinstance(fact, (Close, ProtocolError)):
                self._ended = True
                self.backlog = False
                break
        return facts

    def _some_of(self, items: list[Item]) -> tuple[list[Item], int]:
        """
        Inflate items, as many as may be held at once; tell how many are finished messages.

        Of what is no run of finished messages each item costs time of its own, so there are limits
        for that, too: an event loop has other things to do than to answer a flood of Pings.
        """
        stream = itertools.chain(self._stream, self._inflate(items)) if items else self._stream
        inflated: list[Item] = []
        messages = 0
        for item in stream:
            inflated.append(item)
            messages += isinstance(item, (str, bytes))
            if isinstance(item, ProtocolError):
                break  # nothing that comes behind it is looked at
            mixed = messages < len(inflated) >= _MANY
            if mixed or self.inflated + self._pieces >= STEP:
                self._stream, self.backlog = stream, True
                return inflated, messages
        self._stream, self.backlog = iter(()), False
        return inflated, messages

    def _inflate(self, items: list[Item]) -> Iterator[Item]:
        """Yield items with compressed frames inflated; the first error is the last item."""
        for item in items:
            if self._inflater is None or not isinstance(item, Frame) or item.opcode >= _CLOSE:
                yield item
                continue
            try:
                message = self._inflater.message(item) if item.rsv1 and item.fin else None
                if message is not None:
                    self.inflated += len(message)
                    yield message if item.opcode == _BINARY else decode_text(message)
                else:
                    for frame in self._inflater.pieces(item):
                        self._pieces += len(frame.payload)
                        yield frame
            except ProtocolError as exc:
                yield exc
                return

    def _judge(self, item: Frame | ProtocolError | list[Message]) -> Fact:
        """Say what one decoded item means; raise ProtocolError if it breaks a rule."""
        if isinstance(item, list):
            self._assembler.check_may_begin()
            self.frames_received += len(item)
            return item
        if isinstance(item, Frame):
            self.frames_received += item.end
            if item.opcode == Opcode.PING:
                return Ping(item.payload)
            if item.opcode == Opcode.PONG:
                return Pong(item.payload)
            if item.opcode == Opcode.CLOSE:
                return parse_close(item.payload)
            return self._assembler.add(item)
        raise item

    # The end of the connection.

    @property
    def phase(self) -> Phase:
        """How far the end of the connection has come."""
        return self._closing.phase

    @property
    def state(self) -> State:
        """The state in the RFC's words: OPEN, CLOSING or CLOSED."""
        return self._closing.state

    def close_called(self, close: Close) -> tuple[Action, ...]:
        """We want to close."""
        return self._step(Input.CLOSE_CALLED, close)

    def close_received(self, close: Close) -> tuple[Action, ...]:
        """The peer's Close arrived: it is answered with the same code (section 5.5.1)."""
        if self.phase in (Phase.OPEN, Phase.CLOSE_SENT):
            self.rcvd = close
        return self._step(Input.CLOSE_RECEIVED, Close(close.code))

    def rule_broken(self, error: ProtocolError) -> tuple[Action, ...]:
        """The peer broke a rule."""
        return self._step(Input.RULE_BROKEN, Close(error.code, _cut(str(error))))

    def peer_silent(self, reason: str) -> tuple[Action, ...]:
        """The peer does not answer Pings."""
        return self._step(Input.PEER_SILENT, Close(CloseCode.INTERNAL_ERROR.value, _cut(reason)))

    def step(self, happened: Input) -> tuple[Action, ...]:
        """Something happened that needs no words."""
        actions = self._closing.step(happened)
        self.is_open = self._closing.phase is Phase.OPEN
        return actions

    def _step(self, happened: Input, close: Close) -> tuple[Action, ...]:
        actions = self.step(happened)
        if Action.SEND_CLOSE in actions:
            self.sent = close
        return actions

    # Sending.

    def close_frame(self, mask_key: bytes) -> bytes:
        """Encode the Close frame for ``sent``."""
        assert self.sent is not None
        code = self.sent.code if may_be_sent(self.sent.code) else None
        return self.encode(Opcode.CLOSE, close_payload(code, self.sent.reason), mask_key)

    def control_frame(self, opcode: Opcode, payload: bytes, mask_key: bytes) -> bytes:
        """
        Encode a Ping or Pong.

        Raises:
            ValueError: the payload is over 125 bytes.
        """
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise ValueError(
                f"{opcode.name} payload of {len(payload)} bytes; limit {MAX_CONTROL_PAYLOAD}"
            )
        return self.encode(opcode, payload, mask_key)

    def encode(
        self,
        opcode: int,
        payload: bytes | bytearray | memoryview,
        mask_key: bytes,
        fin: bool = True,
        rsv1: bool = False,
    ) -> bytes:
        """Encode any frame; the mask key is used by clients only."""
        key = mask_key if self.role is Role.CLIENT else None
        return encode_frame(opcode, payload, key, fin, rsv1)

    def header(self, opcode: int, size: int, fin: bool, rsv1: bool) -> bytes:
        """Encode what comes before a payload that is not masked: a server's."""
        return encode_header(opcode, size, None, fin, rsv1)


def validated_close(code: int, reason: str) -> Close:
    """Return the Close that close() was asked for; raise ValueError if it may not be sent."""
    close_payload(code, reason)
    return Close(code, reason)


def _with_runs(items: list[Item], messages: int) -> list[Any]:
    """Put finished messages that are together into one list; so there are none but in lists."""
    if not messages:
        return items
    start, stop = 0, len(items)
    while not isinstance(items[start], (str, bytes)):
        start += 1
    while not isinstance(items[stop - 1], (str, bytes)):
        stop -= 1
    if stop - start > messages:
        return list(_runs(items))
    return [*items[:start], items[start:stop], *items[stop:]]


def _runs(items: list[Item]) -> Iterator[Any]:
    """Yield items, but messages in lists."""
    for whole, group in itertools.groupby(items, lambda item: isinstance(item, (str, bytes))):
        if whole:
            yield list(group)
        else:
            yield from group


def _cut(reason: str) -> str:
    """Shorten a reason to what fits into a Close frame, whole characters only."""
    return reason.encode()[:MAX_REASON].decode(errors="ignore")
