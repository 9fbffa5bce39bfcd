"""Messages out of an event loop: one after the other, and without blocking it."""

from __future__ import annotations

import collections
import contextlib
import functools
import itertools
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from typing import Any, Callable, Union

from ..deadline import ENDLESS
from ..engine import Engine
from ..exceptions import ConcurrencyError
from ..outgoing import (
    DataLike,
    Part,
    PreparedMessage,
    as_content,
    as_fragments,
    as_long_text,
    as_prepared,
    as_whole,
    split,
)
from ..writer import Block, Done
from .bridge import Bridge, start_worker

Sendable = Union[DataLike, Iterable[DataLike], AsyncIterable[DataLike], PreparedMessage]
MakeFrames = Callable[[], Iterator[Block]]

_WHOLE = (str, bytes, bytearray, memoryview)
# What takes some milliseconds is left to a thread, and what takes longer is done piece by piece,
# since much of it keeps all threads from running.
_SHORT = 2**14  # characters or bytes
_LONG_TO_COMPRESS = 2**16  # bytes
_LONG = 2**20  # characters to encode, or bytes to compress
_PIECE = 2**18  # bytes
_MANY = 1000  # messages


class _Step:
    """Something that is being done for a message, also if the task that awaits it is cancelled."""

    __slots__ = ("error", "over", "then", "told", "waiter")

    def __init__(self) -> None:
        self.told = False  # that it is over; the loop may be closed before it hears of that
        self.over = False
        self.error: BaseException | None = None
        self.waiter: Any = None
        self.then: Callable[[bool], object] | None = None  # told of success if nobody awaits it


