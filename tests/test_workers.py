"""Threads that do one job after the other."""

from __future__ import annotations

import contextvars
import threading
import weakref

import pytest

from support.threads import eventually
from syncws import workers as module
from syncws.workers import Workers

number = contextvars.ContextVar("number", default=0)


@pytest.fixture
def workers():
    """Lend workers out; none is left behind."""
    workers = Workers("worker")
    yield workers
    workers.close()


def not_undone():
    """Stand for what a job that is done never needs."""
    raise AssertionError("undone")


def do(workers, job):
    """Have a job done; return its thread, which may go on to another."""
    worker = workers.get()
    done = threading.Event()

    def run():
        try:
            job()
        finally:
            done.set()

    worker.start(run, not_undone)
    assert done.wait(20)
    return worker.thread


def spare(workers, count):
    eventually(lambda: len(workers._spare) == count)


def test_a_thread_does_one_job_after_the_other(workers):
    threads = set()
    for _ in range(5):
        threads.add(do(workers, int))
        spare(workers, 1)

    assert len(threads) == 1


def test_jobs_at_the_same_time_have_threads_of_their_own(workers):
    barrier = threading.Barrier(3)
    first, second = workers.get(), workers.get()
    first.start(barrier.wait, not_undone)
    second.start(barrier.wait, not_undone)

    barrier.wait(20)

    assert first.thread is not second.thread
    spare(workers, 2)


def test_a_thread_that_gets_no_job_ends(workers, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    thread = do(workers, int)

    thread.join(20)

    assert not thread.is_alive()
    assert workers._spare == []


def test_a_job_that_comes_while_the_thread_gives_up_is_done(workers, monkeypatch):
    """Lent out between the end of its patience and the end of the thread."""
    lent = []

    def lapse(self, timeout):
        if timeout is not None:  # it gives up, and just then it is lent out
            lent.append(workers.get())
            return False
        return self._asleep.acquire(True, -1)

    monkeypatch.setattr(module.Worker, "wait", lapse)
    thread = do(workers, int)
    eventually(lambda: lent)
    monkeypatch.undo()
    done = threading.Event()

    lent[0].start(done.set, not_undone)

    assert done.wait(20)
    assert lent[0].thread is thread


def test_threads_that_wait_end_at_the_close(workers):
    thread = do(workers, int)
    spare(workers, 1)

    workers.close()

    thread.join(20)
    assert not thread.is_alive()


def test_a_busy_thread_ends_after_its_job_when_all_is_closed(workers):
    go_on = threading.Event()
    worker = workers.get()
    worker.start(go_on.wait, not_undone)

    workers.close()
    assert worker.thread.is_alive()
    go_on.set()

    worker.thread.join(20)
    assert not worker.thread.is_alive()


def test_every_job_has_a_context_of_its_own(workers):
    """What a handler sets for itself is not there for the next client."""
    seen = []
    for _ in range(2):
        do(workers, lambda: (seen.append(number.get()), number.set(1)))
        spare(workers, 1)

    assert seen == [0, 0]


def test_a_thread_that_waits_holds_nothing_of_its_last_job(workers):
    class Thing:
        def job(self):
            """Do nothing."""

    thing = Thing()
    ref = weakref.ref(thing)
    do(workers, thing.job)
    spare(workers, 1)

    del thing

    eventually(lambda: ref() is None)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_job_that_exits_takes_its_thread_along(workers):
    """As in any thread, SystemExit ends it silently; the next job has a new one."""

    def leave():
        raise SystemExit

    first = do(workers, leave)
    first.join(20)

    assert not first.is_alive()
    assert do(workers, int) is not first


@pytest.mark.parametrize("begun", [True, False])
def test_a_start_that_is_interrupted(workers, monkeypatch, begun):
    """Ctrl-C comes before the thread starts, or when it has begun: then it goes on."""
    worker = workers.get()
    start = worker.thread.start
    began, done, undone = threading.Event(), threading.Event(), threading.Event()

    def job():
        began.set()
        done.set()

    def interrupted():
        if begun:
            start()
            assert began.wait(20)
        raise KeyboardInterrupt

    monkeypatch.setattr(worker.thread, "start", interrupted)

    with pytest.raises(KeyboardInterrupt):
        worker.start(job, undone.set)

    assert done.is_set() is begun
    assert undone.is_set() is not begun


def test_a_thread_that_starts_behind_the_interruption_does_nothing(workers, monkeypatch):
    """The job was taken back: it is undone or done, never both."""
    worker = workers.get()
    start = worker.thread.start
    undone = threading.Event()

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(worker.thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.start(not_undone, undone.set)
    assert undone.is_set()

    start()
    worker.thread.join(20)
    assert not worker.thread.is_alive()


def test_a_spare_worker_whose_start_is_interrupted(workers, monkeypatch):
    """It never gets the job, and ends."""
    thread = do(workers, lambda: None)
    spare(workers, 1)
    worker = workers.get()
    assert worker.thread is thread
    done, undone = threading.Event(), threading.Event()
    release = worker._asleep.release
    interruptions = [KeyboardInterrupt]

    class Lock:
        acquire = worker._asleep.acquire

        def release(self):
            if interruptions:
                raise interruptions.pop()
            release()

    monkeypatch.setattr(worker, "_asleep", Lock())
    with pytest.raises(KeyboardInterrupt):
        worker.start(done.set, undone.set)

    thread.join(20)
    assert not thread.is_alive()
    assert (done.is_set(), undone.is_set()) == (False, True)
