"""Events in an event loop, and the doors of asyncwebsockets."""

from __future__ import annotations

import os
import socket
import ssl

import pytest

import syncws
from support.ends import accepted
from support.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, closing, read_frames
from support.loops import Cancelled, awaited_end, url_of
from support.threads import WATCHDOG, Running
from support.tls import client_context, server_context
from syncws import ConcurrencyError, ConnectionClosed, InvalidHandshake, InvalidStatus, aio
from syncws.aio.events import (
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    TextMessage,
    WebSocket,
    create_websocket,
    create_websocket_client,
    create_websocket_server,
    open_websocket,
    open_websocket_client,
    open_websocket_server,
)

HERE = ("127.0.0.1", 0)


async def collect(events):
    return [event async for event in events]


# AsyncConnection.events().


def test_order_of_arrival(run):
    """Control frames come where they were, also in the middle of a message."""

    async def main():
        async with awaited_end() as (ws, peer):
            events = ws.events()
            peer.send(TEXT, b"one")
            peer.send(PING, b"1")
            peer.send(BINARY, b"tw", fin=False)
            peer.send(PONG, b"2")
            peer.send(CONT, b"o")
            peer.send(TEXT, b"three")
            peer.send(CLOSE, closing(4000, b"bye"))
            peer.sock.shutdown(socket.SHUT_WR)

            assert await collect(events) == [
                TextMessage("one"),
                Ping(b"1"),
                BytesMessage(b"tw", message_finished=False),
                Pong(b"2"),
                BytesMessage(b"o"),
                TextMessage("three"),
                CloseConnection(4000, "bye"),
            ]
            assert await collect(ws.events()) == [CloseConnection(4000, "bye")]

    run(main)


def test_whole_messages(run):
    """Messages come at their ends, so Pings in the middle of one come before it."""

    async def main():
        async with awaited_end() as (ws, peer):
            events = ws.events(whole=True)
            peer.send(TEXT, b"tw", fin=False)
            peer.send(PING, b"1")
            peer.send(CONT, b"o")
            peer.send(TEXT, b"")
            got = [await events.__anext__() for _ in range(3)]
            assert got == [Ping(b"1"), TextMessage("two"), TextMessage("")]
            assert await run.thread(peer.recv) == (PONG, b"1")

    run(main)


def test_pieces_of_a_long_frame(run):
    """They come as they arrive: the frame, too, is not finished before its last."""
    data = os.urandom(500_000)

    async def main():
        async with awaited_end(max_size=None) as (ws, peer):
            events = ws.events()
            head = bytes([0x80 | BINARY, 127]) + len(data).to_bytes(8, "big")
            peer.sock.sendall(head + data[:1000])
            pieces = [await events.__anext__()]
            sending = Running(peer.sock.sendall, data[1000:])
            while not pieces[-1].message_finished:
                pieces.append(await events.__anext__())
            await run.until(lambda: not sending.alive)
        return pieces

    pieces = run(main)
    assert b"".join(piece.data for piece in pieces) == data
    flags = [(piece.frame_finished, piece.message_finished) for piece in pieces]
    assert flags == [(False, False)] * (len(pieces) - 1) + [(True, True)]
    assert len(pieces) > 1


def test_our_pings_are_measured(run):
    """A Pong is an event, and ends a ping() as ever."""

    async def main():
        async with awaited_end() as (ws, peer):
            events = ws.events()
            waiter = await ws.ping(b"p")
            assert await run.thread(peer.recv) == (PING, b"p")
            peer.send(PONG, b"p")
            assert await events.__anext__() == Pong(b"p")
            assert await waiter > 0

    run(main)


def test_the_end_is_an_event_whatever_it_was(run):
    """Without a Close from the peer it has 1006; what came before it is told before it."""

    async def main():
        async with awaited_end() as (ws, peer):
            peer.send(TEXT, b"last")
            peer.sock.close()
            assert await collect(ws.events()) == [TextMessage("last"), CloseConnection(1006)]

    run(main)


