"""The keepalive: Pings in time, and a verdict on silence that is the peer's fault only."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from support.streams import LARGE
from support.threads import Running, blocked_in, eventually
from support.wire import BINARY, CLOSE, PING, PONG
from syncws.codes import State
from syncws.exceptions import ConnectionClosedError
from syncws.housekeeper import housekeeper
from syncws.keepalive import Keepalive

INTERVAL = 0.005


class Patient:
    """What a keepalive looks at, and what it does."""

    def __init__(self, signs=lambda: 0):
        self.open = True
        self.pings = self.refused = 0
        self.looks = 0
        self.dead = threading.Event()
        self._signs = signs

    def ping(self):
        self.pings += self.open
        self.refused += not self.open
        return self.open

    def signs(self):
        self.looks += 1
        return self._signs()


@pytest.fixture
def watch():
    """Return a function that starts a keepalive for a patient."""
    started = []

    def start(patient, timeout, interval=INTERVAL):
        keepalive = Keepalive(interval, timeout, patient.ping, patient.signs, patient.dead.set)
        started.append(keepalive)
        keepalive.start()
        return keepalive

    yield start
    for keepalive in started:
        keepalive.stop()


def after_now():
    """Wait until the housekeeper has done what is due."""
    done = threading.Event()
    housekeeper.call_later(0, done.set)
    assert done.wait(20)


# Alone.


def test_pings_are_sent_again_and_again(watch):
    """One every interval."""
    patient = Patient()

    watch(patient, None)

    eventually(lambda: patient.pings >= 5)


def test_it_begins_with_an_interval_of_waiting(watch):
    """A connection that has just opened needs no Ping."""
    patient = Patient()

    watch(patient, None, interval=1000)
    after_now()

    assert patient.pings == 0


@pytest.mark.parametrize("timeout", [INTERVAL / 2, INTERVAL, INTERVAL * 10])
def test_silence_is_death(watch, timeout):
    """No sign of life in time after a Ping, whatever the interval."""
    patient = Patient()

    watch(patient, timeout)

    assert patient.dead.wait(20)
    assert patient.pings


def test_any_sign_of_life_will_do(watch):
    """Who shows life between the looks is not dead."""
    patient = Patient(signs=itertools.count().__next__)

    watch(patient, INTERVAL)

    eventually(lambda: patient.looks >= 10)
    assert not patient.dead.is_set()


def test_silence_that_is_not_the_peers_fault_is_not_death(watch):
    """While we do not read ourselves, nothing can be known."""
    patient = Patient(signs=lambda: None)

    watch(patient, INTERVAL)

    eventually(lambda: patient.looks >= 10)
    assert not patient.dead.is_set()


@pytest.mark.parametrize("alive", [True, False])
def test_a_late_verdict_waits_for_whoever_reads(watch, monkeypatch, alive):
    """What held up the housekeeper held up the reader, too: it gets its turn first."""
    monkeypatch.setattr("syncws.keepalive._LOOK_AGAIN", INTERVAL)
    signs = itertools.chain([0], itertools.repeat(int(alive)))
    patient = Patient(signs=lambda: next(signs))
    keepalive = watch(patient, None, interval=1000)

    keepalive._check(0, due=time.monotonic() - 10)

    assert not patient.dead.is_set()
    if alive:
        eventually(lambda: patient.looks == 2)
        after_now()
    assert patient.dead.wait(0 if alive else 20) is not alive


def test_silence_that_begins_later_is_death(watch):
    """Signs of life are needed for every Ping."""
    counter = itertools.count()
    patient = Patient(signs=lambda: min(next(counter), 10))

    watch(patient, INTERVAL)

    assert patient.dead.wait(20)
    assert patient.looks >= 10


def test_without_a_timeout_there_is_no_verdict(watch):
    """Pings alone keep proxies and routers awake."""
    patient = Patient()

    watch(patient, None)

    eventually(lambda: patient.pings >= 10)
    assert not patient.dead.is_set()
    assert patient.looks == 0


def test_it_ends_with_nobody_to_ping(watch):
    """A connection that is closing has other timers."""
    patient = Patient()
    keepalive = watch(patient, None)
    eventually(lambda: patient.pings >= 2)

    patient.open = False
    eventually(lambda: patient.refused)
    after_now()

    assert patient.refused == 1
    assert not any(timer.pending for timer in keepalive._timers)


def test_stop_ends_it(watch):
    """Neither Pings nor verdicts come behind it."""
    patient = Patient()
    keepalive = watch(patient, 1000)
    eventually(lambda: patient.pings >= 2)

    keepalive.stop()
    after_now()

    assert not any(timer.pending for timer in keepalive._timers)
    assert not patient.dead.is_set()


def test_stop_during_a_ping_ends_it():
    """The end of the connection may come at any moment."""
    patient = Patient()
    stopped = []

    def stop_and_ping():
        stopped.append(keepalive.stop())
        return True

    keepalive = Keepalive(0, 0, stop_and_ping, patient.signs, patient.dead.set)
    keepalive.start()
    eventually(lambda: stopped)
    after_now()

    assert not any(timer.pending for timer in keepalive._timers)
    assert stopped == [None]
    assert not patient.dead.is_set()


def test_finished_timers_do_not_pile_up(watch):
    """A long life costs no memory."""
    patient = Patient(signs=itertools.count().__next__)

    keepalive = watch(patient, INTERVAL)

    eventually(lambda: patient.pings >= 20)
    assert len(keepalive._timers) < 10


# In a connection.


def test_a_silent_peer_ends_the_connection(ours_and_peer):
    """Pings that go into the void are no sign of life, however many of them the system takes."""
    ws, _ = ours_and_peer(ping_interval=0.01, ping_timeout=0.1, close_timeout=0.1)

    with pytest.raises(ConnectionClosedError) as caught:
        ws.recv(timeout=20)

    assert isinstance(caught.value.__cause__, TimeoutError)
    assert "keepalive" in str(caught.value.__cause__)
    assert caught.value.sent.code == 1011


def test_messages_into_the_void_are_no_sign_of_life(ours_and_peer):
    """That the system's buffer takes what we send does not mean that somebody is there."""
    ws, _ = ours_and_peer(ping_interval=0.01, ping_timeout=0.1, close_timeout=0.1)

    def talk():
        while True:
            ws.send("are you there?")

    assert isinstance(Running(talk).error(), ConnectionClosedError)


