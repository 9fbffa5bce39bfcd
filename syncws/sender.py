"""
Messages on their way out: kept whole, one after the other.

Several threads may send at once: each message goes out with its frames together and in order.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Callable

from .backlog import Backlog
from .deadline import NOW, Deadline, acquire, taking
from .exceptions import ConcurrencyError, WebSocketException
from .framing import Framing
from .outgoing import Encoded, Part, PreparedMessage
from .sansio import Deflater, Protocol
from .writer import Block, Done, Writer

_BATCH = 16 * 1024  # bytes of short messages that go out together, once they had to wait


class Sender(Framing):
    """
    Sends data messages. Thread-safe.

    Args:
        admit: raises if data may no longer be sent.
        failed: told of a network error; returns what to raise for it.
        give_up: called when a message cannot be finished any more.
        log: told of every frame and whether it is compressed, or None.

    Attributes:
        backlog: broadcast messages that have not begun, since the peer is slow or the turn taken.
    """

    def __init__(
        self,
        protocol: Protocol,
        writer: Writer,
        fragment_size: int | None,
        deflater: Deflater | None,
        admit: Callable[[], None],
        failed: Callable[[OSError], Exception],
        give_up: Callable[[], None],
        log: Callable[[int, bytes, bool], None] | None,
    ) -> None:
        super().__init__(protocol, fragment_size, deflater, log)
        self._writer = writer
        self._admit = admit
        self._failed = failed
        self._give_up = give_up
        # Keeps the frames of one message together, also while its next fragment is being made.
        self._lock = threading.Lock()
        self._takes = taking(self._lock)
        self._holder: int | None = None  # the thread that has it
        self._waiting: dict[object, Deadline] = {}  # of the threads that wait for it
        self.backlog = Backlog()
        # What waits there, looked at for each message: as long as nothing ever did, no object of
        # this connection's own, which would have to come from far memory.
        self._left: Sequence[object] = ()

    def send(
        self, opcode: int, payload: bytes, deadline: Deadline, compress: bool | None = None
    ) -> None:
        """
        Send one message, in fragments if it is long.

        Raises:
            TimeoutError: as Connection.send.
        """
        size = self._fragment_size
        deflater = self._deflater_for(payload, compress)
        if deflater is not None or (size is not None and len(payload) > size):
            with self._turn(deadline):
                parts = self._parts(opcode, payload, deflater)
                done = self._write(self._frames(parts), deadline)
                self._sent(1)
        else:  # the common case, without detours
            me, mine = threading.get_ident(), False
            try:
                for mine in self._takes:
                    if not mine:
                        mine = self._wait_turn(deadline)
                    break
                self._holder = me
                if self._left:
                    self._catch_up(deadline)
                frame = self._encode((opcode, payload, True, False))
                done = self._write((frame,), deadline)
                self._messages += 1
            finally:
                if mine:
                    self._holder = None
                    self._lock.release()
                    if self._left:
                        self._resume()
        if not done:
            raise _late(deadline)

    def send_many(
        self,
        contents: Sequence[tuple[int, bytes]],
        deadline: Deadline,
        compress: bool | None = None,
    ) -> None:
        """
        Send several messages in one write.

        Raises:
            TimeoutError: as Connection.send_many.
        """
        with self._turn(deadline):
            block = self.joined(contents, compress)
            done = not block or self._write([block], deadline)
            self._sent(len(contents))
        if not done:
            raise _late(deadline)

    def send_fragments(
        self, parts: Iterable[Part], deadline: Deadline, compress: bool | None = None
    ) -> None:
        """
        Send one message whose parts are made by the user as we go.

        Raises:
            TimeoutError: in the middle of the message; the rest of it is given up.
        """
        with self.message(deadline) as send:
            for part in self._perhaps_compressed(parts, compress):
                send(part, deadline)

    def send_prepared(self, message: PreparedMessage, deadline: Deadline) -> None:
        """
        Send a message that was prepared.

        Raises:
            TimeoutError: as Connection.send.
        """
        with self._turn(deadline):
            done = self._write(self.prepared(message), deadline)
            self._sent(1)
        if not done:
            raise _late(deadline)

    # For those who may not wait: begin(), then submit() and its end once or more often, then end().

    def begin(self, deadline: Deadline = NOW) -> bool:
        """Take the turn; return False if other messages are on their way, or to go first."""
        if deadline is NOW:
            if self._left or not self._lock.acquire(False):
                return False
            self._begin()
            return True
        if not self._acquire(deadline):
            return False
        self._begin()
        if self._left:
            with contextlib.suppress(WebSocketException, TimeoutError):  # ours will meet the same
                self._catch_up(deadline)
        return True

    def send_nowait(self, opcode: int, payload: bytes) -> bool:
        """
        Send a short message as it is; return False if it goes out later. Needs the turn.

        Raises:
            ConnectionClosed: the connection is closing or closed.
        """
        try:
            return self._writer.write_nowait(
                self._encode((opcode, payload, True, False)), self._admit
            )
        except OSError as exc:
            error = self._failed(exc)
            raise error from error.__cause__

    def submit(self, frames: Iterator[Block], done: Done) -> None:
        """Write frames; ``done`` is told of the end, or of what to raise. Needs the turn."""

        def written(error: Exception | None) -> None:
            if isinstance(error, OSError):
                self._unfinished = False
                error = self._failed(error)
            done(error)

        self._writer.submit(frames, self._admit, written)

    def end(self, count: int) -> None:
        """Give the turn back, after so many messages that went out."""
        if self._unfinished:
            self._give_up()
        elif count:
            self._sent(count)
        self._give_turn()

    # For broadcasts: they never wait. What does not go out at once waits in the backlog, and the
    # turn is kept until that is empty, or a thread waits for the turn, which then writes it first.
    # Whoever gives the turn back, or waits in vain, looks into the backlog after that.

    def offer(
        self,
        message: PreparedMessage,
        limit: int,
        oldest: bool = False,
        when_room: Callable[[], None] | None = None,
    ) -> bool:
        """
        Send a message, or let it wait in the backlog; see ``Backlog.add``. Does not block.

        Raises:
            ConnectionClosed: the connection is closing or closed.
        """
        encoded = self._encoded(message)
        try:
            taken = None
            if encoded.alone and not self._left and self._log is None:
                # Nobody needs the turn for one frame that no other depends on.
                taken = self._writer.write_if_free(encoded.data, self._write_between)
            if taken is None:
                return self._offer(encoded, limit, oldest, when_room)
        except OSError as exc:
            error = self._failed(exc)
            raise error from error.__cause__
        if not taken:
            self._resume()
        return True

    def _offer(
        self, encoded: Encoded, limit: int, oldest: bool, when_room: Callable[[], None] | None
    ) -> bool:
        """Do as ``offer``, with the turn or behind who has it."""
        if self._masks:
            encoded = encoded._replace(data=self._in_one_piece(encoded.parts))
        me, mine, taken = threading.get_ident(), False, True
        try:
            for mine in (False,) if self._left else self._takes:
                if not mine or self._writer.stuck:
                    self._admit()
                    self._left = self.backlog.items
                    return self.backlog.add(encoded, len(encoded.data), limit, oldest, when_room)
                break
            self._holder = me
            if encoded.compressed:
                self._begin_context()
            taken = self._writer.write_nowait(encoded.data, self._admit)
            self._account(encoded)
        finally:
            if mine:
                self._holder = None
                self._lock.release()
            if self._left or not taken:
                self._resume()
        return True

    def _write_between(self, frame: bytes, send: Callable[[bytes], bool]) -> bool | None:
        """Send if nobody has the turn: who gets it now comes behind. Needs the writer's lock."""
        if self._lock.locked():
            return None
        if not self._protocol.is_open:
            self._admit()
        self._between_frames += 1
        self._between_bytes += len(frame)
        return send(frame)

    def _drained(self, error: Exception | None) -> None:
        if error is not None:
            self.backlog.clear()
        self._give_turn()

    def _resume(self) -> None:
        """Keep the turn until all is written, unless somebody has it or waits, who will do so."""
        mine, before = False, -1
        try:
            for mine in (False,) if self._waiting else self._takes:
                if mine:
                    before = self._writer.submissions
                    self.submit(self._leftover(lambda: not self._waiting), self._drained)
                break
        except KeyboardInterrupt:
            if mine and before in (-1, self._writer.submissions):  # nobody else gives it back
                self._lock.release()
            raise

    def _catch_up(self, deadline: Deadline) -> None:
        """Write what was broadcast before. Needs the turn."""
        backlog = self.backlog
        added = backlog.added
        left = self._leftover(lambda: backlog.gone < added and not deadline.lapsed)
        self._write(left, deadline)  # what is begun makes the next one wait, too
        if backlog.gone < added:
            raise TimeoutError(
                f"not sent: the peer did not take earlier messages in {deadline.seconds} s"
            )

    def _leftover(self, may_go_on: Callable[[], bool]) -> Iterator[Block]:
        """Yield what waits in the backlog. Needs the turn."""
        while self._left and may_go_on():
            batch = self.backlog.take(_BATCH)
            for encoded in batch:
                if encoded.compressed:
                    self._begin_context()
                self._account(encoded)
            yield batch[0].data if len(batch) == 1 else b"".join(each.data for each in batch)

    # The turn.

    @contextlib.contextmanager
    def _turn(self, deadline: Deadline) -> Iterator[None]:
        """Wait for the messages of other threads."""
        me, mine = threading.get_ident(), False
        try:
            for mine in self._takes:
                if not mine:
                    mine = self._wait_turn(deadline)
                break
            self._holder = me
            self._begin()
            if self._left:
                self._catch_up(deadline)
            yield
        except BaseException:
            # The peer would take what it has for the whole message.
            if mine and self._unfinished:
                self._give_up()
            raise
        finally:  # without a call that Ctrl-C could hit before the turn is given back
            if mine:
                self._holder = None
                self._lock.release()
                if self._left:
                    self._resume()

    def _give_turn(self) -> None:
        self._holder = None
        self._lock.release()
        if self._left:
            self._resume()

    def _wait_turn(self, deadline: Deadline) -> bool:
        if self._holder == threading.get_ident():
            raise ConcurrencyError(
                "send() inside the iterable that send() is sending, or in a signal handler "
                "that interrupted a send()"
            )
        if not self._acquire(deadline):
            raise TimeoutError(f"not sent: other messages took over {deadline.seconds} s")
        return True

    def _acquire(self, deadline: Deadline) -> bool:
        """Wait for the turn; whoever gets it sees to the backlog first."""
        acquired = False
        entry = object()
        self._waiting[entry] = deadline  # unlike append() and remove() nothing that Ctrl-C follows
        try:
            acquired = acquire(self._lock, deadline)
        finally:
            del self._waiting[entry]
            if not acquired and self._left:
                self._resume()
        return acquired

    def _write(self, frames: Iterable[Block], deadline: Deadline) -> bool:
        """Write frames; return whether all went out in time. Raises TimeoutError if none did."""
        try:
            return self._writer.write(frames, deadline, self._admit)
        except OSError as exc:
            if isinstance(exc, TimeoutError) and exc.errno is None:
                raise
            self._unfinished = False  # nobody is there to misunderstand
            error = self._failed(exc)
            raise error from error.__cause__

    @contextlib.contextmanager
    def message(self, deadline: Deadline) -> Iterator[Callable[[Part, Deadline], None]]:
        """
        Yield what sends the parts of one message; the messages of others wait until the block ends.

        Raises:
            TimeoutError: the messages of others took too long.
        """
        with self._turn(deadline):
            begun = False

            def send(part: Part, deadline: Deadline) -> None:
                nonlocal begun
                if not self._write(self._frames([part]), deadline):
                    raise _late(deadline)
                begun = True

            yield send
            self._sent(begun)


def _late(deadline: Deadline) -> TimeoutError:
    return TimeoutError(f"the peer did not take the whole message in {deadline.seconds} s")
