"""What is to be done in a forked child, also where Python is not told of the fork."""

from __future__ import annotations

import os
import sys
from typing import Callable

Hook = Callable[[int], object]

_hooks: list[Hook] = []
_process = os.getpid()


def in_child(hook: Hook) -> None:
    """Have a function called in every forked child, with the parent's number."""
    _hooks.append(hook)


def look() -> None:
    """Call the hooks if this is another process than before."""
    global _process
    parent, _process = _process, os.getpid()
    if parent != _process:
        for hook in _hooks:
            hook(parent)


def watch_forks() -> None:
    """
    See to it that a fork is noticed. Before something is made that a child must not use.

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
