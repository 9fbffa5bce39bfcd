"""Pings in flight: each waits for its Pong, or for a later one (RFC 6455 section 5.5.3)."""

from __future__ import annotations

import types

import pytest

from support.threads import Running, blocked_in, eventually
from syncws import pings as module
from syncws.exceptions import ConcurrencyError, ConnectionClosedError
from syncws.pings import Pings


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose last number is the time, for the module under test only."""
    times = [1000.0]
    monkeypatch.setattr(module, "time", types.SimpleNamespace(monotonic=lambda: times[-1]))
    return times


def test_a_pong_completes_its_ping_with_the_round_trip(clock):
    """The time runs from the Ping to the Pong."""
    pings = Pings()
    latency = pings.latency
    waiter = pings.add(b"a")
    clock.append(1000.25)

    pings.answered(b"a")

    assert waiter.result(0) == 0.25
    assert (latency, pings.latency) == (0.0, 0.25)


def test_a_pong_completes_the_earlier_pings_too(clock):
    """The peer may answer the latest only; each waiter gets a time of its own."""
    pings = Pings()
    first = pings.add(b"first")
    clock.append(1001)
    second = pings.add(b"second")
    third = pings.add(b"third")
    clock.append(1003)

    pings.answered(b"second")

    assert (first.result(0), second.result(0)) == (3, 2)
    assert not third.done()
    assert pings.latency == 2


@pytest.mark.parametrize("payload", [b"", b"unknown", b"A"])
def test_a_pong_that_answers_no_ping_is_ignored(payload):
    """Peers may send Pongs that nobody asked for."""
    pings = Pings()
    waiter = pings.add(b"a")

    pings.answered(payload)

    assert not waiter.done()
    assert pings.latency == 0.0


def test_a_second_pong_for_one_ping_is_ignored(clock):
    """Only the first counts."""
    pings = Pings()
    waiter = pings.add(b"a")
    clock.append(1001)
    pings.answered(b"a")
    clock.append(1005)

    pings.answered(b"a")

    assert waiter.result(0) == 1
    assert pings.latency == 1


def test_two_pings_in_flight_cannot_have_one_payload():
    """Their Pongs could not be told apart."""
    pings = Pings()
    waiter = pings.add(b"same")

    with pytest.raises(ConcurrencyError, match="b'same' is in flight already"):
        pings.add(b"same")

    assert not waiter.done()


@pytest.mark.parametrize("over", [Pings.answered, Pings.discard])
def test_a_payload_may_be_used_again(over):
    """It is free as soon as its Ping is answered or given up."""
    pings = Pings()
    pings.add(b"again")

    over(pings, b"again")

    assert not pings.add(b"again").done()


def test_a_discarded_ping_waits_no_more(clock):
    """A Pong that comes after all does not count."""
    pings = Pings()
    waiter = pings.add(b"a")
    clock.append(1001)

    pings.discard(b"a")
    pings.answered(b"a")

    assert not waiter.done()
    assert pings.latency == 0.0


def test_discarding_an_unknown_ping_does_nothing():
    """Whoever gives up need not know whether it was answered."""
    pings = Pings()

    pings.discard(b"unknown")

    assert pings.add(b"unknown")


def test_fail_gives_every_waiter_an_exception_of_its_own():
    """Tracebacks of several threads do not pile up in one exception."""
    pings = Pings()
    waiters = [pings.add(b"a"), pings.add(b"b")]

    pings.fail(lambda: ConnectionClosedError(None, None))

    errors = [waiter.exception(0) for waiter in waiters]
    assert [type(error) for error in errors] == [ConnectionClosedError] * 2
    assert errors[0] is not errors[1]


def test_a_pong_behind_the_end_does_nothing():
    """Who has been told that there will be no Pong is not told otherwise."""
    pings = Pings()
    waiter = pings.add(b"a")
    pings.fail(lambda: ConnectionClosedError(None, None))

    pings.answered(b"a")

    assert isinstance(waiter.exception(0), ConnectionClosedError)


def test_a_waiter_cannot_be_cancelled():
    """A Ping cannot be taken back, so its future does not pretend that it can."""
    pings = Pings()
    waiter = pings.add(b"a")

    assert not waiter.cancel()
    pings.answered(b"a")
    assert waiter.done()


def test_an_answer_wakes_a_thread_that_waits():
    """The thread that reads completes the Ping of another."""
    pings = Pings()
    waiter = pings.add(b"a")
    waiting = Running(waiter.result, 20)
    eventually(lambda: blocked_in(waiting.thread, "result"))

    pings.answered(b"a")

    assert waiting.result() >= 0


def test_every_ping_of_many_threads_is_answered_once():
    """Adding and answering at the same time loses none."""
    pings = Pings()

    def ask(thread):
        waiters = [pings.add(b"%d %d" % (thread, number)) for number in range(300)]
        return [waiter.result(20) >= 0 for waiter in waiters]

    def answer():
        for thread in range(3):
            last = b"%d 299" % thread
            # Or it was answered, with all of its thread, by a later one of the thread before.
            asker = asking[thread].thread
            eventually(lambda last=last, ask=asker: last in pings._waiters or not ask.is_alive())
            for number in range(0, 300, 7):
                pings.answered(b"%d %d" % (thread, number))
            pings.answered(last)

    asking = [Running(ask, thread) for thread in range(3)]
    answering = Running(answer)

    answering.result()
    pings.add(b"last")
    pings.answered(b"last")
    assert [one.result() for one in asking] == [[True] * 300] * 3
