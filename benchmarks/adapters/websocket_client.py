"""websocket-client: a client without threads."""

from __future__ import annotations

import websocket
from task import Task

from . import blocking


def measure(task: Task) -> dict[str, float]:
    context = task.client_context()
    sslopt = {} if context is None else {"context": context}

    def connect(task: Task) -> blocking.Link:
        ws = websocket.create_connection(task.url, sslopt=sslopt)
        send = ws.send if isinstance(task.message, str) else ws.send_binary
        return blocking.Link(send, ws.recv, ws.close)

    return blocking.measure(connect, task)
