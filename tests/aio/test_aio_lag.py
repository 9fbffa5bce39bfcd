"""A slow peer, a fast one or a long message never keeps the other tasks of a loop waiting."""

from __future__ import annotations

import contextlib
import time

import pytest

from support.loops import awaited_end, both_ends
from support.wire import PING, TEXT
from syncws import aio

# The real figure is some milliseconds; what blocks in these tests would take many seconds.
BOUND = 2.0
WAITING = {
    "binary": lambda ws: ws.send(bytes(2**26), compress=False),
    "text": lambda ws: ws.send("x" * 2**26, compress=False),
    "messages": lambda ws: ws.send_many([bytes(2**20)] * 64, compress=False),
    "compressed": lambda ws: ws.send("abcdefg" * 2**22, compress=True),
}


@contextlib.asynccontextmanager
async def lag(run):
    """Yield a list that has the longest time so far in which a task had to wait for its turn."""
    longest = [0.0, 0]

    async def tick():
        while True:
            begun = time.monotonic()
            await run.sleep(0)
            longest[0] = max(longest[0], time.monotonic() - begun)
            longest[1] += 1

    ticking = run.start(tick)
    try:
        yield longest
    finally:
        ticking.cancel()
    assert longest[0] < BOUND


@pytest.mark.parametrize("kind", list(WAITING))
def test_a_peer_that_does_not_read(run, kind):
    async def main():
        options = {"ping_interval": None, "extensions": "permessage-deflate", "rcvbuf": 4096}
        async with awaited_end("server", **options) as (ws, _), lag(run) as longest:
            sending = run.start(WAITING[kind], ws)
            await run.sleep(0.5)
            assert kind == "compressed" or not sending.done
            await run.until(lambda: longest[1] > 10)  # the machine may be busy

    run(main)


@pytest.mark.parametrize("kind", [TEXT, PING], ids=["messages", "pings"])
def test_a_peer_that_floods(run, kind):
    """Who iterates over it lets others run."""

    async def main():
        async with awaited_end("server", ping_interval=None) as (ws, peer):
            frames = peer.frame(kind, b"x") * 20000

            def flood():
                with contextlib.suppress(OSError):
                    while True:
                        peer.sock.sendall(frames)

            async def receive():
                async for _ in ws:
                    pass

            flooding = run.start(run.thread, flood)
            async with lag(run) as longest:
                receiving = run.start(receive)
                await run.sleep(0.3)
                await run.until(lambda: longest[1] > 10)  # the machine may be busy
                receiving.cancel()
            ws.abort()
            await flooding.result()

    run(main)


@pytest.mark.parametrize("received", [True, False])
def test_a_reset_behind_more_than_one_read(run, received):
    """libuv tells of a socket with an error only once; what came before is received anyway."""

    async def main():
        options = {"ping_interval": None, "max_queue": None, "max_size": None}
        async with awaited_end("server", **options) as (ws, peer):
            peer.send(TEXT, b"x" * 200)
            assert await ws.recv() == "x" * 200
            for number in range(100):  # the loop does not run meanwhile
                peer.send(TEXT, b"%d" % number + bytes(2000))
            peer.reset()
            if received:
                with pytest.raises(aio.ConnectionClosedError):
                    for number in range(101):
                        assert int((await ws.recv()).rstrip("\0")) == number
                assert number > 5  # the system drops what our side had no room for
            await ws.wait_closed()

    run(main, 10)


def test_a_tight_loop_of_sends(run):
    async def main():
        async with both_ends() as (client, server), lag(run) as longest:

            async def send():
                while True:
                    await client.send("x")

            async def receive():
                async for _ in server:
                    pass

            tasks = [run.start(send), run.start(receive)]
            await run.sleep(0.3)
            await run.until(lambda: longest[1] > 10)  # the machine may be busy
            for task in tasks:
                task.cancel()

    run(main)
