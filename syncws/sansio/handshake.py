"""
The rules of the opening handshake, both roles (RFC 6455 section 4).

``http11`` reads and writes the two messages; here is what they must say. The random key of a client
comes in as an argument.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import urllib.parse
from collections.abc import Iterable, Sequence
from typing import Callable, Union

from ..exceptions import (
    InvalidHandshake,
    InvalidHeader,
    InvalidMessage,
    InvalidOrigin,
    InvalidUpgrade,
    NegotiationError,
)
from ..options import Deflate
from .deflate import answer_offers, check_answer, make_offer
from .headers import Headers, is_token, parse_token_list
from .http11 import Request, Response

# RFC 6455 section 1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION = "13"
_EXTENSIONS = "Sec-WebSocket-Extensions"

# Fields that carry the handshake itself: whoever sets them by hand breaks it.
_RESERVED = frozenset(
    {
        "connection",
        "content-length",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
    }
)


class SameOrigin:
    """The value of ``SAME_ORIGIN``: a page may connect to the host that it came from."""

    def __repr__(self) -> str:
        return "SAME_ORIGIN"


SAME_ORIGIN = SameOrigin()
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#*]+")
_OWN_PORT = re.compile(r"(?<=^http)(://.*):80$|(?<=^https)(://.*):443$")

# What a refusal must say besides (RFC 9110 sections 10.2.1 and 10.2.3; RFC 6455 section 4.4).
_WITH_STATUS = {
    405: [("Allow", "GET")],
    426: [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", VERSION)],
    503: [("Retry-After", "5")],  # seconds
}
Origins = Union[SameOrigin, None, Iterable[Union[str, "re.Pattern[str]"]]]
SelectSubprotocol = Callable[[Request, Sequence[str]], Union[str, None]]


def accept_key(key: str) -> str:
    """Answer a Sec-WebSocket-Key (RFC 6455 section 4.2.2, step 5.4)."""
    digest = hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


# The client.


def build_request(
    host: str,
    path: str,
    nonce: bytes,
    *,
    origin: str | None = None,
    subprotocols: Sequence[str] = (),
    compression: Deflate | None = None,
    headers: Headers | None = None,
) -> Request:
    """
    Write the client's request (RFC 6455 section 4.1).

    Args:
        host: the Host header: a name, with the port unless it is the scheme's own.
        path: the request target.
        nonce: 16 random bytes.
        compression: what to offer.
        headers: further fields; a Host or Origin among them replaces ours.

    Raises:
        ValueError: a field may not be set by hand, or something cannot stand in a header.
    """
    request = Request(path, [("Host", host)])
    fields = request.headers
    fields.add("Upgrade", "websocket")
    fields.add("Connection", "Upgrade")
    fields.add("Sec-WebSocket-Key", base64.b64encode(nonce).decode("ascii"))
    fields.add("Sec-WebSocket-Version", VERSION)
    if origin is not None:
        fields.add("Origin", origin)
    if subprotocols:
        fields.add("Sec-WebSocket-Protocol", ", ".join(checked_subprotocols(subprotocols)))
    if compression is not None:
        fields.add(_EXTENSIONS, make_offer(compression))
    for name, value in headers.items() if headers is not None else ():
        if name.lower() in _RESERVED:
            raise ValueError(f"the {name} header is set by the opening handshake itself")
        if name.lower() in ("host", "origin"):
            fields.discard(name)
        fields.add(name, value)
    return request


def check_response(request: Request, response: Response) -> str | None:
    """
    Check that the server accepted (RFC 6455 section 4.1); return the subprotocol it chose.

    Needs a response of status 101.

    Raises:
        InvalidUpgrade, InvalidHeader, NegotiationError: what is wrong with it.
    """
    _check_upgrade(response.headers)
    # The server's Upgrade holds nothing else: any other value "MUST fail the WebSocket connection".
    if response.headers["Upgrade"].lower() != "websocket":
        raise InvalidUpgrade("Upgrade", f"{response.headers['Upgrade']}; expected websocket alone")
    expected = accept_key(request.headers["Sec-WebSocket-Key"])
    if _single(response.headers, "Sec-WebSocket-Accept") != expected:
        raise InvalidHeader("Sec-WebSocket-Accept", f"does not answer our key; expected {expected}")
    check_answer(request.headers.get_all(_EXTENSIONS), response.headers.get_all(_EXTENSIONS))
    chosen = response.headers.get_all("Sec-WebSocket-Protocol")
    if not chosen:
        return None
    offered = parse_token_list(request.headers.get_all("Sec-WebSocket-Protocol"))
    if len(chosen) > 1 or chosen[0] not in offered:
        raise NegotiationError(f"the server chose subprotocol {chosen}; we offered {offered}")
    return chosen[0]


# The server.


def names_websocket(upgrade: Iterable[str]) -> bool:
    """Tell by the Upgrade headers of a request whether it wants a WebSocket, rightly or not."""
    names = ",".join(upgrade).lower().split(",")
    return "websocket" in [name.strip(" \t").partition("/")[0] for name in names]


def check_request(request: Request, origins: Origins) -> None:
    """
    Check that the request asks for a WebSocket that we may give (RFC 6455 section 4.2.1).

    Raises:
        InvalidHandshake: what is wrong with it; ``status`` is the HTTP status that says so.
    """
    if request.http_version != "1.1":
        raise InvalidMessage(f"HTTP/{request.http_version}; WebSocket needs HTTP/1.1", 505)
    if request.method != "GET":
        raise InvalidMessage(f"method {request.method}; WebSocket needs GET", 405)
    for name in ("Transfer-Encoding", "Content-Length"):
        if request.headers.get(name, "0") != "0":
            raise InvalidHeader(name, "a WebSocket request has no body")
    _check_upgrade(request.headers)
    if _single(request.headers, "Sec-WebSocket-Version") != VERSION:
        error = InvalidHeader("Sec-WebSocket-Version", f"only version {VERSION} is spoken here")
        error.status = 426
        raise error
    key = _single(request.headers, "Sec-WebSocket-Key")
    try:
        nonce = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        nonce = b""
    if len(nonce) != 16:
        raise InvalidHeader("Sec-WebSocket-Key", "is not the base64 of 16 bytes")
    check_origin(request, origins)


def build_response(
    request: Request,
    subprotocols: Sequence[str] = (),
    select_subprotocol: SelectSubprotocol | None = None,
    compression: Deflate | None = None,
) -> Response:
    """
    Accept a request that passed check_request (RFC 6455 section 4.2.2).

    The subprotocol is the first of ours that the client offers, or what the function selects.

    Raises:
        InvalidHeader: the client's offer of subprotocols or extensions cannot be read.
    """
    headers = Headers([("Upgrade", "websocket"), ("Connection", "Upgrade")])
    headers.add("Sec-WebSocket-Accept", accept_key(request.headers["Sec-WebSocket-Key"]))
    try:
        offered = parse_token_list(request.headers.get_all("Sec-WebSocket-Protocol"))
    except ValueError as exc:
        raise InvalidHeader("Sec-WebSocket-Protocol", str(exc)) from None
    if select_subprotocol is None:
        chosen = next((name for name in subprotocols if name in offered), None)
    else:
        chosen = select_subprotocol(request, offered)
        if chosen is not None and chosen not in offered:
            raise ValueError(f"select_subprotocol returned {chosen!r}, not one of {offered}")
    if chosen is not None:
        headers.add("Sec-WebSocket-Protocol", chosen)
    if compression is not None:
        try:
            answer = answer_offers(compression, request.headers.get_all(_EXTENSIONS))
        except ValueError as exc:
            raise InvalidHeader(_EXTENSIONS, str(exc)) from None
        if answer is not None:
            headers.add(_EXTENSIONS, answer)
    return Response(101, headers)


def refusal(exc: InvalidHandshake) -> Response:
    """Answer a request that failed: with the status that the exception names, and its text."""
    return Response(exc.status, _WITH_STATUS.get(exc.status), f"{exc}\n")


def check_origin(request: Request, origins: Origins) -> None:
    """
    Check where a browser's request comes from (RFC 6455 section 10.2).

    Programs that are no browsers send no Origin and may always connect.

    Raises:
        InvalidOrigin: the Origin is not allowed.
    """
    if origins is None or "Origin" not in request.headers:
        return
    origin = _single(request.headers, "Origin")
    if isinstance(origins, SameOrigin):
        host = request.headers.get("Host", "")
        if not _same_host(origin, host or ""):
            raise InvalidOrigin(f"{origin!r} is not the origin of host {host!r}; see origins=")
    elif not any(_matches(pattern, origin) for pattern in origins):
        raise InvalidOrigin(f"{origin!r} is not in origins=")


def _matches(pattern: str | re.Pattern[str], origin: str) -> bool:
    if isinstance(pattern, str):
        return pattern.lower() == origin.lower()
    return pattern.fullmatch(origin) is not None


def _same_host(origin: str, host: str) -> bool:
    """Compare an Origin with a Host header; a port may be left out where it is the scheme's own."""
    try:
        parts = urllib.parse.urlsplit(origin)
        default = {"http": 80, "https": 443}[parts.scheme]
        served = urllib.parse.urlsplit(f"//{host}")
        return (
            bool(parts.hostname)
            and parts.hostname == served.hostname
            and (parts.port or default) == (served.port or default)
        )
    except (ValueError, KeyError):  # "null", a scheme of a browser extension, nonsense
        return False


