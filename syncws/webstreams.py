"""
What a WSGI app reads and writes: the body of a request, its answer, and its notes for the log.

Behind the first two is the client, which may leave, be silent, or send nonsense.
"""

from __future__ import annotations

import io
import logging

from .deadline import Deadline
from .exceptions import InvalidMessage
from .sansio import Exchange
from .transport import Transport

_IDLE = 60.0  # seconds in which a client must send some of its body, or take some of the answer
_MAX_NOTE = 8 * 1024  # characters that an app writes to wsgi.errors before they are logged


class Lost(ConnectionAbortedError):
    """
    What a client did to its request, as the app meets it: it is an OSError, as apps expect.

    Attributes:
        status: the HTTP status that tells the client so, or 0 if nobody is there to be told.
    """

    def __init__(self, problem: str, status: int = 0) -> None:
        super().__init__(problem)
        self.status = status


class Client:
    """
    The bytes of an exchange. A client that is silent or takes nothing for too long is lost.

    Attributes:
        lost: what went wrong with the client, if something did.
    """

    def __init__(self, transport: Transport, exchange: Exchange) -> None:
        self.transport = transport
        self.exchange = exchange
        self.lost: Lost | None = None

    @property
    def broken(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.lost is not None and not self.lost.status

    def let_go(self) -> None:
        """Keep an app that has kept the streams from using them any longer."""
        self.lost = Lost("this request is over")

    def read(self) -> bytes:
        """
        Return the next bytes of the request's body; ``b""`` is its end.

        Blocks until there are some.

        Raises:
            Lost: the client left, was silent for too long, or sent nonsense.
        """
        if self.lost is not None:
            raise self.lost
        try:
            while True:
                data = self.exchange.read()
                if data is not None:
                    return data
                self.send(self.exchange.go_on())
                self.exchange.receive(self.transport.recv(Deadline(_IDLE)))
        except Lost:
            raise
        except InvalidMessage as exc:
            raise self._lose(str(exc), exc.status) from None
        except TimeoutError:
            raise self._lose(f"the client sent nothing for {_IDLE} s", 408) from None
        except OSError as exc:
            raise self._lose(f"the client left: {exc}") from exc

    def send(self, data: bytes) -> None:
        """
        Send bytes to the client.

        Blocks until the socket has taken them.

        Raises:
            Lost: the client left, or took nothing for too long.
        """
        if self.lost is not None and self.broken:
            raise self.lost
        if not data:
            return
        try:
            done = self.transport.send_nowait(data)
            while not done:
                self._wait_writable()
                done = self.transport.flush_nowait()
        except OSError as exc:
            raise self._lose(f"the client left: {exc}") from exc

    def _wait_writable(self) -> None:
        # To have room again takes the system more than a few bytes; a slow client is no dead one.
        taken = self.transport.confirmed()
        writable = self.transport.wait_writable(Deadline(_IDLE))
        if not writable and self.transport.confirmed() == taken:
            raise TimeoutError(f"it took nothing for {_IDLE} s")

    def _lose(self, problem: str, status: int = 0) -> Lost:
        self.lost = Lost(problem, status)
        return self.lost


class Body(io.RawIOBase):
    """The body of a request as a file, whose end is that of the body."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with what is there, or wait for some; return 0 at the end."""
        if not self._rest:
            self._rest = memoryview(self._client.read())
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class Errors(io.TextIOBase):
    """``wsgi.errors``: what an app writes there is logged when it flushes, or at the end."""

    def __init__(self, logger: logging.Logger) -> None:
        self._log = logger
        self._text = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._text += text
        if len(self._text) > _MAX_NOTE:
            self.flush()
        return len(text)

    def flush(self) -> None:
        text, self._text = self._text.rstrip(), ""
        if text:
            self._log.error("%s", text)
