"""Servers in processes of their own, with a log that the tests read."""

from __future__ import annotations

import contextlib
import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator

import syncws
from servers.catalogue import APPS, HOST, Server
from support import tls
from support.peer import Peer
from support.threads import WATCHDOG, eventually

TESTS = pathlib.Path(__file__).parents[1]
START = 30.0  # seconds; a watchdog only
# An end is at once or not at all, but the machine may be busy.
AT_ONCE = 8.0
OPTIONS = {"open_timeout": 15, "close_timeout": 15, "ping_interval": None}


class Started:
    """A running server."""

    def __init__(self, server: Server, log: pathlib.Path, **environment: str) -> None:
        self.server = server
        self.log = log
        self.opened: Counter[str] = Counter()
        self.raised_in_views = 0
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
        self._start()

    def _start(self) -> None:
        for _ in range(3):
            with socket.create_server((HOST, 0)) as sock:
                self.port = sock.getsockname()[1]
            with self.log.open("ab") as file:
                self.process = subprocess.Popen(
                    self.server.command(self.port),
                    cwd=self.log.parent,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
            if self._answers():
                return
            # Somebody else may have got the port meanwhile.
            if "in use" not in self.text():
                break
        raise AssertionError(f"{self.server.name} did not start:\n{self.text()}")

    def _answers(self) -> bool:
        end = time.monotonic() + START
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.get("/")
                return True
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
        return False

    # Talking to it.

    def connect(self, path: str, **options: object) -> syncws.Connection:
        """Open a WebSocket."""
        self.opened[path] += 1
        if self.server.secure:
            options["ssl"] = tls.client_context()
        url = f"ws{'s' * self.server.secure}://localhost:{self.port}{path}"
        return syncws.connect(url, **{**OPTIONS, **options})

    def peer(self, path: str) -> Peer:
        """Open a WebSocket for a scripted client."""
        self.opened[path] += 1
        return Peer.connecting((HOST, self.port), path)

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """Ask for a page; return the status and the body."""
        if self.server.secure:
            client = http.client.HTTPSConnection(
                "localhost", self.port, timeout=WATCHDOG, context=tls.client_context()
            )
        else:
            client = http.client.HTTPConnection(HOST, self.port, timeout=WATCHDOG)
        with contextlib.closing(client):
            client.request("GET", path, headers={"Connection": "close", **headers})
            answer = client.getresponse()
            return answer.status, answer.read()

    def worker(self) -> int:
        """Ask for the number of the process that runs the application."""
        return int(self.get("/")[1])

    # Its log.

    def text(self) -> str:
        """Return all that it has written so far."""
        return self.log.read_text("utf-8", "replace")

    def logs(self, pattern: str, count: int = 1) -> None:
        """Wait until a pattern stands in its log so many times."""
        eventually(
            lambda: len(re.findall(pattern, self.text())) >= count,
            f"{pattern} in {self.name_log()}",
        )

    def name_log(self) -> str:
        """Describe its log, for the message of a test that fails."""
        return f"the log of {self.server.name}"

    # Its end.

    def signal(self, number: int) -> None:
        """Send a signal to the process that was started."""
        self.process.send_signal(number)

    def stop(self) -> float:
        """Ask it to end, as its users do; return after how many seconds it did."""
        begun = time.monotonic()
        if self.process.poll() is None:
            self.signal(self.server.stop)
            self.process.wait(WATCHDOG)
        return time.monotonic() - begun

    def kill(self) -> None:
        """End whatever of it is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running(server: Server, folder: pathlib.Path, **environment: str) -> Iterator[Started]:
    """Run a server; show its log if the block fails."""
    paths = [str(APPS), str(TESTS), str(TESTS.parent)]
    if server.old_gunicorn:
        paths.insert(0, os.environ["SYNCWS_OLD_GUNICORN"])
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    started = Started(server, folder / f"{server.name}.log", **environment)
    try:
        yield started
    finally:
        started.kill()
        print(f"--- the log of {server.name}\n{started.text()}")


def fds(pid: int) -> int:
    """Count the open file descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid: int) -> int:
    """Count the threads of a process."""
    return len(os.listdir(f"/proc/{pid}/task"))
