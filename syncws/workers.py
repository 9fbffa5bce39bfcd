"""
Threads that do one job after the other: to start one costs as much as an opening handshake.

Knows nothing of WebSocket.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from typing import Callable

from .threads import Thread

Job = Callable[[], object]

_PATIENCE = 1.0  # seconds that a thread waits for its next job


class Workers:
    """Lends out workers: one that waits after its last job, or a new one. Thread-safe."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.RLock()  # destructors may want a worker
        self._spare: list[Worker] = []
        self._closed = False

    def get(self) -> Worker:
        """Return a worker for one job."""
        with self._lock:
            if self._spare:
                return self._spare.pop()
        return Worker(self._name, self._keep)

    def close(self) -> None:
        """Let those go that wait; the others go after their job."""
        with self._lock:
            self._closed = True
            spare, self._spare = self._spare, []
        for worker in spare:
            worker.dismiss()

    def _keep(self, worker: Worker) -> bool:
        """Wait for the worker's next job; return False if there will be none."""
        with self._lock:
            if self._closed:
                return False
            self._spare.append(worker)
        if worker.wait(_PATIENCE):
            return True
        with self._lock:
            if worker in self._spare:
                self._spare.remove(worker)
                return False
        return worker.wait(None)  # it was lent out just now


class Worker:
    """A thread, which starts with its first job."""

    def __init__(self, name: str, keep: Callable[[Worker], bool]) -> None:
        self.thread = Thread(self._run, name)
        self._keep = keep
        self._jobs: list[Job] = []  # one at most; pop() decides who takes it
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def start(self, job: Job, undo: Callable[[], object]) -> None:
        """
        Do the job, in a context of its own. Does not block.

        Args:
            undo: called if this raises and the job will never be done. Ctrl-C may come when the
                thread has begun already.

        Raises:
            RuntimeError: the system has no more threads.
        """
        self._jobs.append(job)
        try:
            if self.thread.ident is None:
                self.thread.start()
            else:
                self._asleep.release()
        except BaseException:
            if self._withdraw():
                undo()
            raise

    def _withdraw(self) -> bool:
        """Take the job back; return False if the thread has it."""
        try:
            self._jobs.pop()
        except IndexError:
            return False
        with contextlib.suppress(RuntimeError):  # it is awake
            self.dismiss()
        return True

    def dismiss(self) -> None:
        """Let the thread end, which waits for a job."""
        self._asleep.release()

    def wait(self, timeout: float | None) -> bool:
        """Sleep until there is news; return False on a timeout."""
        return self._asleep.acquire(True, -1 if timeout is None else timeout)

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.pop()
            except IndexError:
                return
            contextvars.Context().run(job)
            del job  # and all that it holds
            if not self._keep(self):
                return
