"""Each test here runs under every kind of event loop."""

from __future__ import annotations

import contextlib
import os

import pytest

from support.loops import KINDS, Loop
from support.threads import GREENLETS
from syncws.aio import asyncio_bridge, bridge
from syncws.workers import Workers

# There an event loop has no thread of its own.
collect_ignore_glob = ["test_*"] if GREENLETS else []


@pytest.fixture(scope="session", autouse=True)
def _loops_have_run():
    """Open what stays for the life of the process, as libuv's pipe for signals."""

    async def main():
        pass

    for kind in KINDS:
        with contextlib.suppress(ImportError):
            Loop(kind)(main)


@pytest.fixture(autouse=True)
def _workers_of_this_test(monkeypatch):
    """Those that wait for their next job go at once, so that nobody waits for that."""
    workers = Workers("syncws-aio")
    monkeypatch.setattr(bridge, "_workers", workers)
    yield
    workers.close()


@pytest.fixture(autouse=True)
def _closed_loops_are_found_soon(monkeypatch):
    monkeypatch.setattr(asyncio_bridge, "_LOOK", 0.05)


@pytest.fixture
def impatient(monkeypatch):
    """Let a server wait but a moment for handlers whose connection it has cut."""
    monkeypatch.setattr("syncws.server._ABORT_WAIT", 0.05)


def _loop(kind):
    try:
        return Loop(kind)
    except ImportError:
        if os.environ.get("SYNCWS_REQUIRE_PEERS"):
            raise
        pytest.skip(f"{kind} is not installed")


@pytest.fixture(params=KINDS)
def run(request):
    """Return what runs a coroutine function, under each kind of event loop."""
    return _loop(request.param)


@pytest.fixture(params=[kind for kind in KINDS if kind != "trio"])
def run_asyncio(request):
    """Return the same for the loops of asyncio only."""
    return _loop(request.param)
