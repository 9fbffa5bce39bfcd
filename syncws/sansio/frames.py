"""
One frame: its parts, and the rules that hold for it alone (RFC 6455 sections 5.2 and 5.5).

Knows nothing of messages, connections or time.
"""

from __future__ import annotations

from typing import NamedTuple

from ..codes import CloseCode, Opcode, may_be_sent
from ..exceptions import Close, ProtocolError

# RFC 6455 section 5.5: "All control frames MUST have a payload length of 125 bytes or less".
MAX_CONTROL_PAYLOAD = 125
MAX_REASON = MAX_CONTROL_PAYLOAD - 2
# The bit of a header's first byte that marks a compressed message (RFC 7692 section 6).
RSV1 = 0x40

_NO_STATUS = Close(CloseCode.NO_STATUS_RCVD.value)


class Frame(NamedTuple):
    """
    A frame, or a piece of a data frame whose payload is still arriving.

    A long data frame comes out of the decoder in pieces. Each looks like a fragment: the first
    carries the opcode and ``rsv1``, later ones CONT, and only the last piece may have ``fin``;
    ``end`` tells where the frame itself ended.
    """

    opcode: int
    payload: bytes
    fin: bool = True
    rsv1: bool = False
    end: bool = True


def close_payload(code: int | None, reason: str) -> bytes:
    """
    Build the payload of a Close frame (RFC 6455 section 5.5.1); ``None`` makes an empty one.

    Raises:
        ValueError: the code may not be sent, or the reason is over 123 bytes in UTF-8.
    """
    if code is None:
        return b""
    if not may_be_sent(code):
        raise ValueError(
            f"close code {code} may not be sent: use 1000-1003, 1007-1014 or 3000-4999"
        )
    encoded = reason.encode()
    if len(encoded) > MAX_REASON:
        raise ValueError(f"close reason of {len(encoded)} bytes in UTF-8; limit {MAX_REASON}")
    return code.to_bytes(2, "big") + encoded


def parse_close(payload: bytes) -> Close:
    """
    Read the payload of a Close frame (RFC 6455 sections 5.5.1, 7.1.5, 7.1.6).

    Raises:
        ProtocolError: 1002 for one byte or a code that may not be sent, 1007 for a bad reason.
    """
    if not payload:
        return _NO_STATUS
    if len(payload) == 1:
        raise ProtocolError("Close payload of 1 byte; it is empty or starts with a 2-byte code")
    code = int.from_bytes(payload[:2], "big")
    if not may_be_sent(code):
        raise ProtocolError(f"close code {code} may not be sent")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError as exc:
        raise ProtocolError(
            f"close reason is not UTF-8: {exc.reason} at byte {exc.start}",
            CloseCode.INVALID_DATA.value,
        ) from None


def check_header(first: int, second: int, expect_mask: bool) -> str | None:
    """
    Check the first two bytes of a frame; return the broken rule in words, or ``None``.

    Extensions that use RSV1 clear that bit before they ask.
    """
    opcode = first & 0x0F
    if first & 0x70:
        return f"reserved bits {(first & 0x70) >> 4:03b} are set without an extension (5.2)"
    if opcode not in _OPCODES:
        return f"opcode 0x{opcode:X} is reserved (5.2)"
    if opcode & 0x8:
        if not first & 0x80:
            return f"{Opcode(opcode).name} frame is fragmented (5.5)"
        if second & 0x7F > MAX_CONTROL_PAYLOAD:
            return f"{Opcode(opcode).name} frame is longer than {MAX_CONTROL_PAYLOAD} bytes (5.5)"
    if bool(second & 0x80) is not expect_mask:
        return (
            "client sent an unmasked frame (5.1)"
            if expect_mask
            else ("server sent a masked frame (5.1)")
        )
    return None


_OPCODES = frozenset(Opcode)


def check_length(marker: int, size: int) -> str | None:
    """Check a payload length of 16 bits (marker 126) or 64 bits (127); return the broken rule."""
    # RFC 6455 section 5.2: "the minimal number of bytes MUST be used to encode the length".
    if size <= (125 if marker == 126 else 0xFFFF):
        return f"length {size} is not encoded in the fewest bytes (5.2)"
    # "the most significant bit MUST be 0"
    if size >= 1 << 63:
        return f"length {size} has its most significant bit set (5.2)"
    return None


def invalid_text(exc: UnicodeDecodeError) -> ProtocolError:
    """Put a decoding error into the words and the close code of RFC 6455 section 8.1."""
    return ProtocolError(
        f"text is not UTF-8: {exc.reason} at byte {exc.start}", CloseCode.INVALID_DATA.value
    )


def decode_text(payload: bytes) -> str:
    """
    Decode a whole text message.

    Raises:
        ProtocolError: 1007, it is not UTF-8.
    """
    try:
        return payload.decode()
    except UnicodeDecodeError as exc:
        raise invalid_text(exc) from None
