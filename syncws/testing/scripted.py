"""ScriptedServer: a server for tests, which does with each client what the test says."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from ..connection import Connection
from ..deadline import Deadline, wait
from ..sansio import HeadersLike, Request, Response, names_websocket
from ..server import ThreadingServer
from .script import Script

_NOT_EXPECTED = 410  # no reason to try again


class ScriptedServer:
    """
    A server on a free port of 127.0.0.1 that plays scripts: one for each client, in their order.

    It listens as soon as it is made. ``close()``, or the end of a ``with`` block, waits until all
    scripts are played, and raises AssertionError if a client did something else, never came, or was
    not expected. All methods may be called from any thread.

    A client that does not keep to its script is told what was expected, by close code 4999.

    Attributes:
        url, port: where it listens.
        requests: the request of each client, refused ones included.

    Args:
        timeout: seconds to wait for each message that is expected, and at the end for all scripts.
        **options: as for ``ThreadingServer``: ``subprotocols``, ``ssl``, ``max_size``, ...
    """

    def __init__(self, *, timeout: float = 5.0, **options: Any) -> None:
        self._timeout = timeout
        self._changed = threading.Condition()  # guards what follows
        self._scripts: list[Script | Response] = []  # all that were added
        self._playing: dict[int, Script] = {}  # by the request, until the handler has it
        self._unexpected: list[str] = []
        self._closed = False
        self.requests: list[Request] = []
        for name in ("send_timeout", "close_timeout"):
            options.setdefault(name, timeout)
        self._server = ThreadingServer(
            self._play, "127.0.0.1", 0, process_request=self._admit, **options
        )
        self._server.start()
        scheme = "wss" if options.get("ssl") else "ws"
        self.port = self._server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}/"

    # What a test says.

    def client(self) -> Script:
        """Return an empty script for the next client; add steps to it."""
        with self._changed:
            script = Script(len(self._scripts) + 1, self._timeout)
            self._scripts.append(script)
        return script

    def refuse(
        self, status: int, headers: HeadersLike | None = None, body: str | bytes | None = None
    ) -> None:
        """
        Answer the next client with this HTTP status instead of a WebSocket.

        Raises:
            ValueError: 101 is no refusal.
        """
        if status == 101:
            raise ValueError("status 101 opens a WebSocket; use client()")
        with self._changed:
            self._scripts.append(Response(status, headers, body))

    def expect(self, message: object) -> Script:
        """Begin the script of the next client with ``Script.expect``."""
        return self.client().expect(message)

    def send(self, message: Any) -> Script:
        """Begin the script of the next client with ``Script.send``."""
        return self.client().send(message)

    # What the clients find.

    def _admit(self, request: Request) -> Response | None:
        if not names_websocket(request.headers.get_all("Upgrade")):
            return None
        with self._changed:
            number = len(self.requests)
            self.requests.append(request)
            self._changed.notify_all()
            if number >= len(self._scripts):
                self._unexpected.append(
                    f"client {number + 1} ({request.path}) of the scripted server: not expected"
                )
                return Response(_NOT_EXPECTED, body="the script has no more clients\n")
            script = self._scripts[number]
            if isinstance(script, Response):
                return script
            script.begin(request.path)
            self._playing[id(request)] = script
        return None

    def _play(self, ws: Connection) -> None:
        with self._changed:
            script = self._playing.pop(id(ws.request))
        try:
            script.play(ws)
        finally:
            with self._changed:
                self._changed.notify_all()

    # The end.

    def check(self) -> None:
        """
        Wait until all scripts are played.

        Blocks, at most ``timeout`` seconds.

        Raises:
            AssertionError: a client did something else, never came, or was not expected.
        """
        deadline = Deadline(self._timeout)
        with self._changed:
            while not self._failures() and self._unplayed():
                if not wait(self._changed, deadline):
                    break
            failures = self._failures() or self._unplayed()
        if failures:
            raise AssertionError("\n".join(failures))

    def close(self) -> None:
        """
        Do as ``check()``, and shut down. Calling it again does nothing.

        Raises:
            AssertionError: as ``check()``.
        """
        if not self._closed:
            self._closed = True
            try:
                self.check()
            finally:
                self._server.shutdown(timeout=self._timeout)

    def _failures(self) -> list[str]:
        failed = [script.failure for script in self._scripts if isinstance(script, Script)]
        return [failure for failure in failed if failure is not None] + self._unexpected

    def _unplayed(self) -> list[str]:
        refused = [
            f"client {number + 1} of the scripted server: it never came, to be refused"
            for number, script in enumerate(self._scripts)
            if isinstance(script, Response) and number >= len(self.requests)
        ]
        scripts = [script for script in self._scripts if isinstance(script, Script)]
        return [script.unfinished() for script in scripts if not script.done] + refused

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; if the block raised, do not wait, and tell only what a client did otherwise."""
        if exc is None:
            self.close()
            return
        self._closed = True
        with self._changed:
            failures = self._failures()  # before the end of the server becomes one
        self._server.shutdown(timeout=self._timeout)
        if failures and isinstance(exc, Exception):
            raise AssertionError("\n".join(failures)) from exc
