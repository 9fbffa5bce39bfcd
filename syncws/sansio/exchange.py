"""
A request that is answered as plain HTTP, with bodies in pieces both ways; h11 frames them.

One exchange a connection, as with the opening handshake: the answer says "Connection: close".
"""

from __future__ import annotations

import re

import h11

from ..exceptions import InvalidMessage
from .headers import Headers
from .http11 import PIECE, Request, RequestReader, unquoted

_URL = re.compile(r"https?://([^/#@]+)(/.*)?", re.IGNORECASE)
_BODILESS = frozenset({204, 304})


class Exchange:
    """
    The rest of an exchange whose request was read: its body in, the answer out.

    Attributes:
        path: the path that the request is for, as it was written: ``"/a%20b"``, or ``""`` for "*".
        query: what follows the "?", or ``""``.
        host: the host that the request is for, or ``None`` for that of the Host header.
        complete: whether the answer was written to its end.
        room: bytes that the answer's Content-Length leaves for its body, or ``None``.

    Raises:
        InvalidMessage: nobody can serve this; ``status`` says how to answer.
    """

    def __init__(self, reader: RequestReader, request: Request) -> None:
        _check(request)
        self.host, self.path, self.query = _split_target(request)
        self.complete = False
        self.room: int | None = None
        self._head_only = request.method == "HEAD"
        self._chunked = "Transfer-Encoding" in request.headers
        self._http, received = reader.hand_over()
        self._received = memoryview(received)  # what h11 did not get yet
        self._read = False  # to its end

    # The body of the request.

    def receive(self, data: bytes) -> None:
        """
        Take bytes from the client (``b""``: end of stream), after ``read`` asked for them.

        Raises:
            InvalidMessage: the body is cut off.
        """
        if not data:
            # h11 is not told: then an answer can still be written.
            raise InvalidMessage("the client ended the stream in the middle of its request")
        self._received = memoryview(data)

    def read(self) -> bytes | None:
        """
        Return what came of the body since the last time: ``b""`` at its end, None to receive more.

        Raises:
            InvalidMessage: it is not framed as HTTP says.
        """
        parts: list[bytes] = []
        try:
            while not self._read:
                event = self._http.next_event()
                if isinstance(event, h11.Data):
                    parts.append(event.data)
                elif event is not h11.NEED_DATA:
                    self._read = True
                elif not self._received:
                    break
                else:
                    self._feed()
        except h11.RemoteProtocolError as exc:
            raise InvalidMessage(
                f"bad body of an HTTP request: {unquoted(exc)}", exc.error_status_hint
            ) from None
        return b"".join(parts) if parts or self._read else None

    def _feed(self) -> None:
        """Give h11 more: between chunks in small pieces, since long lines cost too much there."""
        if len(self._http.trailing_data[0]) > PIECE:
            raise InvalidMessage("endless line between the chunks of the body")
        size = PIECE if self._chunked else len(self._received)
        self._http.receive_data(bytes(self._received[:size]))
        self._received = self._received[size:]

    def go_on(self) -> bytes:
        """Return what the client waits for before it sends the body: 100 Continue, or nothing."""
        if not self._http.they_are_waiting_for_100_continue:
            return b""
        return self._http.send(
            h11.InformationalResponse(status_code=100, reason=b"Continue", headers=[])
        )

    # The answer.

    def bodiless(self, status: int) -> bool:
        """Tell whether an answer of this status has no body, whatever its headers say."""
        return self._head_only or status in _BODILESS

    def begin(self, status: int, reason: str, headers: Headers) -> bytes:
        """
        Encode the head of the answer.

        Without a Content-Length the body is chunked, or ends with the connection for HTTP/1.0.

        Raises:
            ValueError: the status or the headers may not be sent; another answer may be.
        """
        fields = [
            (name.encode("ascii"), value.encode("latin-1"))
            for name, value in headers.items()
            # RFC 9110 section 8.6: "MUST NOT" with a 204.
            if status != 204 or name.lower() != "content-length"
        ]
        try:
            response = h11.Response(
                status_code=status,
                reason=reason.encode("latin-1"),
                headers=[*fields, (b"Connection", b"close")],
            )
        except h11.LocalProtocolError as exc:
            raise ValueError(f"this answer cannot be sent: {exc}") from None
        length = headers.get("Content-Length")
        if self.bodiless(status):
            self.room = 0
        elif length is not None:
            self.room = int(length)
        return self._http.send(response)

    def body(self, data: bytes) -> bytes:
        """Encode a piece of the body, for which there must be room."""
        if self.room is not None:
            assert len(data) <= self.room
            self.room -= len(data)
        return self._http.send(h11.Data(data=data))

    def end(self) -> bytes:
        """
        Encode the end of the answer.

        Raises:
            ValueError: there is still room in it.
        """
        if self.room:
            raise ValueError(f"the body is {self.room} bytes shorter than its Content-Length")
        self.complete = True
        return self._http.send(h11.EndOfMessage())


def _check(request: Request) -> None:
    """Refuse what one cannot be sure to understand as the client means it."""
    if not request.http_version.startswith("1."):
        raise InvalidMessage(f"HTTP/{request.http_version}; expected HTTP/1.1 or HTTP/1.0", 505)
    if request.method == "CONNECT":
        raise InvalidMessage("method CONNECT; this is no proxy", 501)
    # RFC 9112 sections 6.1 and 6.3: whoever writes this may be smuggling a second request.
    if "Transfer-Encoding" in request.headers and (
        "Content-Length" in request.headers or request.http_version == "1.0"
    ):
        raise InvalidMessage("Transfer-Encoding together with Content-Length or HTTP/1.0")


def _split_target(request: Request) -> tuple[str | None, str, str]:
    """Return host, path and query of a request target (RFC 9112 section 3.2)."""
    target, _, query = request.path.partition("?")
    if target.startswith("/"):
        return None, target, query
    if request.path == "*" and request.method == "OPTIONS":
        return None, "", ""
    url = _URL.fullmatch(target)
    if url is None:
        raise InvalidMessage("the request target is neither a path nor a URL")
    return url[1], url[2] or "/", query
