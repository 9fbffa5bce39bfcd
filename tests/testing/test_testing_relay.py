"""Relay: each fault does what it says, no more, and nothing is left of it."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

import syncws
from support.threads import WATCHDOG, Running, eventually
from support.tls import client_context, server_context
from syncws.testing import Relay

MIB = 2**20
WAYS = ("to_server", "to_client")
A_WHILE = 0.1  # seconds in which nothing may come


@pytest.fixture
def ends(listener):
    """Yield (relay, client's socket, server's socket)."""
    with Relay(f"ws://127.0.0.1:{listener.getsockname()[1]}/") as relay:
        client = connected(relay)
        server, _ = listener.accept()
        server.settimeout(WATCHDOG)
        eventually(lambda: relay.connections == 1)
        with client, server:
            yield relay, client, server


def connected(relay):
    port = int(relay.url.split(":")[2].strip("/"))
    return socket.create_connection(("127.0.0.1", port), WATCHDOG)


def read(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(min(65536, size - len(data)))
        assert piece, f"{len(data)} of {size} bytes"
        data += piece
    return data


def silent(sock):
    """Tell whether nothing comes for a while, not even an end."""
    sock.settimeout(A_WHILE)
    try:
        sock.recv(1)
    except socket.timeout:  # not yet a TimeoutError in Python 3.9
        return True
    finally:
        sock.settimeout(WATCHDOG)
    return False


def by_way(ends, way):
    """Return (relay, who sends this way, who receives)."""
    relay, client, server = ends
    return (relay, client, server) if way == "to_server" else (relay, server, client)


def is_reset(sock):
    try:
        sock.recv(1)
    except ConnectionResetError:
        return True
    return False


@pytest.mark.parametrize("way", WAYS)
def test_megabytes_pass_unchanged(ends, way):
    """Also when the receiver is slow to begin."""
    _, source, target = by_way(ends, way)
    data = bytes(range(256)) * 40_000
    sending = Running(source.sendall, data)
    assert read(target, len(data)) == data
    sending.result()


@pytest.mark.parametrize("way", WAYS)
def test_ends_pass(ends, way):
    """One way after the other, as TCP does it; then the relay forgets the connection."""
    relay, source, target = by_way(ends, way)
    source.sendall(b"last")
    source.shutdown(socket.SHUT_WR)
    assert (read(target, 4), target.recv(1)) == (b"last", b"")
    target.sendall(b"answer")
    assert read(source, 6) == b"answer"
    assert relay.connections == 1
    target.close()
    assert source.recv(1) == b""
    eventually(lambda: relay.connections == 0)


@pytest.mark.parametrize("way", WAYS)
def test_a_reset_of_an_end_passes(ends, way):
    """Who is at the other end sees a reset, not an end."""
    relay, source, target = by_way(ends, way)
    source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    source.close()
    assert is_reset(target)
    eventually(lambda: relay.connections == 0)


def test_reset(ends):
    """Both see it, and it is over when the call returns."""
    relay, client, server = ends
    relay.reset()
    assert relay.connections == 0
    assert is_reset(client) and is_reset(server)


@pytest.mark.parametrize("way", WAYS)
def test_delay(ends, way):
    """Each byte takes its time, many at once; the other way they pass meanwhile."""
    relay, source, target = by_way(ends, way)
    relay.delay(0.3, way)
    begun = time.monotonic()
    for _ in range(20):
        source.sendall(b"late")
        target.sendall(b"soon")
        assert read(source, 4) == b"soon"
    read(target, 4)
    assert time.monotonic() - begun >= 0.3
    read(target, 19 * 4)
    assert time.monotonic() - begun < 20 * 0.3

    relay.delay(0)
    source.sendall(b"soon")
    assert read(target, 4) == b"soon"


def test_bytes_keep_their_order_when_the_delay_ends(ends):
    """The later ones wait for the earlier ones."""
    relay, client, server = ends
    relay.delay(0.1)
    begun = time.monotonic()
    client.sendall(b"first")
    eventually(lambda: relay._links[0].lines[0]._waiting)
    relay.delay(0)
    client.sendall(b"second")
    assert read(server, 11) == b"firstsecond"
    assert time.monotonic() - begun >= 0.1


@pytest.mark.parametrize("way", WAYS)
def test_throttle(ends, way):
    """It takes as long as it says, and the sender is held back."""
    relay, source, target = by_way(ends, way)
    relay.throttle(100_000, way)
    begun = time.monotonic()
    sending = Running(source.sendall, bytes(30_000))
    read(target, 30_000)
    assert time.monotonic() - begun >= 0.29
    sending.result()


@pytest.mark.parametrize("way", WAYS)
def test_throttle_holds_the_sender_back(ends, way):
    """What does not pass stays with the sender, not in the relay; it goes on when all is well."""
    relay, source, target = by_way(ends, way)
    relay.throttle(1000, way)
    sending = Running(source.sendall, bytes(20 * MIB))
    read(target, 100)
    assert sending.alive
    assert sum(line._size for line in relay._links[0].lines) < 1000
    relay.restore()
    read(target, 20 * MIB - 100)
    sending.result()


@pytest.mark.parametrize("way", WAYS)
def test_cut_one_way(ends, way):
    """Bytes vanish, the end as well; the other way they pass."""
    relay, source, target = by_way(ends, way)
    relay.cut(way)
    source.sendall(b"lost")
    target.sendall(b"found")
    assert read(source, 5) == b"found"
    source.shutdown(socket.SHUT_WR)
    assert silent(target)

    relay.restore()
    assert is_reset(target)
    assert relay.connections == 0


def test_cut_takes_what_is_on_the_way(ends):
    """What was delayed comes no more."""
    relay, client, server = ends
    relay.delay(A_WHILE / 2)
    client.sendall(b"lost")
    eventually(lambda: relay._links[0].lines[0]._waiting)
    relay.cut()
    assert silent(server)


def test_cut_hides_a_reset(ends):
    """A peer that dies behind a cut is seen by nobody."""
    relay, client, server = ends
    relay.cut()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    eventually(lambda: relay._links[0].lines[0].done)
    assert silent(server)
    server.sendall(b"to nobody")
    assert silent(server)


def test_restore_without_a_loss(ends):
    """What lost nothing goes on."""
    relay, client, server = ends
    relay.cut()
    relay.restore()
    client.sendall(b"hello")
    assert read(server, 5) == b"hello"


def test_faults_hold_for_connections_to_come(listener):
    """A client connects, as far as it sees, and hears nothing."""
    with Relay(f"http://127.0.0.1:{listener.getsockname()[1]}") as relay:
        relay.cut()
        with connected(relay) as client:
            client.sendall(b"hello")
            server, _ = listener.accept()
            with server:
                assert silent(server)


def test_a_server_that_is_not_there():
    """Its client is reset."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        with Relay(f"ws://127.0.0.1:{sock.getsockname()[1]}") as relay:
            # It may come before the client has noticed that it was connected.
            with pytest.raises(ConnectionResetError), connected(relay) as client:
                client.recv(1)
            assert relay.connections == 0


