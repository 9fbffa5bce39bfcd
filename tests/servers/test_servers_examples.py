"""The examples in examples/wsgi, run for real as a user would."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pathlib
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

import syncws
from peers.tabs import once, tab
from support.threads import WATCHDOG, eventually

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples" / "wsgi"
HOST = "127.0.0.1"
LISTENS = re.compile(
    r"(?:listening on|Running on|Listening at:|development server at) (http://\S+)"
)


def needs(*modules):
    """Skip a test without these modules, or fail it where all servers must be there."""
    lacking = [name for name in modules if importlib.util.find_spec(name) is None]
    if lacking and os.environ.get("SYNCWS_REQUIRE_PEERS") == "1":
        pytest.fail(f"not installed: {lacking}")
    if lacking:
        pytest.skip(f"not installed: {lacking}: pip install -r tests/servers/requirements.txt")


@contextlib.contextmanager
def serving(log, *arguments):
    """Run Python with these arguments; give the URL that it says it listens on, and its process."""
    command = [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", *map(str, arguments)]
    with (
        log.open("wb") as file,
        subprocess.Popen(command, stdout=file, stderr=file, cwd=EXAMPLES) as process,
    ):
        try:
            found = eventually(lambda: LISTENS.search(log.read_text()) or process.poll())
            assert isinstance(found, re.Match), log.read_text()
            yield found.group(1).rstrip("/"), process
        finally:
            process.terminate()
            process.wait(WATCHDOG)
    assert "Traceback" not in log.read_text()


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def sockets(url):
    return url.replace("http", "ws", 1)


def fetch(url, data=None):
    """Get a page, or post to it; return status and text."""
    with urllib.request.urlopen(url, data, timeout=WATCHDOG) as response:
        return response.status, response.read().decode()


def chat_in_the_browser(url):
    """Two pages and a program are in the same room."""
    state = "document.getElementById('state').textContent"
    shown = "[...document.querySelectorAll('#lines li')].some(li => li.textContent === '{}')"
    say = "line.value = '{}'; document.querySelector('button').click()"
    with tab() as one, tab() as other, syncws.connect(f"{sockets(url)}/rooms/lobby") as ws:
        # An open client may not be in the room yet. Who hears itself is.
        ws.send("I am in.")
        assert ws.recv(timeout=WATCHDOG) == "I am in."
        for page in (one, other):
            page.visit(f"{url}/")
            once(page, f"{state} === 'open'")
            page.run(say.format("So am I."))
            once(page, shown.format("So am I."))
        one.run(say.format("Hello!"))
        once(other, shown.format("Hello!"))
        heard = [ws.recv(timeout=WATCHDOG) for _ in range(3)]
        assert sorted(heard) == ["Hello!", "So am I.", "So am I."]
        ws.send("Hello you two!")
        once(one, shown.format("Hello you two!"))
        once(other, shown.format("Hello you two!"))


def test_every_example_has_a_test():
    names = {path.stem for path in EXAMPLES.iterdir() if path.is_file()}
    tested = {name[len("test_") :] for name in globals() if name.startswith("test_")}
    elsewhere = {"call_out"}  # tests/test_examples_callout.py
    assert names - {"chat", "gunicorn.conf"} == tested & names | elsewhere


def test_wsgiref_echo(log):
    with contextlib.ExitStack() as stack:
        url, _ = stack.enter_context(serving(log, "wsgiref_echo.py", 0, HOST))
        ws = stack.enter_context(syncws.connect(f"{sockets(url)}/echo"))
        ws.send("Hello!")
        assert ws.recv(timeout=WATCHDOG) == "Hello!"
        assert fetch(url) == (200, "The WebSocket is at /echo.\n")


def test_push_worker(log):
    with serving(log, "push_worker.py", 0, HOST) as (url, _):
        with contextlib.ExitStack() as stack:
            listeners = [
                stack.enter_context(syncws.connect(f"{sockets(url)}/news")) for _ in range(3)
            ]
            assert fetch(f"{url}/tell", b"It rains.") == (202, "")
            assert [ws.recv(timeout=WATCHDOG) for ws in listeners] == ["It rains."] * 3
        for path, status in (("/news", 426), ("/nothing", 404)):
            with pytest.raises(urllib.error.HTTPError) as caught:
                fetch(url + path)
            caught.value.close()
            assert caught.value.code == status


@pytest.mark.peers
def test_flask_chat(log):
    """Flask's own server; the page is open in a browser."""
    needs("flask")
    with serving(log, "flask_chat.py", 0, HOST) as (url, _):
        chat_in_the_browser(url)
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetch(f"{url}/rooms/lobby")
        caught.value.close()
        assert caught.value.code == 400


@pytest.mark.peers
def test_flask_chat_in_gunicorn(log):
    """The same file with gunicorn.conf.py; the pages hear that the server goes."""
    needs("flask", "gunicorn")
    command = ["-m", "gunicorn", "--bind", f"{HOST}:0", "--config", "gunicorn.conf.py"]
    with serving(log, *command, "flask_chat:app") as (url, process):
        chat_in_the_browser(url)
        with tab() as page:
            page.visit(f"{url}/")
            once(page, "document.getElementById('state').textContent === 'open'")
            process.send_signal(signal.SIGTERM)
            end = once(page, "document.getElementById('state').textContent.match(/closed.*/)?.[0]")
            assert end == "closed with 1001"
            process.wait(WATCHDOG)


@pytest.mark.peers
def test_django_view(log):
    needs("django")
    command = ["django_view.py", "runserver", f"{HOST}:0", "--noreload"]
    with serving(log, *command) as (url, _):
        with syncws.connect(f"{sockets(url)}/count/3/") as ws:
            assert list(ws) == ["1", "2", "3"]
            assert ws.close_code == 1000
        assert fetch(url) == (200, "The WebSocket is at /count/10/.\n")
