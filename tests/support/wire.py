"""
RFC 6455 and UTF-8 in the tests' own words.

Frames are built byte by byte, right or wrong, without a line of the code under test.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import NamedTuple

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
DATA_OPCODES = (CONT, TEXT, BINARY)
CONTROL_OPCODES = (CLOSE, PING, PONG)
RESERVED_OPCODES = (0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF)

# The key of the masked examples in section 5.7.
KEY = bytes.fromhex("37fa213d")


def mask(data: bytes, key: bytes = KEY, offset: int = 0) -> bytes:
    """Section 5.3, literally: octet i is XORed with octet i MOD 4 of the key."""
    return bytes(octet ^ key[(index + offset) % 4] for index, octet in enumerate(data))


def header(
    opcode: int,
    size: int,
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
    form: int | None = None,
) -> bytes:
    """
    Section 5.2: the header of a frame.

    Args:
        rsv: the three reserved bits, RSV1 being 4.
        form: bits of the payload length: 7, 16 or 64; ``None`` takes the shortest.
    """
    if form is None:
        form = 7 if size <= 125 else 16 if size <= 0xFFFF else 64
    masked = 0x80 if key is not None else 0
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if form == 7:
        head = bytes([first, masked | size])
    elif form == 16:
        head = bytes([first, masked | 126, size >> 8, size & 0xFF])
    else:
        head = bytes(
            [first, masked | 127, *((size >> shift) & 0xFF for shift in range(56, -8, -8))]
        )
    return head + (key or b"")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
    form: int | None = None,
) -> bytes:
    """Section 5.2: a frame; masked if there is a key."""
    head = header(opcode, len(payload), fin=fin, rsv=rsv, key=key, form=form)
    return head + (payload if key is None else mask(payload, key))


def close(code: int, reason: bytes = b"", *, key: bytes | None = None) -> bytes:
    """Section 5.5.1: a Close frame with a code."""
    return frame(CLOSE, bytes([code >> 8, code & 0xFF]) + reason, key=key)


class Vector(NamedTuple):
    """One example of section 5.7."""

    name: str
    wire: bytes
    opcode: int
    payload: bytes
    fin: bool = True
    key: bytes | None = None


_BYTES_256 = bytes(range(256))
_KIB_64 = _BYTES_256 * 256

# Section 5.7. Its two large examples leave the payload to the reader.
VECTORS = [
    Vector("unmasked text", bytes.fromhex("810548656c6c6f"), TEXT, b"Hello"),
    Vector("masked text", bytes.fromhex("818537fa213d7f9f4d5158"), TEXT, b"Hello", key=KEY),
    Vector("first fragment", bytes.fromhex("010348656c"), TEXT, b"Hel", fin=False),
    Vector("last fragment", bytes.fromhex("80026c6f"), CONT, b"lo"),
    Vector("unmasked ping", bytes.fromhex("890548656c6c6f"), PING, b"Hello"),
    Vector("masked pong", bytes.fromhex("8a8537fa213d7f9f4d5158"), PONG, b"Hello", key=KEY),
    Vector("256 bytes", bytes.fromhex("827e0100") + _BYTES_256, BINARY, _BYTES_256),
    Vector("64 KiB", bytes.fromhex("827f0000000000010000") + _KIB_64, BINARY, _KIB_64),
]


def octets(data: bytes) -> list[bytes]:
    """Cut into single bytes."""
    return [data[index : index + 1] for index in range(len(data))]


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Cut in no, one and all places: whole, in two at every split point, byte by byte."""
    yield [data]
    for index in range(1, len(data)):
        yield [data[:index], data[index:]]
    yield octets(data)


