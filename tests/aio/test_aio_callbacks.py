"""The callback system of asws3 in an event loop: its callbacks, its streams, its errors."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import socket

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
from support.threads import WATCHDOG, Running, eventually
from support.tls import CERTS, client_context
from syncws import ConnectionClosed, ConnectionClosedError, State
from syncws.aio.callbacks import DataType, WebSocketServer
from syncws.aio.loops import current

HERE = ("127.0.0.1", 0)


class Server(Reached, WebSocketServer):
    """The server of these tests."""


@pytest.fixture
def server():
    return Server(*HERE, ping_interval=None)


@pytest.fixture
def serving(run):
    """Return a context manager that lets a server serve, in an event loop beside the test."""

    @contextlib.contextmanager
    def serve(server):
        bridges = []

        async def main():
            async with server:
                bridges.append(current())
                await server.serve_forever()

        running = Running(run, main)
        eventually(lambda: bridges or not running.alive)
        try:
            yield server
        finally:
            for bridge in bridges:
                bridge.soon(server.stop)
            running.result()

    return serve


def on_message(server):
    """Make a message callback of every client; return a decorator."""

    def decorate(callback):
        @server.connection
        async def on_connection(client):
            @client.message
            async def on_message(reader):
                await callback(client, reader)

    return decorate


def test_clients(server, serving):
    """While on_connection runs, ``clients`` has all others; it joins them afterwards."""
    seen = []
    came = queue.SimpleQueue()

    @server.connection
    async def on_connection(client):
        seen.append(sorted((other.addr, other.port) for other in server.clients.values()))
        await current().checkpoint()
        assert (client.addr, client.port) not in server.clients

        @client.message
        async def on_message(reader):
            came.put((client.addr, client.port) in server.clients)

    with serving(server), contextlib.ExitStack() as stack:
        addresses = []
        for _ in range(3):
            ws = stack.enter_context(syncws.connect(server.url))
            ws.send("are you ready?")
            assert came.get(timeout=WATCHDOG)
            addresses.append(ws.local_address)
        assert {key: (c.addr, c.port) for key, c in server.clients.items()} == {
            key: key for key in addresses
        }
        ws.close()
        eventually(lambda: set(server.clients) == set(addresses[:2]))

    assert seen == [[], addresses[:1], sorted(addresses[:2])]
    assert server.clients == {}


def test_callbacks_may_be_plain_functions(server, serving):
    calls = []

    @server.connection
    def on_connection(client):
        calls.append("connection")
        client.message(lambda reader: calls.append(reader.data_type))
        client.ping(lambda payload, length: calls.append(("ping", payload, length)))
        client.pong(lambda payload, length: calls.append(("pong", payload, length)))
        client.closed(lambda code, reason: calls.append((code, reason, client.state)))

    with serving(server), syncws.connect(server.url) as ws:
        eventually(lambda: server.clients)
        for step in (lambda: ws.send("x"), lambda: ws.ping_nowait(b"p"), lambda: ws.pong(b"q")):
            before = len(calls)
            step()
            eventually(lambda before=before: len(calls) > before)
        ws.close(4000, "bye")
        eventually(lambda: len(calls) == 5)

    assert calls == [
        "connection",
        DataType.TEXT,
        ("ping", b"p", 1),
        ("pong", b"q", 1),
        (4000, "bye", State.CLOSED),
    ]


def test_what_cannot_be_called_is_refused(server):
    with pytest.raises(TypeError, match="a callback is called; got 7"):
        server.connection(7)


# Sending.


def test_fragments(server, serving, run):
    """One is kept back, so that the last one carries FIN; others wait until the block ends."""

    @server.connection
    async def on_connection(client):
        async with client.writer.fragment() as stream:
            await stream.send("a")
            await stream.send("b")
            current().spawn(lambda: client.writer.send("other"))
            await run.step(10)
            await stream.send("c")
        async with client.writer.fragment():
            pass  # no fragment, no message

    with serving(server), server.peer() as peer:
        assert read_frames(peer, 4) == [
            (TEXT, b"a", False),
            (CONT, b"b", False),
            (CONT, b"c", True),
            (TEXT, b"other", True),
        ]


def test_fragments_end_with_an_exception(server, serving, caplog):
    """The client would take what it has for the whole: 1011, and it is logged."""

    @server.connection
    async def on_connection(client):
        async with client.writer.fragment() as stream:
            await stream.send(b"a")
            await stream.send(b"b")
            raise ZeroDivisionError

    with serving(server), server.peer() as peer:
        assert read_frames(peer, 2) == [
            (BINARY, b"a", False),
            (CLOSE, closing(1011, b"message not finished"), True),
        ]
    assert "ZeroDivisionError" in caplog.text


def test_fragments_of_two_types(server, serving, caplog):
    """They are all str or all bytes."""

    @server.connection
    async def on_connection(client):
        async with client.writer.fragment() as stream:
            await stream.send(b"a")
            with pytest.raises(TypeError, match="all str or all bytes-like"):
                await stream.send("b")
            await stream.send(b"c")

    with serving(server), server.peer() as peer:
        assert b"".join(frame.payload for frame in read_message(peer)) == b"ac"
    assert not caplog.records


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_feed(server, serving, opcode):
    """A message is piped on while it arrives; the last frame carries FIN."""
    begun = queue.SimpleQueue()

    @on_message(server)
    def feed(client, reader):
        begun.put(None)
        return client.writer.feed(reader)

    with serving(server), server.peer() as peer:
        converse_with_a_feeder(peer, opcode, begun)


def test_feed_from_one_client_to_another_breaks_off(server, serving):
    """It is not passed on as if it were whole."""
    clients = []
    begun = queue.SimpleQueue()

    @server.connection
    async def on_connection(client):
        clients.append(client)

        @client.message
        async def on_message(reader):
            begun.put(None)
            await clients[0].writer.feed(reader)

    with serving(server), server.peer() as receiver:
        eventually(lambda: server.clients)
        with server.peer() as sender:
            sender.send(TEXT, b"a", fin=False)
            begun.get(timeout=WATCHDOG)  # or both could come together, in one piece
            sender.send(CONT, b"b", fin=False)
            assert read_frame(receiver) == (TEXT, b"a", False)
        assert read_frame(receiver) == (CLOSE, closing(1011, b"message not finished"), True)


# Pings, Pongs, and the end.


def test_ping_callback(server, serving):
    """It is told of the payload and its length; nobody else answers."""

    @server.connection
    async def on_connection(client):
        @client.ping
        async def on_ping(payload, length):
            await client.writer.send(f"{payload!r} {length}")
            if length > 1:
                await client.writer.pong(length, payload)

    with serving(server), server.peer() as peer:
        eventually(lambda: server.clients)
        peer.send(PING, b"xy")
        assert [peer.recv(), peer.recv()] == [(TEXT, b"b'xy' 2"), (PONG, b"xy")]
        peer.send(PING, b"z")
        assert peer.recv() == (TEXT, b"b'z' 1")
        peer.send(PING, b"123")
        assert [peer.recv(), peer.recv()] == [(TEXT, b"b'123' 3"), (PONG, b"123")]


def test_pong_callback(server, serving):
    """It is told of all of them; Pings are answered as ever."""

    @server.connection
    async def on_connection(client):
        @client.pong
        async def on_pong(payload, length):
            await client.writer.send(f"{payload!r} {length}")

        await client.writer.ping("p")
        await client.writer.ping("p")  # the same again is no error

    with serving(server), server.peer() as peer:
        assert read_frames(peer, 2) == [(PING, b"p", True)] * 2
        peer.send(PONG, b"p")
        assert peer.recv() == (TEXT, b"b'p' 1")
        peer.send(PING, b"q")
        assert peer.recv() == (PONG, b"q")


def test_pings_are_told_while_a_message_callback_is_busy(server, serving, run):
    """In another task, one after the other."""
    told = []

    @server.connection
    async def on_connection(client):
        @client.ping
        async def on_ping(payload, length):
            await run.step(5)
            await client.writer.pong(payload)
            told.append(payload)

        @client.message
        async def on_message(reader):
            await run.until(lambda: len(told) == 3)

    with serving(server), server.peer() as peer:
        eventually(lambda: server.clients)
        peer.send(TEXT, b"x")
        for payload in (b"1", b"2", b"3"):
            peer.send(PING, payload)
        assert [peer.recv() for _ in range(3)] == [(PONG, b"1"), (PONG, b"2"), (PONG, b"3")]


def test_the_closed_callback_comes_behind_all_others(server, serving, run):
    """Also behind that for a Ping which is still running; after it no other is called."""
    calls = []
    begun = queue.SimpleQueue()

    @server.connection
    async def on_connection(client):
        @client.ping
        async def on_ping(payload, length):
            begun.put(payload)
            await run.until(lambda: client.state is State.CLOSED)
            await run.step(10)
            calls.append(payload)

        @client.closed
        async def on_closed(code, reason):
            calls.append((code, reason, client.state))

    with serving(server):
        with syncws.connect(server.url) as ws:
            eventually(lambda: server.clients)
            ws.ping_nowait(b"1")
            begun.get(timeout=WATCHDOG)
            ws.ping_nowait(b"2")
            ws.close(4000, "bye")
        eventually(lambda: len(calls) == 3)
        with server.peer() as peer:
            peer.sock.close()
            eventually(lambda: len(calls) == 4)

    assert calls == [b"1", b"2", (4000, "bye", State.CLOSED), (1006, "", State.CLOSED)]


# The reader.


def test_the_callback_starts_with_the_first_piece(server, serving):
    """The rest still arrives; the connection closes in the middle: the reader raises it."""
    told = queue.SimpleQueue()

    @on_message(server)
    async def read(client, reader):
        told.put((reader.data_type, await reader.read(10), reader.at_eof()))
        try:
            await reader.read(10)
        except ConnectionClosed as exc:
            told.put(exc.code)
            raise

    with serving(server), server.peer() as peer:
        peer.send(BINARY, b"abc", fin=False)
        assert told.get(timeout=WATCHDOG) == (DataType.BINARY, b"abc", False)
        peer.send(CLOSE, closing(1001))
        peer.sock.shutdown(socket.SHUT_WR)
        assert told.get(timeout=WATCHDOG) == 1001


def test_reading_in_all_ways(server, serving):
    """Bytes of text are UTF-8; ``get()`` gives what is left."""
    told = queue.SimpleQueue()

    @on_message(server)
    async def read(client, reader):
        buffer = bytearray(6)
        told.put(await reader.read(0))
        told.put(await reader.read(2))
        told.put(await reader.read_into(buffer, 2))
        told.put(await reader.read_into(buffer, offset=2))
        told.put(bytes(buffer))
        told.put(await reader.get())
        told.put((await reader.read(1), await reader.get(), await reader.read(), reader.at_eof()))

    with serving(server), syncws.connect(server.url) as ws:
        ws.send("0123456789")
        assert [told.get(timeout=WATCHDOG) for _ in range(5)] == [b"", b"01", 2, 4, b"234567"]
        assert [told.get(timeout=WATCHDOG) for _ in range(2)] == ["89", (b"", "", b"", True)]


def test_read_into_exactly(server, serving):
    """It fills what it is told to fill, or says that the message is too short."""
    told = queue.SimpleQueue()

    @on_message(server)
    async def read(client, reader):
        buffer = bytearray(4)
        await reader.read_into_exactly(buffer)
        told.put(bytes(buffer))
        with pytest.raises(ValueError, match="5 bytes at 0 do not fit into a buffer of 4"):
            await reader.read_into(buffer, 5)
        with pytest.raises(ValueError, match="5 bytes at 0 do not fit into a buffer of 4"):
            await reader.read_into_exactly(buffer, 5)
        with pytest.raises(EOFError, match="the message ended after 2 of 4 bytes"):
            await reader.read_into_exactly(buffer)
        told.put("end")

    with serving(server), syncws.connect(server.url) as ws:
        ws.send([b"01", b"23", b"4", b"5"])
        assert [told.get(timeout=WATCHDOG) for _ in range(2)] == [b"0123", "end"]


def test_reading_piece_by_piece(server, serving):
    """Iteration gives pieces of the message's own type; ``get(kind)`` converts."""
    told = queue.SimpleQueue()

    @on_message(server)
    async def read(client, reader):
        if reader.data_type == DataType.TEXT:
            told.put([piece async for piece in reader])
            told.put([piece async for piece in reader])
        else:
            told.put(await reader.get(DataType.TEXT))

    with serving(server), server.peer() as peer:
        peer.send(TEXT, b"a", fin=False)
        peer.send(CONT, b"b")
        peer.send(BINARY, b"cd")
        assert "".join(told.get(timeout=WATCHDOG)) == "ab"
        assert told.get(timeout=WATCHDOG) == [""]
        assert told.get(timeout=WATCHDOG) == "cd"


