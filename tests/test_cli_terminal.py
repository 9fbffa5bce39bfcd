"""The plain prompt in a terminal, byte by byte; more of it in peers/test_peer_terminal.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from support.command import environment

pty = pytest.importorskip("pty")
pytest.importorskip("readline")

PROGRAM = """
    import threading
    from syncws.cli.terminal import LineScreen

    asked = threading.Semaphore(0)

    def show_lines():
        for _ in range(300):
            asked.acquire()
            screen.show("< news")

    with LineScreen(typed=True) as screen:
        showing = threading.Thread(target=show_lines)
        showing.start()
        for number in range(100):
            asked.release(3)
            assert screen.ask() == str(number)
        showing.join()
"""


def test_a_line_does_not_come_into_the_middle_of_the_prompt():
    """It is drawn byte by byte, while another thread shows what has arrived."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", f"if True:{PROGRAM}"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment(), "TERM": "xterm"},
    )
    os.close(theirs)
    with process:
        try:
            written = b""
            lines = iter(range(100))
            while data := read(ours):
                written += data
                if written.endswith(b"> "):  # just when the next one may be drawn
                    for number in lines:
                        os.write(ours, b"%d\r" % number)
                        break
        except BaseException:  # the watchdog's, too
            process.kill()
            raise
        finally:
            os.close(ours)

    assert process.returncode == 0, written
    # Not with the end of the line: between two prompts the system echoes what is typed, anywhere.
    assert written.count(b"< news") == 300
    assert b"> > " not in written
    assert set(re.findall(rb"\x1b.{0,2}", written)) <= {b"\x1b[K", b"\x1b[?"}


def read(terminal):
    """Return what a program wrote; nothing when nobody has the terminal any more."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
