"""The way into a trio run."""

from __future__ import annotations

import contextlib
import math
import socket
from collections.abc import Coroutine, Generator
from typing import Any, Callable

import trio

from .bridge import Bridge, logger

_MOMENT = 0.001  # seconds


class _Waiter:
    """A trio.Event that can be awaited itself."""

    __slots__ = ("event",)

    def __init__(self) -> None:
        self.event = trio.Event()

    def __await__(self) -> Generator[Any, Any, None]:
        return self.event.wait().__await__()


class _Watch:
    """A task that waits for a socket again and again."""

    def __init__(self, sock: socket.socket, callback: Callable[[], None]) -> None:
        self._sock = sock
        self._callback = callback
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        with self._scope:
            while not self._scope.cancel_called:
                try:
                    await trio.lowlevel.wait_readable(self._sock)
                except trio.BusyResourceError:  # who had this descriptor before is about to leave
                    await trio.sleep(_MOMENT)
                    continue
                except (trio.ClosedResourceError, OSError, ValueError):
                    return
                self._callback()

    def stop(self) -> None:
        self._scope.cancel()
        trio.lowlevel.notify_closing(self._sock)  # the task runs later than the socket is closed


_here: trio.lowlevel.RunVar[TrioBridge] = trio.lowlevel.RunVar("syncws bridge")


class TrioBridge(Bridge):
    """The way into one trio run."""

    # Trio's users count on it that every function they await lets others run.
    greedy = False

    def __init__(self) -> None:
        super().__init__()
        self._token = trio.lowlevel.current_trio_token()
        self._watches: dict[socket.socket, _Watch] = {}
        self._ending = False
        trio.lowlevel.spawn_system_task(self._wait_for_end)

    @classmethod
    def current(cls) -> TrioBridge | None:
        """Return the way into the trio run that runs here, if one does."""
        try:
            trio.lowlevel.current_task()
            return _here.get()
        except RuntimeError:
            return None
        except LookupError:
            bridge = TrioBridge()
            _here.set(bridge)
            return bridge

    def is_running(self) -> bool:
        try:
            return trio.lowlevel.current_trio_token() is self._token
        except RuntimeError:
            return False

    def soon(self, callback: Callable[..., object], *args: object) -> bool:
        try:
            self._token.run_sync_soon(callback, *args)
        except trio.RunFinishedError:
            return False
        return True

    def _make_waiter(self) -> _Waiter:
        return _Waiter()

    def fire(self, waiter: _Waiter) -> None:
        with contextlib.suppress(RuntimeError):  # the run has ended
            waiter.event.set()

    def watch(self, sock: socket.socket, callback: Callable[[], None]) -> bool:
        watch = _Watch(sock, callback)
        try:
            self._spawn(watch.run)
        except RuntimeError:  # the run has ended
            return False
        self._watches[sock] = watch
        return True

    def unwatch(self, sock: socket.socket) -> None:
        self._watches.pop(sock).stop()

    def spawn(
        self,
        main: Callable[[], Coroutine[Any, Any, None]],
        ended: Callable[[], object] = lambda: None,
    ) -> trio.CancelScope:
        scope = trio.CancelScope()

        async def run() -> None:
            try:
                with scope:
                    await main()
            except trio.Cancelled:
                raise
            except BaseException as exc:  # in a system task it would bring the whole run down
                logger.critical("a task of syncws failed", exc_info=exc)
            finally:
                ended()

        self._spawn(run)
        return scope

    def _spawn(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._ending:  # trio does not always say so, and bears no task then
            raise RuntimeError("the trio run is about to end")
        trio.lowlevel.spawn_system_task(main)

    def task(self) -> object:
        return trio.lowlevel.current_task()

    async def _checkpoint(self) -> None:
        await trio.lowlevel.checkpoint()

    def _await_end(self) -> None:
        """``_wait_for_end`` does."""

    async def _wait_for_end(self) -> None:
        """System tasks are cancelled behind all others, when the run is about to end."""
        try:
            await trio.sleep(math.inf)
        finally:
            self._ending = True
            self._closed()
