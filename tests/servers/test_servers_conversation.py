"""One conversation on every WSGI server, in each way to get a WebSocket there."""

from __future__ import annotations

import contextlib

import pytest

from servers.catalogue import SERVERS
from servers.logs import tracebacks_on_purpose
from support.peer import Peer
from support.threads import WATCHDOG, eventually
from syncws import ConnectionClosedError

pytestmark = pytest.mark.peers

WAYS = ("/request", "/detached", "/view")
MIB = 2**20
TEXT, CONT, PING, PONG = 1, 0, 9, 10
REASON = "später, \U0001f44b"

with_every_server = pytest.mark.parametrize("shared", SERVERS, indirect=True)
in_every_way = pytest.mark.parametrize("path", WAYS)


@with_every_server
@in_every_way
def test_messages_are_echoed(shared, path):
    """Text, bytes, nothing, and a mebibyte of both."""
    messages = ["κόσμε \U0001f600", b"\x00\xff", "", b"", "κ" * (MIB // 2), bytes(MIB)]

    with shared.connect(path) as ws:
        for message in messages:
            ws.send(message)
            assert ws.recv(WATCHDOG) == message

    assert (ws.close_code, ws.close_reason) == (1000, "")


@with_every_server
@in_every_way
def test_fragments_and_pings(shared, path):
    """A Ping between two fragments is answered at once; then comes the message whole."""
    with shared.peer(path) as peer:
        peer.send(TEXT, b"Hel", fin=False)
        peer.send(PING, b"between")
        peer.send(CONT, b"lo")

        assert peer.recv() == (PONG, b"between")
        assert peer.recv() == (TEXT, b"Hello")


@with_every_server
@in_every_way
def test_the_server_pings_back(shared, path):
    """``ping()`` measures a round trip while the handler waits."""
    with shared.connect(path) as ws:
        assert 0 < ws.ping(timeout=WATCHDOG) < WATCHDOG


@with_every_server
@in_every_way
def test_closes_of_both_sides_carry_code_and_reason(shared, path):
    """The handler closes, and the client hears why; and the other way round."""
    with shared.connect(path) as ws:
        ws.send(f"close 4001 {REASON}")
        assert ws.wait_closed(WATCHDOG)
    assert (ws.close_code, ws.close_reason) == (4001, REASON)

    shared.connect(path).close(4002, f"{path} {REASON}")
    shared.logs(f"{path} ended: 4002 {path} {REASON}")


@with_every_server
@in_every_way
def test_a_client_that_vanishes_ends_the_handler(shared, path):
    """Be it with a reset or with the end of the stream."""
    before = shared.text().count(f"{path} ended: 1006")
    for leave in (Peer.reset, Peer.close):
        with shared.peer(path) as peer:
            peer.send(TEXT, b"Hello")
            assert peer.recv() == (TEXT, b"Hello")
            leave(peer)
    shared.logs(f"{path} ended: 1006", before + 2)


@with_every_server
@in_every_way
def test_a_handler_that_raises_is_told_of_once(shared, path):
    """The client gets 1011, the log gets one traceback."""
    before = tracebacks_on_purpose(shared.text())
    shared.raised_in_views += path == "/view"
    with shared.connect(path) as ws:
        ws.send("raise")
        with pytest.raises(ConnectionClosedError) as caught:
            ws.recv(WATCHDOG)
    assert caught.value.code == 1011
    eventually(lambda: tracebacks_on_purpose(shared.text()) == before + 1, "one traceback")


@with_every_server
@in_every_way
def test_fifty_at_once(shared, path):
    """All of them open at one time, each with an answer of its own; one by one where it must be."""
    count = 50
    at_once = 1 if shared.server.one_thread and path != "/detached" else count
    for start in range(0, count, at_once):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(shared.connect(path)) for _ in range(at_once)]
            for index, ws in enumerate(clients):
                ws.send(f"number {start + index}")
            answers = [ws.recv(WATCHDOG) for ws in clients]
            assert answers == [f"number {start + index}" for index in range(at_once)]
