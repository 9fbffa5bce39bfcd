"""The byte stream: whole and in order, plain and TLS, whatever interrupts it."""

from __future__ import annotations

import contextlib
import random
import select
import shutil
import socket
import ssl
import struct
import subprocess
import sys

import pytest

from support.streams import (
    LARGE,
    fill,
    nested_pair,
    plain_pair,
    read,
    read_to_end,
    recv_to_end,
    soon,
    tcp_pair,
    tls_pair,
    unready_tls_pair,
)
from support.threads import Running, blocked_in, eventually
from support.tls import CA, client_context, server_context
from syncws import sockets
from syncws.deadline import Deadline
from syncws.sockets import wait_for
from syncws.tls import TLSTransport
from syncws.transport import Transport

RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def closing():
    """Return a function that sees to it that some things are closed in the end."""
    with contextlib.ExitStack() as stack:

        def close_later(*things):
            for thing in things:
                stack.callback(thing.close)
            return things

        yield close_later


@pytest.fixture
def plain(closing):
    """Return both ends of a plain stream."""
    return closing(*plain_pair())


@pytest.fixture
def tls(closing):
    """Return the client's and the server's end of a TLS stream."""
    return closing(*tls_pair())


@pytest.fixture
def nested(closing):
    """Return the client's and the server's end of a TLS stream in another one."""
    return closing(*nested_pair())


