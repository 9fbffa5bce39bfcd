"""What becomes of the socket that a server believes to have."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading

import pytest

from support.streams import tcp_pair
from support.threads import Running, eventually
from syncws import takeover
from syncws.takeover import Place, find_place, http_version, stopping, take_over, was_taken


@pytest.fixture
def taken():
    """Take a socket over; give the server's, ours, the client's, and what was done."""
    servers, client = tcp_pair()
    servers.settimeout(20)
    environ = {}
    place = Place(servers.fileno, servers.getpeername(), lambda: b"read before")
    ours, trailing, sink = take_over(environ, place)
    with servers, client, ours:
        yield servers, ours, client, sink
        sink.watch(lambda: None)
    assert trailing == b"read before"
    assert was_taken(environ)


def test_what_the_server_does_never_meets_the_client(taken):
    """It writes, waits for another request, shuts down and closes."""
    servers, ours, client, sink = taken
    sink.watch(lambda: None)

    servers.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    assert servers.recv(100) == b""  # no other request comes
    servers.shutdown(socket.SHUT_RDWR)
    servers.close()

    ours.sendall(b"to the client")
    client.sendall(b"from the client")
    assert client.recv(100) == b"to the client"
    assert ours.recv(100) == b"from the client"


def test_the_server_never_blocks(taken):
    """However much it writes."""
    servers, _, _, sink = taken
    sink.watch(lambda: None)

    servers.sendall(bytes(16 * 2**20))


def test_the_sink_tells_when_the_server_closes(taken):
    servers, _, _, sink = taken
    done = []
    sink.watch(lambda: done.append(1))
    servers.sendall(b"x" * 1000)

    assert not done
    servers.close()
    eventually(lambda: done)
    assert done == [1]
    assert sink._sock.fileno() == -1


def test_the_descriptor_stays_as_it_was(taken):
    """Not inherited by other programs; a server that never blocks finds it so."""
    servers, ours, _, _ = taken
    assert not os.get_inheritable(servers.fileno())
    assert not os.get_inheritable(ours.fileno())


@pytest.mark.parametrize("blocking", [True, False])
def test_blocking_or_not(blocking):
    servers, client = tcp_pair()
    with servers, client:
        servers.setblocking(blocking)
        ours, _, sink = take_over({}, Place(servers.fileno, None, bytes))
        with ours:
            assert os.get_blocking(servers.fileno()) is blocking
            servers.close()
            Running(sink.watch, lambda: None).result()
            eventually(lambda: sink._sock.fileno() == -1)


def test_unix_sockets():
    servers, client = socket.socketpair()
    with servers, client:
        ours, _, sink = take_over({}, Place(servers.fileno, None, bytes))
        with ours:
            ours.sendall(b"hello")
            assert client.recv(100) == b"hello"
        servers.close()
        sink.watch(lambda: None)


class Wrapper:
    """Keeps an application from reading behind the body, as servers do."""

    def __init__(self, name, reader):
        setattr(self, name, reader)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda reader: reader,
        lambda reader: Wrapper("rfile", reader),
        lambda reader: Wrapper("stream", Wrapper("rfile", reader)),
        lambda reader: Wrapper("_read", reader.read),
    ],
)
def test_find_the_socket_below_the_input(wrap):
    servers, client = tcp_pair()
    with servers, client, servers.makefile("rb") as reader:
        client.sendall(b"line\nrest")
        assert reader.readline() == b"line\n"

        place = find_place({"wsgi.input": wrap(reader)})

        assert (place.fileno(), place.peer_address) == (servers.fileno(), client.getsockname())
        ours, trailing, sink = take_over({}, place)
        assert trailing == b"rest"
        ours.close()
        assert reader.read() == b""
    sink.watch(lambda: None)


@pytest.mark.parametrize("late", [False, True])
def test_a_socket_that_is_closed_meanwhile(monkeypatch, late):
    """Its number is somebody else's at once, who notices nothing, and nothing of ours is left."""
    servers, client = tcp_pair()
    number = servers.fileno()
    with servers, client, servers.makefile("rb") as reader, contextlib.ExitStack() as stack:
        place = find_place({"wsgi.input": reader})
        pair = socket.socketpair
        others = []

        def close():
            reader.close()
            servers.close()
            others.extend(map(stack.enter_context, pair()))
            return pair()

        if late:
            monkeypatch.setattr(takeover.socket, "socketpair", close)
        else:
            for sock in close():
                sock.close()
        environ = {}
        with pytest.raises(OSError, match="Bad file descriptor"):
            take_over(environ, place)

        assert not was_taken(environ)
        assert number in [sock.fileno() for sock in others]
        others[0].sendall(b"still")
        assert others[1].recv(100) == b"still"


def test_nothing_was_read_behind_the_request():
    """The look into the empty buffer does not wait for the client."""
    servers, client = tcp_pair()
    with servers, client, servers.makefile("rb") as reader:
        ours, trailing, sink = take_over({}, find_place({"wsgi.input": reader}))
        assert trailing == b""
        ours.close()
    sink.watch(lambda: None)


def test_the_version_of_http():
    assert http_version({"SERVER_PROTOCOL": "HTTP/1.0"}) == "1.0"
    assert http_version({"SERVER_PROTOCOL": "HTTP/1.0", "eventlet.input": None}) == "1.1"


class Worker:
    """As gunicorn's."""

    alive = True

    def handle_exit(self, number, frame):
        self.alive = False


def test_whether_a_worker_of_gunicorn_wants_to_stop():
    before = signal.getsignal(signal.SIGTERM)
    worker = Worker()
    signal.signal(signal.SIGTERM, worker.handle_exit)
    with contextlib.ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGTERM, before)
        wants = stopping({"SERVER_SOFTWARE": "gunicorn/27.0.1"})
        other = stopping({})
        assert (wants(), other()) == (False, False)

        signal.raise_signal(signal.SIGTERM)

        assert (wants(), other()) == (True, False)


@pytest.mark.parametrize("handler", [signal.SIG_DFL, lambda number, frame: None])
def test_gunicorn_with_a_signal_handler_of_somebody_else(monkeypatch, handler):
    monkeypatch.setattr(takeover.signal, "getsignal", lambda number: handler)
    assert stopping({"SERVER_SOFTWARE": "gunicorn/27.0.1"})() is False


def test_many_at_once():
    """Nobody gets another one's socket, whatever is opened and closed meanwhile."""

    def one():
        for number in range(30):
            servers, client = tcp_pair()
            with servers, client:
                place = Place(servers.fileno, None, bytes)
                ours, _, sink = take_over({}, place)
                done = threading.Event()
                sink.watch(done.set)
                with ours:
                    ours.sendall(b"%d" % number)
                    servers.sendall(b"never seen")
                    servers.close()
                    assert client.recv(100) == b"%d" % number
                assert client.recv(100) == b""
                assert done.wait(20)

    for call in [Running(one) for _ in range(8)]:
        call.result()
