"""
What a fuzz input means, and what every codec must make of it.

The harness (fuzz_decoder.c), the generator of seeds and the tests all read inputs alike:

    octet 0      bit 0: whether masked frames are expected; bits 1 to 3: index into LIMITS;
                 bit 4: whether the stream is packed; bit 5: whether RSV1 is allowed
    octet 1      its low 5 bits say how many octets of cuts follow
    the cuts     sizes of the pieces, used in turn over and over; one above LONG_CUT is in KiB
    the rest     the stream: frames from the peer

A packed stream is made of segments: an octet n below 0x80 and n + 1 octets as they are, or an octet
n above that and one octet that is repeated (n - 0x7F) KiB long. That keeps long frames small. Bit 6
of a repeated octet is set: thousands of tiny frames, which it cannot begin, would be slow.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from syncws.exceptions import MessageTooBig, ProtocolError
from syncws.sansio import _pycodec, frames
from syncws.sansio.frames import Frame

LIMITS = (None, 0, 1, 126, 1000, 65536, 2**63, 2**64)

EXPECT_MASK = 0x01
PACKED = 0x10
RSV1 = 0x20
CUTS = 0x1F
LONG_CUT = 0xEF
KIB = 1024

# Long enough for a payload with a 64-bit length; more would be slow.
MAX_STREAM = 70 * KIB
MAX_PIECES = 300
MAX_ENCODED = 6


class Case(NamedTuple):
    """One input, understood."""

    expect_mask: bool
    max_size: int | None
    rsv1: bool
    pieces: list[bytes]


class Difference(AssertionError):
    """A codec does not do what it must."""


def parse(data: bytes) -> Case:
    """Read an input; every input means something."""
    flags, count = data[0] if data else 0, data[1] & CUTS if len(data) > 1 else 0
    cuts, stream = data[2 : 2 + count], data[2 + count :]
    if flags & PACKED:
        stream = unpack(stream)
    pieces = cut(stream[:MAX_STREAM], cuts)
    return Case(bool(flags & EXPECT_MASK), LIMITS[flags >> 1 & 7], bool(flags & RSV1), pieces)


def unpack(packed: bytes) -> bytes:
    """Undo the packing of a stream."""
    stream = bytearray()
    at = 0
    while at < len(packed) and len(stream) < MAX_STREAM:
        head = packed[at]
        if head < 0x80:
            stream += packed[at + 1 : at + head + 2]
            at += head + 2
        else:
            repeated = bytes(octet | 0x40 for octet in packed[at + 1 : at + 2])
            stream += repeated * ((head - 0x7F) * KIB)
            at += 2
    return bytes(stream)


def cut(stream: bytes, cuts: bytes) -> list[bytes]:
    """Cut the stream into pieces, some of them perhaps empty."""
    sizes = [size if size <= LONG_CUT else (size - LONG_CUT) * KIB for size in cuts]
    pieces = []
    at = 0
    while at < len(stream) and len(pieces) < MAX_PIECES and sizes:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(stream[at : at + size])
        at += size
    return [*pieces, stream[at:]]


# What a codec does, put so that two codecs can be compared.


def call(function, data):
    """Call the function with data. The harness has another one, which lends out an exact copy."""
    return function(data)


def describe(item):
    """Say all there is to say about one item."""
    if type(item) is Frame:
        return ("Frame", [(type(part).__name__, part) for part in item])
    if isinstance(item, ProtocolError):
        return (type(item).__name__, str(item), item.args, vars(item))
    if type(item) in (str, bytes):
        return (type(item).__name__, item)
    raise Difference(f"{item!r} is no item")


def _short(value) -> str:
    text = repr(value)
    return text if len(text) < 3000 else f"{text[:3000]}..."


def decode(codec, case: Case, lend=call):
    """Return (items, count of messages) for each piece."""
    decoder = codec.FrameDecoder(case.expect_mask, case.max_size, case.rsv1)
    return [(lend(decoder.feed, piece), decoder.messages) for piece in case.pieces]


def compare(case: Case, expected, actual) -> None:
    """Refuse anything that the two did not do alike."""
    for index, (ours, theirs) in enumerate(zip(expected, actual)):
        said = [([describe(item) for item in items], count) for items, count in (ours, theirs)]
        if said[0] != said[1] or type(theirs[1]) is not int:
            piece = case.pieces[index]
            raise Difference(
                f"piece {index} of {len(case.pieces)}, {piece[:200]!r} ({len(piece)} octets): "
                f"expected {_short(said[0])}, got {_short(said[1])}"
            )


# What holds for every codec, so that the specification is tested as well.


def check_sense(batches) -> None:
    """Check the promises that an item's type and its place in the batch make."""
    over = False
    for items, count in batches:
        finished = sum(isinstance(item, (str, bytes)) for item in items)
        errors = [isinstance(item, ProtocolError) for item in items]
        if over and items:
            raise Difference(f"items after an error: {items!r}")
        if any(errors[:-1]):
            raise Difference(f"an error that is not the last item: {items!r}")
        if count != finished:
            raise Difference(f"messages={count!r} for {items!r}")
        over = over or any(errors)


