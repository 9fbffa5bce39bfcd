"""
What users may send, brought into one form: (opcode, payload, fin, rsv1).

The one place that looks at the type of a message on its way out.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping
from typing import Union

from .codes import Opcode

# Opcode, payload, fin, rsv1: one frame's worth.
Part = tuple[int, Union[bytes, memoryview], bool, bool]
DataLike = Union[str, bytes, bytearray, memoryview]
_BYTES_LIKE = (bytes, bytearray, memoryview)


def as_content(message: object, text: bool | None) -> tuple[Opcode, bytes] | None:
    """
    Return the opcode and payload of a whole message, or None if it is an iterable of fragments.

    Raises:
        TypeError: it is neither.
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
