"""The command line in a real terminal, with the libraries of ``syncws[cli]`` and without."""

from __future__ import annotations

import contextlib
import importlib.util
import queue
import threading

import pytest

from peers.remotes import missing
from peers.terminals import terminal, without
from support.command import command
from support.threads import WATCHDOG
from syncws import ConnectionClosed

pytestmark = pytest.mark.peers

EXTRA = ("prompt_toolkit", "rich")


@pytest.fixture(params=["extra", "plain"])
def run(request, tmp_path):
    """Return a function that runs a command in a terminal."""
    with contextlib.ExitStack() as stack:

        def start(*args):
            hidden = []
            if request.param == "plain":
                hidden = [without(tmp_path, *EXTRA)]
            elif any(importlib.util.find_spec(name) is None for name in EXTRA):
                missing("syncws[cli]", "pip install 'syncws[cli]'")
            return stack.enter_context(terminal(command(*args), *hidden))

        start.plain = request.param == "plain"
        yield start


class Server:
    """An echo server whose only client can be talked to by the test."""

    def __init__(self, serve):
        self.clients = queue.SimpleQueue()
        self.messages = queue.SimpleQueue()
        self.ends = queue.SimpleQueue()
        self.url = serve(self._handle).url

    def _handle(self, ws):
        self.clients.put(ws)
        with contextlib.suppress(ConnectionClosed):
            while True:
                message = ws.recv()
                self.messages.put(message)
                ws.send(message)
        ws.wait_closed()
        self.ends.put((ws.close_code, ws.close_reason))


@pytest.fixture
def talk(run, serve):
    """Return a function that makes (a terminal with a prompt, the Server, its connection)."""

    def start(*args):
        server = Server(serve)
        shown = run("connect", *args, server.url)
        shown.has("Connected to 127.0.0.1:")
        shown.ends_with(">")
        return shown, server, server.clients.get(timeout=WATCHDOG)

    return start


def test_typing_and_history(talk):
    """What is typed is sent; an earlier line comes back by arrow up, and can be edited."""
    shown, server, _ = talk()
    shown.type("hello")
    shown.press("Enter")
    shown.ends_with("> hello", "< hello", ">")
    shown.press("Up")
    shown.ends_with("< hello", "> hello")
    shown.press("Home")
    shown.type("oh, ")
    shown.press("Enter")
    shown.ends_with("> oh, hello", "< oh, hello", ">")
    assert [server.messages.get(timeout=WATCHDOG) for _ in range(2)] == ["hello", "oh, hello"]


def test_a_message_while_typing(talk):
    """It appears above the prompt; what was typed is still there, and is sent whole."""
    shown, server, ws = talk()
    shown.type("unfinished")
    shown.ends_with("> unfinished")
    ws.send("news")
    ws.send(b"\x00\xff")
    shown.ends_with("< news", "< [binary, 2 bytes] 00 ff", "> unfinished")
    shown.type(" line")
    shown.press("Enter")
    shown.ends_with("> unfinished line", "< unfinished line", ">")
    assert server.messages.get(timeout=WATCHDOG) == "unfinished line"


def test_controls_do_not_reach_the_terminal(talk):
    """The screen is not cleared, the title stays, nothing moves."""
    shown, _, ws = talk()
    ws.send("\x1b[2J\x1b]0;owned\x07\x9b5A\r\u202egpj.exe")
    shown.ends_with(r"< \x1b[2J\x1b]0;owned\x07\x9b5A\r\u202egpj.exe", ">")
    assert shown.lines[-3].startswith("Connected to")
    assert "owned" not in shown.tmux("display-message", "-p", "#{pane_title}")


