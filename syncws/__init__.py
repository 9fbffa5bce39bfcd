"""WebSocket client and server for threads: a blocking API, no event loop (RFC 6455)."""

from __future__ import annotations

from . import wsgi
from .basic_auth import basic_auth
from .client import connect
from .codes import CloseCode, Opcode, Role, State
from .connection import Connection
from .exceptions import (
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
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    MessageTooBig,
    NegotiationError,
    ProtocolError,
    TooManyConnections,
    TooManyRedirects,
    UnsupportedServer,
    WebSocketException,
)
from .options import Deflate, Options
from .sansio import SAME_ORIGIN, Headers, Request, Response
from .server import ThreadingServer, serve
from .stats import Stats
from .version import __version__

__all__ = [
    "SAME_ORIGIN",
    "Close",
    "CloseCode",
    "ConcurrencyError",
    "Connection",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Deflate",
    "Headers",
    "InheritedConnection",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidMessage",
    "InvalidOrigin",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUpgrade",
    "MessageTooBig",
    "NegotiationError",
    "Opcode",
    "Options",
    "ProtocolError",
    "Request",
    "Response",
    "Role",
    "State",
    "Stats",
    "ThreadingServer",
    "TooManyConnections",
    "TooManyRedirects",
    "UnsupportedServer",
    "WebSocketException",
    "__version__",
    "basic_auth",
    "connect",
    "serve",
    "wsgi",
]
