"""The servers that the tests run, and how each is started."""

from __future__ import annotations

import pathlib
import shutil
import signal
import sys
from collections.abc import Callable
from typing import NamedTuple

APPS = pathlib.Path(__file__).parent / "apps"
HOST = "127.0.0.1"
PYTHON = (sys.executable, "-X", "dev", "-X", "faulthandler")
STRICT_PYTHON = (*PYTHON, "-W", "error")
THREADS = "64"

Command = Callable[[int], tuple[str, ...]]


class Server(NamedTuple):
    """
    What the tests know of a server.

    Attributes:
        name: for the names of the tests.
        command: returns its command line for a port.
        needs: the modules that must be importable.
        one_thread: whether it serves one request at a time.
        logs_access: whether it has an access log.
        stop: the signal on which it ends gracefully.
        old_gunicorn: whether it needs the gunicorn that still had a worker for eventlet.
        secure: whether it does TLS itself.
    """

    name: str
    command: Command
    needs: tuple[str, ...] = ()
    one_thread: bool = False
    logs_access: bool = True
    stop: int = signal.SIGINT
    old_gunicorn: bool = False
    secure: bool = False


def library(name: str, *more: str, python: tuple[str, ...] = STRICT_PYTHON) -> Command:
    """Return the command for a server that ``apps/serve.py`` starts."""
    return lambda port: (*python, str(APPS / "serve.py"), name, "bare", str(port), *more)


def gunicorn(worker: str, *more: str, module: str = "bare", old: bool = False) -> Command:
    """Return the command for gunicorn."""
    options = ("-k", worker, "--graceful-timeout", "30", "--access-logfile", "-", *more)
    if not old:
        options = (*options, "--no-control-socket")  # which would lie in the home directory
    start = (*PYTHON, "-m", "gunicorn", *options, f"{module}:application")
    return lambda port: (*start, "-b", f"{HOST}:{port}")


def flask(*more: str) -> Command:
    """Return the command for Flask's own."""
    start = (*STRICT_PYTHON, "-m", "flask", "--app", "with_flask", "run")
    return lambda port: (*start, "--host", HOST, "--port", str(port), *more)


def uwsgi(*more: str, http: str = "--http-socket") -> Command:
    """Return the command for uWSGI."""
    # Installed beside Python, where else pip would not have put it.
    program = shutil.which("uwsgi", path=str(pathlib.Path(sys.executable).parent)) or "uwsgi"
    options = ("--module", "bare:application", "--enable-threads", "--threads", THREADS, "--master")
    options = (*options, "--die-on-term", "--need-app", "--virtualenv", sys.prefix, *more)
    return lambda port: (program, http, f"{HOST}:{port}", *options)


def _gunicorn(
    name: str,
    worker: str,
    *more: str,
    needs: tuple[str, ...] = (),
    module: str = "bare",
    old: bool = False,
    **kind: bool,
) -> Server:
    return Server(
        f"gunicorn-{name}",
        gunicorn(worker, *more, module=module, old=old),
        ("gunicorn", *needs),
        stop=signal.SIGTERM,
        old_gunicorn=old,
        **kind,
    )


MANY = ("--threads", THREADS)
PYWSGI = "gunicorn.workers.ggevent.GeventPyWSGIWorker"
GEVENT = ("gevent",)
EVENTLET = ("eventlet",)

THROUGH_ROUTER = uwsgi("--http-websockets", http="--http")

SERVERS = {
    server.name: server
    for server in (
        Server("wsgiref", library("wsgiref"), one_thread=True),
        Server("werkzeug", library("werkzeug"), ("werkzeug",)),
        Server("flask", flask(), ("flask",)),
        Server("cheroot", library("cheroot"), ("cheroot",), logs_access=False),
        Server("gevent", library("gevent", python=PYTHON), GEVENT),
        Server("eventlet", library("eventlet", python=PYTHON), EVENTLET),
        Server("uwsgi", uwsgi(), ("pyuwsgi",), stop=signal.SIGTERM),
        Server(
            "uwsgi-http",
            uwsgi("--http-websockets", http="--http"),
            ("pyuwsgi",),
            stop=signal.SIGTERM,
        ),
        _gunicorn("sync", "sync", one_thread=True),
        _gunicorn("gthread", "gthread", *MANY),
        _gunicorn("gevent", "gevent", needs=GEVENT),
        _gunicorn("pywsgi", PYWSGI, needs=GEVENT),
        _gunicorn("flask", "gthread", *MANY, needs=("flask",), module="with_flask"),
        _gunicorn("django", "gthread", *MANY, needs=("django",), module="with_django"),
        _gunicorn("old-gthread", "gthread", *MANY, old=True),
        _gunicorn("old-gevent", "gevent", needs=GEVENT, old=True),
        _gunicorn("old-eventlet", "eventlet", needs=EVENTLET, old=True),
    )
}
