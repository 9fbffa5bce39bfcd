"""connect(): find the server, open TCP and TLS, do the opening handshake."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import logging
import os
import socket
import ssl as ssl_module
import sys
import time
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Callable

from .codes import Role
from .connection import Connection
from .deadline import Deadline
from .dial import SocketOption, dial
from .exceptions import (
    InvalidHandshake,
    InvalidHeader,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    TooManyRedirects,
)
from .options import Deflate, Options, OptionsDict
from .sansio import (
    Headers,
    HeadersLike,
    Request,
    Response,
    ResponseReader,
    build_request,
    check_response,
    redacted,
)
from .transport import TLSTransport, Transport
from .uri import URI, parse_uri
from .version import __version__

if TYPE_CHECKING:
    from typing_extensions import Unpack

USER_AGENT = f"Python/{sys.version_info[0]}.{sys.version_info[1]} syncws/{__version__}"
_UNIX_PAUSE = 0.01  # seconds
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CREDENTIALS = ("Authorization", "Cookie", "Proxy-Authorization")


@dataclasses.dataclass
class _Dialling:
    """What connect() was asked for, as it changes from redirect to redirect."""

    uri: URI
    headers: Headers
    origin: str | None
    subprotocols: Sequence[str]
    compression: Deflate | None
    ssl: ssl_module.SSLContext | None
    server_hostname: str | None
    unix_path: str | None
    sock: socket.socket | None
    source_address: tuple[str, int] | None
    socket_options: Sequence[SocketOption]

    def open_transport(self, deadline: Deadline) -> Transport:
        """Connect TCP, and TLS for wss."""
        if self.sock is not None:
            sock = self.sock
        elif self.unix_path is not None:
            sock = _dial_unix(self.unix_path, deadline)
        else:
            uri = self.uri
            sock = dial(uri.host, uri.port, deadline, self.source_address, self.socket_options)
        if not self.uri.secure:
            return Transport(sock)
        try:
            context = self.ssl or _default_context()
            name = self.server_hostname or self.uri.host
            transport = TLSTransport(sock, context, server_hostname=name)
            transport.handshake(deadline)
        except BaseException:
            sock.close()
            raise
        return transport

    def redirect(self, location: str) -> None:
        """Go to another place, without what was meant for this one only."""
        here, there = self.uri, _resolved(self.uri, location)
        place = there.host_header
        if here.secure and not there.secure:
            raise TooManyRedirects(f"redirected from wss to ws, which nobody protects: {place}")
        if there.origin != here.origin:
            if self.sock is not None or self.unix_path is not None:
                raise TooManyRedirects(f"redirected to {place}, but sock= or unix_path= is given")
            for name in (*_CREDENTIALS, "Host"):
                self.headers.discard(name)
            self.server_hostname = None
        elif self.sock is not None:
            raise TooManyRedirects(f"redirected to {place}, but sock= can be used only once")
        self.uri = there


def connect(
    url: str,
    *,
    sock: socket.socket | None = None,
    ssl: ssl_module.SSLContext | None = None,
    server_hostname: str | None = None,
    origin: str | None = None,
    subprotocols: Sequence[str] | None = None,
    additional_headers: HeadersLike | None = None,
    user_agent_header: str | None = USER_AGENT,
    auth: tuple[str, str] | None = None,
    cookies: Mapping[str, str] | None = None,
    max_redirects: int = 5,
    unix_path: str | None = None,
    source_address: tuple[str, int] | None = None,
    socket_options: Iterable[SocketOption] = (),
    logger: logging.Logger | None = None,
    create_connection: Callable[..., Connection] | None = None,
    **options: Unpack[OptionsDict],
) -> Connection:
    """
    Open a WebSocket connection as a client (RFC 6455 section 4.1).

    Blocks until the connection is open, at most ``open_timeout`` seconds in all. Thread-safe. Use
    the result in a ``with`` statement, or call its ``close()``.

    Args:
        url: ``ws://host:port/path?query`` or ``wss://...``; may hold user and password.
        sock: a connected socket to use; it belongs to the connection from now on.
        ssl: the TLS settings for wss; by default the certificate is verified with the system's.
        server_hostname: the name the certificate must have, if it is not the URL's.
        origin: the Origin header, which a browser would send.
        subprotocols: names in order of preference; see ``Connection.subprotocol``.
        additional_headers: further header fields of the request.
        user_agent_header: the User-Agent header; ``None`` sends none.
        auth: user and password for Basic authentication (RFC 7617).
        cookies: names and values of cookies to send.
        max_redirects: how many redirects to follow; credentials are not sent to another origin.
        unix_path: connect to this Unix socket; the URL then only makes the request.
        source_address: (address, port) to connect from; port 0 for any.
        socket_options: arguments of ``setsockopt`` for the socket.
        logger: instead of ``syncws.client``.
        create_connection: a subclass of Connection, or a function with its arguments.
        **options: the fields of ``Options``: ``open_timeout``, ``ping_interval``, ``ping_timeout``,
            ``close_timeout``, ``send_timeout``, ``max_size``, ``max_fragments``, ``max_queue``,
            ``max_queue_bytes``, ``fragment_size``, ``compression``.

    Raises:
        InvalidURI, ValueError, TypeError: an argument cannot be used.
        OSError: the name is unknown, or no address could be connected to; ``ssl.SSLError`` for TLS.
        TimeoutError: ``open_timeout`` lapsed.
        InvalidStatus: the server answered with something else than a WebSocket.
        InvalidHandshake: its answer breaks a rule.
    """
    settings = Options(**options)
    uri = parse_uri(url)
    if ssl is not None and not uri.secure:
        raise ValueError("ssl= is given, but the URL is ws://; use wss://")
    if sock is not None and unix_path is not None:
        raise ValueError("sock= and unix_path= are given; use one")
    dialling = _Dialling(
        uri,
        _request_headers(user_agent_header, auth or uri.credentials, cookies, additional_headers),
        origin,
        subprotocols or (),
        settings.deflate,
        ssl,
        server_hostname,
        unix_path,
        sock,
        source_address,
        list(socket_options),
    )
    log = logger or logging.getLogger("syncws.client")
    make = create_connection or Connection
    deadline = Deadline(settings.open_timeout)
    for _ in range(max_redirects + 1):
        transport, request, response, trailing = _handshake(dialling, deadline, log)
        try:
            if response.status in _REDIRECTS and "Location" in response.headers:
                transport.close()
                dialling.redirect(response.headers["Location"])
                continue
            if response.status != 101:
                raise InvalidStatus(response.status, response.headers.items(), response.body)
            check_response(request, response)
            connection = make(transport, Role.CLIENT, request, response, settings, logger)
        except BaseException as exc:
            transport.close()
            log.info("opening handshake with %s failed: %s", dialling.uri.host_header, exc)
            raise
        connection._start(trailing)
        return connection
    raise TooManyRedirects(f"redirected more than {max_redirects} times; see max_redirects=")


def _handshake(
    dialling: _Dialling, deadline: Deadline, log: logging.Logger
) -> tuple[Transport, Request, Response, bytes]:
    """Open a transport and exchange request and response on it."""
    uri = dialling.uri
    request = build_request(
        uri.host_header,
        uri.target,
        os.urandom(16),
        origin=dialling.origin,
        subprotocols=dialling.subprotocols,
        compression=dialling.compression,
        headers=dialling.headers,
    )
    reader = ResponseReader()
    data = reader.request(request)
    transport = dialling.open_transport(deadline)
    try:
        log.debug("> GET %s %s", request.path, redacted(request.headers.items()))
        transport.send(data, deadline)
        response = None
        while response is None:
            response = reader.receive(transport.recv(deadline))
        log.debug("< %d %s", response.status, redacted(response.headers.items()))
    except ConnectionError as exc:
        transport.close()
        raise InvalidMessage(f"the server cut the opening handshake short: {exc}") from exc
    except BaseException as exc:
        transport.close()
        if isinstance(exc, (InvalidHandshake, OSError)):
            log.info("opening handshake with %s failed: %s", uri.host_header, exc)
        raise
    return transport, request, response, reader.trailing()


def _request_headers(
    user_agent: str | None,
    auth: tuple[str, str] | None,
    cookies: Mapping[str, str] | None,
    additional: HeadersLike | None,
) -> Headers:
    headers = Headers()
    if user_agent is not None:
        headers.add("User-Agent", user_agent)
    if auth is not None:
        headers.add("Authorization", basic_credentials(*auth))
    if cookies:
        headers.add("Cookie", _cookie_header(cookies))
    for name, value in Headers(additional).items():
        if name.lower() in ("user-agent", "authorization"):
            headers.discard(name)
        headers.add(name, value)
    return headers


def _resolved(here: URI, location: str) -> URI:
    """Read a Location header, which may be relative and may speak of HTTP (RFC 9110 10.2.2)."""
    base = f"{'https' if here.secure else 'http'}://{here.host_header}{here.target}"
    try:
        place, _ = urllib.parse.urldefrag(urllib.parse.urljoin(base, location))
        scheme, separator, rest = place.partition("://")
        return parse_uri({"http": "ws", "https": "wss"}.get(scheme, scheme) + separator + rest)
    except InvalidURI as exc:
        raise InvalidHeader("Location", str(exc)) from None
    except ValueError:  # not told in urllib's words: they may quote a password
        raise InvalidHeader("Location", "it is not a URL") from None


def basic_credentials(user: str, password: str) -> str:
    """
    Return the value of an Authorization header (RFC 7617).

    Raises:
        ValueError: the user name has a colon.
    """
    if ":" in user:
        raise ValueError("a user name for Basic authentication has no colon (RFC 7617 section 2)")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def _cookie_header(cookies: Mapping[str, str]) -> str:
    for name, value in cookies.items():
        if any(char in "=; \t" for char in name) or ";" in value:
            raise ValueError(f"cookie {name!r} has a character that ends a cookie")
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _default_context() -> ssl_module.SSLContext:
    context = ssl_module.create_default_context()
    # RFC 6455 speaks HTTP/1.1; a server that could also speak HTTP/2 must not choose that.
    context.set_alpn_protocols(["http/1.1"])
    return context


def _dial_unix(path: str, deadline: Deadline) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        while True:
            with contextlib.suppress(BlockingIOError):
                sock.connect(path)
                return sock
            # The server's queue is full. Nothing tells when it is not.
            if deadline.lapsed:
                raise TimeoutError(f"no connection to {path} in {deadline.seconds} s")
            time.sleep(_UNIX_PAUSE)
    except BaseException:
        sock.close()
        raise
