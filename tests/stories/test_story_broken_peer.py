"""The peer is killed, resets, half-closes or is cut off anywhere: an exception, never a hang."""

from __future__ import annotations

import logging
import socket
import ssl
from types import SimpleNamespace

import pytest

import syncws
from support.children import child
from support.ends import (
    REQUEST,
    QuickPeer,
    both_roles,
    connect_to,
    end_and_peer,
    plain_and_tls,
    serving,
)
from support.threads import WATCHDOG, Running, blocked_in, eventually
from support.tls import CA, client_context, server_context

CONT, TEXT, BINARY, CLOSE, PING = 0, 1, 2, 8, 9


def assert_lost(ws, *calls) -> None:
    """Check that a connection is over without a closing handshake, for everybody."""
    for call in (ws.recv, ws.ping, lambda: ws.send("x"), lambda: list(ws), *calls):
        with pytest.raises(syncws.ConnectionClosedError) as caught:
            call()
        assert caught.value.code == 1006
        assert caught.value.rcvd is None
    assert ws.wait_closed(WATCHDOG)
    ws.close()
    assert ws.close_code == 1006


# Killed.

PROGRAM = """
    import ssl, sys
    import syncws
    from support.tls import server_context

    def babble(ws):
        while True:
            ws.send(bytes(3000))

    port, ca, role = sys.argv[1:]
    if role == "client":
        options = {"ssl": ssl.create_default_context(cafile=ca)} if ca else {}
        babble(syncws.connect(f"{'wss' if ca else 'ws'}://localhost:{port}/", **options))
    else:
        context = server_context() if ca else None
        server = syncws.ThreadingServer(babble, "127.0.0.1", 0, ssl=context)
        print(server.server_address[1], flush=True)
        server.serve_forever()
"""


@plain_and_tls
def test_the_server_is_killed(secure):
    with child(PROGRAM, args=(0, CA if secure else "", "server")) as running:
        ws = connect_to(int(running.line()), secure)
        ws.recv()
        pinging = Running(lambda: [ws.ping() for _ in range(10**9)])
        running.process.kill()
        with pytest.raises(syncws.ConnectionClosedError):
            while True:
                ws.recv()
        assert isinstance(pinging.error(), syncws.ConnectionClosedError)
        assert_lost(ws)


@plain_and_tls
def test_the_client_is_killed(secure, caplog):
    with serving(secure) as (server, accepted):
        args = (server.server_address[1], CA if secure else "", "client")
        with child(PROGRAM, args=args) as running:
            ws = accepted.get(timeout=WATCHDOG)
            ws.recv()
            running.process.kill()
            with pytest.raises(syncws.ConnectionClosedError):
                while True:
                    ws.recv()
            assert_lost(ws)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# Reset, half-closed, cut.


@both_roles
@plain_and_tls
@pytest.mark.parametrize("end", ["reset", "half-close", "close"])
def test_an_open_connection_is_cut(role, secure, end):
    """Messages before it are still there; a send() that is blocked wakes."""
    with end_and_peer(role, secure, ping_interval=None) as (ws, peer):
        peer.send(TEXT, b"before")
        eventually(lambda: ws.stats.messages_received)
        sending = Running(ws.send, bytes(2**24))
        eventually(lambda: blocked_in(sending.thread, "wait_writable"))
        if end == "reset":
            peer.reset()
        elif end == "half-close":
            peer.sock.shutdown(socket.SHUT_WR)
        else:
            peer.close()
        assert isinstance(sending.error(), syncws.ConnectionClosedError)
        assert ws.recv() == "before"
        assert_lost(ws)


WIRE = [
    (TEXT, "né".encode(), True),
    (BINARY, bytes(130), True),
    (TEXT, b"frag", False),
    (PING, b"ping", True),
    (CONT, b"mented", True),
    (BINARY, b"", False),
    (CONT, bytes(70_000), True),
]


@both_roles
@pytest.mark.parametrize("end", ["eof", "reset"])
def test_the_stream_is_cut_anywhere(role, end):
    """In a header, a payload, a multi-byte character, between fragments."""
    with end_and_peer(role) as (_, peer):
        frames = [peer.frame(*frame) for frame in WIRE]
    wire = b"".join(frames)
    ends = [len(b"".join(frames[: index + 1])) for index in (0, 1, 4)]
    places = [*range(1, 22), 140, 160, 165, 170, len(wire) - 70_005, len(wire) - 1]
    for place in places:
        with end_and_peer(role) as (ws, peer):
            peer.sock.sendall(wire[:place])
            if end == "reset":
                eventually(lambda ws=ws, place=place: ws.stats.bytes_received == place)
                peer.reset()
            else:
                peer.sock.shutdown(socket.SHUT_WR)  # close() would reset, with our Pong unread
            complete = sum(end <= place for end in ends)
            assert [len(ws.recv()) for _ in range(complete)] == [2, 130, 10][:complete]
            with pytest.raises(syncws.ConnectionClosedError) as caught:
                ws.recv()
            assert caught.value.code == 1006
            assert isinstance(caught.value.__cause__, OSError if end == "reset" else type(None))


@both_roles
def test_a_stream_of_pieces_is_cut(role):
    """What came is yielded first."""
    with end_and_peer(role) as (ws, peer):
        peer.send(TEXT, b"one", fin=False)
        peer.send(CONT, b"two", fin=False)
        peer.close()
        pieces = []
        with pytest.raises(syncws.ConnectionClosedError):
            for piece in ws.recv_stream():
                pieces.append(piece)
        assert "".join(pieces) == "onetwo"


