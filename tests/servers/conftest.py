"""Fixtures that run servers; a test whose server is not installed is skipped."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections import Counter

import pytest

from servers.catalogue import SERVERS
from servers.logs import accesses, oddities
from servers.running import AT_ONCE, running
from support.threads import eventually

INSTALL = "pip install -r tests/servers/requirements.txt"
INSTALL_OLD = (
    "pip install --no-deps --target DIR -r tests/servers/requirements-old-gunicorn.txt "
    "&& export SYNCWS_OLD_GUNICORN=DIR"
)


def missing(text):
    """Skip the test, or fail it where all servers must be there."""
    if os.environ.get("SYNCWS_REQUIRE_PEERS") == "1":
        pytest.fail(text)
    pytest.skip(text)


def check_installed(server):
    """Skip the test of a server that is not installed."""
    for module in server.needs:
        if importlib.util.find_spec(module) is None:
            missing(f"{server.name} needs {module}: {INSTALL}")
    if server.old_gunicorn and "SYNCWS_OLD_GUNICORN" not in os.environ:
        missing(f"{server.name} needs gunicorn 23: {INSTALL_OLD}")


@contextlib.contextmanager
def started(server, folder):
    """Run a server; at the end it must end at once, and nothing odd may stand in its log."""
    check_installed(server)
    with running(server, folder) as running_server:
        yield running_server
        assert running_server.stop() < AT_ONCE
        odd = oddities(running_server.text())
        assert not odd, f"in the log of {server.name}: {odd}"


@pytest.fixture(scope="session")
def shared(request, tmp_path_factory):
    """Return a running server, the same for all tests; at the end look into its access log."""
    with started(SERVERS[request.param], tmp_path_factory.mktemp("server")) as server:
        yield server
        if server.server.logs_access:
            check_access_log(server)


def check_access_log(server):
    """It must say 101 for each WebSocket, but for what a view has raised after one."""

    def found():
        counts = accesses(server.text())
        return Counter({path: count for (path, code), count in counts.items() if code == "101"})

    expected = server.opened - Counter({"/view": server.raised_in_views})
    eventually(lambda: sum(found().values()) >= sum(expected.values()), f"101 for {expected}")
    assert found() == expected
    assert {code for _, code in accesses(server.text())} <= {"101", "200", "400", "404", "500"}


@pytest.fixture
def launch(tmp_path):
    """Return a function that starts a server for one test."""
    with contextlib.ExitStack() as stack:
        yield lambda server: stack.enter_context(started(server, tmp_path))
