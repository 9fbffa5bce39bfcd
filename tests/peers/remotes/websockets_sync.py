"""``websockets``, its threading implementation."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Sequence

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as websockets_connect
from websockets.sync.connection import Connection
from websockets.sync.server import serve

from peers.remotes import base
from peers.remotes.base import PATIENCE, Arrivals, Gone, Message


class Remote(base.Remote):
    def __init__(self, ws: Connection, stack: contextlib.ExitStack | None = None) -> None:
        self._ws = ws
        self._stack = stack or contextlib.ExitStack()
        self.subprotocol = ws.subprotocol
        self.released = threading.Event()

    def send(self, message: Message) -> None:
        self._ws.send(message)

    def send_fragments(self, parts: Sequence[Message]) -> None:
        self._ws.send(iter(parts))

    def recv(self) -> Message:
        try:
            return self._ws.recv(timeout=PATIENCE)
        except ConnectionClosed:
            raise Gone(self._ws.close_code, self._ws.close_reason) from None

    def ping(self, payload: bytes) -> None:
        assert self._ws.ping(payload).wait(PATIENCE)

    def close(self, code: int, reason: str) -> None:
        self._ws.close(code, reason)

    def vanish(self) -> None:
        self._ws.socket.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        self._stack.close()
        self.released.set()


class Listener(base.Listener):
    def __init__(self, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> None:
        self._arrivals = Arrivals()
        self._server = serve(
            self._handle, "127.0.0.1", 0, subprotocols=list(subprotocols) or None, ssl=context
        )
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _handle(self, ws: Connection) -> None:
        remote = Remote(ws)
        self._arrivals.put(remote)
        remote.released.wait()

    def accept(self) -> Remote:
        return self._arrivals.get()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()


def connect(url: str, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> Remote:
    names = list(subprotocols) or None
    stack = contextlib.ExitStack()
    ws = stack.enter_context(websockets_connect(url, subprotocols=names, ssl=context, proxy=None))
    return Remote(ws, stack)
