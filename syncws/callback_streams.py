"""What callbacks hold in their hands: a message that is arriving, and a way to answer. Blocking."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager

from .arriving import Message
from .codes import Opcode
from .connection import Connection
from .fragments import FragmentContext, fragments
from .outgoing import DataLike, as_whole
from .piecebuffer import PieceBuffer, room_in


class WebSocketReader:
    """
    One message, which may still be arriving. For one thread at a time.

    Needs memory for what waits only, but for ``get()``; so ``max_size`` may be ``None``. All
    methods block until the peer has sent what they need. If the connection closes in the middle of
    the message, they raise ConnectionClosed.

    Attributes:
        data_type: ``DataType.TEXT`` or ``DataType.BINARY``.
    """

    def __init__(self, pieces: Generator[Message, None, None]) -> None:
        self._pieces = pieces
        self._buffer = PieceBuffer(next(pieces))
        self._dropped = False
        self.data_type = self._buffer.data_type

    def get(self, kind: int | None = None) -> Message:
        """
        Return the message, or what is left of it: ``str`` for Text, ``bytes`` for Binary.

        Args:
            kind: ``DataType.TEXT`` or ``DataType.BINARY``: return that, whatever was sent.

        Raises:
            ConnectionClosed: in the middle of the message.
            UnicodeDecodeError: it is not UTF-8, or ``read()`` has cut a character.
        """
        while self._more():
            pass
        return self._buffer.take_all(kind)

    def read(self, n: int = -1) -> bytes:
        """
        Return up to ``n`` bytes, at least one; ``b""`` at the end. Text comes in UTF-8.

        Args:
            n: bytes; below 0: all that is left.

        Raises:
            ConnectionClosed: in the middle of the message.
        """
        if n < 0:
            data = self.get(Opcode.BINARY)
            assert isinstance(data, bytes)
            return data
        while n and not self._buffer and self._more():
            pass
        return self._buffer.take(n)

    def read_into(self, buffer: bytearray | memoryview, n: int = -1, offset: int = 0) -> int:
        """
        Read up to ``n`` bytes into a buffer at ``offset``; return how many; 0 at the end.

        Args:
            n: bytes; below 0: as many as there is room for.

        Raises:
            ConnectionClosed: in the middle of the message.
            ValueError: the buffer has no room for ``n`` bytes.
        """
        data = self.read(room_in(buffer, n, offset))
        buffer[offset : offset + len(data)] = data
        return len(data)

    def read_into_exactly(
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
            count = self.read_into(buffer, wanted - done, offset + done)
            if not count:
                raise EOFError(f"the message ended after {done} of {wanted} bytes")
            done += count

    def at_eof(self) -> bool:
        """
        Tell whether the message is read to its end. Does not block.

        It may tell so only when a ``read()`` has returned ``b""``.
        """
        return self._buffer.at_eof()

    def __iter__(self) -> Iterator[Message]:
        """
        Yield what is left, piece by piece as it arrives, all ``str`` or all ``bytes``.

        At least one piece, which is empty if nothing is left.
        """
        while not self._buffer and self._more():
            pass
        yield self._buffer.take_piece()
        while self._buffer or self._more():
            if self._buffer:
                yield self._buffer.take_piece()

    def _more(self) -> bool:
        """Wait for the next piece; return False if there is none."""
        if self._dropped:
            raise RuntimeError("the message callback has returned; what it had not read is dropped")
        if not self._buffer.finished:
            try:
                self._buffer.add(next(self._pieces))
            except StopIteration:
                self._buffer.finished = True
        return not self._buffer.finished

    def drop(self) -> None:
        """Let the next message come, whatever is left of this one. Does not block."""
        self._dropped = not self._buffer.finished
        self._pieces.close()


class WebSocketWriter:
    """Sends to one client. Thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, data: DataLike | Iterable[DataLike]) -> None:
        """
        Send a message: ``str`` as Text, bytes-like as Binary.

        Blocks until the operating system has taken it, at most ``send_timeout`` seconds.

        Raises:
            ConnectionClosed, TimeoutError, TypeError: as ``Connection.send``.
        """
        self._connection.send(data)

    def ping(self, payload: DataLike = b"") -> None:
        """
        Send a Ping; ``@client.pong`` tells of the answer. Does not block.

        Raises:
            ConnectionClosed, TimeoutError, ValueError: as ``Connection.pong``.
        """
        self._connection._engine.post(Opcode.PING, as_payload(payload))

    def pong(self, length: int | DataLike = b"", payload: DataLike | None = None) -> None:
        """
        Send a Pong, as ``pong(payload)`` or ``pong(length, payload)``. Does not block.

        Raises:
            ConnectionClosed, TimeoutError, ValueError: as ``Connection.pong``.
        """
        self._connection.pong(as_payload(length if payload is None else payload))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Do the closing handshake; as ``Connection.close``."""
        self._connection.close(code, reason)

    def fragment(self) -> AbstractContextManager[FragmentContext]:
        """
        Send one message in fragments: each ``send()`` of what this yields is one.

        Messages of others wait until the ``with`` block ends. If it ends with an exception in the
        middle of the message, the connection is closed with 1011: the client would take what it has
        for the whole. ``send_timeout`` counts for each fragment.

        Raises:
            ConcurrencyError: inside another such block of this thread.
            ConnectionClosed, TimeoutError: as ``send``.
        """
        return fragments(self._connection)

    def feed(self, reader: Iterable[DataLike]) -> None:
        """
        Pipe a message on, piece by piece as it arrives; or any iterable of fragments.

        Blocks until all is sent, which may be as long as the message arrives.

        Raises:
            ConnectionClosed: this client's connection, or that of the reader.
            TimeoutError: as ``send``.
        """
        with self.fragment() as stream:
            for piece in reader:
                stream.send(piece)


def as_payload(data: object) -> bytes:
    """
    Return the payload of a control frame.

    Raises:
        TypeError: it is neither ``str`` nor bytes-like.
    """
    return as_whole(data, None)[1]
