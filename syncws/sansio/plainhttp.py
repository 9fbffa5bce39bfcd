"""
The heads of an opening handshake as everybody writes them, read and written without a detour.

Reading is a shortcut, which costs a tenth of the way through h11. What is not plain beyond doubt
(it came in pieces, has a body, a strange line, a character above ASCII) is left to h11: then None
is returned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

Fields = list[tuple[str, str]]

# Nothing here can match in two ways, so it takes linear time.
_FIELDS = rb"((?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*)*)\r\n\r\n"
_REQUEST = re.compile(rb"GET ([!-~]+) HTTP/1\.1" + _FIELDS)
_SWITCHING = re.compile(rb"HTTP/1\.1 101(?: [\t -~]*)?" + _FIELDS)

# What nearly all say is kept once, not once for each connection.
_COMMON = {
    text: text
    for text in (
        "Host",
        "Upgrade",
        "websocket",
        "Connection",
        "Origin",
        "User-Agent",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "13",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Protocol",
        "Date",
        "Server",
    )
}


def read_request(data: bytes) -> tuple[str, Fields, bytes] | None:
    """Read a GET; return its target, its fields and what came behind it."""
    match = _REQUEST.match(data)
    if match is None:
        return None
    fields = _fields(match.group(2))
    names = [name.lower() for name, _ in fields]
    if names.count("host") != 1 or "upgrade" not in names or not _bodiless(names):
        return None
    return match.group(1).decode("ascii"), fields, data[match.end() :]


def read_switching(data: bytes) -> tuple[Fields, bytes] | None:
    """Read a 101; return its fields and what came behind it."""
    match = _SWITCHING.match(data)
    if match is None:
        return None
    fields = _fields(match.group(1))
    if not _bodiless([name.lower() for name, _ in fields]):
        return None
    return fields, data[match.end() :]


def _fields(lines: bytes) -> Fields:
    split = [line.partition(":") for line in lines.decode("ascii").split("\r\n")[1:]]
    stripped = [(name, value.strip(" \t")) for name, _, value in split]
    return [(_COMMON.get(name, name), _COMMON.get(value, value)) for name, value in stripped]


def _bodiless(names: list[str]) -> bool:
    return "content-length" not in names and "transfer-encoding" not in names


def write_head(first_line: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """Write a head whose parts were checked: Headers takes nothing that would end a line."""
    lines = [first_line, *[f"{name}: {value}" for name, value in fields]]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