@both_roles
def test_tls_is_cut_below_it(role):
    """Without TLS's own goodbye, in the middle of a record, or by rubbish."""
    for rubbish in (b"", b"\x17\x03\x03\x40\x00half a record", b"no TLS at all" * 9):
        with end_and_peer(role, secure=True) as (ws, peer):
            peer.send(TEXT, b"before")
            raw = socket.socket(fileno=peer.sock.detach())
            with raw:
                raw.sendall(rubbish)
            assert ws.recv() == "before"
            with pytest.raises(syncws.ConnectionClosedError):
                ws.recv()
            assert ws.wait_closed(WATCHDOG)


# The opening handshake.

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upg"


@pytest.mark.parametrize("end", ["eof", "reset", "half-close"])
@pytest.mark.parametrize("answer", [b"", b"HTT", ANSWER], ids=["silent", "3-bytes", "half"])
def test_the_server_is_cut_in_the_opening_handshake(answer, end, listener):
    connecting = Running(connect_to, listener.getsockname()[1])
    sock, _ = listener.accept()
    with sock:
        assert sock.recv(65536).startswith(b"GET")
        sock.sendall(answer)
        if end == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        elif end == "half-close":
            sock.shutdown(socket.SHUT_WR)
            assert isinstance(connecting.error(), syncws.InvalidHandshake)
    assert isinstance(connecting.error(), (syncws.InvalidHandshake, ConnectionError))


@pytest.mark.parametrize("bytes_of_tls", [0, 1, 100])
def test_the_server_is_cut_in_the_handshake_of_tls(bytes_of_tls, listener):
    """Take the real first bytes of a server, then nothing."""
    connecting = Running(connect_to, listener.getsockname()[1], secure=True)
    sock, _ = listener.accept()
    with sock:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = server_context().wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(sock.recv(65536))
        with pytest.raises(ssl.SSLWantReadError):
            server.do_handshake()
        sock.sendall(outgoing.read(bytes_of_tls))
    assert isinstance(connecting.error(), (ssl.SSLError, ConnectionError))


@plain_and_tls
@pytest.mark.parametrize("end", ["eof", "reset", "half-close"])
def test_clients_are_cut_in_the_opening_handshake(secure, end, caplog):
    """The server has no word for them above INFO, and serves the next one."""
    hello = b"".join(_client_hello())
    whole = hello if secure else REQUEST
    with serving(secure, open_timeout=WATCHDOG) as (server, accepted):
        for size in (0, 1, len(whole) // 2, len(whole) - 1):
            with socket.create_connection(server.server_address) as sock:
                sock.sendall(whole[:size])
                if end == "reset":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                elif end == "half-close":
                    sock.shutdown(socket.SHUT_WR)
                    sock.settimeout(WATCHDOG)
                    while sock.recv(65536):
                        pass
        with connect_to(server.server_address[1], secure) as ws:
            accepted.get(timeout=WATCHDOG).send("served")
            assert ws.recv() == "served"
        eventually(lambda: not server._sessions)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def _client_hello():
    outgoing = ssl.MemoryBIO()
    client = client_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    yield outgoing.read()


@both_roles
@plain_and_tls
def test_a_reset_right_behind_the_handshake(role, secure, listener):
    """As early as can be: the call that opens the connection returns or raises, nothing hangs."""
    for _ in range(10):
        if role == "client":
            try:
                with end_and_peer("client", secure) as (ws, peer):
                    peer.reset()
                    with pytest.raises(syncws.ConnectionClosedError):
                        ws.recv()
            except OSError:
                pass
        else:
            with end_and_peer("server", secure) as (ws, peer):
                peer.reset()
                with pytest.raises(syncws.ConnectionClosedError):
                    ws.recv()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_what_cannot_write_is_not_open():
    """Whoever keeps a connection sees by its state that another one is needed."""
    ours, theirs = socket.socketpair()
    listener = SimpleNamespace(accept=lambda: (theirs, None))
    connecting = Running(syncws.connect, "ws://localhost/", sock=ours, ping_interval=None)
    with QuickPeer.accepting(listener) as peer, connecting.result() as ws:
        assert ws.state is syncws.State.OPEN
        peer.sock.shutdown(socket.SHUT_RD)
        with pytest.raises(syncws.ConnectionClosedError):
            ws.send("hello")
        assert ws.state is syncws.State.CLOSING
        ws.abort()
        assert ws.wait_closed(WATCHDOG)
        assert ws.state is syncws.State.CLOSED


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_a_peer_that_takes_nothing_more_but_stays():
    """Unix sockets can be closed for reading alone: sending fails, and nothing ends by itself."""
    ours, theirs = socket.socketpair()
    listener = SimpleNamespace(accept=lambda: (theirs, None))
    connecting = Running(
        syncws.connect, "ws://localhost/", sock=ours, close_timeout=0.1, ping_interval=None
    )
    with QuickPeer.accepting(listener) as peer, connecting.result() as ws:
        receiving = Running(ws.recv)
        peer.sock.shutdown(socket.SHUT_RD)
        with pytest.raises(syncws.ConnectionClosedError) as caught:
            ws.send("hello")
        assert isinstance(caught.value.__cause__, BrokenPipeError)
        assert isinstance(receiving.error().__cause__, BrokenPipeError)
        assert ws.wait_closed(WATCHDOG)
