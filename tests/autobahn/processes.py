"""Child processes that never outlive the runner, and never make it wait for ever."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, TypeVar

T = TypeVar("T")

HOST = "127.0.0.1"
START_LIMIT = 30.0  # seconds for a child to listen; it takes one or two
STOP_LIMIT = 5.0  # seconds for a child to end after it was asked to


class ChildError(Exception):
    """A child process did not do its part; the text ends with the end of its log."""


class Child:
    """One running command whose output goes to a log file."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return self.process.poll()

    def wait(self, deadline: float) -> bool:
        """Wait for its end; False where `deadline` (time.monotonic) came first."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        self.process.terminate()
        if not self.wait(time.monotonic() + STOP_LIMIT):
            self.process.kill()
            self.process.wait()

    def log_end(self, lines: int = 8) -> str:
        text = self.log.read_text(errors="replace").rstrip()
        return "\n".join("    " + line for line in text.splitlines()[-lines:])

    def failure(self, what: str) -> ChildError:
        return ChildError(f"{self.name} {what}; the end of {self.log}:\n{self.log_end()}")

    def wait_for_printed_port(self) -> int:
        """The port of a server that prints "port N" once it listens."""

        def printed() -> int | None:
            found = re.search(r"^port (\d+)$", self.log.read_text(errors="replace"), re.MULTILINE)
            return int(found[1]) if found else None

        return self._poll(printed, "print its port")

    def wait_until_listening(self, port: int) -> None:
        def listens() -> bool | None:
            try:
                socket.create_connection((HOST, port), timeout=1).close()
            except OSError:
                return None
            return True

        self._poll(listens, f"listen on port {port}")

    def _poll(self, look: Callable[[], T | None], what: str) -> T:
        """What `look` finds in the end; ChildError where the child ends or START_LIMIT passes."""
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            found = look()
            if found is not None:
                return found
            if self.status is not None:
                raise self.failure(f"ended with status {self.status} before it could {what}")
            self.wait(time.monotonic() + 0.05)
        raise self.failure(f"did not {what} within {START_LIMIT:.0f} s")


@contextmanager
def running(name: str, command: Sequence[str], log: Path) -> Iterator[Child]:
    """Run `command` for the length of a `with` block."""
    child = Child(name, command, log)
    try:
        yield child
    finally:
        child.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
