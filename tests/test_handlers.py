"""Handlers: how they are called, and what their end means."""

from __future__ import annotations

import functools
import logging

import pytest

import syncws
from support.ends import end_and_peer
from support.threads import WATCHDOG
from syncws.exceptions import ConnectionClosedError, ConnectionClosedOK
from syncws.handlers import Verdict, call_handler


@pytest.fixture
def connection():
    with end_and_peer("server") as (connection, _):
        yield connection


def only_connection(ws):
    return (ws,)


def with_path(ws, path):
    return ws, path


def with_something(ws, whatever):
    return ws, whatever


def with_path_by_default(ws, path=None):
    return ws, path


def with_an_option(ws, limit=5):
    return ws, limit


def with_keywords(ws, *, path="none", **more):
    return ws, path


def with_all(*args):
    return args


class Handler:
    def method(self, ws, path):
        return ws, path

    def __call__(self, ws):
        return (ws,)


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (only_connection, ("ws",)),
        (with_path, ("ws", "/p")),
        (with_something, ("ws", "/p")),
        (with_path_by_default, ("ws", "/p")),
        (with_an_option, ("ws", 5)),
        (with_keywords, ("ws", "none")),
        (with_all, ("ws",)),
        (Handler(), ("ws",)),
        (Handler().method, ("ws", "/p")),
        (functools.partial(with_path, path="mine"), ("ws", "mine")),
        (functools.partial(with_all, "first"), ("first", "ws")),
        (str, "ws"),
    ],
)
def test_handlers_are_called_with_what_they_take(handler, expected):
    assert call_handler(handler, "ws", "/p") == expected


def test_a_handler_that_returns_is_judged_with_1000(connection, caplog):
    with Verdict(connection) as verdict:
        assert verdict.code == 1011  # until it has returned
    assert verdict.code == 1000
    assert not caplog.records


def test_a_handler_that_fails_is_judged_with_1011(connection, caplog):
    """The log has the path and the traceback."""
    with Verdict(connection) as verdict:
        raise KeyError("mine")
    assert verdict.code == 1011
    (record,) = caplog.records
    assert (record.levelname, record.exc_info[0]) == ("ERROR", KeyError)
    assert "/: the handler failed" in record.getMessage()


@pytest.mark.parametrize("error", [ConnectionClosedOK, ConnectionClosedError])
def test_a_handler_that_meets_the_end_has_not_failed(connection, caplog, error):
    with caplog.at_level(logging.DEBUG), Verdict(connection) as verdict:
        raise error(None, None)
    assert verdict.code == 1011
    assert [r.levelname for r in caplog.records if "the handler" in r.getMessage()] == ["DEBUG"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_program_is_let_out(connection, error):
    with pytest.raises(error), Verdict(connection) as verdict:
        raise error
    assert verdict.code == 1011


async def coroutine(ws):
    """Belongs to an event loop."""


def test_a_coroutine_function_is_refused(serve, caplog):
    """Nobody would await what it returns: the client gets 1011, the log says where it belongs."""
    with syncws.connect(serve(coroutine).url) as ws:
        assert ws.wait_closed(WATCHDOG)
        assert ws.close_code == 1011
    assert "syncws.aio.serve" in caplog.text
