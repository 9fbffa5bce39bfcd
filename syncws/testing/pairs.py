"""Two real connections that are connected to each other, without a network."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..arriving import Message
from ..codes import CloseCode, Role
from ..connection import Connection
from ..exceptions import Close, WebSocketException
from ..options import Options, OptionsDict, options_of
from ..sansio import (
    Headers,
    HeadersLike,
    Request,
    Response,
    build_request,
    build_response,
    check_request,
    check_response,
)
from ..transport import Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

_GOODBYE = Close(CloseCode.NORMAL_CLOSURE.value)
_PATIENCE = 10.0  # seconds for an end that nothing should hold up
_SHOWN = 3  # messages


@contextlib.contextmanager
def pair(
    *,
    path: str = "/",
    subprotocol: str | None = None,
    headers: HeadersLike | None = None,
    client: OptionsDict | None = None,
    server: OptionsDict | None = None,
    leftovers: bool = False,
    **options: Unpack[OptionsDict],
) -> Iterator[tuple[Connection, Connection]]:
    """
    Yield (client, server): two open connections that are connected to each other.

    Does not block. The two are joined by a socket pair of the system instead of a network: no port,
    no name, no TCP. All else is real: request and response are made and checked by the rules of
    the opening handshake, frames are encoded, threads read. At the end of the block both are closed
    with 1000, or cut if the block raises.

    Args:
        path: the request target; handlers find it in ``ws.path``.
        subprotocol: what both agree on.
        headers: further header fields of the request.
        client, server: options of the one end only; they go before those of both.
        leftovers: let the block end with messages that were sent and that nobody received.
        **options: the fields of ``Options``, for both ends.

    Raises:
        AssertionError: at the end of the block: there are messages that nobody received, or an end
            did not close.
        ValueError, TypeError: an argument cannot be used.
        NegotiationError: the two ends' ``compression`` cannot be agreed on.
    """
    ends = _connected(
        path,
        subprotocol,
        Headers(headers),
        _merged(options, client),
        _merged(options, server),
    )
    try:
        yield ends
    except BaseException:
        for ws in ends:
            ws.abort()
        _wait_closed(ends)
        raise
    for ws in ends:
        # Both begin, so that none is left to a peer that does not read.
        ws._engine.begin_close(_GOODBYE)
    _wait_closed(ends)
    if not leftovers:
        _check_received(ends)


def _merged(options: OptionsDict, own: OptionsDict | None) -> Options:
    merged: OptionsDict = {**options, **(own or {})}
    return options_of(merged)


def _connected(
    path: str, subprotocol: str | None, headers: Headers, client: Options, server: Options
) -> tuple[Connection, Connection]:
    """Do the opening handshake without bytes; return the two ends of the connection."""
    request, response = _handshake(path, subprotocol, headers, client, server)
    ours, theirs = socket.socketpair()
    ends = (
        Connection(Transport(ours), Role.CLIENT, request, response, client),
        Connection(Transport(theirs), Role.SERVER, request, response, server),
    )
    for ws in ends:
        ws._start(b"")
    return ends


def _handshake(
    path: str, subprotocol: str | None, headers: Headers, client: Options, server: Options
) -> tuple[Request, Response]:
    subprotocols = [] if subprotocol is None else [subprotocol]
    request = build_request(
        "localhost",
        path,
        os.urandom(16),
        subprotocols=subprotocols,
        compression=client.deflate,
        headers=headers,
    )
    check_request(request, None)
    response = build_response(request, subprotocols, None, server.deflate)
    check_response(request, response)
    return request, response


def _wait_closed(ends: tuple[Connection, Connection]) -> None:
    open_ends = [ws for ws in ends if not ws.wait_closed(_PATIENCE)]
    for ws in open_ends:
        ws.abort()
    if open_ends:
        raise AssertionError(f"not closed after {_PATIENCE} s: {open_ends}")


def _check_received(ends: tuple[Connection, Connection]) -> None:
    for ws in ends:
        unread = _unread(ws)
        if unread:
            shown = ", ".join(map(repr, unread[:_SHOWN])) + ", ..." * (len(unread) > _SHOWN)
            raise AssertionError(
                f"the {ws.role.value} did not receive {len(unread)} message(s): {shown}; "
                f"receive them, or use pair(leftovers=True)"
            )


def _unread(ws: Connection) -> list[Message]:
    messages = []
    # What waits for events() cannot be received; a program that takes events sees the end itself.
    with contextlib.suppress(WebSocketException):
        while True:
            messages.append(ws.recv(timeout=0))
    return messages