def test_a_silent_peer_ends_a_blocked_send(ours_and_peer):
    """Who waits for a peer that takes nothing is told."""
    ws, _ = ours_and_peer(ping_interval=0.01, ping_timeout=0.1, close_timeout=0.1)

    sending = Running(lambda: [ws.send(LARGE) for _ in range(1000)])

    assert isinstance(sending.error(), ConnectionClosedError)


def test_a_peer_that_answers_lives(ours_and_peer):
    """Pongs keep a connection open, and tell the latency."""
    ws, peer = ours_and_peer(ping_interval=0.01, ping_timeout=10)

    for _ in range(5):
        opcode, payload = peer.recv()
        peer.send(PONG, payload)
        eventually(lambda: ws.latency > 0)

    assert opcode == PING
    assert ws.state is State.OPEN


def test_a_full_queue_does_not_count_as_silence(ours_and_peer):
    """While nobody calls recv() there is no verdict; as soon as somebody does, there can be."""
    ws, peer = ours_and_peer(ping_interval=None, max_queue=1)
    engine = ws._engine

    at_first = engine._signs_of_life()
    for number in range(100):
        peer.send(BINARY, bytes([number]) * 1000)
    eventually(lambda: engine.queue.parked)
    while_full = engine._signs_of_life()
    received = [ws.recv(timeout=20)[0] for _ in range(100)]

    assert at_first is not None
    assert while_full is None
    assert received == list(range(100))
    eventually(lambda: engine._signs_of_life() is not None)


def test_a_peer_that_reads_a_large_message_slowly_shows_life(ours_and_peer):
    """Bytes that the peer takes from us count, too: its Pong waits behind them."""
    ws, peer = ours_and_peer(ping_interval=None, fragment_size=None)
    sending = Running(ws.send, bytes(2**24))
    eventually(lambda: blocked_in(sending.thread, "wait_writable"))

    for _ in range(3):
        before = ws._engine._signs_of_life()
        peer.read(2**21)
        eventually(lambda before=before: ws._engine._signs_of_life() != before)

    ws.abort()
    sending.error()


def test_without_an_interval_there_is_no_ping(ours_and_peer):
    """None turns the keepalive off."""
    ws, peer = ours_and_peer(ping_interval=None)

    closing = Running(ws.close)
    opcode, payload = peer.recv()
    peer.send(CLOSE, payload)
    peer.close()

    closing.result()
    assert opcode == CLOSE
