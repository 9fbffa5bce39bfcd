"""The callback system of asws3, in threads: its snippets, its streams, its errors."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import socket
import threading

import pytest

import syncws
from support.faces import Reached
from support.frames import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    closing,
    converse_with_a_feeder,
    read_frame,
    read_frames,
    read_message,
)
from support.threads import WATCHDOG, Running, blocked_in, eventually
from support.tls import CERTS, client_context
from syncws import ConnectionClosed, ConnectionClosedError, State
from syncws.callbacks import Client, DataType, WebSocketReader, WebSocketServer


@pytest.fixture
def server():
    """Return a server that does not serve yet; ``server.url`` is known once it does."""
    return Server("127.0.0.1", 0, ping_interval=None)


class Server(Reached, WebSocketServer):
    """The server of these tests."""


def on_message(server):
    """Make a message callback of every client; return a decorator."""

    def decorate(callback):
        @server.connection
        def on_connection(client):
            @client.message
            def on_message(reader):
                callback(client, reader)

    return decorate


# The snippets of the seed, without "async" and "await".


def test_snippet_starting_the_server(capsys):
    """``with socket as server: print(server.sockets[0].getsockname())``."""
    socket = WebSocketServer("127.0.0.1", 0)
    with socket as server:
        print(f"Serving on {server.sockets[0].getsockname()}")
        where = ("127.0.0.1", socket.port)
        syncws.connect("ws://{}:{}".format(*where)).close()
    print("The server closed")

    assert capsys.readouterr().out == f"Serving on {where}\nThe server closed\n"
    assert socket.port != 0
    assert socket.sockets == ()
    with pytest.raises(OSError):
        syncws.connect("ws://{}:{}".format(*where))


def test_snippet_run_forever(server):
    """``loop.run_forever()`` is ``serve_forever()``: until ``stop()``, also from a callback."""

    @server.connection
    def on_connection(client):
        server.stop()

    with server:
        serving = Running(server.serve_forever)
        eventually(lambda: blocked_in(serving.thread, "serve_forever"))
        with syncws.connect(server.url):
            serving.result()


def test_snippet_clients(server):
    """While on_connection runs, ``clients`` has all others; it joins them afterwards."""
    seen = []
    came = queue.SimpleQueue()

    @server.connection
    def on_connection(client: Client):
        seen.append(sorted((other.addr, other.port) for other in server.clients.values()))
        assert (client.addr, client.port) not in server.clients

        @client.message
        def on_message(reader: WebSocketReader):
            came.put((client.addr, client.port) in server.clients)

    with server, contextlib.ExitStack() as stack:
        addresses = []
        for _ in range(3):
            ws = stack.enter_context(syncws.connect(server.url))
            ws.send("are you ready?")
            assert came.get(timeout=WATCHDOG)
            addresses.append(ws.local_address)
        assert set(server.clients) == set(addresses)
        assert {key: (c.addr, c.port) for key, c in server.clients.items()} == {
            key: key for key in addresses
        }
        ws.close()
        eventually(lambda: set(server.clients) == set(addresses[:2]))

    assert seen == [[], addresses[:1], sorted(addresses[:2])]
    assert server.clients == {}


def test_snippet_reading_and_sending(server):
    """``msg = reader.get()``, then two messages back."""

    @server.connection
    def on_connection(client: Client):
        @client.message
        def on_message(reader: WebSocketReader):
            msg = reader.get()
            client.writer.send("You just send me the following message.")
            client.writer.send(msg)

    with server, syncws.connect(server.url) as ws:
        for message in ["text", b"bytes", "", b""]:
            ws.send(message)
            assert ws.recv(WATCHDOG) == "You just send me the following message."
            assert ws.recv(WATCHDOG) == message


def test_snippet_tell_the_others(server):
    """``for other in socket.clients.values(): other.writer.send(...)``."""

    @server.connection
    def on_connection(client: Client):
        for other in server.clients.values():
            other.writer.send("You are a client connected to my server.")

    with server, syncws.connect(server.url) as one:
        eventually(lambda: server.clients)
        with syncws.connect(server.url):
            assert one.recv(WATCHDOG) == "You are a client connected to my server."


# What the seed calls "coming soon".


def test_fragments(server):
    """One is kept back, so that the last one carries FIN; others wait until the block ends."""
    waiting = []

    @server.connection
    def on_connection(client):
        with client.writer.fragment() as stream:
            stream.send("a")
            stream.send("b")
            waiting.append(Running(client.writer.send, "other"))
            stream.send("c")
        with client.writer.fragment():
            pass  # no fragment, no message
        waiting[0].result()

    with server, server.peer() as peer:
        assert read_frames(peer, 4) == [
            (TEXT, b"a", False),
            (CONT, b"b", False),
            (CONT, b"c", True),
            (TEXT, b"other", True),
        ]


def test_fragments_end_with_an_exception(server, caplog):
    """The client would take what it has for the whole: 1011, and it is logged."""

    @server.connection
    def on_connection(client):
        with client.writer.fragment() as stream:
            stream.send(b"a")
            stream.send(b"b")
            raise ZeroDivisionError

    with server, server.peer() as peer:
        assert read_frames(peer, 2) == [
            (BINARY, b"a", False),
            (CLOSE, closing(1011, b"message not finished"), True),
        ]
    assert "ZeroDivisionError" in caplog.text


def test_fragments_of_two_types(server, caplog):
    """They are all str or all bytes."""

    @server.connection
    def on_connection(client):
        with client.writer.fragment() as stream:
            stream.send(b"a")
            with pytest.raises(TypeError, match="all str or all bytes-like"):
                stream.send("b")
            stream.send(b"c")

    with server, server.peer() as peer:
        assert b"".join(frame.payload for frame in read_message(peer)) == b"ac"
    assert not caplog.records


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_feed(server, opcode):
    """A message is piped on while it arrives; the last frame carries FIN."""
    begun = queue.SimpleQueue()

    @on_message(server)
    def feed(client, reader):
        begun.put(None)
        return client.writer.feed(reader)

    with server, server.peer() as peer:
        converse_with_a_feeder(peer, opcode, begun)


def test_feed_of_any_iterable(server):
    """Each item is a fragment."""

    @server.connection
    def on_connection(client):
        client.writer.feed(iter(["a", "b"]))

    with server, server.peer() as peer:
        assert read_frames(peer, 2) == [(TEXT, b"a", False), (CONT, b"b", True)]


def test_feed_of_a_message_that_breaks_off(server):
    """It is not passed on as if it were whole."""
    clients = []
    begun = queue.SimpleQueue()

    @server.connection
    def on_connection(client):
        clients.append(client)

        @client.message
        def on_message(reader):
            begun.put(None)
            clients[0].writer.feed(reader)

    with server, server.peer() as receiver:
        eventually(lambda: server.clients)
        with server.peer() as sender:
            sender.send(TEXT, b"a", fin=False)
            begun.get(timeout=WATCHDOG)  # or both could come together, in one piece
            sender.send(CONT, b"b", fin=False)
            assert read_frame(receiver) == (TEXT, b"a", False)
        assert read_frame(receiver) == (CLOSE, closing(1011, b"message not finished"), True)


def test_ping_callback(server):
    """It is told of the payload and its length; nobody else answers."""

    @server.connection
    def on_connection(client):
        @client.ping
        def on_ping(payload, length):
            client.writer.send(f"{payload!r} {length}")
            if length > 1:
                client.writer.pong(length, payload)

    with server, server.peer() as peer:
        peer.send(PING, b"xy")
        assert [peer.recv(), peer.recv()] == [(TEXT, b"b'xy' 2"), (PONG, b"xy")]
        peer.send(PING, b"z")
        assert peer.recv() == (TEXT, b"b'z' 1")
        peer.send(PING, b"123")
        assert [peer.recv(), peer.recv()] == [(TEXT, b"b'123' 3"), (PONG, b"123")]


def test_pong_callback(server):
    """It is told of all of them; Pings are answered as ever."""

    @server.connection
    def on_connection(client):
        client.pong(lambda payload, length: client.writer.send(f"{payload!r} {length}"))
        client.writer.ping("p")
        client.writer.ping("p")  # the same again is no error

    with server, server.peer() as peer:
        assert read_frames(peer, 2) == [(PING, b"p", True)] * 2
        peer.send(PONG, b"p")
        assert peer.recv() == (TEXT, b"b'p' 1")
        peer.send(PING, b"q")
        assert peer.recv() == (PONG, b"q")


def test_pings_are_told_while_a_message_callback_is_busy(server):
    """In another thread; and neither holds up the reader."""
    go_on = threading.Event()

    @server.connection
    def on_connection(client):
        client.ping(lambda payload, length: client.writer.pong(payload))
        client.message(lambda reader: go_on.wait(WATCHDOG))

    with server, server.peer() as peer:
        peer.send(TEXT, b"x")
        peer.send(PING, b"p")
        assert peer.recv() == (PONG, b"p")
        go_on.set()


def test_closed_callback(server):
    """It is told of the code and the reason, once, behind all else."""
    calls = []

    @server.connection
    def on_connection(client):
        client.message(lambda reader: calls.append(reader.get()))
        client.closed(lambda code, reason: calls.append((code, reason, client.state)))

    with server:
        with syncws.connect(server.url) as ws:
            ws.send("x")
            ws.close(4000, "bye")
        eventually(lambda: len(calls) == 2)
        with server.peer() as peer:
            peer.sock.close()
            eventually(lambda: len(calls) == 3)

    assert calls == ["x", (4000, "bye", State.CLOSED), (1006, "", State.CLOSED)]


# The reader.


def test_the_callback_starts_with_the_first_piece(server):
    """The rest still arrives; the connection closes in the middle: the reader raises it."""
    told = queue.SimpleQueue()

    @on_message(server)
    def read(client, reader):
        told.put((reader.data_type, reader.read(10), reader.at_eof()))
        try:
            reader.read(10)
        except ConnectionClosed as exc:
            told.put(exc)
            raise

    with server, server.peer() as peer:
        peer.send(BINARY, b"abc", fin=False)
        assert told.get(timeout=WATCHDOG) == (DataType.BINARY, b"abc", False)
        peer.send(CLOSE, closing(1001))
        peer.sock.shutdown(socket.SHUT_WR)
        error = told.get(timeout=WATCHDOG)
    assert error.code == 1001


def test_reading_in_all_ways(server):
    """Bytes of text are UTF-8; ``get()`` gives what is left."""
    told = queue.SimpleQueue()

    @on_message(server)
    def read(client, reader):
        buffer = bytearray(6)
        told.put(reader.read(0))
        told.put(reader.read(2))
        told.put(reader.read_into(buffer, 2))
        told.put(reader.read_into(buffer, offset=2))
        told.put(bytes(buffer))
        told.put(reader.get())
        told.put((reader.read(1), reader.get(), reader.at_eof()))

    with server, syncws.connect(server.url) as ws:
        ws.send("0123456789")
        assert [told.get(timeout=WATCHDOG) for _ in range(5)] == [b"", b"01", 2, 4, b"234567"]
        assert [told.get(timeout=WATCHDOG) for _ in range(2)] == ["89", (b"", "", True)]


def test_read_into_exactly(server):
    """It fills what it is told to fill, or says that the message is too short."""
    told = queue.SimpleQueue()

    @on_message(server)
    def read(client, reader):
        buffer = bytearray(4)
        reader.read_into_exactly(buffer)
        told.put(bytes(buffer))
        with pytest.raises(ValueError, match="5 bytes at 0 do not fit into a buffer of 4"):
            reader.read_into(buffer, 5)
        with pytest.raises(ValueError, match="5 bytes at 0 do not fit into a buffer of 4"):
            reader.read_into_exactly(buffer, 5)
        with pytest.raises(EOFError, match="the message ended after 2 of 4 bytes"):
            reader.read_into_exactly(buffer)
        told.put("end")

    with server, syncws.connect(server.url) as ws:
        ws.send([b"01", b"23", b"4", b"5"])
        assert [told.get(timeout=WATCHDOG) for _ in range(2)] == [b"0123", "end"]


def test_reading_piece_by_piece(server):
    """Iteration gives pieces of the message's own type; ``get(kind)`` converts."""
    told = queue.SimpleQueue()

    @on_message(server)
    def read(client, reader):
        told.put(list(reader) if reader.data_type == DataType.TEXT else reader.get(DataType.TEXT))

    with server, server.peer() as peer:
        peer.send(TEXT, b"a", fin=False)
        peer.send(CONT, b"b")
        peer.send(BINARY, b"cd")
        assert "".join(told.get(timeout=WATCHDOG)) == "ab"
        assert told.get(timeout=WATCHDOG) == "cd"


