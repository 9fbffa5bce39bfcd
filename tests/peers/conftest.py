"""The fixture with which our end of a connection meets that of another implementation."""

from __future__ import annotations

import contextlib
import queue

import pytest

import syncws
from peers.remotes import load
from support import tls
from support.threads import WATCHDOG, Running

# Longer than the watchdog of a test: an end that needs our time limits is a failure.
OPTIONS = {"open_timeout": 60, "close_timeout": 60, "ping_interval": None}


def blank_page(request):
    """Give browsers a page of this origin, from which they may open the WebSocket."""
    if request.path == "/blank":
        return syncws.Response(200, {"Content-Type": "text/html"}, "<!DOCTYPE html><p></p>")
    return None


@pytest.fixture
def meet(request, serve):
    """Return a function that makes (our Connection, another implementation's Remote)."""
    peer, their_role = request.param
    with contextlib.ExitStack() as stack:

        def dial(implementation, offers, supports, secure):
            listener = implementation.Listener(supports, tls.server_context() if secure else None)
            stack.callback(listener.close)
            ours = Running(
                syncws.connect,
                f"{'wss' if secure else 'ws'}://127.0.0.1:{listener.port}/",
                ssl=tls.client_context() if secure else None,
                subprotocols=offers,
                **OPTIONS,
            )
            return listener.accept(), ours.result()

        def answer(implementation, offers, supports, secure):
            arrivals = queue.Queue()

            def handler(ws):
                arrivals.put(ws)
                ws.wait_closed()

            server = serve(
                handler,
                subprotocols=supports,
                process_request=blank_page,
                ssl=tls.server_context() if secure else None,
                **OPTIONS,
            )
            context = tls.client_context() if secure else None
            theirs = implementation.connect(f"{server.url}/", offers, context)
            return theirs, arrivals.get(timeout=WATCHDOG)

        def make(offers=(), supports=(), secure=False):
            way = dial if their_role == "server" else answer
            # Not sooner: skips of a fixture would be told for every test, these are told once.
            theirs, ours = way(load(peer), offers, supports, secure)
            stack.callback(theirs.release)
            stack.callback(ours.wait_closed)
            stack.callback(ours.abort)
            return ours, theirs

        yield make
