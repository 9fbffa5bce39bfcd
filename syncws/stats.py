"""What went through a connection."""

from __future__ import annotations

from typing import NamedTuple


class Stats(NamedTuple):
    """
    What went through a connection so far. Bytes are those of frames, headers included.

    ``queued`` is the number of messages that wait to be received now, ``backlog`` of those that
    were broadcast and wait for the peer to read. ``dropped`` counts those that found no room.
    """

    messages_sent: int
    messages_received: int
    frames_sent: int
    frames_received: int
    bytes_sent: int
    bytes_received: int
    queued: int
    backlog: int
    dropped: int
