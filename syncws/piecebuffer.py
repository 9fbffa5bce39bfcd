"""
The part of a message that came and was not read, for the readers of the callback systems.

Waits for nothing, so blocking and asyncio readers share it.
"""

from __future__ import annotations

import collections

from .arriving import Message
from .codes import Opcode


class PieceBuffer:
    """
    Pieces of one message in, bytes or the whole out. For one thread.

    Attributes:
        data_type: ``Opcode.TEXT`` or ``Opcode.BINARY``.
        finished: whether the message has ended behind what is here.
    """

    def __init__(self, first: Message) -> None:
        self.data_type = Opcode.TEXT if isinstance(first, str) else Opcode.BINARY
        self.finished = False
        self._pieces: collections.deque[Message] = collections.deque([first] if first else [])
        self._taken = 0  # bytes of the first piece, which are bytes then

    def __bool__(self) -> bool:
        """Tell whether something can be taken."""
        return bool(self._pieces)

    def at_eof(self) -> bool:
        """Tell whether nothing is left and nothing will come."""
        return self.finished and not self._pieces

    def add(self, piece: Message) -> None:
        """Take in the next piece."""
        if piece:
            self._pieces.append(piece)

    def take(self, size: int) -> bytes:
        """Give out ``size`` bytes at most, of one piece; text is UTF-8."""
        if not self._pieces:
            return b""
        piece = self._pieces[0]
        data = piece.encode() if isinstance(piece, str) else piece
        end = self._taken + max(size, 0)
        taken = data[self._taken : end]
        if end < len(data):
            self._pieces[0] = data
            self._taken = end
        else:
            self._pieces.popleft()
            self._taken = 0
        return taken

    def _cut(self) -> None:
        """Drop what was taken of the first piece."""
        if self._taken:
            self._pieces[0] = self._pieces[0][self._taken :]
            self._taken = 0

    def take_piece(self) -> Message:
        """
        Give out one piece, of the type of the message; an empty one if none is here.

        Raises:
            UnicodeDecodeError: bytes were taken before, and cut a character.
        """
        if not self._pieces:
            return self.take_all()
        self._cut()
        piece = self._pieces.popleft()
        if self.data_type is Opcode.TEXT and isinstance(piece, bytes):
            return piece.decode()
        return piece

    def take_all(self, kind: int | None = None) -> Message:
        """
        Give out all that is here in one piece.

        Args:
            kind: ``Opcode.TEXT`` for ``str``, ``Opcode.BINARY`` for ``bytes``, whatever was sent;
                ``None`` for what was sent.

        Raises:
            UnicodeDecodeError: it is no UTF-8, or bytes were taken before, and cut a character.
            ValueError: there is no such kind.
        """
        if kind not in (None, Opcode.TEXT, Opcode.BINARY):
            raise ValueError(f"kind={kind!r}; expected Opcode.TEXT, Opcode.BINARY or None")
        self._cut()
        pieces = list(self._pieces)
        self._pieces.clear()
        texts = [piece for piece in pieces if isinstance(piece, str)]
        wanted = self.data_type if kind is None else kind
        if len(texts) == len(pieces) and wanted == Opcode.TEXT:
            return "".join(texts)
        data = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in pieces)
        return data.decode() if wanted == Opcode.TEXT else data


def room_in(buffer: bytearray | memoryview, n: int, offset: int) -> int:
    """
    Return how many bytes are asked for by ``read_into(buffer, n, offset)``.

    Raises:
        ValueError: the buffer has no room for them.
    """
    room = len(buffer) - offset
    if not 0 <= offset <= len(buffer) or n > room:
        raise ValueError(f"{n} bytes at {offset} do not fit into a buffer of {len(buffer)}")
    return room if n < 0 else n
