"""WebSocket client and server for threads: a blocking API, no event loop (RFC 6455)."""

from __future__ import annotations

import importlib

from . import callbacks, events, wsgi
from .app import WebSocketApp
from .attempts import Attempts, Backoff, is_transient
from .auth import Challenge, DigestAuth
from .basic_auth import basic_auth
from .broadcast import Block, broadcast
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
    UnsupportedServer,
    WebSocketException,
)
from .options import Deflate, Options
from .outgoing import PreparedMessage
from .reconnect import Connections, reconnect
from .sansio import SAME_ORIGIN, Headers, Request, Response
from .server import ThreadingServer, serve
from .stats import Stats
from .version import __version__
from .waiting import wait

__all__ = [
    "SAME_ORIGIN",
    "Attempts",
    "Backoff",
    "Block",
    "Challenge",
    "Close",
    "CloseCode",
    "ConcurrencyError",
    "Connection",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Connections",
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
    "PreparedMessage",
    "ProtocolError",
    "ProxyError",
    "Request",
    "Response",
    "Role",
    "State",
    "Stats",
    "ThreadingServer",
    "TooManyConnections",
    "TooManyRedirects",
    "UnsupportedServer",
    "WebSocketApp",
    "WebSocketException",
    "__version__",
    "basic_auth",
    "broadcast",
    "callbacks",
    "connect",
    "events",
    "is_transient",
    "reconnect",
    "serve",
    "wait",
    "wsgi",
]


def __getattr__(name: str) -> object:
    """Load ``syncws.aio`` when it is asked for: programs that block need no event loop."""
    if name == "aio":
        return importlib.import_module("syncws.aio")
    raise AttributeError(f"module 'syncws' has no attribute {name!r}")
