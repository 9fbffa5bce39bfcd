"""Whether to connect again, and after how long: no socket, no clock, no luck."""

from __future__ import annotations

import email.utils
import math
import socket
import ssl
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import syncws
from support import wire
from syncws.attempts import Attempts, Backoff, is_transient, retry_after
from syncws.exceptions import Close, connection_closed

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT
REFUSED = ConnectionRefusedError(111, "refused")


def caused_by(cause, exc):
    """Return an exception with a cause."""
    exc.__cause__ = cause
    return exc


def closed(code, cause=None):
    """Return how a connection ended: the peer's Close with this code."""
    return connection_closed(Close(code), Close(code), cause)


def busy(value=None, status=503, **more):
    """Return a refusal with a Retry-After."""
    headers = [] if value is None else [("Retry-After", value)]
    return syncws.InvalidStatus(status, headers + list(more.items()))


# What helps.


@pytest.mark.parametrize(
    "exc",
    [
        REFUSED,
        ConnectionResetError(104, "reset"),
        OSError("no address could be connected to"),
        FileNotFoundError(2, "no Unix socket"),
        TimeoutError("open_timeout"),
        socket.gaierror(socket.EAI_NONAME, "unknown"),
        socket.gaierror(socket.EAI_AGAIN, "later"),
        ssl.SSLEOFError(8, "cut off"),
        ssl.SSLZeroReturnError(6, "closed"),
        caused_by(ConnectionResetError(), syncws.InvalidMessage("cut short")),
        caused_by(EOFError(), syncws.InvalidMessage("closed")),
        *[syncws.InvalidStatus(status) for status in (408, 425, 429, 500, 502, 503, 504, 599)],
        *[closed(code) for code in (1000, 1001, 1005, 1011, 1012, 1013, 1014, 3008, 4000, 4999)],
        connection_closed(None, None, ConnectionResetError()),
        connection_closed(None, Close(1011), TimeoutError("keepalive")),
        connection_closed(None, None, None, over=True),
    ],
    ids=repr,
)
def test_transient_failures(exc):
    """The network, a server that is busy or being restarted: another attempt may help."""
    assert is_transient(exc)


@pytest.mark.parametrize(
    "exc",
    [
        *[syncws.InvalidStatus(status) for status in (200, 302, 400, 401, 403, 404, 407, 426)],
        *[closed(code) for code in (1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003)],
        connection_closed(None, Close(1002), syncws.ProtocolError("reserved bit")),
        connection_closed(None, Close(1009), syncws.MessageTooBig(2, 1)),
        syncws.InvalidURI("x", "no scheme"),
        syncws.InvalidMessage("bad HTTP response"),
        syncws.InvalidUpgrade("Upgrade", "missing"),
        syncws.NegotiationError("subprotocol"),
        syncws.TooManyRedirects("around and around"),
        syncws.InheritedConnection(1, 2),
        ssl.SSLCertVerificationError("expired"),
        ssl.SSLError(1, "wrong version number"),
        ValueError(),
        TypeError(),
        KeyError("a bug"),
    ],
    ids=repr,
)
def test_fatal_failures(exc):
    """What the next attempt would meet again."""
    assert not is_transient(exc)
    assert Attempts().after(exc) is None


def test_retry_decides():
    """retry= is asked instead, and is told all."""
    asked = []
    attempts = Attempts(retry=lambda exc: asked.append(exc) or exc is not REFUSED)

    assert attempts.after(REFUSED) is None
    assert attempts.after(ValueError()) is not None
    assert asked[0] is REFUSED


# After how long.


def delays(attempts, count, exc=REFUSED):
    return [attempts.after(exc) for _ in range(count)]


def test_limit_grows_up_to_the_maximum():
    """With the worst luck the delays are the limits themselves."""
    attempts = Attempts(Backoff(initial=1, factor=3, maximum=20), chance=lambda: 1.0)

    assert delays(attempts, 5) == [1, 3, 9, 20, 20]
    assert attempts.failures == 5


def test_jitter_is_full():
    """A delay is a part of the limit, from nothing on."""
    parts = iter([0.0, 0.25, 0.5])
    attempts = Attempts(Backoff(initial=1, factor=2, maximum=8), chance=lambda: next(parts))

    assert delays(attempts, 3) == [0, 0.5, 2]


def test_jitter_is_random_by_default():
    """Two clients do not come back together."""
    assert delays(Attempts(), 5) != delays(Attempts(), 5)