@pytest.fixture(params=["tls", "nested"])
def tls_ends(request):
    """Return both ends of a TLS stream, of either kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["plain", "tls", "nested", "plain without poll", "tls without poll"])
def ends(request, monkeypatch):
    """Return both ends of a stream, of every kind; without poll and MSG_DONTWAIT as on Windows."""
    if "without" in request.param:
        monkeypatch.setattr(sockets, "DONTWAIT", 0)
        monkeypatch.delattr(select, "poll", raising=False)
    return request.getfixturevalue(request.param.split()[0])


# Reading.


def test_recv_returns_bytes_in_order(ends):
    """What one end sends, the other receives, in order."""
    ours, theirs = ends

    ours.send(b"one ", soon())
    ours.send(b"two", soon())

    assert read(theirs, 7) == b"one two"


def test_recv_without_a_deadline_blocks_until_there_are_bytes(ends):
    """A reader waits for the first byte."""
    ours, theirs = ends
    reading = Running(theirs.recv)
    eventually(lambda: blocked_in(reading.thread, "recv"))

    ours.send(b"late", soon())

    assert reading.result() == b"late"


def test_recv_with_a_deadline_blocks_until_there_are_bytes(ends):
    """A reader with a deadline waits, too."""
    ours, theirs = ends
    reading = Running(theirs.recv, soon())
    eventually(lambda: blocked_in(reading.thread, "wait_for"))

    ours.send(b"late", soon())

    assert reading.result() == b"late"


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_recv_that_times_out_loses_nothing(ends, seconds):
    """After a timeout the stream goes on."""
    ours, theirs = ends

    with pytest.raises(TimeoutError, match=f"nothing received in {seconds} s"):
        theirs.recv(Deadline(seconds))
    ours.send(b"after", soon())

    assert read(theirs, 5) == b"after"


def test_recv_returns_nothing_at_the_end_of_the_stream(ends):
    """A half-closed stream ends behind its last byte, and stays at its end."""
    ours, theirs = ends

    ours.send(b"last", soon())
    ours.half_close()

    assert read_to_end(theirs) == b"last"
    assert theirs.recv(soon()) == b""


def test_recv_raises_on_a_reset(plain):
    """A reset by the peer is an error, not an end."""
    ours, theirs = plain
    reading = Running(ours.recv)
    eventually(lambda: blocked_in(reading.thread, "recv"))

    theirs.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    theirs.close()

    assert isinstance(reading.error(), ConnectionResetError)


# Writing.


def test_send_nowait_takes_all_and_leaves_what_does_not_fit(ends):
    """Data too large for the socket waits, and goes out by flush_nowait as the peer reads."""
    ours, theirs = ends

    done = ours.send_nowait(LARGE)
    waited = ours.pending
    reading = Running(read, theirs, len(LARGE))
    eventually(ours.flush_nowait)

    assert not done
    assert waited
    assert reading.result() == LARGE
    assert not ours.pending


def test_send_nowait_goes_behind_what_waits(ends):
    """Later data is not written before earlier data."""
    ours, theirs = ends

    sent = [ours.send_nowait(data) for data in (LARGE, b"second", b"third")]
    reading = Running(read, theirs, len(LARGE) + 11)
    eventually(ours.flush_nowait)

    assert sent == [False, False, False]
    assert reading.result() == LARGE + b"secondthird"


def test_send_nowait_sends_the_rest_behind_the_data(ends):
    """What is large is given apart; it may have to wait as well."""
    ours, theirs = ends

    sent = [ours.send_nowait(b"header ", rest) for rest in (b"rest ", LARGE, b"third")]
    reading = Running(read, theirs, 7 + 5 + 7 + len(LARGE) + 7 + 5)
    eventually(ours.flush_nowait)

    assert sent == [True, False, False]
    assert reading.result() == b"header rest header " + LARGE + b"header third"
    assert not ours.pending


class InterruptedList(list):
    """Ctrl-C comes right behind each call that takes something in."""

    def append(self, item):
        super().append(item)
        raise KeyboardInterrupt

    def extend(self, items):
        super().extend(items)
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("plain", "_unsent"),
        ("tls", "_unsent"),
        ("tls", "_written"),
        ("nested", "_unsent"),
        ("nested", "_written"),
    ],
)
def test_an_interruption_comes_never_between_data_and_rest(request, kind, name):
    """What is sent next would be taken for the rest."""
    ours, theirs = request.getfixturevalue(kind)
    interrupted = InterruptedList([(b"", [])] if name == "_unsent" else [])

    setattr(ours, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        ours.send_nowait(b"header ", b"rest ")
    setattr(ours, name, list(interrupted))
    ours.send(b"next", soon())
    ours.half_close()

    assert read_to_end(theirs) == b"header rest next"


def test_send_nowait_of_what_fits_leaves_nothing(ends):
    """Data that the socket takes is done with."""
    ours, _ = ends

    done = ours.send_nowait(b"little")

    assert done
    assert not ours.pending
    assert ours.flush_nowait()


def test_send_blocks_until_the_socket_has_taken_all(ends):
    """A large write waits for the peer to read."""
    ours, theirs = ends
    sending = Running(ours.send, LARGE, soon())
    eventually(lambda: blocked_in(sending.thread, "wait_writable"))

    received = read(theirs, len(LARGE))

    sending.result()
    assert received == LARGE


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_send_that_times_out_keeps_the_order(ends, seconds):
    """What was left of a write that timed out goes out before the next one."""
    ours, theirs = ends

    with pytest.raises(TimeoutError, match=f"did not take all bytes in {seconds} s"):
        ours.send(LARGE, Deadline(seconds))
    reading = Running(read, theirs, len(LARGE) + 4)
    ours.send(b"next", soon())

    assert reading.result() == LARGE + b"next"


def test_send_to_a_broken_connection_raises(plain):
    """Writing behind a reset is an error of the network."""
    ours, theirs = plain
    theirs.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    theirs.close()
    with pytest.raises(ConnectionResetError):
        ours.recv(soon())

    with pytest.raises(BrokenPipeError):
        ours.send_nowait(b"x")


def test_wait_writable_returns_false_on_a_timeout(ends):
    """Waiting for a full socket ends by the deadline."""
    ours, _ = ends
    ours.send_nowait(LARGE)

    assert not ours.wait_writable(Deadline(0))


def with_socket_of(kind, closing):
    """Return a transport over a socket of this class, and the socket at the other end."""
    ours, theirs = tcp_pair()
    transport = Transport(kind(fileno=ours.detach()))
    closing(transport, theirs)
    return transport, theirs


def test_an_interrupted_write_is_never_followed_by_another(closing):
    """When Ctrl-C hides how much the socket took, the stream stops instead of being torn."""

    class Interrupted(socket.socket):
        def send(self, data, flags=0):
            super().send(data, flags)
            raise KeyboardInterrupt

    interrupted, theirs = with_socket_of(Interrupted, closing)

    with pytest.raises(KeyboardInterrupt):
        interrupted.send_nowait(b"first")
    with pytest.raises(OSError, match="interrupted"):
        interrupted.send_nowait(b"second")
    interrupted.close()

    assert recv_to_end(theirs) == b"first"


@pytest.mark.native_threads("send() is not C code there, so what it took might be unknown")
def test_an_interruption_right_before_a_write_tears_nothing(plain, monkeypatch):
    """On Pythons before 3.11, Ctrl-C may come between the last step of ours and send()."""
    ours, theirs = plain

    def interrupted(*_):
        raise KeyboardInterrupt
        yield

    with monkeypatch.context() as patch:
        patch.setattr("syncws.transport.map", interrupted, raising=False)
        with pytest.raises(KeyboardInterrupt):
            ours.send_nowait(b"first")
    ours.send_nowait(b"second")

    assert read(theirs, 11) == b"firstsecond"


def test_a_read_that_was_interrupted_unseen_ends_the_stream(closing, monkeypatch):
    """When recv() is not C code, Ctrl-C may hide what it took; nothing can follow the gap."""
    monkeypatch.setattr("syncws.transport.greenlets", lambda: True)

    class Interrupted(socket.socket):
        def recv(self, size, flags=0):
            super().recv(size, flags)
            raise KeyboardInterrupt

    interrupted, theirs = with_socket_of(Interrupted, closing)
    theirs.sendall(b"lost")

    with pytest.raises(KeyboardInterrupt):
        interrupted.recv(soon())

    assert recv_to_end(theirs) == b""


# Signs that the peer takes what we send.


def test_progress_counts_only_bytes_that_had_to_wait(plain):
    """That the system's buffer has room says nothing of the peer; that it has room again does."""
    ours, theirs = plain

    ours.send_nowait(b"little")
    ours.send_nowait(LARGE)
    before = ours.progress
    reading = Running(read, theirs, 6 + len(LARGE))
    eventually(ours.flush_nowait)

    reading.result()
    assert before == 0
    assert ours.progress > 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_confirmed_grows_as_the_peer_takes_bytes(closing):
    """It can be seen from here that the peer reads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = Transport(socket.create_connection(listener.getsockname()))
        theirs = Transport(listener.accept()[0])
    closing(ours, theirs)
    ours.send_nowait(LARGE * 64)
    before = ours.confirmed()

    reading = Running(read, theirs, len(LARGE) * 64)
    eventually(lambda: ours.flush_nowait() or ours.confirmed() > before)
    grown = ours.confirmed() > before
    eventually(ours.flush_nowait)

    reading.result()
    assert grown


def test_what_the_socket_took_at_once_counts(ends):
    """Or it would look as if the peer had come less far."""
    ours, _ = ends
    before = ours._taken

    ours.send_nowait(bytes(1000))

    assert ours._taken - before >= 1000


def test_confirmed_is_nothing_for_few_bytes(plain):
    """A few bytes on the way, such as Pings, are no sign of life."""
    ours, _ = plain

    ours.send_nowait(b"little")

    assert ours.confirmed() == 0


# The end.


def test_plain_stream_receives_behind_its_half_close(plain):
    """Half-closing ends one direction only."""
    ours, theirs = plain

    ours.half_close()
    theirs.send(b"still here", soon())

    assert read(ours, 10) == b"still here"


def test_tls_stream_ignores_what_comes_behind_its_half_close(tls_ends):
    """Behind our close_notify the stream is read to its end, for no one."""
    ours, theirs = tls_ends
    theirs.send(b"too late", soon())

    ours.half_close()
    theirs.send(b"later still", soon())
    theirs.half_close()

    assert ours.recv(soon()) == b""


def test_tls_half_close_while_a_reader_waits(tls_ends):
    """A reader that waited before the half-close comes to the end, too."""
    ours, theirs = tls_ends
    reading = Running(ours.recv)
    eventually(lambda: blocked_in(reading.thread, "recv"))

    ours.half_close()
    theirs.send(b"too late", soon())
    theirs.half_close()

    assert reading.result() == b""
    assert read_to_end(theirs) == b""


@pytest.mark.parametrize("end", [Transport.abort, Transport.shutdown])
def test_the_end_wakes_a_blocked_recv(ends, end):
    """A reader does not outlive its stream."""
    ours, _ = ends
    reading = Running(ours.recv)
    eventually(lambda: blocked_in(reading.thread, "recv"))

    end(ours)

    assert reading.result() == b""


@pytest.mark.parametrize("end", [Transport.abort, Transport.shutdown])
def test_the_end_wakes_a_blocked_wait_writable(ends, end):
    """A thread that waits to write learns that the socket is broken."""
    ours, _ = ends
    ours.send_nowait(LARGE)
    waiting = Running(ours.wait_writable, soon())
    eventually(lambda: blocked_in(waiting.thread, "wait_for"))

    end(ours)

    assert waiting.result()
    with pytest.raises(BrokenPipeError):
        ours.flush_nowait()


def test_the_end_wakes_a_blocked_send(ends):
    """A writer does not outlive its stream."""
    ours, _ = ends
    sending = Running(ours.send, LARGE, soon())
    eventually(lambda: blocked_in(sending.thread, "wait_writable"))

    ours.abort()

    assert isinstance(sending.error(), BrokenPipeError)


def test_abort_drops_what_the_peer_has_not_taken(plain):
    """Aborting resets the connection: the peer meets an error before it has all."""
    ours, theirs = plain
    ours.send_nowait(LARGE)

    ours.abort()
    ours.close()

    with pytest.raises(ConnectionResetError):
        read_to_end(theirs)


def test_close_may_be_a_reset(plain):
    """The peer meets an error, not an orderly end, although it has all that was sent."""
    ours, theirs = plain
    ours.send_nowait(b"not all")
    assert read(theirs, 7) == b"not all"

    ours.reset_on_close()
    ours.close()

    with pytest.raises(ConnectionResetError):
        read_to_end(theirs)


def test_abort_behind_close_does_nothing(ends):
    """The end may be asked for again."""
    ours, _ = ends

    ours.close()
    ours.abort()
    ours.shutdown()
    ours.half_close()
    ours.close()

    assert ours.sock.fileno() == -1


def test_disown_leaves_the_connection_to_the_other_owner(plain):
    """A forked child closes its copy without a word to the peer."""
    ours, theirs = plain
    parents = ours.sock.dup()

    with parents:
        ours.send_nowait(LARGE)
        ours.disown()
        parents.shutdown(socket.SHUT_WR)

    assert ours.sock.fileno() == -1
    assert not ours.pending
    assert LARGE.startswith(read_to_end(theirs))


# TLS.


def test_tls_handshake_agrees_on_a_session(tls):
    """Both ends end up with the same protocol and cipher."""
    client, server = tls

    assert client.ssl_object.version() == server.ssl_object.version()
    assert client.ssl_object.cipher() == server.ssl_object.cipher()
    assert client.ssl_object.getpeercert()["subject"]


def test_tls_handshake_that_is_refused_raises_at_both_ends(closing):
    """A client that does not trust the server tells it so."""
    ours, theirs = tcp_pair()
    client = TLSTransport(ours, ssl.create_default_context(), server_hostname="localhost")
    server = TLSTransport(theirs, server_context(), server_side=True)
    closing(client, server)
    shaking = Running(lambda: (server.handshake(soon()), server.recv(soon())))

    with pytest.raises(ssl.SSLCertVerificationError):
        client.handshake(soon())

    error = shaking.error()
    assert isinstance(error, ssl.SSLError)
    assert "ALERT_UNKNOWN_CA" in str(error).upper().replace(" ", "_")


def test_tls_handshake_checks_the_name(closing):
    """A certificate for another name is refused."""
    ours, theirs = tcp_pair()
    client = TLSTransport(ours, client_context(), server_hostname="localhost")
    server = TLSTransport(theirs, server_context("elsewhere"), server_side=True)
    closing(client, server)
    shaking = Running(lambda: (server.handshake(soon()), server.recv(soon())))

    with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
        client.handshake(soon())

    assert isinstance(shaking.error(), ssl.SSLError)


def test_tls_handshake_with_a_peer_that_leaves_raises(closing):
    """The end of the stream in the middle of the TLS handshake is an error."""
    client, server = closing(*unready_tls_pair())

    server.close()

    with pytest.raises(ssl.SSLEOFError, match="closed the connection in the TLS handshake"):
        client.handshake(soon())


def test_tls_handshake_with_a_silent_peer_times_out(closing):
    """The TLS handshake ends by its deadline."""
    client, _ = closing(*unready_tls_pair())

    with pytest.raises(TimeoutError):
        client.handshake(Deadline(0.01))


def test_tls_handshake_with_a_peer_that_speaks_no_tls_raises(closing):
    """Other bytes are refused."""
    client, server = closing(*unready_tls_pair())

    client.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")

    with pytest.raises(ssl.SSLError):
        server.handshake(soon())


def test_tls_stream_cut_off_without_close_notify_ends(tls_ends):
    """TCP may end without a word of TLS: WebSocket has its own closing handshake."""
    ours, theirs = tls_ends
    ours.send(b"last", soon())

    ours.sock.shutdown(socket.SHUT_WR)

    assert read_to_end(theirs) == b"last"


def test_tls_stream_cut_off_in_a_record_ends_behind_the_last_whole_one(tls_ends):
    """Half a record is never delivered."""
    ours, theirs = tls_ends
    ours.send(b"whole", soon())

    ours.sock.send(b"\x17\x03\x03\x00\x40 half a record")
    ours.sock.shutdown(socket.SHUT_WR)

    assert read_to_end(theirs) == b"whole"


def test_tls_stream_with_a_forged_record_raises(tls_ends):
    """Bytes that the peer's key did not seal are an error."""
    ours, theirs = tls_ends

    ours.sock.send(b"\x17\x03\x03\x00\x20" + bytes(32))

    with pytest.raises(ssl.SSLError):
        theirs.recv(soon())


