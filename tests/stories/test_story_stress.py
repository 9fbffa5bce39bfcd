"""Everything at once, at random: every call ends, and only documented exceptions come out."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import random
import sys
import threading
import time
import warnings

import pytest

import syncws
from support.ends import connect_to, linked, plain_and_tls, serving
from support.threads import WATCHDOG, Running, eventually, live_threads

# What a call on a connection may come to, besides returning.
DOCUMENTED = (TimeoutError, syncws.ConnectionClosed, syncws.ConcurrencyError)


@pytest.fixture(autouse=True)
def _no_errors_logged(caplog):
    yield
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@contextlib.contextmanager
def switching_often():
    """Let threads take turns as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def soon(rng) -> float:
    return rng.choice([0, 0.0001, 0.001, 0.01])


def stream(ws, rng) -> None:
    for _ in ws.recv_stream(timeout=soon(rng)):
        if rng.random() < 0.3:
            break


def fragments(rng):
    for _ in range(rng.randrange(4)):
        yield bytes(rng.choice([0, 10, 5000]))


def answer(ws) -> None:
    with contextlib.suppress(*DOCUMENTED):
        ws.pong()


# What may be done to a connection, and how often.
CALLS = {
    lambda ws, rng: ws.send("x" * rng.choice([0, 5, 500]), timeout=soon(rng)): 8,
    lambda ws, rng: ws.send(bytes(rng.choice([10, 70_000, 3_000_000])), timeout=soon(rng)): 4,
    lambda ws, rng: ws.send_many(["a", b"b"] * 50, timeout=soon(rng)): 2,
    lambda ws, rng: ws.send(fragments(rng), timeout=0.1): 0.2,
    lambda ws, rng: ws.recv(timeout=soon(rng)): 12,
    lambda ws, rng: stream(ws, rng): 4,
    lambda ws, rng: ws.ping(timeout=soon(rng)): 3,
    lambda ws, rng: ws.ping(b"same", timeout=soon(rng)): 1,
    lambda ws, rng: ws.ping_nowait().add_done_callback(lambda _: answer(ws)): 1,
    lambda ws, rng: ws.pong(b"?"): 2,
    lambda ws, rng: (repr(ws), ws.stats, ws.state, ws.latency, ws.close_code): 2,
    lambda ws, rng: ws.wait_closed(soon(rng)): 1,
    lambda ws, rng: gc.collect(): 0.1,
}
ENDS = [
    lambda ws: ws.close(timeout=0.05),
    lambda ws: ws.close(1001, "enough", timeout=5),
    lambda ws: ws.abort(),
    lambda ws: ws.close(timeout=0),
]


def misuse(ws, seed: int, end: float) -> None:
    """Call anything at random until the time is over or the connection is."""
    rng = random.Random(seed)
    calls = list(CALLS)
    weights = list(CALLS.values())
    while time.monotonic() < end and not ws.wait_closed(0):
        (call,) = rng.choices(calls, weights)
        with contextlib.suppress(*DOCUMENTED):
            call(ws, rng)
    with contextlib.suppress(*DOCUMENTED):
        rng.choice(ENDS)(ws)


