"""websockets.sync: threads."""

from __future__ import annotations

import socket

from task import Task
from websockets.sync.client import connect as open_connection
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as make_server

from . import blocking
from .websockets_options import options


def measure(task: Task) -> dict[str, float]:
    context = task.client_context()

    def connect(task: Task) -> blocking.Link:
        ws = open_connection(task.url, ssl=context, proxy=None, **options(task))
        return blocking.Link(ws.send, ws.recv, ws.close)

    return blocking.measure(connect, task)


def serve(sock: socket.socket, task: Task) -> None:
    def echo(ws: ServerConnection) -> None:
        for message in ws:
            ws.send(message)

    with make_server(echo, sock=sock, ssl=task.server_context(), **options(task)) as server:
        server.serve_forever()