def test_tls_stream_with_a_forged_record_delivers_what_came_before(tls_ends):
    """What was sealed stays readable; the stream ends behind it, in an error or not."""
    ours, theirs = tls_ends
    ours.send(b"sealed", soon())

    ours.sock.send(b"\x17\x03\x03\x00\x20" + bytes(32))
    received = theirs.recv(soon())
    with contextlib.suppress(ssl.SSLError):
        received += theirs.recv(soon())

    assert received == b"sealed"


@pytest.mark.parametrize("make", [plain_pair, tls_pair, nested_pair])
def test_two_threads_at_each_end_lose_and_corrupt_nothing(closing, make):
    """Both ends send and receive at the same time, each with a thread for either direction."""
    ends = closing(*make())
    sizes = [random.Random(7).choice([1, 10, 125, 3000, 70000]) for _ in range(300)]
    data = random.Random(8).getrandbits(8 * 100000).to_bytes(100000, "big")

    receiving = [Running(read, end, sum(sizes)) for end in ends]
    sending = [
        Running(lambda end=end: [end.send(data[:size], soon()) for size in sizes]) for end in ends
    ]

    for run in sending:
        run.result()
    expected = b"".join(data[:size] for size in sizes)
    assert [run.result() == expected for run in receiving] == [True, True]


