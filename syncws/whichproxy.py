"""
Which proxy leads to a URL, and what the URL of a proxy says.

Decided from plain values; only ``system_proxy`` looks at the environment and the system.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Mapping
from typing import Union

from .exceptions import InvalidProxy
from .uri import URI, split_url, without_credentials

# "socks" is what GNOME writes. SOCKS has a registered port; for HTTP it is that of the scheme.
_PORTS = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
    "socks": 1080,
}
# RFC 6455 section 4.1: "encouraged to use a SOCKS5 proxy for WebSocket connections, if available,
# or failing that, to prefer the proxy configured for HTTPS connections over the proxy configured
# for HTTP connections".
_ORDER = {True: ("wss", "socks", "https", "all"), False: ("ws", "socks", "https", "http", "all")}
_MAX_SOCKS = 255  # bytes of a user or a password (RFC 1929 section 2)

_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


@dataclasses.dataclass(frozen=True)
class Proxy:
    """
    The URL of a proxy, taken apart. Its text has no credentials.

    Attributes:
        scheme: ``"http"``, ``"https"``, ``"socks4"``, ``"socks4a"``, ``"socks5"`` or ``"socks5h"``.
        host: name or address, without brackets.
        port: the port, given or the scheme's own.
        credentials: user and password, if the URL has them.
    """

    scheme: str
    host: str
    port: int
    credentials: tuple[str, str] | None = dataclasses.field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{authority(self.host, self.port)}"


def authority(host: str, port: int) -> str:
    """Write host and port as they stand in a URL and in a CONNECT."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_proxy(url: str) -> Proxy:
    """
    Take the URL of a proxy apart; without a scheme it is that of an HTTP proxy.

    Raises:
        InvalidProxy: it is not one.
    """
    shown = without_credentials(url)

    def invalid(problem: str) -> Exception:
        return InvalidProxy(shown, problem)

    full = url if "://" in url else f"http://{url}"
    host, port, credentials, parts = split_url(full, _PORTS, invalid)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise invalid("it has more than scheme, user, password, host and port")
    scheme = "socks5h" if parts.scheme == "socks" else parts.scheme
    if credentials is not None:
        problem = _problem(scheme, *credentials)
        if problem is not None:
            raise invalid(problem)
    return Proxy(scheme, host, port, credentials)


def _problem(scheme: str, user: str, password: str) -> str | None:
    """Say why credentials cannot be used, without telling them."""
    both = user + password
    if any(char < " " or char == "\x7f" for char in both):
        return "its user or password has a control character"
    if scheme in ("http", "https"):
        return (
            "its user has a colon, which Basic authentication cannot tell" * (":" in user) or None
        )
    if not both.isascii():
        return "its user or password is not ASCII, as SOCKS needs it"
    if len(user) > _MAX_SOCKS or len(password) > _MAX_SOCKS:
        return f"its user or password has more than {_MAX_SOCKS} characters"
    if scheme in ("socks5", "socks5h") and not (user and password):
        return "SOCKS5 needs both a user and a password"
    return "SOCKS4 knows no password" if scheme in ("socks4", "socks4a") and password else None


def system_proxy(uri: URI) -> Proxy | None:
    """
    Return the proxy that the environment or the system has for a URL.

    Does not block, but where macOS or Windows has exceptions that it must look up in the DNS.

    Raises:
        InvalidProxy: what is set there cannot be used.
    """
    if is_this_machine(uri.host):  # before all else, which takes longer
        return None
    from urllib import request  # not needed by many, and not small

    settings = request.getproxies()
    if exempt(uri.host, uri.port, settings.get("no", "")):
        return None
    if not request.getproxies_environment() and request.proxy_bypass(uri.host):
        return None
    return chosen_proxy(uri, settings)


def chosen_proxy(uri: URI, settings: Mapping[str, str]) -> Proxy | None:
    """Return the first proxy for a URL of those that are set, as ``getproxies()`` tells them."""
    for name in _ORDER[uri.secure]:
        url = settings.get(name)
        if url:
            # This is how macOS tells that it is a SOCKS proxy.
            socks = name == "socks" and url.startswith("http://")
            return parse_proxy(url.replace("http", "socks5h", 1) if socks else url)
    return None


def is_this_machine(host: str) -> bool:
    """Tell whether a host is reached without a proxy, to which it would be another machine."""
    host = host.lower().rstrip(".")
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def exempt(host: str, port: int, no_proxy: str) -> bool:
    """Tell whether ``no_proxy`` covers a server."""
    host = host.lower().rstrip(".")
    address = _address(host)
    return any(_covers(entry, host, address, port) for entry in re.split(r"[\s,]+", no_proxy))


def _covers(entry: str, host: str, address: _Address | None, port: int) -> bool:
    """Tell whether one entry of ``no_proxy`` covers a server."""
    if entry == "*":
        return True
    name, its_port = _without_port(entry.lower())
    if not name or its_port not in (None, str(port)):
        return False
    if address is not None:
        return _within(address, name)
    name = name[1:] if name.startswith("*.") else name
    name = name.strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _without_port(entry: str) -> tuple[str, str | None]:
    """Split "name:port" and "[address]:port"; a bare IPv6 address has no port."""
    name, colon, port = entry.rpartition(":")
    if not colon or (":" in name and not name.endswith("]")):
        name, port = entry, ""
    return name.strip("[]"), port or None


def _within(address: _Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network.replace("]", ""), strict=False)
    except ValueError:  # it is a name, or nonsense
        return False


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
