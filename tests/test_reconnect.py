"""reconnect(): what each step of the iterator does, and how the loop is left."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import logging
import socket
import ssl
import sys
import threading

import pytest

import syncws
from support.children import child
from support.peer import Peer
from support.threads import WATCHDOG, Running, blocked_in, eventually
from support.tls import server_context
from syncws import Backoff, ConnectionClosed, reconnect
from syncws.testing import ScriptedServer

QUICK = Backoff(initial=0.001, maximum=0.004)
# Only a test that hangs sees the end of such a pause.
SLOW = Backoff(initial=3600, maximum=3600)


@pytest.fixture
def ends(serve):
    """Return a server that notes the close code of each client, and echoes."""
    codes = []

    def handler(ws):
        with contextlib.suppress(ConnectionClosed):
            for message in ws:
                ws.send(message)
        ws.wait_closed()
        codes.append(ws.close_code)

    server = serve(handler)
    server.codes = codes
    return server


@pytest.fixture
def scripted():
    """Return a ScriptedServer, to which no client may come that the test does not want."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def paused(free_port):
    """Return a function: a loop in a thread of its own that pauses; returns (Running, iterator)."""
    stops = []

    def start(**options):
        connections = reconnect(f"ws://127.0.0.1:{free_port}/", backoff=SLOW, **options)
        stops.append(connections)
        loop = Running(lambda: list(connections))
        eventually(lambda: blocked_in(loop.thread, "_pause"), "the pause")
        return loop, connections

    return start