def listed_origins(origins: Origins) -> Origins:
    """
    Check ``origins=`` and write it as browsers do; keep what an iterator yields for all clients.

    Raises:
        TypeError: it is one origin, or something in it is neither a str nor a pattern.
        ValueError: no browser would ever send such an origin.
    """
    if origins is None or isinstance(origins, SameOrigin):
        return origins
    if isinstance(origins, (str, bytes)) or not isinstance(origins, Iterable):
        raise TypeError(f"origins is a list of origins; got {origins!r}")
    return tuple(_listed(origin) for origin in origins)


def _listed(origin: object) -> str | re.Pattern[str]:
    """Write an origin as browsers do, without the port that is the scheme's own."""
    if isinstance(origin, re.Pattern):
        return origin
    if not isinstance(origin, str):
        raise TypeError(f"origins: {origin!r} is neither a str nor a pattern")
    if origin != "null" and not _ORIGIN.fullmatch(origin):
        raise ValueError(
            f"{origin!r} in origins= is no origin: scheme://host[:port], and nothing behind it; "
            f"None instead of the list allows all"
        )
    return _OWN_PORT.sub(r"\1\2", origin.lower())


# Both.


def checked_subprotocols(subprotocols: Sequence[str]) -> Sequence[str]:
    """
    Return the subprotocols (section 4.1).

    Raises:
        TypeError, ValueError: they are not a list of tokens, all different.
    """
    if isinstance(subprotocols, str):
        raise TypeError("subprotocols is a list of names, not one str")
    for name in subprotocols:
        if not is_token(name):
            raise ValueError(f"subprotocol {name!r} is not an HTTP token")
    if len(set(subprotocols)) < len(subprotocols):
        raise ValueError(f"subprotocols has a name twice: {list(subprotocols)}")
    return subprotocols


def _check_upgrade(headers: Headers) -> None:
    for name, wanted in (("Upgrade", "websocket"), ("Connection", "upgrade")):
        try:
            tokens = [token.lower() for token in parse_token_list(headers.get_all(name))]
        except ValueError as exc:
            raise InvalidUpgrade(name, str(exc)) from None
        if wanted not in tokens:
            raise InvalidUpgrade(name, f"{', '.join(tokens) or 'missing'}; expected {wanted}")


def _single(headers: Headers, name: str) -> str:
    """Return the value of a field that must be there exactly once."""
    values = headers.get_all(name)
    if len(values) != 1:
        raise InvalidHeader(name, f"{len(values)} of them; expected 1" if values else "missing")
    return values[0]
