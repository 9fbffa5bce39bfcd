"""How to use a socket without waiting, and how to wait for it: that depends on the system."""

from __future__ import annotations

import select
import socket

from .forks import greenlets, on_change

# Arguments of send() and recv(): do not wait; and more comes at once, the network gets it together.
DONTWAIT: int
NOT_WAITING: tuple[int]
MORE: tuple[int]


def _choose_flags(_: int = 0) -> None:
    global DONTWAIT, NOT_WAITING, MORE
    # Windows has neither; there the socket is non-blocking and every wait is a select(). So it is
    # under gevent and eventlet, whose recv() and send() wait in spite of the flag.
    DONTWAIT = 0 if greenlets() else getattr(socket, "MSG_DONTWAIT", 0)
    NOT_WAITING = (DONTWAIT,)
    MORE = (DONTWAIT | getattr(socket, "MSG_MORE", 0),)


_choose_flags()
on_change(_choose_flags)


def wait_for(sock: socket.socket, event: str, timeout: float | None) -> bool:
    """Wait until a socket can be read ("read") or written ("write"); return False on a timeout."""
    if not hasattr(select, "poll"):
        socks = [sock]
        readable, writable, broken = (socks, [], []) if event == "read" else ([], socks, socks)
        return any(select.select(readable, writable, broken, timeout))
    poll = select.poll()
    poll.register(sock, select.POLLIN if event == "read" else select.POLLOUT)
    return bool(poll.poll(None if timeout is None else timeout * 1000))