def test_what_is_not_read_is_dropped(server, serving, run):
    """The next message comes, and whoever reads too late is told."""
    readers = queue.SimpleQueue()
    late = []

    @on_message(server)
    async def keep(client, reader):
        readers.put(reader)
        if reader.data_type == DataType.TEXT:
            with pytest.raises(RuntimeError, match="the message callback has returned"):
                await late[0].get()
            readers.put("told")

    with serving(server), server.peer() as peer:
        peer.send(BINARY, bytes(10), fin=False)
        late.append(readers.get(timeout=WATCHDOG))
        Running(peer.send, CONT, bytes(900_000)).result()
        peer.send(TEXT, b"next")
        assert readers.get(timeout=WATCHDOG).data_type == DataType.TEXT
        assert readers.get(timeout=WATCHDOG) == "told"


def test_messages_nobody_asked_for(server, serving):
    """Without a message callback they are dropped; the connection stays."""
    with serving(server), syncws.connect(server.url) as ws:
        (client,) = eventually(lambda: list(server.clients.values()))
        before = client.last_message
        ws.send("x")
        assert ws.ping(timeout=WATCHDOG) > 0
        eventually(lambda: client.last_message > before)


# Errors.


@pytest.mark.parametrize("name", ["connection", "message", "ping", "pong", "closed"])
@pytest.mark.parametrize("waits", [False, True], ids=["plain", "coroutine"])
def test_a_callback_fails(server, serving, caplog, name, waits):
    """Whichever it is: logged with its traceback, and 1011 if there is time for that."""
    ends = []

    async def fail_later(*args):
        await current().checkpoint()
        raise ZeroDivisionError

    def fail_now(*args):
        raise ZeroDivisionError

    fail = fail_later if waits else fail_now

    @server.connection
    async def on_connection(client):
        client.closed(lambda code, reason: ends.append(code))
        if name != "connection":
            getattr(client, name)(fail)
        else:
            await fail() if waits else fail()

    with serving(server), syncws.connect(server.url) as ws:
        eventually(lambda: name == "connection" or server.clients)
        if name == "message":
            ws.send("x")
        elif name == "ping":
            ws.ping_nowait()
        elif name == "pong":
            ws.pong()
        elif name == "closed":
            ws.close()
        assert ws.wait_closed(WATCHDOG)
        assert ws.close_code == (1000 if name == "closed" else 1011)
        eventually(lambda: "ZeroDivisionError" in caplog.text)
        eventually(lambda: name == "closed" or ends == [1011])


