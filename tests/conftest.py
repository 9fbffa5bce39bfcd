"""Fixtures for all tests, and the check that no test leaves a thread or a socket behind."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket

import pytest

import syncws
from support.peer import Peer
from support.threads import GREENLETS, Running, eventually, live_threads, open_fds
from syncws.housekeeper import housekeeper

# A shell's background job, as a CI may be, is born deaf to Ctrl-C, and so would be its children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Skip what holds for threads only, where there are greenlets."""
    for item in items if GREENLETS else ():
        for mark in item.iter_markers("native_threads"):
            if mark.kwargs.get("unlike", GREENLETS) == GREENLETS:
                item.add_marker(pytest.mark.skip(reason=mark.args[0]))


@pytest.fixture(scope="session", autouse=True)
def _housekeeper_runs():
    """Start what stays for the life of the process, so that it does not count as left behind."""
    housekeeper.call_later(0, lambda: None)


@pytest.fixture(autouse=True)
def _no_proxy_of_the_developer(monkeypatch):
    """Let no test, and none of the programs that it starts, look for a proxy around here."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _nothing_left_behind(_housekeeper_runs):
    before = open_fds()
    yield
    eventually(lambda: not live_threads(), f"the end of {live_threads()}")
    # A collection costs more than most tests: only when garbage may be what holds them.
    if open_fds() > before:
        eventually(lambda: gc.collect() >= 0 and open_fds() <= before, f"{before} open files again")


def echo(ws):
    """Send every message back."""
    for message in ws:
        ws.send(message)


@pytest.fixture
def serve():
    """Return a function that starts a ThreadingServer on a free port of 127.0.0.1."""
    with contextlib.ExitStack() as stack:

        def start(handler=echo, **options):
            options.setdefault("host", "127.0.0.1")
            options.setdefault("port", 0)
            server = stack.enter_context(syncws.ThreadingServer(handler, **options))
            server.start()
            scheme = "wss" if options.get("ssl") else "ws"
            if isinstance(server.server_address, tuple):
                host = "[::1]" if ":" in server.server_address[0] else server.server_address[0]
                server.url = f"{scheme}://{host}:{server.server_address[1]}"
            return server

        yield start


@pytest.fixture
def listener():
    """Return a listening socket on 127.0.0.1, for a scripted server."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(20)
        yield sock


@pytest.fixture
def dial_peer(listener):
    """Return a function that makes (our client Connection, scripted server Peer)."""
    with contextlib.ExitStack() as stack:

        def dial(**options):
            port = listener.getsockname()[1]
            client = Running(syncws.connect, f"ws://127.0.0.1:{port}/", **options)
            peer = stack.enter_context(Peer.accepting(listener))
            connection = client.result()
            stack.callback(connection.wait_closed)
            stack.callback(connection.abort)
            return connection, peer

        yield dial


@pytest.fixture
def serve_peer(serve):
    """Return a function that makes (our server Connection, scripted client Peer)."""
    with contextlib.ExitStack() as stack:

        def make(rcvbuf=0, **options):
            accepted = []
            done = []

            def handler(ws):
                accepted.append(ws)
                ws.wait_closed()
                done.append(ws)

            server = serve(handler, **options)
            peer = stack.enter_context(Peer.connecting(server.server_address, rcvbuf=rcvbuf))
            connection = eventually(lambda: accepted and accepted[0], "the handler")
            stack.callback(connection.wait_closed)
            stack.callback(connection.abort)
            return connection, peer

        yield make


@pytest.fixture(params=["client", "server"])
def ours_and_peer(request):
    """Return a function that makes (our Connection, scripted Peer), in both roles."""
    name = "dial_peer" if request.param == "client" else "serve_peer"
    return request.getfixturevalue(name)
