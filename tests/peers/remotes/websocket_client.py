"""``websocket-client``, which has no server."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Sequence

from websocket import ABNF, WebSocket, WebSocketConnectionClosedException, create_connection

from peers.remotes import base
from peers.remotes.base import PATIENCE, Gone, Message, as_text


class Remote(base.Remote):
    close_answer = 1000

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws
        self.subprotocol = ws.subprotocol

    def send(self, message: Message) -> None:
        self._ws.send(message, _opcode(message))

    def send_fragments(self, parts: Sequence[Message]) -> None:
        for index, part in enumerate(parts):
            opcode = ABNF.OPCODE_CONT if index else _opcode(part)
            fin = int(index == len(parts) - 1)
            self._ws.send_frame(ABNF.create_frame(as_text(part), opcode, fin))

    def recv(self) -> Message:
        while True:
            opcode, data = self._read()
            if opcode == ABNF.OPCODE_TEXT:
                return data.decode()
            if opcode == ABNF.OPCODE_BINARY:
                return data

    def ping(self, payload: bytes) -> None:
        self._ws.ping(payload)
        while self._read() != (ABNF.OPCODE_PONG, payload):
            pass

    def _read(self) -> tuple[int, bytes]:
        try:
            opcode, data = self._ws.recv_data(control_frame=True)
        except (WebSocketConnectionClosedException, ConnectionError):
            raise Gone(1006) from None
        if opcode == ABNF.OPCODE_CLOSE:  # answered already, but TCP is left to the caller
            self._ws.shutdown()
            raise Gone(struct.unpack("!H", data[:2])[0], data[2:].decode())
        return opcode, data

    def close(self, code: int, reason: str) -> None:
        self._ws.close(code, reason.encode(), timeout=PATIENCE)

    def vanish(self) -> None:
        self._ws.sock.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        self._ws.shutdown()


def _opcode(message: Message) -> int:
    return ABNF.OPCODE_TEXT if isinstance(message, str) else ABNF.OPCODE_BINARY


def connect(url: str, subprotocols: Sequence[str], context: ssl.SSLContext | None) -> Remote:
    options = {} if context is None else {"sslopt": {"context": context}}
    subprotocols = list(subprotocols) or None
    return Remote(create_connection(url, PATIENCE, subprotocols=subprotocols, **options))
