"""syncws: connect() and ThreadingServer."""

from __future__ import annotations

import socket

import wire
from task import Task

import syncws

from . import blocking

OPTIONS = {"ping_interval": None, "max_size": None}
DEFLATE = syncws.Deflate(
    server_max_window_bits=wire.WINDOW_BITS,
    client_max_window_bits=wire.WINDOW_BITS,
    level=wire.LEVEL,
    memory_level=wire.MEMORY_LEVEL,
    threshold=0,
)


def options(task: Task) -> dict[str, object]:
    """The options for a task; what agrees to compress compresses all."""
    return {**OPTIONS, "compression": DEFLATE if task.deflate else None}


def measure(task: Task) -> dict[str, float]:
    context = task.client_context()

    def connect(task: Task) -> blocking.Link:
        ws = syncws.connect(task.url, ssl=context, **options(task))
        return blocking.Link(ws.send, ws.recv, ws.close, ws.send_many)

    return blocking.measure(connect, task)


def serve(sock: socket.socket, task: Task) -> None:
    def echo(ws: syncws.Connection) -> None:
        for message in ws:
            ws.send(message)

    server = syncws.ThreadingServer(
        echo, sock=sock, ssl=task.server_context(), max_connections=10_000, **options(task)
    )
    server.serve_forever()
