"""The one thread of the process: timers in order, writes as soon as they can go on."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import select
import subprocess
import sys
import textwrap
import threading

import pytest

import syncws.housekeeper
from support.streams import fill, recv_exactly, tcp_pair
from support.threads import WATCHDOG, Running, eventually
from syncws.housekeeper import housekeeper


@pytest.fixture
def pairs():
    """Return a function that makes connected sockets, of which the first is full."""
    with contextlib.ExitStack() as stack:

        def make():
            ours, theirs = tcp_pair()
            stack.callback(theirs.close)
            stack.callback(ours.close)
            stack.callback(housekeeper.forget, ours)
            eventually(lambda: fill(ours) == b"")
            return ours, theirs

        yield make


def after_now():
    """Wait until the housekeeper has done what is due."""
    done = threading.Event()
    housekeeper.call_later(0, done.set)
    assert done.wait(20)


def run(script):
    """Run a script in a process of its own, which must end well."""
    subprocess.run(
        # Forking with threads is what some of them are about.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(script)],
        check=True,
        timeout=20,
    )


# Timers.


def test_call_later_calls_back_once():
    """A timer does its work in the housekeeper's thread, once."""
    names = []
    timer = housekeeper.call_later(0.001, lambda: names.append(threading.current_thread().name))
    was_pending = timer.pending

    eventually(lambda: names)
    after_now()

    assert was_pending
    assert names == ["syncws-housekeeper"]
    assert not timer.pending


def test_timers_are_called_in_the_order_of_their_times():
    """The order of asking does not matter."""
    called = []

    for moment in (0.03, 0.01, 0.04, 0.02):
        housekeeper.call_later(moment, lambda moment=moment: called.append(moment))

    eventually(lambda: len(called) == 4)
    assert called == [0.01, 0.02, 0.03, 0.04]


def test_timers_of_one_moment_are_called_in_the_order_of_asking():
    """What is due at once happens in order."""
    called = []

    for number in range(100):
        housekeeper.call_later(-1000 + number, lambda number=number: called.append(number))

    eventually(lambda: len(called) == 100)
    assert called == sorted(called)


def test_an_early_timer_does_not_wait_for_a_late_one():
    """The housekeeper wakes up for a timer that comes before what it sleeps for."""
    called = threading.Event()
    late = housekeeper.call_later(1000, lambda: None)
    after_now()

    housekeeper.call_later(0.001, called.set)

    assert called.wait(20)
    assert late.pending
    late.cancel()


def test_many_timers_from_many_threads_are_all_called():
    """Nothing is lost and nothing is called twice between thousands of timers."""
    called = []

    def ask(seed):
        chance = random.Random(seed)
        for number in range(500):
            name = (seed, number)
            housekeeper.call_later(chance.random() / 50, lambda name=name: called.append(name))

    asking = [Running(ask, seed) for seed in range(4)]
    for one in asking:
        one.result()

    eventually(lambda: len(called) >= 2000)
    after_now()
    assert sorted(called) == [(seed, number) for seed in range(4) for number in range(500)]


def test_a_timer_that_is_cancelled_is_not_called():
    """Cancelling comes in time until the callback runs."""
    called = []
    timers = [
        housekeeper.call_later(0.002, lambda number=number: called.append(number))
        for number in range(3)
    ]

    timers[1].cancel()

    eventually(lambda: len(called) == 2)
    after_now()
    assert called == [0, 2]
    assert not timers[1].pending


def test_cancelling_too_late_or_twice_does_nothing():
    """Whoever cancels need not know whether it was called."""
    called = []
    timer = housekeeper.call_later(0, lambda: called.append(1))
    eventually(lambda: called)

    timer.cancel()
    timer.cancel()

    after_now()
    assert called == [1]


def test_cancelled_timers_do_not_pile_up():
    """Timers that are due in hours and were cancelled are forgotten before."""
    for _ in range(20000):
        housekeeper.call_later(10000, lambda: None).cancel()

    assert len(housekeeper._timers) < 10000


def test_a_callback_may_set_timers():
    """The housekeeper's own thread may ask for more."""
    called = []

    def again():
        called.append(1)
        if len(called) < 5:
            housekeeper.call_later(0, again)

    housekeeper.call_later(0, again)

    eventually(lambda: len(called) == 5)


