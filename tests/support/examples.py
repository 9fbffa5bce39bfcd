"""Run the programs in examples/ for real, as a user would."""

from __future__ import annotations

import contextlib
import pathlib
import re
import subprocess
import sys
import threading
import urllib.request

import syncws
from support.threads import WATCHDOG

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
HOST = "127.0.0.1"


def run(name, *arguments, stdin=""):
    """Run an example to its end; return the lines it prints."""
    done = subprocess.run(
        command(name, *arguments), input=stdin, capture_output=True, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


class Example(subprocess.Popen):
    """An example that is still running."""

    url = ""

    def wait_for(self, start):
        """Read what it prints up to a line that starts like this; return that line."""
        for line in self.stdout:
            if line.startswith(start):
                return line.rstrip("\n")
        raise AssertionError(f"no line {start!r}; stderr:\n{self.stderr.read()}")


@contextlib.contextmanager
def running(name, *arguments):
    """Start an example that does not end by itself; fail if it complains."""
    pipe = subprocess.PIPE
    with Example(command(name, *arguments), stdout=pipe, stderr=pipe, encoding="utf-8") as example:
        try:
            yield example
        finally:
            example.kill()
        errors = example.stderr.read()
        assert not errors, errors


@contextlib.contextmanager
def serving(name):
    """Start an example that is a server, on a free port."""
    with running(name, 0, HOST) as example:
        example.url = example.wait_for("listening on ").split()[-1]
        yield example


def command(name, *arguments):
    strict = ["-X", "dev", "-X", "utf8", "-W", "error"]
    return [sys.executable, *strict, str(EXAMPLES / name), *map(str, arguments)]


def fetch(url):
    """Get a page; return status, content type and body."""
    with urllib.request.urlopen(url, timeout=20) as response:
        return response.status, response.headers["Content-Type"], response.read()


def untested(folder, tests):
    """Return the names of the examples in a folder that no test is named after."""
    subjects = {name[len("test_") :] for name in tests if name.startswith("test_")}
    return {
        path.name
        for path in folder.iterdir()
        if path.is_file() and path.name.rpartition(".")[0] not in subjects
    }


def chat_with_callbacks(name):
    """Talk in one of the chats with callbacks."""
    with serving(name) as example, syncws.connect(example.url) as ada:
        ada.send("is anybody here?")
        assert ada.recv(20) == "is anybody here?"
        with syncws.connect(example.url) as bob:
            assert ada.recv(20) == "somebody came"
            bob.send(b"\x00")
            assert (ada.recv(20), bob.recv(20)) == (b"\x00", b"\x00")
        assert ada.recv(20) == "somebody left"


def chat_with_events(name):
    """Talk in one of the chats with events."""
    with serving(name) as example, syncws.connect(example.url) as ada:
        ada.send("is anybody here?")
        assert ada.recv(20) == "is anybody here?"
        with syncws.connect(example.url) as bob:
            bob.send(b"\x00")
            assert (ada.recv(20), bob.recv(20)) == (b"\x00", b"\x00")
        # One after the other: lines that threads print at the same time may mix.
        assert example.wait_for("closed") == "closed with 1000"
        ada.close(4000)
        assert example.wait_for("closed") == "closed with 4000"


def both_ways(name):
    """Send to one of the servers that send while they receive."""
    with serving(name) as example:
        with syncws.connect(example.url) as ws:
            assert ws.recv() == "message 0"
            ws.send("hello")
            assert example.wait_for("<") == "< hello"
            assert ws.recv() == "message 1"

        assert example.wait_for("both") == "both are done"


def keep_open(name, serve):
    """Serve one of the clients that ping when no messages come."""

    def handler(ws):
        ws.send("hello")
        asked.wait(WATCHDOG)

    asked = threading.Event()
    server = serve(handler)
    with running(name, server.server_address[1], HOST, 0.1) as example:
        assert example.wait_for("<") == "< hello"
        assert re.fullmatch(r"alive: Pong after \d\.\d{6} s", example.wait_for("alive"))
        asked.set()
        assert "received 1000" in example.wait_for("closed")
        assert example.wait() == 0
