"""What is to be done when this is another process than before, or has greenlets for threads."""

from __future__ import annotations

import os
import socket
import sys
import types
from typing import Callable

Hook = Callable[[int], object]

_hooks: list[Hook] = []


def greenlets() -> bool:
    """Whether gevent or eventlet has put greenlets in the place of threads."""
    return isinstance(socket.socket.recv, types.FunctionType)  # not C code


_seen = (os.getpid(), greenlets())


def on_change(hook: Hook) -> None:
    """
    Have a function called in every forked child, and when greenlets come in the place of threads.

    Some patch as late as in the child, when this library is there already (gunicorn --preload). The
    hook is given the number of the process before: the parent's, or this one's.
    """
    _hooks.append(hook)


def look() -> None:
    """
    Call the hooks if something has changed.

    Behind a change that nobody told of, the first of several threads must be through with this
    before others connect.
    """
    global _seen
    before, _seen = _seen, (os.getpid(), greenlets())
    if before != _seen:
        for hook in _hooks:
            hook(before[0])


def watch_forks() -> None:
    """
    See to it that a change is noticed. Before something is made that must not outlive it.

    uWSGI forks its workers without telling Python, but it has a hook of its own. That has room for
    one function, and whoever sets it last has it: so ours is set again if need be.
    """
    look()
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None:
        before = getattr(uwsgi, "post_fork_hook", None)
        if not isinstance(before, _UwsgiHook):
            uwsgi.post_fork_hook = _UwsgiHook(before)  # type: ignore[attr-defined]


class _UwsgiHook:
    def __init__(self, before: Callable[[], object] | None) -> None:
        self._before = before

    def __call__(self) -> None:
        look()
        if self._before is not None:
            self._before()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=look)
