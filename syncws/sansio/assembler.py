"""
Fragments to messages: their order, strict UTF-8 and limits (RFC 6455 sections 5.4 and 8.1).

Nothing is joined here: a message that arrives in several pieces is passed on piece by piece, each
piece checked as far as it has come, so that a wrong byte or one byte too many fails at once.
"""

from __future__ import annotations

import codecs
from typing import NamedTuple

from ..codes import Opcode
from ..exceptions import MessageTooBig, ProtocolError
from .frames import Frame, invalid_text

_new_utf8_decoder = codecs.getincrementaldecoder("utf-8")


class Fragment(NamedTuple):
    """
    The next piece of a message that did not arrive whole in one frame.

    Attributes:
        data: ``str`` for a text message, ``bytes`` for a binary one; may be empty.
        size: the bytes it took in the frame.
        frame_finished: whether the frame it came in ended with it.
        message_finished: whether the message ended with it.
    """

    data: str | bytes
    size: int
    frame_finished: bool
    message_finished: bool


class Assembler:
    """
    Follows the one message that may be unfinished.

    Attributes:
        active: whether a message has begun and not ended.
    """

    __slots__ = ("_fragments", "_max_fragments", "_max_size", "_size", "_utf8", "active")

    def __init__(self, max_size: int | None, max_fragments: int | None) -> None:
        self.active = False
        self._max_size = max_size
        self._max_fragments = max_fragments
        self._size = 0
        self._fragments = 0
        self._utf8: codecs.IncrementalDecoder | None = None

    def add(self, frame: Frame) -> Fragment:
        """
        Take a data frame, or a piece of one; return the piece of the message it carries.

        Raises:
            ProtocolError: 1002 for a wrong order, 1007 for bad UTF-8, 1009 for too much.
        """
        if frame.opcode == Opcode.CONT:
            if not self.active:
                raise ProtocolError("continuation frame, but no message has begun (5.4)")
        else:
            self._begin(frame.opcode)
        self._count(frame)
        data: str | bytes = frame.payload
        if self._utf8 is not None:
            try:
                data = self._utf8.decode(frame.payload, frame.fin)
                _check_pending(self._utf8.getstate()[0])
            except UnicodeDecodeError as exc:
                raise invalid_text(exc) from None
        if frame.fin:
            self.active = False
            self._utf8 = None
        return Fragment(data, len(frame.payload), frame.end, frame.fin)

    def check_may_begin(self) -> None:
        """Raise ProtocolError if a message may not begin now (RFC 6455 section 5.4)."""
        if self.active:
            raise ProtocolError("new message, but the one before is not finished (5.4)")

    def _begin(self, opcode: int) -> None:
        self.check_may_begin()
        self.active = True
        self._size = self._fragments = 0
        self._utf8 = _new_utf8_decoder() if opcode == Opcode.TEXT else None

    def _count(self, frame: Frame) -> None:
        """Hold the message to its limits. Empty fragments count too: each costs its handling."""
        self._size += len(frame.payload)
        if self._max_size is not None and self._size > self._max_size:
            raise MessageTooBig(self._size, self._max_size)
        self._fragments += frame.end
        if self._max_fragments is not None and self._fragments > self._max_fragments:
            raise MessageTooBig(self._fragments, self._max_fragments, "fragments", "max_fragments")


def _check_pending(start: bytes) -> None:
    """
    Check the start of a character, kept by the decoder until the rest arrives.

    Python tells all other bytes as soon as they are wrong, but for the sake of "surrogatepass" not
    the second byte of a surrogate (bpo-24214).
    """
    if start[:1] == b"\xed" and start[1:] >= b"\xa0":
        raise UnicodeDecodeError("utf-8", start, 0, 1, "invalid continuation byte")