@pytest.fixture
def free_port():
    """Return a port that refuses, and that a server may have, but nobody else gets."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


# One connection after the other.


def test_each_step_gives_a_new_connection(ends):
    """The last one is closed with 1000 first, whatever state it is in."""
    seen = []
    for ws in reconnect(ends.url, backoff=QUICK):
        assert all(old.state is syncws.State.CLOSED for old in seen)
        seen.append(ws)
        ws.send("hello")
        assert ws.recv(timeout=10) == "hello"
        if len(seen) == 3:
            break

    eventually(lambda: ends.codes == [1000] * 3, "three ends")


def test_server_that_leaves_again_and_again(serve):
    """A normal end is an end, too: for ever means for ever."""
    numbers = itertools.count(1)
    server = serve(lambda ws: ws.send(str(next(numbers))))
    received = []

    for ws in reconnect(server.url, backoff=QUICK):
        received += ws
        if len(received) == 5:
            break

    assert received == ["1", "2", "3", "4", "5"]


def test_suppressed_error_of_the_connection(scripted):
    """The idiom: an abnormal end is suppressed in the body, and the loop goes on."""
    scripted.send("1").expect("go on").drop()
    scripted.send("2").expect("go on").drop()
    scripted.send("3").expect_close(1000)
    received = []
    told = []
    tell = lambda *facts: told.append(facts)  # noqa: E731
    for ws in reconnect(scripted.url, backoff=QUICK, on_reconnect=tell):
        with contextlib.suppress(ConnectionClosed):
            received.append(ws.recv(timeout=10))
            if len(received) == 3:
                break
            ws.send("go on")
            ws.recv(timeout=10)

    assert received == ["1", "2", "3"]
    assert [number for number, _, _ in told] == [1, 2]
    assert all(isinstance(exc, syncws.ConnectionClosedError) for _, _, exc in told)


def test_waits_for_a_server(free_port, serve):
    """Nobody is there; then somebody is. Who keeps the exceptions does not keep the loop."""
    told = []

    def tell(number, delay, exc):
        told.append((number, exc))
        if number == 3:
            serve(port=free_port)

    for ws in reconnect(f"ws://127.0.0.1:{free_port}/", backoff=QUICK, on_reconnect=tell):
        ws.send("hello")
        assert ws.recv(timeout=10) == "hello"
        break

    assert ws.state is syncws.State.CLOSED
    assert [number for number, _ in told] == [1, 2, 3]
    assert all(isinstance(exc, ConnectionRefusedError) for _, exc in told)


def test_no_hammering(serve, monkeypatch):
    """A server that accepts and closes at once: the limit goes on growing to its maximum."""
    always = functools.partial(syncws.Attempts, chance=lambda: 1.0)  # the longest delay
    monkeypatch.setattr(sys.modules["syncws.reconnect"], "Attempts", always)
    delays = []
    backoff = Backoff(initial=0.001, factor=2, maximum=0.008)

    for ws in reconnect(
        serve(lambda ws: None).url,
        backoff=backoff,
        on_reconnect=lambda number, delay, exc: delays.append(delay),
    ):
        assert list(ws) == []
        if len(delays) == 6:
            break

    assert delays == [0.001, 0.002, 0.004, 0.008, 0.008, 0.008]


def test_stable_connection_starts_afresh(serve):
    """Behind a connection that was open for long enough it is the first failure again."""
    numbers = []
    backoff = Backoff(initial=0.001, maximum=0.001, stable=1e-9)

    for _ in reconnect(
        serve().url, backoff=backoff, on_reconnect=lambda number, *_: numbers.append(number)
    ):
        if len(numbers) == 3:
            break

    assert numbers == [1, 1, 1]


def test_retry_after_is_respected(scripted):
    """A busy server says when; more than max_retry_after is not waited."""
    for value in ("0", "0.001", "86400"):
        scripted.refuse(503, {"Retry-After": value})
    scripted.client().expect_close(1000)
    delays = []
    backoff = Backoff(initial=0.001, maximum=0.001, max_retry_after=0.05)

    for _ in reconnect(
        scripted.url, backoff=backoff, on_reconnect=lambda number, delay, exc: delays.append(delay)
    ):
        break

    assert len(delays) == 3
    assert max(delays[:2]) <= 0.001
    assert 0.05 <= delays[2] <= 0.051


def test_headers_of_each_attempt(serve):
    """A function is asked each time, so that a token can be a fresh one."""
    seen = []

    def check(request):
        seen.append(request.headers["Authorization"])
        return None if len(seen) % 2 else syncws.Response(503)

    tokens = itertools.count(1)
    headers = lambda: {"Authorization": f"Bearer {next(tokens)}"}  # noqa: E731

    for _ in reconnect(serve(process_request=check).url, backoff=QUICK, additional_headers=headers):
        if len(seen) >= 5:
            break

    assert seen == [f"Bearer {number}" for number in range(1, 6)]


def test_headers_that_cannot_be_had(serve):
    """A network error while a token is fetched is as transient as any; a bug is not."""
    failures = iter([ConnectionResetError(), None, KeyError("token")])

    def headers():
        failure = next(failures)
        if failure is not None:
            raise failure
        return {}

    connections = reconnect(serve().url, backoff=QUICK, additional_headers=headers)

    assert next(connections).state is syncws.State.OPEN
    with pytest.raises(KeyError):
        next(connections)


def test_headers_from_an_iterator(serve):
    """The second attempt has them, too, and so it is with the options of the socket."""
    seen = []

    def check(request):
        seen.append(request.headers.get("X-One"))
        return syncws.Response(503) if len(seen) < 3 else None

    for ws in reconnect(
        serve(process_request=check).url,
        backoff=QUICK,
        additional_headers=iter([("X-One", "1")]),
        socket_options=iter([(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]),
    ):
        sock = ws._engine._transport.sock
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        break

    assert seen == ["1", "1", "1"]


def test_options_reach_the_connection(serve):
    """All else is for connect()."""
    for ws in reconnect(serve(subprotocols=["a"]).url, subprotocols=["a"], max_size=10):
        assert (ws.subprotocol, ws._options.max_size) == ("a", 10)
        break


# What ends the loop.


def test_fatal_refusal(scripted):
    """404 stays: it is raised after one attempt, and nothing comes behind it."""
    scripted.refuse(404)
    connections = reconnect(scripted.url)

    with pytest.raises(syncws.InvalidStatus, match="404"):
        next(connections)
    assert list(connections) == []


def test_handshake_that_is_cut_off(listener):
    """Closed, or reset, before it was answered: the server was being restarted."""

    def serve():
        for end in (Peer.close, Peer.reset):
            peer = Peer(listener.accept()[0], masked=False)
            peer.read_until(b"\r\n\r\n")
            end(peer)
        with Peer(listener.accept()[0], masked=False) as peer:
            peer.read_until(b"\r\n\r\n")
            peer.sock.sendall(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")

    told = []
    server = Running(serve)
    url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"

    with pytest.raises(syncws.InvalidMessage, match="bad HTTP"):  # that is no WebSocket server
        next(reconnect(url, backoff=QUICK, on_reconnect=lambda *facts: told.append(facts)))

    server.result()
    assert len(told) == 2


def test_certificate_that_is_not_valid(serve):
    """Nobody should knock there again and again."""
    url = serve(ssl=server_context()).url

    with pytest.raises(ssl.SSLCertVerificationError):
        next(reconnect(url, on_reconnect=lambda *facts: pytest.fail("it came back")))


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1009, 3000])
def test_fatal_close(scripted, code):
    """The next connection would end the same way, although the body suppressed this one."""
    scripted.client().close(code)

    with pytest.raises(syncws.ConnectionClosedError) as caught:
        for ws in reconnect(scripted.url):
            with contextlib.suppress(ConnectionClosed):
                ws.recv(timeout=10)

    assert caught.value.code == code


def test_retry_decides(serve):
    """Where the default would go on for ever, and where it would not."""
    server = serve(lambda ws: ws.close(4001))
    seen = []

    with pytest.raises(syncws.ConnectionClosedError, match="4001"):
        for ws in reconnect(server.url, retry=lambda exc: bool(seen.append(exc))):
            with contextlib.suppress(ConnectionClosed):
                ws.recv(timeout=10)

    assert [exc.code for exc in seen] == [4001]


def test_error_in_the_body_leaves_the_loop(ends):
    """No loop can catch what its body raises; the connection is closed."""
    with pytest.raises(ZeroDivisionError):
        for ws in reconnect(ends.url):
            ws.send("x")
            1 / 0  # noqa: B018

    assert ws.state is syncws.State.CLOSED
    eventually(lambda: ends.codes == [1000], "the end")


def test_break_closes_the_connection(ends):
    """And so does return."""

    def first(url):
        for ws in reconnect(url):
            return ws

    for last in reconnect(ends.url):
        ws = last
        break

    assert ws.close_code == 1000
    assert first(ends.url).close_code == 1000


def test_break_without_a_name(ends):
    """Also where nobody has the connection any more; a warning would fail the test."""
    for _ in reconnect(ends.url):
        break
    del _
    gc.collect()

    eventually(lambda: ends.codes == [1000], "the end")


def test_what_is_left_over_elsewhere_is_not_waited_for(ends):
    """A destructor may run anywhere, so it waits in the frame of the loop only."""

    def first():
        connections = reconnect(ends.url)
        return connections, next(connections)

    connections, ws = first()
    del connections

    assert ws.state is syncws.State.OPEN
    ws.close()


@pytest.mark.parametrize(
    ("error", "code"), [(None, 1000), (ZeroDivisionError, 1011)], ids=["break", "exception"]
)
def test_context_manager(ends, error, code):
    """It tells the server whether the loop failed."""
    expected = pytest.raises(error) if error else contextlib.nullcontext()
    with expected, reconnect(ends.url) as connections:
        for last in connections:
            ws = last
            if error:
                raise error
            break

    assert ws.state is syncws.State.CLOSED
    assert list(connections) == []
    eventually(lambda: ends.codes == [code], "the end")


def test_hook_that_raises(free_port):
    """What on_reconnect raises ends the loop: it may count, too."""

    def give_up(number, delay, exc):
        if number == 3:
            raise exc

    with pytest.raises(ConnectionRefusedError):
        next(reconnect(f"ws://127.0.0.1:{free_port}/", backoff=QUICK, on_reconnect=give_up))


# Stopping.


def test_stop_ends_a_pause(paused):
    """At once, not after the hour that it would last."""
    stop = threading.Event()
    loop, _ = paused(stop=stop)

    stop.set()

    assert loop.result() == []


def test_stop_of_another_kind(paused):
    """Anything with is_set() and wait() does, though wait() returns nothing."""

    class Flag:
        def __init__(self):
            self.event = threading.Event()

        def is_set(self):
            return self.event.is_set()

        def wait(self, timeout=None):
            self.event.wait(timeout)

    stop = Flag()
    loop, _ = paused(stop=stop)

    stop.event.set()

    assert loop.result() == []


def test_stop_before_the_first_step(ends):
    """Then there is no connection at all."""
    stop = threading.Event()
    stop.set()

    assert list(reconnect(ends.url, stop=stop)) == []
    assert ends.codes == []


def test_stop_in_the_body(ends):
    """The connection is closed, and there is no other; no fuss about how it ended."""
    stop = threading.Event()
    told = []

    for last in reconnect(ends.url, stop=stop, on_reconnect=lambda *facts: told.append(facts)):
        ws = last
        stop.set()

    assert (ws.close_code, told) == (1000, [])


def test_close_ends_a_pause(paused):
    """From another thread."""
    loop, connections = paused()

    connections.close()

    assert loop.result() == []


def test_close_wakes_the_body(ends):
    """A loop that waits in recv() ends."""
    connections = reconnect(ends.url)

    def body():
        for ws in connections:
            with contextlib.suppress(ConnectionClosed):
                ws.recv()

    loop = Running(body)
    eventually(lambda: blocked_in(loop.thread, "receive"), "recv()")
    connections.close(4000, "enough")

    loop.result()
    eventually(lambda: ends.codes == [4000], "the end")


def test_close_while_connecting(listener):
    """What is opened behind it is closed at once and never handed out."""
    connections = reconnect(f"ws://127.0.0.1:{listener.getsockname()[1]}/")
    loop = Running(lambda: list(connections))
    eventually(lambda: blocked_in(loop.thread, "_handshake"), "the handshake")
    connections.close()
    with Peer.accepting(listener) as peer:
        assert peer.recv()[0] == 8
        peer.send(8, b"\x03\xe8")

        peer.close()
        assert loop.result() == []


def test_close_twice_and_before(ends):
    """It may be called at any time."""
    connections = reconnect(ends.url)
    connections.close()
    connections.close()

    assert list(connections) == []


# Arguments, logs.


def test_bad_arguments_are_told_at_once():
    """Not only when the loop begins."""
    with pytest.raises(syncws.InvalidURI):
        reconnect("http://localhost/")
    with pytest.raises(TypeError, match="only once"):
        reconnect("ws://localhost/", sock=None)


def test_unknown_option(free_port):
    """connect() refuses it, and that is no reason to try again."""
    with pytest.raises(TypeError, match="no_such_option"):
        next(reconnect(f"ws://127.0.0.1:{free_port}/", no_such_option=1))


def test_attempts_are_logged(free_port, caplog):
    """A line for each, without passwords."""
    caplog.set_level(logging.DEBUG)

    def give_up(number, delay, exc):
        raise exc

    url = f"ws://me:hunter2@127.0.0.1:{free_port}/"
    connections = reconnect(url, on_reconnect=give_up, auth=("me", "hunter2"))
    with pytest.raises(ConnectionRefusedError):
        next(connections)

    [line] = [record.getMessage() for record in caplog.records if "attempt" in record.msg]
    assert line.startswith(f"127.0.0.1:{free_port}: attempt 1 follows in ")
    assert "hunter2" not in caplog.text + repr(connections)


# Ctrl-C.

tells_of_ctrl_c = pytest.mark.native_threads(
    "gevent writes every KeyboardInterrupt to stderr, and raises it in whichever greenlet runs"
)
PROLOGUE = """
    import sys, threading
    import syncws
    from support.children import blocks_in
    url = f"ws://127.0.0.1:{sys.argv[1]}/"
