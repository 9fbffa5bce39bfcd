"""What threads wait on, made only when one does."""

from __future__ import annotations

import threading

import pytest

from support.threads import Running, blocked_in, eventually
from syncws.lazy import Condition, Latch


def test_latch_is_set_for_ever():
    latch = Latch()
    assert not latch.is_set()
    assert not latch.wait(0)

    latch.set()
    latch.set()

    assert latch.is_set()
    assert latch.wait(0)
    assert latch.wait()


def test_latch_wakes_everybody():
    latch = Latch()
    waiters = [Running(latch.wait) for _ in range(5)]
    for waiter in waiters:
        eventually(lambda waiter=waiter: blocked_in(waiter.thread, "wait"))

    latch.set()

    assert [waiter.result() for waiter in waiters] == [True] * 5
    assert latch._callbacks == []


def test_latch_holds_nothing_when_it_has_happened():
    """A connection may hold the latch that calls it."""
    latch = Latch()
    latch.call(lambda: None)

    latch.set()
    latch.call(lambda: None)

    assert latch._callbacks == []


def test_latch_forgets_who_waits_no_more():
    latch = Latch()

    assert not latch.wait(0.001)

    assert latch._callbacks == []


@pytest.mark.parametrize("threads", [1, 4])
def test_latch_is_set_while_others_begin_to_wait(threads):
    """Whoever comes at the very moment does not sleep through it."""
    for _ in range(50):
        latch = Latch()
        barrier = threading.Barrier(threads + 1)
        waiters = [
            Running(lambda latch=latch, barrier=barrier: (barrier.wait(), latch.wait(20))[1])
            for _ in range(threads)
        ]
        barrier.wait()
        latch.set()

        assert all(waiter.result() for waiter in waiters)


def test_condition_that_nobody_waits_on_can_be_notified():
    lock = threading.RLock()
    condition = Condition(lock)

    with lock:
        condition.notify()
        condition.notify_all()

    with lock:
        assert not condition.wait(0)


@pytest.mark.parametrize("notify", [lambda c: c.notify(2), lambda c: c.notify_all()])
def test_condition_wakes_those_who_wait(notify):
    lock = threading.RLock()
    condition = Condition(lock)

    def wait():
        with lock:
            return condition.wait()

    waiters = [Running(wait) for _ in range(2)]

    def all_wait():
        with lock:
            inner = condition._condition
            return inner is not None and len(inner._waiters) == 2

    eventually(all_wait)
    with lock:
        notify(condition)

    assert [waiter.result() for waiter in waiters] == [True, True]


def test_latch_calls_back():
    latch = Latch()
    calls = []

    def forgotten():
        calls.append("never")

    latch.call(lambda: calls.append("before"))
    latch.call(forgotten)
    latch.forget(forgotten)
    latch.set()
    latch.call(lambda: calls.append("behind"))

    assert calls == ["before", "behind"]
