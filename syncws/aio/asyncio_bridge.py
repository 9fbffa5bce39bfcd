"""The way into an asyncio event loop."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import Coroutine
from typing import Any, Callable, TypeVar

from ..housekeeper import housekeeper
from .bridge import Bridge

T = TypeVar("T")

_LOOK = 1.0  # seconds between two looks whether the loop is closed: nobody tells
_NAME = "_syncws_bridge"  # kept on the loop, so that the two go together


def run_in(loop: asyncio.AbstractEventLoop | None, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """
    Run a coroutine to its end, in a loop that does not run, or in the one that is set.

    Raises:
        RuntimeError: it runs already.
    """
    loop = loop or asyncio.get_event_loop()
    if loop.is_running():  # before there is a coroutine that nobody would await
        raise RuntimeError("this event loop is running already; use 'async with' inside it")
    return loop.run_until_complete(main())


class _Watch:
    """
    Calls back as long as a socket with an error can be read.

    libuv tells of such a socket only once, but there may be bytes to read before the error.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, callback: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._callback = callback
        self._errors = select.poll()
        self._errors.register(sock, 0)
        self.stopped = False

    def ready(self) -> None:
        if not self.stopped:
            self._callback()
        if not self.stopped and any(what & select.POLLERR for _, what in self._errors.poll(0)):
            self._loop.call_soon(self.ready)


class AsyncioBridge(Bridge):
    """The way into an asyncio event loop, of whatever make."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._watches: dict[socket.socket, _Watch] | None = None
        if hasattr(select, "poll") and not isinstance(loop, asyncio.SelectorEventLoop):
            self._watches = {}
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio itself holds them weakly

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self._loop

    def soon(self, callback: Callable[..., object], *args: object) -> bool:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            return False
        return True

    def _make_waiter(self) -> asyncio.Future[None]:
        return self._loop.create_future()

    def fire(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            with contextlib.suppress(RuntimeError):  # closed
                waiter.set_result(None)

    def watch(self, sock: socket.socket, callback: Callable[[], None]) -> bool:
        if self._watches is not None:
            watch = self._watches[sock] = _Watch(self._loop, sock, callback)
            callback = watch.ready
        try:
            self._loop.add_reader(sock.fileno(), callback)
        except (NotImplementedError, RuntimeError):  # Windows' proactor; closed
            return False
        return True

    def unwatch(self, sock: socket.socket) -> None:
        if self._watches is not None:
            self._watches.pop(sock).stopped = True
        if not self._loop.is_closed():
            self._loop.remove_reader(sock.fileno())

    def spawn(
        self,
        main: Callable[[], Coroutine[Any, Any, None]],
        ended: Callable[[], object] = lambda: None,
    ) -> asyncio.Task[None]:
        task = self._loop.create_task(main())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: ended())
        return task

    def task(self) -> object:
        return asyncio.current_task()

    async def _checkpoint(self) -> None:
        await asyncio.sleep(0)

    @classmethod
    def current(cls) -> AsyncioBridge:
        """
        Return the way into the event loop that runs here.

        Raises:
            RuntimeError: none does.
        """
        loop = asyncio.get_running_loop()
        bridge: AsyncioBridge | None = getattr(loop, _NAME, None)
        if bridge is None:
            bridge = AsyncioBridge(loop)
            setattr(loop, _NAME, bridge)
        return bridge

    def _await_end(self) -> None:
        housekeeper.call_later(_LOOK, self._look)

    def _look(self) -> None:
        if self._loop.is_closed():
            self._closed()
            return
        with self._lock:
            self._end_is_awaited = bool(self._heirs)
            if self._heirs:
                self._await_end()
