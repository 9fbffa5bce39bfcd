"""What users may send, and what becomes of it: opcode, payload, fragments."""

from __future__ import annotations

import array
import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncws.codes import Opcode
from syncws.outgoing import as_content, as_fragments, as_long_text, split

TEXT, BINARY, CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT


class Record(bytes):
    """A subclass of bytes."""


class Word(str):
    """A subclass of str."""


# Whole messages.


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ("", (TEXT, b"")),
        ("häß", (TEXT, "häß".encode())),
        ("\x00\U0010ffff", (TEXT, b"\x00\xf4\x8f\xbf\xbf")),
        (Word("word"), (TEXT, b"word")),
        (b"", (BINARY, b"")),
        (b"\xff\x00", (BINARY, b"\xff\x00")),
        (Record(b"record"), (BINARY, b"record")),
        (bytearray(b"array"), (BINARY, b"array")),
        (memoryview(b"view"), (BINARY, b"view")),
        (memoryview(b"a1b2c3")[::2], (BINARY, b"abc")),
        (memoryview(b"abc")[::-1], (BINARY, b"cba")),
        (memoryview(array.array("H", [1, 2])), (BINARY, array.array("H", [1, 2]).tobytes())),
        (memoryview(array.array("I", range(8)))[::4], (BINARY, array.array("I", [0, 4]).tobytes())),
        (memoryview(bytes(6)).cast("B", [2, 3]), (BINARY, bytes(6))),
    ],
)
def test_a_message_becomes_text_or_binary_by_its_type(message, content):
    """str is Text, bytes-like is Binary, whatever its shape."""
    result = as_content(message, None)

    assert result == content
    assert type(result[1]) is bytes


@pytest.mark.parametrize(
    ("message", "text", "content"),
    [
        ("ä", True, (TEXT, "ä".encode())),
        ("ä", False, (BINARY, "ä".encode())),
        ("ä".encode(), True, (TEXT, "ä".encode())),
        (bytearray(b"a"), True, (TEXT, b"a")),
        (memoryview(b"a"), True, (TEXT, b"a")),
        (b"\xff", False, (BINARY, b"\xff")),
    ],
)
def test_text_chooses_the_opcode(message, text, content):
    """text=True sends Text and text=False sends Binary, whatever the type."""
    assert as_content(message, text) == content


@pytest.mark.parametrize("message", [b"\xff", b"\xed\xa0\x80", b"\xc3", bytearray(b"\xc0\x80")])
def test_bytes_that_are_not_utf8_cannot_be_text(message):
    """RFC 6455 section 5.6: Text is UTF-8."""
    with pytest.raises(UnicodeDecodeError):
        as_content(message, True)


@pytest.mark.parametrize("text", [None, True, False])
def test_lone_surrogates_cannot_be_sent(text):
    """A str that has no UTF-8 is refused, as Text or Binary."""
    with pytest.raises(UnicodeEncodeError):
        as_content("a\ud800", text)


def test_a_message_may_be_changed_behind_the_call():
    """What is sent is what was given, not what became of it."""
    message = bytearray(b"before")

    opcode, payload = as_content(message, None)
    message[:] = b"after!"

    assert (opcode, payload) == (BINARY, b"before")


@pytest.mark.parametrize("message", [None, 1, 1.5, object(), {}, {"a": 1}, collections.Counter()])
def test_other_types_are_refused(message):
    """A mapping is iterable, and surely a mistake."""
    with pytest.raises(TypeError, match=f"got {type(message).__name__}"):
        as_content(message, None)


@pytest.mark.parametrize("message", [[], ["a"], (), iter([]), (x for x in "a"), {"a"}])
def test_an_iterable_is_no_whole_message(message):
    """What has to be sent in fragments is told apart."""
    assert as_content(message, None) is None


# Fragments.


