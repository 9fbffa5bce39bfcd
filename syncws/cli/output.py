"""Lines to standard output, and notices beside it."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys

from .exits import OutputGone
from .shown import escaped


def prepare_streams() -> None:
    """Let no character break a stream: what its encoding does not have is written down."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def out(line: str) -> None:
    """
    Write a line to standard output, at once.

    Raises:
        OutputGone: nobody reads it any more.
    """
    try:
        # In one piece: print() would write the line and its end, and others between them.
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError as exc:
        raise OutputGone from exc


def notice(line: str) -> None:
    """Write a line to standard error."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def warn(text: str) -> None:
    """Write a warning to standard error, in red on a terminal."""
    notice(f"\x1b[1;31m{text}\x1b[0m" if sys.stderr.isatty() else text)


def discard_output() -> None:
    """Let what is still to be written go nowhere, so that Python's end does not complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class EscapingFormatter(logging.Formatter):
    """A formatter for terminals: lines of a traceback stay lines, the rest is written down."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(escaped(line) for line in super().format(record).split("\n"))
