"""What is known of the connections that were taken over."""

from __future__ import annotations

import contextlib
import os
import threading

import pytest

import syncws
from support.threads import WATCHDOG, eventually
from syncws import accepted as module
from syncws.accepted import Accepted
from syncws.testing import pair


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(module, "_LOOK", 0.01)
    registry = Accepted()
    yield registry
    registry.goodbye()
    registry._workers.close()
    eventually(lambda: not registry._looking, "the last look")


@pytest.fixture
def make():
    """Return a function that makes (server's connection, client's connection)."""
    with contextlib.ExitStack() as stack:

        def connected():
            ends = pair(close_timeout=WATCHDOG, ping_interval=None)
            client, server = stack.enter_context(ends)
            return server, client

        yield connected


def test_room_is_for_those_who_are_open(registry, make):
    one, other = make()
    with registry.room(1):
        with pytest.raises(syncws.TooManyConnections), registry.room(1):
            pass
        registry.add(one, True, bool)
    with pytest.raises(syncws.TooManyConnections), registry.room(1):
        pass

    other.close()
    assert one.wait_closed(WATCHDOG)

    with registry.room(1):
        pass


def test_those_in_a_request_take_no_room(registry, make):
    one, _ = make()
    registry.add(one, False, bool)

    with registry.room(1):
        pass


def test_goodbye(registry, make):
    """Both ends see 1001, and all is over when it returns."""
    pairs = [make() for _ in range(3)]
    for one, _ in pairs:
        registry.add(one, True, bool)

    registry.goodbye()

    for one, other in pairs:
        assert other.wait_closed(WATCHDOG)
        assert (one.state, other.close_code) == (syncws.State.CLOSED, 1001)


def test_those_whose_server_stops_are_closed(registry, make):
    one, other = make()
    stays, _ = make()
    stop = threading.Event()
    registry.add(one, True, stop.is_set)
    registry.add(stays, True, bool)

    assert other.state is syncws.State.OPEN
    stop.set()

    assert other.wait_closed(WATCHDOG)
    assert other.close_code == 1001
    assert stays.state is syncws.State.OPEN


def test_it_looks_only_while_there_are_connections(registry, make):
    one, other = make()
    registry.add(one, True, bool)
    assert registry._looking

    other.close()

    eventually(lambda: not registry._looking and not registry._open)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_has_none_of_them(make, monkeypatch):
    one, _ = make()
    registry = module.accepted
    registry.add(one, True, bool)

    pid = os.fork()
    if pid == 0:
        os._exit(len(registry._open))
    assert os.waitpid(pid, 0)[1] == 0

    assert list(registry._open) == [one._engine]
    registry.goodbye()
    eventually(lambda: not registry._looking, "the last look")
