"""The example of a view that calls out is run for real."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
import urllib.error
import urllib.request

EXAMPLE = pathlib.Path(__file__).parents[1] / "examples" / "wsgi" / "call_out.py"
HOST = "127.0.0.1"


@contextlib.contextmanager
def running(url):
    """Start the example; return where it listens."""
    command = [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLE), "0", HOST, url]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as example:
        try:
            yield example.stdout.readline().split()[-1]
        finally:
            example.kill()
        assert "Traceback" not in example.stderr.read()


def fetch(url):
    """Get a page; return its status and text."""
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()


def test_call_out(serve):
    """One connection serves all, until it is closed; then a new one does."""
    opened = []

    def handler(ws):
        opened.append(ws)
        for message in ws:
            ws.send(f"answer to {message}")

    server = serve(handler)
    with running(server.url) as url:
        assert [fetch(f"{url}/?{index}") for index in range(3)] == [
            (200, f"answer to {index}") for index in range(3)
        ]
        assert len(opened) == 1

        opened[0].close()
        assert fetch(f"{url}/?more") == (200, "answer to more")
        assert len(opened) == 2


def test_call_out_without_an_answer(listener):
    """The view says so when the backend is gone."""
    port = listener.getsockname()[1]
    listener.close()
    with running(f"ws://{HOST}:{port}") as url:
        status, text = fetch(f"{url}/?hello")
    assert status == 502
    assert text.startswith("the backend does not answer: ")
