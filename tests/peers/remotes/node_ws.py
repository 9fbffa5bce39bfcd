"""Node's ``ws``: a process that takes commands and tells events, as lines of JSON."""

from __future__ import annotations

import base64
import contextlib
import json
import pathlib
import queue
import ssl
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

from peers.remotes import base
from peers.remotes.base import Gone, Message, as_text
from support import tls
from support.threads import WATCHDOG

SCRIPT = pathlib.Path(__file__).parent.parent / "node" / "ws_remote.js"


class Remote(base.Remote):
    def __init__(self, **settings: object) -> None:
        self._process = subprocess.Popen(
            ["node", str(SCRIPT), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="peer-node", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._events.put(json.loads(line))
        self._events.put({"event": "exit"})

    def opened(self) -> None:
        """Wait for the end of the opening handshake."""
        self.subprotocol = self.next("open")["subprotocol"] or None

    def send(self, message: Message) -> None:
        self.send_fragments([message])

    def send_fragments(self, parts: Sequence[Message]) -> None:
        binary = not isinstance(parts[0], str)
        for index, part in enumerate(parts):
            self._command("send", as_text(part), binary=binary, fin=index == len(parts) - 1)

    def recv(self) -> Message:
        event = self.next("message")
        return event["data"] if event["binary"] else event["data"].decode()

    def ping(self, payload: bytes) -> None:
        self._command("ping", payload)
        assert self.next("pong")["data"] == payload

    def close(self, code: int, reason: str) -> None:
        self._command("close", code=code, reason=reason)
        with contextlib.suppress(Gone):
            self.next("close")

    def vanish(self) -> None:
        self._process.kill()

    def release(self) -> None:
        self._process.kill()
        self._process.wait(WATCHDOG)
        self._reader.join(WATCHDOG)
        self._process.stdin.close()
        self._process.stdout.close()

    def _command(self, name: str, data: bytes = b"", **values: object) -> None:
        command = {"command": name, "data": base64.b64encode(data).decode(), **values}
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def next(self, wanted: str) -> dict[str, Any]:
        """Wait for an event; raise ``Gone`` if the connection ends instead."""
        event = self._events.get(timeout=WATCHDOG)
        if "data" in event:
            event["data"] = base64.b64decode(event["data"])
        if event["event"] == "close":
            raise Gone(event["code"], event["reason"])
        assert event["event"] == wanted, event
        return event


class Listener(base.Listener):
    def __init__(self, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> None:
        certificate = str(tls.CERTS / "localhost.pem") if context else None
        self._remote = Remote(role="server", subprotocols=subprotocols, certificate=certificate)
        self.port = self._remote.next("listening")["port"]

    def accept(self) -> Remote:
        self._remote.opened()
        return self._remote

    def close(self) -> None:
        self._remote.release()


def connect(url: str, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> Remote:
    ca = str(tls.CA) if context else None
    remote = Remote(role="client", url=url, subprotocols=subprotocols, ca=ca)
    remote.opened()
    return remote
