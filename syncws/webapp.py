"""
Plain HTTP beside WebSockets: one request on an accepted transport, answered by a WSGI app.

``wsgiref`` brings the rules of WSGI (PEP 3333), ``Exchange`` the framing. Here the two meet the
transport, and what a client does to it is told apart from what the app does.
"""

from __future__ import annotations

import email.utils
import http
import io
import logging
import re
import sys
import urllib.parse
import wsgiref.headers
from collections.abc import Iterable
from typing import TYPE_CHECKING, Callable
from wsgiref.handlers import BaseHandler
from wsgiref.util import is_hop_by_hop

from .addresses import address
from .sansio import Exchange, Headers, Request, redacted
from .tls import TLSTransport
from .transport import Transport
from .webstreams import Body, Client, Errors, Lost

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import ErrorStream, InputStream, WSGIApplication

_PIECE = 64 * 1024  # bytes of an answer that are on their way at a time

_ERROR_HEADERS = [("Content-Type", "text/plain; charset=utf-8")]
_NO_ENVIRON: dict[str, str] = {}
_STATUS = re.compile(r"[2-9]\d\d [\t\x20-\x7e\x80-\xff]*")
# CGI's own names for two headers. "Proxy" is none, but CGI's name for it is a program's setting.
_CGI_NAMES = {"HTTP_CONTENT_TYPE": "CONTENT_TYPE", "HTTP_CONTENT_LENGTH": "CONTENT_LENGTH"}
_NOT_FOR_CGI = "proxy"


def serve_app(
    app: WSGIApplication,
    request: Request,
    exchange: Exchange,
    transport: Transport,
    logger: logging.Logger,
    server_header: str | None,
) -> bool:
    """
    Let the app answer a request; return whether the answer went out to its end.

    Blocks until the app is done, and the client has sent and taken what the app wants; a client
    that does nothing for a minute is given up. No exception of the app or the client gets out.
    """
    client = Client(transport, exchange)
    handler = _Handler(client, request, logger, server_header)
    whole = False
    try:
        handler.run(app)
        if exchange.room == 0 and not exchange.complete:  # the app failed, but with its last word
            handler._send(exchange.end())
        whole = exchange.complete and not client.broken
    except Lost as exc:
        logger.debug("the client did not get the answer: %s", exc)
    finally:
        handler.stderr.flush()
        client.let_go()
    return whole


class _Handler(BaseHandler):
    """One call of the app. ``wsgiref`` has the order of steps; framing and failing are ours."""

    os_environ = _NO_ENVIRON  # what this process was started with is no request's
    wsgi_multiprocess = False
    error_headers = _ERROR_HEADERS

    # As wsgiref begins with them: all None, 0 or False.
    environ: dict[str, object]
    status: str | None
    headers: wsgiref.headers.Headers | None
    bytes_sent: int
    result: Iterable[bytes] | None

    def __init__(
        self,
        client: Client,
        request: Request,
        logger: logging.Logger,
        server_header: str | None,
    ) -> None:
        self._client = client
        self._exchange = client.exchange
        self._request = request
        self._log = logger
        self._server_header = server_header
        self._head = b""  # of the answer; it goes out with the first bytes behind it
        self.server_software = server_header or "syncws"
        self.stdin = io.BufferedReader(Body(client))
        self.stderr = Errors(logger)

    # What the app is told.

    def get_stdin(self) -> InputStream:
        return self.stdin

    def get_stderr(self) -> ErrorStream:
        return self.stderr

    def add_cgi_vars(self) -> None:
        self.environ.update(_environ(self._request, self._exchange, self._client.transport))
        # The body ends by itself: apps may read a chunked one, whose length nobody knows.
        self.environ["wsgi.input_terminated"] = True

    # How it goes.

    def run(self, application: WSGIApplication) -> None:
        # That of wsgiref takes a broken connection of the app, to a database perhaps, for ours.
        try:
            self.setup_environ()
            self.result = application(self.environ, self.start_response)
            self.finish_response()
        except (Exception, SystemExit):
            self.handle_error()

    def start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: OptExcInfo | None = None,
    ) -> Callable[[bytes], None]:
        try:
            if exc_info and exc_info[1] is not None and self.headers_sent:
                raise exc_info[1].with_traceback(exc_info[2])
            _check_head(status, headers)
            # wsgiref adds to the list, and the app may use it again.
            return super().start_response(status, headers[:], exc_info)
        finally:
            exc_info = None  # it holds this frame

    def finish_response(self) -> None:
        # That of wsgiref forgets too early that there was an answer: close() may still raise.
        result = self.result
        if result is None:
            raise TypeError("the app returned None; expected an iterable of bytes")
        try:
            for data in result:
                self.write(data)
                if self.headers_sent and self._bodiless():
                    break  # nobody wants the rest, which may be endless
            self.finish_content()
        finally:
            if hasattr(result, "close"):
                result.close()

    def write(self, data: bytes) -> None:
        if type(data) is not bytes:  # wsgiref asserts it, but not under python -O
            raise TypeError(f"the app wrote {type(data).__name__}; expected bytes")
        # PEP 3333: the head waits for the first bytes that are not empty.
        if data:
            super().write(data)

    def cleanup_headers(self) -> None:
        if self.bytes_sent:  # else there is nothing to conclude a Content-Length from
            super().cleanup_headers()

    def send_headers(self) -> None:
        self.cleanup_headers()
        assert self.headers is not None and self.status is not None
        headers = Headers(self.headers.items())
        if "Date" not in headers:
            headers.add("Date", email.utils.formatdate(usegmt=True))
        if self._server_header is not None and "Server" not in headers:
            headers.add("Server", self._server_header)
        status, _, reason = self.status.partition(" ")
        self._head = self._exchange.begin(int(status), reason, headers)
        self.headers_sent = True
        self._log.debug("> %s %s", status, redacted(headers.items()))

    def _write(self, data: bytes) -> None:
        if self._bodiless():
            return
        room = self._exchange.room
        fitting = data if room is None else data[:room]
        for start in range(0, len(fitting), _PIECE):
            self._send(self._exchange.body(fitting[start : start + _PIECE]))
        if len(fitting) < len(data):
            raise ValueError("the body is longer than its Content-Length")

    def _flush(self) -> None:
        pass  # nothing waits here

    def _send(self, data: bytes) -> None:
        head, self._head = self._head, b""
        self._client.send(head + data)

    def _bodiless(self) -> bool:
        assert self.status is not None
        return self._exchange.bodiless(int(self.status[:3]))

    def finish_content(self) -> None:
        if self.status is None or self.headers is None:
            raise AssertionError("the app did not call start_response()")
        if not self.headers_sent:
            if not self._bodiless() and self.headers.setdefault("Content-Length", "0") != "0":
                raise ValueError(f"no body, but Content-Length {self.headers['Content-Length']}")
            self.send_headers()
        self._send(self._exchange.end())

    # How it fails.

    def handle_error(self) -> None:
        lost = _lost_behind(sys.exc_info()[1])
        if lost is None:
            self.log_exception(sys.exc_info())
        else:
            self._log.info("request failed: %s", lost)
            self.error_status = _status_line(lost.status) if lost.status else ""
        if not self.headers_sent and self.error_status:
            self.error_body = f"{self.error_status}\n".encode()
            self.result = self.error_output(self.environ, self.start_response)
            self.finish_response()

    def log_exception(self, exc_info: OptExcInfo) -> None:
        what = f"{self._request.method} {self._exchange.path}"
        self._log.error("%s: the WSGI app failed", what, exc_info=exc_info)


