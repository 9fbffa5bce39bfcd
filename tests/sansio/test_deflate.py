"""permessage-deflate (RFC 7692): what is agreed on, and messages into and out of that form."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import wire
from syncws.codes import Role
from syncws.exceptions import MessageTooBig, NegotiationError, ProtocolError
from syncws.options import Deflate
from syncws.sansio.deflate import (
    STEP,
    Agreement,
    Deflater,
    Inflater,
    agreed,
    answer_offers,
    check_answer,
    make_offer,
)
from syncws.sansio.frames import Frame

TAIL = b"\x00\x00\xff\xff"
OURS = Deflate(server_max_window_bits=12)
WIDE = Deflate(server_max_window_bits=15, client_max_window_bits=15)
TEXT = b"the quick brown fox jumps over the lazy dog; " * 20


def raw(data, bits=15, mode=zlib.Z_SYNC_FLUSH):
    """Return a raw deflate stream as it goes out."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -bits)
    stream = compressor.compress(data) + compressor.flush(mode)
    return stream[:-4] if mode == zlib.Z_SYNC_FLUSH else stream


def message(payload, fin=True, opcode=wire.BINARY):
    return Frame(opcode, payload, fin, True)


def inflated(inflater, *frames):
    """Return what comes out of the frames, joined; see that only the last piece ends anything."""
    out = b""
    for frame in frames:
        pieces = list(inflater.pieces(frame))
        assert [piece.end for piece in pieces] == [False] * (len(pieces) - 1) + [frame.end]
        assert [piece.fin for piece in pieces] == [False] * (len(pieces) - 1) + [frame.fin]
        assert [piece.opcode for piece in pieces] == [frame.opcode] + [0] * (len(pieces) - 1)
        out += b"".join(piece.payload for piece in pieces)
    return out


def inflater(bits=15, takeover=True, max_size=None):
    return Inflater(bits, takeover, max_size)


# What a client offers, and what becomes of it.


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Deflate(), "permessage-deflate; client_max_window_bits=12"),
        (OURS, "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"),
        (WIDE, "permessage-deflate; client_max_window_bits"),
        (
            Deflate(True, True, 8, 15),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=8; client_max_window_bits",
        ),
    ],
)
def test_offer(settings, expected):
    assert make_offer(settings) == expected


