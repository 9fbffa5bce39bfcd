"""A chat of each face serves a browser, websocket-client and our WebSocketApp at once."""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import sys
import threading

import pytest

import syncws
from peers.tabs import once, tab
from support.threads import WATCHDOG, Running, eventually

pytestmark = pytest.mark.peers

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
# Notes what it is told.
PAGE = """
    <!DOCTYPE html>
    <pre id="told"></pre>
    <script>
        const ws = new WebSocket("URL");
        ws.onmessage = ({data}) => { document.getElementById("told").textContent += data + "\\n"; };
        ws.onclose = ({code}) => { document.getElementById("told").textContent += code + "\\n"; };
        const opened = new Promise(resolve => { ws.onopen = resolve; });
    </script>
"""
TOLD = "document.getElementById('told').textContent"


class Talker:
    """A WebSocketApp, theirs or ours: the same words."""

    def __init__(self, kind, url, **options):
        self.told = []
        self.ends = []
        opened = threading.Event()
        self.app = kind(
            url,
            on_open=lambda app: opened.set(),
            on_message=lambda app, message: self.told.append(message),
            on_close=lambda app, code, reason: self.ends.append(code),
        )
        self.running = Running(self.app.run_forever, **options)
        assert opened.wait(WATCHDOG)

    def say(self, text):
        self.app.send(text)

    def has(self, text):
        eventually(lambda: text in self.told)


class Page:
    """A page in the browser that talks, too."""

    def __init__(self, browser, address):
        self._browser = browser
        browser.visit(address)
        browser.run("opened.then(() => 0)")

    def say(self, text):
        self._browser.run(f"ws.send({json.dumps(text)})")

    def has(self, text):
        assert once(self._browser, f"{TOLD}.includes({json.dumps(text)})")


@contextlib.contextmanager
def chat(example, *origins):
    """Run one of the chats; yield its URL."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / example), "0", "127.0.0.1", *origins]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as server:
        try:
            yield server.stdout.readline().split()[-1]
        finally:
            server.kill()


@pytest.mark.parametrize("folder", ["", "aio/"], ids=["threads", "asyncio"])
@pytest.mark.parametrize("example", ["callbacks_chat.py", "events_chat.py"])
def test_a_chat(folder, example, serve):
    """What one says comes to all, whoever they are."""
    theirs = pytest.importorskip("websocket", reason="websocket-client").WebSocketApp
    pages = {}

    def page(request):
        return syncws.Response(200, {"Content-Type": "text/html"}, pages.get(request.path, ""))

    home = serve(process_request=page).url.replace("ws", "http", 1)
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(chat(folder + example, home))
        pages["/"] = PAGE.replace("URL", url)
        talkers = [Talker(theirs, url, suppress_origin=True), Talker(syncws.WebSocketApp, url)]
        everybody = [*talkers, Page(stack.enter_context(tab()), home + "/")]
        for number, somebody in enumerate(everybody):
            somebody.say(f"I am {number}")
            somebody.has(f"I am {number}")
        for number, somebody in enumerate(everybody):
            somebody.say(f"good-bye from {number}")
            for other in everybody:
                other.has(f"good-bye from {number}")
        talkers[1].app.close()
        talkers[1].running.result()
    # Its close() may let run_forever() wait for ten seconds. But the server is gone.
    talkers[0].running.result()

    assert talkers[1].ends == [1000]
