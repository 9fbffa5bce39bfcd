"""
What one connection can cost: about max_size + 1 MiB, whatever the peer sends.

Measured with tracemalloc, which counts all that Python allocates in this process; the peer's bytes
are made before it starts. What the peer cannot get rid of lies in the system's buffers.
"""

from __future__ import annotations

import contextlib
import tracemalloc

import pytest

from support.ends import end_and_peer
from support.threads import Running, eventually

CONT, TEXT, BINARY, PING = 0, 1, 2, 9
MIB = 2**20
EMOJI = "\N{GRINNING FACE}".encode()

# What the peer sends over and over: frames as (opcode, payload, fin).
ATTACKS = {
    "64-kib-messages": [(BINARY, bytes(2**16), True)],
    "2-byte-messages": [(BINARY, b"xy", True)] * 1000,
    "empty-messages": [(TEXT, b"", True)] * 1000,
    "messages-of-max_size": [(BINARY, bytes(MIB), True)],
    "text-of-max_size": [(TEXT, b"x" * MIB, True)],
    "small-fragments": [(BINARY, b"", False), *[(CONT, bytes(64), False)] * 999, (CONT, b"", True)],
    "text-in-fragments": [
        (TEXT, b"", False),
        *[(CONT, b"x" * 99, False)] * 9999,
        (CONT, b"", True),
    ],
    "messages-and-pings": [(TEXT, b"xy", True), (PING, bytes(125), True)] * 500,
    "1-byte-messages-and-a-ping": [(TEXT, b"x", True)] * 500 + [(PING, b"", True)],
    "1-byte-fragmented-messages": [(BINARY, b"", False), (CONT, b"x", True)] * 500,
    "emoji-and-pings": [(TEXT, EMOJI * 100, True), (PING, b"", True)],
}


@contextlib.contextmanager
def flooded(frames):
    """Yield our end, while the peer sends the frames over and over and reads nothing."""
    with end_and_peer("server", ping_interval=None) as (ws, peer):
        data = b"".join(peer.frame(*frame) for frame in frames)
        data *= max(1, MIB // len(data))

        def send():
            with contextlib.suppress(OSError):
                while True:
                    peer.sock.sendall(data)

        tracemalloc.start()
        try:
            sending = Running(send)
            yield ws
        finally:
            tracemalloc.stop()
            ws.abort()
            sending.result()


@pytest.mark.parametrize("name", ATTACKS)
def test_memory_of_a_flooded_connection(name):
    """Nobody receives: the queue is full; then someone does, so that a long message comes in."""
    with flooded(ATTACKS[name]) as ws:
        eventually(lambda: ws._engine.queue.parked)
        ws.recv()
        for _ in range(len(ws._engine.queue)):
            ws.recv()
        eventually(lambda: ws._engine.queue.parked)
        stays, peak = tracemalloc.get_traced_memory()
    assert stays < 2 * MIB
    # A text that came in pieces is there twice for a moment, while they are joined; and decoding
    # one read of 64 KiB that is full of the tiniest frames takes megabytes.
    assert peak < (5 if "1-byte" in name else 3 if "text" in name else 2) * MIB


def test_memory_of_a_stream_in_tiny_fragments():
    """
    Someone streams, and does not come back for more: pieces of 2 bytes by the thousand.

    What they cost for a moment, while one read of 64 KiB is decoded, is not looked at here.
    """
    count = 40_000
    with end_and_peer("client", ping_interval=None) as (ws, peer):
        peer.send(BINARY, b"xy", fin=False)
        assert next(stream := ws.recv_stream()) == b"xy"
        data = peer.frame(CONT, b"xy", fin=False) * count + peer.frame(CONT)
        tracemalloc.start()
        try:
            peer.sock.sendall(data)
            eventually(lambda: ws.stats.messages_received == 1)
            eventually(lambda: tracemalloc.get_traced_memory()[0] < MIB)
        finally:
            tracemalloc.stop()
        assert b"".join(stream) == b"xy" * count


def test_nothing_is_allocated_by_a_declared_length():
    """2**62 bytes, and no limit of ours: what has come is kept, and no more."""
    with end_and_peer("client", max_size=None, ping_interval=None) as (ws, peer):
        tracemalloc.start()
        try:
            peer.sock.sendall(b"\x82\x7f" + (2**62).to_bytes(8, "big") + bytes(1000))
            eventually(lambda: ws.stats.bytes_received == 1010)
            peer.sock.shutdown(1)
            ws.wait_closed()
            assert tracemalloc.get_traced_memory()[1] < 500_000
        finally:
            tracemalloc.stop()
