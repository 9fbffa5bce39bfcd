"""
Whether to connect again, and after how long: all that decides about reconnecting.

Nothing here waits or connects. ``reconnect()`` does as it says, and so may other loops.
"""

from __future__ import annotations

import calendar
import dataclasses
import email.utils
import math
import random
import ssl
import time
from collections.abc import Sequence
from typing import Callable

from .codes import CloseCode
from .exceptions import (
    ConnectionClosed,
    InvalidMessage,
    InvalidProxyStatus,
    InvalidStatus,
    ProtocolError,
    ProxyError,
)

# The same request may work later: RFC 9110 section 15.5.9, RFC 8470 section 5.2, RFC 6585.
_LATER = frozenset({408, 425, 429})
_UNAUTHORIZED, _FORBIDDEN = 3000, 3003  # the IANA registry of close codes
# The next connection would end in the same way.
_FATAL = frozenset(
    {
        CloseCode.PROTOCOL_ERROR,
        CloseCode.UNSUPPORTED_DATA,
        CloseCode.INVALID_DATA,
        CloseCode.POLICY_VIOLATION,
        CloseCode.MESSAGE_TOO_BIG,
        CloseCode.MANDATORY_EXTENSION,
        _UNAUTHORIZED,
        _FORBIDDEN,
    }
)
# What a SOCKS proxy says of the server or the network: RFC 1928 section 6; 91 is SOCKS4's.
_SOCKS_LATER = frozenset({1, 3, 4, 5, 6, 91})
# TLS that was cut off, as by a server that is being restarted. All other failures of TLS stay.
_TLS_CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
_LONGEST = 64  # characters of a Retry-After that can mean something

Retry = Callable[[Exception], bool]


@dataclasses.dataclass(frozen=True)
class Backoff:
    """
    How long to wait before connecting again (RFC 6455 section 7.2.3): a random time, up to a limit.

    "Full jitter": each time lies between 0 and a limit that grows, so that the clients of a server
    that was restarted do not come back all at once.

    Attributes:
        initial: seconds; the limit after the first failure.
        factor: how much the limit grows with each further failure.
        maximum: seconds; the limit never grows over it.
        stable: seconds that a connection must have been open for the limit to be ``initial`` again;
            so a server that accepts and closes at once is not hammered.
        max_retry_after: seconds; a server's ``Retry-After`` comes on top, up to this.
    """

    initial: float = 1.0
    factor: float = 2.0
    maximum: float = 60.0
    stable: float = 30.0
    max_retry_after: float = 300.0

    def __post_init__(self) -> None:
        """Refuse values that cannot work, by name."""
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
                raise TypeError(f"{name}={value!r}; expected a number")
            if not 0 <= value < math.inf:
                raise ValueError(f"{name}={value!r}; expected 0 or more")
        if self.initial == 0:
            raise ValueError("initial=0 would connect again and again without a pause")
        if self.factor < 1:
            raise ValueError(f"factor={self.factor!r}; expected 1 or more")
        if self.maximum < self.initial:
            raise ValueError(f"maximum={self.maximum!r} is less than initial={self.initial!r}")


def is_transient(exc: Exception) -> bool:
    """
    Tell whether connecting again may help; what ``retry=`` is by default. Does not block.

    It may after network errors (DNS, refused, reset, timeouts), HTTP 5xx, 408, 425 and 429, an
    opening handshake or a tunnel that was cut off, places that a SOCKS proxy could not reach, and
    most ends of a connection: 1000, 1001, 1006, 1011 to 1014 and codes of applications. It does not
    help after other refusals such as 401, 403, 404 and 407, a certificate that is not valid, or
    rules that were broken: 1002, 1003, 1007 to 1010, and 3000 (unauthorized) and 3003 (forbidden).
    """
    if isinstance(exc, ConnectionClosed):
        return exc.code not in _FATAL and not isinstance(exc.__cause__, ProtocolError)
    if isinstance(exc, (InvalidStatus, InvalidProxyStatus)):
        return exc.status >= 500 or exc.status in _LATER
    if isinstance(exc, ProxyError):
        cause = exc.__cause__
        return _is_cut_off(cause) or getattr(cause, "error_code", None) in _SOCKS_LATER
    if isinstance(exc, InvalidMessage):
        return _is_cut_off(exc)
    if isinstance(exc, ssl.SSLError):
        return isinstance(exc, _TLS_CUT_OFF)
    return isinstance(exc, OSError)


def _is_cut_off(exc: BaseException | None) -> bool:
    """Tell whether the network failed in the middle of an answer, or before it."""
    cause = exc.__cause__ if isinstance(exc, InvalidMessage) else exc
    return isinstance(cause, (OSError, EOFError))


class Attempts:
    """
    Counts failures, and tells after each whether and when to try again. Not thread-safe.

    Attributes:
        backoff: its settings.
        failures: in a row, without a stable connection between them.
    """

    def __init__(
        self,
        backoff: Backoff | None = None,
        retry: Retry = is_transient,
        *,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.backoff = backoff or Backoff()
        self.failures = 0
        self._limit = self.backoff.initial
        self._retry = retry
        self._chance = chance
        self._clock = clock

    def after(self, exc: Exception, lasted: float = 0.0) -> float | None:
        """
        Return the seconds to wait before the next attempt; ``None`` if there should be none.

        Does not block, unless ``retry`` does.

        Args:
            exc: why ``connect()`` failed, or how the connection ended.
            lasted: seconds that the connection was open; 0 if none was opened.
        """
        backoff = self.backoff
        if not self._retry(exc):
            return None
        if lasted and lasted >= backoff.stable:
            self.failures, self._limit = 0, backoff.initial
        self.failures += 1
        delay = self._chance() * self._limit
        self._limit = min(self._limit * backoff.factor, backoff.maximum)
        if isinstance(exc, (InvalidStatus, InvalidProxyStatus)):
            delay += min(retry_after(exc.headers, self._clock()), backoff.max_retry_after)
        return delay


def retry_after(headers: Sequence[tuple[str, str]], now: float) -> float:
    """
    Return the seconds that a response asks us to wait (RFC 9110 section 10.2.3); 0 if none.

    Args:
        headers: (name, value) pairs.
        now: seconds since 1970, for a response without a Date. With one, clocks need not agree.
    """
    fields = {name.lower(): value for name, value in headers}
    value = fields.get("retry-after", "")[:_LONGEST]
    if value.isascii() and value.isdigit():
        return float(value)
    until, date = _http_date(value), _http_date(fields.get("date", "")[:_LONGEST])
    if until is None:
        return 0.0
    return max(0.0, until - (now if date is None else date))


def _http_date(text: str) -> float | None:
    """Read an HTTP date (RFC 9110 section 5.6.7), which is always GMT."""
    try:
        parsed = email.utils.parsedate(text)
        return None if parsed is None else float(calendar.timegm(parsed))
    except (ValueError, OverflowError, IndexError, TypeError):  # a month 13, a year 10**20, ...
        return None
