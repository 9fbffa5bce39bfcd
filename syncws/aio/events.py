"""
Connections whose messages, Pings, Pongs and end come as events, in the words of asyncwebsockets.

    async with open_websocket("ws://localhost:8765") as websocket:
        async for event in websocket:
            if isinstance(event, TextMessage):
                await websocket.send(f"Thanks for saying {event.data!r}!")

The events are those of ``syncws.events``. What opens something is awaited, or entered by ``async
with``, which closes at its end.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
import ssl as ssl_module
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

from ..connection import Connection
from ..doors import Filter, open_session, policy_for, session_on, url_on
from ..event_types import (
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Pong,
    TextMessage,
)
from ..options import options_of
from ..outgoing import DataLike
from ..sansio import SAME_ORIGIN, HeadersLike, Origins
from .attendant import attended_by
from .client import connect
from .connection import AsyncConnection
from .fragments import FragmentContext, fragments
from .loops import current
from .opening import Opening
from .sending import Sendable

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


class WebSocket(AsyncConnection):
    """
    An AsyncConnection that is iterated over for events, with whole messages; see ``events()``.

    The last event is CloseConnection, whatever the end was. ``recv()`` is not possible.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._sending: object = None  # the task whose message is unfinished
        self._turn: tuple[contextlib.AsyncExitStack, FragmentContext]
        self.events(whole=True)

    @staticmethod
    def _prepare(connection: Connection) -> None:
        """Miss no Ping: called before the first byte is read."""
        connection.events(whole=True)

    async def send(self, message: Sendable, final: bool = True, **options: Any) -> None:
        """
        Send a message, or with ``final=False`` a fragment of one.

        This task's next call goes on with it; meanwhile those of other tasks wait. If a call for it
        raises, the connection is closed with 1011.

        Args:
            message: as of ``AsyncConnection.send``; a fragment is no iterable.
            final: whether this is the end of the message.
            **options: as of ``AsyncConnection.send``, for whole messages.

        Raises:
            Exception: as ``AsyncConnection.send``.
        """
        me = self._bridge.task()
        mine, context = (contextlib.AsyncExitStack(), None)
        if self._sending is me:
            mine, context = self._turn
        if final and context is None:
            await super().send(message, **options)
            return
        async with mine.pop_all() as turn:
            if context is None:
                context = await turn.enter_async_context(fragments(self._sender))
                told = functools.partial(self._bridge.soon, self._give_up)
                self._engine.closed.call(told)
                turn.callback(self._engine.closed.forget, told)
            self._sending = None
            await context.send_now(cast(DataLike, message), final)
            if not (final or self._engine.closed.is_set()):
                self._sending, self._turn = me, (turn.pop_all(), context)

    def _give_up(self) -> None:
        """The connection has ended in the middle of the message: let those be told who wait."""
        if self._sending is not None:
            self._sending = None
            with contextlib.suppress(RuntimeError):  # the loop is about to end
                self._bridge.spawn(self._turn[0].aclose)

    def __aiter__(self) -> AsyncIterator[Event]:  # type: ignore[override]
        """Yield events in the order of arrival, up to CloseConnection."""
        return self.events(whole=True)


def create_websocket(
    url: str,
    ssl: ssl_module.SSLContext | None = None,
    headers: HeadersLike | None = None,
    subprotocols: Sequence[str] | None = None,
    **options: Any,
) -> connect:
    """
    Connect to a URL: await the result, and close what that gives.

    Args:
        url, ssl, headers, subprotocols: as of ``syncws.events.create_websocket``.
        **options: further arguments of ``connect()``.
    """
    return connect(
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
) -> connect:
    """Do the same, for an ``async with`` statement."""
    return create_websocket(url, headers=headers, subprotocols=subprotocols, **options)


def create_websocket_client(
    sock: socket.socket,
    addr: tuple[str, int],
    path: str,
    headers: HeadersLike | None = None,
    subprotocols: Sequence[str] | None = None,
    **options: Any,
) -> connect:
    """
    Be a client on a connected socket: await the result, or enter it.

    Args:
        sock, addr, path, headers, subprotocols, **options: as of
            ``syncws.events.create_websocket_client``.

    Raises:
        TypeError: the socket has TLS already.
    """
    url = url_on(sock, addr, path, secure=options.get("ssl") is not None)
    return create_websocket(url, headers=headers, subprotocols=subprotocols, sock=sock, **options)


open_websocket_client = create_websocket_client


class create_websocket_server(Opening[WebSocket]):
    """
    Be the server for a client on a socket that was accepted: await it, or enter it.

    A client that is refused is told why. The filter is called in a thread.

    Args:
        sock, filter, ssl, origins, subprotocols, logger, **options: as of
            ``syncws.events.create_websocket_server``.

    Raises:
        TypeError, ValueError: an argument cannot be used; the socket is left as it was.
        InvalidHandshake, OSError, TimeoutError: as that, when it is awaited.
    """

    def __init__(
        self,
        sock: socket.socket,
        filter: Filter | None = None,
        *,
        ssl: ssl_module.SSLContext | None = None,
        origins: Origins = SAME_ORIGIN,
        subprotocols: Sequence[str] | None = None,
        logger: logging.Logger | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._sock = sock
        self._policy = policy_for(
            sock, filter, ssl, origins, subprotocols, logger, options_of(options)
        )

    async def _open(self) -> WebSocket:
        bridge = current()
        make = attended_by(bridge, WebSocket._prepare)
        session = session_on(self._sock, self._policy, make)
        job = functools.partial(open_session, session)
        try:
            return WebSocket(await bridge.in_thread(job, Connection.abort))
        except BaseException:
            session.abort()  # cancelled, perhaps: the thread notices and closes the socket
            raise


open_websocket_server = create_websocket_server
