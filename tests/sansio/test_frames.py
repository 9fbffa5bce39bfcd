"""The rules of a single frame: its first two bytes, and the payload of a Close."""

from __future__ import annotations

import pytest

from support import wire
from syncws.exceptions import Close, ProtocolError
from syncws.sansio.frames import (
    MAX_CONTROL_PAYLOAD,
    MAX_REASON,
    Frame,
    check_header,
    close_payload,
    invalid_text,
    parse_close,
)

SENDABLE = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
CODES = [*range(5006), 65535]


def on_the_wire(code: int) -> bytes:
    return code.to_bytes(2, "big")


def raises(error: type[Exception], call, *args) -> bool:
    try:
        call(*args)
    except error:
        return True
    return False


# The payload of a Close frame.


def test_close_payload_of_no_code_is_empty():
    """A Close without a code has no payload."""
    assert close_payload(None, "") == b""


def test_close_payload_is_code_and_reason():
    """The payload is the code in network byte order, then the reason in UTF-8."""
    assert close_payload(1000, "tschüß") == b"\x03\xe8" + "tschüß".encode()


def test_close_payload_refuses_exactly_the_codes_that_may_not_be_sent():
    """Of all codes only those that may travel make a payload."""
    accepted = {code for code in CODES if not raises(ValueError, close_payload, code, "")}

    assert accepted == SENDABLE


def test_close_payload_names_the_codes_that_may_be_sent():
    """The error for a bad code says which ones are good."""
    with pytest.raises(ValueError, match=r"close code 1005 may not be sent: use 1000-1003, "):
        close_payload(1005, "")


@pytest.mark.parametrize("reason", ["x" * 123, "€" * 41])
def test_close_payload_takes_a_reason_of_123_bytes(reason):
    """The longest reason fills a control frame."""
    assert len(close_payload(1000, reason)) == MAX_CONTROL_PAYLOAD == 125


@pytest.mark.parametrize("reason", ["x" * 124, "€" * 41 + "x", "\U0001f600" * 31])
def test_close_payload_refuses_a_longer_reason(reason):
    """A reason is measured in bytes of UTF-8, and one over the limit is refused."""
    with pytest.raises(ValueError, match=f"close reason of 124 bytes in UTF-8; limit {MAX_REASON}"):
        close_payload(1000, reason)


def test_close_payload_refuses_a_reason_that_is_no_unicode():
    """A lone surrogate cannot be sent."""
    with pytest.raises(ValueError, match="surrogates"):
        close_payload(1000, "\ud800")


def test_parse_close_of_nothing_is_1005():
    """An empty Close stands for 1005 (section 7.1.5)."""
    assert parse_close(b"") == Close(1005, "")


def test_parse_close_reads_code_and_reason():
    """Code and reason come back as they were sent."""
    assert parse_close(b"\x03\xe8" + "tschüß".encode()) == Close(1000, "tschüß")


def test_parse_close_refuses_one_byte():
    """A payload of one byte is half a code."""
    with pytest.raises(ProtocolError, match="Close payload of 1 byte") as caught:
        parse_close(b"\x03")

    assert caught.value.code == 1002


def test_parse_close_refuses_exactly_the_codes_that_may_not_be_sent():
    """Of all codes only those that may travel are accepted from the peer."""
    accepted = {code for code in CODES if not raises(ProtocolError, parse_close, on_the_wire(code))}

    assert accepted == SENDABLE


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_parse_close_answers_a_bad_code_with_1002(code):
    """A code that may not be sent is a protocol error that names the code."""
    with pytest.raises(ProtocolError, match=f"close code {code} may not be sent") as caught:
        parse_close(on_the_wire(code))

    assert caught.value.code == 1002


@pytest.mark.parametrize("reason", wire.TEXTS.values(), ids=wire.TEXTS.keys())
def test_parse_close_wants_the_reason_in_utf8(reason):
    """A reason is accepted exactly if a reader of RFC 3629 accepts it."""
    refused = raises(ProtocolError, parse_close, on_the_wire(1000) + reason)

    assert refused is not wire.read_utf8(reason).valid


def test_parse_close_answers_a_bad_reason_with_1007():
    """A reason cut inside a character is invalid data, even at the 123-byte limit."""
    reason = ("x" + "€" * 41).encode()[:MAX_REASON]

    with pytest.raises(ProtocolError, match=r"close reason is not UTF-8: .* at byte 121") as caught:
        parse_close(on_the_wire(1000) + reason)

    assert caught.value.code == 1007


# The first two bytes.


def allowed(first: int, second: int, expect_mask: bool) -> bool:
    """Sections 5.1, 5.2 and 5.5 in one sentence."""
    opcode = first % 16
    return (
        first // 16 in (0, 8)
        and opcode in (*wire.DATA_OPCODES, *wire.CONTROL_OPCODES)
        and (second >= 128) is expect_mask
        and (opcode < 8 or (first >= 128 and second % 128 <= 125))
    )


@pytest.mark.parametrize("expect_mask", [True, False])
def test_check_header_decides_every_header_as_the_rfc_does(expect_mask):
    """All 65,536 beginnings of a frame are judged as sections 5.1, 5.2 and 5.5 say."""
    wrong = [
        (first, second)
        for first in range(256)
        for second in range(256)
        if (check_header(first, second, expect_mask) is None)
        is not allowed(first, second, expect_mask)
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("first", "second", "expect_mask", "words"),
    [
        (0xC1, 0, False, "reserved bits 100 are set without an extension (5.2)"),
        (0xA1, 0, False, "reserved bits 010 are set without an extension (5.2)"),
        (0x91, 0, False, "reserved bits 001 are set without an extension (5.2)"),
        (0xF1, 0, False, "reserved bits 111 are set without an extension (5.2)"),
        (0x83, 0, False, "opcode 0x3 is reserved (5.2)"),
        (0x8F, 0, False, "opcode 0xF is reserved (5.2)"),
        (0x09, 0, False, "PING frame is fragmented (5.5)"),
        (0x08, 0, False, "CLOSE frame is fragmented (5.5)"),
        (0x8A, 126, False, "PONG frame is longer than 125 bytes (5.5)"),
        (0x81, 0x00, True, "client sent an unmasked frame (5.1)"),
        (0x81, 0x80, False, "server sent a masked frame (5.1)"),
    ],
)
def test_check_header_names_the_rule(first, second, expect_mask, words):
    """The broken rule is named with its section."""
    assert check_header(first, second, expect_mask) == words


# Small things.


def test_frame_is_whole_and_final_by_default():
    """A Frame made of opcode and payload is a whole, final frame without reserved bits."""
    assert Frame(2, b"x") == (2, b"x", True, False, True)


def test_invalid_text_is_1007_and_says_where():
    """A decoding error becomes a protocol error with 1007 that says which byte is wrong."""
    error = invalid_text(UnicodeDecodeError("utf-8", b"ab\xff", 2, 3, "invalid start byte"))

    assert error.code == 1007
    assert str(error) == "text is not UTF-8: invalid start byte at byte 2"
