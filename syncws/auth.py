"""
How a client answers a server's 401 (RFC 9110 section 11): its own functions, and Digest (RFC 7616).

No socket and no clock in here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
import urllib.parse
from typing import Callable, Union

from .sansio import Headers, Request, Response, parse_challenges

_ANSWERS = 3  # to 401s in one connect(): a digest, one more when its nonce was stale, one to spare
_NONCES = 16  # that a DigestAuth remembers to count their uses

# Best first; "-sess" may follow each.
_HASHES: dict[str, Callable[[bytes], str]] = {
    "sha-256": lambda data: hashlib.sha256(data).hexdigest(),
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}


@dataclasses.dataclass(frozen=True)
class Challenge:
    """
    What a server says that wants to know who asks; a function given as ``auth=`` gets it.

    Attributes:
        status: of the response; 401.
        headers: of the response.
        method, target: of the request: ``"GET"``, and its path with the query.
        refused: the Authorization header of the request, or ``None`` if it had none.
    """

    status: int
    headers: Headers
    method: str
    target: str
    refused: str | None = dataclasses.field(default=None, repr=False)

    def parameters(self, scheme: str) -> list[dict[str, str]]:
        """Return the parameters of each challenge of this scheme; names are in lower case."""
        challenges = parse_challenges(self.headers.get_all("WWW-Authenticate"))
        return [found for name, found in challenges if name.lower() == scheme.lower()]


Authenticate = Callable[[Challenge], Union[str, None]]


class Login:
    """The answers that one ``connect()`` gives to 401s: a few, all to one origin."""

    def __init__(self, authenticate: Authenticate | None) -> None:
        self._authenticate = authenticate
        self._left = _ANSWERS

    def end(self) -> None:
        """Answer no more: the next request goes elsewhere."""
        self._authenticate = None

    def answer(self, request: Request, response: Response) -> str | None:
        """
        Return the Authorization header for another attempt; ``None`` if there is to be none.

        Raises:
            TypeError: the function given as ``auth=`` returned something else.
        """
        if response.status != 401 or self._authenticate is None or not self._left:
            return None
        self._left -= 1
        refused = request.headers.get("Authorization")
        value = self._authenticate(
            Challenge(response.status, response.headers, "GET", request.path, refused)
        )
        if value is not None and not isinstance(value, str):
            raise TypeError(f"auth= returned {type(value).__name__}; expected str or None")
        return value


class DigestAuth:
    """
    Answers Digest challenges (RFC 7616), for ``connect(auth=DigestAuth(user, password))``.

    Knows SHA-256 and MD5, each with ``-sess``, and qop ``auth``; of several challenges it takes the
    best. Does not block. Thread-safe: one object may serve many connections.

    Args:
        user, password: any text; sent as UTF-8.
    """

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._password = password
        self._lock = threading.Lock()
        self._uses: dict[str, int] = {}  # of each nonce

    def __call__(self, challenge: Challenge) -> str | None:
        """Return the Authorization header; ``None`` if the password was refused, or no way fits."""
        offers = [offer for offer in challenge.parameters("Digest") if _usable(offer)]
        if not offers:
            return None
        offer = min(offers, key=lambda offer: list(_HASHES).index(_hash_name(offer)))
        tried = (challenge.refused or "").startswith("Digest ")
        same = f"uri={_quoted(challenge.target)}," in (challenge.refused or "")
        if tried and same and offer.get("stale", "").lower() != "true":
            return None  # not once more: servers lock users out
        count = self._count(offer["nonce"])
        cnonce = os.urandom(16).hex()
        return digest(
            offer, self._user, self._password, challenge.method, challenge.target, count, cnonce
        )

    def _count(self, nonce: str) -> int:
        with self._lock:
            count = self._uses.pop(nonce, 0) + 1
            self._uses[nonce] = count
            if len(self._uses) > _NONCES:
                del self._uses[next(iter(self._uses))]
        return count


def digest(
    offer: dict[str, str],
    user: str,
    password: str,
    method: str,
    target: str,
    count: int,
    cnonce: str,
) -> str:
    """
    Return the Authorization header that answers a Digest challenge (RFC 7616 section 3.4).

    Args:
        offer: the parameters of the challenge.
        count: how often its nonce has been used, this time included.
        cnonce: a random text of ours.
    """
    algorithm = offer.get("algorithm", "MD5")
    hashed = _HASHES[_hash_name(offer)]
    # What the server wrote is hashed as the bytes that it sent, what the user wrote as UTF-8.
    realm, nonce = (offer.get(name, "").encode("latin-1") for name in ("realm", "nonce"))
    name = user.encode()
    secret = hashed(b":".join((name, realm, password.encode())))
    if algorithm.lower().endswith("-sess"):
        secret = hashed(b":".join((secret.encode(), nonce, cnonce.encode())))
    request = hashed(f"{method}:{target}".encode())
    uses = f"{count:08x}"
    parts = (secret.encode(), nonce, uses.encode(), cnonce.encode(), b"auth", request.encode())
    hidden = offer.get("userhash", "").lower() == "true"
    fields = [
        _username(hashed(name + b":" + realm) if hidden else user),
        f"realm={_quoted(offer.get('realm', ''))}",
        f"uri={_quoted(target)}",
        f"algorithm={algorithm}",
        f"nonce={_quoted(offer['nonce'])}",
        f"nc={uses}",
        f"cnonce={_quoted(cnonce)}",
        "qop=auth",
        f'response="{hashed(b":".join(parts))}"',
    ]
    if "opaque" in offer:
        fields.append(f"opaque={_quoted(offer['opaque'])}")
    if hidden:
        fields.append("userhash=true")
    return "Digest " + ", ".join(fields)


def _hash_name(offer: dict[str, str]) -> str:
    name = offer.get("algorithm", "MD5").lower()
    return name[: -len("-sess")] if name.endswith("-sess") else name


def _usable(offer: dict[str, str]) -> bool:
    qops = [qop.strip(" \t").lower() for qop in offer.get("qop", "").split(",")]
    return "nonce" in offer and "auth" in qops and _hash_name(offer) in _HASHES


def _username(user: str) -> str:
    if user.isascii() and user.isprintable():
        return f"username={_quoted(user)}"
    return f"username*=UTF-8''{urllib.parse.quote(user, safe='')}"  # RFC 8187


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
