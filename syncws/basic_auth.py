"""HTTP Basic authentication for servers (RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from typing import Any, Callable, Union

from .sansio import Request, Response

Credentials = tuple[str, str]
ProcessRequest = Callable[[Request], Union[Response, None]]


def basic_auth(
    realm: str = "",
    credentials: Credentials | Iterable[Credentials] | None = None,
    check_credentials: Callable[[str, str], bool] | None = None,
) -> ProcessRequest:
    """
    Make a ``process_request`` hook that lets in only who knows a password.

    The user is then ``ws.request.username``. Use it over TLS only: Basic authentication hides
    nothing by itself.

    Args:
        realm: what the browser's dialog says.
        credentials: (user, password), or several; compared in constant time.
        check_credentials: called with user and password instead; may block.

    Raises:
        TypeError: neither or both of the two are given.
        ValueError: the realm cannot stand in a header.
    """
    if (credentials is None) == (check_credentials is None):
        raise TypeError("basic_auth() takes either credentials= or check_credentials=")
    check = check_credentials or _checker(credentials)
    escaped = realm.replace("\\", "\\\\").replace('"', '\\"')
    challenge = [("WWW-Authenticate", f'Basic realm="{escaped}", charset="UTF-8"')]
    Response(401, challenge)  # raises now, not with the first client

    def process_request(request: Request) -> Response | None:
        given = parse_authorization(request.headers.get_all("Authorization"))
        if given is None or not check(*given):
            return Response(401, challenge)
        request.username = given[0]
        return None

    return process_request


def parse_authorization(values: list[str]) -> Credentials | None:
    """Return user and password, or None if there is not exactly one readable pair."""
    if len(values) != 1:
        return None
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = (
            base64.b64decode(token.strip(), validate=True).decode().partition(":")
        )
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


def _checker(credentials: Any) -> Callable[[str, str], bool]:
    pairs = [credentials] if _is_pair(credentials) else list(credentials)
    if not all(map(_is_pair, pairs)):
        raise TypeError("credentials= is a pair (user, password) of str, or several of them")
    known = [f"{user}:{password}".encode() for user, password in pairs]

    def check(user: str, password: str) -> bool:
        given = f"{user}:{password}".encode()
        # Every pair is compared, so that the time taken tells nothing.
        matches = [hmac.compare_digest(given, pair) for pair in known]
        return any(matches)

    return check


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(part, str) for part in value)
    )
