"""
The pure protocol: no socket, thread, clock or random in here. Bytes in, facts out.

This face is all that the rest of the library may import.
"""

from __future__ import annotations

from .assembler import Fragment
from .closing import Action, Input, Phase, render_table
from .deflate import Agreement, Deflater, agreed
from .exchange import Exchange
from .frames import MAX_CONTROL_PAYLOAD
from .handshake import (
    SAME_ORIGIN,
    Origins,
    SelectSubprotocol,
    build_request,
    build_response,
    check_request,
    check_response,
    checked_subprotocols,
    listed_origins,
    names_websocket,
    refusal,
)
from .headers import (
    Headers,
    HeadersLike,
    basic_credentials,
    is_token,
    parse_challenges,
    redacted,
)
from .http11 import Request, RequestReader, Response, ResponseReader, write_switching
from .protocol import Fact, Ping, Pong, Protocol, validated_close

__all__ = [
    "MAX_CONTROL_PAYLOAD",
    "SAME_ORIGIN",
    "Action",
    "Agreement",
    "Deflater",
    "Exchange",
    "Fact",
    "Fragment",
    "Headers",
    "HeadersLike",
    "Input",
    "Origins",
    "Phase",
    "Ping",
    "Pong",
    "Protocol",
    "Request",
    "RequestReader",
    "Response",
    "ResponseReader",
    "SelectSubprotocol",
    "agreed",
    "basic_credentials",
    "build_request",
    "build_response",
    "check_request",
    "check_response",
    "checked_subprotocols",
    "is_token",
    "listed_origins",
    "names_websocket",
    "parse_challenges",
    "redacted",
    "refusal",
    "render_table",
    "validated_close",
    "write_switching",
]
