"""Run a call in a thread and get back what it returned or raised; look at threads and sockets."""

from __future__ import annotations

import gc
import inspect
import os
import sys
import threading
import time
from types import FrameType
from typing import Any, Callable

# A watchdog only: a passing test never waits this long.
WATCHDOG = 20.0
# What has replaced threads by greenlets, "gevent" or "eventlet", or ""; see green.py.
GREENLETS = (
    "" if inspect.isbuiltin(threading.get_ident) else threading.get_ident.__module__.split(".")[0]
)
KEPT = ("syncws-housekeeper", "syncws-resolve-", "pytest_timeout", "hypothesis")


class Running:
    """A call in a thread of its own."""

    def __init__(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._result: Any = None
        self._error: BaseException | None = None

        def run() -> None:
            try:
                self._result = call(*args, **kwargs)
            except BaseException as exc:
                self._error = exc

        self.thread = threading.Thread(target=run, name=f"running-{call!r}", daemon=True)
        self.thread.start()

    @property
    def alive(self) -> bool:
        """Whether the call is still running."""
        return self.thread.is_alive()

    def result(self, timeout: float = WATCHDOG) -> Any:
        """Wait for the call; return its result or raise its exception here."""
        self.thread.join(timeout)
        assert not self.thread.is_alive(), f"{self.thread.name} hangs"
        if self._error is not None:
            raise self._error
        return self._result

    def error(self, timeout: float = WATCHDOG) -> BaseException:
        """Wait for the call, which must raise; return its exception."""
        self.thread.join(timeout)
        assert not self.thread.is_alive(), f"{self.thread.name} hangs"
        assert self._error is not None, f"{self.thread.name} returned {self._result!r}"
        return self._error


def eventually(fact: Callable[[], Any], what: str = "") -> Any:
    """Wait until a fact holds that nobody notifies; return it. Fails at the watchdog."""
    end = time.monotonic() + WATCHDOG
    while True:
        value = fact()
        if value:
            return value
        assert time.monotonic() < end, f"never happened: {what or fact}"
        threading.Event().wait(0.002)


def blocked_in(thread: threading.Thread, *functions: str) -> bool:
    """Tell whether a thread is inside a function of one of these names (by its stack)."""
    frame = _stack(thread)
    while frame is not None:
        if frame.f_code.co_name in functions:
            return True
        frame = frame.f_back
    return False


def _stack(thread: threading.Thread) -> FrameType | None:
    """Return the innermost frame of a thread that is not the caller."""
    if not GREENLETS:
        return sys._current_frames().get(thread.ident or 0)
    import greenlet

    for found in gc.get_objects():
        if isinstance(found, greenlet.greenlet) and id(found) == thread.ident:
            return found.gr_frame
    return None


def asleep(thread: threading.Thread) -> bool:
    """
    Tell whether a thread waits in the system, as far as that can be told here.

    A signal that comes just before is noticed by Python only when the wait ends. Who waits for the
    GIL sleeps, too; but we let go of it again and again, and then that thread is awake, or was.

    A greenlet that does not run waits.
    """
    if GREENLETS:
        return True
    try:
        sleep = _sleep_of(thread)
        for _ in range(10):
            threading.Event().wait(0.01)
            if sleep is None or sleep != _sleep_of(thread):
                return False
        return True
    except FileNotFoundError:
        return True


def _sleep_of(thread: threading.Thread) -> str | None:
    """Return which of its sleeps a thread sleeps, or None."""
    with open(f"/proc/self/task/{thread.native_id}/status", encoding="ascii") as file:
        status = dict(line.split(":", 1) for line in file)
    sleeps = status["State"].split()[0] == "S"
    return status["voluntary_ctxt_switches"] if sleeps else None


def live_threads() -> list[threading.Thread]:
    """Return the threads that a test must not leave behind."""
    return [
        t
        for t in threading.enumerate()
        # Not main_thread(): under eventlet there are two. gevent's event loop is called Dummy.
        if t.name != "MainThread" and not t.name.startswith((*KEPT, *["Dummy"] * bool(GREENLETS)))
    ]


def open_fds() -> int:
    """Count the open file descriptors of this process (0 where the system cannot tell)."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
