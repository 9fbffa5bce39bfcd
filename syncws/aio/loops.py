"""Which event loop runs here."""

from __future__ import annotations

import sys

from .asyncio_bridge import AsyncioBridge
from .bridge import Bridge


def current() -> Bridge:
    """
    Return the way into the event loop that runs here.

    Raises:
        RuntimeError: none does.
    """
    if "trio" in sys.modules:
        from .trio_bridge import TrioBridge

        bridge = TrioBridge.current()
        if bridge is not None:
            return bridge
    return AsyncioBridge.current()
