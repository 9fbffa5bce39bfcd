"""
What users may send, brought into one form: (opcode, payload, fin, rsv1).

The one place that looks at the type of a message on its way out.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Union

from .codes import Opcode

# Opcode, payload, fin, rsv1: one frame's worth.
Part = tuple[int, Union[bytes, memoryview], bool, bool]
DataLike = Union[str, bytes, bytearray, memoryview]
_BYTES_LIKE = (bytes, bytearray, memoryview)


class Encoded(NamedTuple):
    """
    A message in frames.

    Attributes:
        data: all of them as they are sent; nothing, if every peer gets another mask.
        alone: whether it is one frame, the same for all, that needs no other and no other needs.
    """

    parts: tuple[Part, ...]
    data: bytes
    compressed: bool
    alone: bool


class PreparedMessage:
    """
    A message that is sent often, or to many: it is encoded and compressed only once.

    ``broadcast()`` and ``send()`` take it like any message, of any connection, in any thread. It is
    compressed so that it refers to no other message, which every peer understands.

    Args:
        message: ``str``, which is sent as Text, or bytes-like, as Binary.
        text, compress: as of ``Connection.send``.

    Attributes:
        opcode, payload, compress: what is sent.
        encoded: its forms so far, by what they depend on.

    Raises:
        TypeError: not a message, or an iterable of fragments.
        UnicodeError: it is to be Text and is not UTF-8, or has lone surrogates.
    """

    __slots__ = ("compress", "encoded", "opcode", "payload")

    def __init__(
        self, message: DataLike, text: bool | None = None, compress: bool | None = None
    ) -> None:
        self.opcode, self.payload = as_whole(message, text)
        self.compress = compress
        self.encoded: dict[object, Encoded] = {}

    def __repr__(self) -> str:
        return f"<PreparedMessage {self.opcode.name} of {len(self.payload)} bytes>"


def as_prepared(message: object, text: bool | None, compress: bool | None) -> PreparedMessage:
    """
    Return a message prepared, if it is not yet.

    Raises:
        TypeError: it has its own text and compress, or as PreparedMessage.
    """
    if not isinstance(message, PreparedMessage):
        return PreparedMessage(message, text, compress)  # type: ignore[arg-type]
    if text is not None or compress is not None:
        raise TypeError("a PreparedMessage has its own text= and compress=; give them to that")
    return message


def as_content(message: object, text: bool | None) -> tuple[Opcode, bytes] | None:
    """
    Return the opcode and payload of a whole message, or None if it is prepared or fragments.

    Raises:
        TypeError: it is nothing of that.
        UnicodeError: it is to be Text and is not UTF-8, or has lone surrogates.
    """
    if isinstance(message, str):
        return (Opcode.BINARY if text is False else Opcode.TEXT), message.encode()
    if isinstance(message, _BYTES_LIKE):
        payload = bytes(message)  # a copy, unless it is bytes: it may change while we send
        if not text:
            return Opcode.BINARY, payload
        payload.decode()
        return Opcode.TEXT, payload
    if isinstance(message, PreparedMessage):
        return None
    if isinstance(message, Mapping) or not isinstance(message, Iterable):
        raise TypeError(
            f"a message is a str, bytes-like or an iterable of them; got {type(message).__name__}"
        )
    return None


def as_whole(message: object, text: bool | None) -> tuple[Opcode, bytes]:
    """
    Return the opcode and payload of a whole message.

    Raises:
        TypeError: it is none, or an iterable of fragments.
    """
    content = as_content(message, text)
    if content is None:
        raise TypeError(f"expected a str or bytes-like here, not {type(message).__name__}")
    return content


def as_fragments(fragments: Iterable[object], text: bool | None) -> Iterator[Part]:
    """
    Turn an iterable into the frames of one message, each as soon as its fragment is there.

    The end shows only when the iterable ends, so the last frame is empty. No fragments, no message.

    Raises:
        TypeError: a fragment is of another type than the first.
    """
    opcode = None
    begins = True
    decoder = codecs.getincrementaldecoder("utf-8")()
    for fragment in fragments:
        content = as_content(fragment, False if isinstance(fragment, _BYTES_LIKE) else text)
        kind = str if isinstance(fragment, str) else bytes
        if content is None:
            raise TypeError("a fragment is a str or bytes-like, not an iterable")
        if opcode is None:
            first_kind = kind
            opcode = Opcode.TEXT if text or (text is None and kind is str) else Opcode.BINARY
        elif kind is not first_kind:
            raise TypeError("fragments of one message are all str or all bytes-like")
        if opcode is Opcode.TEXT:
            decoder.decode(content[1])
        yield (opcode if begins else Opcode.CONT), content[1], False, False
        begins = False
    if not begins:
        decoder.decode(b"", True)
        yield Opcode.CONT, b"", True, False


def as_long_text(message: str, text: bool | None, size: int) -> list[Part]:
    """
    Return the frames of a long text, each of at most ``size`` bytes.

    Unlike ``as_content`` and ``split`` it lets other threads run in between: it encodes piece by
    piece.
    """
    first = Opcode.BINARY if text is False else Opcode.TEXT
    step = max(1, size // 4)  # bytes of a character at most
    last = (len(message) - 1) // step * step
    return [
        (Opcode.CONT if at else first, message[at : at + step].encode(), at == last, False)
        for at in range(0, len(message), step)
    ]


def split(opcode: int, payload: bytes, size: int | None, rsv1: bool = False) -> Iterator[Part]:
    """Cut a message into frames of at most ``size`` bytes of payload (RFC 6455 section 5.4)."""
    if size is None or len(payload) <= size:
        yield opcode, payload, True, rsv1
        return
    view = memoryview(payload)
    for start in range(0, len(payload), size):
        last = start + size >= len(payload)
        begins = start == 0
        part = view[start : start + size]
        yield (opcode if begins else Opcode.CONT), part, last, rsv1 and begins


class Fragments:
    """The frames of one message whose fragments come one by one."""

    def __init__(self) -> None:
        self._opcode: Opcode | None = None
        self._kept: Part | None = None

    def frame(self, fragment: DataLike, fin: bool) -> Part:
        """
        Return the frame for the next fragment.

        Raises:
            TypeError: it is neither ``str`` nor bytes-like, or not what the others were.
        """
        opcode, payload = as_whole(fragment, None)
        if self._opcode not in (None, opcode):
            raise TypeError("fragments of one message are all str or all bytes-like")
        begins = self._opcode is None
        self._opcode = opcode
        return (opcode if begins else Opcode.CONT), payload, fin, False

    def keep_back(self, fragment: DataLike) -> Part | None:
        """
        Keep a fragment; return the frame for the one before, if there is one.

        So the last one is known when it goes out, and carries FIN.

        Raises:
            TypeError: as ``frame``.
        """
        kept, self._kept = self._kept, self.frame(fragment, False)
        return kept

    def last(self) -> Part | None:
        """Return the frame that was kept, with FIN; None if there is none, and so no message."""
        kept, self._kept = self._kept, None
        return None if kept is None else (kept[0], kept[1], True, kept[3])
