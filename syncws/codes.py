"""
The numbers and names that RFC 6455 fixes, and what follows from each alone.

Lowest floor of the library: imports nothing of it.
"""

from __future__ import annotations

import enum


class Role(enum.Enum):
    """Which end of the connection this is (RFC 6455 section 5.1)."""

    CLIENT = "client"
    SERVER = "server"


class State(enum.Enum):
    """The life of a connection in the RFC's words (sections 4.1, 7.1.3, 7.1.4)."""

    CONNECTING = "CONNECTING"
    OPEN = "OPEN"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"


class Opcode(enum.IntEnum):
    """What a frame carries (RFC 6455 section 5.2)."""

    CONT = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(enum.IntEnum):
    """Status codes of the closing handshake (RFC 6455 section 7.4.1 and the IANA registry)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


# RFC 6455 section 7.4.1: these three "MUST NOT be set as a status code in a Close control frame".
_NEVER_ON_THE_WIRE = frozenset(
    {CloseCode.NO_STATUS_RCVD, CloseCode.ABNORMAL_CLOSURE, CloseCode.TLS_HANDSHAKE}
)
_REGISTERED = frozenset(CloseCode) - _NEVER_ON_THE_WIRE

# A connection that ends with one of these ended as it should.
NORMAL_CLOSE_CODES = frozenset(
    {CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD}
)


def may_be_sent(code: int) -> bool:
    """Tell whether a Close frame may carry this code (RFC 6455 sections 7.4.1 and 7.4.2)."""
    return code in _REGISTERED or 3000 <= code <= 4999


def describe(code: int) -> str:
    """Name a close code for people: ``"1001 (going away)"``."""
    if 3000 <= code <= 3999:
        return f"{code} (registered)"
    if 4000 <= code <= 4999:
        return f"{code} (private use)"
    try:
        return f"{code} ({CloseCode(code).name.replace('_', ' ').lower()})"
    except ValueError:
        return f"{code} (unknown)"
