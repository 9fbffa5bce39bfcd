"""How a command ended: its exit code, and what is said about it. Waits for nothing."""

from __future__ import annotations

import enum

from .. import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidStatus,
    ProxyError,
)
from .shown import escaped, refusal_lines


class Exit(enum.IntEnum):
    """The exit codes; what ``--help`` and README say about them stands here."""

    OK = 0
    USAGE = 2
    CANNOT_CONNECT = 3
    REFUSED = 4
    CLOSED = 5
    TIMEOUT = 6
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS = {
    Exit.OK: "all went as it should",
    Exit.USAGE: "the command line cannot be used",
    Exit.CANNOT_CONNECT: "no connection: name, network, TLS or proxy",
    Exit.REFUSED: "the server answered, but opened no WebSocket: an HTTP status, or a broken rule",
    Exit.CLOSED: "the connection was lost, or closed with another code than 1000 or 1001",
    Exit.TIMEOUT: "something took longer than it may",
    Exit.INTERRUPTED: "Ctrl-C (echo-server: 0)",
    Exit.BROKEN_PIPE: "nobody reads the output any more",
}


class UsageError(Exception):
    """What was asked for cannot be done; the text tells why."""


class OutputGone(Exception):
    """Nobody reads what the command writes, as behind ``| head``."""


def verdict(exc: BaseException) -> tuple[Exit, str]:
    """
    Return the exit code for an exception, and a line about it.

    Raises:
        BaseException: the exception itself, if it is none of those that have to be expected.
    """
    said = escaped(str(exc))
    if isinstance(exc, KeyboardInterrupt):
        return Exit.INTERRUPTED, ""
    if isinstance(exc, OutputGone):
        return Exit.BROKEN_PIPE, ""
    if isinstance(exc, TimeoutError):
        return Exit.TIMEOUT, f"timeout: {said}"
    if isinstance(exc, ConnectionClosed):
        code = Exit.OK if isinstance(exc, ConnectionClosedOK) else Exit.CLOSED
        return code, f"closed: {said}"
    if isinstance(exc, InvalidHandshake) and not isinstance(exc, ProxyError):
        return Exit.REFUSED, f"refused: {said}"
    if isinstance(exc, (OSError, ProxyError)):
        return Exit.CANNOT_CONNECT, f"cannot connect: {said}"
    if isinstance(exc, UsageError):
        return Exit.USAGE, said
    raise exc


def refusal(exc: BaseException) -> list[str]:
    """Return what the server said when it refused, if it said something."""
    if isinstance(exc, InvalidStatus):
        return refusal_lines(exc.status, exc.headers, exc.body)
    return []
