"""ScriptedServer: what it does with clients, and what it tells of those that do otherwise."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

import syncws
from support.threads import WATCHDOG, Running
from support.tls import client_context, server_context
from syncws.testing import ScriptedServer

SHORT = 0.05  # seconds for what never happens


def test_a_conversation():
    """Text, bytes, a function that decides, fragments, and the end with code and reason."""
    with ScriptedServer() as server:
        script = server.expect("hello").send("hi").expect(b"\0").send(["a", "b"])
        script.expect(lambda message: message.startswith("bye")).close(4000, "done")
        with syncws.connect(server.url) as ws:
            ws.send("hello")
            assert ws.recv(timeout=WATCHDOG) == "hi"
            ws.send(b"\0")
            assert ws.recv(timeout=WATCHDOG) == "ab"
            ws.send("bye bye")
            assert ws.wait_closed(WATCHDOG)

    assert (ws.close_code, ws.close_reason) == (4000, "done")


def test_one_script_after_the_other():
    """Refused, dropped, then served: what a client that connects again goes through."""
    backoff = syncws.Backoff(initial=0.001, maximum=0.01)
    with ScriptedServer() as server:
        server.refuse(503, {"Retry-After": "0"})
        server.expect("subscribe").drop()
        server.expect("subscribe").send("news").expect_close(1000)
        for ws in syncws.reconnect(server.url + "feed", backoff=backoff):
            with contextlib.suppress(syncws.ConnectionClosedError):
                ws.send("subscribe")
                assert ws.recv(timeout=WATCHDOG) == "news"
                break

    assert [request.path for request in server.requests] == ["/feed"] * 3


def test_drop_is_a_reset():
    """The client sees no Close."""
    with ScriptedServer() as server:
        server.client().drop()
        with syncws.connect(server.url) as ws, pytest.raises(syncws.ConnectionClosedError) as end:
            ws.recv(timeout=WATCHDOG)

    assert end.value.rcvd is None


def test_refusal_with_a_body():
    """All of it reaches the client; an opened WebSocket is no refusal."""
    with ScriptedServer() as server:
        with pytest.raises(ValueError, match="client"):
            server.refuse(101)
        server.refuse(403, body="not you")
        with pytest.raises(syncws.InvalidStatus) as caught:
            syncws.connect(server.url)

    assert (caught.value.status, caught.value.body) == (403, b"not you")


def test_call():
    """It has the connection, and time; what it raises is a failure."""
    go_on = threading.Event()
    with ScriptedServer() as server:
        server.client().call(lambda ws: go_on.wait(WATCHDOG)).call(lambda ws: ws.ping())
        with syncws.connect(server.url) as ws:
            go_on.set()
            assert ws.wait_closed(WATCHDOG)
    assert ws.close_code == 1000


def test_options_reach_the_server():
    """Those of ThreadingServer: subprotocols, TLS."""
    options = {"ssl": client_context(), "server_hostname": "localhost", "subprotocols": ["b"]}
    with ScriptedServer(subprotocols=["a", "b"], ssl=server_context()) as server:
        server.client().expect_close(1000)
        with syncws.connect(server.url, **options) as ws:
            assert ws.subprotocol == "b"


def test_a_plain_request_is_no_client():
    """Such as that of a monitor; it costs no script."""
    with ScriptedServer() as server:
        server.client()
        with pytest.raises(urllib.error.HTTPError, match="426") as refused:
            urllib.request.urlopen(server.url.replace("ws", "http", 1))
        refused.value.close()
        syncws.connect(server.url).close()


# What is told of a client that does something else.


def told(client, script, **options):
    """Return what the end of the block raises when a client does this instead of the script."""
    with pytest.raises(AssertionError) as caught, ScriptedServer(**options) as server:
        script(server)
        with syncws.connect(server.url + "chat") as ws:
            client(ws)
            with contextlib.suppress(syncws.ConnectionClosed):
                ws.recv(timeout=WATCHDOG)
    return str(caught.value), ws


def test_another_message():
    """The message tells where, what was expected and what came; so does the Close."""
    message, ws = told(
        lambda ws: ws.send("hallo"),
        lambda server: server.send("welcome").expect("hello").send("hi"),
    )

    assert message.splitlines() == [
        "client 1 (/chat) of the scripted server: got 'hallo'",
        "    1. send 'welcome'",
        "  > 2. expect 'hello'",
        "    3. send 'hi'",
    ]
    # The Close is behind the welcome, which was received instead of it.
    assert ws.wait_closed(WATCHDOG)
    assert ws.close_code in (1000, 4999)


@pytest.mark.parametrize(
    ("client", "script", "expected"),
    [
        (lambda ws: None, lambda server: server.expect("x"), "got nothing in 0.05 s"),
        (lambda ws: ws.send(b"x"), lambda server: server.expect("x"), "got b'x'"),
        (
            lambda ws: ws.close(4001),
            lambda server: server.expect("x"),
            "got the end of the connection: .*4001",
        ),
        (lambda ws: ws.send("x"), lambda server: server.client().expect_close(), "got 'x'"),
        (
            lambda ws: ws.close(4001),
            lambda server: server.client().expect_close(1000),
            "got close code 4001",
        ),
        (
            lambda ws: ws.abort(),
            lambda server: server.client().expect_close(1000),
            "got close code 1006",
        ),
        (
            lambda ws: None,
            lambda server: server.client().expect_close(),
            "got no Close in 0.05 s",
        ),
        (
            lambda ws: ws.send("1"),
            lambda server: server.expect(lambda message: message["op"]),
            "TypeError: ",
        ),
        (
            lambda ws: ws.send("x" * 1000),
            lambda server: server.expect("x"),
            r"got 'x{199}\.\.\. \(1002 characters\)",
        ),
    ],
)
def test_what_else_a_client_may_do(client, script, expected):
    """Each is told in words."""
    timeout = SHORT if "0.05" in expected else WATCHDOG
    message, _ = told(client, script, timeout=timeout)

    assert re.match(f"client 1 \\(/chat\\) of the scripted server: {expected}", message), message


def test_the_client_is_told_by_the_close():
    """So that the failure of the test itself says what was expected."""
    with pytest.raises(AssertionError, match="'hallo'") as caught, ScriptedServer() as server:
        server.expect("hello" * 100)
        with syncws.connect(server.url) as ws:
            ws.send("hallo")
            ws.recv(timeout=WATCHDOG)

    assert ws.close_code == 4999
    assert ws.close_reason.startswith("expect 'hellohello")
    # The test's own error is the cause: both are shown.
    assert isinstance(caught.value.__cause__, syncws.ConnectionClosedError)


def test_a_client_that_was_not_expected():
    """It is refused for good, and told of."""
    refused = pytest.raises(syncws.InvalidStatus, match="410")
    with pytest.raises(AssertionError) as caught, ScriptedServer() as server, refused:
        syncws.connect(server.url + "chat")

    assert str(caught.value) == "client 1 (/chat) of the scripted server: not expected"


def test_clients_that_never_come():
    """Each script and each refusal that nobody needed is told."""
    with pytest.raises(AssertionError) as caught, ScriptedServer(timeout=SHORT) as server:
        server.refuse(503)
        server.expect("hello")

    assert str(caught.value).splitlines() == [
        "client 2 of the scripted server: it never came",
        "    1. expect 'hello'",
        "client 1 of the scripted server: it never came, to be refused",
    ]


def test_the_end_waits_for_a_client():
    """One that works in the background, and comes late."""
    with ScriptedServer() as server:
        server.expect("hello")
        ready = threading.Event()

        def talk():
            ready.wait(WATCHDOG)
            with syncws.connect(server.url) as ws:
                ws.send("hello")

        talking = Running(talk)
        closing = Running(server.check)
        ready.set()
        closing.result()
    talking.result()


def test_a_step_that_does_not_end():
    """It is named."""
    go_on = threading.Event()
    server = ScriptedServer(timeout=SHORT)
    server.client().call(lambda ws: go_on.wait(WATCHDOG))
    ws = syncws.connect(server.url)
    with pytest.raises(AssertionError, match=r"this step is still going on(.|\n)*> 1\. call <l"):
        server.check()
    go_on.set()
    ws.close()
    with contextlib.suppress(AssertionError):
        server.close()


def test_an_error_of_the_test_is_not_hidden():
    """Nor is anything waited for, when clients did nothing wrong."""
    error = RuntimeError("the test's own")
    with pytest.raises(RuntimeError) as caught, ScriptedServer(timeout=1000) as server:
        server.expect("hello")
        raise error

    assert caught.value is error


def test_scripts_that_make_no_sense():
    """Nothing comes behind the end, and nothing is added under a client's feet."""
    with ScriptedServer() as server:
        script = server.expect("hello").close()
        with pytest.raises(ValueError, match="nothing can follow 'close 1000'"):
            script.send("too late")
        with syncws.connect(server.url) as ws:
            ws.send("hello")
            assert ws.wait_closed(WATCHDOG)
        with pytest.raises(RuntimeError, match="a client plays this script already"):
            script.drop()


def test_close_twice():
    """The second does nothing, whatever the first found."""
    server = ScriptedServer(timeout=SHORT)
    server.expect("hello")
    with pytest.raises(AssertionError):
        server.close()
    server.close()


# The fixtures.

TESTS = """
import syncws

pytest_plugins = ["syncws.testing.pytest_plugin"]

def test_kept(scripted_server, relay_to):
    scripted_server.expect("hello").send("hi")
    with syncws.connect(relay_to(scripted_server.url).url) as ws:
        ws.send("hello")
        assert ws.recv() == "hi"

def test_not_kept(scripted_server):
    scripted_server.expect("hello")
    with syncws.connect(scripted_server.url) as ws:
        ws.send("hallo")
        ws.wait_closed()
"""


def test_fixtures(tmp_path):
    """A test whose client does not keep to the script fails at its end, and says why."""
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True)

    assert "2 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "client 1 (/) of the scripted server: got 'hallo'" in done.stdout
    assert "> 1. expect 'hello'" in done.stdout
