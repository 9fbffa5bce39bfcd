"""
Connections whose messages, Pings, Pongs and end come as events, in the words of asyncwebsockets.

    with open_websocket("ws://localhost:8765") as websocket:
        for event in websocket:
            if isinstance(event, TextMessage):
                websocket.send(f"Thanks for saying {event.data!r}!")

The events are those of wsproto. ``Connection.events()`` gives them for any connection.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl as ssl_module
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .client import connect
from .connection import Connection
from .doors import Filter, open_session, policy_for, session_on, url_on
from .event_types import (
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Pong,
    TextMessage,
)
from .fragments import FragmentContext, fragments
from .options import options_of
from .outgoing import DataLike, PreparedMessage
from .sansio import SAME_ORIGIN, HeadersLike, Origins

__all__ = [
    "BytesMessage",
    "CloseConnection",
    "Event",
    "Message",
    "Ping",
    "Pong",
    "TextMessage",
    "WebSocket",
    "create_websocket",
    "create_websocket_client",
    "create_websocket_server",
    "open_websocket",
    "open_websocket_client",
    "open_websocket_server",
]


class WebSocket(Connection):
    """
    A Connection that is iterated over for events, with whole messages; see ``events()``.

    The last event is CloseConnection, whatever the end was. ``recv()`` is not possible.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The thread whose message is unfinished, and what sends it and ends its turn.
        self._sender: int | None = None
        self._turn: tuple[contextlib.ExitStack, FragmentContext]
        self.events(whole=True)  # now, so that no Ping is missed

    def send(
        self,
        message: DataLike | Iterable[DataLike] | PreparedMessage,
        final: bool = True,
        **options: Any,
    ) -> None:
        """
        Send a message, or with ``final=False`` a fragment of one.

        This thread's next call goes on with it; meanwhile those of other threads wait. If a call
        for it raises, the connection is closed with 1011.

        Args:
            message: as of ``Connection.send``; a fragment is no iterable.
            final: whether this is the end of the message.
            **options: as of ``Connection.send``, for whole messages.

        Raises:
            Exception: as ``Connection.send``.
        """
        me = threading.get_ident()
        mine, context = self._turn if self._sender == me else (contextlib.ExitStack(), None)
        if final and context is None:
            super().send(message, **options)
            return
        with mine.pop_all() as turn:
            if context is None:
                context = turn.enter_context(fragments(self))
            self._sender = None
            context.send_now(message, final)  # type: ignore[arg-type]
            if not final:
                self._sender, self._turn = me, (turn.pop_all(), context)

    def __iter__(self) -> Iterator[Event]:  # type: ignore[override]
        """Yield events in the order of arrival, up to CloseConnection."""
        return self.events(whole=True)


def create_websocket(
    url: str,
    ssl: ssl_module.SSLContext | None = None,
    headers: HeadersLike | None = None,
    subprotocols: Sequence[str] | None = None,
    **options: Any,
) -> WebSocket:
    """
    Connect to a URL. Blocks as ``connect()`` does; the caller closes what is returned.

    Args:
        url: ``ws://...`` or ``wss://...``.
        ssl: the TLS settings for wss.
        headers: further header fields of the request.
        subprotocols: names in order of preference.
        **options: further arguments of ``connect()``.

    Raises:
        Exception: as ``connect()``.
    """
    return connect(  # type: ignore[return-value]
        url,
        ssl=ssl,
        additional_headers=headers,
        subprotocols=subprotocols,
        **{"create_connection": WebSocket, **options},
    )


def open_websocket(
    url: str,
    headers: HeadersLike | None = None,
    subprotocols: Sequence[str] | None = None,
    **options: Any,
) -> WebSocket:
    """Do the same, for a ``with`` statement, which closes at its end."""
    return create_websocket(url, headers=headers, subprotocols=subprotocols, **options)


def create_websocket_client(
    sock: socket.socket,
    addr: tuple[str, int],
    path: str,
    headers: HeadersLike | None = None,
    subprotocols: Sequence[str] | None = None,
    **options: Any,
) -> WebSocket:
    """
    Be a client on a connected socket. Blocks as ``connect()`` does; the caller closes the result.

    Args:
        sock: belongs to the WebSocket from now on. Without TLS: with ``ssl=`` that is done here.
        addr: host and port, for the Host header.
        path: the request target.
        headers, subprotocols, **options: as of ``create_websocket``.

    Raises:
        TypeError: the socket has TLS already.
        Exception: as ``connect()``.
    """
    url = url_on(sock, addr, path, secure=options.get("ssl") is not None)
    return create_websocket(url, headers=headers, subprotocols=subprotocols, sock=sock, **options)


open_websocket_client = create_websocket_client  # for a with statement, which closes at its end


def create_websocket_server(
    sock: socket.socket,
    filter: Filter | None = None,
    *,
    ssl: ssl_module.SSLContext | None = None,
    origins: Origins = SAME_ORIGIN,
    subprotocols: Sequence[str] | None = None,
    logger: logging.Logger | None = None,
    **options: Any,
) -> WebSocket:
    """
    Be the server for a client on a socket that was accepted: do the opening handshake.

    Blocks until that is done, at most ``open_timeout`` seconds; the caller closes the result. A
    client that is refused is told why.

    Args:
        sock: belongs to the WebSocket from now on; it is closed if the handshake fails.
        filter: called with the Request, if it is a good one; returns whether to accept it, or a
            Response to refuse it with, or the subprotocol to accept it with.
        ssl: a TLS context for the server's side.
        origins, subprotocols, logger: as of ``ThreadingServer``.
        **options: the fields of ``Options``.

    Raises:
        InvalidHandshake: the client was refused, or left.
        OSError: the client left, or TLS failed.
        TimeoutError: ``open_timeout`` lapsed.
        TypeError, ValueError: an argument cannot be used; the socket is left as it was.
    """
    policy = policy_for(sock, filter, ssl, origins, subprotocols, logger, options_of(options))
    session = session_on(sock, policy, WebSocket)
    return open_session(session)  # type: ignore[return-value]


open_websocket_server = create_websocket_server  # for a with statement, which closes at its end
