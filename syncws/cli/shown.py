"""
What came from a peer, as a terminal may show it.

A terminal obeys what it is sent, so whatever is no visible character is written down instead. Waits
for nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Union

from .. import Request, Response
from ..sansio import redacted

Data = Union[str, bytes]

# Controls (C0, C1, DEL), what changes the direction or is invisible, lone surrogates, line ends.
_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Letters of Persian and of Indian languages need the one, emoji the other.
_JOINERS = frozenset("\u200c\u200d")
_HEX_SHOWN = 64  # bytes
_BODY_SHOWN = 300  # bytes


def escaped(text: str) -> str:
    r"""Return the text on one line, with ``\x1b`` and the like for what is no visible character."""
    if text.isprintable():
        return text
    return "".join(char if _harmless(char) else _written_down(char) for char in text)


def _harmless(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char) not in _ESCAPED


def _written_down(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def message_line(data: Data) -> str:
    """Return a message for people: bytes as hex, shortened."""
    if isinstance(data, str):
        return escaped(data)
    more = " ..." if len(data) > _HEX_SHOWN else ""
    unit = "byte" if len(data) == 1 else "bytes"
    return f"[binary, {len(data)} {unit}] {data[:_HEX_SHOWN].hex(' ')}{more}".rstrip()


def handshake_lines(request: Request, response: Response) -> list[str]:
    """Return both halves of an opening handshake, without credentials."""
    lines = [
        f"> GET {escaped(request.path)} HTTP/1.1",
        *_header_lines(">", request.headers.items()),
    ]
    return [*lines, *refusal_lines(response.status, response.headers.items(), b"")]


def refusal_lines(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> list[str]:
    """Return the answer of a server, without credentials; the body is shortened."""
    lines = [f"< HTTP/1.1 {status}", *_header_lines("<", headers)]
    text = body[:_BODY_SHOWN].decode(errors="replace").strip()
    return [*lines, *(f"< {escaped(line)}" for line in text.splitlines())]


def _header_lines(arrow: str, headers: Iterable[tuple[str, str]]) -> Sequence[str]:
    return [f"{arrow} {escaped(name)}: {escaped(value)}" for name, value in redacted(headers)]