def joined(batches):
    """
    Put the pieces of frames together again.

    Returns [opcode, payload, fin, rsv1] for each frame that has begun, and then perhaps an error's
    words and code.
    """
    whole_frames = []
    inside = False
    for items, _ in batches:
        for item in items:
            if isinstance(item, ProtocolError):
                whole_frames.append([str(item), item.code])
            elif isinstance(item, str):
                whole_frames.append([1, item.encode(), True, False])
            elif isinstance(item, bytes):
                whole_frames.append([2, item, True, False])
            elif inside and item.opcode == 0:
                whole_frames[-1][1] += item.payload
                whole_frames[-1][2] = item.fin
            elif inside:
                raise Difference(f"{item!r} in the middle of a frame")
            else:
                whole_frames.append([item.opcode, item.payload, item.fin, item.rsv1])
            inside = isinstance(item, Frame) and not item.end
    return whole_frames


def check_cuts(codec, case: Case, batches) -> None:
    """Check that the same frames come out however the stream is cut."""
    at_once = joined(decode(codec, case._replace(pieces=[b"".join(case.pieces)])))
    in_pieces = joined(batches)
    # Text that arrives whole is checked here; what comes in pieces is left to the assembler.
    for frame_list in (at_once, in_pieces):
        if frame_list and frame_list[-1][1] == 1007:
            before = len(frame_list) - 1
            del at_once[before:], in_pieces[before:]
    if at_once != in_pieces:
        raise Difference(f"at once {_short(at_once)}, in pieces {_short(in_pieces)}")


# Encoding, with the payloads that came out.


def encode(codec, batches, lend=call):
    """Encode and mask some of the payloads; their own octets say how."""
    results = []
    for payload in _payloads(batches)[:MAX_ENCODED]:
        first = payload[0] if payload else 0x81
        opcode, fin, rsv1 = first & 0x0F, first >= 0x80, bool(first & 0x40)
        key = (payload[1:5] + b"mask")[:4]
        results.append(lend(functools.partial(_mask, codec, key), payload))
        for mask_key in (None, key):
            how = codec, opcode, mask_key, fin, rsv1
            results.append(lend(functools.partial(_frame, *how), payload))
            results.append(codec.encode_header(opcode, len(payload), mask_key, fin, rsv1))
    return results


def _payloads(batches):
    items = [item for batch, _ in batches for item in batch]
    texts = [item.encode() for item in items if isinstance(item, str)]
    frame_payloads = [item.payload for item in items if isinstance(item, Frame)]
    return texts + [item for item in items if isinstance(item, bytes)] + frame_payloads


def _mask(codec, key, payload):
    return codec.apply_mask(payload, key)


def _frame(codec, opcode, mask_key, fin, rsv1, payload):
    return codec.encode_frame(opcode, payload, mask_key, fin, rsv1)


# All of it.


def check(data: bytes, codec=None, lend=call) -> None:
    """
    Try an input: with the Python codec, and where one is given with another one.

    Raises:
        Difference: a codec does not do what it must.
    """
    case = parse(data)
    expected = decode(_pycodec, case)
    check_sense(expected)
    check_cuts(_pycodec, case, expected)
    if codec is not None:
        compare(case, expected, decode(codec, case, lend))
        compare_encoded(encode(_pycodec, expected), encode(codec, expected, lend))


def compare_encoded(expected, actual) -> None:
    for ours, theirs in zip(expected, actual):
        if ours != theirs or type(theirs) is not bytes:
            raise Difference(f"encoded as {_short(theirs)}, expected {_short(ours)}")


def exercise(data: bytes, codec, lend=call) -> None:
    """Do the same once more with one codec only, for the harness to look for leaks."""
    case = parse(data)
    encode(codec, decode(codec, case, lend), lend)


def watched(codec):
    """Return what a codec could hold on to without allocating anything."""
    constants = [None, True, False, b"", "", bytes(1), "a", *range(16)]
    rules = [frames.check_header, frames.check_length, frames.invalid_text]
    types = [Frame, ProtocolError, MessageTooBig, UnicodeDecodeError, codec.FrameDecoder]
    return (*constants, *rules, *types)
