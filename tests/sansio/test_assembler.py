"""Fragments to messages: order, strict UTF-8 as far as it has come, and limits."""

from __future__ import annotations

import pytest

from support import wire
from syncws.exceptions import MessageTooBig, ProtocolError
from syncws.sansio.assembler import Assembler, Fragment
from syncws.sansio.frames import Frame

UNFINISHED = {"fin": False}
PIECE = {"fin": False, "end": False}


@pytest.fixture
def assembler():
    return Assembler(max_size=None, max_fragments=None)


def add_all(assembler, frames):
    return [assembler.add(frame) for frame in frames]


def refusal(assembler, frames):
    """Return the index of the frame that is refused, with the error."""
    for index, frame in enumerate(frames):
        try:
            assembler.add(frame)
        except ProtocolError as exc:
            return index, exc
    return None, None


# Messages.


def test_assembler_passes_on_text_as_str(assembler):
    """The fragments of a text come out as str, each with its bytes counted."""
    frames = [Frame(1, b"a", **UNFINISHED), Frame(0, "é".encode(), **UNFINISHED), Frame(0, b"")]

    fragments = add_all(assembler, frames)

    assert fragments == [
        Fragment("a", 1, True, False),
        Fragment("é", 2, True, False),
        Fragment("", 0, True, True),
    ]


def test_assembler_passes_on_binary_as_bytes(assembler):
    """The fragments of a binary message come out as they are, valid as text or not."""
    frames = [Frame(2, b"\xff", **UNFINISHED), Frame(0, b"\xc3", **UNFINISHED), Frame(0, b"\x80")]

    fragments = add_all(assembler, frames)

    assert fragments == [
        Fragment(b"\xff", 1, True, False),
        Fragment(b"\xc3", 1, True, False),
        Fragment(b"\x80", 1, True, True),
    ]


def test_assembler_tells_the_end_of_a_frame_from_the_end_of_a_message(assembler):
    """Pieces of a frame are not finished frames, and only the last of all ends the message."""
    frames = [
        Frame(2, b"a", **PIECE),
        Frame(0, b"b", **UNFINISHED),
        Frame(0, b"c", **PIECE),
        Frame(0, b"d"),
    ]

    fragments = add_all(assembler, frames)

    assert [(part.frame_finished, part.message_finished) for part in fragments] == [
        (False, False),
        (True, False),
        (False, False),
        (True, True),
    ]


def test_assembler_holds_back_half_a_character(assembler):
    """A character cut by a fragment comes out whole with the fragment that completes it."""
    euro = "€".encode()
    frames = [Frame(1, b"a" + euro[:1], **UNFINISHED), Frame(0, euro[1:2], **PIECE)]

    fragments = add_all(assembler, [*frames, Frame(0, euro[2:] + b"b")])

    assert [(part.data, part.size) for part in fragments] == [("a", 2), ("", 1), ("€b", 2)]


def test_assembler_is_active_within_a_message(assembler):
    """``active`` is true from the first fragment to the last."""
    frames = [Frame(1, b"", **UNFINISHED), Frame(0, b"", **UNFINISHED), Frame(0, b"")]

    before = assembler.active
    active = [(assembler.add(frame), assembler.active)[1] for frame in frames]

    assert (before, active) == (False, [True, True, False])


def test_assembler_starts_every_message_anew(assembler):
    """A binary message after a text one is not read as text, and the other way round."""
    text = [Frame(1, b"a", **UNFINISHED), Frame(0, b"b")]
    binary = [Frame(2, b"\xff", **UNFINISHED), Frame(0, b"\xff")]

    fragments = add_all(assembler, [*text, *binary, *text])

    assert [part.data for part in fragments] == ["a", "b", b"\xff", b"\xff", "a", "b"]


# Order (section 5.4).


def test_assembler_refuses_a_continuation_of_nothing(assembler):
    """A continuation frame needs a message that has begun."""
    with pytest.raises(ProtocolError, match="no message has begun") as caught:
        assembler.add(Frame(0, b"x"))

    assert caught.value.code == 1002


def test_assembler_refuses_a_continuation_after_the_last(assembler):
    """After the final fragment, the message is over."""
    add_all(assembler, [Frame(1, b"", **UNFINISHED), Frame(0, b"")])

    with pytest.raises(ProtocolError, match="no message has begun"):
        assembler.add(Frame(0, b"x"))


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("second", [1, 2])
def test_assembler_refuses_a_message_within_a_message(assembler, first, second):
    """A second message may not begin before the first is finished."""
    assembler.add(Frame(first, b"", **UNFINISHED))

    with pytest.raises(ProtocolError, match="the one before is not finished") as caught:
        assembler.add(Frame(second, b"x"))

    assert caught.value.code == 1002


def test_check_may_begin_refuses_only_within_a_message(assembler):
    """A message may begin before and after another one, but not within it."""
    assembler.check_may_begin()
    assembler.add(Frame(1, b"", **UNFINISHED))
    with pytest.raises(ProtocolError, match="the one before is not finished"):
        assembler.check_may_begin()
    assembler.add(Frame(0, b""))
    assembler.check_may_begin()


# UTF-8 (section 8.1).


def test_assembler_agrees_with_the_abnf_on_every_pair_of_bytes():
    """All 65,536 beginnings of two bytes are refused or accepted as RFC 3629 has it."""
    pairs = [bytes((first, second)) for first in range(256) for second in range(256)]

    refused = {
        pair
        for pair in pairs
        if refusal(Assembler(None, None), [Frame(1, pair, **UNFINISHED)])[1] is not None
    }

    assert refused == {pair for pair in pairs if wire.read_utf8(pair).wrong is not None}


