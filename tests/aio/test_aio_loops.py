"""Loops that come and go, threads beside them, and the end of the program."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import weakref

import pytest

from support.children import child
from support.ends import connect_to, end_and_peer, linked
from support.loops import awaited_end, both_ends
from support.streams import LARGE, soon
from support.threads import WATCHDOG, Running, blocked_in, eventually
from support.wire import TEXT
from syncws import aio
from syncws.aio.loops import current

OFF = {"ping_interval": None}


async def conversation():
    async with both_ends() as (client, server):
        for number in range(20):
            await client.send(str(number))
            await server.send(await server.recv())
            assert await client.recv() == str(number)
    return "done"


def test_several_loops_in_several_threads(run):
    """Each has its own connections."""
    assert [r.result() for r in [Running(run, conversation) for _ in range(4)]] == ["done"] * 4


def test_one_loop_behind_the_other(run):
    assert [run(conversation), run(conversation)] == ["done", "done"]


def test_another_loop_is_refused(run):
    """With words that say what to do."""
    kept = []

    async def main():
        async with awaited_end(**OFF) as (ws, _):
            kept.append(ws)

            async def elsewhere():
                for call in (ws.recv, ws.wait_closed, lambda: ws.send("x")):
                    with pytest.raises(RuntimeError, match=r"another event loop.*'connection'"):
                        await call()

            await run.thread(run, elsewhere)

    run(main)


def test_a_connection_of_trio_is_refused_by_asyncio_and_the_other_way_round():
    """With the same words, as soon as they have to wait."""
    trio = pytest.importorskip("trio")
    for run, other in ((trio.run, asyncio_run), (asyncio_run, trio.run)):

        async def main(other=other):
            async with awaited_end(**OFF) as (ws, _):

                async def elsewhere():
                    for call in (ws.recv, lambda: ws.send(LARGE), ws.wait_closed, ws.close):
                        with pytest.raises(RuntimeError, match="another event loop"):
                            await call()

                Running(other, elsewhere).result()

        run(main)


def asyncio_run(main):
    return asyncio.run(main())


def test_who_waits_here_is_not_disturbed_from_elsewhere(run):
    async def main():
        async with awaited_end(**OFF) as (ws, peer):

            async def elsewhere():
                with pytest.raises(RuntimeError, match="another event loop"):
                    await ws.recv()

            receiving = run.start(ws.recv)
            await run.stays_waiting(receiving)
            await run.thread(run, elsewhere)
            assert ws._queue.waiting == 1
            peer.send(TEXT, b"here")
            assert await receiving.result() == "here"

    run(main)


@pytest.mark.parametrize("full", [False, True])
def test_a_loop_closed_with_an_open_connection(run_asyncio, full, caplog):
    """A warning says so, and threads go on with the connection, each message once and in order."""
    with end_and_peer("server", max_queue=2, **OFF) as (connection, peer):

        async def main():
            aio.AsyncConnection(connection)
            if full:
                for number in range(10):
                    peer.send(TEXT, b"%d" % number)
                await run_asyncio.until(lambda: connection._queue.parked)

        with caplog.at_level(logging.WARNING):
            run_asyncio(main)
            reader = connection._engine.reader
            eventually(lambda: reader._attendant is None)
        if run_asyncio.kind != "threads":
            assert "an event loop was closed" in caplog.text
            assert "127.0.0.1" in caplog.text
        if full:
            assert [connection.recv(WATCHDOG) for _ in range(10)] == list("0123456789")
        peer.send(TEXT, b"next")
        assert connection.recv(WATCHDOG) == "next"
        connection.send("fine")
        assert peer.recv() == (TEXT, b"fine")
        assert reader._asleep.locked()  # or the thread would read beside others


def test_a_role_on_its_way_to_a_closed_loop_is_not_lost(run_asyncio):
    """A thread that reads hands over to a loop that will never hear of it."""
    with end_and_peer("server", **OFF) as (connection, peer):
        receiving = Running(connection._engine.reader.get, soon())
        eventually(lambda: blocked_in(receiving.thread, "fill", "get"))
        loop = run_asyncio.make()

        async def main():
            return aio.AsyncConnection(connection)

        ws = loop.run_until_complete(main())
        peer.send(TEXT, b"first")
        assert receiving.result() == "first"
        loop.close()
        peer.send(TEXT, b"second")
        assert ws.connection.recv(WATCHDOG) == "second"


def test_a_loop_closed_with_an_open_server(run, caplog):
    """Its clients hear of the end, and its port is free."""
    made = []

    async def handler(ws):
        await ws.wait_closed()

    async def main():
        server = await aio.serve(handler, "127.0.0.1", 0)
        made.append(server)
        client = await run.thread(connect_to, server.sockets[0].getsockname()[1])
        made.append(client)
        await run.until(lambda: server.connections)

    run(main)
    server, client = made
    assert client.wait_closed(WATCHDOG)
    assert client.close_code == 1001
    eventually(server._closed.is_set)
    assert "an event loop was closed" in caplog.text


def test_a_connection_closed_by_a_thread_behind_its_loop(run_asyncio):
    with linked(**OFF) as (client, server):

        async def main():
            aio.AsyncConnection(client)

        run_asyncio(main)
        Running(client.close).result()
        assert server.wait_closed(WATCHDOG)


def test_a_connection_that_nobody_holds_ends(run, serve):
    """With a warning, and all that it had is freed."""
    url = serve().url

    async def main():
        ws = await aio.connect(url, **OFF)
        ref, engine = weakref.ref(ws), ws._engine
        with pytest.warns(ResourceWarning, match="unclosed"):
            del ws
            gc.collect()
        assert ref() is None
        await run.until(engine.closed.is_set)
        assert not any(str(heir).startswith("127.") for heir in current()._heirs)

    run(main)


def test_a_loop_is_freed_behind_its_end(run_asyncio):
    loop = run_asyncio.make()
    ref = weakref.ref(loop)
    loop.run_until_complete(conversation())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    del loop
    eventually(lambda: gc.collect() >= 0 and ref() is None)


def test_threads_and_tasks_on_one_connection(run):
    """Both receive and send at once; each message goes to one of them."""
    count = 200

    async def main():
        async with both_ends() as (client, server):
            got = []

            def receive():
                while True:
                    message = client.connection.recv()
                    if message == "end":
                        return
                    got.append(int(message))

            async def receive_too():
                while True:
                    message = await client.recv()
                    if message == "end":
                        return
                    got.append(int(message))

            takers = [run.start(receive_too) for _ in range(2)]
            takers += [run.start(run.thread, receive) for _ in range(2)]
            for number in range(count):
                await server.send(str(number))
                if number % 10 == 0:
                    await run.step()
            for _ in takers:
                await server.send("end")
            for taker in takers:
                await taker.result()
            assert sorted(got) == list(range(count))

    run(main)


PROGRAM = """
    import asyncio, sys
    from support.children import blocks_in
    from syncws import aio

    async def main():
        async with aio.connect(f"ws://127.0.0.1:{sys.argv[1]}/") as ws:
            %s

    asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["SystemExit", "KeyboardInterrupt"])
def test_the_program_ends_at_once(how, serve):
    """With its connections closed, and no word of the library on stderr."""
    ended = []

    def handler(ws):
        ws.wait_closed()
        ended.append(ws.close_code)

    server = serve(handler)
    waits = 'blocks_in("select", "waiting"); await ws.recv()'
    what = "raise SystemExit(3)" if how == "SystemExit" else waits
    with child(PROGRAM % what, args=(server.server_address[1],)) as program:
        if how == "KeyboardInterrupt":
            assert program.line() == "waiting"
            program.interrupt()
        code, errors = program.ends()
    assert code == (3 if how == "SystemExit" else -signal.SIGINT)
    assert "syncws" not in errors.replace("syncws/aio/", "")
    assert eventually(lambda: ended) == [1001]
