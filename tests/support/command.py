"""The command line, run as users run it: in a process, with pipes."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

from support.threads import WATCHDOG

ROOT = pathlib.Path(__file__).parents[2]


def command(*args: object) -> list[str]:
    """Return the command line; what Python only warns of, such as an open socket, is an error."""
    return [sys.executable, "-X", "dev", "-W", "error", "-m", "syncws", *map(str, args)]


def environment(*first: object) -> dict[str, str]:
    """Return an environment in which this very library is found, behind these folders."""
    path = os.pathsep.join(map(str, (*first, ROOT)))
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}


def run(*args: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(*args),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        env=environment(),
        timeout=WATCHDOG,
        check=False,
    )


@contextlib.contextmanager
def running(*args: object) -> Iterator[subprocess.Popen[str]]:
    """Start a command that does not end by itself."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command(*args), stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8", env=environment()
    ) as process:
        try:
            yield process
        finally:
            process.kill()
