"""Python programs in processes of their own, which talk to the test by lines."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator

from support.threads import WATCHDOG

TESTS = pathlib.Path(__file__).parent.parent
# An end is at once or not at all, but the machine may be busy.
AT_ONCE = 5.0


class Child:
    """A running program. It ends with the ``with`` block."""

    def __init__(self, parts: tuple[str, ...], args: tuple[object, ...]) -> None:
        program = "\n".join(map(textwrap.dedent, ("import green; green.patch_again()", *parts)))
        environment = {**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-X", "faulthandler", "-c", program]
            + [str(arg) for arg in args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def line(self) -> str:
        """Wait for the next line of output."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().rstrip("\n")
        assert line, f"the program ended: {self.process.communicate(timeout=WATCHDOG)[1]}"
        return line

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def ends(self) -> tuple[int, str]:
        """Wait for its end, which must come at once; return exit code and stderr."""
        begun = time.monotonic()
        try:
            errors = self.process.communicate(timeout=WATCHDOG)[1]
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # faulthandler shows the threads
            raise AssertionError(f"it hangs:\n{self.process.communicate()[1]}") from None
        assert time.monotonic() - begun < AT_ONCE
        return self.process.returncode, errors


@contextlib.contextmanager
def child(*parts: str, args: tuple[object, ...] = ()) -> Iterator[Child]:
    """Run a program, made of parts; kill it at the end if it still runs."""
    running = Child(parts, args)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


def blocks_in(functions: str, mark: str) -> None:
    """For the child: print the mark once the main thread sleeps inside one of these functions."""
    import threading

    from support.threads import asleep, blocked_in, eventually

    def watch() -> None:
        main = threading.main_thread()
        eventually(lambda: blocked_in(main, *functions.split()) and asleep(main))
        print(mark, flush=True)

    threading.Thread(target=watch, daemon=True).start()
