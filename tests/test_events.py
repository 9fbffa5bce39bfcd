"""Events: what happens on a connection, in its order; and the doors of asyncwebsockets."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import ssl

import pytest

import syncws
from support.ends import accepted
from support.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, closing, read_frames
from support.peer import Peer
from support.threads import WATCHDOG, Running, eventually
from support.tls import client_context, server_context
from syncws import ConcurrencyError, ConnectionClosed, InvalidHandshake, InvalidStatus
from syncws.events import (
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Pong,
    TextMessage,
    create_websocket,
    create_websocket_client,
    create_websocket_server,
    open_websocket,
    open_websocket_client,
    open_websocket_server,
)

# Connection.events().


def test_order_of_arrival(ours_and_peer):
    """Control frames come where they were, also in the middle of a message."""
    ws, peer = ours_and_peer()
    events = ws.events(WATCHDOG)
    peer.send(TEXT, b"one")
    peer.send(PING, b"1")
    peer.send(BINARY, b"tw", fin=False)
    peer.send(PONG, b"2")
    peer.send(CONT, b"o")
    peer.send(TEXT, b"three")
    peer.send(CLOSE, closing(4000, b"bye"))
    peer.sock.shutdown(socket.SHUT_WR)

    assert list(events) == [
        TextMessage("one"),
        Ping(b"1"),
        BytesMessage(b"tw", message_finished=False),
        Pong(b"2"),
        BytesMessage(b"o"),
        TextMessage("three"),
        CloseConnection(4000, "bye"),
    ]
    assert ws.stats.messages_received == 3


def test_whole_messages(ours_and_peer):
    """Messages come at their ends, so Pings in the middle of one come before it."""
    ws, peer = ours_and_peer()
    events = ws.events(WATCHDOG, whole=True)
    peer.send(TEXT, b"tw", fin=False)
    peer.send(PING, b"1")
    peer.send(CONT, b"o")
    peer.send(TEXT, b"")

    assert [next(events) for _ in range(3)] == [Ping(b"1"), TextMessage("two"), TextMessage("")]


def test_pieces_of_a_long_frame(ours_and_peer):
    """They come as they arrive: the frame, too, is not finished before its last."""
    ws, peer = ours_and_peer(max_size=None)
    data = os.urandom(500_000)
    sending = Running(peer.send, BINARY, data)
    pieces = []
    for event in ws.events(WATCHDOG):
        pieces.append(event)
        if event.message_finished:
            break
    sending.result()

    assert b"".join(piece.data for piece in pieces) == data
    flags = [(piece.frame_finished, piece.message_finished) for piece in pieces]
    assert flags == [(False, False)] * (len(pieces) - 1) + [(True, True)]
    assert len(pieces) > 1


def test_pings_are_answered(ours_and_peer):
    """Whether or not anybody looks at the events."""
    ws, peer = ours_and_peer()
    ws.events()
    peer.send(PING, b"x")

    assert peer.recv() == (PONG, b"x")


def test_our_pings_are_measured(ours_and_peer):
    """A Pong is an event, and ends a ping() as ever."""
    ws, peer = ours_and_peer()
    events = ws.events(WATCHDOG)
    waiter = ws.ping_nowait(b"p")
    assert peer.recv() == (PING, b"p")
    peer.send(PONG, b"p")

    assert next(events) == Pong(b"p")
    assert waiter.result(WATCHDOG) > 0


def test_the_end_is_an_event_whatever_it_was(ours_and_peer):
    """Without a Close from the peer it has 1006; what came before it is told before it."""
    ws, peer = ours_and_peer()
    peer.send(TEXT, b"last")
    peer.sock.close()

    assert list(ws.events(WATCHDOG)) == [TextMessage("last"), CloseConnection(1006)]
    assert list(ws.events(WATCHDOG)) == [CloseConnection(1006)]


def test_a_lapsed_time_loses_nothing(ours_and_peer):
    """The next call goes on."""
    ws, peer = ours_and_peer()
    with pytest.raises(TimeoutError, match=r"no message in 0\.01 s"):
        next(ws.events(timeout=0.01))
    peer.send(TEXT, b"x")

    assert next(ws.events(WATCHDOG)) == TextMessage("x")


def test_who_takes_events_takes_no_messages(ours_and_peer):
    """One way for a connection; the errors say so."""
    ws, _ = ours_and_peer()
    ws.events()
    with pytest.raises(ConcurrencyError, match=r"events\(\) takes what this connection receives"):
        ws.recv()
    with pytest.raises(ConcurrencyError, match=r"events\(\) takes what this connection receives"):
        next(ws.recv_stream())
    with pytest.raises(ConcurrencyError, match=r"called before, with whole=False"):
        ws.events(whole=True)


@pytest.mark.parametrize("whole", [False, True])
def test_a_message_that_has_begun_before_comes_whole(ours_and_peer, whole):
    """events() may be called at any time."""
    ws, peer = ours_and_peer()
    peer.send(TEXT, b"before")
    peer.send(BINARY, b"a", fin=False)
    eventually(lambda: ws.stats.frames_received == 2)
    events = ws.events(WATCHDOG, whole=whole)
    peer.send(CONT, b"b", fin=False)
    peer.send(CONT, b"c")

    assert [next(events), next(events)] == [TextMessage("before"), BytesMessage(b"abc")]


@pytest.mark.parametrize("flood", [PING, PONG])
def test_control_frames_that_nobody_takes_are_bounded(ours_and_peer, flood):
    """They count among the messages that wait: beyond the limit TCP holds the peer back."""
    ws, peer = ours_and_peer(max_queue=10)
    events = ws.events(WATCHDOG)
    for _ in range(20):
        peer.send(flood, b"x")
    eventually(lambda: ws._engine.queue.parked)
    for _ in range(20):
        assert next(events).payload == b"x"
    for _ in range(20):
        peer.send(flood, b"y")  # there is room again
    for _ in range(20):
        assert next(events).payload == b"y"


def test_events_are_values():
    """Frozen, compared by what they hold, and Pings and Closes know their answers."""
    assert Ping(b"x").response() == Pong(b"x")
    assert CloseConnection(1000, "x").response() == CloseConnection(1000, "x")
    assert isinstance(TextMessage("x"), Message)
    with pytest.raises(dataclasses.FrozenInstanceError):
        TextMessage("x").data = "y"


# The snippets of asyncwebsockets, without "async" and "await".


def test_snippet_event_types(serve):
    """``for evt in websocket: print(type(evt))``."""

    def handler(ws):
        ws.send("text")
        ws.send(b"bytes")
        ws.ping()

    types = []
    with open_websocket(serve(handler).url) as websocket:
        for evt in websocket:
            types.append(type(evt))

    assert types == [TextMessage, BytesMessage, Ping, CloseConnection]


def test_snippet_thanks(serve):
    """``websocket.send("Thanks for saying '%s'!" % (evt.data,))``."""
    told = []

    def handler(ws):
        ws.send("hello")
        told.append(ws.recv(WATCHDOG))

    websocket = create_websocket(serve(handler).url)
    for evt in websocket:
        if isinstance(evt, TextMessage):
            websocket.send("Thanks for saying '%s'!" % (evt.data,))  # noqa: UP031
    websocket.close()

    assert told == ["Thanks for saying 'hello'!"]


def test_snippet_close(serve):
    """``websocket.close(1000, reason="Goodbye!")``."""
    served = []
    websocket = create_websocket(serve(served.append, max_connections=2).url)
    served.clear()
    websocket.close(1000, reason="Goodbye!")

    assert list(websocket) == [CloseConnection(1000)]


# open_websocket() and create_websocket().


def test_open_websocket_closes(serve):
    """With 1000 at the end of the block; with 1011 if that raises."""
    ends = []

    def handler(ws):
        ws.wait_closed()
        ends.append(ws.close_code)

    url = serve(handler).url
    with open_websocket(url):
        pass
    with contextlib.suppress(ZeroDivisionError), open_websocket(url):
        raise ZeroDivisionError

    eventually(lambda: sorted(ends) == [1000, 1011])


def test_headers_and_subprotocols(serve):
    """In the words of asyncwebsockets; the rest in those of connect()."""
    server = serve(lambda ws: ws.send(ws.request.headers["X-Name"]), subprotocols=["chat"])
    with open_websocket(server.url, headers=[("X-Name", "Ada")], subprotocols=["chat"]) as ws:
        assert next(iter(ws)) == TextMessage("Ada")
        assert ws.subprotocol == "chat"


def test_tls(serve):
    """``ssl`` is a context."""
    server = serve(lambda ws: ws.send("secret"), ssl=server_context())
    url = server.url.replace("127.0.0.1", "localhost")
    with create_websocket(url, ssl=client_context()) as ws:
        assert next(iter(ws)) == TextMessage("secret")


def test_connecting_fails(serve):
    """As connect() does."""
    with pytest.raises(InvalidStatus, match="418"):
        open_websocket(serve(process_request=lambda request: syncws.Response(418)).url)


def test_send_in_parts(dial_peer, listener):
    """``final=False``: each call is a frame; others wait until the message is whole."""
    ws, peer = dial_peer(create_connection=syncws.events.WebSocket)
    ws.send("a", False)
    waiting = Running(ws.send, "other")
    ws.send("b", final=False)
    ws.send("c")
    waiting.result()

    assert read_frames(peer, 4) == [
        (TEXT, b"a", False),
        (CONT, b"b", False),
        (CONT, b"c", True),
        (TEXT, b"other", True),
    ]


def test_a_part_of_another_type(dial_peer):
    """The message cannot be finished, so the connection ends."""
    ws, peer = dial_peer(create_connection=syncws.events.WebSocket)
    ws.send("a", final=False)
    with pytest.raises(TypeError, match="all str or all bytes-like"):
        ws.send(b"b")

    assert peer.recv() == (TEXT, b"a")
    assert peer.recv() == (CLOSE, closing(1011, b"message not finished"))
    with pytest.raises(ConnectionClosed):
        ws.send("c")


# On sockets that are there.


def test_client_on_a_socket(serve):
    """The address and the path make the request."""
    server = serve(lambda ws: ws.send(f"{ws.request.headers['Host']} {ws.path}"))
    sock = socket.create_connection(server.server_address)
    with open_websocket_client(sock, ("example.com", 8000), "/chat?x") as ws:
        assert next(iter(ws)) == TextMessage("example.com:8000 /chat?x")


def test_client_on_a_socket_with_tls(serve):
    """TLS is done here, with ``ssl=``."""
    server = serve(lambda ws: ws.send("secret"), ssl=server_context())
    sock = socket.create_connection(server.server_address)
    ws = create_websocket_client(sock, ("localhost", 1), "/", ssl=client_context())
    assert next(iter(ws)) == TextMessage("secret")
    ws.close()


def test_client_on_a_socket_for_ipv6(listener):
    """The Host header has brackets."""
    sock = socket.create_connection(listener.getsockname())
    client = Running(create_websocket_client, sock, ("::1", 8000), "/")
    peer = Peer(listener.accept()[0], masked=False)
    assert b"Host: [::1]:8000\r\n" in peer.read_until(b"\r\n\r\n")
    peer.sock.close()
    with pytest.raises(InvalidHandshake):
        client.result()


def test_server_on_a_socket():
    """The opening handshake on an accepted socket; then both talk."""
    with accepted() as (sock, client), open_websocket_server(sock) as websocket:
        with client.result() as ws:
            ws.send("hi")
            assert next(iter(websocket)) == TextMessage("hi")
            websocket.send(b"there")
            assert ws.recv(WATCHDOG) == b"there"
        assert list(websocket) == [CloseConnection(1000)]
        assert ws.close_code == 1000


def test_server_on_a_socket_with_tls():
    """With ``ssl=`` TLS is done here."""
    with accepted(secure=True) as (sock, client):
        websocket = create_websocket_server(sock, ssl=server_context(), max_size=10)
        client.result().close()
        assert list(websocket) == [CloseConnection(1000)]


@pytest.mark.parametrize("verdict", [True, "b"])
def test_filter_accepts(verdict):
    """With True, or with a subprotocol."""
    asked = []

    def filter(request):
        asked.append(request.path)
        return verdict

    with accepted(subprotocols=["a", "b"]) as (sock, client):
        websocket = create_websocket_server(sock, filter, subprotocols=["a"])
        assert client.result().subprotocol == ("b" if verdict == "b" else "a")
        client.result().close()
        assert websocket.wait_closed(WATCHDOG)
    assert asked == ["/"]


@pytest.mark.parametrize(
    ("verdict", "status"), [(False, 403), (None, 403), (syncws.Response(503), 503)]
)
def test_filter_refuses(verdict, status):
    """The client is told by HTTP, the caller by an exception, and the socket is closed."""
    with accepted() as (sock, client):
        with pytest.raises(InvalidHandshake, match="the filter refused it"):
            create_websocket_server(sock, lambda request: verdict)
        with pytest.raises(InvalidStatus, match=str(status)):
            client.result()
    assert sock.fileno() == -1


def test_filter_fails(caplog):
    """Its exception is logged, and the client is not told why."""
    with accepted() as (sock, client):
        with pytest.raises(InvalidHandshake):
            create_websocket_server(sock, lambda request: 1 / 0)
        with pytest.raises(InvalidStatus, match="500"):
            client.result()
    assert "ZeroDivisionError" in caplog.text


def test_server_refuses_other_origins():
    """As ThreadingServer does; the filter is not asked."""
    with accepted(origin="https://evil.example") as (sock, client):
        with pytest.raises(syncws.InvalidOrigin):
            open_websocket_server(sock, lambda request: pytest.fail("was asked"))
        with pytest.raises(InvalidStatus, match="403"):
            client.result()


def test_a_filter_that_awaits_is_refused():
    """A coroutine would count as yes."""

    async def filter(request):
        return False

    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(TypeError, match="is a coroutine function"):
            create_websocket_server(ours, filter)
        assert ours.fileno() != -1


def test_server_and_a_client_that_does_not_speak_tls():
    """The socket is closed, though TLS has taken it over."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(WATCHDOG)
    with theirs:
        theirs.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(OSError):
            create_websocket_server(ours, ssl=server_context())
        with contextlib.suppress(ConnectionResetError):
            while theirs.recv(1000):
                pass


