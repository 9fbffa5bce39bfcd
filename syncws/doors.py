"""
The doors of the events to sockets that are there: what blocking and asyncio ones share.

The asyncio ones call ``open_session`` in a thread.
"""

from __future__ import annotations

import dataclasses
import logging
import socket
import ssl as ssl_module
from collections.abc import Sequence
from typing import Callable, Union

from .callback_logic import checked
from .connection import Connection
from .exceptions import InvalidHandshake
from .forwarded import TrustedProxies
from .options import Options
from .sansio import Origins, Request, Response, checked_subprotocols, listed_origins
from .server import SERVER
from .session import Policy, Session

# Says whether a request is accepted, or with which subprotocol, or how it is refused.
Filter = Callable[[Request], Union[bool, str, Response, None]]


def url_on(sock: socket.socket, addr: tuple[str, int], path: str, secure: bool) -> str:
    """
    Return the URL of a server to which a socket is connected.

    Raises:
        TypeError: the socket has TLS already.
    """
    _check_plain(sock)
    host, port = addr[:2]
    host = f"[{host}]" if ":" in host else host
    return f"{'wss' if secure else 'ws'}://{host}:{port}{path}"


def policy_for(
    sock: socket.socket,
    filter: Filter | None,
    ssl: ssl_module.SSLContext | None,
    origins: Origins,
    subprotocols: Sequence[str] | None,
    logger: logging.Logger | None,
    options: Options,
) -> Policy:
    """
    Check what ``create_websocket_server`` is told. Leaves the socket as it is.

    Raises:
        TypeError, ValueError: an argument cannot be used.
    """
    _check_plain(sock)
    return Policy(
        handler=_no_handler,
        options=options,
        logger=logger or logging.getLogger("syncws.server"),
        ssl=ssl,
        origins=listed_origins(origins),
        subprotocols=checked_subprotocols(subprotocols or ()),
        select_subprotocol=None,
        process_request=None,
        process_response=None if filter is None else _filtered(checked(filter)),
        server_header=SERVER,
        create_connection=Connection,
        trusted_proxies=TrustedProxies(),
        wsgi_app=None,
    )


def session_on(
    sock: socket.socket, policy: Policy, create_connection: Callable[..., Connection]
) -> Session:
    """Take a socket over; ``open_session`` is to follow. Does not block."""
    policy = dataclasses.replace(policy, create_connection=create_connection)
    return Session(policy, sock, refuse=False)


def open_session(session: Session) -> Connection:
    """
    Do the opening handshake of a server, or close the socket. Blocks.

    Raises:
        InvalidHandshake, OSError, TimeoutError: as ``create_websocket_server``.
    """
    try:
        connection = session._open()
    finally:
        if session.connection is None:
            session._transport.close()
    if connection is None:
        raise InvalidHandshake("the filter refused it" if session.asked else "the client left")
    return connection


def _filtered(filter: Filter) -> Callable[[Request, Response], Response]:
    def process_response(request: Request, response: Response) -> Response:
        verdict = filter(request)
        if isinstance(verdict, Response):
            return verdict
        if not verdict:
            return Response(403)
        if isinstance(verdict, str):
            response.headers.discard("Sec-WebSocket-Protocol")
            response.headers.add("Sec-WebSocket-Protocol", verdict)
        return response

    return process_response


def _no_handler(ws: Connection) -> None:
    """The caller of ``create_websocket_server`` handles the connection."""


def _check_plain(sock: socket.socket) -> None:
    if isinstance(sock, ssl_module.SSLSocket):
        raise TypeError("expected a plain socket; hand in the TLS context as ssl=")
