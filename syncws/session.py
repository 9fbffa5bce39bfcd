"""One accepted socket, in a thread of its own: opening handshake, handler, end."""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import logging
import socket
import ssl as ssl_module
from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable, Union

from .addresses import address
from .codes import Role
from .connection import Connection
from .deadline import Deadline
from .exceptions import Close, InvalidHandshake, TooManyConnections
from .forwarded import TrustedProxies
from .handlers import Handler, run_handler
from .listening import check_server_context
from .options import Options
from .sansio import (
    Exchange,
    Headers,
    Origins,
    Request,
    RequestReader,
    Response,
    SelectSubprotocol,
    build_response,
    check_request,
    names_websocket,
    redacted,
    refusal,
)
from .tls import TLSTransport, check_context
from .transport import Transport
from .webapp import serve_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ProcessRequest = Callable[[Request], Union[Response, None]]
ProcessResponse = Callable[[Request, Response], Union[Response, None]]

_LINGER = 2.0  # seconds for a client to read why it was refused, or the end of the app's answer


@dataclasses.dataclass(frozen=True)
class Policy:
    """What a server does with its clients."""

    handler: Handler
    options: Options
    logger: logging.Logger
    ssl: ssl_module.SSLContext | None
    origins: Origins
    subprotocols: Sequence[str]
    select_subprotocol: SelectSubprotocol | None
    process_request: ProcessRequest | None
    process_response: ProcessResponse | None
    server_header: str | None
    create_connection: Callable[..., Connection]
    trusted_proxies: TrustedProxies
    wsgi_app: WSGIApplication | None

    def __post_init__(self) -> None:
        """Refuse now what would fail with the first client."""
        if not callable(self.handler):
            raise TypeError(f"handler is called with each connection; got {self.handler!r}")
        if not (self.wsgi_app is None or callable(self.wsgi_app)):
            raise TypeError(f"wsgi_app is called with each request; got {self.wsgi_app!r}")
        if self.server_header is not None:
            Headers([("Server", self.server_header)])
        check_context("ssl", self.ssl)
        if self.ssl is not None:
            check_server_context(self.ssl)


class Session:
    """
    A client of the server, from its first byte to its last.

    Attributes:
        connection: once the opening handshake is done.
        asked: whether the client's request is here. Browsers open connections in advance, too.
    """

    def __init__(self, policy: Policy, sock: socket.socket, refuse: bool) -> None:
        self._policy = policy
        self._refuse = refuse
        self._log = policy.logger
        if policy.ssl is None:
            self._transport = Transport(sock)
        else:
            self._transport = TLSTransport(sock, policy.ssl, server_side=True)
        self.connection: Connection | None = None
        self.asked = False

    def open(self) -> Connection | None:
        """Do the opening handshake, or answer otherwise and return None. Raises no Exception."""
        try:
            return self._open()
        except (OSError, InvalidHandshake) as exc:
            self._log.info("opening handshake failed: %s", exc or type(exc).__name__)
        except Exception:
            self._log.exception("opening handshake failed")
        finally:
            if self.connection is None:
                self._transport.close()
        return None

    def run_handler(self) -> None:
        """Let the handler do its work, then close the connection. Raises no Exception."""
        assert self.connection is not None
        run_handler(self._policy.handler, self.connection)

    def begin_close(self, close: Close) -> None:
        """Begin the closing handshake without waiting; whoever has not asked yet is cut off."""
        if self.connection is not None:
            self.connection._engine.begin_close(close)
        elif not self.asked:
            self.abort()

    def abort(self) -> None:
        """Cut the connection, also in the middle of the opening handshake."""
        self._transport.abort()

    def _open(self) -> Connection | None:
        """Do the opening handshake; return None if the client was answered otherwise."""
        deadline = Deadline(self._policy.options.open_timeout)
        transport = self._transport
        if isinstance(transport, TLSTransport):
            transport.handshake(deadline)
        reader = RequestReader()
        try:
            request = self._read_request(reader, deadline)
            if request is None:
                return None
            self.asked = True
            self._log.debug(
                "< %s %s %s", request.method, request.path, redacted(request.headers.items())
            )
            response = self._answer(request)
            if response is None:
                self._serve_app(request, Exchange(reader, request))
                return None
        except InvalidHandshake as exc:
            self._send_refusal(reader, refusal(exc), deadline)
            raise
        if response.status != 101:
            self._send_refusal(reader, response, deadline)
            return None
        transport.send(self._encode(reader, response), deadline)
        self.connection = self._policy.create_connection(
            transport, Role.SERVER, request, response, self._policy.options, self._policy.logger
        )
        self.connection._start(reader.trailing())
        return self.connection

    def _read_request(self, reader: RequestReader, deadline: Deadline) -> Request | None:
        """Return the request, or None if the client leaves without a word, as port scanners do."""
        silent = True
        while True:
            data = self._transport.recv(deadline)
            if not data and silent:
                self._log.debug("the client left without a word")
                return None
            silent = False
            request = reader.receive(data)
            if request is not None:
                return request

    def _answer(self, request: Request) -> Response | None:
        """
        Decide how to answer the request, or return None to leave that to the WSGI app.

        If a hook fails, the client is not told why.
        """
        try:
            return self._decide(request)
        except InvalidHandshake:
            raise
        except Exception:
            self._log.exception("opening handshake failed")
            return Response(500)

    def _decide(self, request: Request) -> Response | None:
        policy = self._policy
        if self._refuse:
            return refusal(TooManyConnections())
        if policy.process_request is not None:
            response = policy.process_request(request)
            if response is not None:
                return response
        self._transport.remote_address = policy.trusted_proxies.client_address(
            address(self._transport.sock.getpeername), request.headers
        )
        if policy.wsgi_app is not None and not names_websocket(request.headers.get_all("Upgrade")):
            return None
        check_request(request, policy.origins)
        response = build_response(
            request, policy.subprotocols, policy.select_subprotocol, policy.options.deflate
        )
        if policy.process_response is not None:
            response = policy.process_response(request, response) or response
        return response

    def _encode(self, reader: RequestReader, response: Response) -> bytes:
        self._log.debug("> %d %s", response.status, redacted(response.headers.items()))
        complete = Response(response.status, response.headers, response.body)
        if "Date" not in complete.headers:
            complete.headers.add("Date", email.utils.formatdate(usegmt=True))
        if self._policy.server_header is not None and "Server" not in complete.headers:
            complete.headers.add("Server", self._policy.server_header)
        return reader.respond(complete)

    def _send_refusal(self, reader: RequestReader, response: Response, deadline: Deadline) -> None:
        """Answer with plain HTTP, and let the client read it before the connection is gone."""
        with contextlib.suppress(OSError):
            self._transport.send(self._encode(reader, response), deadline)
            self._linger(deadline.earlier(_LINGER))

    def _serve_app(self, request: Request, exchange: Exchange) -> None:
        """Let the WSGI app answer; an answer that is not whole must not look so."""
        policy = self._policy
        assert policy.wsgi_app is not None
        whole = False
        try:
            whole = serve_app(
                policy.wsgi_app,
                request,
                exchange,
                self._transport,
                self._log,
                policy.server_header,
            )
        finally:
            if not whole:
                self._transport.reset_on_close()
        if whole:
            with contextlib.suppress(OSError):
                self._linger(Deadline(_LINGER))

    def _linger(self, deadline: Deadline) -> None:
        """Say that this was all, and read on: to close now would reset the connection."""
        self._transport.half_close()
        while self._transport.recv(deadline):
            if deadline.lapsed:
                break
