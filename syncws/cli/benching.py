"""``syncws bench``: round trips with a stopwatch, on several connections at a time."""

from __future__ import annotations

import argparse
import array
import contextlib
import shutil
import sys
import threading
import time
from typing import Any

from .. import Connection, ConnectionClosed, connect
from .exits import Exit, UsageError, verdict
from .figures import report
from .opening import as_usage, client_options, tell_handshake
from .output import notice, out
from .progress import progress

_LOOK = 0.1  # seconds between two looks at how far it is
_MOMENT = 1.0  # seconds


class Bench:
    """
    Some connections, and what was measured on them.

    Attributes:
        latencies: of each connection, in seconds.
        seconds: how long all took together, so far.
    """

    def __init__(self, message: str | bytes, messages: int, timeout: float) -> None:
        self._message = message
        self._messages = messages
        self._timeout = timeout
        self._connections: list[Connection] = []
        self._lock = threading.Lock()  # guards the next one
        self._measuring = 0  # threads
        # Not Thread.join(): in Python before 3.13 one that Ctrl-C interrupts ends every later one.
        self._over = threading.Event()
        self._over.set()
        self._failure: BaseException | None = None
        self._begun = self._ended = 0.0
        self.latencies: list[array.array[float]] = []

    @property
    def seconds(self) -> float:
        """How long all took together, so far."""
        return (self._ended if self._over.is_set() else time.perf_counter()) - self._begun

    @property
    def done(self) -> int:
        """How many round trips there were."""
        return sum(map(len, self.latencies))

    def open(self, args: argparse.Namespace, options: dict[str, Any]) -> None:
        """
        Open the connections, one after the other.

        Raises:
            Exception: as ``connect()``.
        """
        for _ in range(args.connections):
            with as_usage():
                self._connections.append(connect(args.url, **options))
        tell_handshake(args, self._connections[0])

    def start(self) -> None:
        """Begin to measure, each connection in a thread."""
        self.latencies = [array.array("d") for _ in self._connections]
        self._measuring = len(self._connections)
        self._over.clear()
        self._begun = self._ended = time.perf_counter()
        for pair in zip(self._connections, self.latencies):
            threading.Thread(target=self._measure, args=pair, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait for the end, at most these seconds; return whether it has come."""
        return self._over.wait(seconds)

    def result(self) -> None:
        """
        Close the connections.

        Raises:
            Exception: what went wrong on the first that failed.
        """
        if self._failure is not None:
            raise self._failure
        for connection in self._connections:
            connection.close()

    def cut(self) -> None:
        """Cut all connections, and wait for the threads, which that ends."""
        self._abort()
        self._over.wait(_MOMENT)  # Ctrl-C may have come before all were started

    def _abort(self) -> None:
        for connection in self._connections:
            connection.abort()

    def _measure(self, connection: Connection, latencies: array.array[float]) -> None:
        now = time.perf_counter
        try:
            for _ in range(self._messages):
                begun = now()
                connection.send(self._message, timeout=self._timeout)
                connection.recv(self._timeout)
                latencies.append(now() - begun)
        except Exception as exc:
            if self._failure is None:
                self._failure = exc
                self._abort()
        finally:
            with self._lock:
                self._ended = now()
                self._measuring -= 1
                if not self._measuring:
                    self._over.set()


def run(args: argparse.Namespace) -> Exit:
    """
    Measure, write the figures and return the exit code. After Ctrl-C they are of what was done.

    Raises:
        Exception: as ``exits.verdict()`` expects it.
    """
    if args.size > args.max_size > 0:
        raise UsageError(f"--size {args.size} is more than --max-size {args.max_size}")
    message: str | bytes = bytes(args.size) if args.binary else "x" * args.size
    bench = Bench(message, args.messages, args.timeout)
    code = Exit.OK
    with contextlib.ExitStack() as stack:
        stack.callback(bench.cut)
        bench.open(args, client_options(args))
        try:
            _watch(bench, args.messages * args.connections)
            bench.result()
        except KeyboardInterrupt:
            code = Exit.INTERRUPTED
        except ConnectionClosed as exc:  # however: it was needed
            notice(f"syncws: {verdict(exc)[1]}")
            code = Exit.CLOSED
    if bench.done:
        _write(bench)
    return code


def _watch(bench: Bench, total: int) -> None:
    with progress(total) as advance:
        bench.start()
        while not bench.wait(_LOOK):
            advance(bench.done)


def _write(bench: Bench) -> None:
    latencies = [latency for found in bench.latencies for latency in found]
    width = shutil.get_terminal_size().columns - 1
    for line in report(latencies, bench.seconds, width, _bar()):
        out(line)


def _bar() -> str:
    """Return what bars are made of, where the output can show it."""
    try:
        "█".encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return "#"
    return "█"
