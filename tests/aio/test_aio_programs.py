"""Forks, several runs, silent proxies, connections that threads had first, and many messages."""

from __future__ import annotations

import os
import random

import pytest

from support.children import child
from support.ends import end_and_peer
from support.loops import Cancelled, both_ends
from support.threads import blocked_in, eventually, live_threads
from support.wire import TEXT
from syncws import aio

FORK = """
    import asyncio, os, select, signal, sys, warnings
    from syncws import aio

    async def main():
        async with aio.connect(sys.argv[1]) as ws:
            await ws.send("first")
            assert await ws.recv() == "first"
            await ws.send("second")
            select.select([ws.connection._engine.reader.sock], [], [], 20)
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
            if pid == 0:
                signal.alarm(20)
                for call in (lambda: ws.send("x"), ws.recv, ws.ping):
                    for _ in range(2):
                        try:
                            await call()
                        except Exception as exc:
                            print(type(exc).__name__, flush=True)
                        await asyncio.sleep(0)
                await ws.close()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            await ws.send("still here")
            print(await ws.recv(), await ws.recv(), flush=True)

    asyncio.run(main())
"""
TWICE = """
    import asyncio, sys
    from syncws import aio

    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    async def main():
        async with aio.serve(echo, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with aio.connect(f"ws://127.0.0.1:{port}/") as ws:
                await ws.send("hello")
                print(await ws.recv(), flush=True)

    asyncio.run(main())
    asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() on this system")
def test_a_forked_child_leaves_the_connection_to_its_parent(serve):
    """Its calls say so; the parent's event loop, whose epoll it shares, goes on."""
    with child(FORK, args=(serve().url,)) as program:
        assert [program.line() for _ in range(6)] == 6 * ["InheritedConnection"]
        assert program.line() == "second still here"
        assert program.ends() == (0, "")


def test_asyncio_run_twice():
    with child(TWICE) as program:
        assert [program.line() for _ in range(2)] == ["hello", "hello"]
        assert program.ends() == (0, "")


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_connect_cancelled_behind_a_silent_proxy_leaves_no_thread(run, scheme, listener):
    if scheme == "socks5h":
        pytest.importorskip("python_socks")

    async def opened():
        proxy = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        return await aio.connect("ws://example.test/", proxy=proxy, open_timeout=3600)

    async def main():
        connecting = run.start(opened)
        with (await run.thread(listener.accept))[0] as sock:
            sock.settimeout(20)
            assert await run.thread(sock.recv, 65536)
            connecting.cancel()
            assert isinstance(await connecting.error(), Cancelled)
            await run.until(lambda: not [t for t in live_threads() if blocked_in(t, "connect")])

    run(main)


def test_a_connection_whose_thread_reads_already(run):
    """The thread hands over with the first message that a task waits for."""

    async def main():
        with end_and_peer("client", ping_interval=None) as (connection, peer):
            reader = connection._engine.reader
            peer.send(TEXT, b"early")
            await run.until(lambda: len(connection._queue) == 1)
            assert blocked_in(reader._thread, "_run")
            ws = aio.AsyncConnection(connection)
            assert await ws.recv() == "early"
            receiving = run.start(ws.recv)
            await run.stays_waiting(receiving)
            for number in range(3):
                peer.send(TEXT, b"%d" % number)
                assert await receiving.result() == str(number)
                receiving = run.start(ws.recv)
            if run.kind != "threads":
                eventually(lambda: not blocked_in(reader._thread, "_read_once"))
            await ws.send("out")
            assert await run.thread(peer.recv) == (TEXT, b"out")
            receiving.cancel()
            await receiving.error()
            await run.until(lambda: ws._queue.waiting == 0)
            ws.abort()
            await ws.wait_closed()

    run(main)


def test_ten_thousand_messages_with_random_cancellations():
    """Each way at once, under asyncio: exactly once and in order; nobody is left listening."""
    import asyncio

    count = 10000

    async def send_all(ws, rnd):
        """Send numbers; a message whose send was cancelled may have gone out."""
        sure = set()
        for number in range(count):
            message = f"{number}:" + "x" * (200000 if number % 1000 == 0 else rnd.randrange(20))
            if rnd.random() < 0.2:
                task = asyncio.ensure_future(ws.send(message))
                for _ in range(rnd.randrange(3)):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    continue
            else:
                await ws.send(message)
            sure.add(number)
        await ws.send("end")
        return sure

    async def receive_all(ws, rnd):
        got = []
        while True:
            task = asyncio.ensure_future(ws.recv())
            if rnd.random() < 0.2:
                for _ in range(rnd.randrange(3)):
                    await asyncio.sleep(0)
                task.cancel()
            try:
                message = await task
            except asyncio.CancelledError:
                continue
            if message == "end":
                return got
            got.append(int(message.partition(":")[0]))

    async def main():
        async with both_ends(ping_interval=None) as (client, server):
            results = await asyncio.gather(
                send_all(client, random.Random(1)),
                receive_all(server, random.Random(2)),
                send_all(server, random.Random(3)),
                receive_all(client, random.Random(4)),
            )
            for sure, got in (results[:2], results[2:]):
                assert got == sorted(set(got))
                assert sure <= set(got)
                assert len(sure) > count / 2
            for ws in (client, server):
                assert ws._queue.waiting == 0
                assert ws._receiver._takers == []

    asyncio.run(main())
