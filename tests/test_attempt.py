"""Attempt: a call in another thread that can be given up."""

from __future__ import annotations

import threading

import pytest

from support.threads import WATCHDOG, eventually
from syncws.attempt import Attempt


def waiting(call, undo=lambda result: None):
    changed = threading.Condition()
    attempt = Attempt(call, changed, undo, "attempt")
    return attempt, changed


def test_result():
    """What the call returns, once it is done."""
    attempt, changed = waiting(lambda: 7)
    with changed:
        assert changed.wait_for(lambda: attempt.done, WATCHDOG)

    assert attempt.result() == 7


def test_error():
    """What the call raises, also what is no Exception."""

    def call():
        raise KeyboardInterrupt

    attempt, changed = waiting(call)
    with changed:
        assert changed.wait_for(lambda: attempt.done, WATCHDOG)
    with pytest.raises(KeyboardInterrupt):
        attempt.result()


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_given_up(late):
    """The result is undone, whichever comes first."""
    go_on = threading.Event()
    undone = []
    attempt, _ = waiting(lambda: go_on.wait(WATCHDOG), undone.append)
    if late:
        go_on.set()
        eventually(lambda: attempt.done)
    attempt.give_up()
    go_on.set()

    eventually(lambda: undone == [True])
