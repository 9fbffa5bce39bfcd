"""Tasks that are cancelled lose no message, tear none, and leave nothing behind."""

from __future__ import annotations

import contextlib
import errno
import random
import socket

import pytest

from support.frames import read_frame
from support.loops import Cancelled, awaited_end, both_ends
from support.streams import LARGE
from support.wire import BINARY, CLOSE, TEXT
from syncws import aio

OFF = {"ping_interval": None}
STEPS = range(12)


async def cancelled_after(run, steps, function, *args):
    """Cancel a call after so many steps of the loop; return (whether it was, its result)."""
    task = run.start(function, *args)
    await run.step(steps)
    task.cancel()
    try:
        return False, await task.result()
    except Cancelled:
        return True, None


def test_recv_cancelled_after_any_number_of_steps_loses_nothing(run):
    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            received = []
            for early in (True, False):
                for steps in STEPS:
                    if early:
                        peer.send(TEXT, b"%d" % steps)
                    was, message = await cancelled_after(run, steps, ws.recv)
                    if not early:
                        peer.send(TEXT, b"%d" % steps)
                    received.append(await ws.recv() if was else message)
            assert received == [str(step) for step in STEPS] * 2
            assert ws._receiver._takers == []

    run(main)


def test_send_cancelled_after_any_number_of_steps_is_sent_whole_or_not_at_all(run):
    """Whatever way it goes, and the messages behind it arrive."""
    kinds = {
        "short": "x",
        "long": bytes(2**20 + 5),
        "text": "ä" * (2**20 + 5),
        "compressed": "abc" * 2**19,
    }

    async def main():
        async with both_ends(max_size=None) as (client, server):
            for name, message in kinds.items():
                for steps in STEPS:
                    reading = run.start(server.recv)
                    compress = name == "compressed"
                    was, _ = await cancelled_after(
                        run, steps, lambda m=message, c=compress: client.send(m, compress=c)
                    )
                    await client.send("behind")
                    got = await reading.result()
                    if got != "behind":
                        assert got == message
                        assert await server.recv() == "behind"
                    else:
                        assert was

    run(main)


def test_send_of_an_iterable_cancelled_in_the_middle_gives_it_up(run):
    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            waiting = []

            async def slow():
                yield "one"
                waiting.append(True)
                await run.sleep(60)

            task = run.start(ws.send, slow())
            await run.until(lambda: waiting)
            task.cancel()
            assert isinstance(await task.error(), Cancelled)
            assert (await run.thread(read_frame, peer)).payload == b"one"
            close = await run.thread(read_frame, peer)
            assert (close.opcode, close.payload[:2]) == (CLOSE, b"\x03\xf3")

    run(main)


def test_send_cancelled_while_it_waits_for_its_turn_sends_nothing(run):
    """Behind a task, and behind a thread."""

    async def main():
        async with awaited_end(rcvbuf=4096, fragment_size=None, **OFF) as (ws, peer):
            for first in (
                lambda: run.start(ws.send, LARGE * 20),
                lambda: run.start(run.thread, ws.connection.send, LARGE * 20),
            ):
                sending = first()
                await run.until(lambda: ws.connection._engine._transport.pending)
                never = [run.start(ws.send, "never") for _ in range(3)]
                behind = run.start(ws.send, "behind")
                await run.step(10)
                for task in (never[1], never[0], never[2]):
                    task.cancel()
                    assert isinstance(await task.error(), Cancelled)
                assert await run.thread(peer.recv) == (BINARY, LARGE * 20)
                assert await run.thread(peer.recv) == (TEXT, b"behind")
                await sending.result()
                await behind.result()

    run(main)