def test_another_client_that_has_left_is_no_error_of_this_one(server, serving, caplog):
    """Sending to it raises; the client whose callback that was stays, and the log tells."""
    caplog.set_level(logging.INFO, "syncws.server")
    clients = queue.SimpleQueue()

    @server.connection
    async def on_connection(client):
        clients.put(client)

        @client.message
        async def on_message(reader):
            if await reader.get() == "tell":
                await gone.writer.send("are you there?")
            await client.writer.send("here")

    with serving(server), syncws.connect(server.url) as ws:
        clients.get(timeout=WATCHDOG)
        syncws.connect(server.url).close()
        gone = clients.get(timeout=WATCHDOG)
        eventually(lambda: gone.state is State.CLOSED)
        ws.send("tell")
        ws.send("x")
        assert ws.recv(WATCHDOG) == "here"
    assert "a callback met" in caplog.text


# The end.


@pytest.mark.parametrize("whose", ["client", "writer"])
def test_client_close(server, serving, whose):
    """From its own message callback; nothing hangs."""

    @on_message(server)
    async def leave(client, reader):
        await (client if whose == "client" else client.writer).close(4000, await reader.get())

    with serving(server), syncws.connect(server.url) as ws:
        ws.send("bye")
        assert ws.wait_closed(WATCHDOG)
        assert (ws.close_code, ws.close_reason) == (4000, "bye")


