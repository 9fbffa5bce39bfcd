"""
The connections that this process has taken over from WSGI servers, until they are closed.

Nobody else could say goodbye to them: a server that stops waits for them, or cuts them off.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Callable

from .codes import CloseCode
from .connection import Connection
from .deadline import Deadline, wait
from .engine import Engine
from .exceptions import Close, TooManyConnections
from .forks import on_change
from .housekeeper import housekeeper
from .workers import Job, Workers

GOODBYE = Close(CloseCode.GOING_AWAY.value, "")
_LOOK = 0.5  # seconds between two looks whether a server wants to stop
_PARTING = 1.0  # seconds for the closing handshakes at the end of the program


class Accepted:
    """The connections, and threads for the handlers of those that are detached. Thread-safe."""

    def __init__(self) -> None:
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget all: in a forked child they are the parent's."""
        self._lock = threading.Lock()
        self._reserved = 0
        # With each, whether its server wants to stop; and itself if it is detached: nobody else
        # may hold it.
        self._open: dict[Engine, tuple[Callable[[], bool], Connection | None]] = {}
        self._running: set[Engine] = set()  # those whose handlers have not returned
        self._looking = False
        self._workers = Workers("syncws-handler")

    @contextlib.contextmanager
    def room(self, limit: int) -> Iterator[None]:
        """
        Keep room for one more that is detached.

        Raises:
            TooManyConnections: there are as many already.
        """
        with self._lock:
            self._drop_closed()
            held = {engine for engine, (_, kept) in self._open.items() if kept is not None}
            # A client that leaves does not end its handler, which may be waiting for a database.
            if len(held | self._running) + self._reserved >= limit:
                raise TooManyConnections
            self._reserved += 1
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= 1

    def add(self, connection: Connection, detached: bool, stopping: Callable[[], bool]) -> None:
        """Take in a connection; ``stopping`` tells whether its server wants to stop."""
        with self._lock:
            self._open[connection._engine] = (stopping, connection if detached else None)
            if not self._looking:
                self._looking = True
                housekeeper.call_later(_LOOK, self._look)

    def run(self, connection: Connection, job: Job) -> None:
        """
        Do the job of a detached connection in a thread of its own. Does not block.

        Raises:
            RuntimeError: the system has no more threads; the connection was cut.
        """
        engine = connection._engine
        with self._lock:
            self._running.add(engine)

        def undo() -> None:
            self._ran(engine)
            connection.abort()

        self._workers.get().start(functools.partial(self._run, engine, job), undo)

    def _run(self, engine: Engine, job: Job) -> None:
        try:
            job()
        finally:
            self._ran(engine)

    def _ran(self, engine: Engine) -> None:
        with self._lock:
            self._running.discard(engine)

    def goodbye(self) -> None:
        """Close all of them; at the end of the program. Blocks for a second at most."""
        with self._lock:
            engines = list(self._open)
        for engine in engines:
            engine.begin_close(GOODBYE)
        deadline = Deadline(_PARTING)
        for engine in engines:
            wait(engine.closed, deadline)

    def _look(self) -> None:
        with self._lock:
            self._drop_closed()
            left = [engine for engine, (stopping, _) in self._open.items() if stopping()]
            self._looking = bool(self._open)
            if self._looking:
                housekeeper.call_later(_LOOK, self._look)
        for engine in left:
            engine.begin_close(GOODBYE)

    def _drop_closed(self) -> None:
        """Needs the lock."""
        self._open = {
            engine: entry for engine, entry in self._open.items() if not engine.closed.is_set()
        }


accepted = Accepted()
atexit.register(accepted.goodbye)
on_change(lambda parent: accepted.start_afresh())
