"""
The two HTTP/1.1 messages of an opening handshake; h11 reads what ``plainhttp`` leaves to it.

One exchange a connection: a request, an answer, and whatever follows belongs to WebSocket.
"""

from __future__ import annotations

import http
import re

import h11

from ..exceptions import InvalidMessage
from .headers import Headers, HeadersLike
from .plainhttp import read_request, read_switching, write_head

MAX_LINE = 8 * 1024  # bytes of a request line
MAX_HEAD = 32 * 1024  # bytes of all that comes before the body, interim responses included
MAX_HEADERS = 128  # header fields of one message
MAX_BODY = 64 * 1024  # bytes kept of a refusal's body

PIECE = 1024  # bytes of a body that h11 gets at a time, and of a line between its chunks

_BLANK_LINE = re.compile(rb"\n\r?\n")
_TARGET = re.compile("[!-~]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]")


class Request:
    """
    The client's half of the opening handshake.

    Attributes:
        path: the request target, with its query: ``"/chat?room=1"``.
        headers: the header fields.
        method: ``"GET"`` for every WebSocket.
        http_version: ``"1.1"`` for every WebSocket.
        username: who was let in by ``basic_auth``, or ``None``.
    """

    __slots__ = ("headers", "http_version", "method", "path", "username")

    def __init__(
        self,
        path: str,
        headers: HeadersLike | None = None,
        method: str = "GET",
        http_version: str = "1.1",
    ) -> None:
        self.path = path
        self.headers = Headers(headers)
        self.method = method
        self.http_version = http_version
        self.username: str | None = None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path} {self.headers!r}>"


class Response:
    """
    An HTTP answer: the server's half of the opening handshake, or a refusal.

    Attributes:
        status: the HTTP status code.
        headers: the header fields.
        body: the body; for a status of 400 and above without one, one line that names the status.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: int, headers: HeadersLike | None = None, body: str | bytes | None = None
    ) -> None:
        self.status = status
        self.headers = Headers(headers)
        if body is None:
            body = f"{status} {self.reason}\n" if status >= 400 else b""
        if isinstance(body, str):
            body = body.encode()
            if "Content-Type" not in self.headers:
                self.headers.add("Content-Type", "text/plain; charset=utf-8")
        self.body = body

    @property
    def reason(self) -> str:
        """The reason phrase that belongs to the status."""
        try:
            return http.HTTPStatus(self.status).phrase
        except ValueError:
            return ""

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.headers!r}>"


class _Head:
    """
    Watches the head of a message on its way to h11.

    h11 limits a head only while it is incomplete, and takes time quadratic in a run of spaces to
    refuse a control character behind it.
    """

    def __init__(self) -> None:
        self._size = 0  # of all heads so far: interim responses count too
        self._tail = b""  # the last bytes that passed; a blank line may have begun in them

    def split(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what of the data belongs to the head, and what lies behind its blank line."""
        seen = self._tail + data
        blank = _BLANK_LINE.search(seen)
        end = len(seen) if blank is None else blank.end()
        size = end - len(self._tail)
        self._size += size
        if self._size > MAX_HEAD:
            raise InvalidMessage(f"head of over {MAX_HEAD} bytes", 431)
        if _CONTROL.search(seen, 0, end):
            raise InvalidMessage("control character in the head")
        self._tail = seen[-2:] if blank is None else b""
        return data[:size], data[size:]