def test_disconnect(server, run):
    """One, or all."""

    async def main():
        with contextlib.ExitStack() as stack:
            async with server:
                sockets = [
                    stack.enter_context(await run.thread(syncws.connect, server.url))
                    for _ in range(3)
                ]
                await run.until(lambda: len(server.clients) == 3)
                first = server.clients[sockets[0].local_address]
                await server.disconnect_client(first, 4000, "you")
                await server.disconnect_all(WATCHDOG, 4001, "all")
                assert server.clients == {}
                for ws in sockets:
                    assert await run.thread(ws.wait_closed, WATCHDOG)
                assert [ws.close_code for ws in sockets] == [4000, 4001, 4001]
                with pytest.raises(ValueError, match="1005"):
                    await server.disconnect_all(code=1005)

    run(main)


def test_disconnect_all_does_not_wait_for_ever(server, run):
    """Who does not answer is cut off."""

    async def main():
        async with server:
            with server.peer() as peer:
                await run.until(lambda: server.clients)
                await server.disconnect_all(timeout=0.01)
                assert peer.recv() == (CLOSE, closing(1001))
                assert peer.at_eof()

    run(main)


def test_the_block_ends(server, run):
    """All clients get 1001, also when it raises."""

    async def main():
        with contextlib.suppress(ZeroDivisionError):
            async with server:
                ws = await run.thread(syncws.connect, server.url)
                raise ZeroDivisionError
        assert await run.thread(ws.wait_closed, WATCHDOG)
        assert ws.close_code == 1001

    run(main)


