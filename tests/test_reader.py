"""Who reads a connection: its callers, or its thread."""

from __future__ import annotations

import contextlib
import socket

import pytest

import syncws
from support.ends import both_roles, end_and_peer, plain_and_tls
from support.threads import WATCHDOG, Running, blocked_in, eventually
from syncws import reader as reader_module
from syncws import recvqueue, transport
from syncws.deadline import Deadline
from syncws.reader import Reader

TEXT, BINARY, PING, PONG = 1, 2, 9, 10


class Fixture:
    """A Reader over one end of a socket pair; each read becomes one message."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.transport = transport.Transport(ours)
        self.queue = recvqueue.RecvQueue(4, None)
        self.ends: list[BaseException | None] = []
        self.interrupted = False
        self.reader = Reader(self.transport, self.queue, self.received, self.ended, "the-reader")
        self.rest: list[bytes] = []  # of what was read, told as the backlog
        self.watched = self.left = 0

    def received(self, data: bytes) -> bool:
        if self.interrupted:
            raise KeyboardInterrupt
        served = self.queue.put([data or self.rest.pop()], 1)
        self.reader.backlog = bool(self.rest)
        return served

    def ended(self, error: BaseException | None) -> None:
        self.ends.append(error)
        self.queue.close()

    # As the attendant.

    def watch(self) -> None:
        self.watched += 1

    def leave(self) -> None:
        self.left += 1

    @property
    def thread(self):
        return self.reader._thread


@pytest.fixture
def unstarted():
    made = Fixture()
    yield made
    made.queue.drain()
    made.theirs.close()
    if made.reader.attended:
        made.reader.give_back(made.watched > 0)
    made.reader.wake()
    eventually(lambda: made.ends)
    if made.thread is not None:
        made.thread.join(WATCHDOG)
    made.transport.close()


@pytest.fixture
def fixture(unstarted):
    unstarted.reader.start(b"")
    return unstarted


@pytest.fixture
def lookout(monkeypatch):
    """Return the list of readers that nobody looks after."""
    watched = []

    class Lookout:
        @staticmethod
        def add(reader, turns):
            watched.append((reader, turns))

    monkeypatch.setattr(reader_module, "_lookout", Lookout)
    return watched


def test_a_caller_reads_for_itself(lookout, fixture):
    """The message is read in the thread that waits for it."""
    getting = Running(fixture.reader.get, Deadline(WATCHDOG))
    eventually(lambda: blocked_in(getting.thread, "fill"))
    fixture.theirs.send(b"hello")

    assert getting.result() == b"hello"


def test_the_thread_takes_over_when_nobody_asks(fixture):
    """It takes what comes until the queue is full; and what is there can be had without reading."""
    eventually(lambda: fixture.thread is not None and blocked_in(fixture.thread, "fill"))
    fixture.theirs.send(b"hello")
    eventually(lambda: len(fixture.queue) == 1)

    assert fixture.reader.get(Deadline(0)) == b"hello"


def test_a_timeout_gives_the_role_back(fixture):
    """Who comes next finds it free."""
    for _ in range(3):
        with pytest.raises(TimeoutError):
            fixture.reader.get(Deadline(0.001))
    fixture.theirs.send(b"hello")

    assert fixture.reader.get(Deadline(WATCHDOG)) == b"hello"


def test_many_callers_are_all_served(fixture):
    """One reads, the others wait in the queue; each message goes to one of them."""
    calls = [Running(fixture.reader.get, Deadline(WATCHDOG)) for _ in range(4)]
    for number in range(4):
        fixture.theirs.send(b"%d" % number)
        eventually(lambda n=number: sum(not call.thread.is_alive() for call in calls) > n)

    assert sorted(call.result() for call in calls) == [b"0", b"1", b"2", b"3"]


def test_the_end_is_told_once_and_wakes_the_caller(lookout, fixture):
    """A caller that reads meets the end, and so does who comes later."""
    getting = Running(fixture.reader.get, Deadline(WATCHDOG))
    eventually(lambda: blocked_in(getting.thread, "fill"))
    fixture.theirs.close()

    assert isinstance(getting.error(), recvqueue.QueueClosed)
    with pytest.raises(recvqueue.QueueClosed):
        fixture.reader.get(Deadline(WATCHDOG))
    assert fixture.ends == [None]


def test_reading_until_something_is_done_stops_at_a_full_queue(fixture):
    """Whoever waits for a Pong does not let a flood of messages in."""
    waiting = Running(fixture.reader.read_until, lambda: False, Deadline(WATCHDOG))
    for number in range(4):
        eventually(lambda n=number: len(fixture.queue) == n)
        fixture.theirs.send(b"x")

    waiting.result()
    assert len(fixture.queue) == 4


@both_roles
@plain_and_tls
def test_pings_are_answered_while_nobody_receives(role, secure):
    """The application computes; the peer gets its Pongs."""
    with end_and_peer(role, secure, ping_interval=None) as (ws, peer):
        for number in range(3):
            peer.send(PING, b"%d" % number)
            assert peer.recv_until(PONG) == b"%d" % number
            peer.send(TEXT, b"hello")
            assert ws.recv(timeout=WATCHDOG) == "hello"


@both_roles
@plain_and_tls
def test_pings_are_answered_while_somebody_receives(role, secure):
    """By whoever waits in recv()."""
    with end_and_peer(role, secure, ping_interval=None) as (ws, peer):
        receiving = Running(ws.recv)
        eventually(lambda: blocked_in(receiving.thread, "fill", "get"))
        peer.send(PING, b"?")
        assert peer.recv_until(PONG) == b"?"
        peer.send(TEXT, b"hello")
        assert receiving.result() == "hello"


def test_the_thread_gives_the_role_back_when_it_has_served_who_waited(lookout):
    """From then on callers read for themselves again, without a hop from thread to thread."""
    with end_and_peer("client", ping_interval=None) as (ws, peer):
        reader = ws._engine.reader
        reader.look(reader._turns)
        eventually(lambda: blocked_in(reader._thread, "fill"))
        receiving = Running(ws.recv)
        eventually(lambda: ws._engine.queue.waiting)
        lookout.clear()
        peer.send(TEXT, b"first")
        assert receiving.result() == "first"
        eventually(lambda: lookout)

        receiving = Running(ws.recv)
        eventually(lambda: blocked_in(receiving.thread, "fill"))
        peer.send(TEXT, b"second")
        assert receiving.result() == "second"


@pytest.mark.parametrize("callers", [2, 4])
def test_who_is_woken_in_vain_waits_for_no_lookout(lookout, callers):
    """Somebody else may take the message; then somebody has to read on."""
    with end_and_peer("client", ping_interval=None) as (ws, peer):
        for _ in range(20):
            receiving = [Running(ws.recv) for _ in range(callers)]
            eventually(lambda: ws._engine.queue.waiting >= callers - 1)
            for number in range(callers):
                peer.send(TEXT, b"%d" % number)
                eventually(lambda n=number, all=receiving: sum(not it.alive for it in all) > n)
            assert sorted(it.result() for it in receiving) == list("0123"[:callers])


def test_a_look_finds_the_message_behind_many_pongs(lookout):
    """All of what was read counts as one try, though it is told bit by bit."""
    with end_and_peer("client", ping_interval=None) as (ws, peer):
        data = peer.frame(PONG, b"") * 20_000 + peer.frame(TEXT, b"hello")
        sending = Running(peer.sock.sendall, data)
        eventually(lambda: not sending.alive)

        assert ws.recv(timeout=0) == "hello"


def test_messages_behind_a_flood_of_pings_count_in_bytes(lookout):
    """What was read is told bit by bit, and the first bits have no message."""
    with end_and_peer("client", ping_interval=None, max_queue_bytes=50_000) as (ws, peer):
        engine = ws._engine
        engine._received(peer.frame(PONG, b"") * 1000 + peer.frame(BINARY, bytes(60_000)))
        assert not engine.queue.full
        while engine.reader.backlog:
            engine._received(b"")

        assert engine.queue.full


def test_nothing_follows_what_an_interruption_has_lost(fixture):
    """Neither what the socket still holds nor what was received and not looked at yet."""
    fixture.interrupted = True
    fixture.theirs.send(b"lost")
    with pytest.raises(KeyboardInterrupt):
        fixture.reader.get(Deadline(WATCHDOG))

    assert fixture.ends == [None]
    with pytest.raises(recvqueue.QueueClosed):
        fixture.reader.get(Deadline(WATCHDOG))


@pytest.mark.parametrize("extensions", ["", "permessage-deflate"])
@both_roles
def test_messages_that_an_interruption_has_lost_leave_no_gap(role, extensions):
    """Of a stream of messages the receiver has the beginning, and then the connection ends."""
    with end_and_peer(role, ping_interval=None, extensions=extensions) as (ws, peer):
        protocol, batches = ws._engine.protocol, []
        receive = protocol.receive

        def interrupted(data):
            facts = receive(data)
            batches.append(len(data))
            if len(batches) == 3:
                raise KeyboardInterrupt
            return facts

        protocol.receive = interrupted
        frames = [peer.frame(BINARY, b"%d" % number + bytes(1000)) for number in range(400)]
        sending = Running(peer.sock.sendall, b"".join(frames))
        received = []
        with pytest.raises(syncws.ConnectionClosedError):
            while True:
                with contextlib.suppress(KeyboardInterrupt):
                    received.append(int(ws.recv(WATCHDOG).rstrip(b"\0")))
        eventually(lambda: not sending.alive)

    assert received == list(range(len(received)))


@pytest.mark.parametrize("call", ["recv", "ping", "close"])
@both_roles
def test_a_timeout_lapses_also_while_bytes_keep_coming(role, call):
    """The peer sends Pings without end, so that there is always something to read."""
    with end_and_peer(role, ping_interval=None, close_timeout=None) as (ws, peer):
        data = peer.frame(PONG, bytes(100)) * 1000

        def flood():
            with contextlib.suppress(OSError):
                while True:
                    peer.sock.sendall(data)

        flooding = Running(flood)
        eventually(lambda: ws.stats.bytes_received > len(data))
        if call == "close":
            Running(ws.close, timeout=0.01).result()
        else:
            assert isinstance(Running(getattr(ws, call), timeout=0.01).error(), TimeoutError)
        ws.abort()
        flooding.result()


def test_a_message_that_is_there_is_had_without_waiting():
    """It may take several reads."""
    with end_and_peer("client", ping_interval=None) as (ws, peer):
        ws.ping_nowait()
        peer.send(BINARY, bytes(2**18))
        assert peer.recv()[0] == PING
        got = None
        while got is None:
            with contextlib.suppress(TimeoutError):
                got = ws.recv(timeout=0)
        assert len(got) == 2**18


# Attendants: an event loop in the place of the thread.


def test_an_attendant_takes_a_role_that_is_free(lookout, fixture):
    """At once, and keeps it; the lookout finds nothing to do."""
    fixture.reader.attend(fixture)
    assert (fixture.watched, fixture.reader.attended) == (1, True)
    fixture.theirs.send(b"hello")
    with pytest.raises(TimeoutError):
        fixture.reader.get(Deadline(0))
    ((reader, turns),) = lookout
    reader.look(turns)

    assert fixture.reader.read_ready()
    assert fixture.reader.get(Deadline(0)) == b"hello"
    assert (fixture.watched, fixture.thread) == (1, None)


def test_an_attendant_waits_for_the_caller_who_reads(lookout, fixture):
    getting = Running(fixture.reader.get, Deadline(WATCHDOG))
    eventually(lambda: blocked_in(getting.thread, "fill"))
    fixture.reader.attend(fixture)
    assert fixture.watched == 0
    fixture.theirs.send(b"hello")

    assert getting.result() == b"hello"
    assert (fixture.watched, fixture.thread) == (1, None)


def test_an_attendant_waits_for_the_thread_that_reads(fixture):
    """It goes on until somebody has waited for a message."""
    eventually(lambda: fixture.thread is not None and blocked_in(fixture.thread, "fill"))
    fixture.reader.attend(fixture)
    for number in range(2):
        assert fixture.watched == 0
        fixture.theirs.send(b"x")
        eventually(lambda n=number: len(fixture.queue) > n)
    for _ in range(2):
        fixture.queue.get(Deadline(0))
    assert fixture.queue.listen(lambda: None, whole=True)
    fixture.theirs.send(b"hello")
    eventually(lambda: fixture.watched)
    eventually(lambda: not blocked_in(fixture.thread, "fill", "_read_once"))
    fixture.theirs.send(b"next")

    assert fixture.reader.read_ready()
    assert [fixture.reader.get(Deadline(0)) for _ in range(2)] == [b"hello", b"next"]


def test_an_attendant_waits_for_the_start(unstarted):
    unstarted.reader.attend(unstarted)
    assert unstarted.watched == 0
    unstarted.reader.start(b"early")

    assert unstarted.watched == 1
    assert unstarted.reader.get(Deadline(0)) == b"early"


@pytest.mark.parametrize("role", [True, False])
def test_what_an_attendant_gives_back_the_thread_takes(lookout, fixture, role):
    """With the role, and without it while a caller has that; then the thread reads for ever."""
    if not role:
        getting = Running(fixture.reader.get, Deadline(WATCHDOG))
        eventually(lambda: blocked_in(getting.thread, "fill"))
    fixture.reader.attend(fixture)
    fixture.reader.give_back(role)
    assert not fixture.reader.attended
    if not role:
        fixture.theirs.send(b"first")
        assert getting.result() == b"first"
    eventually(lambda: fixture.thread is not None and blocked_in(fixture.thread, "fill"))
    for number in range(2):
        fixture.queue.listen(lambda: None, whole=True)
        fixture.theirs.send(b"x")
        eventually(lambda n=number: len(fixture.queue) > n)
    assert fixture.watched == role


def test_an_attendant_meets_the_end(lookout, fixture):
    """It is told to let go before others hear of the end, and has nothing to give back then."""
    seen = []
    fixture.reader._ended = lambda error: seen.append(fixture.left) or fixture.ended(error)
    fixture.reader.attend(fixture)
    fixture.theirs.close()

    assert not fixture.reader.read_ready()
    assert (seen, fixture.left, fixture.ends) == ([1], 1, [None])
    fixture.reader.give_back(True)
    assert fixture.thread is None
    with pytest.raises(recvqueue.QueueClosed):
        fixture.reader.get(Deadline(0))


def test_the_end_is_forced_on_a_role_that_was_lost(lookout, fixture, monkeypatch):
    """Ctrl-C hit a caller between taking the role and noting so."""
    monkeypatch.setattr(reader_module, "LEAVING", 0.01)
    assert fixture.reader._role.acquire(False)
    fixture.transport.abort()
    fixture.reader.expect_end()

    eventually(lambda: fixture.ends)
    assert fixture.ends == [None]


def test_the_end_is_not_forced_on_an_attendant(lookout, fixture, monkeypatch):
    """A loop that is busy still knows the socket, whose number others would have by then."""
    monkeypatch.setattr(reader_module, "LEAVING", 0.01)
    fixture.reader.attend(fixture)
    fixture.transport.abort()
    fixture.reader.expect_end()
    for _ in range(2):
        timer = fixture.reader._overdue
        eventually(lambda t=timer: fixture.reader._overdue is not t)
    assert (fixture.left, fixture.ends) == (0, [])

    assert not fixture.reader.read_ready()
    assert (fixture.left, len(fixture.ends)) == (1, 1)
    assert not fixture.reader._overdue.pending


def test_an_attendant_is_told_that_there_is_more(lookout, fixture):
    """Of what was read; the socket says nothing of that, and is left alone."""
    fixture.reader.attend(fixture)
    assert not fixture.reader.more
    fixture.rest += [b"two", b"one"]
    for message in (b"zero", b"one"):
        fixture.theirs.send(message * (message == b"zero"))
        assert fixture.reader.read_ready()
        assert fixture.reader.more
        assert fixture.reader.get(Deadline(0)) == message
    fixture.theirs.send(b"behind")
    assert fixture.reader.read_ready()
    assert not fixture.reader.more
    assert fixture.reader.get(Deadline(0)) == b"two"
    assert fixture.reader.read_ready()
    assert fixture.reader.get(Deadline(0)) == b"behind"


def test_an_attendant_that_reads_for_nothing_does_not_wait(lookout, fixture):
    fixture.reader.attend(fixture)

    assert fixture.reader.read_ready()
    assert len(fixture.queue) == 0
    assert not fixture.reader.is_reading()


def test_an_interruption_while_an_attendant_reads_ends_the_stream(lookout, fixture):
    """What was read is lost, so nothing can follow it."""
    fixture.reader.attend(fixture)
    fixture.interrupted = True
    fixture.theirs.send(b"lost")

    with pytest.raises(KeyboardInterrupt):
        fixture.reader.read_ready()
    assert (fixture.left, fixture.ends) == (1, [None])
    with pytest.raises(recvqueue.QueueClosed):
        fixture.reader.get(Deadline(0))
