"""Connections to a backend through forks, reloads and long waits of the servers they live in."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import sys

import pytest

import syncws
from servers.callout_servers import (
    calling_server,
    gone,
    view,
    views,
)
from support.threads import WATCHDOG, Running, eventually

pytest_plugins = ("servers.callout_backend",)
pytestmark = pytest.mark.peers

MANY = 50
NEVER_SO_LATE = 2**32
HEARD_HUP = "Handling signal: hup"
HEARD_USR1 = "AH00493: SIGUSR1 received"
# pyuwsgi itself finds only the Python of which a virtual environment is made.
IN_VENV = ("--binary-path", sys.executable)
# Server, options, signal, what stands in the log when it was heard.
GRACEFUL = (
    ("gunicorn-sync", (), signal.SIGHUP, HEARD_HUP),
    ("gunicorn-gthread", (), signal.SIGHUP, HEARD_HUP),
    ("gunicorn-gevent", (), signal.SIGHUP, HEARD_HUP),
    ("gunicorn-old-eventlet", (), signal.SIGHUP, HEARD_HUP),
    ("uwsgi", IN_VENV, signal.SIGHUP, "Gracefully killing worker"),
    ("apache-embedded", (), signal.SIGUSR1, HEARD_USR1),
    ("apache-daemon", (), signal.SIGUSR1, HEARD_USR1),
)
# The same with little patience. gunicorn's sync and gthread cannot cut off a view: not here.
IMPATIENT = (
    ("gunicorn-gevent", ("--graceful-timeout", "1"), signal.SIGHUP),
    ("gunicorn-old-eventlet", ("--graceful-timeout", "1"), signal.SIGHUP),
    ("uwsgi", ("--worker-reload-mercy", "1", *IN_VENV), signal.SIGHUP),
    ("apache-daemon", ("shutdown-timeout=1",), signal.SIGUSR1),
)
# uWSGI imports applications before the fork unless told otherwise. Without the option it forks
# whatever other threads do, so now and then a worker hangs; tests/test_forks.py has that fork.
PRELOADED = (
    ("gunicorn-sync", ("--preload",)),
    ("gunicorn-gthread", ("--preload",)),
    ("uwsgi", ("--py-call-uwsgi-fork-hooks",)),
)
POLITE = (
    "werkzeug",
    "waitress",
    "gunicorn-gthread",
    "gunicorn-gevent",
    "gunicorn-old-eventlet",
    "apache-embedded",
    "apache-daemon",
)
# With --preload syncws is imported before threads become greenlets.
CONCURRENT = (
    ("gevent", ()),
    ("eventlet", ()),
    ("gunicorn-gevent", ()),
    ("gunicorn-gevent", ("--preload",)),
    ("gunicorn-pywsgi", ()),
    ("gunicorn-old-gevent", ()),
    ("gunicorn-old-eventlet", ()),
    ("gunicorn-old-eventlet", ("--preload",)),
    ("gunicorn-gthread", ()),
)


def named(cases):
    """Make parameters of them, with names."""
    return [pytest.param(*case, id="".join(case[0:1]) + "".join(case[1][:1])) for case in cases]


def new_worker(server, old):
    """Wait until the server answers from another process than the old one."""

    def answers():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return server.worker() != old

    eventually(answers, "a new worker")


@pytest.mark.parametrize(("name", "options", "number", "heard"), named(GRACEFUL))
def test_a_graceful_reload(name, options, number, heard, tmp_path, backend):
    """The view that waits for the backend is answered; the old process ends, the new one works."""
    with calling_server(name, tmp_path, *options) as server:
        old = server.worker()
        view(server, "push/hello", backend.url("/shared"))
        waiting = Running(view, server, "ask/it", backend.url("/slow"))
        backend.waiting.get(timeout=WATCHDOG)

        server.signal(number)
        server.logs(heard)
        backend.release.set()

        assert waiting.result() == "answer to it"
        assert backend.ends.get(timeout=WATCHDOG) == 1006
        eventually(lambda: gone(old), "the end of the old worker")
        new_worker(server, old)
        assert view(server, "push/hello", backend.url("/shared")) == "pushed"
        assert view(server, "ask/more", backend.url("/echo")) == "answer to more"


@pytest.mark.parametrize(("name", "options", "number"), named(IMPATIENT))
def test_a_reload_that_does_not_wait(name, options, number, tmp_path, backend):
    """The view that waits for the backend is cut off, and nothing keeps the old process."""
    with calling_server(name, tmp_path, *options, quiet=False) as server:
        old = server.worker()
        waiting = Running(view, server, "ask/it", backend.url("/slow"))
        ws = backend.waiting.get(timeout=WATCHDOG)

        server.signal(number)

        eventually(lambda: gone(old), "the end of the old worker")
        # By a closed connection, or by a gateway that says 500.
        assert isinstance(waiting.error(), (OSError, http.client.HTTPException, AssertionError))
        assert ws.wait_closed(WATCHDOG)
        new_worker(server, old)
        assert view(server, "ask/more", backend.url("/echo")) == "answer to more"


@pytest.mark.parametrize("name", ["flask"])
def test_the_reloader(name, tmp_path, backend):
    """Werkzeug's ends the process, whoever waits."""
    file = tmp_path / "watched"
    file.touch()
    with calling_server(
        name, tmp_path, "--reload", "--extra-files", str(file), quiet=False
    ) as server:
        old = server.worker()
        view(server, "push/hello", backend.url("/shared"))
        waiting = Running(view, server, "ask/it", backend.url("/slow"))
        backend.waiting.get(timeout=WATCHDOG)

        os.utime(file, (NEVER_SO_LATE, NEVER_SO_LATE))

        assert backend.ends.get(timeout=WATCHDOG) == 1006
        assert isinstance(waiting.error(), (OSError, http.client.HTTPException))
        eventually(lambda: gone(old), "the end of the old worker")
        new_worker(server, old)
        assert view(server, "push/hello", backend.url("/shared")) == "pushed"