class RequestReader:
    """The server's end: reads one request, writes one response."""

    def __init__(self) -> None:
        self._http: h11.Connection | None = None  # made when needed
        self._head = _Head()
        self._line = 0  # bytes of the request line so far, or -1 when it is complete
        self._method = ""
        self._switches = False  # whether 101 would be an answer
        self._trailing = b""

    def receive(self, data: bytes) -> Request | None:
        """
        Take bytes from the client (``b""``: end of stream); return the request once it is whole.

        Raises:
            InvalidMessage: not HTTP, over a limit, or cut off; ``status`` says how to answer.
        """
        if not data:
            # h11 is not told: it would refuse to write an answer to that.
            raise InvalidMessage("the client closed the connection before its request was complete")
        if self._http is None:
            # A request line of what is no longer than that is within its limit, too.
            plain = read_request(data) if len(data) <= MAX_LINE else None
            if plain is not None and len(plain[1]) <= MAX_HEADERS:
                path, fields, self._trailing = plain
                self._method = "GET"
                self._switches = True
                return Request(path, fields)
            self._http = h11.Connection(h11.SERVER, MAX_HEAD)
        return self._receive_by_h11(self._http, data)

    def _receive_by_h11(self, http: h11.Connection, data: bytes) -> Request | None:
        if self._line >= 0:
            self._check_line(data)
        head, rest = self._head.split(data)
        try:
            http.receive_data(head)
            event = http.next_event()
        except h11.RemoteProtocolError as exc:
            raise InvalidMessage(
                f"bad HTTP request: {unquoted(exc)}", exc.error_status_hint
            ) from None
        if event is h11.NEED_DATA:
            return None
        assert isinstance(event, h11.Request)
        self._method = event.method.decode("ascii")
        request = Request(
            event.target.decode("ascii"),
            _checked_headers(event),
            self._method,
            event.http_version.decode("ascii"),
        )
        self._switches = "Upgrade" in request.headers
        self._trailing = rest
        return request

    def _check_line(self, data: bytes) -> None:
        end = data.find(b"\n")
        self._line += len(data) if end < 0 else end
        if self._line > MAX_LINE:
            raise InvalidMessage(f"request line of {self._line} bytes; limit {MAX_LINE}", 414)
        if end >= 0:
            self._line = -1

    def respond(self, response: Response) -> bytes:
        """
        Encode the answer. Anything but 101 is the last thing on the connection.

        Raises:
            ValueError: its status or headers may not be sent.
        """
        fields = response.headers.items()
        problem = self._problem(response)
        if problem is not None:
            raise ValueError(f"{response!r} cannot be sent: {problem}")
        if response.status == 101:
            return write_switching(response)
        body = response.body
        fields.append(("Connection", "close"))
        # RFC 9110 section 8.6: "MUST NOT" with a 204.
        if response.status != 204 and "Content-Length" not in response.headers:
            fields.append(("Content-Length", str(len(body))))
        if self._method == "HEAD" or response.status in (204, 304):
            body = b""
        return write_head(f"HTTP/1.1 {response.status} {response.reason}", fields) + body

    def _problem(self, response: Response) -> str | None:
        """Say why a response may not be sent."""
        if response.status == 101:
            return None if self._switches else "the client asked for no other protocol"
        if not 200 <= response.status <= 999:
            return "expected a status of 101 or 200 to 999"
        if "Transfer-Encoding" in response.headers:
            return "Transfer-Encoding is not for the caller to set"
        size = str(len(response.body))
        if response.headers.get("Content-Length", size) != size:
            return f"its body has {size} bytes"
        return None

    def trailing(self) -> bytes:
        """Return what came behind the request: the first frames."""
        return self._trailing

    def hand_over(self) -> tuple[h11.Connection, bytes]:
        """Return h11, which knows what the request was, and what came behind its head."""
        if self._http is None:  # it was plain: a GET without a body
            self._http = h11.Connection(h11.SERVER, MAX_HEAD)
            self._http.receive_data(b"GET / HTTP/1.1\r\nHost: -\r\n\r\n")
            self._http.next_event()
        return self._http, self._trailing


def write_switching(response: Response) -> bytes:
    """Encode the answer that accepts a WebSocket."""
    return write_head(f"HTTP/1.1 101 {response.reason}", response.headers.items())


