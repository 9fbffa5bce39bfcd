"""The keepalive tells a dead peer from one that is busy, slow or held up by us."""

from __future__ import annotations

import threading
import time

import pytest

import syncws
from support.ends import both_roles, connect_to, end_and_peer, linked, plain_and_tls
from support.threads import WATCHDOG, Running, eventually

BINARY, CONT, PING = 2, 0, 9
MIB = 2**20


def read_pings(peer, count: int) -> None:
    """Read that many Pings, and answer none."""
    for _ in range(count):
        peer.recv_until(PING)


@both_roles
@plain_and_tls
def test_a_silent_peer_is_found_dead(role, secure):
    """What the other tests here must not come to."""
    with end_and_peer(role, secure, ping_interval=0.05, ping_timeout=0.05) as (ws, _):
        with pytest.raises(syncws.ConnectionClosedError, match="keepalive") as caught:
            ws.recv(timeout=WATCHDOG)
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert caught.value.code == 1006


@both_roles
def test_a_peer_that_reads_but_never_answers_is_found_dead(role):
    """Its system takes all we send, which is no sign of life."""
    with end_and_peer(role, ping_interval=0.05, ping_timeout=0.05) as (ws, peer):
        reading = Running(lambda: [peer.recv() for _ in range(10**9)])
        with pytest.raises(syncws.ConnectionClosedError):
            for _ in range(10**9):
                ws.send(bytes(100))
                threading.Event().wait(0.005)
        assert isinstance(reading.error(), (EOFError, ConnectionError))


def test_a_busy_handler_answers_pings():
    """The reader serves them, whatever the handler computes."""
    busy = threading.Event()

    def handler(ws):
        busy.wait(WATCHDOG)

    with syncws.ThreadingServer(handler, "127.0.0.1", 0) as server:
        server.start()
        with connect_to(server.server_address[1], ping_interval=0.05, ping_timeout=1) as ws:
            for _ in range(20):
                assert ws.ping(timeout=WATCHDOG) < WATCHDOG
            busy.set()


@plain_and_tls
def test_a_busy_client_answers_pings(secure):
    with linked(secure) as (_, server):
        for _ in range(20):
            server.ping(timeout=WATCHDOG)


@both_roles
def test_a_full_queue_is_no_dead_peer(role):
    """While we do not read, the silence is our own."""
    with end_and_peer(role, max_queue=4, ping_interval=0.03, ping_timeout=0.03) as (ws, peer):
        for number in range(10):
            peer.send(BINARY, bytes([number]))
        eventually(lambda: ws._engine.queue.parked)
        read_pings(peer, 8)
        assert ws.state is syncws.State.OPEN
        for number in range(10):
            assert ws.recv() == bytes([number])
        with pytest.raises(syncws.ConnectionClosedError, match="keepalive"):
            ws.recv()


def test_a_long_message_that_dribbles_in_is_life():
    """Slower than ping_timeout as a whole, but steadily; the Pongs are behind it."""
    options = {"ping_interval": 0.1, "ping_timeout": 0.4}
    with end_and_peer("client", **options) as one, end_and_peer("server", True, **options) as two:
        sent = 0
        begin = time.monotonic()
        while time.monotonic() - begin < 1.3:
            for _, peer in (one, two):
                peer.sock.sendall(peer.frame(BINARY, bytes(100_000))[sent : sent + 20])
            sent += 20
            threading.Event().wait(0.01)
        for ws, peer in (one, two):
            assert ws.state is syncws.State.OPEN
            peer.sock.sendall(peer.frame(BINARY, bytes(100_000))[sent:])
            assert ws.recv() == bytes(100_000)


def test_a_long_message_to_a_slow_reader_is_life():
    """
    It reads steadily, but our Ping waits behind megabytes.

    The system tells of room only when a third of its buffer is free: that takes too long.
    """
    options = {"ping_interval": 0.1, "ping_timeout": 0.4, "rcvbuf": 8192}
    with end_and_peer("client", **options) as one, end_and_peer("server", True, **options) as two:
        sends = [Running(ws.send, [bytes(6 * MIB)]) for ws, _ in (one, two)]
        begin = time.monotonic()
        while time.monotonic() - begin < 1.6:
            for _, peer in (one, two):
                assert peer.sock.recv(4096)
            threading.Event().wait(0.01)
        for (ws, peer), sending in zip((one, two), sends):
            assert ws.state is syncws.State.OPEN
            while sending.alive:
                assert peer.sock.recv(MIB)
            sending.result()
            assert ws.state is syncws.State.OPEN


def test_both_sides_send_long_messages_with_an_eager_keepalive():
    """Neither takes the other for dead, though every Pong waits behind a megabyte."""
    with linked(ping_interval=0.05, ping_timeout=0.5, max_size=None) as ends:

        def send(ws):
            for _ in range(24):
                ws.send(bytes(MIB))

        def receive(ws):
            for _ in range(24):
                assert len(ws.recv()) == MIB

        for call in [Running(call, ws) for ws in ends for call in (send, receive)]:
            call.result()


def test_a_peer_that_never_answers_costs_no_memory():
    """It sends all the time, so it is alive; Pings without a Pong are not kept for ever."""
    with end_and_peer("client", ping_interval=0.005, ping_timeout=None) as (ws, peer):
        read_pings(peer, 30)
        assert len(ws._engine.pings._waiters) <= 1


def test_a_thousand_pings_at_once():
    """Each Pong finds its Ping, from many threads, both ways."""
    with linked() as ends:

        def ping(ws):
            for _ in range(125):
                ws.ping(timeout=WATCHDOG)

        for call in [Running(ping, ws) for ws in ends for _ in range(4)]:
            call.result()
        assert all(ws.latency > 0 for ws in ends)


def test_very_long_times_are_only_long():
    """None of them stops the housekeeper, though poll() counts to 24 days only."""
    times = {"ping_interval": 10.0**9, "ping_timeout": 10.0**12, "close_timeout": 10.0**10}
    with linked(**times), linked(ping_interval=0.01) as (client, _):
        eventually(lambda: client.latency > 0, "the keepalive's Pong")
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.01)
