"""AsyncConnection: what tasks can do with a connection."""

from __future__ import annotations

import contextlib
import gc

import pytest

import syncws
from support.ends import both_roles, held, plain_and_tls
from support.frames import Seen, read_frame, read_message
from support.loops import Cancelled, Loop, awaited_end, both_ends, url_of
from support.streams import LARGE
from support.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT
from syncws import aio

OFF = {"ping_interval": None}


# Receiving.


@both_roles
@plain_and_tls
def test_recv_returns_what_comes(run, role, secure):
    """Text as str, Binary as bytes, in order, also what came before somebody asked."""

    async def main():
        async with awaited_end(role, secure, **OFF) as (ws, peer):
            receiving = run.start(ws.recv)
            await run.stays_waiting(receiving)
            peer.send(TEXT, "häß".encode())
            assert await receiving.result() == "häß"
            peer.send(BINARY, b"\xff")
            peer.send(TEXT, b"")
            assert [await ws.recv(), await ws.recv()] == [b"\xff", ""]

    run(main)


@pytest.mark.parametrize(
    ("decode", "expected"),
    [(None, ["a", b"b"]), (True, ["a", "b"]), (False, [b"a", b"b"])],
)
def test_recv_decodes_as_asked(run, decode, expected):
    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            peer.send(TEXT, b"a")
            peer.send(BINARY, b"b")
            assert [await ws.recv(decode), await ws.recv(decode=decode)] == expected
            peer.send(BINARY, b"\xff")
            with pytest.raises(UnicodeDecodeError):
                await ws.recv(decode=True)

    run(main)


def test_each_message_goes_to_one_taker(run):
    """Several tasks wait, and none is forgotten."""

    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            takers = [run.start(ws.recv) for _ in range(5)]
            for taker in takers:
                await run.stays_waiting(taker)
            for number in range(3):
                peer.send(TEXT, b"%d" % number)
            await run.until(lambda: sum(taker.done for taker in takers) == 3)
            peer.send(TEXT, b"3")
            peer.send(TEXT, b"4")
            assert sorted([await taker.result() for taker in takers]) == list("01234")

    run(main)


def test_a_message_comes_in_fragments(run):
    """Also with a Ping between them, and a part of a character."""

    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            receiving = run.start(ws.recv)
            await run.stays_waiting(receiving)
            peer.send(TEXT, b"\xc3", fin=False)
            peer.send(PING, b"?")
            assert await run.thread(peer.recv) == (PONG, b"?")
            assert not receiving.done
            peer.send(CONT, b"\xa4")
            assert await receiving.result() == "ä"

    run(main)


def test_iteration_ends_with_a_normal_closure(run):
    async def main():
        async with awaited_end("server", **OFF) as (ws, peer):
            peer.send(TEXT, b"a")
            peer.send(TEXT, b"b")
            peer.send(CLOSE, b"\x03\xe8")
            peer.close()
            assert [message async for message in ws] == ["a", "b"]
            await ws.wait_closed()
            assert ws.close_code == 1000

    run(main)


def test_iteration_raises_on_another_end(run):
    async def main():
        async with awaited_end("server", **OFF) as (ws, peer):
            peer.send(TEXT, b"a")
            peer.send(CLOSE, b"\x03\xf3")
            peer.close()
            received = []
            with pytest.raises(aio.ConnectionClosedError) as caught:
                async for message in ws:
                    received.append(message)
            assert received == ["a"]
            assert caught.value.rcvd.code == 1011

    run(main)


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_iteration_can_be_left_and_begun_again(run, recwarn):
    """Nothing is lost, and nobody complains of a generator that was not closed."""

    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            for number in range(4):
                peer.send(TEXT, b"%d" % number)
            received = []
            for _ in range(2):
                async for message in ws:
                    received.append(message)
                    if len(received) % 2 == 0:
                        break
            assert received == list("0123")
            gc.collect()
            await run.step(3)

    run(main)
    assert not recwarn.list


