"""connect(): the blocking one in a thread, its connection in the event loop."""

from __future__ import annotations

import functools
from typing import Any, Callable

from .. import client
from ..attempts import Attempts, Backoff, Retry, is_transient
from ..connection import Connection
from ..cutter import Cutter
from ..reconnect import reusable
from .attendant import attended_by
from .connection import AsyncConnection
from .loops import current
from .opening import Opening
from .reconnect import Connections, OnReconnect, Steps, result_of

CreateConnection = Callable[..., AsyncConnection]


class connect(Opening[AsyncConnection]):
    """
    Open a WebSocket connection as a client (RFC 6455 section 4.1), under asyncio or trio.

    Await it, or use it as an async context manager, which closes the connection at the end::

        ws = await connect("ws://localhost:8765")

        async with connect("ws://localhost:8765") as ws:
            await ws.send("Hello!")

    As an async iterator it does what ``reconnect()`` does by default.

    A thread does the opening handshake. When the task is cancelled that is cut short; while it
    still looks up the name or opens TCP it lasts to its end, at most ``open_timeout``, unseen.

    Args:
        url: ``ws://host:port/path?query`` or ``wss://...``; may hold user and password.
        create_connection: a subclass of AsyncConnection, or a function with its arguments.
        create_protocol: the same, by an older name.
        **options: all other arguments of ``syncws.connect()``.

    Raises:
        InvalidURI, OSError, TimeoutError, InvalidHandshake, ...: as ``syncws.connect()``, when it
            is awaited.
    """

    def __init__(
        self,
        url: str,
        *,
        create_connection: CreateConnection | None = None,
        create_protocol: CreateConnection | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._url = url
        self._options = options
        self._create = chosen(create_connection, create_protocol)

    async def _open(self) -> AsyncConnection:
        bridge = current()
        cutter = Cutter()
        make = attended_by(bridge, getattr(self._create, "_prepare", None))
        job = functools.partial(
            client.connect, self._url, create_connection=make, _cutter=cutter, **self._options
        )
        try:
            connection = await bridge.in_thread(job, Connection.abort)
        except BaseException:
            cutter.cut()
            raise
        try:
            return self._create(connection)
        except BaseException:
            connection.abort()
            raise

    def __aiter__(self) -> Connections:
        return reconnect(self._url, create_connection=self._create, **self._options)


def reconnect(
    url: str,
    *,
    backoff: Backoff | None = None,
    retry: Retry = is_transient,
    on_reconnect: OnReconnect | None = None,
    **connect_options: Any,
) -> Connections:
    """
    Return an iterator of open connections: whenever the last has ended, there is a new one.

        async for ws in reconnect("wss://example.com/feed"):
            with contextlib.suppress(ConnectionClosed):
                async for message in ws:
                    print(message)

    Each is closed when the body of the loop ends; behind a ``break`` or an exception nobody waits
    for that. What the body raises leaves the loop, as in every loop: suppress ``ConnectionClosed``
    inside. If the connection ended in a way that connecting again does not mend, the iterator
    raises that itself. Cancel the task to end a pause.

    Args:
        url: as of ``connect()``.
        backoff, retry: as of ``syncws.reconnect()``.
        on_reconnect: the same; may be a coroutine function.
        **connect_options: as of ``connect()``, but for ``sock``. ``additional_headers`` may be a
            function without arguments, called for each attempt; also a coroutine function.

    Raises:
        InvalidURI, TypeError, ValueError: an argument cannot be used.
    """
    options = reusable(connect_options)

    async def make() -> AsyncConnection:
        headers = options["additional_headers"]
        if callable(headers):
            headers = await result_of(headers())
        return await connect(url, **{**options, "additional_headers": headers})

    attempts = Attempts(backoff, retry)
    return Connections(Steps(url, make, attempts, on_reconnect, options.get("logger")))


def chosen(
    create_connection: CreateConnection | None, create_protocol: CreateConnection | None
) -> CreateConnection:
    """
    Return what makes connections, by either of its names.

    Raises:
        TypeError: both are given.
    """
    if create_connection is not None and create_protocol is not None:
        raise TypeError("create_connection= and create_protocol= mean the same; use one")
    return create_connection or create_protocol or AsyncConnection
