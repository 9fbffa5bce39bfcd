"""
Every exception that syncws raises of its own.

They carry plain values (numbers, strings, pairs), so this file needs nothing but the codes. A
lapsed time is always the builtin ``TimeoutError``, a network error while connecting an ``OSError``.
"""

from __future__ import annotations

import copyreg
from collections.abc import Sequence
from typing import NamedTuple

from .codes import NORMAL_CLOSE_CODES, CloseCode, describe


class Close(NamedTuple):
    """What one Close frame said (RFC 6455 section 5.5.1). ``code`` is 1005 if it was empty."""

    code: int
    reason: str = ""

    def __str__(self) -> str:
        return describe(self.code) + (f" {self.reason}" if self.reason else "")


class WebSocketException(Exception):
    """Base of every exception in this module."""

    def __reduce__(self) -> tuple[object, ...]:
        """Let it pass between processes: ``args`` is the text, not what ``__init__`` takes."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class ConnectionClosed(WebSocketException):
    """
    The connection is closing or closed, so nothing more can be sent or received.

    Raised as one of its two subclasses. ``__cause__`` is the network error or the ``TimeoutError``
    that ended the connection, if one did.

    Attributes:
        rcvd: the Close frame the peer sent, or ``None``.
        sent: the Close frame we sent, or ``None``.
    """

    def __init__(self, rcvd: Close | None, sent: Close | None) -> None:
        super().__init__(rcvd, sent)
        self.rcvd = rcvd
        self.sent = sent

    @property
    def code(self) -> int:
        """The close code of RFC 6455 section 7.1.5: the peer's, or 1006 if none came."""
        return CloseCode.ABNORMAL_CLOSURE.value if self.rcvd is None else self.rcvd.code

    @property
    def reason(self) -> str:
        """The peer's reason (section 7.1.6), or ``""``."""
        return "" if self.rcvd is None else self.rcvd.reason

    def __str__(self) -> str:
        parts = []
        if self.sent is not None:
            parts.append(f"sent {self.sent}")
        parts.append("no Close frame received" if self.rcvd is None else f"received {self.rcvd}")
        if self.__cause__ is not None:
            parts.append(f"caused by {type(self.__cause__).__name__}: {self.__cause__}")
        return "; ".join(parts)


class ConnectionClosedOK(ConnectionClosed):
    """The connection ended as it should: 1000, 1001 or no code."""


class ConnectionClosedError(ConnectionClosed):
    """The connection ended with an error code, or without a closing handshake (1006)."""


def connection_closed(
    rcvd: Close | None,
    sent: Close | None,
    cause: BaseException | None = None,
    over: bool = False,
) -> ConnectionClosed:
    """
    Build the subclass of ConnectionClosed that fits what was received and sent.

    When all is ``over``, the peer's Close frame will not come any more if it is not there.
    """
    closes = [close for close in (rcvd, sent) if close is not None]
    normal = bool(closes) and all(close.code in NORMAL_CLOSE_CODES for close in closes)
    if cause is not None or (over and rcvd is None):
        normal = False
    exc = (ConnectionClosedOK if normal else ConnectionClosedError)(rcvd, sent)
    exc.__cause__ = cause
    return exc


class InheritedConnection(WebSocketException):
    """
    The connection was made before ``fork()`` and this is the child process.

    Two processes on one byte stream would tear it, so the parent keeps the connection. Make a new
    one here.
    """

    def __init__(self, parent: int, child: int) -> None:
        super().__init__(
            f"this connection belongs to process {parent}, which forked this process {child}; "
            f"call connect() again here"
        )


class ConcurrencyError(WebSocketException, RuntimeError):
    """Two calls that cannot both be served, such as two Pings in flight with one payload."""


class ProtocolError(WebSocketException):
    """
    A rule of RFC 6455 was broken; the message names the rule.

    Attributes:
        code: the close code that answers it (1002, 1007 or 1009).
    """

    def __init__(self, message: str, code: int = CloseCode.PROTOCOL_ERROR.value) -> None:
        super().__init__(message)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


class MessageTooBig(ProtocolError):
    """
    A message exceeds a limit of ours; answered with close code 1009.

    Attributes:
        size: bytes of the message so far (or as declared), or its fragments so far.
        limit: the limit in the same unit.
    """

    def __init__(
        self, size: int, limit: int, unit: str = "bytes", option: str = "max_size"
    ) -> None:
        super().__init__(
            f"message of {size} {unit} or more exceeds {option}={limit}",
            CloseCode.MESSAGE_TOO_BIG.value,
        )
        self.size = size
        self.limit = limit


class InvalidURI(WebSocketException, ValueError):
    """The URL is not one that connect() can use."""

    def __init__(self, uri: str, problem: str) -> None:
        super().__init__(f"{uri!r} is not a WebSocket URL: {problem}")
        self.uri = uri


class InvalidProxy(WebSocketException, ValueError):
    """The URL of a proxy is not one that connect() can use; it may come from the environment."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"{url!r} is not the URL of a proxy: {problem}")
        self.url = url


class InvalidHandshake(WebSocketException):
    """
    The opening handshake failed (RFC 6455 section 4).

    Attributes:
        status: the HTTP status that tells a client so.
    """

    status = 400


class InvalidMessage(InvalidHandshake):
    """What the peer sent is not HTTP/1.1, is over a limit, or is cut off."""

    def __init__(self, problem: str, status: int = 400) -> None:
        super().__init__(problem)
        self.status = status


class InvalidHeader(InvalidHandshake):
    """A header of the opening handshake is missing, double or has a value that is not allowed."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} header: {problem}")
        self.name = name


class InvalidUpgrade(InvalidHeader):
    """The Upgrade or Connection header does not ask for, or grant, a WebSocket."""

    status = 426


class InvalidOrigin(InvalidHeader):
    """The Origin header names a site that may not connect (RFC 6455 section 10.2)."""

    status = 403

    def __init__(self, problem: str) -> None:
        super().__init__("Origin", problem)


class NegotiationError(InvalidHandshake):
    """Client and server do not agree on a subprotocol or an extension."""


class InvalidStatus(InvalidHandshake):
    """
    The server answered with plain HTTP instead of 101; no WebSocket was opened.

    Attributes:
        status: the HTTP status code.
        headers: (name, value) pairs in the order received.
        body: the response's body, cut at 64 KiB.
    """

    def __init__(
        self, status: int, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> None:
        super().__init__(f"expected HTTP status 101, the server sent {status}")
        self.status = status
        self.headers = list(headers)
        self.body = body


class TooManyRedirects(InvalidHandshake):
    """The server redirected more often than ``max_redirects``, or to where we must not go."""


class ProxyError(InvalidHandshake):
    """The proxy opened no way to the server: it refused, or what it said cannot be used."""


class InvalidProxyStatus(ProxyError):
    """
    The HTTP proxy refused to open a tunnel (RFC 9110 section 9.3.6).

    Attributes:
        status: the HTTP status code; 407 means that it wants a user and a password, or others.
        headers: (name, value) pairs in the order received.
        body: the response's body, cut at 64 KiB.
    """

    def __init__(
        self,
        problem: str,
        status: int,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        super().__init__(problem)
        self.status = status
        self.headers = list(headers)
        self.body = body


class TooManyConnections(InvalidHandshake):
    """The server has ``max_connections`` clients already."""

    status = 503

    def __init__(self) -> None:
        super().__init__("too many connections; try again later")


class UnsupportedServer(WebSocketException, RuntimeError):
    """A WSGI server does not let its applications take over the socket of a request."""