class ResponseReader:
    """The client's end: writes one request, a GET or a CONNECT; reads one response."""

    def __init__(self) -> None:
        self._method = "GET"
        self._http: h11.Connection | None = None  # made when needed
        self._head = _Head()
        self._response: Response | None = None
        self._body = bytearray()
        self._trailing = b""

    def request(self, request: Request) -> bytes:
        """
        Encode the request.

        Raises:
            ValueError: its target or headers may not be sent.
        """
        hosts = len(request.headers.get_all("Host"))
        if not _TARGET.fullmatch(request.path) or hosts != 1:
            problem = "expected visible ASCII" if hosts == 1 else f"{hosts} Host headers"
            raise ValueError(f"request for {request.path!r} cannot be sent: {problem}")
        # RFC 9110 section 7.2: "ought to generate Host as the first field".
        fields = sorted(request.headers.items(), key=lambda field: field[0].lower() != "host")
        self._method = request.method
        return write_head(f"{request.method} {request.path} HTTP/1.1", fields)

    def receive(self, data: bytes) -> Response | None:
        """
        Take bytes from the server (``b""``: end of stream); return the response once it is whole.

        A body is read to its end, but at most 64 KiB of it are kept.

        Raises:
            InvalidMessage: not HTTP, over a limit, or cut off.
        """
        if not data and self._response is None:
            peer = "proxy" if self._method == "CONNECT" else "server"
            # The cause tells those who may try again that nothing wrong was said.
            error = InvalidMessage(f"the {peer} closed the connection before it answered")
            raise error from EOFError("end of stream")
        if self._http is None:
            plain = read_switching(data) if len(data) <= MAX_HEAD else None
            if plain is not None and len(plain[0]) <= MAX_HEADERS:
                fields, self._trailing = plain
                return Response(101, fields)
            self._http = self._begin_h11()
        try:
            return self._receive_by_h11(self._http, data)
        except h11.RemoteProtocolError as exc:
            return self._cut_off(f"bad HTTP response: {unquoted(exc)}")

    def _begin_h11(self) -> h11.Connection:
        """Let h11 know that a switch of protocols or a tunnel was asked for, and nothing else."""
        http = h11.Connection(h11.CLIENT, MAX_HEAD)
        headers = [("Host", "-"), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
        headers = headers if self._method == "GET" else headers[:1]
        http.send(h11.Request(method=self._method, target="/", headers=headers))
        http.send(h11.EndOfMessage())
        return http

    def _receive_by_h11(self, http: h11.Connection, data: bytes) -> Response | None:
        while self._response is None:
            head, data = self._head.split(data)
            http.receive_data(head)
            response = self._next(http)
            if not data:
                return response
            if response is not None:
                self._trailing = bytes(http.trailing_data[0]) + data
                return response
        return self._receive_body(http, data)

    def _receive_body(self, http: h11.Connection, data: bytes) -> Response | None:
        """Let h11 unwrap the body in small pieces: long lines between chunks cost too much."""
        for start in range(0, len(data) or 1, PIECE):
            http.receive_data(data[start : start + PIECE])
            response = self._next(http)
            if response is not None:
                return response
            if len(http.trailing_data[0]) > PIECE:
                return self._cut_off("endless line between the chunks of the body")
        return None

    def _next(self, http: h11.Connection) -> Response | None:
        """Take h11's events; return the response once it is whole."""
        while True:
            event = http.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED):
                return None
            response = self._take(event, http.their_state is h11.SWITCHED_PROTOCOL)
            if response is not None:
                return response

    def _take(self, event: object, switched: bool) -> Response | None:
        if isinstance(event, h11.InformationalResponse) and event.status_code != 101:
            return None
        if isinstance(event, (h11.InformationalResponse, h11.Response)):
            self._response = Response(event.status_code, _checked_headers(event), b"")
            return self._response if switched else None
        if isinstance(event, h11.Data):
            self._body += event.data
            return self._finished() if len(self._body) >= MAX_BODY else None
        return self._finished()  # EndOfMessage, or the end of the stream behind it

    def _finished(self) -> Response:
        assert self._response is not None
        self._response.body = bytes(self._body[:MAX_BODY])
        return self._response

    def give_up(self) -> Response | None:
        """Return a response whose body does not end, with what has come of it."""
        return None if self._response is None else self._finished()

    def _cut_off(self, problem: str) -> Response:
        """A refusal whose body is damaged or cut off is still a refusal."""
        if self._response is None:
            raise InvalidMessage(problem) from None  # h11 quotes what came
        return self._finished()

    def trailing(self) -> bytes:
        """Return what came behind the response: the first frames."""
        return self._trailing


def unquoted(exc: h11.RemoteProtocolError) -> str:
    """Return h11's words without the line that they quote: it may be long, or secret."""
    return str(exc).partition(": bytearray(")[0]


def _checked_headers(
    event: h11.Request | h11.Response | h11.InformationalResponse,
) -> Headers:
    """Take over h11's header fields, names as they were written, within our limit."""
    if len(event.headers) > MAX_HEADERS:
        raise InvalidMessage(f"{len(event.headers)} header fields; limit {MAX_HEADERS}", 431)
    return Headers([(n.decode("ascii"), v.decode("latin-1")) for n, v in event.headers.raw_items()])