def test_a_cancelled_step_loses_nothing(run):
    """Neither does the next iterator."""

    async def main():
        async with awaited_end() as (ws, peer):
            events = ws.events()
            for data in (b"1", b"2"):
                waiting = run.start(events.__anext__)
                await run.stays_waiting(waiting)
                waiting.cancel()
                with pytest.raises(Cancelled):
                    await waiting.result()
                peer.send(PING, data)
                assert await events.__anext__() == Ping(data)
            waiting = run.start(events.__anext__)
            await run.stays_waiting(waiting)
            peer.send(TEXT, b"x")
            await run.until(lambda: ws.stats.messages_received)
            waiting.cancel()  # at the moment it comes
            try:
                event = await waiting.result()
            except Cancelled:
                event = await ws.events().__anext__()
            assert event == TextMessage("x")

    run(main)


def test_who_takes_events_takes_no_messages(run):
    """One way for a connection; the errors say so."""

    async def main():
        async with awaited_end() as (ws, peer):
            peer.send(TEXT, b"x")
            await run.until(lambda: ws.stats.messages_received)
            events = ws.events()
            with pytest.raises(ConcurrencyError, match=r"events\(\) takes what"):
                await ws.recv()
            with pytest.raises(ConcurrencyError, match=r"events\(\) takes what"):
                await collect(ws.recv_stream())
            with pytest.raises(ConcurrencyError, match=r"called before, with whole=False"):
                ws.events(whole=True)
            assert await events.__anext__() == TextMessage("x")

    run(main)


@pytest.mark.parametrize("flood", [PING, PONG])
def test_control_frames_that_nobody_takes_are_bounded(run, flood):
    """They count among the messages that wait: beyond the limit TCP holds the peer back."""

    async def main():
        async with awaited_end(max_queue=10) as (ws, peer):
            events = ws.events()
            for data in (b"x", b"y"):
                for _ in range(20):
                    peer.send(flood, data)
                await run.until(lambda: ws._engine.queue.parked)
                for _ in range(20):
                    assert (await events.__anext__()).payload == data

    run(main)


# open_websocket() and create_websocket().


def test_open_websocket_closes(run):
    """With 1000 at the end of the block; with 1011 if that raises."""
    ends = []

    async def handler(ws):
        await ws.wait_closed()
        ends.append(ws.close_code)

    async def main():
        async with aio.serve(handler, *HERE) as server:
            async with open_websocket(url_of(server)):
                pass
            await run.until(lambda: ends == [1000])
            with pytest.raises(ZeroDivisionError):
                async with open_websocket(url_of(server)):
                    raise ZeroDivisionError
            await run.until(lambda: ends == [1000, 1011])

    run(main)


def test_headers_and_subprotocols(run):
    """In the words of asyncwebsockets; the rest in those of connect(). No Ping is missed."""

    async def handler(ws):
        await ws.ping(b"first")
        await ws.send(ws.request.headers["X-Name"])

    async def main():
        async with (
            aio.serve(handler, *HERE, subprotocols=["chat"]) as server,
            open_websocket(
                url_of(server), headers=[("X-Name", "Ada")], subprotocols=["chat"], ping_interval=9
            ) as ws,
        ):
            assert await collect(ws) == [
                Ping(b"first"),
                TextMessage("Ada"),
                CloseConnection(1000),
            ]
            assert ws.subprotocol == "chat"

    run(main)


def test_connecting_fails(run):
    """As connect() does."""

    async def main():
        async with aio.serve(
            collect, *HERE, process_request=lambda request: syncws.Response(418)
        ) as server:
            for door in (create_websocket, open_websocket):
                with pytest.raises(InvalidStatus, match="418"):
                    await door(url_of(server))

    run(main)


def test_send_in_parts(run):
    """``final=False``: each call is a frame; others wait until the message is whole."""

    async def main():
        async with awaited_end() as (plain, peer):
            ws = WebSocket(plain.connection)
            await ws.send("a", False)
            waiting = run.start(ws.send, "other")
            await run.stays_waiting(waiting)
            await ws.send("b", final=False)
            await ws.send("c")
            await waiting.result()
            assert await run.thread(read_frames, peer, 4) == [
                (TEXT, b"a", False),
                (CONT, b"b", False),
                (CONT, b"c", True),
                (TEXT, b"other", True),
            ]

    run(main)


