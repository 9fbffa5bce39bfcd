"""pair(): two real connections without a network, and what its block does not let pass."""

from __future__ import annotations

import subprocess
import sys

import pytest

import syncws
from support.threads import WATCHDOG, Running, eventually
from syncws.testing import pair


def test_messages_go_both_ways():
    """Text, bytes and a large message; at the end both are closed normally."""
    with pair() as (client, server):
        client.send("hello")
        assert server.recv(timeout=WATCHDOG) == "hello"
        sending = Running(server.send, bytes(900_000))
        assert client.recv(timeout=WATCHDOG) == bytes(900_000)
        sending.result()
        assert client.ping(timeout=WATCHDOG) > 0

    assert (client.role, server.role) == (syncws.Role.CLIENT, syncws.Role.SERVER)
    assert {ws.state for ws in (client, server)} == {syncws.State.CLOSED}
    assert {ws.close_code for ws in (client, server)} == {1000}


def test_what_is_agreed_on():
    """The rules of the opening handshake decide, as between strangers."""
    options = {"path": "/chat?room=1", "subprotocol": "chat", "headers": {"Cookie": "a=b"}}
    with pair(**options) as (client, server):
        assert client.subprotocol == server.subprotocol == "chat"
        assert client.extensions == server.extensions != []
        assert server.path == "/chat?room=1"
        assert server.request.headers["Cookie"] == "a=b"
        client.send("x" * 10_000)
        assert server.recv(timeout=WATCHDOG) == "x" * 10_000
        assert client.stats.bytes_sent < 1000

    with pair(compression=None) as (client, server):
        assert client.extensions == server.extensions == []
    with pair(client={"compression": None}) as (client, server):
        assert server.extensions == []


def test_options_of_one_end():
    """Those of an end go before those of both."""
    with pair(max_size=100, server={"max_size": 10}, leftovers=True) as (client, server):
        server.send(bytes(100))
        assert client.recv(timeout=WATCHDOG) == bytes(100)
        client.send(bytes(11))
        with pytest.raises(syncws.ConnectionClosedError):
            server.recv(timeout=WATCHDOG)

    assert client.close_code == 1009


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_size": "much"}, TypeError),
        ({"client": {"ping_timeout": 0}}, ValueError),
        ({"subprotocol": "two words"}, ValueError),
        ({"headers": {"Upgrade": "h2c"}}, ValueError),
        ({"nonsense": 1}, TypeError),
    ],
)
def test_bad_arguments(options, error):
    """They are told before anything is opened."""
    with pytest.raises(error), pair(**options):
        pass


@pytest.mark.parametrize("end", [0, 1])
def test_a_message_that_nobody_received_fails_the_block(end):
    """It is told which end has it, and what it is; also behind a close by hand."""
    with pytest.raises(AssertionError) as caught, pair() as ends:
        for number in range(5):
            ends[1 - end].send(str(number))
        ends[1 - end].close()

    assert str(caught.value).startswith(
        f"the {('client', 'server')[end]} did not receive 5 message(s): '0', '1', '2', ...; "
    )


def test_leftovers_can_be_allowed():
    """A test that does not care says so."""
    with pair(leftovers=True) as (client, _):
        client.send("hello")


def test_an_end_that_does_not_read_does_not_hold_up_the_other():
    """Its queue is full, so it has stopped reading; the closing handshake is done all the same."""
    with pair(max_queue=1, leftovers=True) as (client, server):
        for _ in range(10):
            client.send("hello")
        eventually(lambda: server._engine.queue.parked)

    assert (client.close_code, server.close_code) == (1000, 1000)


def test_an_error_in_the_block_comes_out():
    """Both are cut, messages that wait are not told of, and the error is not hidden."""
    error = RuntimeError("the test's own")
    with pytest.raises(RuntimeError) as caught, pair() as (client, server):
        client.send("hello")
        raise error

    assert caught.value is error
    assert {ws.state for ws in (client, server)} == {syncws.State.CLOSED}


def test_who_waits_is_woken_by_the_end():
    """A handler that a test runs in a thread of its own ends with the block."""
    with pair() as (_, server):
        handler = Running(list, server)

    assert handler.result() == []


def test_events_of_a_pair():
    """What waits for events() is not counted as left over."""
    with pair() as (client, server):
        events = server.events(timeout=WATCHDOG, whole=True)
        client.send("hello")
        assert next(events).data == "hello"
        client.ping_nowait(b"unseen")


def test_an_abort_is_seen_by_the_other():
    """As the end of the stream: there is no reset without TCP."""
    with pair() as (client, server):
        server.abort()
        with pytest.raises(syncws.ConnectionClosedError):
            client.recv(timeout=WATCHDOG)
    assert client.close_code == 1006


def test_an_end_that_does_not_close_is_told(monkeypatch):
    """Should there be one, the block fails instead of hanging, and cuts it."""
    told = pytest.raises(AssertionError, match=r"not closed after 10\.0 s: .*client.*server")
    with told, pair() as ends:
        monkeypatch.setattr(syncws.Connection, "wait_closed", lambda ws, timeout: False)

    monkeypatch.undo()
    assert all(ws.wait_closed(WATCHDOG) for ws in ends)


def test_import_syncws_does_not_load_it():
    """Nor does it load pytest, unless the plugin is asked for."""
    program = """
        import sys, syncws
        assert not [name for name in sys.modules if name.startswith("syncws.testing")]
        import syncws.testing
        assert "pytest" not in sys.modules
    """
    code = "\n".join(line.strip() for line in program.splitlines())
    subprocess.run([sys.executable, "-c", code], check=True)
