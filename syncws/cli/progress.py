"""How far a measurement is: a bar by rich, a plain line, or nothing where nobody looks."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Callable

from .output import notice

Advance = Callable[[int], None]
_HINT = "For a progress bar: pip install 'syncws[cli]'"


@contextlib.contextmanager
def progress(total: int) -> Iterator[Advance]:
    """Yield a function that is told how much of the total is done."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
    except ImportError:
        notice(_HINT)
        with contextlib.closing(_Line(total)) as line:
            yield line.show
        return
    columns = (BarColumn(None), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


class _Line:
    """A line that is written over itself, and wiped at the end."""

    def __init__(self, total: int) -> None:
        self._total = total

    def show(self, done: int) -> None:
        """Tell how much is done."""
        sys.stderr.write(f"\r\x1b[K{done} of {self._total} ({100 * done // self._total} %)")
        sys.stderr.flush()

    def close(self) -> None:
        """Wipe the line."""
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