def test_many_tls_connections_are_used_by_two_threads_from_the_first_byte(closing):
    """The first writes race with the rest of the TLS handshake, over many connections."""
    for _ in range(20):
        client, server = closing(*tls_pair())
        runs = [
            Running(client.send, LARGE, soon()),
            Running(server.send, LARGE, soon()),
            Running(read, client, len(LARGE)),
            Running(read, server, len(LARGE)),
        ]

        results = [run.result() for run in runs]

        assert results == [None, None, LARGE, LARGE]


@pytest.fixture
def s_client(closing):
    """Return our end of a TLS stream and the process of openssl at the other."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [openssl, "s_client", "-tls1_3", "-connect", "127.0.0.1:%d"]
        command[-1] %= listener.getsockname()[1]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
        sock, _ = listener.accept()
    (stream,) = closing(TLSTransport(sock, server_context(), server_side=True))
    with process:
        stream.handshake(soon())
        yield stream, process
        process.kill()


def read_until(pipe, mark):
    """Read from a pipe until it has said something."""
    said = b""
    while mark not in said:
        data = pipe.read(65536)
        assert data, f"{said!r}, then the end"
        said += data


def ask_for_new_keys(openssl):
    """Let openssl send a TLS 1.3 key update that asks for one in return, and "hello" behind it."""
    openssl.stdin.write(b"K\n")
    read_until(openssl.stderr, b"KEYUPDATE")
    openssl.stdin.write(b"hello")


def test_tls_key_update_changes_the_keys_and_nothing_else(s_client):
    """The stream goes on in both directions, with an answer to the peer's key update."""
    stream, openssl = s_client

    ask_for_new_keys(openssl)
    received = read(stream, 5)
    stream.send(b"with the new key", soon())

    assert received == b"hello"
    read_until(openssl.stdout, b"with the new key")


