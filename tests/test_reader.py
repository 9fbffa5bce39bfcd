"""Who reads a connection: its callers, or its thread."""

from __future__ import annotations

import contextlib
import socket

import pytest

import syncws
from support.ends import both_roles, end_and_peer, plain_and_tls
from support.threads import WATCHDOG, Running, blocked_in, eventually
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
        self.reader.start(b"")

    def received(self, data: bytes) -> bool:
        if self.interrupted:
            raise KeyboardInterrupt
        return self.queue.put([data], len(data))

    def ended(self, error: BaseException | None) -> None:
        self.ends.append(error)
        self.queue.close()

    @property
    def thread(self):
        return self.reader._thread


@pytest.fixture
def fixture():
    made = Fixture()
    yield made
    made.queue.drain()
    made.theirs.close()
    eventually(lambda: made.ends)
    if made.thread is not None:
        made.thread.join(WATCHDOG)
    made.transport.close()


def test_a_caller_reads_for_itself(fixture):
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


def test_the_end_is_told_once_and_wakes_the_caller(fixture):
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
