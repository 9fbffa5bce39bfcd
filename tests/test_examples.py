"""Every file in examples/ is run for real, as a user would, by the test that has its name."""

from __future__ import annotations

import contextlib
import pathlib
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

import syncws
from support.tls import CA, CERTS

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
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
        assert example.stderr.read() == ""


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


def port_of(server):
    return server.server_address[1]


def test_every_example_has_a_test():
    """A file in examples/ that nothing runs would rot."""
    examples = {path.name for path in EXAMPLES.iterdir() if path.is_file()}
    tests = {name[len("test_") :] for name in globals() if name.startswith("test_")}
    names = {name for name in examples if name.rpartition(".")[0] in tests}

    assert examples - {"show_time.html"} == names, "write a test named after the example"


def test_hello_server():
    """It greets the client by its name and closes the connection normally."""
    with serving("hello_server.py") as example, syncws.connect(example.url) as ws:
        ws.send("Ada")

        assert list(ws) == ["Hello Ada!"]
        assert ws.close_code == 1000


def test_hello_client(serve):
    """It sends the name that it is told and shows the greeting."""
    server = serve(lambda ws: ws.send(f"Hello {ws.recv()}!"))

    lines = run("hello_client.py", port_of(server), HOST, stdin="Ada\n")

    assert lines == ["What is your name? > Ada", "< Hello Ada!"]


def test_show_time_server():
    """It serves the page, and the time to who comes from that page, but to no other site."""
    with serving("show_time_server.py") as example:
        origin = example.url.rstrip("/")
        url = origin.replace("http", "ws") + "/time"
        with syncws.connect(url, origin=origin) as ws:
            assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", ws.recv())
        with pytest.raises(syncws.InvalidStatus, match="403"):
            syncws.connect(url, origin="null")  # what a browser says for a file

        page = (EXAMPLES / "show_time.html").read_bytes()
        assert fetch(example.url) == (200, "text/html; charset=utf-8", page)
        assert b'"/time"' in page
        with pytest.raises(urllib.error.HTTPError, match="404") as missing:
            fetch(example.url + "favicon.ico")
        missing.value.close()


def test_consumer():
    """It shows every message and notices the end."""
    with serving("consumer.py") as example:
        with syncws.connect(example.url) as ws:
            ws.send("one")
            ws.send("two")

        assert example.wait_for("<") == "< one"
        assert example.wait_for("<") == "< two"
        assert example.wait_for("closed") == "closed with 1000"


def test_producer():
    """It sends one message after the other, and is not disturbed by a client that leaves."""
    with serving("producer.py") as example:
        for _ in range(2):
            with syncws.connect(example.url) as ws:
                assert [ws.recv(), ws.recv()] == ["message 0", "message 1"]


def test_both():
    """It sends while it receives, and both threads end with the connection."""
    with serving("both.py") as example:
        with syncws.connect(example.url) as ws:
            assert ws.recv() == "message 0"
            ws.send("hello")
            assert example.wait_for("<") == "< hello"
            assert ws.recv() == "message 1"

        assert example.wait_for("both") == "both are done"


def test_registration():
    """All clients get a message, the sender too; one that left does no harm."""
    with serving("registration.py") as example, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(syncws.connect(example.url)) for _ in range(3)]
        for ws in clients:
            ws.send("I am here")
            while ws.recv() != "I am here":
                pass
        clients[0].close()
        clients[1].send("good-bye")

        for ws in clients[1:]:
            assert "good-bye" in iter(ws.recv, None)


def test_keep_open(serve):
    """It shows messages, pings when none come, and ends with the connection."""

    def handler(ws):
        ws.send("hello")
        asked.wait(20)

    asked = threading.Event()
    server = serve(handler)
    with running("keep_open.py", port_of(server), HOST, 0.1) as example:
        assert example.wait_for("<") == "< hello"
        assert re.fullmatch(r"alive: Pong after \d\.\d{6} s", example.wait_for("alive"))
        asked.set()
        assert "received 1000" in example.wait_for("closed")
        assert example.wait() == 0


def test_partial_handler():
    """The handler gets the connection, the path and the argument that was bound."""
    with serving("partial_handler.py") as example, syncws.connect(f"{example.url}/x") as ws:
        assert ws.recv() == "spam at /x"


def test_custom_connection():
    """Both ends use the methods of the subclass."""
    assert run("custom_connection.py") == ["{'sum': 6}"]


def test_logging_levels():
    """Each level adds to the one above it."""
    _, error, info, debug = "\n".join(run("logging_levels.py")).split("\n=== ")

    assert "RuntimeError: this handler is broken" in error
    assert "INFO" not in error
    assert "opening handshake failed: Origin header" in info
    assert "DEBUG" not in info
    assert "> TEXT b'hello'" in debug


def test_tls():
    """The client reaches the server by wss and trusts its certificate."""
    lines = run("tls.py", 0, "localhost", CERTS / "localhost.pem", CA)

    assert lines == ["nobody else can read this"]


def test_basic_auth():
    """The right password is let in, the wrong one is not."""
    assert run("basic_auth.py") == ["you are alice", "refused with 401"]


def test_threads():
    """Nothing is lost, torn or out of order."""
    assert run("threads.py") == ["3000 messages came back, in order"]


def test_compression():
    """What is agreed on; what gets smaller, and what goes as it is behind its header."""
    lines = run("compression.py")

    assert lines[0].startswith("agreed on: permessage-deflate;")
    taken = dict(re.findall(r"^(.+): \d+ bytes took (\d+)$", "\n".join(lines), re.MULTILINE))
    assert int(taken["the same again"]) < int(taken["JSON"]) < 1000
    assert (taken["short"], taken["random"], taken["as it is"]) == ("11", "1008", "3017")
    assert int(taken["short, if you say so"]) < 17 + 6


def test_health_check():
    """Health checks get 200 over HTTP, clients their echo."""
    with serving("health_check.py") as example:
        url = example.url.replace("ws", "http") + "/healthz"
        assert fetch(url) == (200, "text/plain; charset=utf-8", b"OK\n")
        with syncws.connect(example.url) as ws:
            ws.send("hello")
            assert ws.recv() == "hello"


def test_wsgi_site():
    """The site has its page, its form and its errors; the clock goes on beside it, on one port."""
    with serving("wsgi_site.py") as example:
        url = example.url.rstrip("/").replace("http", "ws") + "/clock"
        with syncws.connect(url, origin=example.url.rstrip("/")) as ws:
            status, kind, page = fetch(example.url)
            assert re.fullmatch(r"\d\d:\d\d:\d\d", ws.recv())
            with urllib.request.urlopen(example.url, b"note=%3Cb%3E+me", timeout=20) as response:
                assert b"<li>&lt;b&gt; me</li>" in response.read()
            assert re.fullmatch(r"\d\d:\d\d:\d\d", ws.recv())

        assert (status, kind) == (200, "text/html; charset=utf-8")
        assert b'"/clock"' in page
        with pytest.raises(urllib.error.HTTPError, match="404") as missing:
            fetch(example.url + "missing")
        missing.value.close()
        with pytest.raises(syncws.InvalidStatus, match="404"):
            syncws.connect(url + "work")


def test_demo():
    """It shows both ends talking."""
    lines = run("demo.py")

    assert "server: received 'Hello!', sends it back" in lines
    assert "client: received 'Hello!'" in lines
    assert lines[-1] == "client: closed with 1000"
