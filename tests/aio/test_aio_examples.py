"""Every file in examples/aio is run for real, as a user would, by the test that has its name."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import urllib.error

import pytest

import syncws
from support.examples import (
    EXAMPLES,
    HOST,
    both_ways,
    chat_with_callbacks,
    chat_with_events,
    fetch,
    keep_open,
    run,
    serving,
    untested,
)
from support.threads import WATCHDOG


def test_every_example_has_a_test():
    """A file that nothing runs would rot."""
    assert untested(EXAMPLES / "aio", globals()) == set()


def test_echo_server():
    """It sends back what it gets."""
    with serving("aio/echo_server.py") as example, syncws.connect(example.url) as ws:
        ws.send("hello")
        assert ws.recv() == "hello"


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="Ctrl-C strikes whichever task runs, before Python 3.11"
)
def test_ctrl_c():
    """It closes the connections and ends without a word."""
    with serving("aio/echo_server.py") as example, syncws.connect(example.url) as ws:
        example.send_signal(signal.SIGINT)

        assert list(ws) == []
        assert ws.close_code == 1001
        assert example.wait(WATCHDOG) == 0


def test_echo_client(serve):
    """It shows what comes back."""
    server = serve()

    assert run("aio/echo_client.py", server.server_address[1], HOST) == ["< Hello!"]


def test_both():
    """It sends while it receives, and both tasks end with the connection."""
    both_ways("aio/both.py")


def test_threads_and_tasks():
    """What a thread and a task send goes out whole, each in its order."""
    assert run("aio/threads_and_tasks.py") == [
        "1000 messages of the thread came back, in order",
        "1000 messages of the task came back, in order",
    ]


def test_keep_open(serve):
    """It shows messages, pings when none come, and ends with the connection."""
    keep_open("aio/keep_open.py", serve)


def test_registration():
    """All clients get a message, the sender too; one that left does no harm."""
    with serving("aio/registration.py") as example, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(syncws.connect(example.url)) for _ in range(3)]
        for ws in clients:
            ws.send("I am here")
            while ws.recv() != "I am here":
                pass
        clients[0].close()
        clients[1].send("good-bye")

        for ws in clients[1:]:
            assert "good-bye" in iter(ws.recv, None)


def test_show_time_server():
    """It serves the page, and the time to who comes from that page, but to no other site."""
    with serving("aio/show_time_server.py") as example:
        origin = example.url.rstrip("/")
        url = origin.replace("http", "ws") + "/time"
        with syncws.connect(url, origin=origin) as ws:
            assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", ws.recv())
        with pytest.raises(syncws.InvalidStatus, match="403"):
            syncws.connect(url, origin="null")  # what a browser says for a file

        page = (EXAMPLES / "show_time.html").read_bytes()
        assert fetch(example.url) == (200, "text/html; charset=utf-8", page)
        with pytest.raises(urllib.error.HTTPError, match="404") as missing:
            fetch(example.url + "favicon.ico")
        missing.value.close()


def test_trio_echo():
    """Both tasks do their work; the loop that is left early leaves nothing to warn of."""
    pytest.importorskip("trio")

    assert run("aio/trio_echo.py") == ["< Hello!", "< How are you?", "< Good-bye!"]


def test_callbacks_chat():
    """Everybody gets what somebody says, and is told who comes and goes."""
    chat_with_callbacks("aio/callbacks_chat.py")


def test_events_chat():
    """Everybody gets what somebody says."""
    chat_with_events("aio/events_chat.py")
