"""The peer completes the handshake and never reads again."""

from __future__ import annotations

import time
import tracemalloc

import pytest

import syncws
from support.ends import both_roles, end_and_peer, plain_and_tls
from support.threads import Running, blocked_in, eventually

BINARY, CLOSE, PING = 2, 8, 9
MORE_THAN_THE_BUFFERS = bytes(10 * 2**20)
LONG = 5.0  # far more than any time limit below, far less than waiting for ever


def blocked_send(ws, message=MORE_THAN_THE_BUFFERS, **options):
    """Return a send() that waits for the peer to read."""
    call = Running(ws.send, message, **options)
    eventually(lambda: blocked_in(call.thread, "wait_writable") or not call.alive)
    assert call.alive
    return call


@both_roles
@plain_and_tls
def test_send_ends_by_its_timeout(role, secure):
    with end_and_peer(role, secure) as (ws, _):
        with pytest.raises(TimeoutError, match="did not take the whole message"):
            ws.send(MORE_THAN_THE_BUFFERS, timeout=0.05)
        with pytest.raises(TimeoutError, match="not sent"):
            ws.send("more", timeout=0.05)
        with pytest.raises(TimeoutError, match="not sent"):
            ws.send_many(["and", "more"], timeout=0)


@both_roles
def test_send_ends_by_the_option_send_timeout(role):
    with end_and_peer(role, send_timeout=0.05) as (ws, _), pytest.raises(TimeoutError):
        ws.send(MORE_THAN_THE_BUFFERS)


@both_roles
@plain_and_tls
def test_send_ends_by_the_keepalive(role, secure):
    """All senders wake, and the connection is over."""
    with end_and_peer(role, secure, ping_interval=0.1, ping_timeout=0.1) as (ws, _):
        calls = [blocked_send(ws)] + [Running(ws.send, "waits its turn") for _ in range(3)]
        for call in calls:
            error = call.error()
            assert isinstance(error, syncws.ConnectionClosedError)
            assert isinstance(error.__cause__, TimeoutError)
            assert "keepalive" in str(error)
        assert ws.wait_closed(LONG)


@both_roles
@plain_and_tls
def test_close_ends_within_close_timeout_and_wakes_send(role, secure):
    """The Close cannot pass the message that is stuck, so the timer cuts TCP."""
    with end_and_peer(role, secure, close_timeout=0.2) as (ws, _):
        calls = [blocked_send(ws)] + [Running(ws.send, "waits its turn") for _ in range(3)]
        begun = time.monotonic()
        ws.close()
        assert 0.19 < time.monotonic() - begun < LONG
        for call in calls:
            error = call.error(LONG)
            assert isinstance(error, syncws.ConnectionClosedError)
            assert error.code == 1006
        assert ws.close_code == 1006


@both_roles
@plain_and_tls
def test_close_in_several_threads_at_once(role, secure):
    """The one with the least patience decides."""
    with end_and_peer(role, secure, close_timeout=60) as (ws, _):
        send = blocked_send(ws)
        patient = [Running(ws.close) for _ in range(4)]
        ws.close(timeout=0.1)
        for call in patient:
            call.result(LONG)
        assert isinstance(send.error(LONG), syncws.ConnectionClosedError)


@both_roles
@plain_and_tls
def test_abort_wakes_send_at_once(role, secure):
    with end_and_peer(role, secure) as (ws, _):
        send = blocked_send(ws)
        ws.abort()
        assert isinstance(send.error(LONG), syncws.ConnectionClosedError)
        assert ws.wait_closed(LONG)


@both_roles
@plain_and_tls
def test_ping_ends_by_its_timeout_while_send_is_stuck(role, secure):
    with end_and_peer(role, secure) as (ws, _):
        blocked_send(ws)
        with pytest.raises(TimeoutError, match="no Pong"):
            ws.ping(timeout=0.05)


@both_roles
@plain_and_tls
def test_recv_goes_on_while_send_is_stuck(role, secure):
    """Also Pings that come in do no harm; their Pongs wait."""
    with end_and_peer(role, secure) as (ws, peer):
        send = blocked_send(ws)
        for number in range(200):
            peer.send(PING, b"still there?")
            peer.send(BINARY, bytes([number]))
            assert ws.recv() == bytes([number])
        assert send.alive


@both_roles
@plain_and_tls
def test_memory_does_not_grow_on_a_stuck_peer(role, secure):
    """One message may wait half sent; whatever else is tried meanwhile is refused, not kept."""
    message = bytes(2**16)
    with end_and_peer(role, secure) as (ws, _):
        with pytest.raises(TimeoutError):
            ws.send(MORE_THAN_THE_BUFFERS, timeout=0.01)
        tracemalloc.start()
        try:
            ws_memory = tracemalloc.get_traced_memory()[0]
            for _ in range(200):
                for call in (ws.send, ws.send_many):
                    with pytest.raises(TimeoutError, match="not sent"):
                        call([message], timeout=0)
            for _ in range(500):
                with pytest.raises(TimeoutError):
                    ws.ping(b"", timeout=0)
            refused = 0
            for _ in range(2000):
                try:
                    ws.pong(bytes(125))
                except TimeoutError:
                    refused += 1
            assert refused > 1000
            assert tracemalloc.get_traced_memory()[0] - ws_memory < 400_000
        finally:
            tracemalloc.stop()


@both_roles
@plain_and_tls
@pytest.mark.parametrize("fragment_size", [2**20, 5000])
def test_the_stream_is_intact_when_the_peer_reads_again(role, secure, fragment_size):
    """Whoever was told "not sent" sent nothing; all else arrives whole and in order."""
    expected = []
    with end_and_peer(role, secure, fragment_size=fragment_size) as (ws, peer):
        refused = late = number = 0
        while refused < 3:
            message = number.to_bytes(4, "big") * 25_000
            try:
                ws.send(message, timeout=0)
                expected.append(message)
            except TimeoutError as exc:
                if str(exc).startswith("not sent"):
                    refused += 1
                else:
                    late += 1
                    expected.append(message)
            number += 1
        assert late == 1
        for message in expected:
            received = b""
            while len(received) < len(message):
                opcode, payload = peer.recv()
                assert opcode == (0 if received else BINARY)
                received += payload
            assert received == message
        ws.send(b"and on", timeout=LONG)
        assert peer.recv() == (BINARY, b"and on")


@both_roles
@plain_and_tls
def test_what_waits_goes_out_by_itself(role, secure):
    """Nobody calls the library again: the housekeeper sends the rest, also what was posted."""
    with end_and_peer(role, secure, fragment_size=None) as (ws, peer):
        with pytest.raises(TimeoutError):
            ws.send(MORE_THAN_THE_BUFFERS, timeout=0.01)
        pong = ws.ping_nowait(b"behind it")
        assert peer.recv() == (BINARY, MORE_THAN_THE_BUFFERS)
        assert peer.recv() == (PING, b"behind it")
        peer.send(10, b"behind it")
        assert pong.result(LONG) > 0


@both_roles
@plain_and_tls
def test_no_data_goes_out_behind_a_close(role, secure):
    """A close() in the middle of a message of many fragments, then the peer reads on."""
    with end_and_peer(role, secure, fragment_size=10_000) as (ws, peer):
        send = blocked_send(ws, timeout=0.3)
        close = Running(ws.close)
        eventually(lambda: ws.state is syncws.State.CLOSING)
        peer.recv_until(CLOSE)
        peer.send(CLOSE, b"\x03\xe8")
        if role == "server":
            assert peer.at_eof()
        peer.close()
        close.result()
        assert isinstance(send.error(), (syncws.ConnectionClosed, TimeoutError))