def test_send_cancelled_behind_its_beginning_goes_out_by_itself(run):
    async def main():
        async with awaited_end(rcvbuf=4096, fragment_size=None, **OFF) as (ws, peer):
            sending = run.start(ws.send, LARGE * 20)
            await run.until(lambda: ws._sender._step and ws._engine._transport.pending)
            sending.cancel()
            assert isinstance(await sending.error(), Cancelled)
            behind = run.start(ws.send, "behind")
            assert await run.thread(peer.recv) == (BINARY, LARGE * 20)
            assert await run.thread(peer.recv) == (TEXT, b"behind")
            await behind.result()
            assert ws.stats.messages_sent == 2

    run(main)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_thousands_of_messages_with_random_cancellations(run, secure):
    """Each arrives once, in order; one whose send was cancelled arrives or does not."""
    count = 300 if secure else 1000
    sizes = [0, 10, 1000, 200000]

    async def send_all(ws, seed, cancelled):
        rnd = random.Random(seed)
        for number in range(count):
            message = f"{number}:" + "x" * rnd.choice(sizes)
            if rnd.random() < 0.3:
                was, _ = await cancelled_after(run, rnd.randrange(4), ws.send, message)
                if was:
                    cancelled.add(number)
            else:
                await ws.send(message)
        await ws.send("end")

    async def receive_all(ws, seed):
        rnd = random.Random(seed)
        got = []
        while True:
            if rnd.random() < 0.3:
                was, message = await cancelled_after(run, rnd.randrange(4), ws.recv)
                if was:
                    continue
            else:
                message = await ws.recv()
            if message == "end":
                return got
            got.append(int(message.partition(":")[0]))

    async def main():
        async with both_ends() as (client, server):
            cancelled = {client: set(), server: set()}
            sending = [run.start(send_all, ws, 1, cancelled[ws]) for ws in (client, server)]
            receiving = [run.start(receive_all, ws, 2) for ws in (server, client)]
            for task in sending:
                await task.result()
            for ws, task in zip((client, server), receiving):
                got = await task.result()
                assert got == sorted(set(got))
                assert set(range(count)) - set(got) <= cancelled[ws]

    run(main)


@pytest.mark.parametrize("phase", ["accepted", "silent", "half", "open"])
def test_connect_cancelled_leaves_nothing(run, phase, listener):
    """In each phase of the handshake with a slow server; conftest looks for what is left."""
    url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"

    async def main():
        connecting = run.start(lambda: opened(url))
        with (await run.thread(listener.accept))[0] as sock:
            sock.settimeout(20)
            if phase != "accepted":
                assert (await run.thread(sock.recv, 65536)).startswith(b"GET")
            if phase == "half":
                sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\n")
            await run.step(3)
            connecting.cancel()
            assert isinstance(await connecting.error(), Cancelled)
            with contextlib.suppress(ConnectionResetError):
                await run.thread(lambda: [None for _ in iter(lambda: sock.recv(65536), b"")])

    async def opened(url):
        return await aio.connect(url, **OFF)

    run(main)


def test_connect_cancelled_after_any_number_of_steps_leaves_nothing(run, serve):
    url = serve().url

    async def opened():
        return await aio.connect(url, **OFF)

    async def main():
        for steps in (*range(20), 50, 100, 200):
            was, ws = await cancelled_after(run, steps, opened)
            if not was:
                await ws.close()

    run(main)


def test_serve_cancelled_leaves_nothing(run):
    """The port is free again as soon as the thread that listens has found nobody to listen for."""

    async def main():
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]

        async def serving():
            while True:
                try:
                    return await aio.serve(lambda ws: None, "127.0.0.1", port)
                except OSError as exc:
                    # The last one's thread may have begun only now.
                    assert exc.errno == errno.EADDRINUSE

        for steps in (*range(6), 20):
            was, server = await cancelled_after(run, steps, serving)
            if not was:
                server.close()
                await server.wait_closed()
            await run.until(lambda: free(port))

    def free(port):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                sock.listen()
            except OSError:
                return False
        return True

    run(main)


@pytest.mark.parametrize("call", ["close", "wait_closed"])
def test_close_cancelled_goes_on_by_itself(run, call):
    async def main():
        async with awaited_end("server", **OFF) as (ws, peer):
            # The handler of the server waits, too, in a thread.
            before = len(await run.until(lambda: ws._engine.closed._callbacks))
            task = run.start(getattr(ws, call))
            await run.stays_waiting(task)
            task.cancel()
            assert isinstance(await task.error(), Cancelled)
            held = call == "close"  # until it has ended, whoever drops it
            assert len(ws._engine.closed._callbacks) == before + held
            if call == "close":
                assert await run.thread(peer.recv) == (CLOSE, b"\x03\xe8")
            peer.send(CLOSE, b"\x03\xe8")
            peer.close()
            await ws.wait_closed()
            assert ws.close_code == 1000

    run(main)
