"""
permessage-deflate (RFC 7692): what two ends agree on, and messages into and out of that form.

Knows nothing of frames on the wire: data frames come from the codec and go on to the assembler.
Nothing is inflated at once that may be large: what comes out is passed on piece by piece.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..codes import CloseCode, Opcode, Role
from ..exceptions import MessageTooBig, NegotiationError, ProtocolError
from ..options import MAX_WINDOW_BITS, MIN_WINDOW_BITS, Deflate
from .frames import Frame
from .headers import Extension, parse_extensions

NAME = "permessage-deflate"
_SERVERS_OWN_BITS = 12  # if nothing else was said
STEP = 256 * 1024  # bytes that are inflated at a time

# RFC 7692 section 7.2.1: what ends every message, and is left out on the wire.
_TAIL = b"\x00\x00\xff\xff"
_EMPTY_FINAL_BLOCK = b"\x01\x00\x00\xff\xff"
_FLUSH = 16  # bytes that a sender may add to each frame to end it; max_fragments bounds these
# A deflate stream may end inside a message (section 7.2.3.4). Each end costs a new decompressor.
_MAX_STREAMS = 64
_CONT = int(Opcode.CONT)

_SERVER_TAKEOVER = "server_no_context_takeover"
_CLIENT_TAKEOVER = "client_no_context_takeover"
_SERVER_BITS = "server_max_window_bits"
_CLIENT_BITS = "client_max_window_bits"
# "a decimal integer value without leading zeroes between 8 to 15, inclusive" (section 7.1.2).
_BITS = frozenset(map(str, range(MIN_WINDOW_BITS, MAX_WINDOW_BITS + 1)))


# What is agreed on.


class Agreement(NamedTuple):
    """The parameters of one connection (RFC 7692 section 7.1)."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = MAX_WINDOW_BITS
    client_max_window_bits: int = MAX_WINDOW_BITS

    def inflater(self, role: Role, max_size: int | None) -> Inflater:
        """Return what reads the peer's messages."""
        bits, takeover = _direction(self, Role.SERVER if role is Role.CLIENT else Role.CLIENT)
        return Inflater(bits, takeover, max_size)

    def deflater(self, role: Role, settings: Deflate) -> Deflater:
        """Return what writes our messages, within what was agreed on and what we want."""
        bits, takeover = _direction(self, role)
        our_bits, our_takeover = _direction(settings, role)
        return Deflater(min(bits, our_bits), takeover and our_takeover, settings)


def _direction(terms: Agreement | Deflate, sender: Role) -> tuple[int, bool]:
    """Return the window bits of one end's messages, and whether they refer to earlier ones."""
    if sender is Role.CLIENT:
        return terms.client_max_window_bits, not terms.client_no_context_takeover
    bits = terms.server_max_window_bits or _SERVERS_OWN_BITS
    return bits, not terms.server_no_context_takeover


class _Parameters(NamedTuple):
    """What an offer or an answer says: None where bits are missing, 0 where they have no value."""

    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_max_window_bits: int | None
    client_max_window_bits: int | None


def make_offer(settings: Deflate) -> str:
    """Return the client's Sec-WebSocket-Extensions (RFC 7692 section 7.1)."""
    parts = [NAME]
    if settings.server_no_context_takeover:
        parts.append(_SERVER_TAKEOVER)
    if settings.client_no_context_takeover:
        parts.append(_CLIENT_TAKEOVER)
    if (settings.server_max_window_bits or MAX_WINDOW_BITS) < MAX_WINDOW_BITS:
        parts.append(f"{_SERVER_BITS}={settings.server_max_window_bits}")
    if settings.client_max_window_bits < MAX_WINDOW_BITS:
        parts.append(f"{_CLIENT_BITS}={settings.client_max_window_bits}")
    else:
        parts.append(_CLIENT_BITS)
    return "; ".join(parts)


def answer_offers(settings: Deflate, fields: Iterable[str]) -> str | None:
    """
    Return the server's answer to the first offer that it can accept, or None.

    Raises:
        ValueError: the client's Sec-WebSocket-Extensions cannot be read.
    """
    for name, parameters in parse_extensions(fields):
        if name == NAME:
            with contextlib.suppress(ValueError):  # "MUST decline" such an offer (section 7.1)
                return _answer(settings, _parse(parameters, may_be_bare=True))
    return None


def _answer(settings: Deflate, offered: _Parameters) -> str:
    parts = [NAME]
    if offered.server_no_context_takeover or settings.server_no_context_takeover:
        parts.append(_SERVER_TAKEOVER)
    if offered.client_no_context_takeover or settings.client_no_context_takeover:
        parts.append(_CLIENT_TAKEOVER)
    ours = settings.server_max_window_bits or _SERVERS_OWN_BITS
    bits = min(offered.server_max_window_bits or MAX_WINDOW_BITS, ours)
    if bits < MAX_WINDOW_BITS or offered.server_max_window_bits is not None:
        parts.append(f"{_SERVER_BITS}={bits}")
    if offered.client_max_window_bits is not None:  # "MUST NOT" be told to others (7.1.2.2)
        bits = min(
            offered.client_max_window_bits or MAX_WINDOW_BITS, settings.client_max_window_bits
        )
        if bits < MAX_WINDOW_BITS:
            parts.append(f"{_CLIENT_BITS}={bits}")
    return "; ".join(parts)