def test_what_is_not_read_is_dropped(server):
    """The next message comes, and whoever reads too late is told."""
    readers = queue.SimpleQueue()
    on_message(server)(lambda client, reader: readers.put(reader))

    with server, server.peer() as peer:
        peer.send(BINARY, bytes(10), fin=False)
        late = readers.get(timeout=WATCHDOG)
        Running(peer.send, CONT, bytes(900_000)).result()
        peer.send(TEXT, b"next")
        assert readers.get(timeout=WATCHDOG).data_type == DataType.TEXT
        with pytest.raises(RuntimeError, match="the message callback has returned"):
            late.get()


def test_messages_nobody_asked_for(server):
    """Without a message callback they are dropped; the connection stays."""
    clients = queue.SimpleQueue()
    server.connection(clients.put)

    with server, syncws.connect(server.url) as ws:
        before = clients.get(timeout=WATCHDOG).last_message
        ws.send("x")
        assert ws.ping(timeout=WATCHDOG) > 0
        (client,) = eventually(lambda: list(server.clients.values()))
        eventually(lambda: client.last_message > before)


# Errors.


def test_a_message_callback_fails(server, caplog):
    """Logged with its traceback; the client gets 1011, the closed callback is called."""
    ends = []

    @server.connection
    def on_connection(client):
        client.message(lambda reader: 1 / 0)
        client.closed(lambda code, reason: ends.append(code))

    with server, syncws.connect(server.url) as ws:
        ws.send("x")
        with pytest.raises(ConnectionClosedError) as failed:
            ws.recv(WATCHDOG)
        assert failed.value.code == 1011
        eventually(lambda: ends == [1011])
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("name", ["connection", "ping", "pong", "closed"])
def test_a_callback_fails(server, caplog, name):
    """Whichever it is: logged with its traceback, and 1011 if there is time for that."""

    @server.connection
    def on_connection(client):
        if name == "connection":
            raise ZeroDivisionError
        getattr(client, name)(lambda *args: 1 / 0)

    with server, syncws.connect(server.url) as ws:
        eventually(lambda: name == "connection" or server.clients)
        if name == "ping":
            ws.ping_nowait()
        elif name == "pong":
            ws.pong()
        elif name == "closed":
            ws.close()
        assert ws.wait_closed(WATCHDOG)
        assert ws.close_code == (1000 if name == "closed" else 1011)
        eventually(lambda: "ZeroDivisionError" in caplog.text)


