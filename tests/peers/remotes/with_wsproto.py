"""``wsproto``, which has no sockets: a small loop around it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import urllib.parse
from collections.abc import Iterator, Sequence

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    Request,
    TextMessage,
)

from peers.remotes import base
from peers.remotes.base import PATIENCE, Gone, Message, joined


class Remote(base.Remote):
    def __init__(self, sock: socket.socket, role: ConnectionType) -> None:
        self._sock = sock
        self._sock.settimeout(PATIENCE)
        self._server = role is ConnectionType.SERVER
        self._ws = WSConnection(role)
        self._events = self._read()

    def dial(self, host: str, subprotocols: Sequence[str]) -> None:
        """Do the client's half of the opening handshake."""
        self._write(Request(host=host, target="/", subprotocols=list(subprotocols)))
        answer = next(self._events)
        assert isinstance(answer, AcceptConnection), answer
        self.subprotocol = answer.subprotocol

    def answer(self, subprotocols: Sequence[str]) -> None:
        """Do the server's half."""
        request = next(self._events)
        assert isinstance(request, Request), request
        chosen = (name for name in request.subprotocols if name in subprotocols)
        self.subprotocol = next(chosen, None)
        self._write(AcceptConnection(subprotocol=self.subprotocol))

    def send(self, message: Message) -> None:
        self.send_fragments([message])

    def send_fragments(self, parts: Sequence[Message]) -> None:
        kind = TextMessage if isinstance(parts[0], str) else BytesMessage
        for index, part in enumerate(parts):
            self._write(kind(data=part, message_finished=index == len(parts) - 1))

    def recv(self) -> Message:
        parts = []
        for event in self._events:
            if isinstance(event, (TextMessage, BytesMessage)):
                kind = str if isinstance(event, TextMessage) else bytes
                parts.append(kind(event.data))
                if event.message_finished:
                    return joined(parts)
        raise Gone(1006)

    def ping(self, payload: bytes) -> None:
        self._write(Ping(payload=payload))
        for event in self._events:
            if isinstance(event, Pong) and bytes(event.payload) == payload:
                return
        raise Gone(1006)

    def close(self, code: int, reason: str) -> None:
        self._write(CloseConnection(code=code, reason=reason))
        with contextlib.suppress(Gone):
            self.recv()

    def vanish(self) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        self._sock.close()

    def _write(self, event: Event) -> None:
        self._sock.sendall(self._ws.send(event))

    def _read(self) -> Iterator[Event]:
        """Yield what the peer says, up to its Close frame or the end of the stream."""
        while True:
            data = self._receive()
            if not data:
                return
            self._ws.receive_data(data)
            for event in self._ws.events():
                if isinstance(event, Ping):
                    self._write(event.response())
                elif isinstance(event, CloseConnection):
                    self._answer_close(event)
                    raise Gone(int(event.code), event.reason or "")
                else:
                    yield event

    def _receive(self) -> bytes:
        try:
            return self._sock.recv(65536)
        except ConnectionError:
            return b""

    def _answer_close(self, close: CloseConnection) -> None:
        """RFC 6455 section 7.1.1: answer, then the server closes TCP first."""
        if self._ws.state.name == "REMOTE_CLOSING":
            self._write(close.response())
        while not self._server and self._receive():
            pass
        self._sock.close()


class Listener(base.Listener):
    def __init__(self, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> None:
        self._subprotocols = subprotocols
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        if context is not None:
            self._listener = context.wrap_socket(self._listener, server_side=True)
        self._listener.settimeout(PATIENCE)

    def accept(self) -> Remote:
        sock, _ = self._listener.accept()
        remote = Remote(sock, ConnectionType.SERVER)
        remote.answer(self._subprotocols)
        return remote

    def close(self) -> None:
        self._listener.close()


def connect(url: str, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> Remote:
    address = urllib.parse.urlsplit(url)
    sock = socket.create_connection((address.hostname, address.port), PATIENCE)
    if context is not None:
        sock = context.wrap_socket(sock, server_hostname=address.hostname)
    remote = Remote(sock, ConnectionType.CLIENT)
    remote.dial(address.netloc, subprotocols)
    return remote
