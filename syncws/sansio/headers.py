"""
HTTP header fields: an ordered multi-map, and the grammar of tokens and lists (RFC 9110 5.6).

Every parser here is linear in its input: no backtracking.
"""

from __future__ import annotations

import base64
import contextlib
import re
import string
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Union

_TOKEN = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
# What would end a header line, or end it for somebody: these never go out and never come in.
_FORBIDDEN = frozenset(map(chr, range(32))) - {"\t"} | {"\x7f"}

# A name and its parameters, each with a value or without (RFC 6455 section 9.1).
Extension = tuple[str, "list[tuple[str, str | None]]"]

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
        for item in items.items() if isinstance(items, (Headers, Mapping)) else items:
            self.add(*_pair(item))

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


def _pair(item: Any) -> tuple[str, str]:
    if not isinstance(item, (str, bytes)):
        with contextlib.suppress(TypeError, ValueError):
            name, value = item
            return name, value
    raise TypeError(f"headers are a mapping or pairs of name and value; got {item!r}")


def _shown(name: str, value: str) -> str:
    """Return a value as an error message may show it: short, and no credentials."""
    return repr(redacted([(name, value)])[0][1][:60])


def is_token(text: str) -> bool:
    """Tell whether the text is a token (RFC 9110 section 5.6.2)."""
    return bool(text) and _TOKEN.issuperset(text)


def basic_credentials(user: str, password: str) -> str:
    """
    Return the value of an Authorization header (RFC 7617).

    Raises:
        ValueError: the user name has a colon.
    """
    if ":" in user:
        raise ValueError("a user name for Basic authentication has no colon (RFC 7617 section 2)")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


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


def parse_extensions(values: Iterable[str]) -> list[Extension]:
    """
    Read Sec-WebSocket-Extensions (RFC 6455 section 9.1), several of them as if they were one.

    Raises:
        ValueError: it does not follow the grammar.
    """
    extensions = []
    for element in _split(",".join(values), ","):
        if not element.strip(" \t"):
            continue  # RFC 9110 section 5.6.1
        name, *parameters = [part.strip(" \t") for part in _split(element, ";")]
        if not is_token(name):
            raise ValueError(f"extension {name[:60]!r} is not a token")
        extensions.append((name, [_parameter(part) for part in parameters]))
    return extensions


def parse_challenges(values: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """
    Read WWW-Authenticate (RFC 9110 section 11.6.1): schemes, and their parameters by name.

    Names of parameters are in lower case, and of two the first counts. What does not follow the
    grammar is passed over: a challenge that nobody can read is not answered.
    """
    challenges: list[tuple[str, dict[str, str]]] = []
    for value in values:
        for element in _split(value, ","):
            # "Scheme", "Scheme name=value", "name=value" or "Scheme token68".
            before, equals, text = element.strip(" \t").partition("=")
            words = before.split()
            if len(words) == 2 or (words and not equals):
                challenges.append((words[0], {}))
            if equals and challenges and 1 <= len(words) <= 2 and is_token(words[-1]):
                challenges[-1][1].setdefault(words[-1].lower(), _unquoted(text.strip(" \t")))
    return challenges


def _parameter(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    name = name.rstrip(" \t")
    value = _unquoted(value.lstrip(" \t"))
    # "the value after quoted-string unescaping MUST conform to the 'token' ABNF"
    if not is_token(name) or (equals and not is_token(value)):
        raise ValueError(f"extension parameter {text[:60]!r} is not name or name=value")
    return name, value if equals else None


_ESCAPED = re.compile(r"\\(.)")


def _unquoted(value: str) -> str:
    """Take the quotes off a quoted-string (RFC 9110 section 5.6.4)."""
    quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return _ESCAPED.sub(r"\1", value[1:-1]) if quoted else value


def _split(text: str, separator: str) -> list[str]:
    """Split where the separator is not quoted."""
    parts = []
    start = 0
    quoted = escaped = False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            quoted = char != '"'
            escaped = char == "\\"
        elif char == '"':
            quoted = True
        elif char == separator:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]
