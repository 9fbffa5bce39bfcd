"""The server that the views call."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator

import pytest

import syncws


class Backend:
    """
    A WebSocket server in the test's process.

    Attributes:
        pushed: messages that came to ``/shared``.
        arrivals: connections to ``/shared``.
        ends: their close codes.
        waiting: connections to ``/slow``, when their question is there.
        release: lets those be answered.
    """

    def __init__(self) -> None:
        self.pushed: list[str | bytes] = []
        self.arrivals: queue.Queue[syncws.Connection] = queue.Queue()
        self.ends: queue.Queue[int | None] = queue.Queue()
        self.waiting: queue.Queue[syncws.Connection] = queue.Queue()
        self.release = threading.Event()
        self._url = ""

    def url(self, path: str) -> str:
        """Where ``/echo``, ``/slow`` or ``/shared`` is."""
        return f"{self._url}{path}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Backend]:
        """Serve on a free port."""
        with syncws.ThreadingServer(self._handle, "127.0.0.1", 0) as server:
            server.start()
            self._url = "ws://{}:{}".format(*server.server_address)
            try:
                yield self
            finally:
                self.release.set()

    def _handle(self, ws: syncws.Connection) -> None:
        {"/echo": self._echo, "/slow": self._slow, "/shared": self._shared}[ws.path](ws)

    def _echo(self, ws: syncws.Connection) -> None:
        for message in ws:
            ws.send(f"answer to {message}")

    def _slow(self, ws: syncws.Connection) -> None:
        message = ws.recv()
        self.waiting.put(ws)
        self.release.wait()
        ws.send(f"answer to {message}")

    def _shared(self, ws: syncws.Connection) -> None:
        self.arrivals.put(ws)
        try:
            for message in ws:
                self.pushed.append(message)
        finally:
            self.ends.put(ws.close_code)


@pytest.fixture
def backend() -> Iterator[Backend]:
    """Return a running backend."""
    with Backend().running() as running:
        yield running
