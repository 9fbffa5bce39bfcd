"""
The same WebSocket connections for the tasks of asyncio or trio: what awaits stands here.

``connect()`` and ``serve()`` make them, for whichever event loop they are awaited in::

    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    async with serve(echo, "localhost", 8765) as server:
        await server.serve_forever()

    async with connect("ws://localhost:8765") as ws:
        await ws.send("Hello!")
        print(await ws.recv())

All that does not await, exceptions and options for example, is as in ``syncws``, and can be taken
from either.
"""

from __future__ import annotations

import importlib

from ..attempts import Backoff, is_transient
from ..auth import Challenge, DigestAuth
from ..basic_auth import basic_auth
from ..broadcast import Block, broadcast
from ..codes import CloseCode, Opcode, Role, State
from ..exceptions import (
    Close,
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InheritedConnection,
    InvalidHandshake,
    InvalidHeader,
    InvalidMessage,
    InvalidOrigin,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    MessageTooBig,
    NegotiationError,
    ProtocolError,
    ProxyError,
    TooManyConnections,
    TooManyRedirects,
    WebSocketException,
)
from ..options import Deflate, Options
from ..outgoing import PreparedMessage
from ..sansio import SAME_ORIGIN, Headers, Request, Response
from ..stats import Stats
from .client import connect, reconnect
from .connection import AsyncConnection, PongWaiter
from .server import Server, serve

# By these names programs for early versions of websockets subclass them.
WebSocketClientProtocol = WebSocketServerProtocol = AsyncConnection

__all__ = [
    "SAME_ORIGIN",
    "AsyncConnection",
    "Backoff",
    "Block",
    "Challenge",
    "Close",
    "CloseCode",
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Deflate",
    "DigestAuth",
    "Headers",
    "InheritedConnection",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidMessage",
    "InvalidOrigin",
    "InvalidProxy",
    "InvalidProxyStatus",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUpgrade",
    "MessageTooBig",
    "NegotiationError",
    "Opcode",
    "Options",
    "PongWaiter",
    "PreparedMessage",
    "ProtocolError",
    "ProxyError",
    "Request",
    "Response",
    "Role",
    "Server",
    "State",
    "Stats",
    "TooManyConnections",
    "TooManyRedirects",
    "WebSocketClientProtocol",
    "WebSocketException",
    "WebSocketServerProtocol",
    "basic_auth",
    "broadcast",
    "connect",
    "is_transient",
    "reconnect",
    "serve",
]


def __getattr__(name: str) -> object:
    """Load the faces when they are asked for."""
    if name in ("callbacks", "events"):
        return importlib.import_module(f"syncws.aio.{name}")
    raise AttributeError(f"module 'syncws.aio' has no attribute {name!r}")
