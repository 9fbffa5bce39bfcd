"""simple-websocket: a reader thread per connection.

It has no server of its own, only a door in WSGI; http.server stands in for the WSGI server, and
costs next to nothing once a connection is open.
"""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver

import simple_websocket
from task import Task

from . import blocking


def measure(task: Task) -> dict[str, float]:
    context = task.client_context()

    def connect(task: Task) -> blocking.Link:
        ws = simple_websocket.Client.connect(task.url, ssl_context=context)
        return blocking.Link(ws.send, ws.receive, ws.close)

    return blocking.measure(connect, task)


class Handler(http.server.BaseHTTPRequestHandler):
    """Hands a request over as Werkzeug does, and echoes."""

    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        environ = {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in self.headers.items()}
        environ["werkzeug.socket"] = self.connection
        ws = simple_websocket.Server.accept(environ)
        with contextlib.suppress(simple_websocket.ConnectionClosed):
            while True:
                ws.send(ws.receive())


class Server(socketserver.ThreadingTCPServer):
    """A thread for each client."""

    daemon_threads = True


def serve(sock: socket.socket, task: Task) -> None:
    with Server(sock.getsockname(), Handler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = sock
        server.serve_forever()