def test_stop_from_a_callback(server, run):
    ends = []

    @server.connection
    async def on_connection(client):
        client.closed(lambda code, reason: ends.append(code))
        server.stop()

    async def main():
        async with server:
            talking = run.start(run.thread, syncws.connect, server.url)
            await server.serve_forever()
            assert server.sockets == ()
            ws = await talking.result()
        assert ws.wait_closed(WATCHDOG)
        assert ws.close_code == 1001

    run(main)
    assert ends == [1001]


def test_a_cancelled_callback(run, impatient):
    """It ends at ``close_timeout``; the client has been told 1001."""
    server = Server(*HERE, ping_interval=None, close_timeout=0.05)
    begun = []

    @server.connection
    async def on_connection(client):
        begun.append(client)
        await run.sleep(1000)

    async def main():
        async with server:
            ws = await run.thread(syncws.connect, server.url)
            await run.until(lambda: begun)
        assert await run.thread(ws.wait_closed, WATCHDOG)
        assert ws.close_code == 1001
        assert server.clients == {}

    run(main)


def test_a_server_may_serve_again(server, run):
    """After its block; but not twice at a time."""

    async def main():
        for _ in range(2):
            async with server:
                with pytest.raises(RuntimeError, match="serving already"):
                    await server.__aenter__()
                ws = await run.thread(syncws.connect, server.url)
                await run.thread(ws.close)
        with pytest.raises(RuntimeError, match="serves inside its block"):
            await server.serve_forever()
        server.stop()  # nothing to stop

    run(main)