@pytest.mark.parametrize("start", ["e080", "e0a0", "ed9f", "ee80", "f090", "f180", "f48f"])
def test_assembler_agrees_with_the_abnf_on_every_next_byte(start):
    """Behind the first bytes of a long character, each next byte is judged as RFC 3629 does."""
    starts = [bytes.fromhex(start), bytes.fromhex(start) + b"\x80"]
    texts = [begun + bytes((octet,)) for begun in starts for octet in range(256)]

    refused = {
        text
        for text in texts
        if refusal(Assembler(None, None), [Frame(1, text, **UNFINISHED)])[1] is not None
    }

    assert refused == {text for text in texts if wire.read_utf8(text).wrong is not None}


@pytest.mark.parametrize("text", wire.TEXTS.values(), ids=wire.TEXTS.keys())
def test_assembler_fails_at_the_very_byte_that_is_wrong(assembler, text):
    """Byte by byte, in pieces of one frame, the first wrong byte is refused with 1007."""
    octets = [Frame(0, octet, **PIECE) for octet in wire.octets(text)]

    index, error = refusal(assembler, [Frame(1, b"", **PIECE), *octets, Frame(0, b"")])

    wrong, unfinished = wire.read_utf8(text)
    at_the_end = 1 + len(text) if unfinished else None
    assert index == (at_the_end if wrong is None else 1 + wrong)
    assert getattr(error, "code", 1007) == 1007


def test_assembler_says_what_is_wrong_with_a_text(assembler):
    """The error names the rule and the place, also for the first half of a surrogate."""
    with pytest.raises(ProtocolError, match="text is not UTF-8: invalid continuation byte"):
        assembler.add(Frame(1, b"\xed\xa0", **UNFINISHED))


def test_read_utf8_agrees_with_python():
    """The reader of UTF-8 that these tests trust accepts what Python accepts in one piece."""
    accepted = {name for name, text in wire.TEXTS.items() if wire.read_utf8(text).valid}

    assert accepted == {"empty", "ascii", "greek", "edges", "noncharacters", "emoji"}
    assert accepted == {
        name for name, text in wire.TEXTS.items() if text.decode(errors="ignore").encode() == text
    }


# Limits.


@pytest.mark.parametrize("opcode", [1, 2])
def test_assembler_takes_a_message_of_exactly_the_limit(opcode):
    """Fragments that add up to the limit pass."""
    assembler = Assembler(max_size=5, max_fragments=None)

    add_all(assembler, [Frame(opcode, b"abc", **UNFINISHED), Frame(0, b"de")])

    assert not assembler.active


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("opcode", [1, 2])
def test_assembler_refuses_one_byte_over_the_limit(opcode, end):
    """The fragment, or piece of one, that brings the message over the limit is refused."""
    assembler = Assembler(max_size=5, max_fragments=None)
    frames = [
        Frame(opcode, b"abc", False, end=end),
        Frame(0, b"de", False, end=end),
        Frame(0, b"f", False, end=end),
    ]

    index, error = refusal(assembler, frames)

    assert index == 2
    assert isinstance(error, MessageTooBig)
    assert (error.size, error.limit, error.code) == (6, 5, 1009)


def test_assembler_measures_text_in_bytes():
    """A text is held to the limit by its bytes in UTF-8, not by its characters."""
    assembler = Assembler(max_size=5, max_fragments=None)

    index, error = refusal(
        assembler, [Frame(1, "€".encode(), **UNFINISHED), Frame(0, b"\xe2\x82\xac")]
    )

    assert (index, error.size) == (1, 6)


def test_assembler_counts_every_message_anew():
    """What one message took is not held against the next."""
    assembler = Assembler(max_size=2, max_fragments=2)
    message = [Frame(2, b"a", **UNFINISHED), Frame(0, b"b")]

    fragments = add_all(assembler, message * 3)

    assert len(fragments) == 6


def test_assembler_counts_empty_fragments():
    """An empty fragment counts like any other: the limit passes, one more does not."""
    assembler = Assembler(max_size=None, max_fragments=10)
    frames = [Frame(1, b"", **UNFINISHED), *[Frame(0, b"", **UNFINISHED)] * 20]

    index, error = refusal(assembler, frames)

    assert index == 10
    assert isinstance(error, MessageTooBig)
    assert (error.size, error.limit, error.code) == (11, 10, 1009)
    assert "max_fragments=10" in str(error)


def test_assembler_takes_exactly_the_limit_of_fragments():
    """A message of as many fragments as are allowed passes."""
    assembler = Assembler(max_size=None, max_fragments=3)

    add_all(assembler, [Frame(1, b"", **UNFINISHED), Frame(0, b"", **UNFINISHED), Frame(0, b"")])

    assert not assembler.active


def test_assembler_does_not_count_pieces_of_a_frame_as_fragments():
    """However many pieces a frame comes in, it is one fragment."""
    assembler = Assembler(max_size=None, max_fragments=2)
    pieces = [Frame(0, b"x", **PIECE)] * 100

    fragments = add_all(assembler, [Frame(2, b"x", **UNFINISHED), *pieces, Frame(0, b"x")])

    assert sum(part.size for part in fragments) == 102


def test_assembler_takes_65536_fragments():
    """The message of Autobahn's case 9.3.1, 4 MiB in fragments of 64 bytes, passes."""
    assembler = Assembler(max_size=2**22, max_fragments=2**17)
    frames = [Frame(1, b"x" * 64, **UNFINISHED), *[Frame(0, b"x" * 64, **UNFINISHED)] * 65534]

    fragments = add_all(assembler, [*frames, Frame(0, b"x" * 64)])

    assert len(fragments) == 65536
    assert sum(part.size for part in fragments) == 2**22
