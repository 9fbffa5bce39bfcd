"""
Frames to bytes and bytes to frames: one class of tests for every implementation.

An implementation is a module with FrameDecoder, encode_frame, encode_header and apply_mask.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import syncws.sansio._pycodec
import syncws.sansio.codec
from support import wire
from syncws.exceptions import MessageTooBig, ProtocolError
from syncws.sansio.assembler import Assembler
from syncws.sansio.frames import Frame

CODECS = [("python", syncws.sansio._pycodec)]
if importlib.util.find_spec("syncws.sansio._speedups") or os.environ.get("SYNCWS_REQUIRE_C") == "1":
    CODECS.append(("c", importlib.import_module("syncws.sansio._speedups")))

# One key for each direction: what a server reads is masked, what a client reads is not.
DIRECTIONS = [pytest.param(wire.KEY, id="to server"), pytest.param(None, id="to client")]

BOUNDS = [0, 1, 125, 126, 127, 65535, 65536, 65537]

quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    # The codecs are parameters of one class, so each has its own instance of it.
    suppress_health_check=[HealthCheck.differing_executors],
)


@pytest.fixture(
    params=[module for _, module in CODECS], ids=[name for name, _ in CODECS], scope="module"
)
def codec(request):
    return request.param


# What is said below in terms of these: decode a list of pieces, join what came out in pieces.


def decode(codec, pieces, key=wire.KEY, max_size=None):
    """Return all items that the pieces give."""
    decoder = codec.FrameDecoder(key is not None, max_size)
    return [item for piece in pieces for item in decoder.feed(piece)]


def joined(items):
    """
    Put the pieces of frames together again.

    Returns (opcode, payload, fin) for each frame that has begun, and the close code of an error.
    """
    frames = []
    open_frame = False
    for item in items:
        if isinstance(item, ProtocolError):
            frames.append(item.code)
        elif isinstance(item, str):
            frames.append((wire.TEXT, item.encode(), True))
        elif isinstance(item, bytes):
            frames.append((wire.BINARY, item, True))
        elif open_frame:
            assert (item.opcode, item.rsv1) == (wire.CONT, False)
            opcode, payload, _ = frames[-1]
            frames[-1] = (opcode, payload + item.payload, item.fin)
        else:
            assert item.end or item.opcode in wire.DATA_OPCODES
            frames.append((item.opcode, item.payload, item.fin))
        open_frame = isinstance(item, Frame) and not item.end
    return frames


def failure(codec, pieces):
    """Return the index of the piece that breaks a rule of text, or None."""
    decoder = codec.FrameDecoder(False, None)
    assembler = Assembler(None, None)
    for index, piece in enumerate(pieces):
        for item in decoder.feed(piece):
            if isinstance(item, Frame):
                try:
                    assembler.add(item)
                except ProtocolError as exc:
                    item = exc
            if isinstance(item, ProtocolError):
                assert item.code == 1007
                return index
    return None


# One frame of each kind, and messages in fragments with control frames between.
EVERY_KIND = [
    (wire.TEXT, "Hello κόσμε".encode(), True),
    (wire.BINARY, bytes(range(250, 256)), True),
    (wire.TEXT, b"", True),
    (wire.BINARY, b"", True),
    (wire.PING, b"", True),
    (wire.PONG, b"pong", True),
    (wire.TEXT, b"frag", False),
    (wire.PING, b"between", True),
    (wire.CONT, b"", False),
    (wire.CONT, b"\xce", False),
    (wire.PONG, b"", True),
    (wire.CONT, b"\xba", True),
    (wire.BINARY, b"", False),
    (wire.CONT, bytes(130), True),
    (wire.BINARY, b"\x81" * 127, True),
    (wire.CLOSE, b"\x03\xe8bye", True),
]


def written(frames, key):
    return b"".join(wire.frame(*frame[:2], fin=frame[2], key=key) for frame in frames)


# Hypothesis: streams that keep the rules.

payloads = st.one_of(st.binary(max_size=20), st.sampled_from([125, 126, 127, 300, 2000]).map(bytes))
controls = st.lists(
    st.tuples(
        st.sampled_from([wire.PING, wire.PONG]),
        st.binary(max_size=20) | st.just(bytes(125)),
        st.just(True),
    ),
    max_size=2,
)
whole_texts = st.text(max_size=20).map(lambda text: [(wire.TEXT, text.encode(), True)])
whole_binaries = payloads.map(lambda payload: [(wire.BINARY, payload, True)])


@st.composite
def fragmented(draw):
    parts = draw(st.lists(payloads, min_size=2, max_size=4))
    opcode = draw(st.sampled_from([wire.TEXT, wire.BINARY]))
    frames = [(opcode, parts[0], False), *draw(controls)]
    for part in parts[1:-1]:
        frames += [(wire.CONT, part, False), *draw(controls)]
    return [*frames, (wire.CONT, parts[-1], True)]


streams = st.lists(whole_texts | whole_binaries | controls | fragmented(), max_size=5).map(
    lambda parts: [frame for part in parts for frame in part]
)
sizes = st.lists(st.integers(1, 40) | st.just(5000), max_size=6)
keys = st.none() | st.binary(min_size=4, max_size=4)


class TestCodec:
    """What any implementation of the codec must do."""

    # Masking.

    def test_apply_mask_is_the_rfcs_at_every_size_and_offset(self, codec):
        """For sizes 0 to 260 and a key turned to each offset, masking is that of section 5.3."""
        data = random.Random(1).randbytes(260)
        turned = [wire.KEY[turn:] + wire.KEY[:turn] for turn in range(4)]

        wrong = [
            (size, turn)
            for size in range(261)
            for turn in range(4)
            if codec.apply_mask(data[:size], turned[turn]) != wire.mask(data[:size], offset=turn)
        ]

        assert turned[1] != wire.KEY
        assert wrong == []

    def test_apply_mask_takes_data_at_any_address(self, codec):
        """Data that starts at any offset of a buffer is masked alike."""
        data = random.Random(2).randbytes(300)
        views = [memoryview(data)[start:end] for start in range(17) for end in range(250, 267)]

        wrong = [view for view in views if codec.apply_mask(view, wire.KEY) != wire.mask(view)]

        assert wrong == []

    def test_apply_mask_is_its_own_inverse(self, codec):
        """Masking twice gives the data back."""
        data = random.Random(3).randbytes(1001)

        assert (
            codec.apply_mask(codec.apply_mask(data, b"\x00\xff\x80\x7f"), b"\x00\xff\x80\x7f")
            == data
        )

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_apply_mask_takes_what_is_like_bytes(self, codec, kind):
        """Whatever kind of buffer goes in, bytes come out."""
        result = codec.apply_mask(kind(b"Hello"), wire.KEY)

        assert type(result) is bytes
        assert result.hex() == "7f9f4d5158"

    # Encoding.

    @pytest.mark.parametrize("vector", wire.VECTORS, ids=lambda vector: vector.name)
    def test_encode_frame_writes_the_examples_of_the_rfc(self, codec, vector):
        """The examples of section 5.7 are written as they stand there."""
        data = codec.encode_frame(vector.opcode, vector.payload, vector.key, vector.fin)

        assert data == vector.wire
        assert type(data) is bytes

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("size", [*BOUNDS, 2**31, 2**32, 2**63 - 1])
    def test_encode_header_takes_the_shortest_length(self, codec, size, key):
        """Every length is written in the fewest bytes, with the key at the end if there is one."""
        data = codec.encode_header(wire.BINARY, size, key)

        assert data == wire.header(wire.BINARY, size, key=key)
        assert type(data) is bytes

    @pytest.mark.parametrize("fin", [True, False])
    @pytest.mark.parametrize("rsv1", [True, False])
    @pytest.mark.parametrize("opcode", [*wire.DATA_OPCODES, *wire.CONTROL_OPCODES])
    def test_encode_sets_the_bits_it_is_told(self, codec, opcode, fin, rsv1):
        """FIN, RSV1 and opcode go to their bits, in a header and in a frame."""
        expected = wire.frame(opcode, b"x", fin=fin, rsv=4 * rsv1)

        assert codec.encode_header(opcode, 1, None, fin, rsv1) + b"x" == expected
        assert codec.encode_frame(opcode, b"x", None, fin, rsv1) == expected
        assert codec.encode_frame(opcode, b"x", None, fin=fin, rsv1=rsv1) == expected

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    @pytest.mark.parametrize("size", BOUNDS)
    def test_encode_frame_takes_what_is_like_bytes(self, codec, size, kind, key):
        """A payload of any size and any kind of buffer becomes one piece of bytes."""
        payload = random.Random(size).randbytes(size)

        data = codec.encode_frame(wire.BINARY, kind(payload), key)

        assert type(data) is bytes
        assert data == wire.frame(wire.BINARY, payload, key=key)

    # Decoding what keeps the rules.

    @pytest.mark.parametrize("vector", wire.VECTORS, ids=lambda vector: vector.name)
    def test_decoder_reads_the_examples_of_the_rfc(self, codec, vector):
        """The examples of section 5.7 are read as they are meant."""
        items = decode(codec, [vector.wire], vector.key)

        assert joined(items) == [(vector.opcode, vector.payload, vector.fin)]

    @pytest.mark.parametrize("key", DIRECTIONS)
    def test_decoder_gives_whole_messages_as_str_and_bytes(self, codec, key):
        """A data message that arrived whole in one frame comes out finished."""
        data = written([(1, "é".encode(), True), (2, b"\xe9", True), (1, b"", True)], key)

        assert decode(codec, [data], key) == ["é", b"\xe9", ""]

    @pytest.mark.parametrize("key", DIRECTIONS)
    def test_decoder_gives_everything_else_as_frames(self, codec, key):
        """Control frames and fragments come out as Frames with plain bytes."""
        data = written([(1, b"a", False), (9, b"p", True), (0, b"", False), (0, b"b", True)], key)

        items = decode(codec, [data], key)

        assert items == [
            Frame(1, b"a", fin=False),
            Frame(9, b"p"),
            Frame(0, b"", fin=False),
            Frame(0, b"b"),
        ]
        assert {type(item) for item in items} == {Frame}
        assert {type(item.payload) for item in items} == {bytes}

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("size", BOUNDS)
    def test_decoder_reads_every_length(self, codec, size, key):
        """A payload on either side of each border between length forms arrives."""
        payload = random.Random(size).randbytes(size)

        assert decode(codec, [wire.frame(wire.BINARY, payload, key=key)], key) == [payload]

    @pytest.mark.parametrize("key", DIRECTIONS)
    def test_decoder_does_not_mind_where_the_stream_is_cut(self, codec, key):
        """Whole, cut once at any point, or byte by byte: every kind of frame arrives the same."""
        data = written(EVERY_KIND, key)

        outcomes = [joined(decode(codec, pieces, key)) for pieces in wire.cuts(data)]

        assert outcomes == [EVERY_KIND] * (len(data) + 1)

    @pytest.mark.parametrize("size", range(1, 12))
    def test_decoder_unmasks_pieces_of_any_size(self, codec, size):
        """A masked frame is unmasked rightly in whatever pieces it arrives."""
        payload = random.Random(4).randbytes(261)
        data = wire.frame(wire.BINARY, payload, key=wire.KEY)

        items = decode(codec, wire.pieces_of(data, [size, 3, size]))

        assert joined(items) == [(wire.BINARY, payload, True)]

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("fin", [True, False])
    def test_decoder_passes_a_long_frame_on_in_pieces(self, codec, fin, key):
        """What has arrived of a data frame comes out at once; only the last piece ends it."""
        decoder = codec.FrameDecoder(key is not None, None)
        data = wire.frame(wire.BINARY, b"abcdefghij", fin=fin, key=key)
        start = len(data) - 10

        batches = [
            decoder.feed(data[:start]),
            decoder.feed(data[start : start + 3]),
            decoder.feed(data[start + 3 : start + 9]),
            decoder.feed(data[start + 9 :] + wire.frame(wire.PING, key=key)),
        ]

        assert batches == [
            [],
            [Frame(2, b"abc", fin=False, end=False)],
            [Frame(0, b"defghi", fin=False, end=False)],
            [Frame(0, b"j", fin=fin, end=True), Frame(9, b"")],
        ]

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("opcode", [wire.TEXT, wire.BINARY])
    def test_decoder_marks_compressed_messages(self, codec, opcode, key):
        """With an extension RSV1 comes out of it, with the first piece of a message only."""
        whole = wire.frame(opcode, b"abc", rsv=4, key=key)
        fragments = wire.frame(opcode, b"a", fin=False, rsv=4, key=key) + wire.frame(
            0, b"b", key=key
        )
        plain = wire.frame(opcode, b"abc", key=key)
        start = len(plain) - 1

        decoder = codec.FrameDecoder(key is not None, 100, True)
        together = decoder.feed(whole + fragments + plain)
        pieces = decoder.feed(whole[:start]) + decoder.feed(whole[start:])

        message = "abc" if opcode == wire.TEXT else b"abc"
        assert together == [
            Frame(opcode, b"abc", True, True),
            Frame(opcode, b"a", False, True),
            Frame(0, b"b", True, False),
            message,
        ]
        assert pieces == [Frame(opcode, b"ab", False, True, False), Frame(0, b"c")]

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("opcode", [wire.CONT, *wire.CONTROL_OPCODES, 3, 11])
    @pytest.mark.parametrize("rsv", [1, 2, 3, 4, 5])
    def test_decoder_lets_an_extension_mark_nothing_else(self, codec, opcode, rsv, key):
        """RFC 7692 section 6: RSV1, and on the first frame of a data message only."""
        decoder = codec.FrameDecoder(key is not None, None, True)

        (error,) = decoder.feed(wire.frame(opcode, b"", rsv=rsv, key=key))

        assert error.code == 1002

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("opcode", [wire.TEXT, wire.BINARY])
    def test_decoder_refuses_other_bits_of_a_message(self, codec, opcode, key):
        """Bits that nobody has agreed on are an error, also beside RSV1."""
        for rsv in (1, 2, 3, 5, 6, 7):
            decoder = codec.FrameDecoder(key is not None, None, True)
            assert decoder.feed(wire.frame(opcode, b"", rsv=rsv, key=key))[0].code == 1002
        decoder = codec.FrameDecoder(key is not None, None)
        assert decoder.feed(wire.frame(opcode, b"", rsv=4, key=key))[0].code == 1002

    @pytest.mark.parametrize("key", DIRECTIONS)
    def test_decoder_does_not_measure_what_is_compressed(self, codec, key):
        """How long it is shows afterwards; what is not compressed is measured as ever."""
        decoder = codec.FrameDecoder(key is not None, 10, True)
        compressed = wire.frame(1, bytes(11), fin=False, rsv=4, key=key)
        compressed += wire.frame(0, bytes(11), key=key)

        assert len(decoder.feed(compressed)) == 2
        (error,) = decoder.feed(wire.frame(2, bytes(11), key=key))
        assert type(error) is MessageTooBig

    @pytest.mark.parametrize("key", DIRECTIONS)
    def test_decoder_passes_on_a_piece_behind_other_frames(self, codec, key):
        """The beginning of a frame comes out in the batch with what came before it."""
        data = written([(2, b"first", True), (2, b"second", True)], key)

        items = decode(codec, [data[:-4]], key)

        assert items == [b"first", Frame(2, b"se", fin=False, end=False)]

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("opcode", wire.CONTROL_OPCODES)
    def test_decoder_keeps_a_control_frame_until_it_is_whole(self, codec, opcode, key):
        """A control frame never comes out in pieces, even byte by byte."""
        frame = wire.frame(opcode, b"x" * 125, key=key)
        decoder = codec.FrameDecoder(key is not None, None)

        batches = [decoder.feed(octet) for octet in wire.octets(frame)]

        assert batches == [[]] * (len(frame) - 1) + [[Frame(opcode, b"x" * 125)]]

    @pytest.mark.parametrize("key", DIRECTIONS)
    def test_decoder_counts_the_messages_of_a_batch(self, codec, key):
        """``messages`` is how many items of the last batch are finished messages."""
        decoder = codec.FrameDecoder(key is not None, None)
        message = wire.frame(wire.TEXT, b"Hello", key=key)
        ping = wire.frame(wire.PING, key=key)
        batches = [
            message + message,
            message + ping,
            message,
            message[:-1],
            message[-1:],
            message + message[:1],
            message[1:] + message,
            wire.frame(wire.TEXT, fin=False, key=key),
            wire.frame(wire.CONT, key=key),
            b"",
            b"\xff\xff",
        ]

        counts = [(decoder.feed(batch), decoder.messages)[1] for batch in batches]

        assert codec.FrameDecoder(False, None).messages == 0
        assert counts == [2, 1, 1, 0, 0, 1, 2, 0, 0, 0, 0]

    # Rules.

    @pytest.mark.parametrize("expect_mask", [True, False])
    def test_decoder_judges_every_header_as_the_rfc_does(self, codec, expect_mask):
        """Each of the 65,536 beginnings of a frame is refused at once, or else waited on."""
        legal = (*wire.DATA_OPCODES, *wire.CONTROL_OPCODES)
        masks = range(0x80, 0x100) if expect_mask else range(0x80)
        good = {
            (fin | opcode, second)
            for fin in (0x00, 0x80)
            for opcode in legal
            for second in masks
            if opcode < 8 or (fin and second & 0x7F <= 125)
        }

        accepted = {
            (first, second)
            for first in range(256)
            for second in range(256)
            if not refused(codec, expect_mask, bytes((first, second)))
        }

        assert accepted == good

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize(
        ("rule", "opcode", "options"),
        [
            *[(f"reserved bits {rsv:03b}", wire.TEXT, {"rsv": rsv}) for rsv in range(1, 8)],
            *[(f"reserved bits {rsv:03b}", wire.PING, {"rsv": rsv}) for rsv in (1, 2, 4)],
            *[(f"opcode 0x{opcode:X} is", opcode, {}) for opcode in wire.RESERVED_OPCODES],
            ("CLOSE frame is fragmented", wire.CLOSE, {"fin": False}),
            ("PING frame is fragmented", wire.PING, {"fin": False}),
            ("PONG frame is fragmented", wire.PONG, {"fin": False}),
        ],
    )
    def test_decoder_names_the_rule_that_a_header_breaks(self, codec, rule, opcode, options, key):
        """A header that breaks a rule is refused by two bytes, with 1002 and the rule's name."""
        data = wire.frame(opcode, b"x", key=key, **options)

        (error,) = decode(codec, [data[:2]], key)

        assert rule in str(error)
        assert error.code == 1002

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("opcode", wire.CONTROL_OPCODES)
    def test_decoder_refuses_a_long_control_frame(self, codec, opcode, key):
        """A control frame of 125 bytes is good; one of 126 is refused by its second byte."""
        good = wire.frame(opcode, bytes(125), key=key)
        long = wire.frame(opcode, bytes(126), key=key)
        longer = wire.frame(opcode, bytes(65536), key=key)

        assert joined(decode(codec, [good], key)) == [(opcode, bytes(125), True)]
        assert joined(decode(codec, [long[:2]], key)) == [1002]
        assert joined(decode(codec, [longer[:2]], key)) == [1002]

    @pytest.mark.parametrize("opcode", [*wire.DATA_OPCODES, *wire.CONTROL_OPCODES])
    def test_decoder_of_a_server_wants_every_frame_masked(self, codec, opcode):
        """A server refuses an unmasked frame of any kind (section 5.1)."""
        (error,) = decode(codec, [wire.frame(opcode)])

        assert str(error) == "client sent an unmasked frame (5.1)"
        assert error.code == 1002

    @pytest.mark.parametrize("opcode", [*wire.DATA_OPCODES, *wire.CONTROL_OPCODES])
    def test_decoder_of_a_client_wants_no_frame_masked(self, codec, opcode):
        """A client refuses a masked frame of any kind (section 5.1)."""
        (error,) = decode(codec, [wire.frame(opcode, key=wire.KEY)], key=None)

        assert str(error) == "server sent a masked frame (5.1)"
        assert error.code == 1002

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("opcode", wire.DATA_OPCODES)
    @pytest.mark.parametrize(
        ("form", "size"),
        [(16, 0), (16, 1), (16, 125), (64, 0), (64, 125), (64, 126), (64, 65535)],
    )
    def test_decoder_refuses_a_length_that_is_too_long_a_form(self, codec, opcode, form, size, key):
        """A length must be in the fewest bytes, and one that is not is refused by itself."""
        length_only = wire.header(opcode, size, key=key, form=form)[: 2 + form // 8]

        (error,) = decode(codec, [length_only], key)

        assert str(error) == f"length {size} is not encoded in the fewest bytes (5.2)"
        assert error.code == 1002

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("max_size", [None, 2**20])
    @pytest.mark.parametrize("size", [2**63, 2**64 - 1])
    def test_decoder_refuses_a_length_with_its_top_bit_set(self, codec, size, max_size, key):
        """The most significant bit of a 64-bit length must be 0, whatever the limit."""
        length_only = wire.header(wire.BINARY, size, key=key)[:10]

        (error,) = decode(codec, [length_only], key, max_size)

        assert str(error) == f"length {size} has its most significant bit set (5.2)"
        assert error.code == 1002

    # Limits.

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("opcode", wire.DATA_OPCODES)
    @pytest.mark.parametrize(
        ("size", "end"), [(1001, 4), (65536, 10), (2**31, 10), (2**32, 10), (2**63 - 1, 10)]
    )
    def test_decoder_refuses_a_frame_over_the_limit_by_its_length(
        self, codec, size, end, opcode, key
    ):
        """A length over the limit is refused before a byte of the payload, or its key, is there."""
        length_only = wire.header(opcode, size, fin=False, key=key)[:end]

        (error,) = decode(codec, [length_only], key, max_size=1000)

        assert isinstance(error, MessageTooBig)
        assert (error.size, error.limit, error.code) == (size, 1000, 1009)

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("max_size", [0, 1, 125, 126, 65536])
    def test_decoder_takes_a_frame_of_exactly_the_limit(self, codec, max_size, key):
        """A message as long as the limit passes; one byte more does not."""
        exact = wire.frame(wire.BINARY, bytes(max_size), key=key)
        more = wire.frame(wire.BINARY, bytes(max_size + 1), key=key)

        assert decode(codec, [exact], key, max_size) == [bytes(max_size)]
        assert joined(decode(codec, [more], key, max_size)) == [1009]

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("opcode", wire.CONTROL_OPCODES)
    def test_decoder_does_not_limit_control_frames(self, codec, opcode, key):
        """The limit is for messages: control frames have their own."""
        data = wire.frame(opcode, b"x" * 125, key=key)

        assert joined(decode(codec, [data], key, max_size=0)) == [(opcode, b"x" * 125, True)]

    @pytest.mark.parametrize("key", DIRECTIONS)
    def test_decoder_delivers_a_pong_before_a_length_over_the_limit(self, codec, key):
        """A control frame between fragments arrives although the next fragment is too long."""
        data = written([(2, b"x", False), (10, b"p", True)], key)
        data += wire.header(wire.CONT, 1001, key=key)

        items = decode(codec, [data], key, max_size=1000)

        assert joined(items) == [(2, b"x", False), (10, b"p", True), 1009]

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("max_size", [None, 2**20])
    @pytest.mark.parametrize("size", [2**20 + 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
    def test_decoder_allocates_nothing_by_a_declared_length(self, codec, size, max_size, key):
        """Whatever length a header declares, memory does not move before the bytes come."""
        header = wire.header(wire.BINARY, size, key=key)

        peak = wire.peak_memory(lambda: decode(codec, [header, b"x" * 10], key, max_size))

        assert peak < 32 * 1024

    def test_decoder_lets_go_of_what_it_passed_on(self, codec):
        """A long frame takes no more memory than the piece that is just arriving."""
        decoder = codec.FrameDecoder(True, None)
        piece = bytes(1024)
        decoder.feed(wire.header(wire.BINARY, 2**40, key=wire.KEY))

        peak = wire.peak_memory(lambda: [len(decoder.feed(piece)) for _ in range(1000)])

        assert peak < 64 * 1024

    # Violations.

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize(
        ("bad", "code"),
        [
            ({"opcode": wire.TEXT, "payload": b"\xff"}, 1007),
            ({"opcode": 0x3}, 1002),
            ({"opcode": wire.BINARY, "payload": bytes(1001)}, 1009),
        ],
    )
    def test_decoder_delivers_what_came_before_a_violation_and_nothing_after(
        self, codec, bad, code, key
    ):
        """In the batch of the violation, all before it arrives, then the error, then nothing."""
        before = [(1, b"one", True), (9, b"two", True), (2, b"three", False)]
        data = written(before, key) + wire.frame(**bad, key=key) + written(before, key)

        items = decode(codec, [data], key, max_size=1000)

        assert joined(items) == [*before, code]

    @pytest.mark.parametrize("key", DIRECTIONS)
    def test_decoder_finds_a_violation_at_every_cut(self, codec, key):
        """However the stream is cut, it gives the same frames before the violation."""
        before = [(1, b"one", True), (9, b"two", True), (2, b"three", False)]
        data = written(before, key) + wire.frame(0x3, key=key) + written(before, key)

        outcomes = [joined(decode(codec, pieces, key)) for pieces in wire.cuts(data)]

        assert outcomes == [[*before, 1002]] * (len(data) + 1)

    @pytest.mark.parametrize("key", DIRECTIONS)
    def test_decoder_swallows_everything_after_an_error(self, codec, key):
        """Once a rule was broken, nothing comes out any more."""
        decoder = codec.FrameDecoder(key is not None, None)
        decoder.feed(wire.frame(0x3, key=key))

        later = [decoder.feed(wire.frame(wire.TEXT, b"x", key=key)), decoder.feed(b"\xff" * 10)]

        assert later == [[], []]

    # UTF-8 (section 8.1). Within a frame that comes in pieces the assembler finds the error.

    @pytest.mark.parametrize("key", DIRECTIONS)
    @pytest.mark.parametrize("text", wire.TEXTS.values(), ids=wire.TEXTS.keys())
    def test_decoder_checks_the_text_of_a_whole_message(self, codec, text, key):
        """A whole text message is delivered exactly if it is UTF-8."""
        items = decode(codec, [wire.frame(wire.TEXT, text, key=key)], key)

        valid = wire.read_utf8(text).valid
        assert joined(items) == [(wire.TEXT, text, True) if valid else 1007]

    @pytest.mark.parametrize("text", wire.TEXTS.values(), ids=wire.TEXTS.keys())
    def test_text_in_single_bytes_fails_at_the_very_byte_that_is_wrong(self, codec, text):
        """In one frame that arrives byte by byte, the first wrong byte fails, and none before."""
        pieces = [wire.header(wire.TEXT, len(text)), *wire.octets(text)]

        failed_at = failure(codec, pieces)

        wrong = wire.read_utf8(text).fails_at(len(text))
        assert failed_at == (None if wrong is None else 1 + wrong)

    @pytest.mark.parametrize("text", wire.TEXTS.values(), ids=wire.TEXTS.keys())
    def test_text_in_single_byte_fragments_fails_at_the_very_byte_that_is_wrong(self, codec, text):
        """In fragments of one byte, the first wrong byte fails, or else the end."""
        fragments = [wire.frame(wire.CONT, octet, fin=False) for octet in wire.octets(text)]
        pieces = [wire.frame(wire.TEXT, fin=False), *fragments, wire.frame(wire.CONT)]

        failed_at = failure(codec, pieces)

        wrong, unfinished = wire.read_utf8(text)
        at_the_end = len(pieces) - 1 if unfinished else None
        assert failed_at == (at_the_end if wrong is None else 1 + wrong)

    @pytest.mark.parametrize("text", wire.TEXTS.values(), ids=wire.TEXTS.keys())
    def test_text_in_a_frame_cut_anywhere_fails_in_the_piece_that_is_wrong(self, codec, text):
        """A frame cut at any byte fails as soon as the wrong byte has arrived."""
        data = wire.frame(wire.TEXT, text)
        wrong = wire.read_utf8(text).fails_at(len(text))

        failed_in = [failure(codec, [data[:cut], data[cut:]]) for cut in range(2, len(data))]

        assert failed_in == [
            None if wrong is None else int(wrong >= cut - 2) for cut in range(2, len(data))
        ]

    @pytest.mark.parametrize("text", wire.TEXTS.values(), ids=wire.TEXTS.keys())
    def test_text_in_two_fragments_fails_in_the_fragment_that_is_wrong(self, codec, text):
        """A message split at any byte fails in the fragment of the wrong byte, or at its end."""
        wrong, unfinished = wire.read_utf8(text)

        failed_in = [
            failure(
                codec,
                [wire.frame(wire.TEXT, text[:cut], fin=False), wire.frame(wire.CONT, text[cut:])],
            )
            for cut in range(len(text) + 1)
        ]

        at_the_end = 1 if unfinished else None
        assert failed_in == [
            at_the_end if wrong is None else int(wrong >= cut) for cut in range(len(text) + 1)
        ]

    # Anything at all.

    @quick
    @given(frames=streams, sizes=sizes, key=keys)
    def test_what_is_encoded_is_decoded_again(self, codec, frames, sizes, key):
        """Any legal stream, written by the codec and cut anywhere, is read as it was meant."""
        data = b"".join(codec.encode_frame(*frame[:2], key, frame[2]) for frame in frames)

        items = decode(codec, wire.pieces_of(data, sizes), key)

        assert data == written(frames, key)
        assert joined(items) == frames

    @quick
    @given(data=st.binary(max_size=300), sizes=sizes, key=keys, max_size=st.none() | st.just(100))
    def test_garbage_never_raises_or_loops(self, codec, data, sizes, key, max_size):
        """Random bytes give a bounded number of items, the last of which may be an error."""
        items = decode(codec, wire.pieces_of(data, sizes), key, max_size)

        errors = [item for item in items if isinstance(item, ProtocolError)]
        assert len(items) <= len(data) + 1
        assert {type(item) for item in items} <= {str, bytes, Frame, ProtocolError, MessageTooBig}
        assert errors in ([], items[-1:])

    @quick
    @given(
        frames=streams,
        sizes=sizes,
        key=keys,
        damage=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3),
    )
    def test_all_codecs_agree_on_damaged_streams(self, codec, frames, sizes, key, damage):
        """Whatever a stream has become, every implementation says the same about it."""
        data = bytearray(written(frames, key))
        for position, value in damage:
            data[position : position + 1] = [value]

        pieces = wire.pieces_of(bytes(data), sizes)

        items = decode(codec, pieces, key, 1000)

        _, reference = CODECS[0]
        assert list(map(repr, items)) == list(map(repr, decode(reference, pieces, key, 1000)))


def refused(codec, expect_mask, data):
    items = codec.FrameDecoder(expect_mask, None).feed(data)
    return any(isinstance(item, ProtocolError) for item in items)


def test_wire_helpers_write_the_examples_of_the_rfc():
    """The helpers that these tests stand on write the examples of section 5.7."""
    made = [
        wire.frame(vector.opcode, vector.payload, fin=vector.fin, key=vector.key)
        for vector in wire.VECTORS
    ]

    assert made == [vector.wire for vector in wire.VECTORS]


def test_codec_module_offers_one_of_the_implementations():
    """What the library uses is, as a whole, one of the implementations tested here."""
    chosen = syncws.sansio.codec
    names = ["FrameDecoder", "apply_mask", "encode_frame", "encode_header"]

    matching = [
        name
        for name, module in CODECS
        if all(getattr(chosen, part) is getattr(module, part) for part in names)
    ]

    assert matching
    assert {*names, "Item", "ACCELERATED"} == set(chosen.__all__)