def test_who_receives_is_told_of_the_end(run):
    """Everybody who waits, and everybody who comes later."""

    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            takers = [run.start(ws.recv) for _ in range(3)]
            await run.stays_waiting(takers[0])
            peer.send(TEXT, b"last")
            peer.close()
            await run.until(lambda: all(taker.done for taker in takers))
            outcomes = []
            for taker in takers:
                try:
                    outcomes.append(await taker.result())
                except aio.ConnectionClosedError:
                    outcomes.append("closed")
            assert sorted(outcomes) == ["closed", "closed", "last"]
            with pytest.raises(aio.ConnectionClosedError):
                await ws.recv()

    run(main)


def test_a_full_queue_holds_the_peer_back_until_messages_are_taken(run):
    async def main():
        async with awaited_end("server", max_queue=2, **OFF) as (ws, peer):
            sending = run.start(
                run.thread, peer.sock.sendall, peer.frame(BINARY, bytes(4096)) * 5000
            )
            await run.until(lambda: ws._queue.parked)
            before = ws.stats.messages_received
            await run.sleep(0.02)
            assert ws.stats.messages_received == before
            assert not sending.done
            for _ in range(5000):
                assert await ws.recv() == bytes(4096)
            await sending.result()

    run(main)


def test_a_message_larger_than_the_queue_is_received(run):
    """By a task that waits, and by one that comes when the queue is full."""
    message = bytes(2**20)

    async def main():
        async with awaited_end(max_queue_bytes=1000, fragment_size=None, **OFF) as (ws, peer):
            receiving = run.start(ws.recv)
            await run.stays_waiting(receiving)
            frames = b"".join(
                peer.frame(CONT if at else BINARY, message[at : at + 4096], at == 2**20 - 4096)
                for at in range(0, 2**20, 4096)
            )
            for late in (False, True):
                sending = run.start(run.thread, peer.sock.sendall, frames)
                if late:
                    await run.until(lambda: ws._queue.parked)
                    receiving = run.start(ws.recv)
                assert await receiving.result() == message
                await sending.result()

    run(main)


# Piece by piece.


async def pieces(ws):
    return [piece async for piece in ws.recv_stream()]


def test_recv_stream_yields_pieces_as_they_come(run):
    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            seen = []

            async def stream():
                async for piece in ws.recv_stream():
                    seen.append(piece)

            streaming = run.start(stream)
            await run.stays_waiting(streaming)
            for count, part in enumerate((b"one", b"two"), 1):
                peer.send(CONT if seen else TEXT, part, fin=False)
                await run.until(lambda count=count: len(seen) == count)
            peer.send(CONT, b"")
            await streaming.result()
            assert seen == ["one", "two"]
            peer.send(BINARY, b"whole")
            assert await pieces(ws) == [b"whole"]

    run(main)


def test_recv_stream_left_early_drops_the_rest(run):
    """What is left of that message, not the next one."""

    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            peer.send(TEXT, b"one", fin=False)
            stream = ws.recv_stream()
            async for piece in stream:
                assert piece == "one"
                break
            await stream.aclose()
            peer.send(CONT, b"two")
            peer.send(TEXT, b"next")
            assert await ws.recv() == "next"
            assert ws._queue._pieces_bytes == 0

    run(main)


def test_recv_stream_cancelled_leaves_the_rest(run):
    """To recv() or the next recv_stream()."""

    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            for take in (ws.recv, lambda: pieces(ws)):
                peer.send(TEXT, b"one", fin=False)
                seen = []

                async def stream(seen=seen):
                    async for piece in ws.recv_stream():
                        seen.append(piece)

                streaming = run.start(stream)
                await run.until(lambda seen=seen: seen)
                await run.step(3)
                streaming.cancel()
                assert isinstance(await streaming.error(), Cancelled)
                peer.send(CONT, b"two")
                assert "".join(await take()) == "two"

    run(main)


