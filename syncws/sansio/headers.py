"""
HTTP header fields: an ordered multi-map, and the grammar of tokens and lists (RFC 9110 5.6).

Every parser here is linear in its input: no backtracking.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping
from typing import Union

_TOKEN = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
# What would end a header line, or end it for somebody: these never go out and never come in.
_FORBIDDEN = frozenset(map(chr, range(32))) - {"\t"} | {"\x7f"}

HeadersLike = Union["Headers", Mapping[str, str], Iterable["tuple[str, str]"]]


class Headers:
    """
    Header fields in their order; names compare without regard to case and may repeat.

    Not thread-safe for writing. Values are text that Latin-1 can encode.
    """

    __slots__ = ("_items",)

    def __init__(self, items: HeadersLike | None = None) -> None:
        self._items: list[tuple[str, str]] = []
        if items is None:
            return
        for name, value in items.items() if isinstance(items, (Headers, Mapping)) else items:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """
        Add a field behind those that are there.

        Raises:
            ValueError: the name is not a token, or the value has a control character (CR, LF, NUL
                would let it write headers of its own) or is not Latin-1.
        """
        if not is_token(name):
            raise ValueError(f"header name {name!r} is not an HTTP token")
        if not _FORBIDDEN.isdisjoint(value):
            raise ValueError(
                f"value of header {name} has a control character: {_shown(name, value)}"
            )
        try:
            value.encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError(
                f"value of header {name} is not Latin-1: {_shown(name, value)}"
            ) from None
        self._items.append((name, value.strip(" \t")))

    def get_all(self, name: str) -> list[str]:
        """Return all values of a field, in order."""
        wanted = name.lower()
        return [value for key, value in self._items if key.lower() == wanted]

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return a field's value, several joined by ", " (RFC 9110 section 5.3)."""
        values = self.get_all(name)
        return ", ".join(values) if values else default

    def items(self) -> list[tuple[str, str]]:
        """Return (name, value) pairs in order."""
        return list(self._items)

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: str) -> None:
        """Replace all values of a field by one."""
        self.add(name, value)  # first of all: a bad value changes nothing
        item = self._items[-1]
        self.discard(name)
        self._items.append(item)

    def discard(self, name: str) -> None:
        """Remove a field if it is there."""
        wanted = name.lower()
        self._items = [item for item in self._items if item[0].lower() != wanted]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_all(name))

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self._items])

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        fold = [(name.lower(), value) for name, value in self._items]
        return fold == [(name.lower(), value) for name, value in other._items]

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Headers({redacted(self._items)!r})"


_SECRET = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


def redacted(items: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return header fields as a log may show them: credentials are replaced by stars."""
    return [(name, "***" if name.lower() in _SECRET else value) for name, value in items]


def _shown(name: str, value: str) -> str:
    """Return a value as an error message may show it: short, and no credentials."""
    return repr(redacted([(name, value)])[0][1][:60])


def is_token(text: str) -> bool:
    """Tell whether the text is a token (RFC 9110 section 5.6.2)."""
    return bool(text) and _TOKEN.issuperset(text)


def parse_token_list(values: Iterable[str]) -> list[str]:
    """
    Read fields whose value is a comma-separated list of tokens, as if they were one field.

    Raises:
        ValueError: an element is not a token. Empty elements are skipped (RFC 9110 section 5.6.1).
    """
    tokens = []
    for value in values:
        for element in value.split(","):
            token = element.strip(" \t")
            if token and not is_token(token):
                raise ValueError(f"{token[:60]!r} is not a token")
            if token:
                tokens.append(token)
    return tokens
