"""Both ends of a connection: ours and a scripted peer, or ours twice; plain or TLS."""

from __future__ import annotations

import concurrent.futures
import contextlib
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import syncws
from support.peer import Peer
from support.threads import WATCHDOG, Running
from support.tls import client_context, server_context
from support.wire import CONT, TEXT

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

both_roles = pytest.mark.parametrize("role", ["client", "server"])
plain_and_tls = pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])


class QuickPeer(Peer):
    """A Peer for megabytes."""

    def recv(self) -> tuple[int, bytes]:
        head = self.read(2)
        size = head[1] & 0x7F
        if size >= 126:
            size = int.from_bytes(self.read(2 if size == 126 else 8), "big")
        key = self.read(4) if head[1] & 0x80 else bytes(4)
        payload = self.read(size)
        mask = (key * (size // 4 + 1))[:size]
        number = int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")
        return head[0] & 0x0F, number.to_bytes(size, "little")

    def recv_until(self, opcode: int) -> bytes:
        """Read frames up to one of this kind; return its payload."""
        while True:
            got, payload = self.recv()
            if got == opcode:
                return payload


@contextlib.contextmanager
def held(ws: syncws.Connection, peer: Peer) -> Iterator[None]:
    """Let another thread be in the middle of a message; end it when the block ends."""
    begun, go_on = threading.Event(), threading.Event()

    def parts() -> Iterator[str]:
        yield "begin"
        begun.set()
        assert go_on.wait(WATCHDOG)
        yield "end"

    sending = Running(ws.send, parts())
    assert begun.wait(WATCHDOG)
    assert peer.recv() == (TEXT, b"begin")
    try:
        yield
    finally:
        go_on.set()
        sending.result()
    assert peer.recv() == (CONT, b"end")
    assert peer.recv() == (CONT, b"")


def send_around_a_ping(ws: syncws.Connection) -> concurrent.futures.Future[float]:
    """Send "beforebehind" in fragments with a Ping between them; return who waits for its Pong."""
    waiters = []

    def parts() -> Iterator[str]:
        yield "before"
        waiters.append(ws.ping_nowait(b"between"))
        yield "behind"

    ws.send(parts())
    return waiters[0]


@contextlib.contextmanager
def end_and_peer(
    role: str, secure: bool = False, *, rcvbuf: int = 0, extensions: str = "", **options: Any
) -> Iterator[tuple[syncws.Connection, QuickPeer]]:
    """
    Yield (our Connection in this role, the scripted peer); cut it at the end.

    The peer asks for ``extensions``, or grants them.
    """
    make = _our_client if role == "client" else _our_server
    with make(secure, rcvbuf, extensions.encode(), options) as (connection, peer), peer:
        try:
            yield connection, peer
        finally:
            connection.abort()
            assert connection.wait_closed(WATCHDOG)


@contextlib.contextmanager
def _our_client(
    secure: bool, rcvbuf: int, extensions: bytes, options: dict[str, Any]
) -> Iterator[tuple[syncws.Connection, QuickPeer]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if rcvbuf:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        listener.settimeout(WATCHDOG)
        client = Running(connect_to, listener.getsockname()[1], secure, **options)
        with contextlib.ExitStack() as stack:
            if secure:
                listener = stack.enter_context(
                    server_context().wrap_socket(listener, server_side=True)
                )
            peer = QuickPeer.accepting(listener, extensions)
        yield client.result(), peer


@contextlib.contextmanager
def _our_server(
    secure: bool, rcvbuf: int, extensions: bytes, options: dict[str, Any]
) -> Iterator[tuple[syncws.Connection, QuickPeer]]:
    with serving(secure, **options) as (server, accepted):
        sock = socket.socket()
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.settimeout(WATCHDOG)
        sock.connect(server.server_address)
        if secure:
            sock = client_context().wrap_socket(sock, server_hostname="localhost")
        peer = QuickPeer(sock, masked=True)
        offer = b"Sec-WebSocket-Extensions: " + extensions + b"\r\n" if extensions else b""
        sock.sendall(REQUEST[:-2] + offer + b"\r\n")
        assert peer.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101")
        yield accepted.get(timeout=WATCHDOG), peer


@contextlib.contextmanager
def serving(
    secure: bool = False, **options: Any
) -> Iterator[tuple[syncws.ThreadingServer, queue.SimpleQueue[syncws.Connection]]]:
    """Yield (a running server, a queue of the connections it accepts)."""
    accepted: queue.SimpleQueue[syncws.Connection] = queue.SimpleQueue()

    def handler(ws: syncws.Connection) -> None:
        accepted.put(ws)
        ws.wait_closed()

    context = server_context() if secure else None
    with syncws.ThreadingServer(handler, "127.0.0.1", 0, ssl=context, **options) as server:
        server.start()
        yield server, accepted


@contextlib.contextmanager
def linked(
    secure: bool = False, **options: Any
) -> Iterator[tuple[syncws.Connection, syncws.Connection]]:
    """Yield (our client, our server) of one connection; cut it at the end."""
    with serving(secure, **options) as (server, accepted):
        client = connect_to(server.server_address[1], secure, **options)
        try:
            yield client, accepted.get(timeout=WATCHDOG)
        finally:
            client.abort()
            assert client.wait_closed(WATCHDOG)


def connect_to(port: int, secure: bool = False, **options: Any) -> syncws.Connection:
    """Connect to a port of 127.0.0.1."""
    if secure:
        options.update(ssl=client_context(), server_hostname="localhost")
    return syncws.connect(f"{'wss' if secure else 'ws'}://127.0.0.1:{port}/", **options)


@contextlib.contextmanager
def accepted(**options: Any) -> Iterator[tuple[socket.socket, Running]]:
    """Yield the socket of a client, who is connecting in another thread, and that client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WATCHDOG)
        client = Running(connect_to, listener.getsockname()[1], **options)
        yield listener.accept()[0], client
