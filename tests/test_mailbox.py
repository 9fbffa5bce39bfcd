"""Mailbox: letters are delivered in order, by one thread at a time, and none is waited for."""

from __future__ import annotations

import threading

from support.threads import WATCHDOG, Running, blocked_in, eventually
from syncws.mailbox import Mailbox
from syncws.workers import Workers


def test_letters_come_in_order():
    """One after the other, in another thread."""
    workers = Workers("test")
    came = []
    mailbox = Mailbox(workers, lambda letter: came.append((letter, threading.current_thread())))

    for letter in range(100):
        mailbox.put(letter)
    mailbox.finish()
    workers.close()

    assert [letter for letter, _ in came] == list(range(100))
    assert threading.current_thread() not in {thread for _, thread in came}


def test_what_is_too_much_is_dropped():
    """The oldest of those that wait; ``put`` never waits."""
    workers = Workers("test")
    came = []
    go_on = threading.Event()

    def deliver(letter):
        came.append(letter)
        assert go_on.wait(WATCHDOG)

    mailbox = Mailbox(workers, deliver)
    mailbox.put(-1)
    eventually(lambda: came)
    for letter in range(1000):
        mailbox.put(letter)
    finishing = Running(mailbox.finish)
    eventually(lambda: blocked_in(finishing.thread, "finish"))
    go_on.set()
    finishing.result()
    workers.close()

    assert came == [-1, *range(1000 - 256, 1000)]


def test_finish_takes_no_more():
    """It returns at once if nothing waits."""
    came = []
    mailbox = Mailbox(Workers("test"), came.append)
    mailbox.finish()
    mailbox.put(1)

    assert came == []


def test_no_thread(monkeypatch, caplog):
    """The system has none: that is logged, and the next letter tries again."""
    workers = Workers("test")
    came = []
    mailbox = Mailbox(workers, came.append)

    def start(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        mailbox.put(1)
    mailbox.put(2)
    mailbox.finish()
    workers.close()

    assert came == [1, 2]
    assert "no thread for a callback: can't start new thread" in caplog.text