@pytest.fixture(params=["tls", "nested"])
def asked(request, closing):
    """
    Return a client's end that TLS asks for something, its server's end behind the question.

    It is the outer TLS where there are two.
    """
    ours, theirs = tcp_pair()
    clients, servers = client_context(), server_context()
    clients.post_handshake_auth = servers.post_handshake_auth = True
    servers.load_verify_locations(CA)
    servers.verify_mode = ssl.CERT_OPTIONAL
    client = TLSTransport(ours, clients, server_hostname="localhost")
    server = TLSTransport(theirs, servers, server_side=True)
    closing(client, server)
    shaking = Running(server.handshake, soon())
    client.handshake(soon())
    shaking.result()
    asking = server.ssl_object
    if request.param == "nested":
        client, server = nested_pair((client, server))
    asking.verify_client_post_handshake()
    server.send(b"hello", soon())
    return client, server


def test_tls_answer_that_reading_calls_for_waits_for_a_flush(asked):
    """A reader must not write, so it says that there is something to write."""
    client, server = asked

    received = read(client, 5)
    waits = client.wants_flush, client.pending
    flushed = client.flush_nowait()
    client.send(b"more", soon())

    assert received == b"hello"
    assert waits == (True, True)
    assert flushed
    assert not client.pending
    assert read(server, 4) == b"more"


