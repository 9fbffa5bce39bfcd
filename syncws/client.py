"""connect(): find the server, open TCP and TLS, do the opening handshake."""

from __future__ import annotations

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

from .auth import Authenticate, Login
from .codes import Role
from .connection import Connection
from .cutter import Cutter
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
from .options import Deflate, Options, OptionsDict, options_of
from .proxy import open_tunnel
from .sansio import (
    Headers,
    HeadersLike,
    Request,
    Response,
    ResponseReader,
    basic_credentials,
    build_request,
    check_response,
    redacted,
)
from .tls import check_context, start_tls
from .transport import Transport
from .uri import URI, parse_uri
from .version import __version__
from .whichproxy import Proxy, parse_proxy, system_proxy

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
    login: Login
    max_redirects: int
    proxy: Proxy | bool
    proxy_ssl: ssl_module.SSLContext | None
    cutter: Cutter
    log: logging.Logger
    redirected: int = 0

    def __post_init__(self) -> None:
        """Refuse what does not go together, or is of a wrong type."""
        check_context("ssl", self.ssl)
        check_context("proxy_ssl", self.proxy_ssl)
        if self.ssl is not None and not self.uri.secure:
            raise ValueError("ssl= is given, but the URL is ws://; use wss://")
        if self.sock is not None and self.unix_path is not None:
            raise ValueError("sock= and unix_path= are given; use one")

    def open_transport(self, deadline: Deadline) -> Transport:
        """Connect TCP, maybe through a proxy, and TLS for wss."""
        uri = self.uri
        context = (self.ssl or _default_context()) if uri.secure else None
        proxy = self._proxy()
        if proxy is not None:
            transport = self._tunnel(proxy, deadline)
        else:
            transport = Transport(self._dial(deadline))
            self.cutter.take(transport)
        if context is None:
            return transport
        return start_tls(transport, context, self.server_hostname or uri.host, deadline)

    def _proxy(self) -> Proxy | None:
        """Return the proxy for the place where we go now."""
        if self.sock is not None or self.unix_path is not None or self.proxy is False:
            return None
        return system_proxy(self.uri) if self.proxy is True else self.proxy

    def _dial(self, deadline: Deadline) -> socket.socket:
        if self.sock is not None:
            return self.sock
        if self.unix_path is not None:
            return _dial_unix(self.unix_path, deadline)
        uri = self.uri
        return dial(uri.host, uri.port, deadline, self.source_address, self.socket_options)

    def _tunnel(self, proxy: Proxy, deadline: Deadline) -> Transport:
        return open_tunnel(
            proxy,
            self.uri,
            deadline,
            context=(self.proxy_ssl or _default_context()) if proxy.scheme == "https" else None,
            user_agent=self.headers.get("User-Agent"),
            source_address=self.source_address,
            socket_options=self.socket_options,
            opened=self.cutter.take,
            log=self.log,
        )

    def goes_on(self, request: Request, response: Response) -> bool:
        """Follow a redirect, or answer a 401; return whether there is to be another attempt."""
        if response.status in _REDIRECTS and "Location" in response.headers:
            self.redirect(response.headers["Location"])
            return True
        answer = None if self.sock is not None else self.login.answer(request, response)
        if answer is not None:
            self.headers["Authorization"] = answer
        return answer is not None

    def redirect(self, location: str) -> None:
        """Go to another place, without what was meant for this one only."""
        if self.redirected >= self.max_redirects:
            raise TooManyRedirects(
                f"redirected more than {self.max_redirects} times; see max_redirects="
            )
        self.redirected += 1
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
            self.login.end()
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
    auth: tuple[str, str] | Authenticate | None = None,
    cookies: Mapping[str, str] | None = None,
    proxy: str | bool | None = True,
    proxy_ssl: ssl_module.SSLContext | None = None,
    max_redirects: int = 5,
    unix_path: str | None = None,
    source_address: tuple[str, int] | None = None,
    socket_options: Iterable[SocketOption] = (),
    logger: logging.Logger | None = None,
    create_connection: Callable[..., Connection] | None = None,
    _cutter: Cutter | None = None,
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
        auth: user and password for Basic authentication (RFC 7617); or a function, such as a
            ``DigestAuth``, that is called with a ``Challenge`` when the server answers 401, and
            returns the Authorization header for another attempt, or ``None``. Up to three times.
        cookies: names and values of cookies to send.
        proxy: the URL of an HTTP or SOCKS proxy, ``"http://user:password@host:port"``; True for the
            one that the environment or the system has for this URL, ``None`` for none.
        proxy_ssl: the TLS settings for an ``https://`` proxy; the default is that of ``ssl``.
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
        InvalidURI, InvalidProxy, ValueError, TypeError: an argument cannot be used.
        OSError: the name is unknown, or no address could be connected to; ``ssl.SSLError`` for TLS.
        TimeoutError: ``open_timeout`` lapsed.
        InvalidStatus: the server answered with something else than a WebSocket.
        InvalidHandshake: its answer breaks a rule.
        ProxyError: the proxy opened no way to the server.
        ImportError: a SOCKS proxy needs ``syncws[socks]``.
    """
    settings = options_of(options)
    uri = parse_uri(url)
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
        Login(auth if callable(auth) else None),
        max_redirects,
        _checked_proxy(proxy, proxy_ssl, sock is not None or unix_path is not None),
        proxy_ssl,
        _cutter or Cutter(),
        logger or logging.getLogger("syncws.client"),
    )
    return _open(dialling, settings, create_connection or Connection, logger)


def _open(
    dialling: _Dialling,
    settings: Options,
    make: Callable[..., Connection],
    logger: logging.Logger | None,
) -> Connection:
    """Do opening handshakes until one succeeds or fails for good, all under one deadline."""
    log = dialling.log
    deadline = Deadline(settings.open_timeout)
    while True:
        transport, request, response, trailing = _handshake(dialling, deadline, log)
        try:
            if response.status != 101:
                transport.close()
                if dialling.goes_on(request, response):
                    continue
                raise InvalidStatus(response.status, response.headers.items(), response.body)
            check_response(request, response)
            connection = make(transport, Role.CLIENT, request, response, settings, logger)
        except BaseException as exc:
            transport.close()
            log.info("opening handshake with %s failed: %s", dialling.uri.host_header, exc)
            raise
        connection._start(trailing)
        return connection


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


def _checked_proxy(
    proxy: str | bool | None, proxy_ssl: ssl_module.SSLContext | None, connected: bool
) -> Proxy | bool:
    """Return the proxy of an argument, or whether to look for one."""
    if proxy is None or isinstance(proxy, bool):
        return bool(proxy)
    chosen = parse_proxy(proxy)
    if connected:
        raise ValueError("proxy= is given, and sock= or unix_path=; use one")
    if proxy_ssl is not None and chosen.scheme != "https":
        raise ValueError(f"proxy_ssl= is given, but the proxy is {chosen.scheme}://; use https://")
    return chosen


def _request_headers(
    user_agent: str | None,
    auth: tuple[str, str] | Authenticate | None,
    cookies: Mapping[str, str] | None,
    additional: HeadersLike | None,
) -> Headers:
    headers = Headers()
    if user_agent is not None:
        headers.add("User-Agent", user_agent)
    if auth is not None and not callable(auth):
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
