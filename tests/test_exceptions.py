"""Exceptions: what they carry, what they say, what catches them."""

from __future__ import annotations

import pickle

import pytest

from syncws import exceptions
from syncws.exceptions import (
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
    TooManyRedirects,
    WebSocketException,
    connection_closed,
)

OK = Close(1000, "bye")
GOING_AWAY = Close(1001)
NO_STATUS = Close(1005)
ERROR = Close(1011, "oops")


@pytest.mark.parametrize(
    ("close", "words"),
    [
        (Close(1001), "1001 (going away)"),
        (Close(1001, "see you"), "1001 (going away) see you"),
    ],
)
def test_close_is_shown_with_its_reason(close, words):
    """A Close shows its code in words, and its reason if there is one."""
    assert str(close) == words


@pytest.mark.parametrize(
    ("rcvd", "sent", "kind"),
    [
        (OK, OK, ConnectionClosedOK),
        (GOING_AWAY, OK, ConnectionClosedOK),
        (NO_STATUS, NO_STATUS, ConnectionClosedOK),
        (OK, None, ConnectionClosedOK),
        (None, OK, ConnectionClosedOK),
        (ERROR, ERROR, ConnectionClosedError),
        (OK, ERROR, ConnectionClosedError),
        (ERROR, OK, ConnectionClosedError),
        (Close(4000), OK, ConnectionClosedError),
        (None, ERROR, ConnectionClosedError),
        (None, None, ConnectionClosedError),
    ],
)
def test_connection_closed_tells_a_normal_end_from_an_error(rcvd, sent, kind):
    """The end is normal when every Close frame of it is, and there is one at all."""
    exc = connection_closed(rcvd, sent)

    assert type(exc) is kind
    assert (exc.rcvd, exc.sent) == (rcvd, sent)


def test_connection_closed_with_a_cause_is_an_error():
    """A network error or a timeout makes the end an error, even after normal Close frames."""
    cause = TimeoutError("too late")

    exc = connection_closed(OK, OK, cause)

    assert type(exc) is ConnectionClosedError
    assert exc.__cause__ is cause


@pytest.mark.parametrize(
    ("rcvd", "code", "reason"), [(OK, 1000, "bye"), (NO_STATUS, 1005, ""), (None, 1006, "")]
)
def test_connection_closed_carries_the_peers_code(rcvd, code, reason):
    """Code and reason are the peer's, or 1006 and nothing if no Close frame came."""
    exc = ConnectionClosed(rcvd, ERROR)

    assert (exc.code, exc.reason) == (code, reason)
    assert type(exc.code) is int


@pytest.mark.parametrize(
    ("rcvd", "sent", "cause", "words"),
    [
        (OK, GOING_AWAY, None, "sent 1001 (going away); received 1000 (normal closure) bye"),
        (OK, None, None, "received 1000 (normal closure) bye"),
        (None, None, None, "no Close frame received"),
        (
            None,
            OK,
            OSError("reset"),
            "sent 1000 (normal closure) bye; no Close frame received; caused by OSError: reset",
        ),
    ],
)
def test_connection_closed_tells_its_story(rcvd, sent, cause, words):
    """The message tells what was sent, what was received and what the cause is."""
    assert str(connection_closed(rcvd, sent, cause)) == words


def test_protocol_error_carries_a_close_code():
    """A broken rule is answered with 1002 unless it says otherwise, and shows only its words."""
    default = ProtocolError("rule")
    other = ProtocolError("text", 1007)

    assert (str(default), default.code) == ("rule", 1002)
    assert (str(other), other.code) == ("text", 1007)


@pytest.mark.parametrize(
    ("exc", "words"),
    [
        (MessageTooBig(11, 10), "message of 11 bytes or more exceeds max_size=10"),
        (
            MessageTooBig(3, 2, "fragments", "max_fragments"),
            "message of 3 fragments or more exceeds max_fragments=2",
        ),
    ],
)
def test_message_too_big_names_the_option(exc, words):
    """A message over a limit is a ProtocolError with 1009 that names size, limit and option."""
    assert isinstance(exc, ProtocolError)
    assert str(exc) == words
    assert exc.code == 1009
    assert exc.size == exc.limit + 1


def test_inherited_connection_names_both_processes():
    """The error after fork() tells which process owns the connection and what to do."""
    assert "process 10, which forked this process 11; call connect()" in str(
        InheritedConnection(10, 11)
    )


def test_invalid_uri_is_a_value_error():
    """A bad URL is a ValueError that carries the URL and says what is wrong."""
    exc = InvalidURI("http://x", "no ws")

    assert isinstance(exc, ValueError)
    assert exc.uri == "http://x"
    assert str(exc) == "'http://x' is not a WebSocket URL: no ws"


def test_concurrency_error_is_a_runtime_error():
    """Two calls that exclude each other are a RuntimeError."""
    assert isinstance(ConcurrencyError("twice"), RuntimeError)


@pytest.mark.parametrize(
    ("exc", "status", "words"),
    [
        (InvalidHandshake("bad"), 400, "bad"),
        (InvalidMessage("cut"), 400, "cut"),
        (InvalidMessage("long", 431), 431, "long"),
        (InvalidHeader("Host", "missing"), 400, "Host header: missing"),
        (InvalidUpgrade("Upgrade", "missing"), 426, "Upgrade header: missing"),
        (InvalidOrigin("foreign"), 403, "Origin header: foreign"),
        (NegotiationError("no"), 400, "no"),
        (InvalidStatus(503), 503, "expected HTTP status 101, the server sent 503"),
        (TooManyRedirects("6"), 400, "6"),
    ],
)
def test_failed_handshake_carries_its_http_status(exc, status, words):
    """Every reason to refuse a handshake knows the HTTP status for it, and says it in words."""
    assert isinstance(exc, InvalidHandshake)
    assert exc.status == status
    assert str(exc) == words


def test_invalid_header_carries_the_name():
    """The name of the header can be read from the exception."""
    assert InvalidHeader("Host", "missing").name == "Host"
    assert InvalidOrigin("foreign").name == "Origin"


def test_invalid_status_carries_the_answer():
    """A refusal carries its status, headers and body, but shows only the status."""
    headers = [("Set-Cookie", "secret")]

    exc = InvalidStatus(401, headers, b"who are you?")

    assert (exc.status, exc.headers, exc.body) == (401, headers, b"who are you?")
    assert exc.headers is not headers
    assert "secret" not in str(exc)


def test_every_exception_has_the_common_base():
    """All exceptions of the module are caught by WebSocketException."""
    classes = [
        value
        for value in vars(exceptions).values()
        if isinstance(value, type) and issubclass(value, BaseException)
    ]

    assert ProtocolError in classes
    assert all(issubclass(cls, WebSocketException) for cls in classes)


@pytest.mark.parametrize(
    "error",
    [
        exceptions.InheritedConnection(1, 2),
        exceptions.MessageTooBig(9, 8),
        exceptions.InvalidURI("x", "y"),
        exceptions.InvalidHeader("Name", "is wrong"),
        exceptions.InvalidStatus(404, [("A", "b")], b"gone"),
        exceptions.ConnectionClosedError(None, exceptions.Close(1000)),
    ],
)
def test_exceptions_pass_between_processes(error):
    """An exception that was pickled says and knows the same."""
    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
