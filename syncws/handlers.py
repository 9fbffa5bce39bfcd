"""What a server does with an open connection: one handler, then the end."""

from __future__ import annotations

import inspect
from typing import Callable

from .codes import CloseCode
from .connection import Connection
from .exceptions import ConnectionClosed

Handler = Callable[..., object]


def run_handler(handler: Handler, connection: Connection) -> None:
    """Let the handler do its work, then close the connection. Raises no Exception."""
    code = CloseCode.INTERNAL_ERROR
    path = connection.path
    try:
        if wants_path(handler):
            handler(connection, path)
        else:
            handler(connection)
        code = CloseCode.NORMAL_CLOSURE
    except ConnectionClosed as exc:
        connection.logger.debug("%r %s: the handler ended with %s", connection, path, exc)
    except Exception:
        connection.logger.exception("%r %s: the handler failed", connection, path)
    finally:
        connection.close(code)


def wants_path(handler: Handler) -> bool:
    """
    Tell from its signature whether the handler is called as ``handler(ws, path)``.

    It is if it requires a second positional argument, or has one that is called "path".
    """
    try:
        parameters = list(inspect.signature(handler).parameters.values())
    except (TypeError, ValueError):  # a builtin without signature
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2:
        return False
    second = positional[1]
    return second.default is second.empty or second.name == "path"
