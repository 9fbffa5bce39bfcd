"""How servers end and reload while WebSockets are open: at once, and with a word to the clients."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import sys
import threading
import time

import pytest

from servers.catalogue import APPS, SERVERS, Server, flask, uwsgi
from servers.running import AT_ONCE, running
from support.threads import WATCHDOG, eventually
from syncws import ConnectionClosed

pytestmark = pytest.mark.peers

GUNICORNS = [name for name in SERVERS if name.startswith("gunicorn") and name != "gunicorn-django"]
in_both_ways = pytest.mark.parametrize("path", ["/request", "/detached"])


def open_some(server, path, stack):
    """Open WebSockets, as many as the server can have at one time."""
    count = 1 if server.server.one_thread and path == "/request" else 5
    clients = [server.connect(path) for _ in range(count)]
    for ws in clients:
        stack.callback(ws.abort)
        ws.send("here")
        assert ws.recv(WATCHDOG) == "here"
    if (server.server.name, path) == ("uwsgi", "/detached"):
        # It kills a worker that serves requests, and clients hear of theirs before it has ended.
        server.logs("GET /detached", count)
    # Ctrl-C ends whatever Python does just now, under gevent and eventlet any greenlet.
    eventually(lambda: asleep(server), "a server that waits")
    return clients


def codes(clients):
    """Wait for the end of the connections; return the set of their close codes."""
    for ws in clients:
        with pytest.raises(ConnectionClosed):
            ws.recv(AT_ONCE)
        assert ws.wait_closed(AT_ONCE)
    return {ws.close_code for ws in clients}


def asleep(server):
    """Tell whether all threads of all its processes wait, and go on waiting for a while."""
    before = sleeps(server)
    threading.Event().wait(0.03)
    return None not in before.values() and before == sleeps(server)


def sleeps(server):
    """Return which of its sleeps each thread sleeps, or None."""
    found = {}
    for task in pathlib.Path("/proc").glob("[0-9]*/task/*"):
        with contextlib.suppress(OSError):  # it has ended
            state, _, group = (task / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(group) == server.process.pid:
                switches = (task / "status").read_text().partition("voluntary_ctxt_switches:")[2]
                found[task.name] = switches.split()[0] if state == "S" else None
    return found


def gone(pid):
    """Tell whether a process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def serves_again(server, path, old):
    """Wait until another worker answers, and have a conversation with it."""

    def answers():
        with contextlib.suppress(OSError, ValueError):
            return server.worker() != old

    eventually(answers, "a new worker")
    with server.connect(path) as ws:
        ws.send("again")
        assert ws.recv(WATCHDOG) == "again"


@pytest.mark.parametrize("name", GUNICORNS)
@in_both_ways
def test_gunicorn_reloads(launch, name, path):
    """HUP: the clients get 1001, the old worker goes, a new one serves."""
    server = launch(SERVERS[name])
    # The one thread has no time for questions once it serves a WebSocket.
    old = server.worker()
    with contextlib.ExitStack() as stack:
        clients = open_some(server, path, stack)
        begun = time.monotonic()
        server.signal(signal.SIGHUP)

        assert codes(clients) == {1001}
        eventually(lambda: gone(old), "the end of the old worker")
        assert time.monotonic() - begun < AT_ONCE
        serves_again(server, path, old)


@pytest.mark.parametrize("name", GUNICORNS)
@in_both_ways
def test_gunicorn_stops(launch, name, path):
    """TERM: the clients get 1001, and all ends long before graceful_timeout."""
    server = launch(SERVERS[name])
    with contextlib.ExitStack() as stack:
        clients = open_some(server, path, stack)
        assert server.stop() < AT_ONCE
        assert codes(clients) == {1001}


# eventlet waits for its requests, and wsgiref goes on with the next: both for all applications.
CTRL_C = [
    (name, path)
    for name in ("wsgiref", "werkzeug", "flask", "cheroot", "gevent", "eventlet", "uwsgi")
    for path in ("/request", "/detached")
    if (name, path) not in (("wsgiref", "/request"), ("eventlet", "/request"))
]


def told_by(name, path):
    """uWSGI kills a worker that serves requests; one that serves none may say goodbye."""
    return 1006 if (name, path) == ("uwsgi", "/request") else 1001


@pytest.mark.parametrize(("name", "path"), CTRL_C)
def test_ctrl_c(launch, name, path):
    """It ends at once, and the clients hear of it."""
    server = launch(SERVERS[name])
    with contextlib.ExitStack() as stack:
        clients = open_some(server, path, stack)
        begun = time.monotonic()
        server.signal(signal.SIGINT)

        assert codes(clients) == {told_by(name, path)}
        server.process.wait(WATCHDOG)
        assert time.monotonic() - begun < AT_ONCE


def test_ctrl_c_in_the_only_thread_of_wsgiref(tmp_path):
    """Ctrl-C ends the handler, as it would any view: wsgiref answers it and goes on."""
    with running(SERVERS["wsgiref"], tmp_path) as server, server.connect("/request") as ws:
        ws.ping(timeout=WATCHDOG)
        eventually(lambda: asleep(server), "a server that waits")
        server.signal(signal.SIGINT)

        assert codes([ws]) == {1011}
        assert server.get("/")[0] == 200


@in_both_ways
def test_uwsgi_reloads(launch, path):
    """HUP: it waits for requests as long as its mercy lasts, then it cuts them off."""
    server = launch(
        Server("uwsgi", uwsgi("--worker-reload-mercy", "2"), ("pyuwsgi",), stop=signal.SIGTERM)
    )
    old = server.worker()
    with contextlib.ExitStack() as stack:
        clients = open_some(server, path, stack)
        server.signal(signal.SIGHUP)

        assert codes(clients) == {told_by("uwsgi", path)}
        serves_again(server, path, old)


@in_both_ways
def test_the_reloader_of_werkzeug(launch, tmp_path, path):
    """A file that changes: the clients get 1001, and the new process serves."""
    for app in APPS.glob("*.py"):
        shutil.copy(app, tmp_path)
    app = tmp_path / "with_flask.py"
    reloading = Server(
        "flask",
        lambda port: (
            *(sys.executable, "-m", "flask", "--app", str(app), "run", "--reload"),
            *flask()(port)[-4:],
        ),
        ("flask",),
    )
    server = launch(reloading)
    old = server.worker()
    with contextlib.ExitStack() as stack:
        clients = open_some(server, path, stack)
        app.write_text(app.read_text() + "\n# changed\n")

        assert codes(clients) == {1001}
        serves_again(server, path, old)
