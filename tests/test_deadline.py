"""One time limit over many steps."""

from __future__ import annotations

import math
import threading
import types

import pytest

from support.threads import Running, blocked_in, eventually
from syncws import deadline as module
from syncws.deadline import FOREVER, Deadline, acquire, taking, wait


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose last number is the time, for the module under test only."""
    times = [1000.0]
    monkeypatch.setattr(module, "time", types.SimpleNamespace(monotonic=lambda: times[-1]))
    return times


@pytest.fixture(params=[None, 0.001])
def _slices(request, monkeypatch):
    """Wait in one go, and in slices as on Windows."""
    monkeypatch.setattr(module, "_SLICE", request.param)


def test_deadline_counts_down(clock):
    """What is left gets less, and never below nothing."""
    deadline = Deadline(10)

    left = [deadline.remaining()]
    for moment in (1004.0, 1010.0, 1011.0):
        clock.append(moment)
        left.append(deadline.remaining())

    assert left == [10, 6, 0, 0]
    assert deadline.seconds == 10


def test_deadline_lapses(clock):
    """It lapses at its end, not before."""
    deadline = Deadline(10)

    lapsed = [deadline.lapsed]
    for moment in (1009.9, 1010.0, 1011.0):
        clock.append(moment)
        lapsed.append(deadline.lapsed)

    assert lapsed == [False, False, True, True]


@pytest.mark.parametrize("seconds", [0, 0.0, -1])
def test_deadline_of_nothing_has_lapsed_from_the_start(seconds):
    """Zero means: do not wait."""
    deadline = Deadline(seconds)

    assert deadline.lapsed
    assert deadline.remaining() == 0


@pytest.mark.parametrize("seconds", [None, math.inf, 1e300, FOREVER])
def test_deadline_without_an_end_never_lapses(seconds):
    """What is longer than any system can wait is for ever."""
    deadline = Deadline(seconds)

    assert not deadline.lapsed
    assert deadline.remaining() is None
    assert deadline.seconds == seconds


@pytest.mark.parametrize("seconds", ["5", [], object()])
def test_deadline_refuses_what_is_no_number(seconds):
    """A mistake shows where it is made."""
    with pytest.raises(TypeError):
        Deadline(seconds)


@pytest.mark.parametrize(
    ("seconds", "other", "left"),
    [(10, 5, 5), (10, 20, 10), (10, 10, 10), (10, None, 10), (None, 5, 5), (None, None, None)],
)
def test_earlier_returns_what_ends_first(clock, seconds, other, left):
    """The earlier of two limits counts."""
    assert Deadline(seconds).earlier(other).remaining() == left


def test_earlier_returns_itself_if_it_ends_first():
    """No new deadline where the old one does."""
    deadline = Deadline(10)

    assert deadline.earlier(20) is deadline
    assert deadline.earlier(None) is deadline
    assert deadline.earlier(5) is not deadline


# Waiting.


@pytest.mark.usefixtures("_slices")
@pytest.mark.parametrize("seconds", [None, 20])
def test_wait_returns_when_it_is_notified(seconds):
    """An event that is set ends the waiting."""
    event = threading.Event()
    waiting = Running(wait, event, Deadline(seconds))
    eventually(lambda: blocked_in(waiting.thread, "wait"))

    event.set()

    assert waiting.result()


@pytest.mark.usefixtures("_slices")
@pytest.mark.parametrize("seconds", [-1, 0, 0.0001, 0.005])
def test_wait_returns_false_when_the_deadline_lapses(seconds):
    """The waiting ends in any case."""
    assert not wait(threading.Event(), Deadline(seconds))


@pytest.mark.usefixtures("_slices")
def test_wait_for_what_has_happened_does_not_wait():
    """Also if the deadline has lapsed."""
    event = threading.Event()
    event.set()

    assert wait(event, Deadline(0))


@pytest.mark.usefixtures("_slices")
@pytest.mark.parametrize("seconds", [None, 20])
def test_acquire_waits_for_the_lock(seconds):
    """A lock that is released in time is acquired."""
    lock = threading.Lock()
    lock.acquire()
    acquiring = Running(acquire, lock, Deadline(seconds))
    eventually(lambda: blocked_in(acquiring.thread, "acquire"))

    lock.release()

    assert acquiring.result()
    assert lock.locked()


@pytest.mark.usefixtures("_slices")
@pytest.mark.parametrize("seconds", [-1, 0, 0.0001, 0.005])
def test_acquire_gives_up_when_the_deadline_lapses(seconds):
    """A lock that is not released in time is not acquired."""
    lock = threading.Lock()
    lock.acquire()

    assert not acquire(lock, Deadline(seconds))


@pytest.mark.usefixtures("_slices")
def test_acquire_of_a_free_lock_does_not_wait():
    """Also if the deadline has lapsed."""
    lock = threading.Lock()

    assert acquire(lock, Deadline(0))
    assert lock.locked()


def test_taking_now_and_again():
    """It tries each time it is asked, and never waits."""
    lock = threading.Lock()
    takes = taking(lock)

    assert next(takes)
    assert not next(takes)
    lock.release()
    assert next(takes)
