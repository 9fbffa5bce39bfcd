"""What both flavours of websockets are told."""

from __future__ import annotations

import wire
from task import Task
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)


def options(task: Task) -> dict[str, object]:
    """The options for the end of a connection that the task is for."""
    factory = (
        ClientPerMessageDeflateFactory if task.role == "client" else ServerPerMessageDeflateFactory
    )
    deflate = factory(
        server_max_window_bits=wire.WINDOW_BITS,
        client_max_window_bits=wire.WINDOW_BITS,
        compress_settings={"level": wire.LEVEL, "memLevel": wire.MEMORY_LEVEL},
    )
    return {
        "compression": None,
        "extensions": [deflate] if task.deflate else None,
        "ping_interval": None,
        "max_size": None,
    }