def agreed(response_fields: Sequence[str]) -> Agreement | None:
    """
    Return what a server's Sec-WebSocket-Extensions say.

    Raises:
        NegotiationError: anything but one permessage-deflate with valid parameters.
    """
    if not response_fields:
        return None
    chosen = _extensions(response_fields)
    if [name for name, _ in chosen] != [NAME]:
        names = ", ".join(name for name, _ in chosen) or '""'
        raise NegotiationError(f"the server chose extensions {names}; we know {NAME}")
    try:
        parsed = _parse(chosen[0][1], may_be_bare=False)
    except ValueError as exc:
        raise NegotiationError(f"the server's {NAME}: {exc}") from None
    return Agreement(
        parsed.server_no_context_takeover,
        parsed.client_no_context_takeover,
        parsed.server_max_window_bits or MAX_WINDOW_BITS,
        parsed.client_max_window_bits or MAX_WINDOW_BITS,
    )


def check_answer(request_fields: Sequence[str], response_fields: Sequence[str]) -> None:
    """
    Check the server's answer against our own offer (RFC 7692 section 7.1).

    Raises:
        NegotiationError: it is not an answer to that.
    """
    answer = agreed(response_fields)
    if answer is None:
        return
    offers = _extensions(request_fields)
    if not offers:
        raise NegotiationError(f"the server chose extension {NAME}; we offered none")
    ours = _parse(offers[0][1], may_be_bare=True)
    if ours.server_no_context_takeover and not answer.server_no_context_takeover:
        raise NegotiationError(f"the server's {NAME}: no {_SERVER_TAKEOVER}, as we asked for")
    limit, bits = ours.server_max_window_bits, answer.server_max_window_bits
    if limit and bits > limit:
        raise NegotiationError(f"the server's {NAME}: {_SERVER_BITS} is {bits}; we offered {limit}")
    limit, bits = ours.client_max_window_bits, answer.client_max_window_bits
    # Our own bits are a hint: no answer to it leaves us free (section 7.1.2.2).
    if limit and limit < bits < MAX_WINDOW_BITS:
        raise NegotiationError(f"the server's {NAME}: {_CLIENT_BITS} is {bits}; we offered {limit}")


def _extensions(fields: Iterable[str]) -> list[Extension]:
    try:
        return parse_extensions(fields)
    except ValueError as exc:
        raise NegotiationError(f"Sec-WebSocket-Extensions header: {exc}") from None


def _parse(parameters: list[tuple[str, str | None]], may_be_bare: bool) -> _Parameters:
    """Read parameters; raise ValueError if one of them is wrong (RFC 7692 section 7.1)."""
    flags = {_SERVER_TAKEOVER: False, _CLIENT_TAKEOVER: False}
    bits: dict[str, int | None] = {_SERVER_BITS: None, _CLIENT_BITS: None}
    seen = set()
    for name, value in parameters:
        if name in seen:
            raise ValueError(f"{name} is there twice")
        seen.add(name)
        if name in flags:
            if value is not None:
                raise ValueError(f"{name} has a value")
            flags[name] = True
        elif name in bits:
            if value is None and not (may_be_bare and name == _CLIENT_BITS):
                raise ValueError(f"{name} has no value")
            if value is not None and value not in _BITS:
                raise ValueError(
                    f"{name}={value[:20]}; expected {MIN_WINDOW_BITS} to {MAX_WINDOW_BITS}"
                )
            bits[name] = int(value or 0)
        else:
            raise ValueError(f"unknown parameter {name[:40]}")
    return _Parameters(
        flags[_SERVER_TAKEOVER], flags[_CLIENT_TAKEOVER], bits[_SERVER_BITS], bits[_CLIENT_BITS]
    )


# Messages out.


class Deflater:
    """
    Compresses messages. One thread at a time.

    What was compressed and then not sent must not be referred to: so ``commit`` what was sent.
    A message that another Deflater made for the peer ends our context as well: so ``begin`` then.
    """

    def __init__(self, bits: int, takeover: bool, settings: Deflate) -> None:
        # zlib knows no raw stream of 8 bits, but with 9 it refers back by 250 bytes at most.
        self.bits = max(bits, 9)
        self._takeover = takeover
        self.settings = settings
        self._context: zlib._Compress | None = None  # of the messages sent so far
        self._compressor: zlib._Compress | None = None  # of what is being made

    def begin(self) -> None:
        """Go on from what was sent; forget what was not."""
        self._compressor, self._context = self._context, None

    def commit(self) -> None:
        """Note that all that was compressed has been sent."""
        self._context, self._compressor = self._compressor, None

    def wanted(self, size: int, compress: bool | None) -> bool:
        """Tell whether a message of this size is to be compressed."""
        return size >= self.settings.threshold if compress is None else compress

    def message(self, payload: bytes) -> bytes | None:
        """Compress a whole message; return None if it would not be smaller."""
        data = self._compress(payload)
        if len(data) - len(_TAIL) >= len(payload):
            self._compressor = None  # the peer will not see what it has seen
            return None
        self._end_message()
        return data[: -len(_TAIL)]

    def part(self, payload: bytes, last: bool) -> bytes:
        """Compress the next part of a message."""
        data = self._compress(payload)
        if not last:
            return data
        self._end_message()
        return data[: -len(_TAIL)] if data else b"\x00"  # nothing new to flush: an empty block

    def _compress(self, payload: bytes) -> bytes:
        compressor = self._compressor
        if compressor is None:
            settings = self.settings
            compressor = self._compressor = zlib.compressobj(
                settings.level, zlib.DEFLATED, -self.bits, settings.memory_level
            )
        return compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)

    def _end_message(self) -> None:
        if not self._takeover:
            self._compressor = None


