"""Every frame of a connection, written to the log at level DEBUG."""

from __future__ import annotations

import logging

from .codes import Opcode
from .sansio import Fact

_SHOWN = 80  # characters of a repr


class FrameLog:
    """Writes what one connection sends and receives; ``owner`` is how it calls itself."""

    def __init__(self, logger: logging.Logger, owner: object) -> None:
        self._logger = logger
        self._owner = owner

    def sent(self, opcode: int, payload: bytes, compressed: bool) -> None:
        """Tell of a frame on its way out."""
        shown = f"compressed to {len(payload)} bytes" if compressed else _short(payload)
        self._logger.debug("%s > %s %s", self._owner, Opcode(opcode).name, shown)

    def received(self, facts: list[Fact]) -> None:
        """Tell what came."""
        for fact in facts:
            for item in fact if isinstance(fact, list) else (fact,):
                self._logger.debug("%s < %s", self._owner, _short(item))

    def ended(self, how: Exception) -> None:
        """Tell of the end."""
        self._logger.debug("%s = %s", self._owner, how)


def _short(value: object) -> str:
    """Shorten a repr for the log."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:75]}... ({len(text)} characters)"
