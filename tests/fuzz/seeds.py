"""
The inputs that fuzzing begins with: each kind of frame, each broken rule, the edges of lengths.

    python seeds.py FOLDER      write them there, as files named seed-...
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

from replay import EXPECT_MASK, KIB, LIMITS, LONG_CUT, PACKED, RSV1

KEY = b"\x01\x02\x03\x04"  # turns letters into letters
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

CUTS = {
    "whole": b"",
    "bytes": b"\x01",
    "ragged": bytes([2, 0, 3, 13, 1, 130]),
    "kib": bytes([14, LONG_CUT + 1, 7]),
}


def mask(payload: bytes, key: bytes) -> bytes:
    return bytes(octet ^ key[index % 4] for index, octet in enumerate(payload))


def header(first: int, marker: int, size: int, key: bytes | None) -> bytes:
    """Write a header whose length is written as the marker says: 126, 127 or the size itself."""
    length = size.to_bytes({126: 2, 127: 8}.get(marker, 0), "big") if marker >= 126 else b""
    return bytes([first, marker | (0x80 if key else 0)]) + length + (key or b"")


def frame(
    opcode: int, payload: bytes = b"", key: bytes | None = None, fin: bool = True, rsv: int = 0
) -> bytes:
    size = len(payload)
    marker = size if size < 126 else 126 if size < 65536 else 127
    first = opcode | rsv << 4 | (0x80 if fin else 0)
    return header(first, marker, size, key) + (mask(payload, key) if key else payload)


# Streams, as functions of the key with which the peer masks, or None.

TEXTS = {
    "ascii": b"Hello",
    "edges": "\x00\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff".encode(),
    "lone-continuation": b"a\x80b",
    "overlong-2": b"\xc0\xaf",
    "overlong-3": b"\xe0\x9f\xbf",
    "overlong-4": b"\xf0\x8f\xbf\xbf",
    "surrogate": b"a\xed\xa0\x80b",
    "too-high": b"\xf4\x90\x80\x80",
    "broken-off-2": b"abc\xce",
    "broken-off-3": b"a\xe2\x82",
    "broken-off-4": b"a\xf0\x9f\x98",
    "restarted": b"\xe2\xe2\x82\xac",
    "ff": b"a\xff",
}

PAYLOADS = [0, 1, 3, 4, 7, 8, 31, 32, 33, 125, 126, 127]


def streams(key: bytes | None) -> dict[str, bytes]:
    wrong_key = None if key else KEY
    result = {f"text-{name}": frame(TEXT, text, key) for name, text in TEXTS.items()}
    result["sizes"] = b"".join(frame(BINARY, bytes(range(size)), key) for size in PAYLOADS)
    result["text-sizes"] = b"".join(frame(TEXT, b"x" * size, key) for size in PAYLOADS)
    result["text-of-1025"] = frame(TEXT, "\u00e9".encode() * 512 + b"!", key)
    result["controls"] = b"".join(
        frame(opcode, payload, key)
        for opcode, payload in product((PING, PONG), (b"", b"p", b"q" * 125))
    )
    result["close"] = frame(CLOSE, b"\x03\xe8bye", key) + frame(TEXT, b"after", key)
    result["fragments"] = (
        frame(TEXT, b"one \xce", key, fin=False)
        + frame(PING, b"between", key)
        + frame(CONT, b"", key, fin=False)
        + frame(CONT, b"\xba", key)
        + frame(BINARY, b"", key, fin=False)
        + frame(CONT, b"z" * 130, key)
    )
    for opcode in (3, 7, 11, 15):
        result[f"opcode-{opcode}"] = frame(TEXT, b"a", key) + frame(opcode, b"b", key)
    for rsv in (1, 2, 4):
        result[f"rsv-{rsv}"] = frame(BINARY, b"a", key) + frame(BINARY, b"b", key, rsv=rsv)
    result["ping-in-fragments"] = frame(PING, b"a", key, fin=False)
    result["ping-of-126"] = frame(PING, b"a" * 126, key)
    result["close-of-64-bit"] = header(0x88, 127, 1, key)
    result["wrong-masking"] = frame(TEXT, b"a", key) + frame(TEXT, b"b", wrong_key)
    result["wrong-masking-of-ping"] = frame(PING, b"b", wrong_key)
    for marker, size in ((126, 0), (126, 125), (127, 126), (127, 65535), (127, 2**63)):
        result[f"length-{marker}-{size}"] = header(0x82, marker, size, key) + b"abc"
    result["length-of-2-63-less-1"] = header(0x82, 127, 2**63 - 1, key) + b"abc"
    result["header-only"] = header(0x82, 126, 300, key)
    result["nothing"] = b""
    return result


def limited(key: bytes | None) -> dict[str, tuple[int | None, bytes]]:
    """Name (max_size, stream)."""
    pong = frame(PONG, b"beyond it", key)
    result = {}
    for limit in (0, 1, 126, 1000, 65536):
        within = frame(BINARY, b"m" * limit, key) if limit < 65536 else b""
        result[f"limit-{limit}"] = (limit, within + pong + header(0x81, 127, 2**40, key))
    result["limit-0-over"] = (0, frame(TEXT, b"a", key))
    result["limit-126-over"] = (126, frame(TEXT, b"a" * 127, key))
    result["limit-2-63"] = (2**63, header(0x82, 127, 2**63 - 1, key) + b"abc")
    result["limit-2-64"] = (2**64, header(0x02, 127, 2**63 - 1, key) + b"abc")
    return result


def compressed(key: bytes | None) -> dict[str, tuple[int | None, bytes]]:
    """Name (max_size, stream) of what RSV1 may mark, and what it may not."""
    start = frame(TEXT, b"begins", key, fin=False, rsv=4)
    result = {
        "rsv1-whole": (None, frame(TEXT, b"a", key, rsv=4) + frame(BINARY, b"b", key)),
        "rsv1-fragments": (126, start + frame(PING, b"p", key) + frame(CONT, b"x" * 126, key)),
        "rsv1-over": (1, frame(BINARY, b"x" * 126, key, rsv=4) + frame(BINARY, b"xx", key)),
        "rsv1-long": (0, header(0xC2, 127, 2**40, key) + b"x" * 40),
    }
    for opcode in (CONT, CLOSE, PING, PONG, 3, 11):
        result[f"rsv1-opcode-{opcode}"] = (None, start + frame(opcode, b"b", key, rsv=4))
    for rsv in (5, 6, 7):
        result[f"rsv1-rsv-{rsv}"] = (None, frame(BINARY, b"b", key, rsv=rsv))
    return result


def packed(key: bytes | None) -> dict[str, bytes]:
    """Long frames, packed."""

    def literally(data: bytes) -> bytes:
        chunks = [data[at : at + 128] for at in range(0, len(data), 128)]
        return b"".join(bytes([len(chunk) - 1]) + chunk for chunk in chunks)

    def repeated(octet: bytes, kib: int) -> bytes:
        return bytes([kib + 0x7F]) + octet

    end = literally(frame(TEXT, b"end", key))
    result = {}
    for first, marker, kib, more in (
        (0x81, 126, 2, 0),
        (0x81, 127, 64, 0),
        (0x82, 126, 63, 1023),
        (0x82, 127, 64, 1),
        (0x01, 127, 65, 0),
    ):
        size = kib * KIB + more
        body = repeated(b"h", kib) + literally(b"h" * more)
        result[f"long-{first:02x}-{size}"] = (
            literally(header(first, marker, size, key)) + body + end
        )
    begin = literally(header(0x81, 126, 2 * KIB + 1, key))
    result["long-text-wrong"] = begin + repeated(b"h", 2) + literally(b"\xff") + end
    result["long-unfinished"] = literally(header(0x82, 127, 2**32, key)) + repeated(b"h", 20)
    return result


def write_input(
    stream: bytes, key: bytes | None, cuts: bytes, limit: int | None = None, flags: int = 0
) -> bytes:
    flags |= (EXPECT_MASK if key else 0) | LIMITS.index(limit) << 1
    return bytes([flags, len(cuts)]) + cuts + stream


def seeds() -> dict[str, bytes]:
    """Return all inputs by name."""
    result = {}
    for role, key in (("server", KEY), ("client", None)):
        for name, stream in streams(key).items():
            for cuts in ("whole", "bytes"):
                result[f"seed-{name}-{role}-{cuts}"] = write_input(stream, key, CUTS[cuts])
        for name, (limit, stream) in limited(key).items():
            result[f"seed-{name}-{role}"] = write_input(stream, key, CUTS["ragged"], limit)
        for name, (limit, stream) in compressed(key).items():
            for cuts in ("whole", "bytes"):
                data = write_input(stream, key, CUTS[cuts], limit, RSV1)
                result[f"seed-{name}-{role}-{cuts}"] = data
        for name, stream in packed(key).items():
            for cuts in ("whole", "kib"):
                data = write_input(stream, key, CUTS[cuts], flags=PACKED)
                result[f"seed-{name}-{role}-{cuts}"] = data
        everything = b"".join(
            stream
            for name, stream in streams(key).items()
            if name in ("text-ascii", "sizes", "controls", "fragments", "close")
        )
        for cuts in CUTS:
            result[f"seed-everything-{role}-{cuts}"] = write_input(everything, key, CUTS[cuts])
    return result


def write_seeds(folder: Path) -> None:
    for name, data in seeds().items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    write_seeds(Path(sys.argv[1]))