@contextlib.contextmanager
def collecting_little():
    """Let collections look at what is new: all that other tests have made takes seconds here."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@plain_and_tls
def test_eight_threads_do_what_they_like(secure):
    """For seconds, on one connection after the other; the seed is printed when it fails."""
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    rng = random.Random(seed)
    finish = time.monotonic() + 2.0
    rounds = 0
    with switching_often(), collecting_little():
        while time.monotonic() < finish:
            end = time.monotonic() + rng.choice([0.01, 0.1, 0.3])
            options = {
                "max_queue": rng.choice([1, 4, 4096]),
                "max_size": None,
                "fragment_size": rng.choice([1000, 2**20]),
                "ping_interval": 0.01,
                "ping_timeout": 5,
                "close_timeout": 0.3,
            }
            with linked(secure, **options) as ends:
                calls = [
                    Running(misuse, ws, rng.random(), end + rng.random() * 0.01)
                    for ws in ends
                    for _ in range(4)
                ]
                for call in calls:
                    call.result()
            rounds += 1
    assert rounds > 1


@plain_and_tls
def test_the_two_ends_count_the_same(secure):
    """Frames, messages and bytes, with many threads on each end."""
    with linked(secure) as ends, switching_often():

        def work(ws):
            for number in range(100):
                ws.send("x" * number)
                ws.ping_nowait()
                ws.pong()
                ws.recv()

        for call in [Running(work, ws) for ws in ends for _ in range(3)]:
            call.result()
        for ws in ends:
            ws.ping()
        eventually(lambda: counts(ends[0]) == counts(ends[1])[::-1], "equal counts")


def counts(ws):
    stats = ws.stats
    return (
        (stats.messages_sent, stats.frames_sent, stats.bytes_sent),
        (stats.messages_received, stats.frames_received, stats.bytes_received),
    )


def test_collections_at_bad_moments(serve):
    """Destructors run in whatever thread allocates next, whatever lock it holds."""
    port = serve().server_address[1]
    stop = threading.Event()

    def drop():
        while not stop.is_set():
            ws = connect_to(port, max_queue=1)
            cycle = [ws]
            cycle.append(cycle)
            for _ in range(5):
                ws.send("x")
            del ws, cycle

    def work():
        while not stop.is_set():
            with connect_to(port) as ws:
                for number in range(10):
                    ws.send(str(number))
                    ws.ping()
                    assert ws.recv(timeout=WATCHDOG) == str(number)

    threshold = gc.get_threshold()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.set_threshold(20, 3, 3)
        try:
            calls = [Running(call) for call in (drop, drop, work, work)]
            threading.Event().wait(1.0)
            stop.set()
            for call in calls:
                call.result()
        finally:
            gc.set_threshold(*threshold)
        eventually(lambda: not gc.collect() and len(live_threads()) == 1)


# shutdown() under load.


def chat(port: int, secure: bool) -> str:
    """Talk to the echo server until it leaves; tell how that looked."""
    try:
        with connect_to(port, secure, open_timeout=WATCHDOG) as ws:
            while True:
                ws.send(bytes(2000), timeout=WATCHDOG)
                ws.ping_nowait()
                ws.recv(timeout=WATCHDOG)
    except syncws.ConnectionClosed as exc:
        return f"closed {exc.code}"
    except (syncws.InvalidHandshake, OSError) as exc:
        assert not isinstance(exc, TimeoutError)
        return f"{type(exc).__name__} {exc}"


@plain_and_tls
def test_shutdown_under_load(secure):
    """All are told, whatever they are doing; it does not wait for the timeout."""
    from support.tls import server_context

    def echo(ws):
        for message in ws:
            ws.send(message)

    context = server_context() if secure else None
    with syncws.ThreadingServer(echo, "127.0.0.1", 0, ssl=context, close_timeout=60) as server:
        server.start()
        chats = [Running(chat, server.server_address[1], secure) for _ in range(20)]
        eventually(lambda: len(server.connections) == 20)
        Running(server.shutdown).result(20)
        for call in chats:
            assert call.result() == "closed 1001"


@plain_and_tls
def test_a_hundred_clients_connect_while_shutdown_runs(secure):
    """Each gets a connection that is closed properly, or a clear refusal; none hangs."""
    with serving(secure, close_timeout=60) as (server, _):
        port = server.server_address[1]
        go = threading.Barrier(21)

        def connect():
            go.wait()
            return [chat_once(port, secure) for _ in range(5)]

        clients = [Running(connect) for _ in range(20)]
        go.wait()
        server.shutdown()
        outcomes = [outcome for client in clients for outcome in client.result()]
    assert len(outcomes) == 100
    assert not [o for o in outcomes if not o.startswith(EXPECTED)]


EXPECTED = (
    "closed 1001",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "BrokenPipeError",
    "SSLEOFError",
    "OSError [Errno",
    "OSError cannot connect",
    "InvalidMessage the server",
)


def chat_once(port: int, secure: bool) -> str:
    try:
        with connect_to(port, secure, open_timeout=WATCHDOG) as ws:
            ws.recv(timeout=WATCHDOG)
            return "a message"
    except syncws.ConnectionClosed as exc:
        return f"closed {exc.code}"
    except (syncws.InvalidHandshake, OSError) as exc:
        return f"{type(exc).__name__} {exc}"


def test_several_threads_and_handlers_shut_down_at_once():
    """They do not wait for each other."""
    barrier = threading.Barrier(4)

    def handler(ws):
        barrier.wait(WATCHDOG)
        server.shutdown()

    with syncws.ThreadingServer(handler, "127.0.0.1", 0, close_timeout=60) as server:
        server.start()
        clients = [connect_to(server.server_address[1]) for _ in range(3)]
        barrier.wait(WATCHDOG)
        shutdowns = [Running(server.shutdown) for _ in range(3)]
        for call in shutdowns:
            call.result(20)
        for ws in clients:
            assert ws.wait_closed(WATCHDOG)
            assert ws.close_code == 1001
