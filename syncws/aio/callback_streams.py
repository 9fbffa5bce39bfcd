"""What callbacks hold in their hands: a message that is arriving, and a way to answer. Awaited."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager

from ..arriving import Message
from ..callback_streams import as_payload
from ..codes import Opcode
from ..outgoing import DataLike
from ..piecebuffer import PieceBuffer, room_in
from .connection import AsyncConnection
from .fragments import FragmentContext, fragments
from .receiving import Pieces
from .sending import Sendable


class WebSocketReader:
    """
    One message, which may still be arriving. For one task at a time.

    As ``syncws.callbacks.WebSocketReader``, but for what waits, which is awaited here.

    Attributes:
        data_type: ``DataType.TEXT`` or ``DataType.BINARY``.
    """

    def __init__(self, pieces: Pieces, first: Message) -> None:
        self._pieces = pieces
        self._buffer = PieceBuffer(first)
        self._dropped = False
        self.data_type = self._buffer.data_type

    async def get(self, kind: int | None = None) -> Message:
        """
        Return the message, or what is left of it: ``str`` for Text, ``bytes`` for Binary.

        Args:
            kind: ``DataType.TEXT`` or ``DataType.BINARY``: return that, whatever was sent.

        Raises:
            ConnectionClosed: in the middle of the message.
            UnicodeDecodeError: it is not UTF-8, or ``read()`` has cut a character.
        """
        while await self._more():
            pass
        return self._buffer.take_all(kind)

    async def read(self, n: int = -1) -> bytes:
        """
        Return up to ``n`` bytes, at least one; ``b""`` at the end. Text comes in UTF-8.

        Args:
            n: bytes; below 0: all that is left.

        Raises:
            ConnectionClosed: in the middle of the message.
        """
        if n < 0:
            data = await self.get(Opcode.BINARY)
            assert isinstance(data, bytes)
            return data
        while n and not self._buffer and await self._more():
            pass
        return self._buffer.take(n)

    async def read_into(self, buffer: bytearray | memoryview, n: int = -1, offset: int = 0) -> int:
        """
        Read up to ``n`` bytes into a buffer at ``offset``; return how many; 0 at the end.

        Args:
            n: bytes; below 0: as many as there is room for.

        Raises:
            ConnectionClosed: in the middle of the message.
            ValueError: the buffer has no room for ``n`` bytes.
        """
        data = await self.read(room_in(buffer, n, offset))
        buffer[offset : offset + len(data)] = data
        return len(data)

    async def read_into_exactly(
        self, buffer: bytearray | memoryview, n: int = -1, offset: int = 0
    ) -> None:
        """
        Do the same, but with all ``n`` bytes.

        Raises:
            EOFError: the message ends sooner.
            ConnectionClosed, ValueError: as ``read_into``.
        """
        wanted = room_in(buffer, n, offset)
        done = 0
        while done < wanted:
            count = await self.read_into(buffer, wanted - done, offset + done)
            if not count:
                raise EOFError(f"the message ended after {done} of {wanted} bytes")
            done += count

    def at_eof(self) -> bool:
        """
        Tell whether the message is read to its end.

        It may tell so only when a ``read()`` has returned ``b""``.
        """
        return self._buffer.at_eof()

    def __aiter__(self) -> AsyncIterator[Message]:
        """
        Yield what is left, piece by piece as it arrives, all ``str`` or all ``bytes``.

        At least one piece, which is empty if nothing is left.
        """
        return _Rest(self)

    async def next_piece(self, first: bool) -> Message | None:
        """
        Return the next piece of what is left; None behind the last.

        Raises:
            ConnectionClosed: in the middle of the message.
        """
        while not self._buffer and await self._more():
            pass
        return self._buffer.take_piece() if self._buffer or first else None

    async def _more(self) -> bool:
        """Wait for the next piece; return False if there is none."""
        if self._dropped:
            raise RuntimeError("the message callback has returned; what it had not read is dropped")
        if not self._buffer.finished:
            piece = await self._pieces.next()
            if piece is None:
                self._buffer.finished = True
            else:
                self._buffer.add(piece)
        return not self._buffer.finished

    def drop(self) -> None:
        """Let the next message come, whatever is left of this one."""
        self._dropped = not self._buffer.finished
        self._pieces.drop()


class _Rest:
    """Iterates over a reader."""

    def __init__(self, reader: WebSocketReader) -> None:
        self._reader = reader
        self._first = True

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        piece = await self._reader.next_piece(self._first)
        self._first = False
        if piece is None:
            raise StopAsyncIteration
        return piece


class WebSocketWriter:
    """Sends to one client, as ``syncws.callbacks.WebSocketWriter``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def send(self, data: Sendable) -> None:
        """
        Send a message: ``str`` as Text, bytes-like as Binary.

        Raises:
            ConnectionClosed, TypeError: as ``AsyncConnection.send``.
        """
        await self._connection.send(data)

    async def ping(self, payload: DataLike = b"") -> None:
        """
        Send a Ping; ``@client.pong`` tells of the answer. Does not wait.

        Raises:
            ConnectionClosed, TimeoutError, ValueError: as ``AsyncConnection.pong``.
        """
        self._connection.connection._engine.post(Opcode.PING, as_payload(payload))

    async def pong(self, length: int | DataLike = b"", payload: DataLike | None = None) -> None:
        """
        Send a Pong, as ``pong(payload)`` or ``pong(length, payload)``. Does not wait.

        Raises:
            ConnectionClosed, TimeoutError, ValueError: as ``AsyncConnection.pong``.
        """
        await self._connection.pong(as_payload(length if payload is None else payload))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Do the closing handshake; as ``AsyncConnection.close``."""
        await self._connection.close(code, reason)

    def fragment(self) -> AbstractAsyncContextManager[FragmentContext]:
        """
        Send one message in fragments: each ``send()`` of what this yields is one.

        Messages of others wait until the ``async with`` block ends. If it ends with an exception in
        the middle of the message, the connection is closed with 1011.

        Raises:
            ConcurrencyError: inside another such block of this task.
            ConnectionClosed: as ``send``.
        """
        return fragments(self._connection._sender)

    async def feed(self, reader: AsyncIterable[DataLike]) -> None:
        """
        Pipe a message on, piece by piece as it arrives; or any iterable of fragments.

        Waits until all is sent, which may be as long as the message arrives.

        Raises:
            ConnectionClosed: this client's connection, or that of the reader.
        """
        async with self.fragment() as stream:
            async for piece in reader:
                await stream.send(piece)