@pytest.mark.parametrize(
    ("fragments", "text", "parts"),
    [
        ([], None, []),
        (["a"], None, [(TEXT, b"a", False), (CONT, b"", True)]),
        ([""], None, [(TEXT, b"", False), (CONT, b"", True)]),
        (("a", "ä"), None, [(TEXT, b"a", False), (CONT, b"\xc3\xa4", False), (CONT, b"", True)]),
        ([b"\xff"], None, [(BINARY, b"\xff", False), (CONT, b"", True)]),
        (["ä"], False, [(BINARY, b"\xc3\xa4", False), (CONT, b"", True)]),
        (["a"], True, [(TEXT, b"a", False), (CONT, b"", True)]),
        ([b"a"], False, [(BINARY, b"a", False), (CONT, b"", True)]),
        (
            [bytearray(b"a"), memoryview(b"b"), b"c"],
            None,
            [(BINARY, b"a", False), (CONT, b"b", False), (CONT, b"c", False), (CONT, b"", True)],
        ),
        (
            [b"\xc3", b"\xa4"],
            True,
            [(TEXT, b"\xc3", False), (CONT, b"\xa4", False), (CONT, b"", True)],
        ),
    ],
)
def test_an_iterable_becomes_the_frames_of_one_message(fragments, text, parts):
    """One frame for each fragment, and an empty one for the end (RFC 6455 section 5.4)."""
    assert list(as_fragments(fragments, text)) == [(*part, False) for part in parts]


def test_each_frame_is_there_as_soon_as_its_fragment():
    """Nothing is asked for in advance."""
    asked = []
    parts = as_fragments((asked.append(letter) or letter for letter in "abc"), None)

    first = next(parts)
    asked_for_first = list(asked)
    next(parts)

    assert first == (TEXT, b"a", False, False)
    assert asked_for_first == ["a"]
    assert asked == ["a", "b"]


@pytest.mark.parametrize(
    ("fragments", "text", "error"),
    [
        (["a", b"b"], None, TypeError),
        ([b"a", "b"], None, TypeError),
        ([b"a", "b"], True, TypeError),
        (["a", b"b"], False, TypeError),
        (["a", ["b"]], None, TypeError),
        (["a", {}], None, TypeError),
        (["a", 1], None, TypeError),
        (["a", None], None, TypeError),
        (["a", "\ud800"], None, UnicodeEncodeError),
        ([b"a", b"\xff"], True, UnicodeDecodeError),
        ([b"\xc3", b"a"], True, UnicodeDecodeError),
    ],
)
def test_a_fragment_that_does_not_fit_is_refused(fragments, text, error):
    """The frames before it have been made; it is not, and there is no end."""
    parts = as_fragments(fragments, text)
    next(parts)

    with pytest.raises(error):
        next(parts)
    assert list(parts) == []


def test_text_in_fragments_must_not_end_within_a_character():
    """Half a character shows at the end."""
    parts = as_fragments([b"a\xc3"], True)
    next(parts)

    with pytest.raises(UnicodeDecodeError):
        next(parts)


def test_an_error_of_the_iterable_comes_through():
    """It is the user's own."""

    def broken():
        yield "a"
        raise KeyError("mine")

    parts = as_fragments(broken(), None)
    next(parts)

    with pytest.raises(KeyError, match="mine"):
        next(parts)


# Long messages.


@pytest.mark.parametrize(
    ("payload", "size", "parts"),
    [
        (b"", 3, [(TEXT, b"", True)]),
        (b"abc", None, [(TEXT, b"abc", True)]),
        (b"abc", 3, [(TEXT, b"abc", True)]),
        (b"abcd", 3, [(TEXT, b"abc", False), (CONT, b"d", True)]),
        (b"abcdef", 3, [(TEXT, b"abc", False), (CONT, b"def", True)]),
        (b"abc", 1, [(TEXT, b"a", False), (CONT, b"b", False), (CONT, b"c", True)]),
    ],
)
def test_split_cuts_a_long_message(payload, size, parts):
    """No frame is longer than asked for; the last one ends the message."""
    assert list(split(TEXT, payload, size)) == [(*part, False) for part in parts]
    compressed = list(split(TEXT, payload, size, rsv1=True))
    assert compressed == [(*part, part[0] == TEXT) for part in parts]


# Long texts.


@given(st.text(min_size=1), st.integers(4, 40), st.sampled_from([None, True, False]))
def test_a_long_text_in_parts_is_the_text(message, size, text):
    """Each part is short enough, the first says the kind and only the last is the end."""
    parts = as_long_text(message, text, size)

    assert b"".join(part[1] for part in parts) == message.encode()
    assert all(0 < len(part[1]) <= size for part in parts)
    first = BINARY if text is False else TEXT
    assert [part[0] for part in parts] == [first] + [CONT] * (len(parts) - 1)
    assert [part[2] for part in parts] == [False] * (len(parts) - 1) + [True]


@pytest.mark.parametrize("message", ["abc\ud800", "\udfff" * 9])
def test_a_long_text_with_surrogates_is_refused(message):
    with pytest.raises(UnicodeEncodeError):
        as_long_text(message, None, 4)
