"""PieceBuffer: pieces of a message in, bytes or the whole out."""

from __future__ import annotations

import pytest

from syncws import Opcode
from syncws.piecebuffer import PieceBuffer


def filled(*pieces):
    buffer = PieceBuffer(pieces[0])
    for piece in pieces[1:]:
        buffer.add(piece)
    return buffer


@pytest.mark.parametrize(("first", "kind"), [("", Opcode.TEXT), (b"", Opcode.BINARY)])
def test_the_first_piece_tells_the_type(first, kind):
    """An empty message has one, too."""
    buffer = filled(first)

    assert buffer.data_type is kind
    assert not buffer
    assert buffer.take_piece() == buffer.take_all() == first


def test_take_gives_no_more_than_asked_for():
    """What is left of a piece comes next."""
    buffer = filled(b"abc", b"de")

    assert [buffer.take(2) for _ in range(4)] == [b"ab", b"c", b"de", b""]


def test_take_of_text_gives_utf8():
    """Also cut inside a character."""
    buffer = filled("κx")

    assert [buffer.take(1), buffer.take(9)] == [b"\xce", b"\xbax"]


def test_what_is_left_comes_in_the_type_of_the_message():
    """Behind some bytes that were taken."""
    assert filled("κx", "y").take_all() == "κxy"
    assert filled(b"ab", b"c").take_all() == b"abc"
    buffer = filled("κx", "yz")
    buffer.take(2)
    assert [buffer.take_piece(), buffer.take_all()] == ["x", "yz"]
    buffer = filled(b"abc", b"d")
    buffer.take(1)
    assert [buffer.take_piece(), buffer.take_all()] == [b"bc", b"d"]


def test_take_all_converts():
    """Whatever was sent."""
    assert filled("κ").take_all(Opcode.BINARY) == b"\xce\xba"
    assert filled(b"\xce", b"\xba").take_all(Opcode.TEXT) == "κ"
    with pytest.raises(UnicodeDecodeError):
        filled(b"\xff").take_all(Opcode.TEXT)
    with pytest.raises(ValueError, match=r"kind=8; expected Opcode\.TEXT"):
        filled(b"").take_all(8)


def test_a_cut_character_is_no_text():
    """Whoever took a part of it as bytes has to take the rest so, too."""
    buffer = filled("κ")
    buffer.take(1)

    with pytest.raises(UnicodeDecodeError):
        buffer.take_all()


def test_at_eof():
    """The end is told by whoever fills it."""
    buffer = filled(b"a")
    assert not buffer.at_eof()
    buffer.finished = True
    assert not buffer.at_eof()
    buffer.take(1)
    assert buffer.at_eof()