def test_commands(talk):
    """Pings with their latency, bytes, help, and a close with code and reason."""
    shown, server, _ = talk()
    shown.type("/ping")
    shown.press("Enter")
    shown.has("Pong after ")
    shown.type("/binary c0ffee")
    shown.press("Enter")
    shown.has("< [binary, 3 bytes] c0 ff ee")
    shown.type("/help")
    shown.press("Enter")
    shown.has("/close [CODE [REASON]]")
    shown.type("/nonsense")
    shown.press("Enter")
    shown.has("there is no /nonsense")
    shown.type("/close 4000 out of coffee")
    shown.press("Enter")
    shown.ends_with("exit code 0")
    assert server.ends.get(timeout=WATCHDOG) == (4000, "out of coffee")


@pytest.mark.parametrize(("key", "code"), [("C-d", 0), ("C-c", 130)])
def test_leaving(talk, key, code):
    """Both keys close with 1000."""
    shown, server, _ = talk()
    shown.press(key)
    shown.ends_with(f"exit code {code}")
    shown.has("closed: sent 1000 (normal closure); received 1000")
    assert server.ends.get(timeout=WATCHDOG) == (1000, "")


def test_ctrl_c_twice(run, dial_silence):
    """A server that does not answer the Close is not waited for."""
    url, closing = dial_silence
    shown = run("connect", "--close-timeout", 3600, url)
    shown.ends_with(">")
    shown.press("C-c")
    assert closing.wait(WATCHDOG)
    shown.press("C-c")
    shown.ends_with("exit code 130")


@pytest.fixture
def dial_silence(listener):
    """Yield (the URL of a server that never answers a Close, an Event for that it came)."""
    from support.ends import QuickPeer
    from support.threads import Running

    closing = threading.Event()

    def serve_one():
        with QuickPeer.accepting(listener) as peer:
            peer.recv_until(8)
            closing.set()
            with contextlib.suppress(OSError, AssertionError):
                peer.recv()

    serving = Running(serve_one)
    yield f"ws://127.0.0.1:{listener.getsockname()[1]}", closing
    serving.thread.join(WATCHDOG)


@pytest.mark.parametrize(("code", "exit_code"), [(1001, 0), (4000, 5)])
def test_the_server_closes(talk, code, exit_code):
    """Nobody presses a key; a line that is half typed is no reason to stay."""
    shown, _, ws = talk()
    shown.type("unfinished")
    shown.ends_with("> unfinished")
    ws.close(code, "so \x1b[2J long")
    shown.ends_with(f"exit code {exit_code}")
    shown.has(r"so \x1b[2J long")
    shown.has("> unfinished")


def test_the_terminal_is_as_before(talk):
    """What is typed after the end is echoed: the terminal is in no mode of ours."""
    shown, _, ws = talk()
    ws.close()
    shown.ends_with("exit code 0")
    shown.type("echoed")
    shown.ends_with("exit code 0", "echoed")


def test_how_to_get_the_better_prompt_is_told(talk, run):
    """Once, and only who lacks it."""
    shown, _, _ = talk()
    assert sum("pip install 'syncws[cli]'" in line for line in shown.lines) == run.plain


def test_bench_shows_its_progress(run, serve):
    """Beside the figures, which come at the end; the bar is gone then."""
    seen = threading.Event()

    def handler(ws):
        for number, message in enumerate(ws):
            if number == 500:
                seen.wait(WATCHDOG)
            ws.send(message)

    shown = run("bench", "--messages", 1000, serve(handler).url)
    shown.has("500 of 1000 (50 %)" if run.plain else "500/1000")
    seen.set()
    shown.ends_with("exit code 0")
    shown.has("1000 round trips in ")
    assert not any("500 of 1000" in line or "500/1000" in line for line in shown.lines)
    bars = [line for line in shown.lines if line.endswith("█")]
    assert max(map(len, bars)) == 99


def test_echo_server_ends_by_ctrl_c(run):
    """With no traceback."""
    shown = run("echo-server", "--port", 0)
    shown.has("listening on ws://localhost:")
    shown.press("C-c")
    shown.ends_with("exit code 0")
    assert not any("Traceback" in line for line in shown.lines)
