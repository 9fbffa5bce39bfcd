"""The same coroutines under each kind of event loop."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Coroutine
from typing import Any, Callable

from support.ends import QuickPeer, end_and_peer
from support.threads import WATCHDOG, Running
from syncws import aio

KINDS = ("asyncio", "uvloop", "trio", "threads")


class Cancelled(Exception):
    """Raised for the result of a task that was cancelled."""


class UnwatchfulLoop(asyncio.SelectorEventLoop):
    """Cannot watch sockets, as Windows' proactor loop: threads read."""

    def _add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        # asyncio's own way to wake itself.
        return super()._add_reader(fd, callback, *args)

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        raise NotImplementedError


class Task:
    """A coroutine that runs beside the test's."""

    def __init__(self) -> None:
        self.done = False
        self.cancel: Callable[[], object] = lambda: None
        self._error: BaseException | None = None
        self._result: Any = None
        self._loop: Loop | None = None

    async def result(self) -> Any:
        """Wait for it; return its result or raise its exception, ``Cancelled`` if that was it."""
        assert self._loop is not None
        await self._loop.until(lambda: self.done)
        if self._error is not None:
            raise self._error
        return self._result

    async def error(self) -> BaseException:
        """Wait for it; return what it raises."""
        try:
            result = await self.result()
        except Exception as exc:
            return exc
        raise AssertionError(f"returned {result!r}")


class Loop:
    """One kind of event loop. Call it with a coroutine function, to run that."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        if kind in ("uvloop", "trio"):
            self._module = importlib.import_module(kind)
        self.is_trio = kind == "trio"
        self._local = threading.local()  # the nursery of each run

    def __call__(self, main: Callable[[], Coroutine[Any, Any, Any]], limit: float = 40) -> Any:
        """Run it as a program would, and return its result."""
        if self.is_trio:
            return self._module.run(self._under_trio, main, limit)
        loop = self.make()
        try:
            return loop.run_until_complete(asyncio.wait_for(main(), limit))
        finally:
            try:
                self._cancel_all(loop)
            finally:
                loop.close()

    async def _under_trio(self, main: Callable[[], Any], limit: float) -> Any:
        trio = self._module
        with trio.fail_after(limit):
            async with trio.open_nursery() as nursery:
                self._local.nursery = nursery
                result = await main()
                nursery.cancel_scope.cancel()
        return result

    def make(self) -> asyncio.AbstractEventLoop:
        """Make an event loop of asyncio's kind."""
        if self.kind == "uvloop":
            return self._module.new_event_loop()
        return UnwatchfulLoop() if self.kind == "threads" else asyncio.SelectorEventLoop()

    @staticmethod
    def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
        """Do as ``asyncio.run``."""
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
        loop.run_until_complete(loop.shutdown_asyncgens())

    # For what runs inside.

    def start(self, function: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Task:
        """Let a coroutine run beside this one."""
        task = Task()
        task._loop = self

        async def run() -> None:
            try:
                task._result = await function(*args, **kwargs)
            except Exception as exc:
                task._error = exc
            except BaseException:
                task._error = Cancelled()
                raise
            finally:
                task.done = True

        if self.is_trio:
            scope = self._module.CancelScope()
            task.cancel = scope.cancel

            async def scoped() -> None:
                with scope:
                    await run()
                task.done = True

            self._local.nursery.start_soon(scoped)
        else:
            inner = asyncio.ensure_future(run())
            task.cancel = inner.cancel
            task._inner = inner  # type: ignore[attr-defined]

            def ended(_: object) -> None:
                if not task.done:  # cancelled before it began
                    task._error, task.done = Cancelled(), True

            inner.add_done_callback(ended)
        return task

    async def step(self, count: int = 1) -> None:
        """Let others run, so many times."""
        for _ in range(count):
            await self.sleep(0)

    async def sleep(self, seconds: float) -> None:
        """Let others run."""
        await (self._module if self.is_trio else asyncio).sleep(seconds)

    async def until(self, fact: Callable[[], Any], what: str = "") -> Any:
        """Wait until a fact holds that nobody notifies; return it. Fails at the watchdog."""
        end = time.monotonic() + WATCHDOG
        while True:
            value = fact()
            if value:
                return value
            assert time.monotonic() < end, f"never happened: {what or fact}"
            await self.sleep(0.001)

    async def thread(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Do what blocks in a thread."""
        running = Running(call, *args, **kwargs)
        await self.until(lambda: not running.alive, f"the end of {call}")
        return running.result()

    async def stays_waiting(self, task: Task) -> None:
        """Let a task come to where it waits; fails if it does not."""
        await self.step(10)
        assert not task.done, (task._error, task._result)


@contextlib.asynccontextmanager
async def awaited_end(
    role: str = "client", secure: bool = False, **options: Any
) -> AsyncIterator[tuple[aio.AsyncConnection, QuickPeer]]:
    """Yield (our connection, the scripted peer), in the loop that runs; cut it at the end."""
    with end_and_peer(role, secure, **options) as (connection, peer):
        ws = aio.AsyncConnection(connection)
        try:
            yield ws, peer
        finally:
            ws.abort()
            await ws.wait_closed()


@contextlib.asynccontextmanager
async def both_ends(
    server_options: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[aio.AsyncConnection, aio.AsyncConnection]]:
    """Yield (our client, our server) of one connection in the loop that runs; close it."""
    accepted: list[aio.AsyncConnection] = []

    async def handler(ws: aio.AsyncConnection) -> None:
        accepted.append(ws)
        await ws.wait_closed()

    async with (
        aio.serve(handler, "127.0.0.1", 0, **(server_options or options)) as server,
        aio.connect(url_of(server), **options) as client,
    ):
        while not accepted:
            await client._bridge.checkpoint()
        yield client, accepted[0]


def url_of(server: aio.Server, scheme: str = "ws") -> str:
    """Return where to connect to."""
    host = "localhost" if scheme == "wss" else "127.0.0.1"
    return f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}/"