def _lost_behind(exc: BaseException | None) -> Lost | None:
    """Find what the client did behind what the app, or its framework, made of it."""
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        if isinstance(exc, Lost):
            return exc
        seen.add(id(exc))
        exc = exc.__cause__ or exc.__context__
    return None


def _check_head(status: str, headers: list[tuple[str, str]]) -> None:
    """
    Refuse what could end a line of the head or change the framing, also under ``python -O``.

    Raises:
        TypeError, ValueError: the app may not say that.
    """
    if type(status) is not str or type(headers) is not list:
        raise TypeError(f"start_response({status!r}, {headers!r}); expected a str and a list")
    if not _STATUS.fullmatch(status):
        raise ValueError(f'status {status!r}; expected one like "200 OK", from 200 on')
    for name, _ in Headers(headers).items():
        if is_hop_by_hop(name):
            raise ValueError(f"header {name} is between client and server; not for the app to set")


def _status_line(status: int) -> str:
    return f"{status} {http.HTTPStatus(status).phrase}"


# The environment (PEP 3333, "environ Variables", and CGI, RFC 3875).


def _environ(request: Request, exchange: Exchange, transport: Transport) -> dict[str, str]:
    environ = _ends(transport)
    environ.update(
        REQUEST_METHOD=request.method,
        SCRIPT_NAME="",
        PATH_INFO=urllib.parse.unquote_to_bytes(exchange.path).decode("latin-1"),
        QUERY_STRING=exchange.query,
        REQUEST_URI=request.path,
        RAW_URI=request.path,
        SERVER_PROTOCOL=f"HTTP/{request.http_version}",
    )
    if request.username is not None:
        environ["REMOTE_USER"] = request.username.encode("utf-8").decode("latin-1")
    for name, value in request.headers.items():
        # "X_Y" would look like "X-Y", which a proxy may have checked, or set.
        if "_" in name or name.lower() == _NOT_FOR_CGI:
            continue
        key = "HTTP_" + name.upper().replace("-", "_")
        key = _CGI_NAMES.get(key, key)
        separator = "; " if key == "HTTP_COOKIE" else ", "
        environ[key] = f"{environ[key]}{separator}{value}" if key in environ else value
    if exchange.host is not None:  # RFC 9112 section 3.2.2: it counts, the Host header does not
        environ["HTTP_HOST"] = exchange.host
    return environ


def _ends(transport: Transport) -> dict[str, str]:
    """Tell the addresses of both ends; those of a Unix socket are no host and port."""
    ours, theirs = address(transport.sock.getsockname), transport.remote_address
    secure = isinstance(transport, TLSTransport)
    if not isinstance(ours, tuple):
        ours = ("localhost", 443 if secure else 80)
    host = ours[0].partition("%")[0]
    ends = {"SERVER_NAME": f"[{host}]" if ":" in host else host, "SERVER_PORT": str(ours[1])}
    if isinstance(theirs, tuple):
        ends["REMOTE_PORT"] = str(theirs[1])
    ends["REMOTE_ADDR"] = theirs[0] if isinstance(theirs, tuple) else ""
    if secure:
        ends["HTTPS"] = "on"  # so wsgi.url_scheme is https
    return ends
