"""
Messages on their way out: cut into frames, encoded, and kept whole.

Several threads may send at once: each message goes out with its frames together and in order.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Callable

from .codes import Opcode, Role
from .deadline import Deadline, acquire
from .exceptions import ConcurrencyError
from .masking import mask_key
from .outgoing import Part, split
from .sansio import Deflater, Protocol
from .writer import Block, Writer

_LARGE = 16 * 1024  # bytes of payload that are not worth a copy


class Sender:
    """
    Sends data messages. Thread-safe.

    Args:
        admit: raises if data may no longer be sent.
        failed: told of a network error; returns what to raise for it.
        give_up: called when a message cannot be finished any more.
        log: told of every frame and whether it is compressed, or None.

    Attributes:
        messages: how many were sent so far.
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
        # Two accounts of each, as they are kept under different locks.
        self.messages = self._data_frames = self._data_bytes = 0
        self._control_frames = self._control_bytes = 0
        self._protocol = protocol
        self._writer = writer
        self._fragment_size = fragment_size
        self._deflater = deflater
        self._admit = admit
        self._failed = failed
        self._give_up = give_up
        self._log = log
        # Keeps the frames of one message together, also while its next fragment is being made.
        self._lock = threading.Lock()
        self._masks = protocol.role is Role.CLIENT  # RFC 6455 section 5.1: servers mask nothing
        self._holder: int | None = None  # the thread that has it
        self._unfinished = False  # the peer has the beginning of a message and not its end

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
            if not self._lock.acquire(False):
                self._wait_turn(deadline)
            try:
                self._holder = threading.get_ident()
                frame = self._encode((opcode, payload, True, False))
                done = self._write((frame,), deadline)
                self.messages += 1
            finally:
                self._holder = None
                self._lock.release()
        if not done:
            raise _late(deadline)

    @property
    def frames_sent(self) -> int:
        """How many frames were sent, control frames included."""
        return self._data_frames + self._control_frames

    @property
    def bytes_sent(self) -> int:
        """How many bytes they had."""
        return self._data_bytes + self._control_bytes

    def send_many(
        self,
        contents: Iterable[tuple[int, bytes]],
        deadline: Deadline,
        compress: bool | None = None,
    ) -> None:
        """
        Send several messages in one write.

        Raises:
            TimeoutError: as Connection.send_many.
        """
        with self._turn(deadline):
            frames: list[bytes] = []
            count = 0
            for opcode, payload in contents:
                parts = self._parts(opcode, payload, self._deflater_for(payload, compress))
                for frame in map(self._encode, parts):
                    frames += (frame,) if isinstance(frame, bytes) else frame
                count += 1
            done = not frames or self._write([b"".join(frames)], deadline)
            self._sent(count)
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
        with self._turn(deadline):
            begun = False
            if self._deflater is not None and compress:
                parts = _compressed_parts(parts, self._deflater)
            for part in parts:
                if not self._write(self._frames([part]), deadline):
                    raise _late(deadline)
                begun = True
            self._sent(begun)

    @contextlib.contextmanager
    def _turn(self, deadline: Deadline) -> Iterator[None]:
        """Wait for the messages of other threads."""
        if not self._lock.acquire(False):
            self._wait_turn(deadline)
        try:
            self._holder = threading.get_ident()
            self._unfinished = False
            if self._deflater is not None:
                self._deflater.begin()
            yield
        except BaseException:
            # The peer would take what it has for the whole message.
            if self._unfinished:
                self._give_up()
            raise
        finally:
            self._holder = None
            self._lock.release()

    def _deflater_for(self, payload: bytes, compress: bool | None) -> Deflater | None:
        """Return what compresses this message, or None if it goes as it is."""
        deflater = self._deflater
        wanted = deflater is not None and deflater.wanted(len(payload), compress)
        return deflater if wanted else None

    def _parts(self, opcode: int, payload: bytes, deflater: Deflater | None) -> Iterator[Part]:
        """Cut a message into frames; with a deflater compress it, if that makes it smaller."""
        compressed = None if deflater is None else deflater.message(payload)
        if compressed is None:
            return split(opcode, payload, self._fragment_size)
        return split(opcode, compressed, self._fragment_size, rsv1=True)

    def _sent(self, count: int) -> None:
        """Note that so many messages went out."""
        self.messages += count
        if self._deflater is not None:
            self._deflater.commit()

    def _wait_turn(self, deadline: Deadline) -> None:
        if self._holder == threading.get_ident():
            raise ConcurrencyError(
                "send() inside the iterable that send() is sending, or in a signal handler "
                "that interrupted a send()"
            )
        if not acquire(self._lock, deadline):
            raise TimeoutError(f"not sent: another send() took over {deadline.seconds} s")

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

    def _frames(self, parts: Iterable[Part]) -> Iterator[Block]:
        """Encode frames one by one, as the writer asks for them."""
        for part in parts:
            frame = self._encode(part)
            self._unfinished = not part[2]
            yield frame

    def _encode(self, part: Part) -> Block:
        opcode, payload, fin, rsv1 = part
        size = len(payload)
        frame: Block
        if size >= _LARGE and not self._masks:
            header = self._protocol.header(opcode, size, fin, rsv1)
            frame = header, payload  # type: ignore[assignment]
            size += len(header)
        else:
            key = mask_key() if self._masks else b""
            frame = self._protocol.encode(opcode, payload, key, fin, rsv1)
            size = len(frame)
        self._data_frames += 1
        self._data_bytes += size
        if self._log is not None:
            self._log(opcode, bytes(payload), rsv1)
        return frame

    def note(self, opcode: int, payload: bytes, frame: bytes) -> None:
        """Count and log a control frame. One caller at a time."""
        self._control_frames += 1
        self._control_bytes += len(frame)
        if self._log is not None:
            self._log(opcode, payload, False)


def _compressed_parts(parts: Iterable[Part], deflater: Deflater) -> Iterator[Part]:
    """Compress a message whose parts are made as we go."""
    for opcode, payload, fin, _ in parts:
        yield opcode, deflater.part(bytes(payload), fin), fin, opcode != Opcode.CONT


def _late(deadline: Deadline) -> TimeoutError:
    return TimeoutError(f"the peer did not take the whole message in {deadline.seconds} s")