@pytest.mark.parametrize("how", ["peer", "us", "cut"])
def test_recv_stream_raises_if_the_end_comes_in_the_middle(run, how):
    async def main():
        async with awaited_end(close_timeout=0.2, **OFF) as (ws, peer):
            peer.send(TEXT, b"one", fin=False)
            seen = []

            async def stream():
                async for piece in ws.recv_stream():
                    seen.append(piece)

            streaming = run.start(stream)
            await run.until(lambda: seen)
            if how == "peer":
                peer.close()
            elif how == "us":
                await ws.close()
            else:
                ws.abort()
            assert isinstance(await streaming.error(), aio.ConnectionClosedError)
            assert seen == ["one"]

    run(main)


def test_recv_stream_needs_little_memory(run):
    """The peer is held back while nobody takes a piece."""

    async def main():
        options = {"max_size": None, "max_queue_bytes": 2**16}
        async with awaited_end(**options, **OFF) as (ws, peer):
            frames = peer.frame(BINARY, bytes(2**14), False)
            frames += peer.frame(CONT, bytes(2**14), False) * 1000 + peer.frame(CONT)
            sending = run.start(run.thread, peer.sock.sendall, frames)
            size = largest = 0
            async for piece in ws.recv_stream():
                size += len(piece)
                largest = max(largest, ws._queue._pieces_bytes)
            await sending.result()
            assert size == 2**14 * 1001
            assert largest < 2**18

    run(main)


# Sending.


@both_roles
@plain_and_tls
def test_send_sends_messages_of_each_kind(run, role, secure):
    async def some(*fragments):
        for fragment in fragments:
            await run.step()
            yield fragment

    async def main():
        async with awaited_end(role, secure, **OFF) as (ws, peer):
            await ws.send("häß")
            await ws.send(b"\xff")
            await ws.send(bytearray(b"a"))
            await ws.send(memoryview(b"abcd")[::2])
            await ws.send(b"text", text=True)
            await ws.send("binary", text=False)
            await ws.send(["a", "b"])
            await ws.send(iter([b"c"]))
            await ws.send(some("d", "e"))
            await ws.send(some(b"f", bytearray(b"g")))
            await ws.send(some(b"h"), text=True)
            await ws.send([])
            await ws.send(some())
            await ws.send_many(["i", b"j"])
            await ws.send_many([])
            await ws.send("end")
            got = []
            while not got or got[-1][1] != b"end":
                frames = await run.thread(read_message, peer)
                got.append((frames[0].opcode, b"|".join(frame.payload for frame in frames)))
            assert got == [
                (TEXT, "häß".encode()),
                (BINARY, b"\xff"),
                (BINARY, b"a"),
                (BINARY, b"ac"),
                (TEXT, b"text"),
                (BINARY, b"binary"),
                (TEXT, b"a|b|"),
                (BINARY, b"c|"),
                (TEXT, b"d|e|"),
                (BINARY, b"f|g|"),
                (TEXT, b"h|"),
                (TEXT, b"i"),
                (BINARY, b"j"),
                (TEXT, b"end"),
            ]
            assert ws.stats.messages_sent == 14

    run(main)


