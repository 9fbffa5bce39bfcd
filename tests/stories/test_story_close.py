"""close() while other threads sit in every other method."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

import syncws
from support.ends import both_roles, end_and_peer, linked, plain_and_tls
from support.threads import Running, blocked_in, eventually
from syncws.deadline import Deadline
from syncws.writer import Writer

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
NORMAL = struct.pack("!H", 1000)


def waiting(function, call, *args, **kwargs):
    """Return a call that waits inside a function of this name."""
    running = Running(call, *args, **kwargs)
    eventually(lambda: blocked_in(running.thread, function) or not running.alive)
    assert running.alive
    return running


def everybody(ws):
    """Return calls that wait in every method that waits, and what each must come to."""
    return [
        (waiting("get", ws.recv), syncws.ConnectionClosed),
        (waiting("get", ws.recv, timeout=60), syncws.ConnectionClosed),
        (waiting("get", list, ws), []),
        (waiting("begin_stream", list, ws.recv_stream()), syncws.ConnectionClosed),
        (waiting("result", ws.ping), syncws.ConnectionClosed),
        (waiting("result", ws.ping_nowait().result), syncws.ConnectionClosed),
        (waiting("wait_closed", ws.wait_closed), True),
    ]


@both_roles
@plain_and_tls
def test_close_wakes_everybody(role, secure):
    with end_and_peer(role, secure) as (ws, peer):
        waiters = everybody(ws)
        closes = [Running(ws.close, 1000, "bye") for _ in range(3)]
        peer.recv_until(CLOSE)
        peer.send(CLOSE, NORMAL)
        peer.close()
        for close in closes:
            close.result()
        for call, outcome in waiters:
            if isinstance(outcome, type):
                error = call.error()
                assert isinstance(error, syncws.ConnectionClosedOK)
                assert (error.rcvd, error.sent) == (syncws.Close(1000), syncws.Close(1000, "bye"))
            else:
                assert call.result() == outcome


def errors_of(waiters):
    """See that every call ends, and yield what those raise that do not wait for the end itself."""
    for call, outcome in waiters:
        if outcome is True:
            assert call.result() is True
        else:
            error = call.error()
            assert isinstance(error, syncws.ConnectionClosedError)
            yield error


@both_roles
@plain_and_tls
@pytest.mark.parametrize("end", ["reset", "eof", "abort"])
def test_a_rough_end_wakes_everybody(role, secure, end):
    with end_and_peer(role, secure, ping_interval=None) as (ws, peer):
        waiters = everybody(ws)
        if end == "reset":
            peer.recv_until(PING)  # else the reset comes with unread bytes of its own making
            peer.reset()
        elif end == "eof":
            peer.close()
        else:
            ws.abort()
        for error in errors_of(waiters):
            assert error.code == 1006


@both_roles
@plain_and_tls
def test_close_under_a_stuck_send_wakes_everybody(role, secure):
    with end_and_peer(role, secure, close_timeout=0.1) as (ws, _):
        waiters = everybody(ws)
        waiters.append((waiting("wait_writable", ws.send, bytes(2**24)), None))
        waiters.append((waiting("acquire", ws.send, ["its", "turn"]), None))
        ws.close()
        for error in errors_of(waiters):
            assert isinstance(error.__cause__, TimeoutError)


@both_roles
def test_close_in_the_middle_of_a_stream(role):
    """The pieces that came are yielded; the rest will not come."""
    with end_and_peer(role) as (ws, peer):
        peer.send(TEXT, b"to be ", fin=False)
        stream = ws.recv_stream()
        assert next(stream) == "to be "
        reading = waiting("next_piece", list, stream)
        peer.send(CLOSE, NORMAL)
        peer.recv_until(CLOSE)
        peer.close()
        assert isinstance(reading.error(), syncws.ConnectionClosedOK)
        assert ws.wait_closed(5)
        with pytest.raises(syncws.ConnectionClosedOK):
            ws.recv()


@plain_and_tls
def test_close_with_full_queues_on_both_sides_at_once(secure):
    """What was queued stays readable, in order and without a gap; nobody hangs."""
    with linked(secure, max_queue=10, ping_interval=None) as ends:

        def flood(ws):
            with pytest.raises(syncws.ConnectionClosed):
                for number in range(10**9):
                    ws.send(number.to_bytes(4, "big") * 1000)

        floods = [Running(flood, ws) for ws in ends]
        for ws in ends:
            eventually(lambda ws=ws: ws._engine.queue.parked)
        closes = [Running(ws.close) for ws in ends]
        for call in closes + floods:
            call.result()
        for ws in ends:
            received = list(ws)
            assert len(received) >= 10
            assert received == [n.to_bytes(4, "big") * 1000 for n in range(len(received))]


@plain_and_tls
def test_two_closes_cross(secure):
    """Whoever was first: both end well, and know of each other."""
    for _ in range(15):
        with linked(secure) as ends:
            barrier = threading.Barrier(4)

            def close(ws, barrier=barrier):
                barrier.wait()
                ws.close()

            for call in [Running(close, ws) for ws in ends for _ in range(2)]:
                call.result()
            for ws in ends:
                assert ws.state is syncws.State.CLOSED
                assert ws.close_code == 1000
                with pytest.raises(syncws.ConnectionClosedOK):
                    ws.recv()


@both_roles
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_what_comes_behind_a_close_is_not_looked_at(role, opcode):
    """Neither data nor rubbish, in the same segment or later."""
    with end_and_peer(role) as (ws, peer):
        close = peer.frame(CLOSE, NORMAL)
        peer.sock.sendall(peer.frame(opcode, b"1") + close + peer.frame(opcode, b"2") + b"\xff" * 9)
        peer.recv_until(CLOSE)
        peer.sock.sendall(peer.frame(opcode, b"3") + b"\xff" * 9)
        peer.close()
        assert len(list(ws)) == 1
        assert ws.close_code == 1000


@both_roles
def test_close_of_the_peer_in_the_middle_of_a_message(role):
    """RFC 6455 section 5.4 lets control frames come there; the message is lost."""
    with end_and_peer(role) as (ws, peer):
        peer.send(TEXT, b"whole")
        peer.send(TEXT, b"ha", fin=False)
        peer.send(CLOSE, NORMAL)
        peer.recv_until(CLOSE)
        peer.close()
        assert list(ws) == ["whole"]


@plain_and_tls
def test_senders_and_close_never_write_into_a_stranger(secure):
    """File descriptors are reused at once: whoever writes a moment too late hits another socket."""
    stop = threading.Event()

    def strangers():
        while not stop.is_set():
            socks = [sock for _ in range(8) for sock in socket.socketpair()]
            threading.Event().wait(0.0005)
            for sock in socks:
                sock.setblocking(False)
                with pytest.raises(BlockingIOError):
                    assert sock.recv(100) == "nothing, and it is not shut down"
            for sock in socks:
                sock.close()

    watchers = [Running(strangers) for _ in range(2)]

    def send(ws):
        with pytest.raises(syncws.ConnectionClosed):
            while True:
                ws.send(b"x" * 5000)
                ws.pong(b"y")

    def drain(ws):
        for _ in ws:
            pass

    for turn in range(20):
        with linked(secure, ping_interval=None) as ends:
            senders = [Running(send, ws) for ws in ends for _ in range(3)]
            receivers = [Running(drain, ws) for ws in ends]
            eventually(lambda ws=ends[turn % 2]: ws.stats.messages_received > 20)
            if turn % 4 < 2:
                ends[turn % 2].close()
            else:
                ends[turn % 2].abort()
            for call in senders:
                call.result()
            for call in receivers:
                call.thread.join(20)
                assert not call.alive
    stop.set()
    for watcher in watchers:
        watcher.result()


def test_close_in_the_callback_of_a_ping():
    """It runs in the reader thread, which cannot wait for itself."""
    with end_and_peer("client") as (ws, peer):
        pong = ws.ping_nowait(b"?")
        pong.add_done_callback(lambda _: ws.close(1001))
        assert peer.recv() == (PING, b"?")
        peer.send(10, b"?")
        assert peer.recv_until(CLOSE) == struct.pack("!H", 1001)
        peer.send(CLOSE, NORMAL)
        peer.close()
        assert ws.wait_closed(5)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_leaves_by_system_exit_ends_the_connection():
    """The reader must not go without a word: whoever waits would wait for ever."""
    with end_and_peer("client") as (ws, peer):
        pong = ws.ping_nowait(b"?")
        pong.add_done_callback(lambda _: exit_thread())
        peer.recv()
        peer.send(10, b"?")
        assert ws.wait_closed(5)
        with pytest.raises(syncws.ConnectionClosedError):
            ws.recv()


def test_a_callback_that_leaves_by_system_exit_while_recv_reads():
    """It runs in that thread, which leaves; and the connection has ended."""
    with end_and_peer("client") as (ws, peer):
        pong = ws.ping_nowait(b"?")
        pong.add_done_callback(lambda _: exit_thread())
        receiving = waiting("get", ws.recv)
        peer.recv()
        peer.send(10, b"?")
        assert isinstance(receiving.error(), (SystemExit, syncws.ConnectionClosedError))
        assert ws.wait_closed(5)


def test_a_callback_that_closes_while_recv_reads():
    """It runs in the thread that waits in recv(), which cannot wait for itself."""
    with end_and_peer("client", close_timeout=600) as (ws, peer):
        pong = ws.ping_nowait(b"?")
        pong.add_done_callback(lambda _: ws.close(4000))
        receiving = Running(ws.recv)
        eventually(lambda: blocked_in(receiving.thread, "fill", "get"))
        peer.recv()
        peer.send(10, b"?")
        assert peer.recv_until(8)[:2] == (4000).to_bytes(2, "big")
        peer.send(8, (4000).to_bytes(2, "big"))
        peer.close()
        assert isinstance(receiving.error(), syncws.ConnectionClosed)
        assert ws.wait_closed(5)


def exit_thread():
    raise SystemExit


def test_send_in_a_send_of_the_same_thread():
    """In an iterable or a signal handler it would wait for itself."""
    with linked() as (client, server):

        def fragments():
            yield "one"
            with pytest.raises(syncws.ConcurrencyError):
                client.send("two")
            yield "three"

        client.send(fragments())
        assert server.recv() == "onethree"


def test_nothing_goes_out_behind_a_close_when_time_has_lapsed():
    """The Close passed between two fragments and is half out; the deadline lapses just then."""
    script = {b"one": True, b"Close": False}
    out = []

    class Socket:
        pending = False

        def send_nowait(self, data):
            out.append(data)
            if data == b"one":
                writer.post(b"Close")
            self.pending = not script[data]
            return script[data]

        def wait_writable(self, deadline):
            return False

        def flush_nowait(self):
            return False

    def admit():
        if b"Close" in out:
            raise InterruptedError("closing")

    writer = Writer(Socket())
    writer.flush_nowait = lambda: None
    with pytest.raises(InterruptedError):
        writer.write([b"one", b"two", b"three"], Deadline(0.01), admit)
    assert out == [b"one", b"Close"]
