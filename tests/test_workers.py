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


def do(workers, job):
    """Have a job done; return its thread, which may go on to another."""
    worker = workers.get()
    done = threading.Event()

    def run():
        try:
            job()
        finally:
            done.set()

    worker.start(run)
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
    first.start(barrier.wait)
    second.start(barrier.wait)

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

    lent[0].start(done.set)

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
    worker.start(go_on.wait)

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


@pytest.mark.parametrize("starts", [True, False])
def test_a_start_that_is_interrupted(workers, monkeypatch, starts):
    """Ctrl-C comes before or behind the start of the thread; whoever asks learns which."""
    worker = workers.get()
    start = worker.thread.start
    done = threading.Event()

    def interrupted():
        if starts:
            start()
        raise KeyboardInterrupt

    monkeypatch.setattr(worker.thread, "start", interrupted)
    monkeypatch.setattr(module, "_STARTING", 20 if starts else 0)

    with pytest.raises(KeyboardInterrupt):
        worker.start(done.set)

    assert worker.took_job() is starts
    assert done.wait(20 * starts) is starts


def test_a_spare_worker_whose_start_is_interrupted(workers, monkeypatch):
    """It never gets the job, and ends."""
    thread = do(workers, lambda: None)
    eventually(lambda: workers._spare)
    worker = workers.get()
    assert worker.thread is thread
    done = threading.Event()

    def interrupted():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(worker, "_asleep", type("Lock", (), {"release": staticmethod(interrupted)}))
        with pytest.raises(KeyboardInterrupt):
            worker.start(done.set)
    monkeypatch.setattr(module, "_STARTING", 0)

    assert not worker.took_job()
    thread.join(20)
    assert not thread.is_alive()
    assert not done.is_set()