@given(
    initial=st.floats(1e-9, 1e6),
    factor=st.floats(1, 1e300),
    more=st.floats(0, 1e9),
    longest=st.floats(0, 1e9),
    asked=st.lists(st.one_of(st.none(), st.integers(0, 10**40), st.text()), max_size=50),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_delays_stay_within_bounds(initial, factor, more, longest, asked, chance):
    """Whatever a server asks for, and however often it fails."""
    backoff = Backoff(initial, factor, initial + more, max_retry_after=longest)
    attempts = Attempts(backoff, chance=lambda: chance, clock=lambda: NOW)

    for value in asked:
        delay = attempts.after(busy(None if value is None else str(value)))
        limit = min(initial * factor ** min(attempts.failures - 1, 1), backoff.maximum)
        assert 0 <= delay <= backoff.maximum + longest
        assert attempts.failures > 2 or delay <= limit + longest


def test_many_failures():
    """The limit is a number after any number of failures."""
    attempts = Attempts(Backoff(1, 2, 60), chance=lambda: 1.0)

    assert delays(attempts, 5000)[-1] == 60


def test_a_stable_connection_resets():
    """Behind it the limit is the first again; behind a short one it goes on growing."""
    attempts = Attempts(Backoff(1, 2, 60, stable=10), chance=lambda: 1.0)
    delays(attempts, 3)

    assert attempts.after(closed(1001), lasted=9.9) == 8
    assert attempts.failures == 4
    assert attempts.after(closed(1001), lasted=10) == 1
    assert attempts.failures == 1


def test_failure_to_connect_never_resets():
    """With stable=0 every connection counts as stable, but what is none does not."""
    attempts = Attempts(Backoff(1, 2, 60, stable=0), chance=lambda: 1.0)

    assert delays(attempts, 3) == [1, 2, 4]
    assert attempts.after(closed(1001), lasted=0.001) == 1


# Retry-After.


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60),
        ("Sun Nov  6 08:50:37 1994", 60),
        ("Sun, 06 Nov 1994 08:48:37 GMT", 0),
        ("", 0),
        ("-1", 0),
        ("1.5", 0),
        ("soon", 0),
        ("\u0663", 0),
        ("Sun, 06 Nov 99999999999999999999 08:50:37 GMT", 0),
        ("Sun, 99 Xyz 1994 99:99:99 GMT", 0),
    ],
)
def test_retry_after(value, seconds):
    """Seconds or one of the three forms of an HTTP date; nothing else means anything."""
    assert retry_after([("retry-AFTER", value)], NOW) == seconds


def test_retry_after_is_missing():
    """Most refusals ask for nothing."""
    assert retry_after([("Date", email.utils.formatdate(NOW, usegmt=True))], NOW) == 0


def test_retry_after_by_the_clock_of_the_server():
    """With a Date in the response our own clock may be wrong."""
    date, until = (email.utils.formatdate(t, usegmt=True) for t in (NOW + 9999, NOW + 10029))

    assert retry_after([("Date", date), ("Retry-After", until)], NOW) == 30


@given(st.text(max_size=80), st.text(max_size=80))
def test_retry_after_of_anything(value, date):
    """Any text gives a number of seconds."""
    seconds = retry_after([("Retry-After", value), ("Date", date)], NOW)

    assert 0 <= seconds <= math.inf
    assert not math.isnan(seconds)


def test_retry_after_is_linear():
    """A header of 32 KiB costs no more than a short one."""
    for value in ("9" * 2**15, "Sun," * 2**13, " " * 2**15 + "x", "(" * 2**15):
        assert (
            wire.cpu_seconds(lambda value=value: retry_after([("Retry-After", value)], NOW)) < 0.1
        )


def test_retry_after_comes_before_the_jitter():
    """Clients that were told the same time do not come back all at once."""
    attempts = Attempts(Backoff(1, 2, 60, max_retry_after=100), chance=lambda: 0.5)

    assert attempts.after(busy("30")) == 30.5
    assert attempts.after(busy("30", status=429)) == 31
    assert attempts.after(busy("86400")) == 102
    assert attempts.after(busy("Sun, 06 Nov 1994 08:49:47 GMT", Date="x")) == 4  # it is past


def test_the_real_clock_is_the_default():
    """A date without a Date beside it is compared with the time of day."""
    until = email.utils.formatdate(time.time() + 50, usegmt=True)

    assert 40 < Attempts(Backoff(0.1)).after(busy(until)) < 60


# Settings.


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"initial": 0}, ValueError, "without a pause"),
        ({"initial": -1}, ValueError, "initial=-1"),
        ({"initial": "1"}, TypeError, "initial='1'"),
        ({"maximum": True}, TypeError, "maximum=True"),
        ({"maximum": 0.5}, ValueError, "less than initial"),
        ({"maximum": math.inf}, ValueError, "maximum=inf"),
        ({"factor": 0.9}, ValueError, "1 or more"),
        ({"factor": math.nan}, TypeError, "factor=nan"),
        ({"stable": -1}, ValueError, "stable=-1"),
        ({"max_retry_after": -1}, ValueError, "max_retry_after=-1"),
    ],
)
def test_settings_that_cannot_work(settings, error, words):
    """They are refused by name."""
    with pytest.raises(error, match=words):
        Backoff(**settings)