def test_a_part_of_another_type(run):
    """The message cannot be finished, so the connection ends."""

    async def main():
        async with awaited_end() as (plain, peer):
            ws = WebSocket(plain.connection)
            await ws.send("a", final=False)
            with pytest.raises(TypeError, match="all str or all bytes-like"):
                await ws.send(b"b")
            assert await run.thread(peer.recv) == (TEXT, b"a")
            assert await run.thread(peer.recv) == (CLOSE, closing(1011, b"message not finished"))
            with pytest.raises(ConnectionClosed):
                await ws.send("c")

    run(main)


def test_the_connection_ends_in_the_middle_of_a_message(run):
    """Those that wait for its end are told, though nobody ever finishes it."""

    async def main():
        async with awaited_end() as (plain, peer):
            ws = WebSocket(plain.connection)
            await ws.send("a", final=False)
            waiting = run.start(ws.send, "other")
            await run.stays_waiting(waiting)
            peer.sock.close()
            assert isinstance(await waiting.error(), ConnectionClosed)
            with pytest.raises(ConnectionClosed):
                await ws.send("b")

    run(main)


# On sockets that are there.


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def secure(request):
    return request.param


@pytest.mark.parametrize("door", ["create", "open"])
def test_client_on_a_socket(run, secure, door):
    """The address and the path make the request; TLS is done here, with ``ssl=``."""

    async def handler(ws):
        await ws.send(f"{ws.request.headers['Host']} {ws.path}")

    async def main():
        tls = {"ssl": server_context()} if secure else {}
        async with aio.serve(handler, *HERE, **tls) as server:
            sock = socket.create_connection(server.sockets[0].getsockname())
            args = (sock, ("localhost", 8000), "/chat?x")
            options = {"ssl": client_context()} if secure else {}
            expected = [TextMessage("localhost:8000 /chat?x"), CloseConnection(1000)]
            if door == "open":
                async with open_websocket_client(*args, **options) as ws:
                    assert await collect(ws) == expected
            else:
                ws = await create_websocket_client(*args, **options)
                assert await collect(ws) == expected
                await ws.close()

    run(main)


@pytest.mark.parametrize("door", ["create", "open"])
def test_server_on_a_socket(run, secure, door):
    """The opening handshake on an accepted socket; then both talk."""

    async def talk(client, websocket):
        ws = await run.thread(client.result)
        await run.thread(ws.send, "hi")
        ws.ping_nowait(b"p")
        events = websocket.__aiter__()
        assert [await events.__anext__() for _ in range(2)] == [TextMessage("hi"), Ping(b"p")]
        await websocket.send(b"there")
        assert await run.thread(ws.recv, WATCHDOG) == b"there"
        await run.thread(ws.close)
        assert await collect(websocket) == [CloseConnection(1000)]

    async def main():
        options = {"ssl": server_context()} if secure else {}
        with accepted(secure=secure) as (sock, client):
            if door == "open":
                async with open_websocket_server(sock, **options) as websocket:
                    await talk(client, websocket)
            else:
                websocket = await create_websocket_server(sock, max_size=10, **options)
                await talk(client, websocket)

    run(main)


@pytest.mark.parametrize("verdict", [True, "b"])
def test_filter_accepts(run, verdict):
    """With True, or with a subprotocol."""
    asked = []

    def filter(request):
        asked.append(request.path)
        return verdict

    async def main():
        with accepted(subprotocols=["a", "b"]) as (sock, client):
            async with open_websocket_server(sock, filter, subprotocols=["a"]):
                ws = await run.thread(client.result)
                assert ws.subprotocol == ("b" if verdict == "b" else "a")
                await run.thread(ws.close)

    run(main)
    assert asked == ["/"]


