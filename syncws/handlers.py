"""What a server does with an open connection: one handler, then the end."""

from __future__ import annotations

import inspect
from types import TracebackType
from typing import Callable

from .codes import CloseCode
from .connection import Connection
from .exceptions import ConnectionClosed
from .threads import pass_on_interrupt

Handler = Callable[..., object]


class Verdict:
    """
    Judges how a handler ends that runs in its block. Lets no Exception out.

    Not a generator, which each connection would hold while its handler waits.

    Attributes:
        code: the close code for it.
    """

    __slots__ = ("_connection", "code")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.code = CloseCode.INTERNAL_ERROR

    def __enter__(self) -> Verdict:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        connection = self._connection
        if exc is None:
            self.code = CloseCode.NORMAL_CLOSURE
        elif isinstance(exc, ConnectionClosed):
            connection.logger.debug(
                "%r %s: the handler ended with %s", connection, connection.path, exc
            )
        elif isinstance(exc, Exception):
            connection.logger.exception("%r %s: the handler failed", connection, connection.path)
        return isinstance(exc, Exception)


def run_handler(handler: Handler, connection: Connection) -> None:
    """Let the handler do its work, then close the connection. Raises no Exception."""
    verdict = Verdict(connection)
    try:
        with verdict:
            refuse_coroutine(call_handler(handler, connection, connection.path))
    except KeyboardInterrupt:
        if not pass_on_interrupt():  # at once: to close may take a while
            raise
    finally:
        connection.close(verdict.code)


def refuse_coroutine(result: object) -> None:
    """
    Refuse what a handler for threads returns if it is for an event loop.

    Raises:
        TypeError: it is a coroutine, which nobody would await.
    """
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError("the handler is a coroutine function: see syncws.aio.serve()")


def call_handler(handler: Handler, connection: object, path: str) -> object:
    """Call it with what it takes."""
    return handler(connection, path) if wants_path(handler) else handler(connection)


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