def test_close_ends_all(ends):
    """Both see an end; a second close does nothing, orders neither."""
    relay, client, server = ends
    relay.close()
    relay.close()
    relay.reset()
    relay.cut()
    assert client.recv(1) == server.recv(1) == b""
    with pytest.raises(OSError):
        connected(relay)


@pytest.mark.parametrize(
    "call",
    [
        lambda relay: relay.delay(-1),
        lambda relay: relay.delay(float("nan")),
        lambda relay: relay.throttle(0),
        lambda relay: relay.cut("up"),
        lambda relay: Relay("ws://localhost/"),
    ],
)
def test_bad_arguments(call):
    """They are told, with what is expected."""
    with Relay("ws://127.0.0.1:1/") as relay, pytest.raises(ValueError, match="expected"):
        call(relay)


def test_a_connection_through_it(serve):
    """Its URL is that of the server but for the place."""
    server = serve()
    with Relay(f"{server.url}/chat?room=1") as relay, syncws.connect(relay.url) as ws:
        assert ws.path == "/chat?room=1"
        ws.send("hello")
        assert ws.recv(timeout=WATCHDOG) == "hello"


def test_tls_through_it(serve):
    """It carries what it cannot read."""
    server = serve(ssl=server_context())
    with Relay(server.url) as relay:
        options = {"ssl": client_context(), "server_hostname": "localhost"}
        with syncws.connect(relay.url, **options) as ws:
            ws.send("hello")
            assert ws.recv(timeout=WATCHDOG) == "hello"


def test_the_keepalive_finds_a_cut(serve):
    """What it is for: a network that goes away without a word."""
    with Relay(serve(ping_interval=None).url) as relay:
        ws = syncws.connect(relay.url, ping_interval=0.05, ping_timeout=0.05)
        relay.cut()
        with pytest.raises(syncws.ConnectionClosedError, match="keepalive"):
            ws.recv(timeout=WATCHDOG)


def test_reconnect_through_a_reset(serve):
    """The client comes back by the same URL."""
    backoff = syncws.Backoff(initial=0.001, maximum=0.01)
    came = []
    with Relay(serve().url) as relay:
        for ws in syncws.reconnect(relay.url, backoff=backoff):
            came.append(ws)
            if len(came) == 3:
                break
            relay.reset()
            with contextlib.suppress(syncws.ConnectionClosed):
                ws.recv(timeout=WATCHDOG)
