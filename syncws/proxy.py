"""Tunnels through proxies: HTTP CONNECT (RFC 9110 section 9.3.6), also over TLS, and SOCKS."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Callable

from .deadline import Deadline
from .dial import SocketOption, dial, resolve
from .exceptions import InvalidMessage, InvalidProxyStatus, ProxyError
from .sansio import (
    Headers,
    Request,
    Response,
    ResponseReader,
    basic_credentials,
    is_token,
    redacted,
)
from .tls import start_tls
from .transport import Transport
from .uri import URI
from .whichproxy import Proxy, authority

_TOO_EARLY = "before anything was sent to the server, which never speaks first"


def open_tunnel(
    proxy: Proxy,
    uri: URI,
    deadline: Deadline,
    *,
    context: ssl.SSLContext | None,
    user_agent: str | None,
    source_address: tuple[str, int] | None,
    socket_options: Sequence[SocketOption],
    opened: Callable[[Transport], None],
    log: logging.Logger,
) -> Transport:
    """
    Let a proxy connect to the server; return the way there, on which its TLS is still to come.

    Blocks. The ``context`` is for TLS with an https proxy. ``opened`` is told of the transport to
    the proxy: to abort that one is to abort what is built on it.

    Raises:
        ProxyError: it refused, or what it said cannot be used.
        OSError: it cannot be reached, or the server's name is unknown where we look it up;
            ``ssl.SSLError`` for TLS with the proxy.
        TimeoutError: the deadline lapsed.
        ImportError: python-socks is missing.
    """
    speaks_http = proxy.scheme in ("http", "https")
    target = uri.host if speaks_http else _socks_host(proxy, uri, deadline)
    try:
        transport = Transport(
            dial(proxy.host, proxy.port, deadline, source_address, socket_options)
        )
        opened(transport)
        if proxy.scheme == "https":
            assert context is not None
            transport = start_tls(transport, context, proxy.host, deadline)
        try:
            if speaks_http:
                request = connect_request(proxy, uri, user_agent)
                _connect(transport, proxy, request, deadline, log)
            else:
                _socks(transport, proxy, target, uri.port, deadline)
        except BaseException:
            transport.close()
            raise
    except OSError as exc:
        _name_proxy(exc, proxy)
        raise
    except ProxyError as exc:
        log.info("%s", exc)
        raise
    return transport


def _name_proxy(exc: OSError, proxy: Proxy) -> None:
    """Let an error say that it is about the proxy, and stay what it is."""
    if exc.strerror:
        exc.strerror = f"proxy {proxy}: {exc.strerror}"
    else:
        exc.args = (f"proxy {proxy}: {exc}",)


# HTTP.


def connect_request(proxy: Proxy, uri: URI, user_agent: str | None) -> Request:
    """Build the CONNECT for a server: nothing in it that is meant for the server."""
    target = authority(uri.host, uri.port)
    headers = Headers({"Host": target})
    if user_agent is not None:
        headers.add("User-Agent", user_agent)
    if proxy.credentials is not None:
        headers.add("Proxy-Authorization", basic_credentials(*proxy.credentials))
    return Request(target, headers, "CONNECT")


def check_tunnel(proxy: Proxy, request: Request, response: Response, trailing: bytes) -> None:
    """
    Check the answer to a CONNECT.

    Raises:
        InvalidProxyStatus: the proxy refused.
        ProxyError: more came than the answer.
    """
    status = response.status
    if not 200 <= status <= 299:  # RFC 9110 section 9.3.6: "Any 2xx (Successful) response"
        problem = (
            _unauthorized(proxy, response)
            if status in (401, 407)  # tinyproxy has the former for a wrong password
            else f"proxy {proxy} refused to connect to {request.path} with HTTP status {status}"
        )
        raise InvalidProxyStatus(problem, status, response.headers.items(), response.body)
    if trailing:
        raise ProxyError(f"proxy {proxy} sent {len(trailing)} bytes {_TOO_EARLY}")


def _unauthorized(proxy: Proxy, response: Response) -> str:
    status = response.status
    words = [value.partition(" ")[0] for value in response.headers.get_all("Proxy-Authenticate")]
    schemes = [word[:30] for word in words if is_token(word)]
    if schemes and "basic" not in map(str.lower, schemes):
        return (
            f"proxy {proxy} wants {' or '.join(schemes)} (HTTP status {status}); syncws has Basic"
        )
    if proxy.credentials is None:
        example = f"{proxy.scheme}://user:password@{authority(proxy.host, proxy.port)}"
        return f"proxy {proxy} wants a password (HTTP status {status}): give it as in {example}"
    return f"proxy {proxy} does not take the user and password of its URL (HTTP status {status})"


def _connect(
    transport: Transport, proxy: Proxy, request: Request, deadline: Deadline, log: logging.Logger
) -> None:
    reader = ResponseReader()
    response = None
    try:
        log.debug("> CONNECT %s %s", request.path, redacted(request.headers.items()))
        transport.send(reader.request(request), deadline)
        while response is None:
            response = _receive(reader, transport, deadline)
        log.debug("< %d %s", response.status, redacted(response.headers.items()))
    except InvalidMessage as exc:
        raise ProxyError(f"no tunnel through proxy {proxy}: {exc}") from exc
    except ConnectionError as exc:
        raise ProxyError(f"proxy {proxy} cut the connection: {exc}") from exc
    check_tunnel(proxy, request, response, reader.trailing())


def _receive(reader: ResponseReader, transport: Transport, deadline: Deadline) -> Response | None:
    try:
        return reader.receive(transport.recv(deadline))
    except TimeoutError:  # a refusal says more than that its body had no end
        response = reader.give_up()
        if response is None:
            raise
        return response


# SOCKS.


def _python_socks() -> Any:
    try:
        import python_socks.sync

        if int(python_socks.__version__.partition(".")[0]) >= 3:
            return python_socks
    except ImportError:
        pass
    raise ImportError(
        "a SOCKS proxy needs python-socks 3 or newer: pip install python-socks (syncws[socks])"
    )


def _socks_host(proxy: Proxy, uri: URI, deadline: Deadline) -> str:
    """
    Return what a SOCKS proxy is told: the server's name, or its address.

    An address of IPv4 if there is one, as more proxies reach those.
    """
    _python_socks()
    if proxy.scheme == "socks5h" or (proxy.scheme == "socks4a" and ":" not in uri.host):
        return uri.host
    found = resolve(uri.host, uri.port, deadline)
    family, _, _, where = min(found, key=lambda address: address[0] != socket.AF_INET)
    if family != socket.AF_INET and proxy.scheme in ("socks4", "socks4a"):
        raise ProxyError(f"{uri.host} has an IPv6 address only, which SOCKS4 cannot tell {proxy}")
    assert isinstance(where, tuple)
    return str(where[0])


def _socks(transport: Transport, proxy: Proxy, host: str, port: int, deadline: Deadline) -> None:
    python_socks = _python_socks()
    version = python_socks.ProxyType[proxy.scheme[:6].upper()]
    user, password = proxy.credentials or (None, None)
    stream = _SocksStream(transport, deadline)
    try:
        # With rdns it takes the host as it is, and forward is asked for the way to the proxy.
        python_socks.sync.Proxy(
            version, proxy.host, proxy.port, user, password, rdns=True, forward=stream
        ).connect(host, port)
    except TimeoutError:
        raise TimeoutError(f"no tunnel in {deadline.seconds} s") from None
    except ConnectionError as exc:
        raise ProxyError(f"proxy {proxy} cut the connection: {exc}") from exc
    except (python_socks.ProxyError, ValueError) as exc:
        raise ProxyError(f"no tunnel through proxy {proxy}: {exc}") from exc
    if stream.received:
        raise ProxyError(f"proxy {proxy} sent {len(stream.received)} bytes {_TOO_EARLY}")


class _SocksStream:
    """
    What python-socks takes for a socket: our transport, with our deadline.

    It has no other door for that: it asks a proxy before its own, which this one pretends to be.
    """

    def __init__(self, transport: Transport, deadline: Deadline) -> None:
        self._transport = transport
        self._deadline = deadline
        self.received = b""

    def connect(self, **_: object) -> _SocksStream:
        """Be connected to the proxy already."""
        return self

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        self._transport.send(bytes(data), self._deadline)

    def recv(self, size: int) -> bytes:
        """Return so many bytes or fewer."""
        data = self.received or self._transport.recv(self._deadline)
        self.received = data[size:]
        return data[:size]

    def close(self) -> None:
        """Leave it to the caller."""
