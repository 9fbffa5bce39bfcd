"""Threads, file descriptors and memory come back; a connection that nobody holds ends."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import warnings
import weakref

import pytest

import syncws
from support.ends import both_roles, connect_to, end_and_peer, linked, plain_and_tls
from support.threads import WATCHDOG, Running, eventually, live_threads, open_fds
from support.tls import server_context


def visit(port: int, secure: bool, number: int) -> None:
    """Open a connection, use it, and leave in one of many ways."""
    ws = connect_to(port, secure)
    ws.send(bytes(number % 5 * 1000))
    ws.ping_nowait()
    if number % 3:
        ws.recv(timeout=WATCHDOG)
    if number % 7 == 0:
        ws.abort()
        ws.wait_closed(WATCHDOG)
    elif number % 7 == 1:
        ws.send("please close")
        ws.wait_closed(WATCHDOG)
    else:
        ws.close(timeout=WATCHDOG)


def polite_echo(ws):
    for message in ws:
        if message == "please close":
            return
        ws.send(message)


@plain_and_tls
def test_a_thousand_connections(secure, serve):
    """
    Memory is what tracemalloc counts: all that Python allocated; after a warm-up.

    What leaks grows each time, a large table of Python's own once in a while.
    """
    count = 1000 if not secure else 240
    port = serve(polite_echo, ssl=server_context() if secure else None).server_address[1]

    def visits(begin, end):
        calls = [
            Running(lambda part=part: [visit(port, secure, n) for n in part])
            for part in (range(begin, end, 2), range(begin + 1, end, 2))
        ]
        for call in calls:
            call.result(45)
        eventually(lambda: len(live_threads()) == 1, "the end of all threads but the acceptor")

    visits(0, 100)
    visits(100, count // 2)
    fds = open_fds()
    tracemalloc.start()
    try:
        visits(0, 100)
        grown = []
        while not grown or (grown[-1] > 300_000 and len(grown) < 3):
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            visits(0, count // 2)
            gc.collect()
            grown.append(tracemalloc.get_traced_memory()[0] - before)
        assert grown[-1] <= 300_000, grown
    finally:
        tracemalloc.stop()
    eventually(lambda: open_fds() <= fds)


def test_two_hundred_connections_at_once(serve):
    """Three threads each here, for the client is ours, too; one file descriptor each end."""
    server = serve()
    connect_to(server.server_address[1]).close()  # so its own thread and selector are there
    eventually(lambda: len(live_threads()) == 1)
    fds = open_fds()
    threads = threading.active_count()
    connections = [connect_to(server.server_address[1]) for _ in range(200)]
    try:
        for number, ws in enumerate(connections):
            ws.send(str(number))
        for number, ws in enumerate(connections):
            assert ws.recv(timeout=WATCHDOG) == str(number)
        assert len(server.connections) == 200
        assert threading.active_count() - threads <= 600
        assert open_fds() - fds <= 410
    finally:
        for ws in connections:
            ws.close()
    eventually(lambda: threading.active_count() <= threads)
    eventually(lambda: open_fds() <= fds)


def test_timers_of_closed_connections_are_not_kept(serve):
    """They may be due in hours only."""
    from syncws.housekeeper import housekeeper

    port = serve(ping_interval=3600).server_address[1]
    for _ in range(150):
        connect_to(port, ping_interval=3600, close_timeout=3600).close()
    assert len(housekeeper._timers) < 400


# A connection that nobody holds.


def gone(connection: weakref.ref[syncws.Connection]) -> bool:
    gc.collect()
    return connection() is None


def lonely_client(make, port, secure, **options):
    """Make a connection and whatever holds it, let go of it, and wait for the end of its reader."""
    with warnings.catch_warnings():
        # pytest.warns() would keep the warning, which knows the connection.
        warnings.simplefilter("ignore", ResourceWarning)
        ws = connect_to(port, secure, **options)
        reference = weakref.ref(ws)
        make(ws)
        del ws
        eventually(lambda: gone(reference))
    eventually(
        lambda: not [t for t in live_threads() if t.name == "syncws-client-reader"],
        "the end of the reader",
    )


def make_cycle(ws):
    cycle = [ws]
    cycle.append(cycle)


def fill_queue(ws):
    for _ in range(20):
        ws.send("x")
    eventually(lambda: ws._engine.queue.parked)


def leave_ping(ws):
    ws.ping_nowait(b"never mind")


def leave_stream(ws):
    ws.send("x" * 1000)
    stream = ws.recv_stream()
    next(stream)


@plain_and_tls
@pytest.mark.parametrize("make", [repr, make_cycle, fill_queue, leave_ping, leave_stream])
def test_dropping_the_last_reference_ends_the_reader(make, secure, serve):
    """Also in a reference cycle, and while the reader is parked on a full queue."""
    server = serve(ssl=server_context() if secure else None)
    lonely_client(make, server.server_address[1], secure, max_queue=2)
    eventually(lambda: not server.connections, "the end of the server's side")


def test_a_connection_that_someone_waits_in_is_held():
    """As long as a call runs, there is a reference: nothing ends under it."""
    with linked() as (client, server):
        receiving = Running(client.recv)
        gc.collect()
        server.send("still here")
        assert receiving.result() == "still here"


@both_roles
def test_a_failed_connection_is_freed(role):
    """Exceptions hold frames, frames hold connections: a collection is enough."""
    references = []
    for _ in range(5):
        with end_and_peer(role, ping_interval=None) as (ws, peer):
            references.append(weakref.ref(ws))
            peer.reset()
            with pytest.raises(syncws.ConnectionClosedError):
                ws.recv()
            with pytest.raises(syncws.ConnectionClosedError):
                ws.send(bytes(1000))
        del ws
    eventually(lambda: all(gone(reference) for reference in references))


def test_no_thread_for_the_reader(serve, monkeypatch):
    """The system has no more threads: the connection ends, says so and leaves nothing behind."""
    port = serve().server_address[1]
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == "syncws-client-reader":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    ws = connect_to(port)
    assert ws.wait_closed(WATCHDOG)
    with pytest.raises(syncws.ConnectionClosedError) as caught:
        ws.recv()
    assert "can't start" in str(caught.value.__cause__)