@pytest.mark.parametrize(("name", "options"), named(PRELOADED))
def test_a_connection_made_before_the_fork(name, options, tmp_path, backend):
    """The worker may not use it and is told why; in the parent it stays open."""
    early = backend.url("/shared")
    with calling_server(name, tmp_path, *options, CALL_EARLY=early) as server:
        parent = backend.arrivals.get(timeout=WATCHDOG)
        lines = view(server, "early/hello", "").splitlines()

        assert len(lines) == 3
        for line in lines:
            assert line.startswith("InheritedConnection: ")
            assert {str(server.process.pid), str(server.worker())} <= set(re.findall(r"\d+", line))
        assert view(server, "push/hello", backend.url("/shared")) == "pushed"
        assert parent.ping(timeout=WATCHDOG) > 0
        assert parent.state is syncws.State.OPEN
    assert {backend.ends.get(timeout=WATCHDOG) for _ in range(2)} == {1006}
    assert len(backend.pushed) == 1


@pytest.mark.parametrize("name", POLITE)
def test_a_goodbye_at_the_end(name, tmp_path, backend):
    """Closing in ``atexit`` works: the backend gets a Close."""
    with calling_server(name, tmp_path, CALL_GOODBYE="1") as server:
        view(server, "push/hello", backend.url("/shared"))
        assert backend.arrivals.get(timeout=WATCHDOG).ping(timeout=WATCHDOG)
    assert backend.ends.get(timeout=WATCHDOG) == 1001


@pytest.mark.parametrize(("name", "options"), named(CONCURRENT))
def test_views_that_wait_at_the_same_time(name, options, tmp_path, backend):
    """Fifty in one process, with the server's own pages and the backend's Pings meanwhile."""
    with calling_server(name, tmp_path, *options) as server:
        view(server, "push/hello", backend.url("/shared"))
        paths = [f"ask/question {index}" for index in range(MANY)]
        waiting = Running(views, server, paths, backend.url("/slow"), MANY)

        connections = [backend.waiting.get(timeout=WATCHDOG) for _ in range(MANY)]
        for ws in (*connections, backend.arrivals.get(timeout=WATCHDOG)):
            assert 0 < ws.ping(timeout=WATCHDOG) < WATCHDOG
        assert server.worker()
        backend.release.set()

        assert waiting.result() == [f"answer to question {index}" for index in range(MANY)]