# Messages in.


class _Step(NamedTuple):
    """What was inflated, what is left of the data, and whether there is more to come of it."""

    out: bytes
    rest: bytes
    more: bool


class Inflater:
    """Inflates the data frames of a connection. One thread at a time."""

    def __init__(self, bits: int, takeover: bool, max_size: int | None) -> None:
        self._bits = bits
        self._takeover = takeover
        self._max_size = max_size
        self._inflating: zlib._Decompress | None = None
        self._compressed = False  # the message that is arriving
        self._size = 0  # of it so far, inflated
        self._wire = 0  # and as it came
        self._streams = 0  # that ended in it
        self._begun: _Step | None = None  # of a frame that is asked for again

    def message(self, frame: Frame) -> bytes | None:
        """
        Return a compressed message that came in one frame, or None if it is long: see ``pieces``.

        Raises:
            ProtocolError: as ``pieces``.
        """
        step = self._begin(frame)
        if step.more:
            self._begun = step
            return None
        self._finish()
        self._compressed = False  # nothing of it is to come
        return step.out

    def pieces(self, frame: Frame) -> Iterator[Frame]:
        """
        Yield what is in a data frame, or in a piece of one, in further pieces.

        Raises:
            ProtocolError: 1007 for data that is damaged or cut off, 1009 for too much of it.
        """
        if frame.opcode != _CONT:
            self._compressed = frame.rsv1
        if not self._compressed:
            yield frame
            return
        step, self._begun = self._begun or self._begin(frame), None
        opcode = frame.opcode
        while True:
            if frame.fin and not step.more:
                self._finish()
            last = not step.more
            yield Frame(opcode, step.out, frame.fin and last, False, frame.end and last)
            if last:
                return
            opcode = _CONT
            step = self._step(step.rest)

    def _begin(self, frame: Frame) -> _Step:
        """Take the first step in a frame, perhaps the first of a message."""
        if frame.opcode != _CONT:
            self._size = self._wire = self._streams = 0
        self._wire += len(frame.payload) - _FLUSH * frame.end
        limit = self._max_size
        # Bounds what inflates to nothing. What cannot be compressed grows by less than this.
        if limit is not None and self._wire > limit + limit // 8 + 1024:
            raise MessageTooBig(self._wire, limit)
        return self._step(frame.payload)

    def _step(self, data: bytes) -> _Step:
        """Inflate up to a limit."""
        # One byte more than is allowed tells that there is more: 0 would mean no limit to zlib.
        room = STEP if self._max_size is None else min(STEP, self._max_size - self._size + 1)
        out = b""
        while True:
            inflating = self._inflating
            if inflating is None:
                inflating = self._inflating = zlib.decompressobj(-self._bits)
            try:
                out += inflating.decompress(data, room - len(out))
            except zlib.error as exc:
                raise _damaged(str(exc)) from None
            if not inflating.eof:
                return self._stepped(out, inflating.unconsumed_tail, len(out) == room)
            self._inflating = None
            self._streams += 1
            data = inflating.unused_data
            if self._streams > _MAX_STREAMS:
                raise _damaged(f"over {_MAX_STREAMS} final blocks")
            if not data or len(out) == room:
                return self._stepped(out, data, bool(data))

    def _stepped(self, out: bytes, rest: bytes, more: bool) -> _Step:
        self._size += len(out)
        if self._max_size is not None and self._size > self._max_size:
            raise MessageTooBig(self._size, self._max_size)
        return _Step(out, rest, more)

    def _finish(self) -> None:
        """See that the message ends between two blocks: then a final one can end the stream."""
        inflating = self._inflating
        if inflating is None:
            raise _damaged("it ends with a final block")
        try:
            out = inflating.decompress(_TAIL, 1)
            probe = inflating.copy() if self._takeover else inflating
            out += probe.decompress(_EMPTY_FINAL_BLOCK, 1)
        except zlib.error as exc:
            raise _damaged(str(exc)) from None
        if out or not probe.eof or probe.unused_data:
            raise _damaged("it is cut off")
        if not self._takeover:
            self._inflating = None


def _damaged(problem: str) -> ProtocolError:
    return ProtocolError(f"compressed message: {problem} (RFC 7692)", CloseCode.INVALID_DATA.value)
