"""
A message that comes in pieces, until it is complete.

Knows nothing of WebSocket: a message is a ``str`` or ``bytes``.
"""

from __future__ import annotations

import collections
import io
from typing import Union

Message = Union[str, bytes]
# Where so many pieces or batches wait, short ones are joined: 100,000 of a byte each would cost
# megabytes.
MANY = 64
SHORT = 4096  # bytes


def decoded(message: Message, decode: bool) -> Message:
    """Return a message as ``str``, or as ``bytes``."""
    if decode:
        return message if isinstance(message, str) else message.decode()
    return message.encode() if isinstance(message, str) else message


class Arriving:
    """A message that comes in pieces. Guarded by the lock of its queue."""

    __slots__ = ("_buffer", "dropped", "finished", "pieces", "size", "streamed", "text", "wanted")

    def __init__(self, text: bool) -> None:
        self.text = text
        self.size = 0  # bytes held here
        self.finished = False
        self.streamed = False  # taken in pieces
        self.wanted = False  # someone asked for it whole
        self.dropped = False  # nobody wants the rest
        self.pieces: collections.deque[tuple[Message, int]] = collections.deque()
        # Grows in place, so that a long message costs its size once, not twice.
        self._buffer: io.StringIO | io.BytesIO = io.StringIO() if text else io.BytesIO()

    def add(self, data: Message, size: int) -> None:
        """Take in the next piece."""
        if self.dropped:
            return
        self.size += size
        if not self.streamed:
            self._buffer.write(data)  # type: ignore[arg-type]
            return
        if len(self.pieces) >= MANY and self.pieces[-1][1] < SHORT:
            last, last_size = self.pieces.pop()
            data = last + data  # type: ignore[operator]
            size += last_size
        self.pieces.append((data, size))

    def joined(self) -> Message:
        """Return all that is here in one piece."""
        return self._buffer.getvalue()

    def stream(self) -> None:
        """Turn to being taken in pieces."""
        self.streamed = True
        self.wanted = False
        if self.size:
            self.pieces.append((self.joined(), self.size))
        self._buffer = io.BytesIO()

    def unstream(self) -> None:
        """Turn back to being taken whole."""
        self.streamed = False
        self._buffer = io.StringIO() if self.text else io.BytesIO()
        while self.pieces:
            self._buffer.write(self.pieces.popleft()[0])  # type: ignore[arg-type]
