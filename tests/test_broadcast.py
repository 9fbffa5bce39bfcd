"""One message to many: it never waits for a slow peer, and each peer gets what it gets in order."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading

import pytest

import syncws
from support.ends import both_roles, end_and_peer, held, linked, plain_and_tls, serving
from support.threads import WATCHDOG, Running, blocked_in, eventually
from support.wire import BINARY, CLOSE, TEXT
from syncws import Block, PreparedMessage, aio, broadcast, framing
from syncws.exceptions import Close

CHUNK = 64 * 1024
SMALL = 4096
# JSON-like, so that compressing it pays, with references to what was before.
TEXTS = [f'{{"id": {n}, "name": "somebody", "what": "{"spam eggs " * 30}{n}"}}' for n in range(20)]
own_loop = pytest.mark.native_threads("an event loop of its own")


def number(index):
    """Return the payload of a large numbered message."""
    return index.to_bytes(4, "big") * (CHUNK // 4)


def stuff(ws, on_full="drop"):
    """Broadcast numbered messages to a peer that reads nothing until some wait; return how many."""
    for count in itertools.count(1):
        assert broadcast([ws], number(count - 1), on_full=on_full) == [ws]
        if ws.stats.backlog:
            return count


def numbers(peer, count):
    """Read so many numbered messages."""
    return [int.from_bytes(peer.recv_until(BINARY)[:4], "big") for _ in range(count)]


def handed(ws, peer):
    """Wait until all that was broadcast has been handed to the system."""
    eventually(lambda: ws.stats.backlog == 0, "the end of the backlog")


# To whom.


@plain_and_tls
def test_everybody_gets_it(secure):
    """Connections of both roles, in one call; they are returned in their order."""
    with linked(secure) as (client, server), linked(secure) as (other, _):
        assert broadcast([server, other, client], "hello") == [server, other, client]

        assert client.recv() == server.recv() == "hello"


@pytest.mark.parametrize(
    ("message", "text", "expected"),
    [("é", None, "é"), (b"a", None, b"a"), (b"a", True, "a"), ("a", False, b"a"), ("", None, "")],
)
def test_kinds_of_messages(message, text, expected):
    """As in send()."""
    with linked() as (client, server):
        broadcast([server], message, text=text)
        broadcast(
            [client], memoryview(message) if isinstance(message, bytes) else message, text=text
        )

        assert client.recv(timeout=WATCHDOG) == server.recv(timeout=WATCHDOG) == expected


def test_nobody_is_there():
    """No connections, no result."""
    assert broadcast([], "hello") == []


def test_the_connections_may_come_one_by_one():
    """Any iterable will do."""
    with linked() as (client, server):
        assert broadcast((ws for ws in [server]), "hello") == [server]
        assert client.recv() == "hello"


def test_closed_connections_are_left_out(caplog):
    """They are no error, and not among those that got it."""
    with linked() as (client, server), linked() as (gone, gone_too):
        gone.close()
        gone_too.wait_closed(WATCHDOG)
        caplog.clear()

        assert broadcast([gone, server, gone_too], "hello") == [server]

        assert client.recv() == "hello"
        assert caplog.records == []


def test_an_error_of_one_hinders_no_other(monkeypatch, caplog):
    """What should not happen is logged, and the others get their message."""

    def fail(*args):
        raise MemoryError("no more")

    with linked() as (_, broken), linked() as (client, server):
        monkeypatch.setattr(broken._engine.sender, "offer", fail)

        assert broadcast([broken, server], "hello") == [server]

        assert client.recv() == "hello"
        assert [(r.levelno, r.exc_info[0]) for r in caplog.records] == [
            (logging.ERROR, MemoryError)
        ]


@both_roles
def test_a_peer_that_reset_is_left_out(role):
    """A broken network is like a closed connection."""
    with end_and_peer(role) as (ws, peer):
        peer.reset()

        eventually(lambda: broadcast([ws], "hello") == [], "an error")


def test_what_is_no_connection_is_refused_before_anything_is_sent():
    """A mistake in the list is told at once."""
    with linked() as (client, server):
        with pytest.raises(TypeError, match="expected connections, got str"):
            broadcast([server, "ws"], "hello")
        server.send("first")
        assert client.recv() == "first"


@pytest.mark.parametrize("message", [["a"], 1, None])
def test_what_is_no_message_is_refused(message):
    """An iterable cannot be sent to many."""
    with pytest.raises(TypeError):
        broadcast([], message)


@pytest.mark.parametrize(
    "options", [{"on_full": "wait"}, {"on_full": None}, {"max_backlog": -1}], ids=str
)
def test_options_that_cannot_be_used(options):
    """They are refused with the value."""
    with pytest.raises(ValueError, match=repr(next(iter(options.values())))):
        broadcast([], "hello", **options)


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_time_to_wait_that_cannot_be(timeout):
    """Block() refuses it."""
    with pytest.raises(ValueError, match=f"timeout={timeout}"):
        Block(timeout)


# A slow peer.


@both_roles
@plain_and_tls
def test_what_waits_goes_out_by_itself_and_in_order(role, secure):
    """A peer that reads late gets all that was accepted, each message whole."""
    with end_and_peer(role, secure, rcvbuf=SMALL) as (ws, peer):
        count = stuff(ws)
        broadcast([ws], number(count))

        assert numbers(peer, count + 1) == list(range(count + 1))
        assert ws.stats.messages_sent == ws.stats.frames_sent == count + 1
        assert (ws.stats.backlog, ws.stats.dropped) == (0, 0)


@both_roles
def test_send_does_not_overtake(role):
    """What a thread sends behind what it broadcast comes behind it."""
    with end_and_peer(role, rcvbuf=SMALL) as (ws, peer):
        count = stuff(ws)
        sending = Running(ws.send, number(count))
        eventually(lambda: blocked_in(sending.thread, "acquire", "wait_writable"))

        assert numbers(peer, count + 1) == list(range(count + 1))
        sending.result()


@both_roles
def test_a_send_that_ran_out_of_time_behind_a_broadcast_sends_nothing(role):
    """It says "not sent", and what was broadcast goes out all the same."""
    with end_and_peer(role, rcvbuf=SMALL) as (ws, peer):
        count = stuff(ws)

        with pytest.raises(TimeoutError, match="not sent"):
            ws.send("late", timeout=0.02)
        with pytest.raises(TimeoutError, match="not sent"):
            ws.send("late", timeout=0)
        with pytest.raises(TimeoutError, match="not sent"):
            ws.send_many(["late"], timeout=0.02)

        assert numbers(peer, count) == list(range(count))
        handed(ws, peer)
        ws.send("behind")
        assert peer.recv() == (TEXT, b"behind")


@both_roles
def test_drop(role):
    """A full backlog: this message is dropped for this peer, and counted."""
    with end_and_peer(role, rcvbuf=SMALL) as (ws, peer), linked() as (client, server):
        count = stuff(ws)

        assert broadcast([ws, server], b"small", max_backlog=0) == [server]

        assert client.recv() == b"small"
        assert ws.stats.dropped == 1
        assert numbers(peer, count) == list(range(count))


@both_roles
def test_drop_oldest(role):
    """A full backlog: what has waited longest is dropped, never what has begun."""
    with end_and_peer(role, rcvbuf=SMALL) as (ws, peer):
        count = stuff(ws)
        for index in range(count, count + 5):
            assert broadcast([ws], number(index), on_full="drop_oldest", max_backlog=2 * CHUNK + 99)
        dropped, waiting = ws.stats.dropped, ws.stats.backlog

        assert waiting == 2
        assert dropped >= 3
        got = numbers(peer, count + 5 - dropped)
        assert got == [*range(count + 5 - dropped - waiting), count + 3, count + 4]


@both_roles
def test_close(role, caplog):
    """A full backlog: the connection is closed with 1013, and its memory is free at once."""
    caplog.set_level(logging.INFO)
    with end_and_peer(role, rcvbuf=SMALL, close_timeout=20) as (ws, peer):
        stuff(ws)

        assert broadcast([ws], b"one more", on_full="close", max_backlog=0) == []

        assert ws.state is syncws.State.CLOSING
        assert ws.stats.backlog == 0
        assert broadcast([ws], b"one more") == []
        assert peer.recv_until(CLOSE) == b"\x03\xf5reads too slowly"
        assert "reads too slowly" in caplog.text


def test_close_does_not_wait_for_who_never_reads():
    """The close timer ends a connection that was closed for being slow."""
    with end_and_peer("server", rcvbuf=SMALL, close_timeout=0.05) as (ws, _):
        stuff(ws)
        broadcast([ws], b"one more", on_full="close", max_backlog=0)

        assert ws.wait_closed(WATCHDOG)
        assert ws.close_code == 1006


@both_roles
def test_block_until_there_is_room(role):
    """The message goes out as soon as the peer reads; others have it long before."""
    with end_and_peer(role, rcvbuf=SMALL) as (ws, peer), linked() as (client, server):
        count = stuff(ws)
        blocking = Running(
            broadcast, [ws, server], number(count), on_full=Block(WATCHDOG), max_backlog=0
        )
        client.recv()
        assert blocking.alive

        assert numbers(peer, count + 1) == list(range(count + 1))
        assert blocking.result() == [ws, server]
        assert ws.stats.dropped == 0


def test_block_ends_after_the_time_for_all():
    """One deadline holds for all slow peers; the message is dropped for them."""
    with (
        end_and_peer("server", rcvbuf=SMALL) as (one, peer),
        end_and_peer("server", rcvbuf=SMALL) as (two, _),
    ):
        count = stuff(one)
        stuff(two)

        assert broadcast([one, two], b"late", on_full=Block(0.02), max_backlog=0) == []

        assert one.stats.dropped == two.stats.dropped == 1
        assert one._engine.sender.backlog._listeners in (None, [])
        assert numbers(peer, count) == list(range(count))


def test_block_ends_with_the_connection():
    """Who waits for a slow peer is woken by its end."""
    with end_and_peer("server", rcvbuf=SMALL) as (ws, _):
        stuff(ws)
        blocking = Running(broadcast, [ws], b"late", on_full=Block(WATCHDOG), max_backlog=0)
        eventually(lambda: blocked_in(blocking.thread, "_wait_for_room"))

        ws.abort()

        assert blocking.result() == []


def test_a_large_message_waits_if_nothing_else_does():
    """max_backlog is for what piles up: one message is always taken."""
    with end_and_peer("server", rcvbuf=SMALL) as (ws, peer):
        with held(ws, peer):
            assert broadcast([ws], b"x" * 1000, max_backlog=10) == [ws]
            assert broadcast([ws], b"x", max_backlog=10) == []

        assert peer.recv() == (BINARY, b"x" * 1000)


def test_the_end_drops_what_waits():
    """A connection that is cut leaves nothing behind but the count."""
    with end_and_peer("server", rcvbuf=SMALL) as (ws, _):
        count = stuff(ws)

        ws.abort()

        assert ws.wait_closed(WATCHDOG)
        handed(ws, _)
        assert ws.stats.messages_sent + ws.stats.dropped == count


# While others send.


@both_roles
def test_behind_the_message_of_another_thread(role):
    """A message that is just being made is not torn; what comes then follows in order."""
    with end_and_peer(role) as (ws, peer):
        with held(ws, peer):
            assert broadcast([ws], "one") == [ws]
            assert broadcast([ws], "two") == [ws]
            assert ws.stats.backlog == 2
            behind = Running(ws.send, "three")
            eventually(lambda: blocked_in(behind.thread, "acquire"))

        assert [peer.recv() for _ in range(3)] == [(TEXT, b"one"), (TEXT, b"two"), (TEXT, b"three")]
        behind.result()


@both_roles
def test_behind_what_waits_though_nobody_has_the_turn_just_now(role):
    """Who gives the turn back looks into the backlog after that, and others may come in between."""
    with end_and_peer(role) as (ws, peer):
        sender = ws._engine.sender
        assert sender.begin()
        assert broadcast([ws], "one") == [ws]
        sender._lock.release()

        assert broadcast([ws], "two") == [ws]

        assert [peer.recv() for _ in range(2)] == [(TEXT, b"one"), (TEXT, b"two")]


def test_a_frame_that_needs_no_other_needs_no_turn(monkeypatch):
    """Which makes it faster; but it must not come between the parts of another."""
    with end_and_peer("server") as (ws, peer):
        sender = ws._engine.sender
        monkeypatch.setattr(sender, "_takes", None)
        monkeypatch.setattr(sender, "_resume", lambda: None)

        assert broadcast([ws], "one") == [ws]

        assert peer.recv() == (TEXT, b"one")
        assert ws.stats.messages_sent == ws.stats.frames_sent == 1
        assert ws.stats.bytes_sent == 5


def test_nothing_comes_behind_our_close():
    """Also while the peer has not answered yet."""
    with end_and_peer("server") as (ws, peer):
        ws._engine.begin_close(Close(1000))

        assert broadcast([ws], "late") == []

        assert peer.recv() == (CLOSE, b"\x03\xe8")
        peer.send(CLOSE, b"\x03\xe8")
        assert peer.at_eof()


@both_roles
@pytest.mark.parametrize("where", ["iter", "submit"])
def test_ctrl_c_while_the_rest_is_handed_over_keeps_no_turn(role, monkeypatch, where):
    """Then nobody else would give it back, and every send() would wait for ever."""
    with end_and_peer(role, rcvbuf=SMALL) as (ws, peer):
        sender = ws._engine.sender

        def interrupted(*_):
            monkeypatch.undo()
            raise KeyboardInterrupt

        owner, name = (sender, "_leftover") if where == "iter" else (sender._writer, "submit")
        monkeypatch.setattr(owner, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            stuff(ws)
        sending = Running(ws.send, "behind")

        while peer.recv() != (TEXT, b"behind"):
            pass
        sending.result()


def test_who_gives_up_waiting_for_the_turn_does_not_strand_the_backlog():
    """It was left to the thread that waited; when that gives up, somebody else sees to it."""
    with end_and_peer("server") as (ws, peer):
        with held(ws, peer):
            broadcast([ws], "one")
            with pytest.raises(TimeoutError, match="not sent: other messages"):
                ws.send("late", timeout=0.02)

        assert peer.recv() == (TEXT, b"one")


@both_roles
def test_inside_the_iterable_that_is_being_sent(role):
    """broadcast() there does not wait for itself: the message follows."""
    with end_and_peer(role) as (ws, peer):

        def parts():
            assert broadcast([ws], "behind") == [ws]
            yield "fragment"

        ws.send(parts())

        assert peer.recv() == (TEXT, b"fragment")
        assert peer.recv() == (0, b"")
        assert peer.recv() == (TEXT, b"behind")


@pytest.mark.native_threads("greenlets that flood let no other run")
def test_a_slow_peer_with_a_full_backlog_does_not_lock_out_its_own_messages():
    """A backlog that others keep full goes first, but does not keep a send() for ever."""
    with end_and_peer("server", rcvbuf=SMALL) as (ws, peer):
        stuff(ws)
        over = threading.Event()

        def flood():
            while not over.is_set():
                broadcast([ws], number(0), on_full="drop_oldest", max_backlog=4 * CHUNK)

        floods = [Running(flood) for _ in range(2)]
        sending = Running(ws.send, "through")
        try:
            peer.recv_until(TEXT)
            sending.result()
        finally:
            over.set()
        ws.abort()
        for each in floods:
            each.result()


@plain_and_tls
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_many_threads_broadcast_and_send(secure, compression):
    """Each peer gets all messages whole, those of one thread in their order."""
    with contextlib.ExitStack() as stack:
        pairs = [
            stack.enter_context(linked(secure, compression=compression, max_queue=None))
            for _ in range(3)
        ]
        servers = [server for _, server in pairs]

        def work(name):
            for index in range(60):
                text = f"{name} {index} {TEXTS[index % 20]}"
                if index % 3:
                    assert broadcast(servers, text, max_backlog=2**24) == servers
                else:
                    for server in servers:
                        server.send(text)

        workers = [Running(work, name) for name in "abcd"]
        for client, _ in pairs:
            got = [client.recv(timeout=WATCHDOG).split(" ", 2) for _ in range(4 * 60)]
            for name in "abcd":
                expected = [[name, str(n), TEXTS[n % 20]] for n in range(60)]
                assert [each for each in got if each[0] == name] == expected
        for worker in workers:
            worker.result()
        for client, server in pairs:
            sent, received = server.stats, client.stats
            assert sent.messages_sent == received.messages_received == 4 * 60
            assert sent.bytes_sent == received.bytes_received


@own_loop
def test_in_an_event_loop():
    """AsyncConnections and Connections in one call, which does not wait."""

    async def main(url, server):
        async with aio.connect(url) as ws:
            other = server.get(timeout=WATCHDOG)
            assert broadcast([ws, other], "hello") == [ws, other]
            assert await ws.recv() == other.recv() == "hello"
            await ws.send(PreparedMessage("again"))
            await ws.send(PreparedMessage(TEXTS[0] * 1000, compress=True))
            await ws.send("last")
            assert [other.recv() for _ in range(3)] == ["again", TEXTS[0] * 1000, "last"]
            with pytest.raises(TypeError, match="has its own"):
                await ws.send(PreparedMessage("again"), compress=False)

    with serving() as (server, accepted):
        asyncio.run(main(f"ws://127.0.0.1:{server.server_address[1]}/", accepted))


@own_loop
def test_a_task_does_not_overtake():
    """What a task sends behind what it broadcast comes behind it."""

    async def main(ws, peer):
        wrapped = aio.AsyncConnection(ws)
        count = stuff(ws)

        async def send():
            await wrapped.send("short")
            await wrapped.send(number(count))

        sending = asyncio.ensure_future(send())
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, numbers, peer, count) == list(range(count))
        assert await loop.run_in_executor(None, peer.recv) == (TEXT, b"short")
        assert await loop.run_in_executor(None, numbers, peer, 1) == [count]
        await sending
        wrapped.abort()
        await wrapped.wait_closed()

    with end_and_peer("server", rcvbuf=SMALL) as (ws, peer):
        asyncio.run(main(ws, peer))


# Compressed, and prepared.


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"server_max_window_bits": 9, "client_max_window_bits": 9},
        {"server_max_window_bits": 15, "client_max_window_bits": 15, "memory_level": 9},
        {"server_no_context_takeover": True, "client_no_context_takeover": True},
    ],
    ids=str,
)
def test_compressed_ones_and_our_own_in_turns(settings):
    """Messages with a context of the connection and those without are understood, in any order."""
    with linked(compression=syncws.Deflate(**settings)) as (client, server):
        for index, text in enumerate(TEXTS):
            if index % 3 == 1:
                broadcast([client, server], text)
            else:
                client.send(text)
                server.send(text)
            if index % 5 == 0:
                broadcast([client, server], text, compress=False)
                assert client.recv() == server.recv() == text

            assert client.recv() == server.recv() == text


def test_broadcast_compresses_once_for_all(monkeypatch):
    """One for each kind of connection, not for each connection."""
    made = []

    class Counting(framing.Deflater):
        def message(self, payload):
            made.append(self)
            return super().message(payload)

    monkeypatch.setattr(framing, "Deflater", Counting)
    nine = syncws.Deflate(server_max_window_bits=9)
    with (
        linked() as (a, one),
        linked() as (b, two),
        linked(compression=None) as (c, three),
        linked(compression=nine) as (d, four),
    ):
        message = PreparedMessage(TEXTS[0])
        for _ in range(3):
            assert len(broadcast([one, two, three, four], message)) == 4
        assert [ws.recv() for ws in (a, b, c, d)] == [TEXTS[0]] * 4
        assert len(made) == 2
        assert one.stats.bytes_sent < three.stats.bytes_sent / 3


def test_what_does_not_get_smaller_goes_as_it_is():
    """Also if it was to be compressed."""
    with linked() as (client, server):
        broadcast([server], b"\0\1", compress=True)

        assert client.recv() == b"\0\1"
        assert server.stats.bytes_sent == 4


def test_clients_mask_each_for_itself():
    """RFC 6455 section 5.3: a fresh key for every frame."""
    with end_and_peer("client") as (one, peer), end_and_peer("client") as (two, other):
        broadcast([one, two], "hello")

        frames = [peer.read(11), other.read(11)]
        assert frames[0] != frames[1]
        assert frames[0][:2] == frames[1][:2] == b"\x81\x85"


@both_roles
def test_a_long_message_goes_in_fragments(role):
    """fragment_size holds for it, too."""
    with end_and_peer(role, fragment_size=1000) as (ws, peer):
        message = PreparedMessage("x" * 2500)
        broadcast([ws], message)
        ws.send(message)

        for _ in range(2):
            assert [peer.recv() for _ in range(3)] == [
                (TEXT, b"x" * 1000),
                (0, b"x" * 1000),
                (0, b"x" * 500),
            ]
        assert (ws.stats.messages_sent, ws.stats.frames_sent) == (2, 6)


@both_roles
def test_send_takes_a_prepared_message(role):
    """Again and again, between others."""
    with linked() as (client, server):
        ws, other = (client, server) if role == "client" else (server, client)
        short, long = PreparedMessage(b"text", text=True), PreparedMessage(TEXTS[3])
        for _ in range(3):
            ws.send(short)
            ws.send(TEXTS[3])
            ws.send(long)
            assert [other.recv() for _ in range(3)] == ["text", TEXTS[3], TEXTS[3]]
        assert ws.stats.messages_sent == 9


def test_what_a_prepared_message_says_is_not_said_twice():
    """text= and compress= belong to it."""
    with linked() as (_, server):
        for options in ({"text": True}, {"compress": False}):
            with pytest.raises(TypeError, match="has its own text= and compress="):
                server.send(PreparedMessage("a"), **options)
            with pytest.raises(TypeError, match="has its own text= and compress="):
                broadcast([server], PreparedMessage("a"), **options)


def test_a_prepared_message_tells_what_it_is():
    """In a few words, since it may be long."""
    assert repr(PreparedMessage("é")) == "<PreparedMessage TEXT of 2 bytes>"


def test_frames_are_logged(caplog):
    """Each frame is one line at DEBUG, as of send()."""
    caplog.set_level(logging.DEBUG, logger="syncws")
    with linked() as (client, server):
        broadcast([server], "hello")
        client.recv()

        assert "server OPEN > TEXT b'hello'" in caplog.text


def test_one_connection_is_refused():
    """It is iterated over for its messages, which would be taken from others."""
    with linked() as (ours, _), pytest.raises(TypeError, match=r"write \[ws\]"):
        broadcast(ours, "x")