def test_another_client_that_has_left_is_no_error_of_this_one(server, caplog):
    """Sending to it raises; the client whose callback that was stays, and the log tells."""
    caplog.set_level(logging.INFO, "syncws.server")
    clients = queue.SimpleQueue()

    @server.connection
    def on_connection(client):
        clients.put(client)

        @client.message
        def on_message(reader):
            if reader.get() == "tell":
                gone.writer.send("are you there?")
            client.writer.send("here")

    with server, syncws.connect(server.url) as ws:
        clients.get(timeout=WATCHDOG)
        syncws.connect(server.url).close()
        gone = clients.get(timeout=WATCHDOG)
        assert gone.connection.wait_closed(WATCHDOG)
        ws.send("tell")
        ws.send("x")
        assert ws.recv(WATCHDOG) == "here"
    assert "a callback met" in caplog.text


def test_coroutine_functions_are_refused(server):
    """Nobody would await them."""

    async def callback(*args):
        """Do nothing."""

    refused = []

    @server.connection
    def on_connection(client):
        for decorator in (client.message, client.ping, client.pong, client.closed):
            with pytest.raises(TypeError, match="is a coroutine function"):
                decorator(callback)
            with pytest.raises(TypeError, match="a callback is called; got 7"):
                decorator(7)
        refused.append(client)

    with pytest.raises(TypeError, match="is a coroutine function"):
        server.connection(callback)
    with server, syncws.connect(server.url):
        eventually(lambda: refused)


