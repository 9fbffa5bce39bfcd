"""
The frame codec in pure Python: bytes to frames and frames to bytes (RFC 6455 section 5.2).

The hot path is an unfragmented data message that has arrived whole: it comes out as a finished
``str`` or ``bytes``. Everything else comes out as a Frame for others to judge. Nothing is allocated
by a declared length: what has arrived of a long data frame is passed on piece by piece.
"""

from __future__ import annotations

from typing import Union

from ..codes import Opcode
from ..exceptions import MessageTooBig, ProtocolError
from .frames import RSV1, Frame, check_header, check_length, decode_text

Item = Union[str, bytes, Frame, ProtocolError]

_CONT = int(Opcode.CONT)


def apply_mask(data: bytes | bytearray | memoryview, key: bytes) -> bytes:
    """Mask or unmask: XOR each byte with the 4-byte key, repeated (RFC 6455 section 5.3)."""
    size = len(data)
    repeated = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(repeated, "little")).to_bytes(
        size, "little"
    )


def encode_header(
    opcode: int, size: int, mask_key: bytes | None, fin: bool = True, rsv1: bool = False
) -> bytes:
    """Return the header of a frame; with a mask key it ends with that key."""
    first = opcode | (0x80 if fin else 0) | (0x40 if rsv1 else 0)
    mask_bit = 0 if mask_key is None else 0x80
    if size <= 125:
        header = bytes((first, mask_bit | size))
    elif size <= 0xFFFF:
        header = bytes((first, mask_bit | 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((first, mask_bit | 127)) + size.to_bytes(8, "big")
    return header if mask_key is None else header + mask_key


def encode_frame(
    opcode: int,
    payload: bytes | bytearray | memoryview,
    mask_key: bytes | None,
    fin: bool = True,
    rsv1: bool = False,
) -> bytes:
    """Return one frame as one piece of bytes; a mask key (4 bytes) is what a client must give."""
    header = encode_header(opcode, len(payload), mask_key, fin, rsv1)
    return header + (payload if mask_key is None else apply_mask(payload, mask_key))


class FrameDecoder:
    """
    Decodes the peer's byte stream, cut anywhere, into items.

    Not thread-safe. After a ProtocolError it is dead and swallows all input.

    Attributes:
        messages: how many items of the last batch are finished messages.
    """

    def __init__(self, expect_mask: bool, max_size: int | None, rsv1: bool = False) -> None:
        self._expect_mask = expect_mask
        self._rsv1 = rsv1  # whether an extension uses that bit of a message's first frame
        self._max_size = max_size
        self._buffer = b""  # the beginning of a header, or of a short frame
        self._dead = False
        self.messages = 0
        # The data frame whose payload is still arriving:
        self._left = 0  # bytes of it yet to come
        self._opcode = 0
        self._fin = False
        self._compressed = False  # it has RSV1, and nothing of it was passed on yet
        self._key: bytes | None = None  # rotated to where the next byte of payload is

    def feed(self, data: bytes) -> list[Item]:
        """
        Take the next bytes of the stream; return what they complete, in order.

        Items are messages (str, bytes), Frames, and at the very end perhaps a ProtocolError: the
        rule that the peer broke. All that came before it is valid.
        """
        items: list[Item] = []
        self.messages = 0
        if self._dead:
            return items
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        position = self._continue_frame(data, items) if self._left else 0
        try:
            while position < len(data):
                after = self._read_frame(data, position, items)
                if after is None:
                    self._buffer = data[position:]
                    break
                position = after
        except ProtocolError as exc:
            self._dead = True
            items.append(exc)
        return items

    def _read_frame(self, data: bytes, position: int, items: list[Item]) -> int | None:
        """Decode the frame that starts here; return where it ends, or None to wait for more."""
        available = len(data) - position
        if available < 2:
            return None
        first = data[position]
        second = data[position + 1]
        if (first != 0x81 and first != 0x82) or (second >= 0x80) is not self._expect_mask:
            problem = check_header(self._without_rsv1(first), second, self._expect_mask)
            if problem is not None:
                raise ProtocolError(problem)
        header = 2
        size = second & 0x7F
        if size >= 126:
            header = 4 if size == 126 else 10
            if available < header:
                return None
            size = _long_size(size, data[position + 2 : position + header])
        if self._max_size is not None and size > self._max_size and self._is_measured(first):
            raise MessageTooBig(size, self._max_size)
        key = None
        if self._expect_mask:
            if available < header + 4:
                return None
            key = data[position + header : position + header + 4]
            header += 4
        start = position + header
        if available < header + size:
            return self._begin_frame(first, size, key, data, start, items)
        payload = data[start : start + size]
        if key is not None:
            payload = apply_mask(payload, key)
        if first == 0x82:
            items.append(payload)
            self.messages += 1
        elif first == 0x81:
            items.append(decode_text(payload))
            self.messages += 1
        else:
            items.append(Frame(first & 0x0F, payload, first >= 0x80, first & RSV1 != 0))
        return start + size

    def _without_rsv1(self, first: int) -> int:
        """Clear the bit where an extension may set it: in the first frame of a message."""
        return first & ~RSV1 if self._rsv1 and first & 0x0F in (1, 2) else first

    def _is_measured(self, first: int) -> bool:
        """Tell whether a limit holds for the frame: what is compressed is measured afterwards."""
        opcode = first & 0x0F
        return opcode < 8 and not first & RSV1 and not (self._rsv1 and opcode == _CONT)

    def _begin_frame(
        self,
        first: int,
        size: int,
        key: bytes | None,
        data: bytes,
        start: int,
        items: list[Item],
    ) -> int | None:
        """Pass on the beginning of a data frame; wait for the rest of a control frame."""
        opcode = first & 0x0F
        if opcode >= 8 or start == len(data):
            return None
        self._opcode, self._fin, self._key, self._left = opcode, first >= 0x80, key, size
        self._compressed = first & RSV1 != 0
        return self._continue_frame(data, items, start)

    def _continue_frame(self, data: bytes, items: list[Item], start: int = 0) -> int:
        """Pass on what has arrived of the unfinished data frame; return where it ends."""
        payload = data[start : start + self._left] if start or len(data) > self._left else data
        self._left -= len(payload)
        end = not self._left
        taken = len(payload)
        if self._key is not None:
            key = self._key
            payload = apply_mask(payload, key)
            turn = taken % 4
            self._key = key[turn:] + key[:turn]
        items.append(Frame(self._opcode, payload, self._fin and end, self._compressed, end))
        self._opcode = _CONT
        self._compressed = False
        return start + taken


def _long_size(marker: int, encoded: bytes) -> int:
    """Decode a payload length of 16 or 64 bits."""
    size = int.from_bytes(encoded, "big")
    problem = check_length(marker, size)
    if problem is not None:
        raise ProtocolError(problem)
    return size
