"""
Where lines are typed and shown: a prompt by prompt_toolkit, a plain one, or a pipe.

Reading waits for the user, who may type nothing while the connection ends; so each can be woken.
"""

from __future__ import annotations

import _thread
import collections
import contextlib
import signal
import sys
import threading
from types import FrameType, ModuleType
from typing import Callable, Protocol

from .output import notice, out

PROMPT = "> "
# Wherever the cursor was left. The marks tell readline that it has no width.
_FRESH = "\r\x1b[K"
_MARKED_FRESH = f"\x01{_FRESH}\x02"
_AGAIN = 0.05  # seconds
_HINT = "For a better prompt, with its line kept apart from what comes: pip install 'syncws[cli]'"


class Ended(Exception):
    """There is nothing to ask for any more."""


class Screen(Protocol):
    """
    What a conversation needs of the terminal; used in a ``with`` statement by the main thread.

    Attributes:
        typed: whether a person types at a terminal; otherwise it is a pipe.
    """

    typed: bool

    def __enter__(self) -> object:
        """Take the terminal."""

    def __exit__(self, *exc: object) -> None:
        """Give it back."""

    def ask(self) -> str:
        """
        Wait for a line.

        Raises:
            EOFError: Ctrl-D, or the end of the file.
            KeyboardInterrupt: Ctrl-C.
            Ended: ``end()`` was called.
        """

    def show(self, line: str) -> None:
        """Show a line above what is being typed. Thread-safe."""

    def end(self) -> None:
        """Let ``ask()`` raise Ended, now and later. For another thread."""


def screen() -> Screen:
    """Return the best that there is here; say once how to get a better one."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return LineScreen(typed=False)
    try:
        return PromptScreen()
    except ImportError:
        notice(_HINT)
        return LineScreen(typed=True)


class PromptScreen(Screen):
    """
    A prompt that stays below whatever is printed.

    Raises:
        ImportError: prompt_toolkit is not there.
    """

    def __init__(self) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.patch_stdout import patch_stdout

        self._session: PromptSession[str] = PromptSession()
        self._patch = patch_stdout
        self._patched = contextlib.ExitStack()
        self._over = False
        self.typed = True

    def __enter__(self) -> PromptScreen:
        self._patched.enter_context(self._patch())
        return self

    def __exit__(self, *exc: object) -> None:
        self._patched.close()

    def ask(self) -> str:
        line: str = self._session.prompt(PROMPT, pre_run=self._leave_if_over)
        return line

    def show(self, line: str) -> None:
        out(line)

    def end(self) -> None:
        self._over = True
        loop = self._session.app.loop
        if loop is not None:  # else the next ask() sees it before it waits
            with contextlib.suppress(RuntimeError):  # it has just been closed
                loop.call_soon_threadsafe(self._leave_if_over)

    def _leave_if_over(self) -> None:
        app = self._session.app
        if self._over and app.future is not None and not app.future.done():
            app.exit(exception=Ended())


class LineScreen(Screen):
    """Lines as the terminal gives them, edited by readline where Python has it; or from a pipe."""

    def __init__(self, typed: bool) -> None:
        self._readline = _readline() if typed else None
        self.typed = typed
        self._reader = threading.get_ident()
        self._over = False
        # Held while a line is shown: either before the prompt, or above it.
        self._lock = threading.Lock()
        self._not_asking = threading.Event()
        self._not_asking.set()
        # While readline reads, its line and its screen are for the main thread only, which a
        # signal wakes to show what is here.
        self._wakes = self._readline is not None and hasattr(signal, "SIGUSR1")
        self._waiting: collections.deque[str] = collections.deque()
        self._shown = threading.Event()
        self._inserting = False
        self._before = contextlib.ExitStack()

    def __enter__(self) -> LineScreen:
        self._handle(signal.SIGINT, self._interrupted)
        if self._wakes:
            self._handle(signal.SIGUSR1, self._woken)
            signal.siginterrupt(signal.SIGUSR1, False)  # or what readline just draws gets lost
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:  # somebody may be about to send a signal
            self._before.close()

    def _handle(self, signum: int, handler: Callable[[int, FrameType | None], None]) -> None:
        self._before.callback(signal.signal, signum, signal.signal(signum, handler))

    def ask(self) -> str:
        try:
            with self._lock:
                self._not_asking.clear()
            if self._over:
                raise Ended
            if self.typed:
                return input((_MARKED_FRESH if self._readline else _FRESH) + PROMPT)
            line = sys.stdin.readline()
        except Ended:
            self._not_asking.set()
            if self.typed:
                out("")  # what was typed stays as it is
            raise
        finally:
            self._not_asking.set()
            self._shown.set()
        if not line:
            raise EOFError
        return line.rstrip("\n")

    def show(self, line: str) -> None:
        with self._lock:
            asking = self.typed and not self._not_asking.is_set()
            if asking and not self._wakes:
                self._insert(line)
                return
            self._waiting.append(line)
            while self._waiting and self.typed and not self._not_asking.is_set():
                self._shown.clear()
                signal.pthread_kill(self._reader, signal.SIGUSR1)
                self._shown.wait(_AGAIN)  # a signal may come just before readline waits
            while self._waiting:
                out(self._waiting.popleft())

    def _woken(self, signum: int, frame: FrameType | None) -> None:
        # Not asking: the other thread shows it, and this one may be in out(). And it may be in
        # here already, if the terminal takes its time; the signal will come again.
        if self._not_asking.is_set() or self._inserting:
            return
        self._inserting = True
        try:
            while self._waiting:
                self._insert(self._waiting[0])
                self._waiting.popleft()
            self._shown.set()
        finally:
            self._inserting = False

    def _insert(self, line: str) -> None:
        """Show a line above the prompt and what is typed there."""
        typed = self._readline.get_line_buffer() if self._readline else ""
        sys.stdout.write(f"{_FRESH}{line}\n{PROMPT}{typed}")
        sys.stdout.flush()

    def end(self) -> None:
        self._over = True
        # Only a signal wakes who reads; one that comes just before it waits is noticed too late.
        while not self._not_asking.wait(0):
            if hasattr(signal, "pthread_kill"):
                signal.pthread_kill(self._reader, signal.SIGINT)
            else:
                _thread.interrupt_main()
            self._not_asking.wait(_AGAIN)

    def _interrupted(self, signum: int, frame: FrameType | None) -> None:
        if not self._over:
            raise KeyboardInterrupt
        if not self._not_asking.is_set():
            raise Ended


def _readline() -> ModuleType | None:
    """Return the module, which gives ``input()`` a history as soon as it is imported."""
    try:
        import readline
    except ImportError:
        return None
    return readline
