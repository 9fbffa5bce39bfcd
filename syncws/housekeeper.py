"""
One daemon thread for the whole process: timers, and writes that wait for the socket.

Knows nothing of WebSocket. Its callbacks must not block: they are called one after the other.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import os
import select
import socket
import threading
import time
from typing import Callable

from .deadline import FOREVER

logger = logging.getLogger("syncws")

Callback = Callable[[], None]
_SWEEP = 256  # timers, from which on cancelled ones are looked for


class Timer:
    """A callback at a time. ``cancel`` may be called from any thread, also too late."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callback) -> None:
        self.when = when
        self.callback: Callback | None = callback

    @property
    def pending(self) -> bool:
        """Whether the callback is still to be called."""
        return self.callback is not None

    def cancel(self) -> None:
        """Do not call the callback any more. It may be running just now."""
        self.callback = None


class Housekeeper:
    """
    Calls back when a time has come, or when a socket takes bytes again.

    Thread-safe. Its thread starts with the first request and stays; waiting costs it nothing.
    """

    def __init__(self) -> None:
        self._waker: socket.socket | None = None
        self._sleeper: socket.socket | None = None
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget all; in a forked child the thread is gone and the lock may be held for ever."""
        for sock in (self._waker, self._sleeper):
            if sock is not None:
                sock.close()
        self._lock = threading.Lock()
        self._timers: list[tuple[float, int, Timer]] = []
        self._sweep_at = _SWEEP
        self._order = (
            itertools.count()
        )  # timers of one moment are called in the order of their making
        self._writers: dict[socket.socket, Callback] = {}
        self._thread: threading.Thread | None = None
        self._sleeping_until = 0.0

    def call_later(self, seconds: float, callback: Callback) -> Timer:
        """Call back once, ``seconds`` from now."""
        timer = Timer(time.monotonic() + seconds, callback)
        with self._lock:
            if len(self._timers) >= self._sweep_at:
                self._sweep()
            heapq.heappush(self._timers, (timer.when, next(self._order), timer))
            self._wake(timer.when)
        return timer

    def _sweep(self) -> None:
        """Drop cancelled timers, which may be due in hours only. Needs the lock."""
        self._timers = [entry for entry in self._timers if entry[2].pending]
        heapq.heapify(self._timers)
        self._sweep_at = max(_SWEEP, 2 * len(self._timers))

    def call_when_writable(self, sock: socket.socket, callback: Callback) -> None:
        """Call back once, when the socket takes bytes again or is broken."""
        with self._lock:
            self._writers[sock] = callback
            self._wake(0.0)

    def forget(self, sock: socket.socket) -> None:
        """Watch a socket no more. Call it before the socket is closed."""
        with self._lock:
            self._writers.pop(sock, None)

    def _wake(self, when: float) -> None:
        """See to it that the thread is awake by then. Needs the lock."""
        if self._thread is None:
            self._start_thread()
        elif when < self._sleeping_until:
            assert self._waker is not None
            self._sleeping_until = 0.0  # one byte is enough
            with contextlib.suppress(BlockingIOError):
                self._waker.send(b"\0")

    def _start_thread(self) -> None:
        sleeper, waker = socket.socketpair()
        sleeper.setblocking(False)
        waker.setblocking(False)
        thread = threading.Thread(
            target=self._run, args=(sleeper,), name="syncws-housekeeper", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as exc:
            # The system has no more threads, and the next request tries again; or the program is at
            # its end, where Python 3.12 starts none.
            sleeper.close()
            waker.close()
            logger.info("no housekeeper for now: %s", exc)
            return
        self._sleeper, self._waker, self._thread = sleeper, waker, thread

    def _run(self, sleeper: socket.socket) -> None:
        while True:
            with self._lock:
                due, timeout = self._due_timers()
                writers = list(self._writers)
                self._sleeping_until = 0.0 if due else _forever(timeout)
            for callback in due:
                _call(callback)
            if due:
                continue
            for sock in _wait(sleeper, writers, timeout):
                with self._lock:
                    callback_or_none = self._writers.pop(sock, None)
                if callback_or_none is not None:
                    _call(callback_or_none)

    def _due_timers(self) -> tuple[list[Callback], float | None]:
        """Take out the timers that are due; tell the seconds to the next. Needs the lock."""
        due = []
        now = time.monotonic()
        while self._timers and (self._timers[0][0] <= now or self._timers[0][2].callback is None):
            timer = heapq.heappop(self._timers)[2]
            callback, timer.callback = timer.callback, None  # read once: cancel() takes no lock
            if callback is not None:
                due.append(callback)
        return due, min(self._timers[0][0] - now, FOREVER) if self._timers else None


def _forever(timeout: float | None) -> float:
    return float("inf") if timeout is None else time.monotonic() + timeout


def _wait(
    sleeper: socket.socket, writers: list[socket.socket], timeout: float | None
) -> list[socket.socket]:
    """Wait for the waker, for a writer or for the timeout; return the writers that are ready."""
    ready = _select(sleeper, [sock for sock in writers if sock.fileno() >= 0], timeout)
    with contextlib.suppress(BlockingIOError):
        while len(sleeper.recv(4096)) == 4096:
            pass
    return ready


def _select(
    sleeper: socket.socket, writers: list[socket.socket], timeout: float | None
) -> list[socket.socket]:
    if not hasattr(select, "poll"):
        _, ready, broken = select.select([sleeper], writers, writers, timeout)
        return list({*ready, *broken})
    poll = select.poll()
    poll.register(sleeper, select.POLLIN)
    by_fd = {}
    for sock in writers:
        with contextlib.suppress(ValueError):  # closed meanwhile: forget() did its part
            poll.register(sock, select.POLLOUT)
            by_fd[sock.fileno()] = sock
    events = poll.poll(None if timeout is None else max(0, timeout * 1000))
    return [by_fd[fd] for fd, _ in events if fd in by_fd]


def _call(callback: Callback) -> None:
    try:
        callback()
    except Exception:
        logger.exception("callback of the housekeeper failed")


housekeeper = Housekeeper()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=housekeeper.start_afresh)
