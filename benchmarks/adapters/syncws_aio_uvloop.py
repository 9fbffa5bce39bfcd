"""syncws.aio on uvloop."""

from __future__ import annotations

import socket

import uvloop
from task import Task

from .syncws_aio import measured, serving


def measure(task: Task) -> dict[str, float]:
    return uvloop.run(measured(task))


def serve(sock: socket.socket, task: Task) -> None:
    uvloop.run(serving(sock, task))
