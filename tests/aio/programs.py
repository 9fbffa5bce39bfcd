"""Run programs that were written for early websockets, each as a process with its own port."""

from __future__ import annotations

import contextlib
import re
import socket
import sys

import pytest

import syncws
from aio.early import IMPORT
from support.children import child
from support.threads import eventually

# What is old warns, which children take for an error.
PROLOGUE = """
import sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
sys.stdout.reconfigure(line_buffering=True)
"""


@contextlib.contextmanager
def free_port():
    """Find a port of 127.0.0.1 that nobody else gets until a program listens on it."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def running(program, port):
    """Run a program with our import and port."""
    ours = re.sub("^import websockets$", IMPORT, program, flags=re.MULTILINE)
    return child(PROLOGUE, ours.replace("8765", str(port)))


def visit(program, port, path="/"):
    """Connect to a program as soon as it listens."""

    def there():
        if program.process.poll() is not None:
            raise AssertionError(f"the program ended: {program.process.communicate()[1]}")
        with contextlib.suppress(ConnectionRefusedError):
            return syncws.connect(f"ws://127.0.0.1:{port}{path}")
        return None

    return eventually(there)


def gone(version, what):
    """Skip what Python no longer has."""
    reason = f"Python {'.'.join(map(str, version))} has no {what}"
    return pytest.mark.skipif(sys.version_info >= version, reason=reason)


def since(version, what):
    """Skip what Python does not have yet."""
    reason = f"{what} came with Python {'.'.join(map(str, version))}"
    return pytest.mark.skipif(sys.version_info < version, reason=reason)


no_loop = gone((3, 14), "event loop before one runs")
