"""WebSocket URLs (RFC 6455 section 3), and what they have in common with those of proxies."""

from __future__ import annotations

import dataclasses
import ipaddress
import urllib.parse
from collections.abc import Mapping
from typing import Callable, NamedTuple

from .exceptions import InvalidURI

_PORTS = {"ws": 80, "wss": 443}
# What RFC 3986 lets stand in a path and query; "%" since what is escaped stays escaped.
_SAFE = "/?:@!$&'()*+,;=%-._~[]"


@dataclasses.dataclass(frozen=True)
class URI:
    """
    A WebSocket URL, taken apart.

    Attributes:
        secure: whether it is wss.
        host: name or address, without brackets; an international name in its ASCII form.
        port: the port, given or the scheme's own.
        target: path and query, as they stand in the request.
        credentials: user and password, if the URL has them.
    """

    secure: bool
    host: str
    port: int
    target: str
    credentials: tuple[str, str] | None = dataclasses.field(default=None, repr=False)

    @property
    def host_header(self) -> str:
        """The value of the Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (
            host if self.port == _PORTS["wss" if self.secure else "ws"] else f"{host}:{self.port}"
        )

    @property
    def origin(self) -> tuple[bool, str, int]:
        """What must be equal for two URLs to lead to the same server."""
        return self.secure, self.host, self.port


class Place(NamedTuple):
    """Where a URL leads, its host in ASCII; ``parts`` has the rest of it."""

    host: str
    port: int
    credentials: tuple[str, str] | None
    parts: urllib.parse.SplitResult


def parse_uri(uri: str) -> URI:
    """
    Take a WebSocket URL apart.

    Raises:
        InvalidURI: it is not one.
    """
    shown = without_credentials(uri)
    host, port, credentials, parts = split_url(uri, _PORTS, lambda why: InvalidURI(shown, why))
    if parts.fragment:
        raise InvalidURI(shown, "it has a fragment (#...), which RFC 6455 section 3 forbids")
    try:
        target = urllib.parse.quote(parts.path or "/", safe=_SAFE)
        if parts.query:
            target += "?" + urllib.parse.quote(parts.query, safe=_SAFE)
    except UnicodeError as exc:
        raise InvalidURI(shown, str(exc)) from None
    return URI(parts.scheme == "wss", host, port, target, credentials)


def split_url(url: str, ports: Mapping[str, int], invalid: Callable[[str], Exception]) -> Place:
    """
    Take a URL apart that has one of these schemes, whose ports are given, too.

    Raises:
        what ``invalid`` makes of a problem.
    """
    if any(char <= " " or char == "\x7f" for char in url):
        raise invalid("it has a space or a control character")
    # Why urllib refuses is not told in its words: they may quote the password.
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise invalid("its host cannot be read") from None
    if parts.scheme not in ports:
        raise invalid(f"its scheme is not {', '.join([*ports][:-1])} or {[*ports][-1]}")
    if not host:
        raise invalid("it has no host")
    port = _port(parts)
    if port == 0:
        raise invalid("its port is not a number from 1 to 65535")
    credentials = None
    if parts.username is not None:
        unquote = urllib.parse.unquote
        credentials = (unquote(parts.username), unquote(parts.password or ""))
    bracketed = parts.netloc.rpartition("@")[2].startswith("[")
    host = _ascii_host(host, bracketed, invalid)
    return Place(host, port or ports[parts.scheme], credentials, parts)


def _port(parts: urllib.parse.SplitResult) -> int | None:
    """Return the port, None if there is none, 0 if it cannot be one."""
    try:
        return parts.port
    except ValueError:
        return 0


def _ascii_host(host: str, bracketed: bool, invalid: Callable[[str], Exception]) -> str:
    try:
        kind = ipaddress.IPv6Address if bracketed else ipaddress.ip_address
        kind(host.partition("%")[0])
        return host
    except ValueError:
        if bracketed:  # urllib of Python 3.9 takes anything
            raise invalid("its host is not an IPv6 address") from None
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as exc:
        raise invalid(f"its host is not a name: {exc}") from None


def without_credentials(uri: str) -> str:
    """
    Return the URL as it may stand in an error message or a log.

    A password may hold anything where it was not escaped, so all before the last "@" goes.

    Raises:
        TypeError: it is not a str.
    """
    if not isinstance(uri, str):
        raise TypeError(f"a URL is a str; got {type(uri).__name__}")
    before, at, after = uri.rpartition("@")
    scheme, separator, _ = before.partition("://")
    return f"{scheme if separator else ''}{separator}***@{after}" if at else uri