class AsyncSender:
    """
    Sends the messages of the tasks of one loop.

    What a task has begun to send goes out whole, also if the task is cancelled. A task that waits
    for its turn has not begun.
    """

    def __init__(self, bridge: Bridge, engine: Engine) -> None:
        self._bridge = bridge
        self._engine = engine
        self._sender = engine.sender
        self._taken = False  # the turn
        self._holder: object = None  # the task that has it, while it makes fragments
        self._line: collections.deque[Any] = collections.deque()  # the waiters for it
        self._step: _Step | None = None  # what is being done
        # The turn among threads, while a task has it. A loop may be closed meanwhile, and drop its
        # tasks: pop() decides who gives it back, the task's end or the loop's.
        self._held: list[None] = []

    def send(
        self, message: Sendable, text: bool | None, compress: bool | None
    ) -> Coroutine[Any, Any, None] | None:
        """Send a message; return what is to be awaited then, or None if the socket has it."""
        if not isinstance(message, (str, bytes)) or len(message) > _SHORT:
            return self._send(message, text, compress)
        content = as_content(message, text)
        assert content is not None
        plain = self._sender.is_plain(len(content[1]), compress) and self._bridge.is_running()
        if not plain or self._taken or self._bridge.overdue() or not self._sender.begin():
            return self._send(message, text, compress)
        self._taken = True
        self._held.append(None)
        try:
            taken = self._sender.send_nowait(*content)
        except BaseException:
            self._end(0, 0)
            raise
        if not taken:
            self._bridge.bequeath(self, self._orphaned)
            return self._finish_turn(lambda done: self._sender.submit(iter(()), done), 1, False)
        self._end(1, 0)
        return None

    async def _send(self, message: Sendable, text: bool | None, compress: bool | None) -> None:
        if isinstance(message, PreparedMessage):
            await self._send_prepared(as_prepared(message, text, compress))
            return
        if isinstance(message, AsyncIterable):
            await self._send_fragments(message, text, compress)
            return
        compressed = isinstance(message, _WHOLE) and self._sender.compresses(len(message), compress)
        if isinstance(message, str) and len(message) >= _LONG:
            await self._send_long(lambda: as_long_text(message, text, _PIECE), compressed)
            return
        content = as_content(message, text)
        if content is None:
            await self._send_fragments(_OneByOne(message), text, compress)
        elif compressed and len(content[1]) >= _LONG:
            await self._send_long(lambda: split(*content, _PIECE), compressed)
        else:
            in_thread = compressed and len(content[1]) >= _LONG_TO_COMPRESS
            await self._send_frames(
                lambda: self._sender.whole(*content, compress), 1, in_thread=in_thread
            )

    async def _send_prepared(self, message: PreparedMessage) -> None:
        size = len(message.payload)
        in_thread = self._sender.compresses(size, message.compress) and size >= _LONG_TO_COMPRESS
        await self._send_frames(lambda: self._sender.prepared(message), 1, in_thread)

    async def _send_long(self, parts: Callable[[], Iterable[Part]], compress: bool) -> None:
        """Send what would take a while to make, piece by piece, so that others get their turn."""
        await self._send_frames(
            lambda: self._sender.fragments(parts(), compress), 1, in_thread=True
        )

    async def send_many(
        self, messages: Sequence[DataLike], text: bool | None, compress: bool | None
    ) -> None:
        """Send several messages in one write."""
        size = sum(len(message) for message in messages if isinstance(message, _WHOLE))

        def frames() -> Iterator[Block]:
            contents = [as_whole(message, text) for message in messages]
            if size < _LONG:
                return filter(None, (self._sender.joined(contents, compress),))
            return itertools.chain.from_iterable(
                self._sender.whole(*content, compress) for content in contents
            )

        await self._send_frames(
            frames,
            len(messages),
            in_thread=len(messages) > _MANY
            or (size >= _LONG_TO_COMPRESS and self._sender.compresses(size, compress)),
        )

    async def _send_frames(self, make: MakeFrames, count: int, in_thread: bool) -> None:
        """Send frames that make so many messages."""
        await self._take_turn()
        await self._finish_turn(lambda done: self._sender.submit(make(), done), count, in_thread)

    async def _finish_turn(
        self, start: Callable[[Done], None], count: int, in_thread: bool
    ) -> None:
        """Do the last step for so many messages."""
        sent = 0
        try:
            await self._do(start, in_thread)
            sent = count
        finally:
            self._end(sent, count)

    async def _send_fragments(
        self, message: AsyncIterable[DataLike], text: bool | None, compress: bool | None
    ) -> None:
        async with self.message() as send:
            given: list[DataLike] = []
            frames = self._sender.fragments(as_fragments(_handed_over(given), text), compress)
            begun = False
            async for fragment in message:
                given.append(fragment)
                await send(frames)
                begun = True
            if begun:
                await send(frames)

    @contextlib.asynccontextmanager
    async def message(self) -> AsyncIterator[Callable[[Iterator[Block]], Awaitable[None]]]:
        """
        Yield what sends the next frame of one message; the messages of others wait until the end.

        What is not finished then must not be taken for whole: the connection is closed with 1011.
        """
        await self._take_turn()
        sent = begun = 0

        async def send(frames: Iterator[Block]) -> None:
            nonlocal begun
            frame = iter((next(frames),))
            await self._do(lambda done: self._sender.submit(frame, done), False)
            begun = 1

        try:
            self._holder = self._bridge.task()
            yield send
            sent = begun
        finally:
            self._holder = None
            self._end(sent, 0)

    def frames(self, part: Part) -> Iterator[Block]:
        """Return the frame of a fragment, as ``message()`` wants it."""
        return self._sender.fragments([part], None)

    # One step.

    async def _do(self, start: Callable[[Done], None], in_thread: bool) -> None:
        """Start something and wait until it says that it is done."""
        step = self._step = _Step()

        def done(error: BaseException | None) -> None:
            step.told = True
            self._bridge.run(self._step_is_over, step, error)

        def run() -> None:
            try:
                start(done)
            except BaseException as exc:
                done(exc)

        if not in_thread:
            run()
        else:
            try:
                start_worker(run)
            except RuntimeError as exc:  # the system has no more threads
                done(exc)
        if not step.over:
            step.waiter = self._bridge.waiter()
            await step.waiter
        if step.error is not None:
            raise step.error

    def _step_is_over(self, step: _Step, error: BaseException | None) -> None:
        step.over = True
        step.error = error
        self._step = None
        if step.then is not None:
            step.then(error is None)
        elif step.waiter is not None:
            self._bridge.fire(step.waiter)

    # The turn.

    async def _take_turn(self) -> None:
        """Wait for the messages of other tasks, and of threads."""
        self._bridge.check()
        if self._taken:
            await self._wait_in_line()
        self._taken = True
        try:
            await self._bridge.polite()  # not earlier: who comes later must not go first
        except BaseException:
            self._give_turn()
            raise
        self._bridge.bequeath(self, self._orphaned)
        if self._sender.begin():
            self._held.append(None)
            return
        try:
            await self._do(self._begin_after_threads, in_thread=True)
        except BaseException:
            if self._held or self._step is not None:
                self._end(0, 0)
            else:  # no thread could be started, so among threads the turn is that of others
                self._bridge.disinherit(self)
                self._give_turn()
            raise

    def _orphaned(self) -> None:
        """The loop is closed: give the turn back, now or when the message has gone out."""
        step = self._step
        if step is None:
            self._give_back(0)
            return
        step.then = lambda success: self._give_back(0)
        if step.told:
            self._give_back(0)

    def _give_back(self, sent: int) -> bool:
        """Let the messages of threads go on; return False if that was done."""
        try:
            self._held.pop()
        except IndexError:
            return False
        self._bridge.disinherit(self)
        self._sender.end(sent)
        return True

    def __str__(self) -> str:
        return "a message on its way"

    def _begin_after_threads(self, done: Done) -> None:
        self._sender.begin(ENDLESS)
        self._held.append(None)
        done(None)

    async def _wait_in_line(self) -> None:
        mine = self._holder is not None and self._holder is self._bridge.task()
        if mine and not self._engine.closed.is_set():
            raise ConcurrencyError("send() inside the iterable that send() is sending")
        waiter = self._bridge.waiter()
        self._line.append(waiter)
        told = functools.partial(self._bridge.run, self._bridge.fire, waiter)
        self._engine.closed.call(told)  # who has the turn may be making fragments for ever
        try:
            await waiter
        except BaseException:
            if waiter in self._line:
                self._line.remove(waiter)
            else:  # it was our turn just now
                self._give_turn()
            raise
        finally:
            self._engine.closed.forget(told)
        if waiter in self._line:
            self._line.remove(waiter)
            raise self._engine.closed_error() from self._engine.cause

    def _end(self, sent: int, will_be_sent: int) -> None:
        """Give the turn back when so many messages were sent, or will be by a step."""
        if self._step is None:
            if self._give_back(sent):
                self._give_turn()
        else:
            self._step.then = lambda success: self._end(will_be_sent if success else 0, 0)

    def _give_turn(self) -> None:
        if self._line:
            self._bridge.fire(self._line.popleft())
        else:
            self._taken = False


class _OneByOne:
    """An iterable as an asynchronous one. A generator would have to be closed."""

    def __init__(self, message: Iterable[Any]) -> None:
        self._fragments = iter(message)

    def __aiter__(self) -> AsyncIterator[DataLike]:
        return self

    async def __anext__(self) -> DataLike:
        for fragment in self._fragments:
            return fragment  # type: ignore[no-any-return]
        raise StopAsyncIteration


def _handed_over(given: list[DataLike]) -> Iterator[DataLike]:
    """Yield what was put into the list, until nothing is there when it is asked for."""
    while given:
        yield given.pop()