def pieces_of(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut into pieces of the given sizes, over and over; empty ones are left out."""
    pieces = []
    start = turn = 0
    while start < len(data):
        size = sizes[turn % len(sizes)] if sizes else len(data)
        pieces.append(data[start : start + max(size, 1)])
        start += max(size, 1)
        turn += 1
    return pieces


# UTF-8: RFC 3629 section 4, where the ABNF gives for each first octet the ranges of those behind.

_TAIL = (0x80, 0xBF)
_SEQUENCES = [
    ((0x00, 0x7F), []),
    ((0xC2, 0xDF), [_TAIL]),
    ((0xE0, 0xE0), [(0xA0, 0xBF), _TAIL]),
    ((0xE1, 0xEC), [_TAIL, _TAIL]),
    ((0xED, 0xED), [(0x80, 0x9F), _TAIL]),
    ((0xEE, 0xEF), [_TAIL, _TAIL]),
    ((0xF0, 0xF0), [(0x90, 0xBF), _TAIL, _TAIL]),
    ((0xF1, 0xF3), [_TAIL, _TAIL, _TAIL]),
    ((0xF4, 0xF4), [(0x80, 0x8F), _TAIL, _TAIL]),
]


class Utf8(NamedTuple):
    """
    What a careful reader knows after reading some octets.

    Attributes:
        wrong: index of the first octet that no UTF-8 can have there, or ``None``.
        unfinished: whether the last character lacks octets.
    """

    wrong: int | None
    unfinished: bool

    @property
    def valid(self) -> bool:
        return self.wrong is None and not self.unfinished

    def fails_at(self, size: int) -> int | None:
        """Index of the octet at which a text of this size must fail if it ends behind it."""
        return size - 1 if self.wrong is None and self.unfinished else self.wrong


def read_utf8(data: bytes) -> Utf8:
    """Read octet by octet, as the ABNF of RFC 3629 does."""
    expected: list[tuple[int, int]] = []
    for index, octet in enumerate(data):
        if expected:
            low, high = expected[0]
            if not low <= octet <= high:
                return Utf8(index, True)
            expected = expected[1:]
        else:
            for (low, high), tails in _SEQUENCES:
                if low <= octet <= high:
                    expected = list(tails)
                    break
            else:
                return Utf8(index, False)
    return Utf8(None, bool(expected))


# Named texts, right and wrong; what they are worth is for read_utf8 to say.
TEXTS = {
    "empty": b"",
    "ascii": b"Hello",
    "greek": "κόσμε".encode(),
    "edges": "\x00\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff".encode(),
    "noncharacters": "\ufdd0\ufffe\uffff\U0001fffe".encode(),
    "emoji": "a\U0001f600b".encode(),
    "lone continuation": b"a\x80b",
    "overlong slash of 2": b"a\xc0\xafb",
    "overlong DEL of 2": b"\xc1\xbf",
    "overlong of 3": b"ab\xe0\x80\xafc",
    "overlong of 3, last": b"\xe0\x9f\xbf",
    "overlong of 4": b"\xf0\x80\x80\xafc",
    "overlong of 4, last": b"\xf0\x8f\xbf\xbf",
    "5 octets": b"\xf8\x88\x80\x80\x80",
    "6 octets": b"\xfc\x84\x80\x80\x80\x80",
    "FE": b"a\xfe",
    "FF": b"\xffa",
    "first surrogate": b"a\xed\xa0\x80b",
    "last surrogate": b"\xed\xbf\xbf",
    "surrogate pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "above U+10FFFF": b"a\xf4\x90\x80\x80b",
    "above U+13FFFF": b"\xf5\x80\x80\x80",
    "truncated 2": b"abc\xce",
    "truncated 3 after 1": b"a\xe2",
    "truncated 3 after 2": b"a\xe2\x82",
    "truncated 4 after 1": b"a\xf0",
    "truncated 4 after 2": b"a\xf0\x9f",
    "truncated 4 after 3": b"a\xf0\x9f\x98",
    "broken off 2": b"\xceabc",
    "broken off 3": b"a\xe2\x82bc",
    "broken off 4": b"a\xf0\x9f\x98bc",
    "restarted": b"\xe2\xe2\x82\xac",
    "autobahn 6.3.1": "κόσμε".encode() + b"\xed\xa0\x80" + b"edited",
    "autobahn 6.4.1": "κόσμε".encode() + b"\xf4\x90\x80\x80" + b"edited",
}


def peak_memory(action: Callable[[], object]) -> int:
    """Return how many bytes more than before were in use at most while the action ran."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        action()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def cpu_seconds(action: Callable[[], object]) -> float:
    """Return the processor time the action took: unlike wall time, it knows no busy neighbours."""
    start = time.process_time()
    action()
    return time.process_time() - start


def calls(action: Callable[[], object]) -> int:
    """Return how many functions the action called: a measure of work that is always the same."""
    events = []
    sys.setprofile(lambda frame, event, arg: events.append(event))
    try:
        action()
    finally:
        sys.setprofile(None)
    return len(events)
