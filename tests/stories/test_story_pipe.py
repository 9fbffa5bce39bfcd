"""A message of 1 GiB, piped on by ``writer.feed(reader)`` while it arrives."""

from __future__ import annotations

import os

import pytest

from support.children import child
from support.frames import read_frame
from support.peer import Peer
from support.threads import Running

MIB = 2**20
SIZE = 1024  # MiB
BINARY, CLOSE = 2, 8

RESIDENT = """
    def resident(key):  # MiB
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key))
"""

IN_THREADS = """
    from syncws.callbacks import WebSocketServer

    server = WebSocketServer("127.0.0.1", 0, max_size=None, compression=None)

    @server.connection
    def on_connection(client):
        @client.message
        def on_message(reader):
            before = resident("VmRSS:")
            client.writer.feed(reader)
            print(resident("VmHWM:") - before, flush=True)

    with server:
        print(server.port, flush=True)
        server.serve_forever()
"""

IN_ASYNCIO = """
    import asyncio
    from syncws.aio.callbacks import WebSocketServer

    server = WebSocketServer("127.0.0.1", 0, max_size=None, compression=None)

    @server.connection
    async def on_connection(client):
        @client.message
        async def on_message(reader):
            before = resident("VmRSS:")
            await client.writer.feed(reader)
            print(resident("VmHWM:") - before, flush=True)

    async def main():
        async with server:
            print(server.port, flush=True)
            await server.serve_forever()

    asyncio.run(main())
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="asks Linux for the memory")
@pytest.mark.parametrize("frames", [1, SIZE], ids=["one-frame", "a-frame-for-each-mib"])
@pytest.mark.parametrize("program", [IN_THREADS, IN_ASYNCIO], ids=["threads", "asyncio"])
def test_memory_of_a_pipe(program, frames):
    """Less than 20 MiB more are resident at any time, however long the message is."""
    part = bytes(MIB)
    with (
        child(RESIDENT, program) as server,
        Peer.connecting(("127.0.0.1", int(server.line()))) as peer,
    ):

        def send():
            for number in range(frames):
                first = bytes([(number == frames - 1) << 7 | (0 if number else BINARY), 0xFF])
                size = SIZE * MIB // frames
                peer.sock.sendall(first + size.to_bytes(8, "big") + bytes(4))
                for _ in range(size // MIB):
                    peer.sock.sendall(part)

        sending = Running(send)
        arrived = _drain(peer, SIZE * MIB)
        sending.result(60)
        more = float(server.line())

    assert arrived == SIZE * MIB
    assert more < 20


def _drain(peer, wanted):
    """Read one message in fragments; return its size."""
    arrived = 0
    while True:
        frame = read_frame(peer)
        assert frame.opcode != CLOSE, frame
        arrived += len(frame.payload)
        if frame.fin:
            return arrived
