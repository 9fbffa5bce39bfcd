"""Every file in examples/ is run for real, as a user would, by the test that has its name."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

import syncws
from support.examples import (
    EXAMPLES,
    HOST,
    Example,
    both_ways,
    chat_with_callbacks,
    chat_with_events,
    command,
    fetch,
    keep_open,
    run,
    serving,
    untested,
)
from support.tls import CA, CERTS
from support.tunnel import Tunnel
from syncws.testing import ScriptedServer


def port_of(server):
    return server.server_address[1]


def test_every_example_has_a_test():
    """A file in examples/ that nothing runs would rot."""
    assert untested(EXAMPLES, globals()) == {"show_time.html"}
    assert untested(EXAMPLES / "live_stats", {"test_server": test_live_stats}) == {"page.html"}
    # These are tests; chat.py is what they test.
    assert {path.name for path in (EXAMPLES / "testing").glob("*.*")} == {
        "chat.py",
        "test_with_pytest.py",
        "test_with_unittest.py",
    }


def test_hello_server():
    """It greets the client by its name and closes the connection normally."""
    with serving("hello_server.py") as example, syncws.connect(example.url) as ws:
        ws.send("Ada")

        assert list(ws) == ["Hello Ada!"]
        assert ws.close_code == 1000


def test_hello_client():
    """It sends the name that it is told and shows the greeting."""
    with ScriptedServer() as server:
        server.expect("Ada").send("Hello Ada!").expect_close(1000)
        lines = run("hello_client.py", server.port, HOST, stdin="Ada\n")

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


def test_live_stats():
    """It counts clients and messages, and serves the page; tests/peers looks at that."""
    with serving("live_stats/server.py") as example:
        url = example.url.replace("http", "ws")
        with syncws.connect(url + "stats") as viewer:
            assert json.loads(viewer.recv(20))[0]["clients"] == 0
            with syncws.connect(url + "echo") as ws:
                ws.send("hello")
                assert ws.recv(20) == "hello"
                samples = iter(viewer)
                while True:
                    sample = json.loads(next(samples))[-1]
                    if sample["median"] is not None and sample["total"] == 2:
                        break
        assert (sample["clients"], sample["viewers"], sum(sample["histogram"])) == (1, 1, 1)
        page = (EXAMPLES / "live_stats" / "page.html").read_bytes()
        assert fetch(example.url) == (200, "text/html; charset=utf-8", page)
        with pytest.raises(urllib.error.HTTPError, match="404") as missing:
            fetch(example.url + "favicon.ico")
        missing.value.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "pytest", "-W", "error", "-p", "no:cacheprovider", EXAMPLES / "testing"],
        [EXAMPLES / "testing" / "test_with_unittest.py"],
    ],
    ids=["pytest", "unittest"],
)
def test_testing(arguments):
    """The tests for users to begin with pass."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"7 passed|Ran 2 tests", done.stdout + done.stderr)


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
    both_ways("both.py")


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
    keep_open("keep_open.py", serve)


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


def test_reconnect(serve):
    """It comes back after each end, and every number comes back once, in order."""

    def handler(ws):
        for _ in range(3):
            ws.send(ws.recv())
        ws.recv()
        ws.abort()

    lines = run("reconnect.py", port_of(serve(handler)), HOST, 7)

    assert [line for line in lines if line[0] == "<"] == [f"< message {n}" for n in range(7)]
    assert [line[:9] for line in lines if line[0] not in "<"] == [
        "attempt 1",
        "attempt 2",
        "all 7 cam",
    ]


def test_token_refresh():
    """The second connection finds its token expired, and gets another."""
    assert run("token_refresh.py") == [
        "welcome with token-1",
        "refused with 401: [{'error': 'invalid_token'}]",
        "welcome with token-2",
    ]


def test_proxy(serve, monkeypatch):
    """It goes through the proxy of the environment or of the command line, or tells why not."""
    server = serve()
    with (
        Tunnel(server.server_address) as good,
        Tunnel(server.server_address, reply="403 No") as bad,
    ):
        monkeypatch.setenv("ws_proxy", good.url("me:hunter2@"))
        assert run("proxy.py", "ws://example.test") == ["hello"]
        assert run("proxy.py", server.url, "none") == ["hello"]
        assert run("proxy.py", "ws://example.test", good.url()) == ["hello"]
        refused = run("proxy.py", "ws://example.test", bad.url("me:hunter2@"))

    assert len(good.heads) == 2
    assert re.search(r"refused .* status 403; it wrote: ", refused[0])
    assert "hunter2" not in refused[0]


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


def test_callbacks_chat():
    """Everybody gets what somebody says, and is told who comes and goes."""
    chat_with_callbacks("callbacks_chat.py")


def test_callbacks_echo():
    """A long message comes back while it is being sent."""
    with serving("callbacks_echo.py") as example, syncws.connect(example.url, max_size=None) as ws:
        echoed = []

        def parts():
            for _ in range(40):
                yield bytes(2**17)
            echoed.append(next(stream))
            yield b"the end"

        stream = ws.recv_stream(20)
        ws.send(parts())
        echoed.extend(stream)
        assert b"".join(echoed) == bytes(40 * 2**17) + b"the end"


def test_events_chat():
    """Everybody gets what somebody says."""
    chat_with_events("events_chat.py")


def test_events_client(serve):
    """It shows what happens, up to the end."""

    def handler(ws):
        ws.ping_nowait(b"x")
        ws.send(f"you said {ws.recv()}")
        ws.wait_closed()

    assert run("events_client.py", port_of(serve(handler)), HOST) == [
        "Ping(payload=b'x')",
        "TextMessage(data='you said hello', frame_finished=True, message_finished=True)",
        "CloseConnection(code=1000, reason=None)",
    ]


def test_app_client(serve):
    """It sends what is typed, connects again after an end that was none, and ends with stdin."""
    came = []

    def handler(ws):
        came.append(ws)
        if len(came) == 1:
            ws.close(1012)
        else:
            ws.send("hello")
            ws.wait_closed()

    pipe = subprocess.PIPE
    name = command("app_client.py", port_of(serve(handler)), HOST)
    with Example(name, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8") as example:
        assert example.wait_for("<") == "< hello"
        shown, errors = example.communicate("hi\n", timeout=20)
    assert (example.returncode, errors) == (0, "")
    assert shown == "closed with 1000\n"
    assert came[1].recv() == "hi"


def test_broadcast():
    """All who are there get the same numbers, one after the other."""
    with contextlib.ExitStack() as stack:
        example = stack.enter_context(serving("broadcast.py"))
        one = stack.enter_context(syncws.connect(example.url))
        two = stack.enter_context(syncws.connect(example.url))
        first = two.recv()
        while one.recv() != first:
            pass
        number = int(first.split()[1])

        assert [one.recv(), two.recv()] == [f"tick {number + 1}"] * 2
