"""The snippets of asws3 and asyncwebsockets run with another import, as then and as today."""

from __future__ import annotations

import contextlib
import signal
import textwrap

import pytest

from aio import face_seeds as seeds
from aio.programs import free_port, no_loop, running, visit
from support.loops import url_of
from support.threads import WATCHDOG
from syncws import aio
from syncws.aio.events import (
    BytesMessage,
    CloseConnection,
    Ping,
    TextMessage,
    create_websocket,
    open_websocket,
)

# As the snippets of asws3 stand in a program: what makes the server, and what lets it serve.
THEN = (seeds.CREATE, seeds.START, seeds.SERVE)
TODAY = (seeds.CREATE_TODAY, seeds.START_TODAY, seeds.SERVE_TODAY)

then_and_today = pytest.mark.parametrize(
    ("create", "start", "serve"),
    [pytest.param(*THEN, id="then", marks=no_loop), pytest.param(*TODAY, id="today")],
)


@pytest.fixture
def port():
    """Return a port for the program."""
    with free_port() as reserved:
        yield reserved


def program(*parts):
    return "".join((seeds.CALLBACKS_IMPORT, "sys.stdout.reconfigure(line_buffering=True)", *parts))


@then_and_today
def test_start(create, start, serve, port):
    """The server closes as soon as the with block is done."""
    with running(program(create, seeds.CONNECTION, start), port) as server:
        assert server.line() == f"Serving on ('127.0.0.1', {port})"
        assert server.line() == "The server closed"
        assert server.ends() == (0, "")


@then_and_today
def test_connection_and_end(create, start, serve, port):
    """What ends the loop, or ``serve_forever()``, ends the program in order."""
    stop = "    loop.stop()\n" if create is seeds.CREATE else "    socket.stop()\n"
    with running(program(create, seeds.CONNECTION, stop, serve), port) as server:
        with visit(server, port) as ws:
            assert server.line() == "We just got a new connection!"
            assert server.line() == "The server is going to close!"
            assert list(ws) == []
            assert ws.close_code in (1000, 1001)  # as on_connection has returned, or not
        assert server.line() == "The server closed"
        assert server.ends() == (0, "")


@then_and_today
def test_ctrl_c(create, start, serve, port):
    """It ends the with block, too."""
    # Where the loop sleeps: just before that, Python would notice it only when the loop wakes up.
    asleep = '    from support.children import blocks_in\n    blocks_in("select", "asleep")\n'
    with running(program(create, seeds.CONNECTION, asleep, serve), port) as server:
        with visit(server, port) as ws:
            assert server.line() == "We just got a new connection!"
            assert server.line() == "asleep"
            server.process.send_signal(signal.SIGINT)
            assert ws.wait_closed(WATCHDOG)
            assert ws.close_code == 1001
        assert "KeyboardInterrupt" in server.ends()[1]


@then_and_today
def test_address(create, start, serve, port):
    with running(program(create, seeds.ADDRESS, serve), port) as server, visit(server, port) as ws:
        assert server.line() == f"We just got a new connection from {ws.local_address}!"


@then_and_today
def test_clients(create, start, serve, port):
    """Before on_connection has returned, ``clients`` has all but the new one."""
    clients = seeds.CLIENTS + '    print("came")\n'
    with running(program(create, clients, serve), port) as server, contextlib.ExitStack() as stack:
        addresses = []
        for _ in range(3):
            address = stack.enter_context(visit(server, port)).local_address
            assert {server.line() for _ in addresses} == {
                f"Client {other} was connected before {address}" for other in addresses
            }
            assert server.line() == "came"
            addresses.append(address)


@then_and_today
def test_message(create, start, serve, port):
    """The callback may leave the message unread."""
    with running(program(create, seeds.MESSAGE, serve), port) as server, visit(server, port) as ws:
        for message in ("one", b"two"):
            ws.send(message)
            assert server.line() == f"The client {ws.local_address} sent an message."


@then_and_today
def test_read(create, start, serve, port):
    connection = seeds.CONNECTION + textwrap.indent(seeds.READ, "    ")
    with running(program(create, connection, serve), port) as server, visit(server, port) as ws:
        assert server.line() == "We just got a new connection!"
        ws.send("hello")
        assert server.line() == f"The client {ws.local_address} sent the message hello."


@then_and_today
def test_tell(create, start, serve, port):
    tell = seeds.TELL + '    print("came")\n'
    with running(program(create, tell, serve), port) as server, visit(server, port) as one:
        assert server.line() == "came"
        with visit(server, port):
            assert one.recv(WATCHDOG) == "You are a client connected to my server."


@then_and_today
def test_answer(create, start, serve, port):
    with running(program(create, seeds.ANSWER, serve), port) as server, visit(server, port) as ws:
        for message in ("text", b"bytes", "", b""):
            ws.send(message)
            assert ws.recv(WATCHDOG) == "You just send me the following message."
            assert ws.recv(WATCHDOG) == message


# asyncwebsockets.


def talker(snippet):
    """Make a function ``talk(websocket)`` of a snippet."""
    names = {}
    body = textwrap.indent(snippet, "    ")
    exec(f"{seeds.EVENTS_IMPORT}\nasync def talk(websocket):{body}", names)
    return names["talk"]


def test_event_types(run, capsys):
    async def handler(ws):
        await ws.send("text")
        await ws.send(b"bytes")
        await ws.ping()

    async def main():
        async with (
            aio.serve(handler, "127.0.0.1", 0) as server,
            open_websocket(url_of(server)) as websocket,
        ):
            await talker(seeds.TYPES)(websocket)

    run(main)
    types = [TextMessage, BytesMessage, Ping, CloseConnection]
    assert capsys.readouterr().out.splitlines() == [str(kind) for kind in types]


def test_thanks(run):
    told = []

    async def handler(ws):
        await ws.send("hello")
        told.append(await ws.recv())

    async def main():
        async with aio.serve(handler, "127.0.0.1", 0) as server:
            websocket = await create_websocket(url_of(server))
            await talker(seeds.THANKS)(websocket)
            await websocket.close()

    run(main)
    assert told == ["Thanks for saying 'hello'!"]


def test_goodbye(run):
    ends = []

    async def handler(ws):
        await ws.wait_closed()
        ends.append((ws.close_code, ws.close_reason))

    async def main():
        async with (
            aio.serve(handler, "127.0.0.1", 0) as server,
            open_websocket(url_of(server)) as websocket,
        ):
            await talker(seeds.GOODBYE)(websocket)
            assert [event async for event in websocket] == [CloseConnection(1000)]

    run(main)
    assert ends == [(1000, "Goodbye!")]