@pytest.mark.parametrize("data", [b"", b"GET / HT"])
def test_server_and_a_client_that_leaves(data):
    """That is an exception, too."""
    ours, theirs = socket.socketpair()
    theirs.sendall(data)
    theirs.close()
    with pytest.raises((InvalidHandshake, OSError)):
        create_websocket_server(ours)
    assert ours.fileno() == -1


def test_server_and_a_client_that_is_slow():
    """``open_timeout`` counts."""
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(TimeoutError):
        create_websocket_server(ours, open_timeout=0.01)
    assert ours.fileno() == -1


def test_a_socket_with_tls_is_refused():
    """Reading and writing it in two threads is what OpenSSL forbids."""
    ours, theirs = socket.socketpair()
    with (
        theirs,
        client_context().wrap_socket(
            ours, server_hostname="localhost", do_handshake_on_connect=False
        ) as sock,
    ):
        with pytest.raises(TypeError, match="expected a plain socket; hand in the TLS context"):
            create_websocket_server(sock)
        with pytest.raises(TypeError, match="expected a plain socket"):
            create_websocket_client(sock, ("localhost", 1), "/")
        assert isinstance(sock, ssl.SSLSocket)


def test_an_option_that_does_not_exist():
    """The socket is left to the caller."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(TypeError, match="nonsense"):
            create_websocket_server(ours, nonsense=1)
        assert ours.fileno() != -1
