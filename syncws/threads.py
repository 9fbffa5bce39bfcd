"""
Threads of our own.

Knows nothing of WebSocket.
"""

from __future__ import annotations

import socket
import sys
import threading
from typing import Any, Callable

from .forks import greenlets


class Thread(threading.Thread):
    """A thread that no program waits for at its end."""

    def __init__(
        self, target: Callable[..., object], name: str, args: tuple[Any, ...] = ()
    ) -> None:
        super().__init__(target=target, name=name, args=args, daemon=True)

    def run(self) -> None:
        try:
            super().run()
        except KeyboardInterrupt:
            if not pass_on_interrupt():
                raise


def pass_on_interrupt() -> bool:
    """
    Let the main greenlet have Ctrl-C that was raised here; return False if threads are threads.

    gevent and eventlet raise it in whichever greenlet runs, and a thread's would end there.
    """
    if not greenlets() or "greenlet" not in sys.modules:
        return False
    main = sys.modules["greenlet"].getcurrent()
    while main.parent is not None:
        main = main.parent
    if socket.socket.recv.__module__.startswith("gevent"):
        sys.modules["gevent"].get_hub().loop.run_callback(main.throw, KeyboardInterrupt)
    else:
        hub = sys.modules["eventlet.hubs"].get_hub()
        hub.schedule_call_global(0, main.throw, KeyboardInterrupt)
    return True