# The end.


def test_client_close(server):
    """From its own message callback; nothing hangs."""
    on_message(server)(lambda client, reader: client.close(4000, reader.get()))

    with server, syncws.connect(server.url) as ws:
        ws.send("bye")
        assert ws.wait_closed(WATCHDOG)
        assert (ws.close_code, ws.close_reason) == (4000, "bye")


def test_disconnect(server):
    """One, or all."""
    with server, contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(syncws.connect(server.url)) for _ in range(3)]
        eventually(lambda: len(server.clients) == 3)
        server.disconnect_client(server.clients[sockets[0].local_address], 4000, "you")
        server.disconnect_all(WATCHDOG, 4001, "all")
        assert server.clients == {}
        assert [ws.wait_closed(WATCHDOG) for ws in sockets] == [True] * 3
        assert [ws.close_code for ws in sockets] == [4000, 4001, 4001]


def test_disconnect_all_does_not_wait_for_ever(server):
    """Who does not answer is cut off."""
    with server, server.peer() as peer:
        eventually(lambda: server.clients)
        server.disconnect_all(timeout=0.01)
        assert peer.recv() == (CLOSE, closing(1001))
        assert peer.at_eof()


def test_the_block_ends(server):
    """All clients get 1001, also when it raises."""
    with contextlib.suppress(ZeroDivisionError), server:
        ws = syncws.connect(server.url)
        raise ZeroDivisionError
    assert ws.wait_closed(WATCHDOG)
    assert ws.close_code == 1001


