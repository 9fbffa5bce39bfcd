"""syncws: connect() and ThreadingServer."""

from __future__ import annotations

import socket

from task import Task

import syncws

from . import blocking

OPTIONS = {"ping_interval": None, "max_size": None}


def measure(task: Task) -> dict[str, float]:
    context = task.client_context()

    def connect(task: Task) -> blocking.Link:
        ws = syncws.connect(task.url, ssl=context, **OPTIONS)
        return blocking.Link(ws.send, ws.recv, ws.close, ws.send_many)

    return blocking.measure(connect, task)


def serve(sock: socket.socket, task: Task) -> None:
    def echo(ws: syncws.Connection) -> None:
        for message in ws:
            ws.send(message)

    server = syncws.ThreadingServer(
        echo, sock=sock, ssl=task.server_context(), max_connections=10_000, **OPTIONS
    )
    server.serve_forever()
