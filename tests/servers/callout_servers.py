"""The servers in which views call out: those of the catalogue, and some that accept nothing."""

from __future__ import annotations

import concurrent.futures
import contextlib
import pathlib
import re
import urllib.parse
from collections.abc import Iterator

from servers import apache
from servers.catalogue import (
    APPS,
    HOST,
    SERVERS,
    STRICT_PYTHON,
    Command,
    Server,
    library,
)
from servers.conftest import check_installed, missing
from servers.logs import oddities
from servers.running import AT_ONCE, Started, running
from support.threads import eventually

_OTHER_APPS = {
    "bare": "calling",
    "bare:application": "calling:application",
    "with_flask": "calling_flask",
    "with_flask:application": "calling_flask:application",
    "with_django:application": "calling_django:application",
}


def calling(command: Command) -> Command:
    """Return the command for the same server with the application that calls out."""
    return lambda port: tuple(_OTHER_APPS.get(part, part) for part in command(port))


def development(app: str, *more: str) -> Command:
    """Return the command for an application that brings its own server."""
    return lambda port: (*STRICT_PYTHON, str(APPS / app), f"{HOST}:{port}", *more)


def _with_options(name: str, *more: str) -> Server:
    """Return a server of the catalogue that is started with further options."""
    server = CALLERS[name]
    return server._replace(command=lambda port: (*server.command(port), *more))


CALLERS = {
    server.name: server
    for server in (
        *(server._replace(command=calling(server.command)) for server in SERVERS.values()),
        Server("django", development("calling_django.py", "--noreload"), ("django",)),
        Server("bottle", development("calling_bottle.py"), ("bottle",), one_thread=True),
        Server("waitress", calling(library("waitress")), ("waitress",)),
    )
}


NAMES = (*CALLERS, *apache.MODES)


@contextlib.contextmanager
def calling_server(
    name: str, folder: pathlib.Path, *more: str, quiet: bool = True, **environment: str
) -> Iterator[Started]:
    """
    Run a server; at the end it must end at once.

    Args:
        more: options for its command line, or for Apache's WSGIDaemonProcess.
        quiet: whether its log must not speak of anything odd.
    """
    with contextlib.ExitStack() as stack:
        if name in apache.MODES:
            if not apache.INSTALLED:
                missing(f"{name}: {apache.INSTALL}")
            server = stack.enter_context(
                apache.configured(name, folder / f"{name}.log", " ".join(more))
            )
        else:
            server = _with_options(name, *more)
            check_installed(server)
        started = stack.enter_context(running(server, folder, **environment))
        yield started
        ends_at_once(started)
        odd = oddities(_without_their_own(started)) if quiet else []
        assert not odd, f"in the log of {name}: {odd}"


def view(server: Started, path: str, url: str) -> str:
    """Call a view; return its answer."""
    status, body = server.get(f"/{urllib.parse.quote(path)}?{url}")
    assert status == 200, body
    return body.decode()


def views(server: Started, paths: list[str], url: str, threads: int = 8) -> list[str]:
    """Call a view for each path, several at a time; return the answers."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda path: view(server, path, url), paths))


def ends_at_once(server: Started) -> None:
    """Ask it to end; it must not take long."""
    # Ctrl-C is for the greenlet that runs just now, and if that is not the main one, then the
    # program goes on. While none runs it is for the main one.
    eventually(lambda: _status(server.process.pid) in "SZ", f"{server.server.name} is idle")
    assert server.stop() < AT_ONCE


def gone(pid: int) -> bool:
    """Tell whether a process has ended."""
    return _status(pid) == "Z"


def _status(pid: int) -> str:
    """Return S for a process whose main thread waits, Z if it has ended."""
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "Z"
    return status.rpartition(")")[2].split()[0]


def _without_their_own(server: Started) -> str:
    """Return the log but for what servers say about themselves, and would without us."""
    listening = rf"<socket.socket fd=\d+, [^>]*proto=0(, laddr=\('{HOST}', {server.port}\))?>"
    theirs = (
        rf"(Exception ignored in:|.*ResourceWarning: unclosed) {listening}"
        r"|WARNING:waitress.queue:Task queue depth.*"
        r"|Exception ignored in: <function file_wrapper.__del__.*\n(.*\n){1,9}?ResourceWarning: "
        r"unclosed file <waitress.wasyncore.*"
        r"|.*\[ERROR\] Worker \(pid:\d+\) was sent SIGTERM!"  # by gunicorn itself
    )
    return re.sub(theirs, "", server.text())
