"""wait(): several connections in one thread."""

from __future__ import annotations

import contextlib

import pytest

import syncws
from support.children import child
from support.ends import both_roles, end_and_peer, linked, plain_and_tls
from support.threads import WATCHDOG, Running, blocked_in, eventually, live_threads
from support.wire import TEXT


@pytest.fixture
def three():
    """Return three pairs of connections, (client, server)."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(linked()) for _ in range(3)]


def waits(*args, **kwargs):
    """Start a wait(), and return when it really waits."""
    waiting = Running(syncws.wait, *args, **kwargs)
    eventually(lambda: blocked_in(waiting.thread, "wait_once", "wait"))
    eventually(lambda: all(ws._queue.waiting for ws in args[0]), "the listeners")
    return waiting


def listeners(*connections):
    return [(ws._queue.waiting, len(ws._queue._whole_listeners)) for ws in connections]


@both_roles
@plain_and_tls
def test_a_message_makes_ready(role, secure):
    """wait() returns who has one, and recv() gives it."""
    with linked(secure) as pair, linked(secure) as other_pair:
        ours, theirs = pair if role == "client" else pair[::-1]
        other = other_pair[0] if role == "client" else other_pair[1]
        waiting = waits([other, ours])

        theirs.send("hello")

        assert waiting.result() == [ours]
        assert ours.recv(timeout=0) == "hello"
        assert listeners(ours, other) == [(0, 0)] * 2


def test_all_that_are_ready_in_their_order(three):
    """Not only the first one, and in the order of the argument."""
    for _, server in three:
        server.send("hello")
    clients = [client for client, _ in three]
    for client in clients:
        client.ping()  # the message came before the Pong

    assert syncws.wait(clients[::-1]) == clients[::-1]


def test_again_and_again(three):
    """What is not received stays ready; what is received makes way for the next."""
    clients = [client for client, _ in three]
    for turn in range(30):
        three[turn % 3][1].send(str(turn))
        (ready,) = syncws.wait(clients, WATCHDOG)
        assert syncws.wait(clients, 0) == [ready]
        assert ready is clients[turn % 3]
        assert ready.recv(timeout=0) == str(turn)


@plain_and_tls
def test_a_timeout_of_0_finds_what_has_come(secure):
    """Also what nobody has read from the socket yet, and without a thread for that."""
    with linked(secure) as (client, server):
        server.send("first")
        client.ping()
        client.recv()
        assert syncws.wait([client], timeout=0) == []

        server.send("second")
        eventually(lambda: syncws.wait([client], timeout=0) == [client])

        assert client.recv(timeout=0) == "second"
        assert listeners(client) == [(0, 0)]


def test_no_thread_is_started_for_what_is_there():
    """A wait() that need not wait costs none."""
    with end_and_peer("client") as (ws, peer):
        before = live_threads()
        peer.send(TEXT, b"hello")

        assert eventually(lambda: syncws.wait([ws], timeout=0)) == [ws]

        assert [t for t in live_threads() if t not in before] == []


def test_the_time_lapses(three):
    """Then nobody is ready, and nothing is left behind."""
    clients = [client for client, _ in three]

    assert syncws.wait(clients, timeout=0.02) == []

    assert listeners(*clients) == [(0, 0)] * 3


def test_the_end_makes_ready(three):
    """recv() would not block, it would raise."""
    clients = [client for client, _ in three]
    waiting = waits(clients)

    three[1][1].close()

    assert waiting.result() == [clients[1]]
    with pytest.raises(syncws.ConnectionClosedOK):
        clients[1].recv(timeout=0)
    assert syncws.wait(clients) == [clients[1]]


@both_roles
def test_a_cut_connection_is_ready(role):
    """As one that was closed."""
    with end_and_peer(role) as (ws, peer):
        waiting = waits([ws])

        peer.reset()

        assert waiting.result() == [ws]


def test_a_long_message_makes_ready_when_it_is_whole():
    """Also one that is longer than the queue takes: somebody waits for it."""
    with end_and_peer("server", max_queue_bytes=1000, max_size=2**20) as (ws, peer):
        waiting = waits([ws])
        peer.send(TEXT, b"x" * 50_000, fin=False)
        assert peer.send(9, b"") is None
        assert peer.recv()[0] == 10
        assert waiting.alive

        peer.send(0, b"x" * 50_000)

        assert waiting.result() == [ws]
        assert ws.recv(timeout=0) == "x" * 100_000


def test_others_receive_from_the_same_one(three):
    """Each message goes to one thread; wait() goes on if the other was faster."""
    client, server = three[0]
    got = []

    def receive():
        with contextlib.suppress(syncws.ConnectionClosed):
            while True:
                got.append(client.recv())

    def wait_and_receive():
        with contextlib.suppress(syncws.ConnectionClosed):
            while True:
                for ready in syncws.wait([client, three[1][0]]):
                    with contextlib.suppress(TimeoutError):
                        got.append(ready.recv(timeout=0))

    threads = [Running(receive), Running(wait_and_receive), Running(wait_and_receive)]
    for number in range(500):
        server.send(str(number))
    eventually(lambda: len(got) == 500, "all messages")
    client.close()
    for thread in threads:
        thread.result()

    assert sorted(map(int, got)) == list(range(500))
    assert listeners(client, three[1][0]) == [(0, 0)] * 2


def test_one_connection_twice(three):
    """It is returned as often as it is given."""
    client, server = three[0]
    server.send("hello")

    assert syncws.wait([client, client]) == [client, client]
    assert listeners(client) == [(0, 0)]


@pytest.mark.parametrize("timeout", [None, 0, 5])
def test_no_connections(timeout):
    """Nothing can become ready: no wait."""
    assert syncws.wait([], timeout) == []


def test_an_iterator_of_connections(three):
    """Any iterable will do."""
    three[0][1].send("hello")

    assert syncws.wait(client for client, _ in three) == [three[0][0]]


@pytest.mark.parametrize("wrong", [1, "ws", None])
def test_what_is_no_connection(three, wrong):
    """It is refused, with its type."""
    with pytest.raises(TypeError, match=f"expected Connections, got {type(wrong).__name__}"):
        syncws.wait([three[0][0], wrong])


@pytest.mark.native_threads("gevent raises KeyboardInterrupt in whichever greenlet runs")
def test_ctrl_c():
    """It ends the wait, and nothing is left behind."""
    program = """
        import syncws
        from support.children import blocks_in
        server = syncws.ThreadingServer(lambda ws: ws.wait_closed(), "127.0.0.1", 0)
        server.start()
        with server, syncws.connect("ws://127.0.0.1:%d" % server.server_address[1]) as ws:
            blocks_in("wait", "waiting")
            try:
                syncws.wait([ws])
            except KeyboardInterrupt:
                print("interrupted", ws._queue.waiting, ws.state.name, flush=True)
    """
    with child(program) as running:
        assert running.line() == "waiting"
        running.interrupt()
        assert running.line() == "interrupted 0 OPEN"
        assert running.ends() == (0, "")


def test_one_connection_is_refused():
    """It is iterated over for its messages, which would be taken from others."""
    with linked() as (ours, _), pytest.raises(TypeError, match=r"write \[ws\]"):
        syncws.wait(ours, 0)
