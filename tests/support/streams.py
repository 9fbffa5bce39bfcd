"""Connected sockets and transports, and addresses that do not answer, for tests of lower rooms."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from syncws.deadline import Deadline
from syncws.tls import NestedTLSTransport, TLSTransport
from syncws.transport import Transport

from .threads import WATCHDOG, Running
from .tls import client_context, server_context

# Small, so that little fills a connection; the system rounds it up.
SMALL = 4096
# More than two ends of a SMALL connection hold.
LARGE = bytes(range(256)) * 1024


def soon() -> Deadline:
    """Return a deadline that a passing test does not reach."""
    return Deadline(WATCHDOG)


def small(sock: socket.socket) -> socket.socket:
    """Make the buffers of a socket small."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    return sock


def dial(server: Any) -> socket.socket:
    """Connect to a ThreadingServer, which listens on TCP or on a Unix socket."""
    if isinstance(server.server_address, tuple):
        return socket.create_connection(server.server_address[:2], timeout=20)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(server.server_address)
    return sock


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a TCP connection with small buffers."""
    with small(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        ours = small(socket.socket())
        ours.connect(listener.getsockname())
        theirs, _ = listener.accept()
    return ours, small(theirs)


def plain_pair() -> tuple[Transport, Transport]:
    """Return both ends of a plain stream with small buffers."""
    ours, theirs = tcp_pair()
    return Transport(ours), Transport(theirs)


def unready_tls_pair() -> tuple[TLSTransport, TLSTransport]:
    """Return a client's and a server's end of a TLS stream before the TLS handshake."""
    ours, theirs = tcp_pair()
    client = TLSTransport(ours, client_context(), server_hostname="localhost")
    return client, TLSTransport(theirs, server_context(), server_side=True)


def tls_pair() -> tuple[TLSTransport, TLSTransport]:
    """Return a client's and a server's end of a TLS stream with small buffers."""
    client, server = unready_tls_pair()
    shaking = Running(server.handshake, soon())
    client.handshake(soon())
    shaking.result()
    return client, server


def nested_pair(
    outer: tuple[TLSTransport, TLSTransport] | None = None,
) -> tuple[NestedTLSTransport, NestedTLSTransport]:
    """Return a client's and a server's end of TLS in TLS with small buffers."""
    ours, theirs = outer or tls_pair()
    client = NestedTLSTransport(ours, client_context(), server_hostname="localhost")
    server = NestedTLSTransport(theirs, server_context(), server_side=True)
    shaking = Running(server.handshake, soon())
    client.handshake(soon())
    shaking.result()
    return client, server


def read(stream: Transport, size: int) -> bytes:
    """Read so many bytes from a transport, or more if they come along."""
    parts = bytearray()
    while len(parts) < size:
        data = stream.recv(soon())
        assert data, f"{len(parts)} of {size} bytes, then the end"
        parts += data
    return bytes(parts)


def read_to_end(stream: Transport) -> bytes:
    """Read from a transport up to the end of the stream."""
    parts = bytearray()
    while True:
        data = stream.recv(soon())
        if not data:
            return bytes(parts)
        parts += data


def recv_exactly(sock: socket.socket, size: int) -> bytes:
    """Read so many bytes from a socket."""
    parts = bytearray()
    while len(parts) < size:
        data = sock.recv(size - len(parts))
        assert data, f"{len(parts)} of {size} bytes, then the end"
        parts += data
    return bytes(parts)


def recv_to_end(sock: socket.socket) -> bytes:
    """Read from a socket up to the end of the stream."""
    parts = bytearray()
    while True:
        data = sock.recv(65536)
        if not data:
            return bytes(parts)
        parts += data


def fill(sock: socket.socket) -> bytes:
    """Write to a socket until it takes no more; return what it took. It stays non-blocking."""
    sock.setblocking(False)
    taken = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            taken += sock.send(b"\0" * 65536)
    return b"\0" * taken


@contextlib.contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """Give an address that neither accepts nor refuses: its queue of connections is full."""
    with socket.socket() as listener, socket.socket() as only:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        only.connect(listener.getsockname())
        yield listener.getsockname()


@contextlib.contextmanager
def closed_port(host: str = "127.0.0.1") -> Iterator[tuple[str, int]]:
    """Give an address that refuses: it is bound, so nobody else gets it, and does not listen."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.bind((host, 0))
        yield sock.getsockname()[:2]


def has_ipv6() -> bool:
    """Tell whether this machine has ::1."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


class Names:
    """
    Names that exist in one test only.

    Attributes:
        asked: the arguments of each question for one of them.
        answering: clear it, and the answers wait until it is set.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answering = threading.Event()
        self.answering.set()
        self._known: dict[str | None, list[tuple[str, int | None]]] = {}
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._getaddrinfo)

    def __setitem__(self, name: str | None, addresses: list[tuple[str, int | None]]) -> None:
        """Let a name have addresses; a port of None means the one that is asked for."""
        self._known[name] = addresses

    def _getaddrinfo(self, host: str | None, port: int, **options: Any) -> list[Any]:
        if host not in self._known:
            return self._real(host, port, **options)
        self.asked.append({"host": host, "port": port, **options})
        if options["flags"] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not an address")
        self.answering.wait(WATCHDOG)
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, port if own is None else own, *((0, 0) if ":" in address else ())),
            )
            for address, own in self._known[host]
        ]
