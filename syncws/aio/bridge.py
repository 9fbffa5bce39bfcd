"""
What the facade needs of an event loop.

A bridge for each kind of event loop gives it; all else in this folder is the same for all of them.
"""

from __future__ import annotations

import abc
import concurrent.futures
import contextlib
import functools
import logging
import os
import socket
import threading
import time
from collections.abc import Coroutine
from typing import Any, Callable, Protocol, TypeVar

from ..forks import on_change
from ..lazy import Latch
from ..workers import Workers

T = TypeVar("T")

_LONG = 0.005  # seconds for which a task may go on without letting others run

logger = logging.getLogger("syncws")
_workers = Workers("syncws-aio")


class Task(Protocol):
    """A running coroutine."""

    def cancel(self) -> object:
        """Throw the loop's exception for that into it."""


class Bridge(abc.ABC):
    """
    The way into one event loop. ``run`` may be called from any thread, the rest from its own.

    Attributes:
        greedy: whether a task that finds what it asked for goes on without letting others run.
    """

    greedy = True

    def __init__(self) -> None:
        # What is to be done when the loop is closed, since it does not do it any more.
        self._heirs: dict[object, Callable[[], None]] = {}
        self._lock = threading.RLock()  # guards the next one
        self._end_is_awaited = False
        self._paused_at = 0.0
        self._process = os.getpid()

    # What differs from loop to loop.

    @abc.abstractmethod
    def is_running(self) -> bool:
        """Whether the caller is called by this loop."""

    @abc.abstractmethod
    def soon(self, callback: Callable[..., object], *args: object) -> bool:
        """Call back in the loop, from any thread; return False if it is closed."""

    @abc.abstractmethod
    def _make_waiter(self) -> Any: ...

    @abc.abstractmethod
    def fire(self, waiter: Any) -> None:
        """End the waiting, if it has not been ended."""

    @abc.abstractmethod
    def watch(self, sock: socket.socket, callback: Callable[[], None]) -> bool:
        """Call back whenever the socket can be read; return False if the loop cannot do that."""

    @abc.abstractmethod
    def unwatch(self, sock: socket.socket) -> None:
        """Do it no more. Call it before the socket is closed."""

    @abc.abstractmethod
    def spawn(
        self,
        main: Callable[[], Coroutine[Any, Any, None]],
        ended: Callable[[], object] = lambda: None,
    ) -> Task:
        """
        Run a coroutine as a task.

        Args:
            ended: called when the task has ended in whichever way, also before its first step.

        Raises:
            RuntimeError: the loop is closed, or about to be.
        """

    @abc.abstractmethod
    def task(self) -> object:
        """Return the running task."""

    @abc.abstractmethod
    async def _checkpoint(self) -> None: ...

    @abc.abstractmethod
    def _await_end(self) -> None:
        """See to it that ``_closed`` is called when the loop is closed. Needs the lock."""

    # What is the same.

    def check(self) -> None:
        """
        Refuse callers from elsewhere.

        Raises:
            RuntimeError: the caller is in another loop, or in none.
        """
        # In a forked child no loop counts as running; what is used there says so by itself.
        if not self.is_running() and os.getpid() == self._process:
            raise RuntimeError(
                "this connection or server belongs to another event loop; from elsewhere use its "
                "attribute 'connection', which blocks"
            )

    def waiter(self) -> Any:
        """
        Make something that one task can await, and ``fire`` ends that.

        Raises:
            RuntimeError: as ``check``.
        """
        self.check()
        return self._make_waiter()

    async def checkpoint(self) -> None:
        """
        Let other tasks run.

        Raises:
            RuntimeError: as ``check``.
        """
        self.check()
        await self._checkpoint()

    def run(self, callback: Callable[..., object], *args: object) -> None:
        """Call back: at once in the loop, else soon. If it is closed, nobody else cares."""
        if self.is_running() or not self.soon(callback, *args):
            callback(*args)

    def overdue(self) -> bool:
        """Tell whether it is time to let others run."""
        return not self.greedy or time.monotonic() - self._paused_at > _LONG

    async def polite(self) -> None:
        """Let others run, if it is time for it."""
        if self.overdue():
            self._paused_at = time.monotonic()
            await self.checkpoint()

    async def in_thread(self, job: Callable[[], T], discard: Callable[[T], object]) -> T:
        """
        Return the result of a function that blocks.

        Args:
            discard: called with the result if the caller was cancelled and does not get it.
        """
        waiter = self.waiter()
        outcome: list[Callable[[], T]] = []  # pop() decides whose it is
        cancelled = False

        def run() -> None:
            try:
                outcome.append(functools.partial(_returned, job()))
            except BaseException as exc:
                outcome.append(functools.partial(_raised, exc))
            if cancelled:
                clear()
            self.run(self.fire, waiter)

        def clear() -> None:
            with contextlib.suppress(Exception):  # IndexError, or what the job raised
                discard(outcome.pop()())

        start_worker(run)
        try:
            await waiter
        except BaseException:
            cancelled = True
            clear()
            raise
        return outcome.pop()()

    def from_thread(
        self, main: Callable[[], Coroutine[Any, Any, T]], timeout: float | None, tasks: set[Task]
    ) -> T:
        """
        Run a coroutine in the loop and return its result: for a thread, which this blocks.

        Args:
            tasks: has its task as long as it runs.

        Raises:
            TimeoutError: it took longer, and was cancelled.
            RuntimeError: it was cancelled by others, or the loop is closed.
        """
        result: _Call[T] = _Call()
        mine: list[Task] = []

        async def run() -> None:
            try:
                result.set_result(await main())
            except Exception as exc:
                result.fail(exc)

        def ended() -> None:
            result.fail(RuntimeError("a coroutine was cancelled by its event loop"))
            tasks.difference_update(mine)

        def start() -> None:
            try:
                mine.append(self.spawn(run, ended))
                tasks.update(mine)
            except RuntimeError as exc:  # the loop is about to end
                result.fail(exc)

        closed = RuntimeError("the event loop is closed")
        # Not every loop cancels its tasks before it is closed.
        self.bequeath(result, functools.partial(result.fail, closed))
        try:
            if not self.soon(start):
                raise closed
            return result.result(timeout)
        except concurrent.futures.TimeoutError:
            if result.done():  # the coroutine's own
                raise
            self.soon(lambda: [task.cancel() for task in mine])
            raise TimeoutError(f"a coroutine took over {timeout} s") from None
        finally:
            self.disinherit(result)

    async def happened(self, latch: Latch) -> None:
        """Wait until it has happened."""
        await self.polite()
        if latch.is_set():
            return
        waiter = self.waiter()
        told = functools.partial(self.run, self.fire, waiter)
        latch.call(told)
        try:
            await waiter
        finally:
            latch.forget(told)

    def bequeath(self, what: object, heir: Callable[[], None]) -> None:
        """Call the heir if the loop is closed. From any thread."""
        with self._lock:
            self._heirs[what] = heir
            if not self._end_is_awaited:
                self._end_is_awaited = True
                self._await_end()

    def disinherit(self, what: object) -> None:
        """It has ended before."""
        self._heirs.pop(what, None)

    def _closed(self) -> None:
        with self._lock:
            heirs, self._heirs = self._heirs, {}
        if heirs:
            logger.warning(
                "an event loop was closed while syncws used it: open are %s; close them before the "
                "end of the loop, for example with 'async with'",
                ", ".join(map(str, heirs)) if len(heirs) < 5 else f"{len(heirs)} connections",
            )
        for heir in heirs.values():
            heir()


class _Call(concurrent.futures.Future[T]):
    """What a thread waits for that has called a coroutine."""

    def fail(self, error: Exception) -> None:
        """Raise this in the thread, if nothing has come of it yet."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self.set_exception(error)

    def __str__(self) -> str:
        return "a coroutine for which a thread waits"


def _returned(value: T) -> T:
    return value


def _raised(error: BaseException) -> Any:
    raise error


def start_worker(job: Callable[[], None]) -> None:
    """Do what blocks in a thread of its own."""
    _workers.get().start(job, lambda: None)


def _start_afresh(parent: int) -> None:
    global _workers
    _workers = Workers("syncws-aio")


on_change(_start_afresh)