@pytest.mark.parametrize("compress", [None, True, False])
@pytest.mark.parametrize("size", [0, 2**16, 2**20, 3 * 2**20])
def test_messages_of_any_size_arrive(run, size, compress):
    """Those that are sent at once, in a thread, or piece by piece."""
    text = ("aä\u20ac\U0001f600" * (size // 4 + 1))[:size]
    data = text.encode()[:size]

    async def main():
        async with both_ends(max_size=None) as (client, server):
            for ours, other in ((client, server), (server, client)):
                for message in (text, data):
                    receiving = run.start(other.recv)
                    await ours.send(message, compress=compress)
                    assert await receiving.result() == message
                sending = run.start(
                    lambda ours=ours: ours.send_many([data, text], compress=compress)
                )
                assert [await other.recv(), await other.recv()] == [data, text]
                await sending.result()
                assert ours.stats.messages_sent == 4

    run(main)


@pytest.mark.parametrize("message", [None, 5, {"a": "b"}, [1], ["a", b"b"], [["a"]]])
def test_what_is_no_message_is_refused(run, message):
    """A message that has begun must not be taken for the whole one."""

    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            with pytest.raises(TypeError):
                await ws.send(message)
            begun = message == ["a", b"b"]
            if not begun:
                await ws.send("next")
                assert await run.thread(read_frame, peer) == Seen(TEXT, b"next")
            else:
                assert await run.thread(read_frame, peer) == Seen(TEXT, b"a", False)
                assert (await run.thread(read_frame, peer)).opcode == CLOSE

    run(main)


def test_lone_surrogates_are_refused(run):
    """In messages that are made at once and in those that are made piece by piece."""

    async def main():
        async with both_ends() as (client, server):
            for message in ("\ud800", "x" * 2**21 + "\ud800", ["\ud800"]):
                for compress in (None, True, False):
                    with pytest.raises(UnicodeEncodeError):
                        await client.send(message, compress=compress)
            await client.send("next")
            assert await server.recv() == "next"
            assert client.stats.messages_sent == 1

    run(main)


def test_messages_of_several_tasks_do_not_mix(run):
    async def main():
        async with awaited_end(fragment_size=3, **OFF) as (ws, peer):

            async def many(letter):
                for _ in range(30):
                    await ws.send(letter * 10)
                    await ws.send([letter * 2] * 3)

            tasks = [run.start(many, letter) for letter in "abc"]

            def read():
                return [b"".join(f.payload for f in read_message(peer)) for _ in range(180)]

            messages = await run.thread(read)
            for task in tasks:
                await task.result()
            assert sorted(messages) == sorted(
                [letter * size for letter in (b"a", b"b", b"c") for size in (6, 10)] * 30
            )

    run(main)


def test_a_task_does_not_end_the_turn_of_a_thread_that_it_cannot_wait_for(run, monkeypatch):
    """The system has no more threads: its own send() fails, and no other."""

    def refuse(job):
        raise RuntimeError("can't start new thread")

    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            with held(ws.connection, peer):
                with monkeypatch.context() as patch:
                    patch.setattr("syncws.aio.sending.start_worker", refuse)
                    for _ in range(2):
                        with pytest.raises(RuntimeError, match="can't start new thread"):
                            await ws.send("refused")
                later = run.start(ws.send, "later")
                await run.stays_waiting(later)
            await later.result()
            assert await run.thread(peer.recv) == (TEXT, b"later")

    run(main)


def test_messages_of_tasks_and_threads_do_not_mix(run):
    """Tasks wait for threads, threads wait for tasks."""

    async def main():
        async with awaited_end(fragment_size=3, **OFF) as (ws, peer):

            async def many(letter):
                for _ in range(30):
                    await ws.send(letter * 10)
                    await ws.send([letter * 2] * 3)

            def blocking(letter):
                for _ in range(30):
                    ws.connection.send(letter * 10)
                    ws.connection.send([letter * 2] * 3)

            tasks = [run.start(many, letter) for letter in "ab"]
            tasks += [run.start(run.thread, blocking, letter) for letter in "cd"]

            def read():
                return [b"".join(f.payload for f in read_message(peer)) for _ in range(240)]

            messages = await run.thread(read)
            for task in tasks:
                await task.result()
            assert sorted(messages) == sorted(
                [letter * size for letter in (b"a", b"b", b"c", b"d") for size in (6, 10)] * 30
            )

    run(main)


def test_tasks_send_in_the_order_in_which_they_began(run):
    """Also if one of them lets others run first."""

    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            if run.is_trio:
                return  # it starts tasks in any order
            for number in range(5):
                await run.sleep(0.006)
                tasks = [run.start(ws.send, f"{number}.{letter}") for letter in "abc"]
                for task in tasks:
                    await task.result()
                got = [(await run.thread(read_frame, peer)).payload[-1:] for _ in tasks]
                assert got == [b"a", b"b", b"c"]

    run(main)


def test_send_inside_the_iterable_behind_the_end_tells_of_that(run):
    async def main():
        async with awaited_end(**OFF) as (ws, _):

            async def nested():
                yield "one"
                ws.abort()
                await ws.wait_closed()
                with pytest.raises(aio.ConnectionClosedError):
                    await ws.send("nested")
                yield "two"

            with pytest.raises(aio.ConnectionClosedError):
                await ws.send(nested())

    run(main)


def test_send_inside_the_iterable_is_refused(run):
    """A task cannot wait for itself; another one can wait for it."""

    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            others = []

            async def nested():
                yield "one"
                with pytest.raises(aio.ConcurrencyError):
                    await ws.send("nested")
                with pytest.raises(aio.ConcurrencyError):
                    await ws.send_many(["nested"])
                others.append(run.start(ws.send, "other"))
                await run.stays_waiting(others[0])
                yield "two"

            await ws.send(nested())
            await others[0].result()
            frames = await run.thread(read_message, peer)
            assert [frame.payload for frame in frames] == [b"one", b"two", b""]
            assert await run.thread(read_frame, peer) == Seen(TEXT, b"other")

    run(main)


def test_an_iterable_that_raises_gives_the_message_up(run):
    async def main():
        async with awaited_end(**OFF) as (ws, peer):

            async def broken(first):
                if first:
                    yield first
                raise KeyError("mine")

            with pytest.raises(KeyError, match="mine"):
                await ws.send(broken(""))
            await ws.send("fine")
            with pytest.raises(KeyError, match="mine"):
                await ws.send(broken("one"))
            assert await run.thread(read_frame, peer) == Seen(TEXT, b"fine")
            assert await run.thread(read_frame, peer) == Seen(TEXT, b"one", False)
            close = await run.thread(read_frame, peer)
            assert close == Seen(CLOSE, b"\x03\xf3message not finished")
            with pytest.raises(aio.ConnectionClosed):
                await ws.send("never")

    run(main)


def test_send_waits_for_a_peer_that_does_not_read(run):
    async def main():
        async with awaited_end(rcvbuf=4096, fragment_size=None, **OFF) as (ws, peer):
            message = LARGE * 20
            sending = run.start(ws.send, message)
            await run.stays_waiting(sending)
            late = run.start(ws.send, "late")
            await run.stays_waiting(late)
            assert await run.thread(peer.recv) == (BINARY, message)
            await sending.result()
            assert await run.thread(peer.recv) == (TEXT, b"late")
            await late.result()

    run(main)


@pytest.mark.parametrize("how", ["cut", "peer", "close"])
def test_the_end_wakes_who_sends(run, how):
    """Also those who wait for their turn."""

    async def main():
        async with awaited_end(rcvbuf=4096, close_timeout=0.1, **OFF) as (ws, peer):
            tasks = [run.start(ws.send, LARGE * 20)]
            await run.stays_waiting(tasks[0])  # trio starts tasks in any order
            tasks += [run.start(ws.send, "late"), run.start(ws.send, ["x"])]
            for task in tasks:
                await run.stays_waiting(task)
            if how == "cut":
                ws.abort()
            elif how == "peer":
                peer.reset()
            else:
                await ws.close()
            for task in tasks:
                # Our own close() is told of as normal until the peer is known not to answer.
                kind = aio.ConnectionClosed if how == "close" else aio.ConnectionClosedError
                assert isinstance(await task.error(), kind)
            with pytest.raises(aio.ConnectionClosedError):
                await ws.send("never")

    run(main)


# Pings and Pongs.


def test_ping_gives_what_waits_for_the_pong(run):
    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            waiter = await ws.ping(b"?")
            assert isinstance(waiter, aio.PongWaiter)

            async def wait():
                return await waiter

            waiting = [run.start(wait) for _ in range(3)]
            await run.stays_waiting(waiting[0])
            assert not waiter.done()
            waiting[2].cancel()
            assert isinstance(await waiting[2].error(), Cancelled)
            assert await run.thread(peer.recv) == (PING, b"?")
            with pytest.raises(aio.ConcurrencyError):
                await ws.ping(b"?")
            peer.send(PONG, b"?")
            latency = await waiter
            assert [await task.result() for task in waiting[:2]] == [latency, latency]
            assert await waiter == latency == ws.latency > 0
            assert waiter.done()
            await ws.ping(b"?")

    run(main)


def test_a_pong_that_never_comes_is_told_of_at_the_end(run):
    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            waiter = await ws.ping()

            async def wait():
                return await waiter

            waiting = run.start(wait)
            await run.stays_waiting(waiting)
            peer.close()
            assert isinstance(await waiting.error(), aio.ConnectionClosedError)
            with pytest.raises(aio.ConnectionClosedError):
                await waiter
            with pytest.raises(aio.ConnectionClosedError):
                await ws.ping()
            with pytest.raises(aio.ConnectionClosedError):
                await ws.pong()

    run(main)


def test_ping_and_pong_check_their_payload(run):
    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            await ws.pong("text")
            assert await run.thread(peer.recv) == (PONG, b"text")
            for call in (ws.ping, ws.pong):
                with pytest.raises(ValueError, match="125"):
                    await call(bytes(126))
                with pytest.raises(TypeError):
                    await call(5)

    run(main)


# The end.


def test_close_does_the_closing_handshake(run):
    """Once, whoever calls it how often."""

    async def main():
        async with awaited_end("server", **OFF) as (ws, peer):
            closing = [run.start(ws.close, 4000, "bye") for _ in range(2)]
            closing.append(run.start(ws.wait_closed))
            await run.stays_waiting(closing[0])
            assert await run.thread(peer.recv) == (CLOSE, b"\x0f\xa0bye")
            assert ws.state is aio.State.CLOSING
            assert ws.close_code is None
            peer.send(CLOSE, b"\x0f\xa0bye")
            peer.close()
            for task in closing:
                await task.result()
            await ws.close(1001)
            await ws.wait_closed()
            assert (ws.state, ws.close_code, ws.close_reason) == (aio.State.CLOSED, 4000, "bye")
            with pytest.raises(aio.ConnectionClosed):
                await ws.send("x")

    run(main)


@pytest.mark.parametrize(("code", "reason"), [(999, ""), (1005, ""), (1000, "x" * 124)])
def test_close_refuses_what_may_not_be_sent(run, code, reason):
    async def main():
        async with awaited_end(**OFF) as (ws, _):
            with pytest.raises(ValueError):
                await ws.close(code, reason)
            assert ws.state is aio.State.OPEN

    run(main)


def test_close_is_cut_short_by_close_timeout(run):
    async def main():
        async with awaited_end(close_timeout=0.05, **OFF) as (ws, _):
            await ws.close()
            assert ws.close_code == 1006
            with pytest.raises(aio.ConnectionClosedError):
                await ws.recv()

    run(main)


def test_what_was_queued_is_received_behind_close(run):
    async def main():
        async with both_ends() as (client, server):
            await server.send_many(["a", "b"])
            await run.until(lambda: len(client._queue) == 2)
            await client.close()
            assert [await client.recv(), await client.recv()] == ["a", "b"]
            with pytest.raises(aio.ConnectionClosedOK):
                await client.recv()

    run(main)


@pytest.mark.parametrize(
    ("how", "code"), [("normally", 1000), ("raises", 1011), ("cancelled", 1001)]
)
def test_the_end_of_the_block_closes(run, how, code):
    async def main():
        async def block(ws):
            async with ws as entered:
                assert entered is ws
                if how == "raises":
                    raise KeyError("mine")
                if how == "cancelled":
                    await ws.recv()

        async with awaited_end("server", **OFF) as (ws, peer):
            task = run.start(block, ws)
            await run.step(10)
            if how == "cancelled":
                task.cancel()
            assert await run.thread(peer.recv) == (CLOSE, code.to_bytes(2, "big"))
            peer.send(CLOSE, code.to_bytes(2, "big"))
            peer.close()
            if how == "normally":
                await task.result()
            else:
                assert isinstance(await task.error(), KeyError if how == "raises" else Cancelled)
            await ws.wait_closed()

    run(main)


# What it tells of itself.


def test_it_has_the_attributes_of_a_connection(run):
    """All that does not block, under the same names."""
    blocking = {
        "close", "ping", "ping_nowait", "pong", "recv", "recv_stream", "send", "send_many",
        "wait_closed", "abort", "events",
    }  # fmt: skip

    async def main():
        async with both_ends(subprotocols=["chat"]) as (client, server):
            for ws in (client, server):
                names = {name for name in dir(ws.connection) if not name.startswith("_")} - blocking
                assert names <= {*aio.AsyncConnection.__annotations__}
                for name in names - {"stats"}:
                    assert getattr(ws, name) == getattr(ws.connection, name), name
                assert ws.subprotocol == "chat"
                assert ws.id == ws.id
                assert "AsyncConnection" in repr(ws)
                with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
                    _ = ws.nonsense
            assert client.role is aio.Role.CLIENT
            assert server.role is aio.Role.SERVER
            assert client.local_address == server.remote_address

    run(main)


def test_a_subclass_may_have_more(run):
    class Mine(aio.AsyncConnection):
        def __init__(self, connection):
            super().__init__(connection)
            self.user = "me"

        @property
        def path(self):
            return "mine"

    async def main():
        seen = []

        async def handler(ws):
            seen.append((type(ws), ws.user, ws.path))

        async with aio.serve(handler, "127.0.0.1", 0, create_protocol=Mine) as server:
            async with aio.connect(url_of(server), create_connection=Mine) as ws:
                assert (type(ws), ws.user, ws.path) == (Mine, "me", "mine")
                await ws.wait_closed()
            assert seen == [(Mine, "me", "mine")]

    run(main)


def test_exceptions_are_those_of_the_library():
    for name in aio.__all__:
        if hasattr(syncws, name) and name not in ("connect", "reconnect", "serve"):
            assert getattr(aio, name) is getattr(syncws, name)


def test_blocking_calls_in_the_loop_are_refused(run):
    """They would wait for the loop, which waits for them; a look does not wait."""

    async def main():
        async with both_ends() as (client, server):
            for call in (client.connection.recv, client.connection.ping):
                with pytest.raises(RuntimeError, match="would block the event loop"):
                    call()
            with pytest.raises(TimeoutError):
                client.connection.recv(timeout=0)
            with contextlib.suppress(TimeoutError):  # threads may have brought the Pong by then
                client.connection.ping(timeout=0)
            await server.send("x")
            await run.until(lambda: client.stats.queued)
            assert client.connection.recv() == "x"
            assert await run.thread(client.connection.ping) > 0

    run(main)


def test_blocking_calls_in_a_loop_that_cannot_read_are_refused():
    """A thread could answer, but the loop would stand still until then; no Ping is sent, either."""
    run = Loop("threads")

    async def main():
        async with awaited_end(**OFF) as (ws, peer):
            with pytest.raises(RuntimeError, match="would block the event loop"):
                ws.connection.ping()
            await ws.send("x")
            assert await run.thread(peer.recv) == (TEXT, b"x")

    run(main)
