"""
The programs of early websockets run with another import, and so does what one writes today.

Each is a process of its own, on a port that is free, and talks to this one.
"""

from __future__ import annotations

import contextlib
import re
import textwrap

import pytest

import syncws
from aio import early
from aio.programs import free_port, gone, no_loop, running, since, visit
from support.peer import Peer
from support.threads import WATCHDOG, eventually
from syncws import Opcode

no_bare_coroutines = gone((3, 11), "asyncio.wait() of coroutines")


def then_and_today(then, today, *marks):
    """Run a test with a program as it was written then, and with that of today."""
    return pytest.mark.parametrize(
        "program",
        [
            pytest.param(then, id="then", marks=[no_loop, *marks]),
            pytest.param(today, id="today"),
        ],
    )


@pytest.fixture
def port():
    """Return a port for the program."""
    with free_port() as reserved:
        yield reserved


@then_and_today(early.PARTIAL, early.PARTIAL_TODAY)
def test_arguments_for_the_handler(program, port):
    """As it stands the handler does nothing, so the connection is closed normally."""
    with running(program, port) as server, visit(server, port) as ws:
        assert list(ws) == []
        assert ws.close_code == 1000


@then_and_today(early.PARTIAL, early.PARTIAL_TODAY)
def test_arguments_arrive(program, port):
    """The handler has its extra argument, and the path."""
    program = program.replace("    ...", "    await websocket.send(extra_argument + path)")

    with running(program, port) as server, visit(server, port, "/x?y=1") as ws:
        assert list(ws) == ["spam/x?y=1"]


@pytest.mark.parametrize(
    ("snippet", "told"),
    [
        pytest.param(early.LOGGING, False, id="then"),
        pytest.param(early.LOGGING.replace("'websockets'", "'syncws'"), True, id="today"),
    ],
)
def test_logging(snippet, told, port):
    """As it stands it does no harm; with the name of our logger it shows what it promises."""
    program = early.PARTIAL_TODAY.replace("    ...", "    raise ValueError('broken')")

    with running(snippet + program, port) as server:
        with visit(server, port) as ws:
            assert ws.wait_closed(WATCHDOG)
            assert ws.close_code == 1011
        with pytest.raises(syncws.InvalidStatus, match="403"):
            syncws.connect(f"ws://127.0.0.1:{port}", origin="https://example.com")
        server.interrupt()
        errors = server.process.communicate(timeout=WATCHDOG)[1]

    assert "ValueError: broken" in errors  # at ERROR, which Python shows anyway
    assert ("opening handshake failed" in errors) == told  # at INFO


@pytest.fixture(
    params=[
        pytest.param(early.KEEP_OPEN, id="then"),
        pytest.param(early.KEEP_OPEN_TODAY, id="today", marks=since((3, 11), "asyncio.timeout()")),
    ]
)
def keep_open(request, listener):
    """Return a function that runs the loop, with limits of its own, against a Peer."""
    with contextlib.ExitStack() as stack:

        def run(silence, patience):
            loop = request.param.replace("20", str(silence)).replace("10", str(patience))
            loop = textwrap.indent(loop.replace("...", "print(msg)"), "    ")
            program = early.AROUND_THE_LOOP.replace("    LOOP", loop)
            client = stack.enter_context(running(program, listener.getsockname()[1]))
            return client, stack.enter_context(Peer.accepting(listener))

        yield run


def test_keeping_a_connection_open(keep_open):
    """It pings when no message comes, goes on after the Pong, and takes messages."""
    client, peer = keep_open(silence=0.05, patience=WATCHDOG)
    for _ in range(2):
        opcode, payload = peer.recv()
        assert opcode == Opcode.PING
        peer.send(Opcode.PONG, payload)
    peer.send(Opcode.TEXT, b"hello")

    assert client.line() == "hello"


def test_noticing_a_dead_connection(keep_open):
    """It ends when no Pong comes."""
    client, peer = keep_open(silence=0.05, patience=0.05)

    assert peer.recv()[0] == Opcode.PING
    assert client.line() == "no Pong"
    assert client.ends() == (0, "")


