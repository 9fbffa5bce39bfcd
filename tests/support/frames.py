"""Frames as a scripted peer sees them, with their FIN bit."""

from __future__ import annotations

import queue
import struct
from typing import NamedTuple

from .peer import Peer
from .threads import WATCHDOG
from .wire import CONTROL_OPCODES, mask

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def closing(code: int, reason: bytes = b"") -> bytes:
    """Return the payload of a Close frame."""
    return code.to_bytes(2, "big") + reason


class Seen(NamedTuple):
    """One frame."""

    opcode: int
    payload: bytes
    fin: bool = True


def read_frame(peer: Peer) -> Seen:
    """Read the next frame. Raises EOFError at the end."""
    first, second = peer.read(2)
    size = second & 0x7F
    if size == 126:
        size = struct.unpack("!H", peer.read(2))[0]
    elif size == 127:
        size = struct.unpack("!Q", peer.read(8))[0]
    key = peer.read(4) if second & 0x80 else bytes(4)
    payload = peer.read(size)
    return Seen(first & 0x0F, mask(payload, key) if any(key) else payload, bool(first & 0x80))


def read_frames(peer: Peer, count: int) -> list[Seen]:
    """Read so many frames."""
    return [read_frame(peer) for _ in range(count)]


def read_message(peer: Peer) -> list[Seen]:
    """Read frames up to the end of a message; control frames are left out."""
    frames = [read_frame(peer)]
    while frames[-1].opcode in CONTROL_OPCODES or not frames[-1].fin:
        frames.append(read_frame(peer))
    return [frame for frame in frames if frame.opcode not in CONTROL_OPCODES]


def converse_with_a_feeder(peer: Peer, opcode: int, begun: queue.SimpleQueue[None]) -> None:
    """Send messages to who pipes them back while they arrive; the last frame carries FIN."""
    peer.send(opcode, b"one", fin=False)
    begun.get(timeout=WATCHDOG)  # or both could come together, in one piece
    peer.send(CONT, b"two", fin=False)
    assert read_frame(peer) == (opcode, b"one", False)
    peer.send(CONT, b"three")
    assert read_frames(peer, 2) == [(CONT, b"two", False), (CONT, b"three", True)]
    peer.send(opcode, b"")
    assert read_frame(peer) == (opcode, b"", True)
    peer.send(opcode, b"", fin=False)
    peer.send(CONT, b"")
    assert read_frame(peer) == (opcode, b"", True)