def test_a_server_may_serve_again(server):
    """After its block; but not twice at a time."""
    for _ in range(2):
        with server:
            with pytest.raises(RuntimeError, match="serving already"):
                server.__enter__()
            with syncws.connect(server.url) as ws:
                ws.send("x")
    with pytest.raises(RuntimeError, match="serves inside its with block"):
        server.serve_forever()


def test_a_port_that_is_taken():
    """It is an OSError, and the server can be used later."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = WebSocketServer(*taken.getsockname())
        with pytest.raises(OSError, match="cannot listen"):
            server.__enter__()
    with server:
        syncws.connect(f"ws://127.0.0.1:{server.port}").close()


# Options.


def test_heartbeat():
    """A Ping after half of the timeout; a silent client is cut off after all of it."""
    ends = []
    server = Server("127.0.0.1", 0, timeout=0.1)

    @server.connection
    def on_connection(client):
        client.closed(lambda code, reason: ends.append(code))

    with server, server.peer() as peer:
        assert peer.recv()[0] == PING
        assert peer.recv() == (CLOSE, closing(1011, b"keepalive ping timeout"))
        eventually(lambda: ends == [1006])


def test_no_heartbeat():
    """0 turns it off; what cannot be is refused."""
    assert WebSocketServer("", 0, timeout=0)._options == {
        "ping_interval": None,
        "ping_timeout": None,
    }
    with pytest.raises(ValueError, match="timeout=-1 seconds"):
        WebSocketServer("", 0, timeout=-1)


def test_certs():
    """Paths of certificate and key make it wss."""
    certs = (str(CERTS / "localhost.pem"),) * 2
    with WebSocketServer("127.0.0.1", 0, certs) as server:
        url = f"wss://localhost:{server.port}"
        with syncws.connect(url, ssl=client_context()):
            eventually(lambda: server.clients)
    with pytest.raises(ValueError, match="certs= and ssl= are given"):
        WebSocketServer("127.0.0.1", 0, certs, ssl=client_context())
    with pytest.raises(OSError):
        WebSocketServer("127.0.0.1", 0, ("nowhere", "nowhere"))


def test_options_of_threading_server():
    """Limits, subprotocols and the like are its."""
    server = Server("127.0.0.1", 0, subprotocols=["chat"], max_size=10)
    on_message(server)(lambda client, reader: reader.get())
    with server, syncws.connect(server.url, subprotocols=["chat"]) as ws:
        assert ws.subprotocol == "chat"
        ws.send("x" * 11)
        with pytest.raises(ConnectionClosedError, match="1009"):
            ws.recv(WATCHDOG)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_clients_without_a_port(tmp_path):
    """Each has a number of its own, so that none is missing in ``clients``."""
    path = str(tmp_path / "socket")
    with WebSocketServer(None, 0, unix_path=path) as server:
        clients = [syncws.connect("ws://localhost", unix_path=path) for _ in range(2)]
        eventually(lambda: len(server.clients) == 2)
        assert all(addr == "" and port < 0 for addr, port in server.clients)
        for ws in clients:
            ws.close()


def test_many_clients_at_once(server):
    """Each message comes back to whom it belongs, all at the same time."""
    on_message(server)(lambda client, reader: client.writer.feed(reader))

    def talk():
        with syncws.connect(server.url) as ws:
            for size in (0, 1, 1000, 100_000):
                data = os.urandom(size)
                ws.send(data)
                assert ws.recv(WATCHDOG) == data

    with server:
        for running in [Running(talk) for _ in range(20)]:
            running.result()
