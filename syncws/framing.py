"""
Messages into frames: cut, compressed, encoded, counted and logged.

Knows nothing of threads: one at a time may make frames, but for those of prepared messages.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Callable

from .codes import Opcode, Role
from .masking import mask_key
from .outgoing import Encoded, Part, PreparedMessage, split
from .sansio import Deflater, Protocol
from .writer import Block

_LARGE = 16 * 1024  # bytes of payload that are not worth a copy


@functools.lru_cache(maxsize=16)
def _form(masks: bool, fragment_size: int | None) -> tuple[object, ...]:
    """Return what the frames of a prepared message depend on; the same object for the same."""
    return masks, fragment_size


class Framing:
    """
    Makes the frames of one connection.

    Args:
        log: told of every frame and whether it is compressed, or None.
    """

    def __init__(
        self,
        protocol: Protocol,
        fragment_size: int | None,
        deflater: Deflater | None,
        log: Callable[[int, bytes, bool], None] | None,
    ) -> None:
        # Three accounts, as they are kept under different locks.
        self._messages = self._data_frames = self._data_bytes = 0
        self._between_frames = self._between_bytes = 0  # of messages of one frame, without a turn
        self._control_frames = self._control_bytes = 0
        self._protocol = protocol
        self._fragment_size = fragment_size
        self._deflater = deflater
        self._log = log
        self._masks = protocol.role is Role.CLIENT  # RFC 6455 section 5.1: servers mask nothing
        self._unfinished = False  # the peer has the beginning of a message and not its end
        self._plain_form = _form(self._masks, fragment_size)

    @property
    def messages(self) -> int:
        """How many messages were sent so far."""
        return self._messages + self._between_frames

    @property
    def frames_sent(self) -> int:
        """How many frames were sent, control frames included."""
        return self._data_frames + self._between_frames + self._control_frames

    @property
    def bytes_sent(self) -> int:
        """How many bytes they had."""
        return self._data_bytes + self._between_bytes + self._control_bytes

    def is_plain(self, size: int, compress: bool | None) -> bool:
        """Tell whether a message of this size is one frame, as it is."""
        limit = self._fragment_size
        return (limit is None or size <= limit) and not self.compresses(size, compress)

    def compresses(self, size: int, compress: bool | None) -> bool:
        """Tell whether a message of this size would be compressed."""
        return self._deflater is not None and self._deflater.wanted(size, compress)

    def whole(self, opcode: int, payload: bytes, compress: bool | None) -> Iterator[Block]:
        """Return the frames of a message, each made when it is asked for. Needs the turn."""
        return self._frames(self._parts(opcode, payload, self._deflater_for(payload, compress)))

    def joined(self, contents: Iterable[tuple[int, bytes]], compress: bool | None) -> bytes:
        """Return the frames of several messages in one piece. Needs the turn."""
        frames: list[bytes] = []
        for opcode, payload in contents:
            parts = self._parts(opcode, payload, self._deflater_for(payload, compress))
            for frame in map(self._encode, parts):
                frames += (frame,) if isinstance(frame, bytes) else frame
        return b"".join(frames)

    def fragments(self, parts: Iterable[Part], compress: bool | None) -> Iterator[Block]:
        """Return the frames of a message whose parts are made as we go. Needs the turn."""
        return self._frames(self._perhaps_compressed(parts, compress))

    def prepared(self, message: PreparedMessage) -> Iterator[Block]:
        """Return the frames of a message that was prepared. Needs the turn."""
        encoded = self._encoded(message)
        if encoded.compressed:
            self._begin_context()
        return self._frames(encoded.parts)

    def _deflater_for(self, payload: bytes, compress: bool | None) -> Deflater | None:
        """Return what compresses this message, or None if it goes as it is."""
        return self._deflater if self.compresses(len(payload), compress) else None

    def _parts(self, opcode: int, payload: bytes, deflater: Deflater | None) -> Iterator[Part]:
        """Cut a message into frames; with a deflater compress it, if that makes it smaller."""
        compressed = None if deflater is None else deflater.message(payload)
        if compressed is None:
            return split(opcode, payload, self._fragment_size)
        return split(opcode, compressed, self._fragment_size, rsv1=True)

    def _perhaps_compressed(self, parts: Iterable[Part], compress: bool | None) -> Iterable[Part]:
        if self._deflater is None or not compress:
            return parts
        return _compressed_parts(parts, self._deflater)

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

    def _begin(self) -> None:
        """Note that a message begins. Needs the turn."""
        self._unfinished = False
        if self._deflater is not None:
            self._deflater.begin()

    def _sent(self, count: int) -> None:
        """Note that so many messages went out. Needs the turn."""
        self._messages += count
        if self._deflater is not None:
            self._deflater.commit()

    # Prepared messages.

    def _encoded(self, message: PreparedMessage) -> Encoded:
        """Return a prepared message as this connection needs it; without masks."""
        deflater = self._deflater
        if deflater is None or not deflater.wanted(len(message.payload), message.compress):
            return message.encoded.get(self._plain_form) or self._encode_once(message, None)
        form = self._compressed_form(deflater)
        return message.encoded.get(form) or self._encode_once(message, deflater)

    def _compressed_form(self, deflater: Deflater) -> tuple[object, ...]:
        settings = deflater.settings
        return (*self._plain_form, deflater.bits, settings.level, settings.memory_level)

    def _encode_once(self, message: PreparedMessage, deflater: Deflater | None) -> Encoded:
        form: tuple[object, ...] = self._plain_form
        if deflater is not None:
            form = self._compressed_form(deflater)
            deflater = Deflater(deflater.bits, False, deflater.settings)  # refers to nothing before
        parts = tuple(self._parts(message.opcode, message.payload, deflater))
        data = b"" if self._masks else self._in_one_piece(parts)
        compressed = parts[0][3]
        alone = len(parts) == 1 and not (compressed or self._masks)
        encoded = message.encoded[form] = Encoded(parts, data, compressed, alone)
        return encoded

    def _in_one_piece(self, parts: Iterable[Part]) -> bytes:
        """Encode frames without counting them."""
        encode, masks = self._protocol.encode, self._masks
        return b"".join(
            encode(opcode, payload, mask_key() if masks else b"", fin, rsv1)
            for opcode, payload, fin, rsv1 in parts
        )

    def _account(self, encoded: Encoded) -> None:
        """Count and log a broadcast message that goes out. Needs the turn."""
        self._messages += 1
        self._data_frames += len(encoded.parts)
        self._data_bytes += len(encoded.data)
        if self._log is not None:
            for opcode, payload, _, rsv1 in encoded.parts:
                self._log(opcode, bytes(payload), rsv1)

    def _begin_context(self) -> None:
        """No message of ours may refer to one before what the peer gets now. Needs the turn."""
        if self._deflater is not None:
            self._deflater.begin()


def _compressed_parts(parts: Iterable[Part], deflater: Deflater) -> Iterator[Part]:
    """Compress a message whose parts are made as we go."""
    for opcode, payload, fin, _ in parts:
        yield opcode, deflater.part(bytes(payload), fin), fin, opcode != Opcode.CONT
