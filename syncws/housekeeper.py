"""
One daemon thread for the whole process: timers, and sockets that are waited for.

Knows nothing of WebSocket. Its callbacks must not block: they are called one after the other.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import heapq
import itertools
import logging
import select
import socket
import threading
import time
from typing import Callable, Optional

from .deadline import FOREVER
from .forks import on_change
from .threads import Thread

logger = logging.getLogger("syncws")

Callback = Callable[[], None]
_Watched = dict[socket.socket, tuple[str, Callback]]
_Wait = Callable[[Optional[float]], list[socket.socket]]
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
    Calls back when a time has come, or when a socket can be written or read.

    Thread-safe. Its thread starts with the first request and stays; waiting costs it nothing.
    """

    def __init__(self) -> None:
        self._waker: socket.socket | None = None
        self._sleeper: socket.socket | None = None
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget all; in a forked child the thread is gone and the lock may be held for ever."""
        self._close()
        # Reentrant, since destructors ask for timers, too, and come anywhere, also while it is
        # held. Nothing that it guards is ever half done; the heap is the thread's own.
        self._lock = threading.RLock()
        self._asked: collections.deque[Timer] = collections.deque()  # timers on their way there
        self._starting = False
        self._timers: list[tuple[float, int, Timer]] = []
        self._sweep_at = _SWEEP
        # Timers of one moment are called in the order of their making.
        self._order = itertools.count()
        self._watched: _Watched = {}
        self._changed = True  # what is watched, since the thread last looked
        self._wait: _Wait = lambda timeout: []
        self._thread: threading.Thread | None = None
        self._sleeping_until = 0.0

    def _close(self) -> None:
        for sock in (self._waker, self._sleeper):
            if sock is not None:
                sock.close()

    def call_later(self, seconds: float, callback: Callback) -> Timer:
        """Call back once, ``seconds`` from now."""
        timer = Timer(time.monotonic() + seconds, callback)
        self._asked.append(timer)
        with self._lock:
            self._wake(timer.when)
        return timer

    def _sweep(self) -> None:
        """Drop cancelled timers, which may be due in hours only. For the thread."""
        self._timers = [entry for entry in self._timers if entry[2].pending]
        heapq.heapify(self._timers)
        self._sweep_at = max(_SWEEP, 2 * len(self._timers))

    def call_when_writable(self, sock: socket.socket, callback: Callback) -> None:
        """Call back once, when the socket takes bytes again or is broken."""
        self._watch(sock, "write", callback)

    def call_when_readable(self, sock: socket.socket, callback: Callback) -> None:
        """Call back once, when something can be read from the socket, or its end."""
        self._watch(sock, "read", callback)

    def _watch(self, sock: socket.socket, event: str, callback: Callback) -> None:
        with self._lock:
            self._watched[sock] = (event, callback)
            self._changed = True
            self._wake(0.0)

    def forget(self, sock: socket.socket) -> None:
        """Watch a socket no more. Call it before the socket is closed."""
        self._unwatch(sock)

    def _unwatch(self, sock: socket.socket) -> Callback | None:
        with self._lock:
            entry = self._watched.pop(sock, None)
            self._changed = self._changed or entry is not None
            return entry and entry[1]

    def _wake(self, when: float) -> None:
        """See to it that the thread is awake by then. Needs the lock."""
        if self._thread is None:
            if not self._starting:
                self._starting = True
                try:
                    self._start_thread()
                finally:
                    self._starting = False
        elif when < self._sleeping_until:
            assert self._waker is not None
            with contextlib.suppress(BlockingIOError):
                self._waker.send(b"\0")
            self._sleeping_until = 0.0  # one byte is enough; not earlier: Ctrl-C may come before it

    def _start_thread(self) -> None:
        sleeper, waker = socket.socketpair()
        sleeper.setblocking(False)
        waker.setblocking(False)
        thread = Thread(self._run, "syncws-housekeeper", (sleeper,))
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
        self._changed = True  # what is waited for: the sleeper, too

    def _run(self, sleeper: socket.socket) -> None:
        try:
            while sleeper.fileno() >= 0:
                try:
                    self._keep_house(sleeper)
                except (OSError, ValueError) as exc:
                    # A socket was closed while we waited for it: an error for some, as eventlet.
                    self._changed = True
                    logger.debug("waiting failed: %s", exc)
                    time.sleep(0.01)  # if it stays so, at least do not spin
        except KeyboardInterrupt:
            # gevent raises it in whichever greenlet runs. The timers go on without this one.
            with self._lock:
                if self._sleeper is sleeper:
                    self._close()
                    self._thread = None
                    self._start_thread()
            raise
        # start_afresh() has closed it. This goes on in a forked child only where it is a greenlet,
        # and gevent complains there of threads that end.
        threading.Event().wait()

    def _keep_house(self, sleeper: socket.socket) -> None:
        """Call back what is due, or wait for it."""
        with self._lock:
            self._take_asked()
            due, timeout = self._due_timers()
            if self._changed:
                self._changed = False
                self._wait = _waiting_for(sleeper, self._watched.copy())
            self._sleeping_until = 0.0 if due else _forever(timeout)
        for callback in due:
            _call(callback)
        if due:
            return
        ready = self._wait(timeout)
        with contextlib.suppress(BlockingIOError):
            while len(sleeper.recv(4096)) == 4096:
                pass
        for sock in ready:
            watcher = self._unwatch(sock)
            if watcher is not None:
                _call(watcher)

    def _take_asked(self) -> None:
        """Sort in the timers that were asked for. For the thread."""
        while self._asked:
            timer = self._asked.popleft()
            if len(self._timers) >= self._sweep_at:
                self._sweep()
            heapq.heappush(self._timers, (timer.when, next(self._order), timer))

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


def _waiting_for(sleeper: socket.socket, watched: _Watched) -> _Wait:
    """
    Return a function that waits for the sleeper, for one of these sockets or for a timeout.

    It returns the sockets that are ready.
    """
    alive = {sock: event for sock, (event, _) in watched.items() if sock.fileno() >= 0}
    if not hasattr(select, "poll"):
        readers = [sock for sock, event in alive.items() if event == "read"]
        writers = [sock for sock, event in alive.items() if event == "write"]
        return functools.partial(_select, [sleeper, *readers], writers)
    poll = select.poll()
    poll.register(sleeper, select.POLLIN)
    by_fd = {}
    for sock, event in alive.items():
        with contextlib.suppress(ValueError):  # closed meanwhile: forget() did its part
            poll.register(sock, select.POLLIN if event == "read" else select.POLLOUT)
            by_fd[sock.fileno()] = sock
    return functools.partial(_poll, poll, by_fd)


def _select(
    readers: list[socket.socket], writers: list[socket.socket], timeout: float | None
) -> list[socket.socket]:
    readable, writable, broken = select.select(readers, writers, writers, timeout)
    return list({*readable, *writable, *broken})


def _poll(
    poll: select.poll, by_fd: dict[int, socket.socket], timeout: float | None
) -> list[socket.socket]:
    events = poll.poll(None if timeout is None else max(0, timeout * 1000))
    return [by_fd[fd] for fd, _ in events if fd in by_fd]


def _call(callback: Callback) -> None:
    try:
        callback()
    except Exception:
        logger.exception("callback of the housekeeper failed")


housekeeper = Housekeeper()
on_change(lambda parent: housekeeper.start_afresh())