def test_a_callback_that_raises_is_logged_and_the_others_are_called(caplog):
    """A mistake in one place does not stop the house."""
    called = threading.Event()

    with caplog.at_level(logging.ERROR, "syncws"):
        housekeeper.call_later(0, lambda: 1 // 0)
        housekeeper.call_later(0.001, called.set)
        assert called.wait(20)

    (record,) = caplog.records
    assert record.name == "syncws"
    assert record.exc_info[0] is ZeroDivisionError


def test_timers_in_the_far_future_do_no_harm():
    """Times longer than the system can wait, even infinite, are as good as never."""
    run(
        """
        import threading
        from syncws.housekeeper import housekeeper
        housekeeper.call_later(float("inf"), print)
        housekeeper.call_later(1e10, print)
        for _ in range(3):
            called = threading.Event()
            housekeeper.call_later(0.001, called.set)
            assert called.wait(10)
        """
    )


def test_there_is_one_thread():
    """However much there is to do."""
    for _ in range(10):
        housekeeper.call_later(0, lambda: None)
    after_now()

    names = [thread.name for thread in threading.enumerate()]

    assert names.count("syncws-housekeeper") == 1


# Sockets.


@pytest.mark.parametrize("poll", [True, False])
def test_call_when_writable_calls_back_once_there_is_room(pairs, monkeypatch, poll):
    """Not before the peer reads, and not twice."""
    if not poll:
        monkeypatch.delattr(select, "poll", raising=False)
    ours, theirs = pairs()
    called = []
    housekeeper.call_when_writable(ours, lambda: called.append(1))
    after_now()
    before = list(called)

    recv_exactly(theirs, 8192)
    eventually(lambda: called)
    after_now()

    assert before == []
    assert called == [1]


def test_call_when_writable_calls_back_at_once_if_there_is_room(pairs):
    """A socket that takes bytes already is not waited for."""
    _, theirs = pairs()
    called = threading.Event()

    housekeeper.call_when_writable(theirs, called.set)

    assert called.wait(20)


@pytest.mark.parametrize("poll", [True, False])
def test_call_when_writable_calls_back_for_a_broken_socket(pairs, monkeypatch, poll):
    """Who waits to write learns of the end by trying."""
    if not poll:
        monkeypatch.delattr(select, "poll", raising=False)
    ours, theirs = pairs()
    called = threading.Event()
    housekeeper.call_when_writable(ours, called.set)

    theirs.close()

    assert called.wait(20)


@pytest.mark.parametrize("poll", [True, False])
@pytest.mark.parametrize("what", ["data", "end"])
def test_call_when_readable_calls_back_once(monkeypatch, poll, what):
    """Not before something comes, and not twice, however often the housekeeper looks."""
    if not poll:
        monkeypatch.delattr(select, "poll", raising=False)
    ours, theirs = tcp_pair()
    with ours, theirs:
        called = []
        housekeeper.call_when_readable(ours, lambda: called.append(1))
        after_now()
        before = list(called)

        if what == "data":
            theirs.send(b"x")
        else:
            theirs.close()
        eventually(lambda: called)
        after_now()
        after_now()

    assert before == []
    assert called == [1]


def test_forget_what_was_to_be_read():
    """Then the socket may be closed, and its number be another one's."""
    ours, theirs = tcp_pair()
    called = []
    with theirs:
        with ours:
            housekeeper.call_when_readable(ours, lambda: called.append(1))
            housekeeper.forget(ours)
        theirs.close()
        after_now()

    assert called == []


def test_a_writable_callback_may_ask_again(pairs):
    """Who could not write all asks from the callback."""
    ours, theirs = pairs()
    rest = [b"x" * 100000]

    def write():
        with contextlib.suppress(BlockingIOError):
            while rest[0]:
                rest[0] = rest[0][ours.send(rest[0]) :]
        if rest[0]:
            housekeeper.call_when_writable(ours, write)

    housekeeper.call_when_writable(ours, write)
    received = []
    eventually(lambda: received.append(theirs.recv(65536)) or not rest[0])

    assert rest == [b""]


def test_several_sockets_are_watched_at_once(pairs):
    """Each is called back for itself."""
    ends = [pairs() for _ in range(3)]
    called = []
    for number, (ours, _) in enumerate(ends):
        housekeeper.call_when_writable(ours, lambda number=number: called.append(number))

    recv_exactly(ends[1][1], 8192)
    eventually(lambda: called)
    recv_exactly(ends[0][1], 8192)
    eventually(lambda: len(called) == 2)
    after_now()

    assert called == [1, 0]


def test_forget_ends_the_watch(pairs):
    """Nobody is called back for a socket that was forgotten."""
    ours, theirs = pairs()
    called = []
    housekeeper.call_when_writable(ours, lambda: called.append(1))

    housekeeper.forget(ours)
    recv_exactly(theirs, 8192)
    eventually(lambda: select.select([], [ours], [], 0)[1])
    after_now()

    assert called == []


def test_forget_of_an_unknown_socket_does_nothing(pairs):
    """Whoever forgets need not know whether it was watched."""
    ours, _ = pairs()

    housekeeper.forget(ours)

    after_now()


def test_a_socket_closed_meanwhile_disturbs_nobody(pairs):
    """A mistake with one socket does not stop the others."""
    ours, _ = pairs()
    housekeeper.call_when_writable(ours, lambda: None)
    after_now()

    ours.close()

    after_now()
    after_now()


# Processes.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_a_housekeeper_of_its_own():
    """It works there, and does not do the parent's work."""
    run(
        """
        import os, threading
        from syncws.housekeeper import housekeeper

        busy, go_on, for_parent = threading.Event(), threading.Event(), threading.Event()
        housekeeper.call_later(0, lambda: (busy.set(), go_on.wait(10)))
        assert busy.wait(10)
        housekeeper.call_later(0, for_parent.set)
        child = os.fork()
        if child == 0:
            called = threading.Event()
            housekeeper.call_later(0.001, called.set)
            os._exit(0 if called.wait(10) and not for_parent.is_set() else 1)
        assert os.waitpid(child, 0)[1] == 0
        go_on.set()
        assert for_parent.wait(10)
        """
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_in_the_middle_of_a_request_does_not_lock_the_child():
    """The lock may be held by a thread that the child does not have."""
    run(
        """
        import os, threading
        from syncws.housekeeper import housekeeper

        with housekeeper._lock:
            child = os.fork()
            if child == 0:
                called = threading.Event()
                housekeeper.call_later(0, called.set)
                os._exit(0 if called.wait(10) else 1)
        assert os.waitpid(child, 0)[1] == 0
        """
    )


def test_the_interpreter_ends_with_timers_pending():
    """The housekeeper keeps no program alive."""
    run(
        """
        from syncws.housekeeper import housekeeper
        housekeeper.call_later(10000, print)
        """
    )


@pytest.mark.native_threads("the main greenlet gets it: see test_greenlets.py")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_interruption_is_not_the_end_of_all_timers():
    """As when a callback raises it."""
    keeper = type(housekeeper)()

    def interrupted():
        raise KeyboardInterrupt

    keeper.call_later(0, interrupted)
    first = keeper._thread
    first.join(WATCHDOG)
    done = threading.Event()
    keeper.call_later(0, done.set)

    assert done.wait(WATCHDOG)
    assert keeper._thread is not first
    keeper.call_later(0, keeper.start_afresh)  # which closes its sockets


def test_an_error_of_waiting_is_not_the_end_of_all_timers(monkeypatch):
    """Eventlet raises one if another greenlet closes a socket that was waited for."""
    errors = [OSError("closed"), ValueError("closed")]
    real = syncws.housekeeper._waiting_for

    def waiting_for(*args):
        def wait(timeout):
            if errors:
                raise errors.pop()
            return real(*args)(timeout)

        return wait

    monkeypatch.setattr(syncws.housekeeper, "_waiting_for", waiting_for)
    housekeeper._changed = True
    done = threading.Event()
    housekeeper.call_later(0.01, done.set)

    assert done.wait(WATCHDOG)
    assert not errors