@pytest.mark.parametrize(
    ("settings", "offers", "answer"),
    [
        (WIDE, "permessage-deflate", "permessage-deflate"),
        (WIDE, "permessage-deflate; client_max_window_bits", "permessage-deflate"),
        (
            Deflate(),
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        # Without the client's word, its window cannot be limited.
        (Deflate(), "permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
        (
            WIDE,
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
        ),
        (
            WIDE,
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
        ),
        (
            Deflate(),
            "permessage-deflate; server_max_window_bits=8; client_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=8; client_max_window_bits=12",
        ),
        (
            WIDE,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (
            Deflate(True, True, 15, 15),
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (
            WIDE,
            'permessage-deflate; server_max_window_bits="1\\0"',
            "permessage-deflate; server_max_window_bits=10",
        ),
        (WIDE, "x-webkit-deflate-frame, permessage-deflate", "permessage-deflate"),
        # The first that can be accepted.
        (
            WIDE,
            "permessage-deflate; server_max_window_bits=7, permessage-deflate; "
            "server_max_window_bits=9, permessage-deflate",
            "permessage-deflate; server_max_window_bits=9",
        ),
        (WIDE, "permessage-bzip2", None),
        (WIDE, "", None),
    ],
)
def test_accept(settings, offers, answer):
    assert answer_offers(settings, [offers]) == answer


BAD_PARAMETERS = [
    "unknown",
    "server_no_context_takeover=1",
    "client_no_context_takeover=true",
    "server_max_window_bits",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=08",
    "server_max_window_bits=+9",
    "server_max_window_bits=1e1",
    "client_max_window_bits=0",
    "client_max_window_bits=x",
    "server_max_window_bits=9; server_max_window_bits=9",
    "server_no_context_takeover; server_no_context_takeover",
    "Server_no_context_takeover",
]


@pytest.mark.parametrize("parameters", BAD_PARAMETERS)
def test_an_offer_with_bad_parameters_is_declined(parameters):
    """RFC 7692 section 7.1."""
    assert answer_offers(WIDE, [f"permessage-deflate; {parameters}"]) is None
    assert answer_offers(WIDE, [f"permessage-deflate; {parameters}", "permessage-deflate"])


@pytest.mark.parametrize("parameters", [*BAD_PARAMETERS, "client_max_window_bits"])
def test_an_answer_with_bad_parameters_fails_the_handshake(parameters):
    with pytest.raises(NegotiationError, match="permessage-deflate"):
        agreed([f"permessage-deflate; {parameters}"])


@pytest.mark.parametrize(
    "fields",
    [
        ["permessage-bzip2"],
        ["permessage-deflate, permessage-deflate"],
        ["permessage-deflate", "x"],
        ["permessage-deflate;"],
        ["permessage deflate"],
        ["permessage-deflate; server_max_window_bits="],
        ["="],
    ],
)
def test_an_answer_that_is_not_one_permessage_deflate_fails_the_handshake(fields):
    with pytest.raises(NegotiationError):
        agreed(fields)


def test_offers_that_cannot_be_read_are_an_error():
    with pytest.raises(ValueError, match="token"):
        answer_offers(WIDE, ["permessage deflate"])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([], None),
        (["permessage-deflate"], Agreement()),
        (
            ["permessage-deflate; server_no_context_takeover; client_max_window_bits=9"],
            Agreement(True, False, 15, 9),
        ),
        (
            ["permessage-deflate;client_no_context_takeover ; server_max_window_bits = 8"],
            Agreement(False, True, 8, 15),
        ),
    ],
)
def test_agreed(answer, expected):
    assert agreed(answer) == expected


@pytest.mark.parametrize(
    ("settings", "answer", "problem"),
    [
        (WIDE, "permessage-deflate", None),
        (WIDE, "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9", None),
        (WIDE, "permessage-deflate; server_no_context_takeover", None),
        (WIDE, "permessage-deflate; client_no_context_takeover", None),
        (OURS, "permessage-deflate; server_max_window_bits=12", None),
        (OURS, "permessage-deflate; server_max_window_bits=8", None),
        (OURS, "permessage-deflate", "server_max_window_bits is 15; we offered 12"),
        (
            OURS,
            "permessage-deflate; server_max_window_bits=13",
            "server_max_window_bits is 13; we offered 12",
        ),
        (
            OURS,
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=13",
            "client_max_window_bits is 13; we offered 12",
        ),
        (
            Deflate(server_no_context_takeover=True, server_max_window_bits=15),
            "permessage-deflate",
            "no server_no_context_takeover",
        ),
        # What gorilla/websocket answers to anything.
        (
            Deflate(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            None,
        ),
        (None, "permessage-deflate", "we offered none"),
        (WIDE, "permessage-deflate; server_max_window_bits=7", "expected 8 to 15"),
    ],
)
def test_check_answer(settings, answer, problem):
    ours = [] if settings is None else [make_offer(settings)]

    if problem is None:
        check_answer(ours, [answer])
    else:
        with pytest.raises(NegotiationError, match=problem):
            check_answer(ours, [answer])


every = st.builds(
    Deflate,
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(8, 15),
    st.integers(8, 15),
    st.integers(0, 9),
)


@given(every, every, st.lists(st.binary(max_size=40) | st.just(TEXT), max_size=5))
def test_two_ends_that_agree_understand_each_other(client, server, messages):
    """Whatever the settings: an offer of ours is accepted, and messages go both ways."""
    fields = [answer_offers(server, [make_offer(client)])]
    check_answer([make_offer(client)], fields)
    agreement = agreed(fields)

    for sender, receiver, settings in (
        (Role.CLIENT, Role.SERVER, client),
        (Role.SERVER, Role.CLIENT, server),
    ):
        out, into = agreement.deflater(sender, settings), agreement.inflater(receiver, None)
        for payload in messages:
            out.begin()
            compressed = out.message(payload)
            out.commit()
            if compressed is not None:
                assert inflated(into, message(compressed)) == payload


# The examples of RFC 7692 section 7.2.3.

HELLO = bytes.fromhex("f248cdc9c90700")


def test_rfc_one_block():
    assert inflated(inflater(), message(HELLO)) == b"Hello"


def test_rfc_one_block_in_fragments():
    first, second = Frame(1, HELLO[:3], False, True), Frame(0, HELLO[3:], True)

    assert inflated(inflater(), first, second) == b"Hello"


def test_rfc_context_takeover():
    into = inflater()

    assert inflated(into, message(HELLO)) == b"Hello"
    assert inflated(into, message(bytes.fromhex("f200110000"))) == b"Hello"


def test_rfc_no_context_takeover():
    """What refers to the message before is damaged."""
    into = inflater(takeover=False)

    assert inflated(into, message(HELLO)) == b"Hello"
    with pytest.raises(ProtocolError, match="distance") as caught:
        inflated(into, message(bytes.fromhex("f200110000")))
    assert caught.value.code == 1007


def test_rfc_block_without_compression():
    assert inflated(inflater(), message(bytes.fromhex("000500faff48656c6c6f00"))) == b"Hello"


def test_rfc_final_block():
    into = inflater()

    for _ in range(3):
        assert inflated(into, message(bytes.fromhex("f348cdc9c9070000"))) == b"Hello"


def test_rfc_two_blocks():
    assert inflated(inflater(), message(bytes.fromhex("f248050000 00ffffcac9c90700"))) == b"Hello"


def test_rfc_empty_message():
    assert inflated(inflater(), message(b"\x00")) == b""


# Messages in.


@pytest.mark.parametrize("takeover", [True, False])
def test_messages_come_out_however_they_are_cut(takeover):
    """In one frame or two, in one piece or two."""
    data = raw(TEXT, 9)
    for at in range(len(data) + 1):
        into = inflater(9, takeover)
        halves = data[:at], data[at:]
        for _ in range(2):
            assert inflated(into, message(halves[0], False), Frame(0, halves[1])) == TEXT
            if halves[0]:
                piece = Frame(wire.BINARY, halves[0], False, True, False)
                assert inflated(into, piece, Frame(0, halves[1])) == TEXT
            if not takeover:
                continue
            into = inflater(9, takeover)


def test_messages_that_are_not_compressed_pass():
    into = inflater()
    frames = [Frame(1, b"abc", False), Frame(0, b"def"), Frame(2, b"\xff" * 100)]

    assert [list(into.pieces(frame)) for frame in frames] == [[frame] for frame in frames]


def test_large_messages_come_out_in_steps():
    data = raw(bytes(10 * STEP))
    pieces = list(inflater().pieces(message(data)))

    assert b"".join(piece.payload for piece in pieces) == bytes(10 * STEP)
    assert max(len(piece.payload) for piece in pieces) == STEP


@pytest.mark.parametrize("size", [STEP - 1, STEP, STEP + 1, 2 * STEP])
def test_sizes_at_the_border_of_a_step(size):
    payload = random.Random(size).randbytes(size)

    assert inflated(inflater(), message(raw(payload))) == payload


@pytest.mark.parametrize("takeover", [True, False])
def test_no_message_that_is_cut_off_is_taken_for_whole(takeover):
    """Wherever it is cut, in a block of any kind: what zlib adds at the end is no data."""
    for payload in (TEXT + bytes(range(256)), TEXT[:45], bytes(range(256)), b"abc"):
        data = raw(payload)
        for at in range(len(data)):
            if data[:at] == b"\x00":  # an empty message
                continue
            with pytest.raises(ProtocolError, match="compressed message") as caught:
                inflated(inflater(15, takeover), message(data[:at]))
            assert caught.value.code == 1007
        assert inflated(inflater(15, takeover), message(data)) == payload


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x07",
        b"\xff" * 10,
        HELLO + b"\x00",
        HELLO + b"garbage",
        HELLO + TAIL,
        b"\x00\x05\x00\xfa\xffHel",
        b"\x00\x05\x00\xfb\xffHello\x00",
        raw(TEXT, mode=zlib.Z_FINISH),
        raw(TEXT, mode=zlib.Z_FINISH) + b"\xff",
    ],
)
def test_damaged_data_is_refused(data):
    with pytest.raises(ProtocolError, match="compressed message") as caught:
        inflated(inflater(), message(data))

    assert caught.value.code == 1007


def test_a_stream_may_end_inside_a_message():
    data = raw(b"one ", mode=zlib.Z_FINISH) + raw(b"two ", mode=zlib.Z_FINISH) + raw(b"three")

    assert inflated(inflater(), message(data)) == b"one two three"


def test_streams_that_end_have_a_limit():
    """Each costs a new decompressor."""
    end = b"\x03\x00"

    assert inflated(inflater(), message(end * 64 + b"\x00")) == b""
    with pytest.raises(ProtocolError, match="over 64 final blocks"):
        inflated(inflater(), message(end * 65 + b"\x00"))


def test_a_large_stream_that_ends():
    data = raw(bytes(3 * STEP), mode=zlib.Z_FINISH) + raw(b"x" * STEP)

    assert inflated(inflater(), message(data)) == bytes(3 * STEP) + b"x" * STEP


# Limits.


@pytest.mark.parametrize("size", [0, 1, 1000, STEP, STEP + 1])
@pytest.mark.parametrize("takeover", [True, False])
def test_a_message_of_the_limit_passes_and_one_byte_more_does_not(size, takeover):
    """And no more is inflated than that byte."""
    for payload in (bytes(size), random.Random(1).randbytes(size)):
        into = inflater(15, takeover, size)
        assert inflated(into, message(raw(payload))) == payload

        for end in (b"x", bytes(10**5)):
            with pytest.raises(MessageTooBig) as caught:
                inflated(inflater(15, takeover, size), message(raw(payload + end)))
            assert (caught.value.size, caught.value.limit) == (size + 1, size)


def test_a_bomb_costs_no_memory():
    bomb = raw(bytes(2**26))

    def explode():
        with pytest.raises(MessageTooBig):
            for _ in inflater(15, True, 2**20).pieces(message(bomb)):
                pass

    assert len(bomb) < 2**17
    assert wire.peak_memory(explode) < 2**20


def test_data_that_inflates_to_nothing_has_a_limit():
    into = inflater(max_size=1000)

    with pytest.raises(MessageTooBig) as caught:
        list(into.pieces(message((b"\x00" + TAIL) * 1000, False)))
    assert caught.value.code == 1009


@pytest.mark.parametrize("size", [1, 4])
def test_fragments_that_grow_by_being_flushed_do_not_count_for_that(size):
    """A client that sends a list of words sends each with some bytes more."""
    out, into = deflater(), inflater(max_size=10_000)
    out.begin()
    parts = [out.part(random.Random(n).randbytes(size), False) for n in range(10_000 // size)]
    parts.append(out.part(b"", True))
    frames = [message(parts[0], False)] + [Frame(0, part, False) for part in parts[1:-1]]

    assert sum(map(len, parts)) > 15_000
    assert len(inflated(into, *frames, Frame(0, parts[-1]))) == 10_000 // size * size


def test_what_cannot_be_compressed_may_be_longer_than_the_limit():
    payload = random.Random(5).randbytes(2**16)
    stored = zlib.compressobj(0, zlib.DEFLATED, -9, 1)
    data = stored.compress(payload) + stored.flush(zlib.Z_SYNC_FLUSH)

    assert len(data) > 2**16
    assert inflated(inflater(9, True, 2**16), message(data[:-4])) == payload


# Messages out.


def deflater(bits=15, takeover=True, **settings):
    return Deflater(bits, takeover, Deflate(**settings))


def sent(out, payload):
    out.begin()
    data = out.message(payload)
    out.commit()
    return data


@pytest.mark.parametrize("bits", range(8, 16))
@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_no_window_is_larger_than_agreed(bits, level):
    """Also of 8 bits, which zlib does not know: its 9 look back no further."""
    random_bytes = random.Random(bits).randbytes
    parts = [random_bytes(100) for _ in range(5)]
    payload = b"".join(random.Random(1).choices(parts, k=2000)) + bytes(1000)
    out, into = deflater(bits, level=level), inflater(bits)

    for _ in range(3):
        data = sent(out, payload)
        if data is not None:
            assert inflated(into, message(data)) == payload
        assert (data is None) is (level == 0)


def test_context_takeover_makes_the_second_message_smaller():
    assert len(sent(out := deflater(), TEXT)) > 3 * len(sent(out, TEXT))
    assert len(sent(out := deflater(takeover=False), TEXT)) == len(sent(out, TEXT))


def test_no_context_is_kept_without_takeover():
    out = deflater(takeover=False)
    into = inflater(takeover=False)

    sent(out, TEXT)
    inflated(into, message(raw(TEXT)))

    assert out._context is out._compressor is into._inflating is None


def test_what_would_not_be_smaller_stays_as_it_is():
    """And nothing refers to it, since the peer's decompressor has not seen it."""
    out, into = deflater(), inflater()
    noise = random.Random(3).randbytes(1000)

    assert inflated(into, message(sent(out, TEXT))) == TEXT
    assert sent(out, noise) is None
    assert inflated(into, message(sent(out, noise + TEXT))) == noise + TEXT
    assert sent(out, b"") is None


def test_what_was_not_sent_is_forgotten():
    """A timeout or Ctrl-C between compressing and writing does not spoil what follows."""
    out, into = deflater(), inflater()
    assert inflated(into, message(sent(out, TEXT))) == TEXT
    out.begin()
    out.message(b"never sent" * 10)

    for _ in range(2):
        assert inflated(into, message(sent(out, b"never sent" * 10))) == b"never sent" * 10


def test_parts_become_one_message():
    out, into = deflater(), inflater()

    for _ in range(2):
        out.begin()
        parts = [out.part(data, False) for data in (TEXT, b"", b"x", b"")]
        parts.append(out.part(b"", True))
        out.commit()

        frames = [message(parts[0], False)] + [Frame(0, part, False) for part in parts[1:-1]]
        assert inflated(into, *frames, Frame(0, parts[-1])) == TEXT + b"x"


@pytest.mark.parametrize("last", [b"", b"end"])
@pytest.mark.parametrize("takeover", [True, False])
def test_a_part_may_be_the_last_one(last, takeover):
    out, into = deflater(takeover=takeover), inflater(takeover=takeover)

    for _ in range(2):
        out.begin()
        data = out.part(last, True)
        out.commit()
        assert inflated(into, message(data)) == last


@pytest.mark.parametrize(
    ("size", "compress", "wanted"),
    [(99, None, False), (100, None, True), (99, True, True), (10**6, False, False)],
)
def test_threshold(size, compress, wanted):
    assert deflater(threshold=100).wanted(size, compress) is wanted


def test_many_messages_of_all_kinds():
    """One context over a long time, with messages that are left out of it."""
    chance = random.Random(7)
    out, into = deflater(10), inflater(10)
    for _ in range(500):
        size = chance.choice([1, 10, 100, 3000])
        payload = chance.choice([TEXT * 5, chance.randbytes(size)])[:size]
        data = sent(out, payload)
        if data is not None and chance.random() < 0.9:
            assert inflated(into, message(data)) == payload
        elif data is not None:
            out._context = None  # as if it had not been sent
