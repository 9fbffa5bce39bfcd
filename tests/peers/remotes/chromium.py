"""
Headless Chromium: a page whose WebSocket is driven by the DevTools, which are a WebSocket too.

One browser serves all tests; each has a tab of its own.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

import syncws
from peers.remotes import base
from peers.remotes.base import Gone, Message
from support.threads import WATCHDOG, Running, eventually

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--ignore-certificate-errors",  # it has no option for another CA
    "--remote-debugging-port=0",
]

# Runs the browser, and ends it with all its processes should we be killed.
GUARD = """
    "$@" &
    exec 2>/dev/null
    while kill -0 $PPID; do sleep 1; done
    kill -KILL 0
"""

# What the page keeps: the events of its WebSocket, and who waits for the next one.
SCRIPT = """
    var events = [], waiting = [];
    function tell(event) { waiting.length ? waiting.shift()(event) : events.push(event); }
    function next() { return events.shift() || new Promise(resolve => waiting.push(resolve)); }
    function base64(buffer) {
        let text = "";
        for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
        return btoa(text);
    }
    function open_ws(url, subprotocols) {
        ws = new WebSocket(url, subprotocols);
        ws.binaryType = "arraybuffer";
        ws.onopen = () => tell({subprotocol: ws.protocol});
        ws.onclose = ({code, reason}) => tell({code, reason});
        ws.onmessage = ({data}) =>
            tell(typeof data === "string" ? {text: data} : {binary: base64(data)});
    }
"""


class Browser:
    """A Chromium process, started when it is first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = self._url = ""

    def url(self) -> str:
        """Return the URL of its DevTools."""
        if self._process is None:
            self._start()
        return self._url

    def _start(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="syncws-chromium-")
        self._process = subprocess.Popen(
            ["sh", "-c", GUARD, "sh", "chromium", *FLAGS, f"--user-data-dir={self._folder}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            with self._process.stderr as stderr:  # later messages have nowhere to go
                self._url = Running(_devtools_url, stderr).result()
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End all its processes at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(WATCHDOG)
            self._process = None
            eventually(self._cleared, f"the end of {self._folder}")

    def _cleared(self) -> bool:
        """Remove its files; those of its processes that are still dying may write some more."""
        shutil.rmtree(self._folder, ignore_errors=True)
        return not os.path.exists(self._folder)


def _devtools_url(stderr: Iterable[bytes]) -> str:
    """Find the URL among what the browser says at its start."""
    said = []
    for line in stderr:
        found = re.search(rb"DevTools listening on (ws://\S+)", line)
        if found:
            return found[1].decode()
        said.append(line)
    raise AssertionError(f"chromium did not start: {b''.join(said)!r}")


BROWSER = Browser()
atexit.register(BROWSER.kill)


class Tab:
    """A page in the browser, empty at first."""

    def __init__(self) -> None:
        self.devtools = syncws.connect(BROWSER.url(), max_size=None, ping_interval=None)
        self._ids = itertools.count(1)
        self._session: str | None = None
        self._events: list[str] = []
        self._target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **params: object) -> Any:
        """Call a method of the DevTools; return its result."""
        number = next(self._ids)
        command = {"id": number, "method": method, "params": params}
        if self._session is not None:
            command["sessionId"] = self._session
        self.devtools.send(json.dumps(command))
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "result" in answer, answer
                return answer["result"]

    def _read(self) -> Any:
        answer = json.loads(self.devtools.recv(WATCHDOG))
        if "method" in answer:
            self._events.append(answer["method"])
        return answer

    def visit(self, url: str) -> None:
        """Load a page."""
        self._events.clear()
        navigated = self.call("Page.navigate", url=url)
        assert "errorText" not in navigated, navigated
        while "Page.loadEventFired" not in self._events:
            self._read()

    def run(self, script: str) -> Any:
        """Run JavaScript in the page; return its value, or that of its promise."""
        outcome = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in outcome, outcome
        return outcome["result"].get("value")

    def close(self) -> None:
        """Close the page, if the browser is still there, and the DevTools."""
        with contextlib.suppress(syncws.ConnectionClosed):
            self._session = None
            self.call("Target.closeTarget", targetId=self._target)
        self.devtools.close()


class Remote(base.Remote):
    def __init__(self, url: str, subprotocols: Sequence[str]) -> None:
        self._tab = Tab()
        self._tab.visit(f"http{url[2:]}blank")
        self._tab.run(SCRIPT)
        self._tab.run(f"open_ws({json.dumps(url)}, {json.dumps(list(subprotocols))})")
        self.subprotocol = self._next()["subprotocol"] or None

    def send(self, message: Message) -> None:
        if isinstance(message, str):
            self._tab.run(f"ws.send({json.dumps(message)})")
        else:
            text = base64.b64encode(message).decode()
            self._tab.run(f"ws.send(Uint8Array.from(atob('{text}'), c => c.charCodeAt(0)))")

    def recv(self) -> Message:
        event = self._next()
        return event["text"] if "text" in event else base64.b64decode(event["binary"])

    def close(self, code: int, reason: str) -> None:
        self._tab.run(f"ws.close({code}, {json.dumps(reason)})")
        with contextlib.suppress(Gone):
            self.recv()

    def vanish(self) -> None:
        BROWSER.kill()

    def release(self) -> None:
        self._tab.close()

    def _next(self) -> dict[str, Any]:
        event = self._tab.run("next()")
        if "code" in event:
            raise Gone(event["code"], event["reason"])
        return event


def connect(url: str, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> Remote:
    return Remote(url, subprotocols)