def test_tls_answer_that_reading_calls_for_goes_with_the_next_write(asked):
    """Whoever writes first carries the answer along, and there is nothing left to flush."""
    client, server = asked

    received = read(client, 5)
    client.send(b"more", soon())

    assert received == b"hello"
    assert not client.pending
    assert client.flush_nowait()
    assert read(server, 4) == b"more"


def test_tls_answer_that_reading_calls_for_goes_behind_what_waits(asked):
    """The answer does not overtake earlier bytes."""
    client, server = asked
    client.send_nowait(LARGE)

    received = read(client, 5)
    reading = Running(read, server, len(LARGE) + 4)
    eventually(client.flush_nowait)
    client.send(b"more", soon())

    assert received == b"hello"
    assert reading.result() == LARGE + b"more"


# Tools.


@pytest.mark.parametrize("poll", [True, False])
def test_wait_for_tells_what_a_socket_is_ready_for(monkeypatch, closing, poll):
    """A fresh socket can be written and not read; a full one whose peer wrote, the reverse."""
    ours, theirs = closing(*tcp_pair())
    if not poll:
        monkeypatch.delattr(select, "poll", raising=False)

    fresh = wait_for(ours, "write", None), wait_for(ours, "read", 0)
    theirs.send(b"x")
    readable = wait_for(ours, "read", None)
    eventually(lambda: fill(ours) == b"")

    assert fresh == (True, False)
    assert readable
    assert not wait_for(ours, "write", 0)


@pytest.mark.parametrize("poll", [True, False])
def test_wait_for_returns_on_a_broken_socket(monkeypatch, closing, poll):
    """Nobody waits for a socket that has ended."""
    ours, _ = closing(*tcp_pair())
    if not poll:
        monkeypatch.delattr(select, "poll", raising=False)
    fill(ours)

    ours.shutdown(socket.SHUT_RDWR)

    assert wait_for(ours, "write", None)
    assert wait_for(ours, "read", None)
