"""Peers that overdo it: floods of tiny frames, one byte at a time, huge declared lengths."""

from __future__ import annotations

import contextlib
import tracemalloc

import pytest

import syncws
from support.ends import both_roles, end_and_peer, plain_and_tls
from support.threads import Running, eventually

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def assert_too_big(ws, peer) -> None:
    """Check that both ends are told."""
    assert peer.recv_until(CLOSE)[:2] == b"\x03\xf1"  # 1009
    peer.close()
    with pytest.raises(syncws.ConnectionClosedError) as caught:
        ws.recv()
    assert isinstance(caught.value.__cause__, syncws.MessageTooBig)


@both_roles
@plain_and_tls
def test_a_ping_flood_from_a_peer_that_does_not_read(role, secure):
    """Our answers wait, but not without limit; the latest Ping gets its Pong in the end."""
    with end_and_peer(role, secure, ping_interval=None) as (ws, peer):
        with pytest.raises(TimeoutError):
            ws.send(bytes(2**23), timeout=0)
        flood = peer.frame(PING, b"x" * 125) * 500
        peer.sock.sendall(flood)
        eventually(lambda: ws.stats.frames_received == 500)
        tracemalloc.start()
        try:
            for _ in range(20):
                peer.sock.sendall(flood)
            eventually(lambda: ws.stats.frames_received == 500 * 21)
            eventually(lambda: tracemalloc.get_traced_memory()[0] < 300_000)
        finally:
            tracemalloc.stop()
        peer.send(PING, b"the last")
        pongs = 0
        while peer.recv_until(PONG) != b"the last":
            pongs += 1
        assert pongs < 1000


@both_roles
def test_a_ping_flood_from_a_peer_that_reads(role):
    """Data passes between, both ways."""
    with end_and_peer(role) as (ws, peer):

        def flood():
            for number in range(200):
                peer.sock.sendall(peer.frame(PING) * 100 + peer.frame(BINARY, bytes([number])))

        def read():
            with contextlib.suppress(EOFError, OSError):
                while True:
                    received.append(peer.recv())

        received: list[tuple[int, bytes]] = []
        calls = [Running(flood), Running(read)]
        for number in range(200):
            assert ws.recv() == bytes([number])
            ws.send(bytes([number]))
        calls[0].result()
        ws.send("end")
        eventually(lambda: (TEXT, b"end") in received)
        data = [payload for opcode, payload in received if opcode == BINARY]
        assert data == [bytes([number]) for number in range(200)]
        ws.abort()
        calls[1].result()


@both_roles
def test_a_flood_of_pongs_that_nobody_asked_for(role):
    with end_and_peer(role) as (ws, peer):
        ping = ws.ping_nowait(b"mine")
        peer.sock.sendall(peer.frame(PONG, b"not yours") * 20_000 + peer.frame(PONG, b"mine"))
        assert ping.result(20) > 0


@both_roles
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("fragments", [2000, 2001])
def test_empty_fragments_up_to_the_limit(role, opcode, fragments):
    """Each costs its handling, so there is a limit; up to it the message is whole."""
    with end_and_peer(role, max_fragments=2000, ping_interval=None) as (ws, peer):
        wire = peer.frame(opcode, b"", fin=False) + peer.frame(CONT, fin=False) * (fragments - 2)
        peer.sock.sendall(wire + peer.frame(CONT, b"end"))
        if fragments == 2000:
            assert ws.recv(decode=False) == b"end"
        else:
            assert_too_big(ws, peer)


def test_empty_fragments_up_to_the_default_limit():
    """131,072 of them, in time and with nothing kept."""
    with end_and_peer("client", ping_interval=None) as (ws, peer):
        wire = peer.frame(BINARY, b"", fin=False) + peer.frame(CONT, fin=False) * (2**17 - 1)
        peer.sock.sendall(wire + peer.frame(CONT, fin=False))
        assert_too_big(ws, peer)


@both_roles
@pytest.mark.parametrize("size", [2**20 + 1, 2**32, 2**62, 2**63 - 1])
def test_a_declared_length_over_the_limit(role, size):
    """Refused by its header alone."""
    with end_and_peer(role) as (ws, peer):
        mask = 0x80 if role == "server" else 0
        peer.sock.sendall(bytes([0x82, mask | 127]) + size.to_bytes(8, "big"))
        assert_too_big(ws, peer)


@both_roles
def test_a_sum_of_fragments_over_the_limit(role):
    """Counted while it arrives, whatever the single lengths say."""
    with end_and_peer(role, max_size=10_000) as (ws, peer):
        peer.send(BINARY, bytes(9_999), fin=False)
        peer.send(CONT, b"1", fin=False)
        ws.ping_nowait()
        peer.recv_until(PING)
        assert ws.state is syncws.State.OPEN
        peer.send(CONT, b"2", fin=False)
        assert_too_big(ws, peer)


@both_roles
@plain_and_tls
def test_one_byte_at_a_time(role, secure):
    """A whole conversation, also the closing handshake."""
    with end_and_peer(role, secure) as (ws, peer):
        frames = [
            (TEXT, "dé\N{GRINNING FACE}".encode(), True),
            (BINARY, bytes(200), True),
            (TEXT, "é".encode()[:1], False),
            (PING, b"?", True),
            (CONT, "é".encode()[1:], True),
            (CLOSE, b"\x0f\xa0bye", True),
        ]
        for byte in b"".join(peer.frame(*frame) for frame in frames):
            peer.sock.send(bytes([byte]))
        assert peer.recv() == (PONG, b"?")
        assert peer.recv() == (CLOSE, b"\x0f\xa0")
        peer.close()
        received = []
        with pytest.raises(syncws.ConnectionClosedError) as caught:
            for message in ws:
                received.append(message)
        assert received == ["dé\N{GRINNING FACE}", bytes(200), "é"]
        assert (caught.value.code, caught.value.reason) == (4000, "bye")


@both_roles
@pytest.mark.parametrize("sends_on", [b"", b"and on"], ids=["silent", "babbling"])
def test_a_peer_that_never_closes_tcp(role, sends_on):
    """Neither after the closing handshake nor after an error of its own: the timer cuts it."""
    for payload in (b"\x03\xe8", b"\x03"):  # a Close, and a broken one
        with end_and_peer(role, close_timeout=0.1) as (ws, peer):
            peer.send(CLOSE, payload)

            def babble(peer=peer):
                while True:
                    peer.sock.sendall(peer.frame(TEXT, sends_on))

            babbling = Running(babble) if sends_on else None
            assert ws.wait_closed(10)
            assert ws.close_code == (1000 if len(payload) == 2 else 1006)
            if babbling:
                assert isinstance(babbling.error(), OSError)