"""


@tells_of_ctrl_c
def test_ctrl_c_in_a_pause(free_port):
    """It ends the program at once."""
    program = """
        blocks_in("_pause", "pausing")
        backoff = syncws.Backoff(initial=3600, maximum=3600)
        for ws in syncws.reconnect(url, backoff=backoff):
            pass
    """
    with child(PROLOGUE, program, args=(free_port,)) as running:
        assert running.line() == "pausing"
        running.interrupt()
        code, errors = running.ends()

    assert code != 0
    assert errors.endswith("KeyboardInterrupt\n")


@tells_of_ctrl_c
def test_ctrl_c_while_a_left_loop_waits_for_the_server(listener):
    """Python swallows what destructors raise, but Ctrl-C comes through."""
    program = """
        blocks_in("__del__", "closing")
        for ws in syncws.reconnect(url, close_timeout=None):
            break
        threading.Event().wait()
    """
    args = listener.getsockname()[1:]
    with child(PROLOGUE, program, args=args) as running, Peer.accepting(listener):
        assert running.line() == "closing"
        running.interrupt()
        code, errors = running.ends()

    assert code != 0
    assert errors.endswith("KeyboardInterrupt\n")
    assert "ignored" not in errors


@tells_of_ctrl_c
def test_ctrl_c_while_the_last_connection_is_closed(listener):
    """A server that does not answer the Close is not waited for, and the connection is cut."""
    program = """
        blocks_in("_finish_last", "closing")
        try:
            for last in syncws.reconnect(url, close_timeout=None):
                ws = last
        except KeyboardInterrupt:
            print("interrupted", ws.wait_closed(5), flush=True)
    """
    args = listener.getsockname()[1:]
    with child(PROLOGUE, program, args=args) as running, Peer.accepting(listener):
        assert running.line() == "closing"
        running.interrupt()
        assert running.line() == "interrupted True"
        assert running.ends() == (0, "")


def test_the_program_ends_with_a_loop_half_done(serve):
    """An iterator that is left over at the very end waits for nobody."""
    program = """
        connections = syncws.reconnect(url)
        ws = next(connections)
        print("end", flush=True)
    """
    port = serve(lambda ws: ws.wait_closed(WATCHDOG)).server_address[1]
    with child(PROLOGUE, program, args=(port,)) as running:
        assert running.line() == "end"
        assert running.ends() == (0, "")
