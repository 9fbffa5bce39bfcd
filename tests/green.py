"""
Run tests where gevent or eventlet has put greenlets in the place of threads.

    python tests/green.py gevent                     what has most to do with threads
    python tests/green.py eventlet tests/stories     these, or any other arguments of pytest

Before anything else is imported, everything is patched, also in programs that the tests start. What
holds for threads only is marked ``native_threads``, with the reason, and skipped.
"""

from __future__ import annotations

import os
import pathlib
import socket
import sys
import threading
import warnings

_VARIABLE = "SYNCWS_TEST_GREENLETS"
_MOST = "greenlets client proxy server connection transport housekeeper writer reader"
_REST = "recvqueue sender keepalive pings lazy workers dial listening deadline reconnect examples"
_FACES = "callbacks events app mailbox attempt"
_STORIES = "close process reconnect stress"
# It sends and inflates 100,000 messages to have a race of threads.
_SLOW = "never_write_into_a_stranger"


def patch(name: str) -> None:
    """Let gevent or eventlet replace everything that blocks."""
    os.environ[_VARIABLE] = name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # eventlet says that it is deprecated
        if name == "gevent":
            from gevent import monkey

            monkey.patch_all()
        elif name == "eventlet":
            import eventlet.debug

            eventlet.monkey_patch()
            # As README.md says.
            eventlet.debug.hub_prevent_multiple_readers(False)
    for patched in (socket.socket, threading.get_ident):
        assert name in patched.__module__, f"{patched} is not of {name}"


def patch_again() -> None:
    """Do the same in a program that a patched process has started."""
    if _VARIABLE in os.environ:
        patch(os.environ[_VARIABLE])


def _core(name: str) -> list[str]:
    """Return arguments for pytest: what CI has time for. All of it passes under eventlet, too."""
    tests = pathlib.Path(__file__).parent
    files = [tests / f"test_{room}.py" for room in _MOST.split()]
    if name == "gevent":
        files += [tests / f"test_{room}.py" for room in f"{_REST} {_FACES}".split()]
        files += [tests / "stories" / f"test_story_{story}.py" for story in _STORIES.split()]
    return ["-k", f"not {_SLOW}", *map(str, files)]


if __name__ == "__main__":
    patch(sys.argv[1])
    import pytest

    sys.exit(pytest.main(sys.argv[2:] or _core(sys.argv[1])))
