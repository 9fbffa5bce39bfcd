"""Socket addresses, asked for and written down. Knows nothing of WebSocket."""

from __future__ import annotations

from typing import Any, Callable


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
