"""What a ScriptedServer does with one client, step by step, and what it tells if that fails."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Callable, NamedTuple

from ..codes import CloseCode
from ..connection import Connection
from ..exceptions import ConnectionClosed
from ..outgoing import DataLike

_SHOWN = 200  # characters of a message
_FAILED = 4999  # the close code for a client that does not keep to the script
_MAX_REASON = 123  # bytes; RFC 6455 section 5.5


class Mismatch(Exception):
    """The client did something else."""


class Step(NamedTuple):
    """One step: what it is called, and what it does; ``last`` if nothing can follow."""

    name: str
    act: Callable[[Connection], object]
    last: bool = False


class Script:
    """
    What happens to one client of a ScriptedServer. Each method adds a step and returns the script.

    When all steps are done the connection is closed with 1000. ``ScriptedServer`` makes it; it can
    be added to until its client comes.
    """

    def __init__(self, number: int, timeout: float) -> None:
        self._number = number
        self._timeout = timeout
        self._steps: list[Step] = []
        self._at = 0  # the step that is being done
        self._lock = threading.Lock()
        self._begun_at: str | None = None  # the client's path
        self.done = False
        self.failure: str | None = None

    # What a test says.

    def expect(self, message: object) -> Script:
        """
        Wait for the client's next message, which must be this one.

        Args:
            message: what it must be equal to; or a function that is called with it and says so.
        """
        name = getattr(message, "__name__", "a function") if callable(message) else shown(message)
        return self._add(f"expect {name}", lambda ws: self._expect(ws, message))

    def send(self, message: DataLike | Iterable[DataLike]) -> Script:
        """Send a message, as ``Connection.send()`` does; an iterable goes in fragments."""
        return self._add(f"send {shown(message)}", lambda ws: ws.send(message))

    def call(self, function: Callable[[Connection], object]) -> Script:
        """Call a function with the connection, in the server's thread, for all that is no step."""
        name = getattr(function, "__name__", repr(function))
        return self._add(f"call {name}", function)

    def expect_close(self, code: int | None = None) -> Script:
        """Wait until the client closes the connection, with this code; ``None`` is any code."""
        name = "expect_close" if code is None else f"expect_close {code}"
        return self._add(name, lambda ws: self._expect_close(ws, code), last=True)

    def close(self, code: int = 1000, reason: str = "") -> Script:
        """Close the connection with this code and reason."""
        return self._add(f"close {code}", lambda ws: ws.close(code, reason), last=True)

    def drop(self) -> Script:
        """Cut TCP by a reset, without a closing handshake, as a server that crashes."""
        return self._add("drop", lambda ws: ws.abort(), last=True)

    def _add(self, name: str, act: Callable[[Connection], object], last: bool = False) -> Script:
        with self._lock:
            if self._begun_at is not None:
                raise RuntimeError(f"{name}: a client plays this script already")
            if self._steps and self._steps[-1].last:
                raise ValueError(f"{name}: nothing can follow {self._steps[-1].name!r}")
            self._steps.append(Step(name, act, last))
        return self

    # What the server does.

    def begin(self, path: str) -> None:
        """Note that a client came."""
        with self._lock:
            self._begun_at = path

    def play(self, ws: Connection) -> None:
        """Do all steps, or tell the client by a Close which one could not be done."""
        for step in self._steps:
            try:
                step.act(ws)
            except Mismatch as exc:
                self._fail(ws, str(exc))
                return
            except Exception as exc:
                self._fail(ws, f"{type(exc).__name__}: {exc}")
                return
            self._at += 1
        self.done = True

    def _fail(self, ws: Connection, got: str) -> None:
        self.failure = self.told(got)
        reason = f"{self._steps[self._at].name}: {got}".encode()[:_MAX_REASON]
        ws.close(_FAILED, reason.decode(errors="ignore"))

    def told(self, got: str) -> str:
        """Say where the script stands, and what happened there."""
        came = "" if self._begun_at is None else f" ({self._begun_at})"
        lines = [f"client {self._number}{came} of the scripted server: {got}"]
        for index, step in enumerate(self._steps):
            here = self._begun_at is not None and index == self._at
            lines.append(f"{'  > ' if here else '    '}{index + 1}. {step.name}")
        return "\n".join(lines)

    def unfinished(self) -> str:
        """Say why the script is not done."""
        if self._begun_at is None:
            return self.told("it never came")
        if not self._steps or self._at == len(self._steps):
            return self.told("the end is still going on")
        return self.told("this step is still going on, or the opening handshake failed")

    # The steps that look at something.

    def _next(self, ws: Connection) -> Any:
        try:
            return ws.recv(self._timeout)
        except TimeoutError:
            raise Mismatch(f"got nothing in {self._timeout} s") from None
        except ConnectionClosed as exc:
            raise Mismatch(f"got the end of the connection: {exc}") from None

    def _expect(self, ws: Connection, message: object) -> None:
        got = self._next(ws)
        fits = message(got) if callable(message) else message == got
        if not fits:
            raise Mismatch(f"got {shown(got)}")

    def _expect_close(self, ws: Connection, code: int | None) -> None:
        try:
            got = ws.recv(self._timeout)
        except TimeoutError:
            raise Mismatch(f"got no Close in {self._timeout} s") from None
        except ConnectionClosed as exc:
            closed = CloseCode.ABNORMAL_CLOSURE.value if exc.rcvd is None else exc.rcvd.code
            if code not in (None, closed):
                raise Mismatch(f"got close code {closed}") from None
        else:
            raise Mismatch(f"got {shown(got)}")


def shown(message: object) -> str:
    """Write a message so that it can be read, also a long one."""
    text = repr(message)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"