@then_and_today(early.SERVER, early.SERVER_TODAY)
def test_server(program, port):
    """It greets the client by its name and closes."""
    with running(program, port) as server, visit(server, port) as ws:
        ws.send("Ada")

        assert list(ws) == ["Hello Ada!"]
        assert ws.close_code == 1000
        assert [server.line(), server.line()] == ["< Ada", "> Hello Ada!"]


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(early.CLIENT, id="then", marks=no_loop),
        pytest.param(early.OLD_CLIENT, id="before-3.5", marks=gone((3, 11), "asyncio.coroutine")),
        pytest.param(early.OLD_CLIENT_TODAY, id="before-3.5-today", marks=no_loop),
        pytest.param(early.CLIENT_TODAY, id="today"),
    ],
)
def test_client(program, serve):
    """It sends its name, shows the greeting and closes."""
    ends = []

    def greet(ws):
        ws.send(f"Hello {ws.recv()}!")
        ends.extend([*ws, ws.close_code])

    server = serve(greet, host="localhost")
    with running(program, server.server_address[1]) as client:
        client.process.stdin.write("Ada\n")
        client.process.stdin.flush()

        assert client.line() == "What's your name? > Ada"
        assert client.line() == "< Hello Ada!"
        assert client.ends() == (0, "")
    assert eventually(lambda: ends) == [1000]


@then_and_today(early.SEND_TIME, early.SEND_TIME_TODAY)
def test_send_time(program, port):
    """It sends the time again and again."""
    with running(program, port) as server, visit(server, port) as ws:
        for _ in range(2):
            assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", ws.recv())


@then_and_today(
    early.RECEIVER + "handler = receiver_handler" + early.AFTER,
    early.RECEIVER_TODAY + "handler = receiver_handler" + early.AFTER_TODAY,
)
def test_consumer(program, port):
    """The consumer gets each message; the end of the connection ends the loop quietly."""
    with running(early.BEFORE + program, port) as server:
        for name in ("one", "two"):
            with visit(server, port) as ws:
                ws.send(name)
            assert server.line() == f"< {name}"


@then_and_today(
    early.PRODUCER + "handler = producer_handler" + early.AFTER,
    early.PRODUCER + "handler = producer_handler" + early.AFTER_TODAY,
)
def test_producer(program, port):
    """Clients get what the producer makes; one that leaves does not disturb it."""
    with running(early.BEFORE + program, port) as server:
        for _ in range(2):
            with visit(server, port) as ws:
                first, second = (int(ws.recv().split()[-1]) for _ in range(2))
                assert second == first + 1


HALVES = early.BEFORE + early.RECEIVER + early.PRODUCER


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(
            HALVES + early.BOTH + early.AFTER, id="then", marks=[no_loop, no_bare_coroutines]
        ),
        pytest.param(HALVES + early.BOTH_GATHERED + early.AFTER_TODAY, id="gather"),
        pytest.param(
            HALVES + early.BOTH_GROUPED + early.AFTER_TODAY,
            id="TaskGroup",
            marks=since((3, 11), "asyncio.TaskGroup"),
        ),
        pytest.param(HALVES + early.BOTH_IN_ONE_LOOP + early.AFTER, id="one-loop", marks=no_loop),
        pytest.param(HALVES + early.BOTH_IN_ONE_LOOP + early.AFTER_TODAY, id="one-loop-today"),
    ],
)
def test_both_directions(program, port):
    """Each side gets all that the other sends, though one's turn cuts short the other's."""
    with running(program, port) as server, visit(server, port) as ws:
        for number in range(100):
            ws.send(str(number))
            if number % 10 == 9:
                assert ws.recv() == f"message {number // 10}"

        assert [server.line() for _ in range(100)] == [f"< {number}" for number in range(100)]


@then_and_today(
    early.REGISTRATION + early.AFTER,
    early.REGISTRATION_TODAY + early.AFTER_TODAY,
    no_bare_coroutines,
)
def test_registration(program, port):
    """Who comes is greeted with all that are there; afterwards the connection is closed."""
    program = early.BEFORE + program.replace("sleep(10)", "sleep(0.3)")

    with running(program, port) as server, visit(server, port) as first:
        assert first.recv() == "Hello!"
        with visit(server, port) as second:
            assert second.recv() == "Hello!"
            assert list(second) == []
        assert list(first) == ["Hello!"]
        assert (first.close_code, second.close_code) == (1000, 1000)