@pytest.mark.parametrize(
    ("verdict", "status"), [(False, 403), (None, 403), (syncws.Response(503), 503)]
)
def test_filter_refuses(run, verdict, status):
    """The client is told by HTTP, the caller by an exception, and the socket is closed."""

    async def main():
        with accepted() as (sock, client):
            with pytest.raises(InvalidHandshake, match="the filter refused it"):
                await create_websocket_server(sock, lambda request: verdict)
            with pytest.raises(InvalidStatus, match=str(status)):
                await run.thread(client.result)
        assert sock.fileno() == -1

    run(main)


def test_filter_fails(run, caplog):
    """Its exception is logged, and the client is not told why."""

    async def main():
        with accepted() as (sock, client):
            with pytest.raises(InvalidHandshake):
                await create_websocket_server(sock, lambda request: 1 / 0)
            with pytest.raises(InvalidStatus, match="500"):
                await run.thread(client.result)

    run(main)
    assert "ZeroDivisionError" in caplog.text


def test_a_filter_that_awaits_is_refused(run):
    """It runs in a thread; a coroutine would count as yes."""

    async def filter(request):
        return False

    async def main():
        ours, theirs = socket.socketpair()
        with ours, theirs:
            with pytest.raises(TypeError, match="coroutine function"):
                create_websocket_server(ours, filter)
            assert ours.fileno() != -1

    run(main)


def test_server_refuses_other_origins(run):
    """As serve() does; the filter is not asked."""

    async def main():
        with accepted(origin="https://evil.example") as (sock, client):
            with pytest.raises(syncws.InvalidOrigin):
                await create_websocket_server(sock, lambda request: pytest.fail("was asked"))
            with pytest.raises(InvalidStatus, match="403"):
                await run.thread(client.result)

    run(main)


def test_server_and_a_client_that_leaves_or_is_slow(run):
    """That is an exception, and the socket is closed."""

    async def main():
        ours, theirs = socket.socketpair()
        theirs.close()
        with pytest.raises((InvalidHandshake, OSError)):
            await create_websocket_server(ours)
        assert ours.fileno() == -1
        ours, theirs = socket.socketpair()
        with theirs, pytest.raises(TimeoutError):
            await create_websocket_server(ours, open_timeout=0.01)
        assert ours.fileno() == -1

    run(main)


def test_a_cancelled_handshake(run):
    """The thread that did it notices, and closes the socket."""

    async def main():
        ours, theirs = socket.socketpair()
        theirs.settimeout(WATCHDOG)

        async def accept():
            await create_websocket_server(ours)

        with theirs:
            opening = run.start(accept)
            await run.stays_waiting(opening)
            opening.cancel()
            with pytest.raises(Cancelled):
                await opening.result()
            assert await run.thread(theirs.recv, 1) == b""
            await run.until(lambda: ours.fileno() == -1)

    run(main)


def test_a_socket_with_tls_is_refused(run):
    """Reading and writing it in two threads is what OpenSSL forbids. It is left as it was."""

    async def main():
        ours, theirs = socket.socketpair()
        wrap = client_context().wrap_socket
        with (
            theirs,
            wrap(ours, server_hostname="localhost", do_handshake_on_connect=False) as sock,
        ):
            with pytest.raises(TypeError, match="expected a plain socket; hand in the TLS"):
                await create_websocket_server(sock)
            with pytest.raises(TypeError, match="expected a plain socket"):
                await create_websocket_client(sock, ("localhost", 1), "/")
            assert isinstance(sock, ssl.SSLSocket)
            assert sock.fileno() != -1

    run(main)


def test_an_option_that_does_not_exist(run):
    """The socket is left to the caller."""

    async def main():
        ours, theirs = socket.socketpair()
        with ours, theirs:
            with pytest.raises(TypeError, match="nonsense"):
                create_websocket_server(ours, nonsense=1)
            with pytest.raises(ValueError, match="origin"):
                create_websocket_server(ours, origins=["example.com"])
            assert ours.fileno() != -1

    run(main)
