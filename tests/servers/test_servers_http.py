"""What is on the same TCP connection before the WebSocket, or in the same segment."""

from __future__ import annotations

import contextlib
import socket

import pytest

from servers.catalogue import HOST, SERVERS
from support.peer import Peer
from support.threads import WATCHDOG

pytestmark = pytest.mark.peers

TEXT, CLOSE = 1, 8
# Those that can keep a connection alive; uWSGI's HTTP socket cannot.
KEEP_ALIVE = [
    name
    for name in SERVERS
    if name not in ("wsgiref", "werkzeug", "flask", "uwsgi", "uwsgi-http", "gunicorn-sync")
]
in_every_way = pytest.mark.parametrize("path", ["/request", "/detached", "/view"])


@contextlib.contextmanager
def plain_socket(server, path):
    """Open a TCP connection; yield a scripted client on it, which will open a WebSocket."""
    server.opened[path] += 1
    sock = socket.create_connection((HOST, server.port), WATCHDOG)
    with Peer(sock, masked=True) as peer:
        yield peer


def upgrade(path):
    """Write the request for a WebSocket."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def echoes(peer, text):
    """Have a conversation with the handler, up to its end."""
    peer.send(TEXT, text)
    assert peer.recv() == (TEXT, text)
    close_well(peer)


def close_well(peer):
    peer.send(CLOSE, (1000).to_bytes(2, "big"))
    assert peer.recv()[0] == CLOSE
    assert peer.at_eof()


@pytest.mark.parametrize("shared", KEEP_ALIVE, indirect=True)
@in_every_way
def test_a_page_first_and_then_a_websocket(shared, path):
    """A connection that was kept alive becomes a WebSocket."""
    with plain_socket(shared, path) as peer:
        for _ in range(2):
            peer.sock.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            head = peer.read_until(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            size = int(head.lower().split(b"content-length:")[1].split()[0])
            peer.read(size)
        peer.sock.sendall(upgrade(path))
        assert peer.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101")
        echoes(peer, b"after a page")


@pytest.mark.parametrize("shared", SERVERS, indirect=True)
@in_every_way
def test_a_frame_in_the_same_segment_as_the_request(shared, path):
    """What the server has read behind the request is not lost, but for uWSGI, which keeps it."""
    with plain_socket(shared, path) as peer:
        early = peer.frame(TEXT, b"early") + peer.frame(TEXT, b"bird")
        peer.sock.sendall(upgrade(path) + early)
        assert peer.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101")
        if not shared.server.name.startswith("uwsgi"):
            assert peer.recv() == (TEXT, b"early")
            assert peer.recv() == (TEXT, b"bird")
        echoes(peer, b"later")


@pytest.mark.parametrize("shared", SERVERS, indirect=True)
@in_every_way
def test_a_frame_that_is_cut_by_the_request(shared, path):
    """Half of it comes with the request."""
    if shared.server.name.startswith("uwsgi"):
        pytest.skip("uWSGI keeps what it has read behind the request")
    with plain_socket(shared, path) as peer:
        frame = peer.frame(TEXT, b"cut in half")
        peer.sock.sendall(upgrade(path) + frame[:9])
        assert peer.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101")
        peer.sock.sendall(frame[9:])
        assert peer.recv() == (TEXT, b"cut in half")
        close_well(peer)


@pytest.mark.parametrize("shared", SERVERS, indirect=True)
@in_every_way
def test_a_plain_request_gets_a_plain_answer(shared, path):
    """The path of a handler is the application's for all that ask for no WebSocket."""
    if path == "/view":
        pytest.skip("its view answers for itself")
    assert shared.get(path)[0] in (200, 404)
    assert shared.get(path, Upgrade="websocket", Connection="upgrade")[0] == 400
