"""
Whom a reverse proxy speaks for: the client's address, from Forwarded or X-Forwarded-For.

Anybody may send these headers, and every proxy adds at the right end whom it was called by. So they
are read from the right: the first address is what the peer wrote, and each further one counts only
if the address before it is a trusted proxy's, too. What stands left of that is never looked at, so
nothing in it can change the result: no quote that a client left open, no garbage.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Union

from .exceptions import InvalidHeader
from .sansio import Headers

_NETWORKS = (ipaddress.IPv4Network, ipaddress.IPv6Network)
_PROXY = (str, ipaddress.IPv4Address, ipaddress.IPv6Address, *_NETWORKS)
_IP = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Proxies = Iterable[Union[str, _IP, _Network]]

# What may stand for a client (RFC 7239 section 6), or in X-Forwarded-For: there IPv6 has no
# brackets where no port follows. Nothing else is an address: "unknown", "_hidden", "fe80::1%eth0".
_NODE = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<ipv4>[0-9.]+))"
    r"(?::(?P<port>[0-9]{1,5}|_[A-Za-z0-9._-]+))?"
    r"|(?P<bare>[0-9A-Fa-f:.]+)"
)
# RFC 7239 section 4; and what should be quoted, since it is no token, but often is not.
_PAIR = re.compile(r"""([!#$%&'*+.^_`|~\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^"\\\s,;=]+))""", re.ASCII)
_ESCAPED = re.compile(r"\\(.)")


class TrustedProxies:
    """
    The proxies whose word counts on who the client is.

    Args:
        given: IP addresses and networks, and ``"unix"`` for whoever comes by a Unix socket.

    Raises:
        TypeError, ValueError: it is something else.
    """

    def __init__(self, given: Proxies = ()) -> None:
        if isinstance(given, (str, bytes, *_NETWORKS)) or not isinstance(given, Iterable):
            raise TypeError(f"trusted_proxies is a list of addresses and networks; got {given!r}")
        proxies = list(given)
        self._unix = "unix" in proxies
        self._networks = [_network(proxy) for proxy in proxies if proxy != "unix"]

    def client_address(self, peer_address: Any, headers: Headers) -> Any:
        """
        Return the address of the client on whose behalf the peer speaks, or else the peer's.

        It has the form of the peer's: (host, port), for IPv6 (host, port, 0, 0). The port is 0
        where the proxy tells none. An IPv4 address that is wrapped in IPv6 is unwrapped.

        Args:
            peer_address: as of ``socket.getpeername()``: a tuple, or the path of a Unix socket.
            headers: of its request.

        Raises:
            InvalidHeader: Forwarded and X-Forwarded-For name different clients. Most proxies write
                one of them and pass on the other as the client sent it; which, nobody can tell.
        """
        if not self._trusts_peer(peer_address):
            return peer_address
        readers = {"Forwarded": _read_forwarded, "X-Forwarded-For": _read_x_forwarded_for}
        told = [
            self._client(peer_address, read(headers.get_all(name)))
            for name, read in readers.items()
            if name in headers
        ]
        if not told:
            return peer_address
        first, last = told[0], told[-1]
        if first == last:
            return first
        if first[:1] == last[:1]:  # the same host
            return (first[0], 0, *first[2:])
        raise InvalidHeader(
            "X-Forwarded-For",
            "names another client than Forwarded; the proxy must remove the one it does not write",
        )

    def _trusts_peer(self, address: Any) -> bool:
        if isinstance(address, (str, bytes)):
            return self._unix
        if not self._networks or not isinstance(address, tuple):
            return False
        host = str(address[0]).partition("%")[0]  # without the interface
        try:
            return self._trusts(_unwrapped(ipaddress.ip_address(host)))
        except ValueError:  # neither IPv4 nor IPv6
            return False

    def _trusts(self, ip: _IP) -> bool:
        return any(ip in network for network in self._networks)

    def _client(self, peer_address: Any, nodes: Iterator[_Node | None]) -> Any:
        """Go from proxy to proxy, to the first that is not trusted or tells nothing useful."""
        address = peer_address
        for node in nodes:
            if node is None:
                break
            address = (str(node.ip), node.port, *((0, 0) if node.ip.version == 6 else ()))
            if not self._trusts(node.ip):
                break
        return address


class _Node(NamedTuple):
    ip: _IP
    port: int


def _network(proxy: str | _IP | _Network) -> _Network:
    if not isinstance(proxy, _PROXY):
        raise TypeError(f"trusted_proxies: {proxy!r} is neither a str nor made by ipaddress")
    text = str(proxy)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f'trusted_proxies: {text!r} is not an IP address, not a network, and not "unix"; '
            "names are not looked up"
        ) from None
    host = text.partition("/")[0]
    if network.num_addresses > 1 and ipaddress.ip_address(host) != network.network_address:
        raise ValueError(
            f"trusted_proxies: {text!r} is a host in a network; "
            f"write '{network}' for the network, or {host!r} for this host alone"
        )
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:
        return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _unwrapped(ip: _IP) -> _IP:
    """Return the IPv4 address in an IPv6 address (RFC 4291 section 2.5.5.2), or that itself."""
    return getattr(ip, "ipv4_mapped", None) or ip


# From the right to the left. What is no address is None.


def _read_x_forwarded_for(values: list[str]) -> Iterator[_Node | None]:
    for value in reversed(values):
        for element in reversed(value.split(",")):
            yield _node(element.strip(" \t"))


def _read_forwarded(values: list[str]) -> Iterator[_Node | None]:
    for value in reversed(values):
        for element in _split_from_right(value, ","):
            yield _forwarded_for(element)


def _forwarded_for(element: str) -> _Node | None:
    """Read one element, which must be right as a whole, and have one "for"."""
    found = []
    for text in _split_from_right(element, ";"):
        pair = _PAIR.fullmatch(text.strip(" \t"))
        if pair is None:
            return None
        name, quoted, plain = pair.groups()
        if name.lower() == "for":
            found.append(plain or _ESCAPED.sub(r"\1", quoted or ""))
    return _node(found[0]) if len(found) == 1 else None


def _node(text: str) -> _Node | None:
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    port = match["port"] or "0"
    number = 0 if port.startswith("_") else int(port)
    try:
        ip = ipaddress.ip_address(match["ipv4"] or match["ipv6"] or match["bare"])
    except ValueError:
        return None
    if number > 65535 or (match["ipv6"] and ip.version == 4):
        return None
    return _Node(_unwrapped(ip), number)


def _split_from_right(text: str, separator: str) -> Iterator[str]:
    """Split where the separator is not quoted, the last part first."""
    end = at = len(text)
    while at > 0:
        at -= 1
        if text[at] == '"':
            at = _opening_quote(text, at)
        elif text[at] == separator:
            yield text[at + 1 : end]
            end = at
    yield text[:end]


def _opening_quote(text: str, closing: int) -> int:
    """Return where the string begins that ends at a quote; 0 if nowhere."""
    at = text.rfind('"', 0, closing)
    while at > 0:
        begin = at
        while begin > 0 and text[begin - 1] == "\\":
            begin -= 1
        if (at - begin) % 2 == 0:  # not escaped
            return at
        at = text.rfind('"', 0, begin)
    return 0