def test_a_port_that_is_taken(run):
    """It is an OSError, and the server can be used later."""

    async def main():
        with socket.create_server(HERE) as taken:
            server = Server(*taken.getsockname())
            with pytest.raises(OSError, match="cannot listen"):
                await server.__aenter__()
        async with server:
            ws = await run.thread(syncws.connect, server.url)
            await run.thread(ws.close)

    run(main)


def test_the_with_block_of_asws3(server, run_asyncio):
    """It runs the loop, where the program runs it, too: with ``run_forever()``."""
    loop = run_asyncio.make()
    server = Server(*HERE, loop=loop, ping_interval=None)

    @server.connection
    async def on_connection(client):
        await client.writer.send("hello")
        loop.stop()

    with contextlib.closing(loop):
        with server as serving:
            assert serving.sockets[0].getsockname() == ("127.0.0.1", server.port)
            talking = Running(lambda: list(syncws.connect(server.url)))
            loop.run_forever()

            async def main():
                with pytest.raises(RuntimeError, match="running already"):
                    server.__enter__()

            loop.run_until_complete(main())
        assert talking.result() == ["hello"]
        loop.run_until_complete(loop.shutdown_asyncgens())


# Options.


def test_heartbeat(serving):
    """A Ping after half of the timeout; a silent client is cut off after all of it."""
    ends = []
    server = Server(*HERE, timeout=0.1)

    @server.connection
    async def on_connection(client):
        client.closed(lambda code, reason: ends.append(code))

    with serving(server), server.peer() as peer:
        assert peer.recv()[0] == PING
        assert peer.recv() == (CLOSE, closing(1011, b"keepalive ping timeout"))
        eventually(lambda: ends == [1006])


def test_certs(serving):
    """Paths of certificate and key make it wss."""
    server = Server(*HERE, certs=(str(CERTS / "localhost.pem"),) * 2)
    on_message(server)(lambda client, reader: client.writer.feed(reader))
    with (
        serving(server),
        syncws.connect(f"wss://localhost:{server.port}", ssl=client_context()) as ws,
    ):
        ws.send("secret")
        assert ws.recv(WATCHDOG) == "secret"
    with pytest.raises(OSError):
        Server(*HERE, ("nowhere", "nowhere"))


def test_options_of_serve(serving):
    """Limits, subprotocols and the like are its."""
    server = Server(*HERE, subprotocols=["chat"], max_size=10)
    on_message(server)(lambda client, reader: reader.get())
    with serving(server), syncws.connect(server.url, subprotocols=["chat"]) as ws:
        assert ws.subprotocol == "chat"
        ws.send("x" * 11)
        with pytest.raises(ConnectionClosedError, match="1009"):
            ws.recv(WATCHDOG)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_clients_without_a_port(serving, tmp_path):
    """Each has a number of its own, so that none is missing in ``clients``."""
    path = str(tmp_path / "socket")
    with serving(Server(None, 0, unix_path=path)) as server:
        clients = [syncws.connect("ws://localhost", unix_path=path) for _ in range(2)]
        eventually(lambda: len(server.clients) == 2)
        assert all(addr == "" and port < 0 for addr, port in server.clients)
        for ws in clients:
            ws.close()


def test_many_clients_at_once(server, serving):
    """Each message comes back to whom it belongs, all at the same time."""
    on_message(server)(lambda client, reader: client.writer.feed(reader))

    def talk():
        with syncws.connect(server.url) as ws:
            for size in (0, 1, 1000, 100_000):
                data = os.urandom(size)
                ws.send(data)
                assert ws.recv(WATCHDOG) == data

    with serving(server):
        for running in [Running(talk) for _ in range(20)]:
            running.result()
