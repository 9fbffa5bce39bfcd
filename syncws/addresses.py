"""Socket addresses, asked for and written down. Knows nothing of WebSocket."""

from __future__ import annotations

import socket
from typing import Any, Callable


def look_up(host: str | None, port: int, flags: int = 0) -> list[Any]:
    """
    Return what ``getaddrinfo()`` knows of TCP at a host.

    Raises:
        socket.gaierror: there is nothing; the message names the host.
    """
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except socket.gaierror as exc:
        problem = exc.strerror or exc
        raise type(exc)(exc.errno, f"no address for {host!r}: {problem}") from None


def address(ask: Callable[[], Any]) -> Any:
    """Return a socket's address, or None if the peer has reset the connection already."""
    try:
        return ask()
    except OSError:
        return None


def address_text(address: object) -> str:
    """Write a socket address for people."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return str(address) or "unix"
