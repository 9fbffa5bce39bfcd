"""
The order of bytes on their way out: one lock for the transport, one outbox for what must not wait.

Knows nothing of WebSocket: it is given ready-made frames. Whoever needs a frame out and may wait
calls ``write``; whoever may not (the reader thread, the housekeeper) calls ``post``, and whoever
holds the lock finds it in the outbox before letting go.
"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Callable, Optional, Union

from .deadline import Deadline, acquire, taking
from .forks import greenlets
from .housekeeper import housekeeper
from .transport import Transport

# Unanswered Pings of a peer that sends many and reads none. RFC 6455 section 5.5.3 lets us answer
# only the latest; we answer as many as this.
MAX_REPLIES = 64
MAX_OUTBOX = 64 * 1024  # bytes of posted frames
Block = Union[bytes, tuple[bytes, bytes]]  # one frame, in one piece or two
Done = Callable[[Optional[Exception]], None]
_LEAVING = 5.0  # seconds for a writer to notice that its transport was shut down
_LONG = 0.005  # seconds in which greenlets that write need not let others run
_MOMENT = 1e-9  # seconds; with 0, gevent first calls 50 greenlets before it looks after the sockets


class _Submitted:
    """Frames that somebody wants out who does not wait."""

    __slots__ = ("admit", "done", "frame", "frames")

    def __init__(self, frames: Iterator[Block], admit: Callable[[], None], done: Done) -> None:
        self.frames = frames
        self.frame = next(frames, None)  # the next one, None behind the last
        self.admit = admit
        self.done = done


class Writer:
    """
    Writes frames whole and in order. Thread-safe.

    Attributes:
        busy: whether something waits to be written or done; then ``flush_nowait`` does it.
        failure: the network error that nobody could be told of yet.
        submissions: how often something was submitted.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        # Held by the one thread that writes; it may block there, so nobody waits for it without a
        # deadline, and the reader never waits.
        self._lock = threading.Lock()
        self._takes = taking(self._lock)
        self._outbox: list[bytes] = []  # an empty deque takes 600 bytes
        self._replies: collections.deque[bytes] | None = None  # made when first needed
        self._half_close = False
        self._submitted: _Submitted | None = None
        self._awaited = False  # whether the housekeeper will come by
        self.busy = False
        self.failure: OSError | None = None
        self.submissions = 0

    # For those who may wait.

    def write(self, frames: Iterable[Block], deadline: Deadline, admit: Callable[[], None]) -> bool:
        """
        Write frames; what others posted passes between them.

        Blocks until the socket has taken them.

        Args:
            frames: made as they are needed; a large one may be in two parts.
            deadline: when to give up.
            admit: called right before each frame; it may still refuse by raising.

        Returns:
            False if the deadline lapsed after something was written: the rest goes out by itself.

        Raises:
            TimeoutError: the deadline lapsed with nothing written, and nothing will be.
            OSError: the network failed.
        """
        mine = done = False
        try:
            for mine in self._takes:
                if not mine:
                    mine = acquire(self._lock, deadline)
                break
            if not mine:
                raise _not_sent(deadline)
            done = self._write(frames, deadline, admit)
        finally:  # there are no loops in "try", as their ends are not part of it: see taking()
            if mine:
                if not done:
                    self.busy = True  # or nothing was begun, as flush_nowait() finds out
                try:
                    self._lock.release()
                finally:
                    if self.busy:
                        self.flush_nowait()
        return done

    def _write(
        self, frames: Iterable[Block], deadline: Deadline, admit: Callable[[], None]
    ) -> bool:
        """Do as ``write``. Needs the lock."""
        if self.busy:
            self._make_way(deadline)
        transport = self._transport
        done = False
        for frame in frames:
            admit()
            done = self._send(frame)
            while not done and transport.wait_writable(deadline):
                done = transport.flush_nowait()
            if self.busy and done:
                self._flush()
        return done

    def _make_way(self, deadline: Deadline) -> None:
        """Write what others left, before anything new. Needs the lock."""
        while not self._flush():
            if not self._transport.wait_writable(deadline):
                raise _not_sent(deadline)

    def _send(self, frame: Block) -> bool:
        if isinstance(frame, bytes):
            return self._transport.send_nowait(frame)
        return self._transport.send_nowait(*frame)

    # For those who may not.

    def submit(self, frames: Iterator[Block], admit: Callable[[], None], done: Done) -> None:
        """
        Write frames without blocking; what others posted passes between them.

        One caller at a time: the next one when ``done`` has been called, by nobody else.

        Args:
            frames: made as they are needed, by whichever thread writes.
            admit: called right before each frame; it may still refuse by raising.
            done: told from any thread that the socket has taken all, or why it will not.
        """
        submitted = _Submitted(frames, admit, done)
        self.submissions += 1
        self._submitted = submitted
        self.nudge()

    def write_nowait(self, frame: Block, admit: Callable[[], None]) -> bool:
        """
        Write a frame without blocking; return False if its rest goes out later, by itself.

        For who has the turn to send messages: then nobody waits with the lock in his hand.

        Raises:
            OSError: the network failed.
        """
        taken = False
        try:
            with self._lock:
                admit()
                taken = self._send(frame)
        finally:
            if not taken:
                self.busy = True  # also if it was refused: others may have found the lock taken
            if self.busy:
                self.flush_nowait()
        return taken

    def write_if_free(
        self, frame: bytes, write: Callable[[bytes, Callable[[bytes], bool]], bool | None]
    ) -> bool | None:
        """
        Let a frame be written without blocking, if nobody writes just now and nothing waits.

        Args:
            write: gets the frame and what sends it, and says how that went.

        Returns:
            None if it was not written; False if its rest goes out later, by itself.

        Raises:
            OSError: the network failed.
        """
        mine, taken = False, None
        try:
            for mine in self._takes:
                if mine and not self.busy:
                    taken = False
                    taken = write(frame, self._transport.send_nowait)
                break
        finally:
            if mine:
                if taken is False:
                    self.busy = True
                try:
                    self._lock.release()
                finally:
                    if self.busy:
                        self.flush_nowait()
        return taken

    def post(self, data: bytes) -> None:
        """Leave a frame for the next ``flush_nowait``, which the caller sees to."""
        self._outbox.append(data)
        self.busy = True

    def post_reply(self, data: bytes) -> None:
        """Leave a frame that may be dropped if too many like it wait."""
        if self._replies is None:
            self._replies = collections.deque(maxlen=MAX_REPLIES)
        self._replies.append(data)
        self.busy = True

    @property
    def stuck(self) -> bool:
        """Whether the socket has yet to take something."""
        return self._transport.pending

    @property
    def stuffed(self) -> bool:
        """Whether so much waits that nobody should post what can be done without."""
        return sum(map(len, self._outbox.copy())) >= MAX_OUTBOX  # others may post meanwhile

    def finish(self) -> None:
        """Half-close the transport as soon as everything is written."""
        self._half_close = True
        self.busy = True

    def nudge(self) -> None:
        """Write what waits, or what the transport has made by itself."""
        self.busy = True
        self.flush_nowait()

    def flush_nowait(self) -> None:
        """
        Write what waits, as far as the socket takes it at once; see to the rest later.

        A thread that finds the lock taken leaves: its holder comes by here after letting go.
        """
        try:
            while self.busy and self._flush_once():
                pass
        except KeyboardInterrupt:
            housekeeper.call_later(0, self.flush_nowait)  # or it might wait for the next write
            raise

    def _flush_once(self) -> bool:
        """Return whether there may be more to do just now."""
        mine = later = False
        try:
            for mine in self._takes:
                if not mine:
                    return False
                break
            later = not self._flush()
            if later:  # with the lock, or close() might let the housekeeper forget it before
                self._awaited = True
                housekeeper.call_when_writable(self._transport.sock, self._writable)
            elif self._half_close:
                self._half_close = False
                self._transport.half_close()
        except OSError as exc:
            # The reader meets the same end of the network; but the error is told only once.
            self._discard_posted()
            self._half_close = self.busy = False  # first: whoever is told may submit more
            told = self._finish(exc)
            self.failure = None if told else exc
        finally:
            if mine:
                self._lock.release()
        # Else it came by already, perhaps while the lock was taken.
        return not (later and self._awaited)

    def _writable(self) -> None:
        """The housekeeper has seen the socket take bytes again."""
        self._awaited = False
        self.flush_nowait()

    def _flush(self) -> bool:
        """Write what waits; return False if the socket does not take all. Needs the lock."""
        self.busy = done = False  # first: whoever leaves something from now on sets it again
        try:
            done = self._flush_in_order() and self._write_submitted()
        finally:
            if self._half_close or not done:
                self.busy = True
        return done

    def _write_submitted(self) -> bool:
        """
        Write one frame of those, so that others get their turn; return False if that was not all.

        Needs the lock.
        """
        submitted = self._submitted
        if submitted is None:
            return True
        if submitted.frame is not None:
            try:
                submitted.admit()
                taken = self._send(submitted.frame)
                submitted.frame = next(submitted.frames, None)
            except OSError:
                raise
            except Exception as exc:
                self._finish(exc)
                return not self._transport.pending
            if not taken or submitted.frame is not None:
                return False
        return self._finish(None)

    def _finish(self, error: Exception | None) -> bool:
        """Tell who submitted frames; return whether there is somebody. Needs the lock."""
        submitted = self._submitted
        if submitted is not None:
            self._submitted = None  # not without need: somebody may submit right now
            submitted.done(error)
        return submitted is not None

    def _flush_in_order(self) -> bool:
        # What the socket does not take stays where its amount is limited.
        if self._transport.pending and not self._transport.flush_nowait():
            return False
        parts = []
        while self._replies:
            parts.append(self._replies.popleft())
        count = len(self._outbox)  # others may post meanwhile, but nobody else takes
        parts += self._outbox[:count]
        done = False
        try:
            done = not parts or self._transport.send_nowait(b"".join(parts))
        finally:
            if done or self._transport.pending:  # else Ctrl-C came before
                del self._outbox[:count]
        return done

    def _discard_posted(self) -> None:
        self._outbox.clear()
        if self._replies:
            self._replies.clear()

    def close(self) -> None:
        """Close the transport, which has been shut down: whoever writes is about to leave."""
        # Without end only before Python 3.11, if Ctrl-C hit a writer right before the release.
        locked = self._lock.acquire(True, _LEAVING)
        housekeeper.forget(self._transport.sock)  # not earlier: a writer may ask for it until then
        self._finish(ConnectionAbortedError("the connection ended before all was written"))
        self._transport.close()
        if locked:
            self._lock.release()
        if self._submitted is not None:  # meanwhile; it will be told that nobody writes any more
            self.flush_nowait()


class PoliteWriter(Writer):
    """
    For greenlets, which run until they wait: whoever writes again and again lets others run.

    A socket takes some 100,000 short messages before one has to wait for it. Until then nobody
    would read, and no timer would lapse.
    """

    _run_since = 0.0  # of all writers together: about when others ran for the last time

    def write(self, frames: Iterable[Block], deadline: Deadline, admit: Callable[[], None]) -> bool:
        if time.monotonic() - PoliteWriter._run_since > _LONG:
            time.sleep(_MOMENT)  # first: what is thrown here meets a message that was not sent
            PoliteWriter._run_since = time.monotonic()
        return super().write(frames, deadline, admit)


def make_writer(transport: Transport) -> Writer:
    """Make the writer that fits threads, or greenlets."""
    return (PoliteWriter if greenlets() else Writer)(transport)


def _not_sent(deadline: Deadline) -> TimeoutError:
    return TimeoutError(f"not sent: the peer took nothing for {deadline.seconds} s")
