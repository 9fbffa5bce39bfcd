"""``simple-websocket``, client and server; the server takes its sockets from a WSGI server."""

from __future__ import annotations

import contextlib
import socket
import ssl
import wsgiref.simple_server
from collections.abc import Sequence

from simple_websocket import Client, ConnectionClosed, Server
from simple_websocket.ws import Base
from wsproto.events import Ping

from peers.remotes import base
from peers.remotes.base import PATIENCE, Gone, Message
from support.threads import eventually


class Remote(base.Remote):
    def __init__(self, ws: Base) -> None:
        self._ws = ws
        self.subprotocol = ws.subprotocol
        self.close_answer = None if ws.is_server else 1006

    def send(self, message: Message) -> None:
        self._ws.send(message)

    def recv(self) -> Message:
        try:
            message = self._ws.receive(PATIENCE)
        except ConnectionClosed as exc:
            # 1005 is what it reports without a Close frame, too; nobody here closes without a code.
            code = 1006 if exc.reason == 1005 else int(exc.reason)
            raise Gone(code, exc.message or "") from None
        assert message is not None, "nothing received"
        return message

    def ping(self, payload: bytes) -> None:
        """Do what its thread does when ``ping_interval`` is over; there is no method for it."""
        self._ws.pong_received = False
        self._ws.sock.send(self._ws.ws.send(Ping(payload)))
        eventually(lambda: self._ws.pong_received, "the Pong")

    def close(self, code: int, reason: str) -> None:
        self._ws.close(code, reason)

    def vanish(self) -> None:
        self._ws.sock.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            self._ws.close()
        self._ws.thread.join(PATIENCE)
        self._ws.sock.close()


class _Handler(wsgiref.simple_server.WSGIRequestHandler):
    """Reads the request; what would run the WSGI application hands it to the test."""

    def handle(self) -> None:
        self.raw_requestline = self.rfile.readline()
        assert self.parse_request()
        self.server.environ = {**self.get_environ(), "werkzeug.socket": self.connection}


class _WSGIServer(wsgiref.simple_server.WSGIServer):
    def shutdown_request(self, request: object) -> None:
        """Leave the socket to the WebSocket."""


class Listener(base.Listener):
    def __init__(self, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> None:
        self._subprotocols = list(subprotocols)
        self._server = _WSGIServer(("127.0.0.1", 0), _Handler)
        self._server.timeout = PATIENCE
        self.port = self._server.server_port
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def accept(self) -> Remote:
        self._server.handle_request()
        return Remote(Server.accept(self._server.environ, self._subprotocols))

    def close(self) -> None:
        self._server.server_close()


def connect(url: str, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> Remote:
    return Remote(Client.connect(url, list(subprotocols), ssl_context=context))
