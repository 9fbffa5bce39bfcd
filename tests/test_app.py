"""WebSocketApp: which callback is told what, and that run_forever() always ends."""

from __future__ import annotations

import itertools
import logging
import queue
import socket
import ssl
import threading
import traceback

import pytest

import syncws
from support.children import child
from support.peer import Peer
from support.streams import black_hole, closed_port
from support.threads import WATCHDOG, Running, blocked_in, eventually
from support.tls import CA, CERTS, server_context
from syncws import ConnectionClosedError, InvalidStatus, InvalidURI, Opcode, WebSocketApp, app
from syncws.app_options import headers_of, tls_of, worth_retrying
from syncws.attempts import Attempts

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NAMES = ["open", "reconnect", "message", "error", "close", "ping", "pong", "data"]


def closing(code, reason=b""):
    return code.to_bytes(2, "big") + reason


def recorder(url, *leave_out, **callbacks):
    """Return an app and the list of what its callbacks are told, as (name, *arguments)."""
    calls = []

    def record(name):
        def callback(app, *args):
            calls.append((name, *args))
            if f"on_{name}" in callbacks:
                callbacks[f"on_{name}"](app, *args)

        return callback

    given = {f"on_{name}": record(name) for name in NAMES if name not in leave_out}
    others = {name: value for name, value in callbacks.items() if name not in given}
    return WebSocketApp(url, **given, **others), calls


@pytest.fixture
def peer_app(listener):
    """Return a function that makes (an app that runs, its calls, a scripted server)."""
    peers, runs = [], []

    def make(*leave_out, run=None, **callbacks):
        app, calls = recorder(
            f"ws://127.0.0.1:{listener.getsockname()[1]}/", *leave_out, **callbacks
        )
        running = Running(app.run_forever, **(run or {}))
        runs.append(running)
        peers.append(Peer.accepting(listener))
        return app, calls, peers[-1], running

    yield make
    for peer in peers:
        peer.close()
    for running in runs:
        running.thread.join(WATCHDOG)


def test_everything_is_told_in_order(peer_app):
    """What came, in its order, in one thread; the server's end is the end."""
    threads = set()
    note = lambda *args: threads.add(threading.current_thread())  # noqa: E731
    _, calls, peer, running = peer_app(on_message=note, on_ping=note, on_close=note)
    peer.send(TEXT, b"text")
    peer.send(PING, b"1")
    peer.send(BINARY, b"by", fin=False)
    peer.send(PONG, b"2")
    peer.send(CONT, b"tes")
    peer.send(CLOSE, closing(1000, b"bye"))
    assert peer.recv() == (PONG, b"1")
    peer.sock.shutdown(socket.SHUT_WR)

    assert running.result() is False
    assert threads == {running.thread}
    assert calls == [
        ("open",),
        ("data", "text", Opcode.TEXT, True),
        ("message", "text"),
        ("ping", b"1"),
        ("pong", b"2"),
        ("data", b"bytes", Opcode.BINARY, True),
        ("message", b"bytes"),
        ("close", 1000, "bye"),
    ]


def test_pieces(peer_app):
    """With on_cont_message a fragmented message comes piece by piece."""
    pieces = []
    _, calls, peer, running = peer_app(on_cont_message=lambda app, *args: pieces.append(args))
    peer.send(TEXT, b"whole")
    peer.send(TEXT, b"a", fin=False)
    peer.send(CONT, b"b")
    peer.send(BINARY, b"whole")
    peer.send(CLOSE, closing(1000))
    peer.sock.shutdown(socket.SHUT_WR)

    running.result()
    assert pieces == [("a", False), ("b", True)]
    assert [args[0] for name, *args in calls if name == "message"] == ["whole", b"whole"]
    assert [args for name, *args in calls if name == "data"] == [
        ["whole", TEXT, True],
        ["a", TEXT, False],
        ["b", TEXT, True],
        [b"whole", BINARY, True],
    ]


def test_sending(peer_app):
    """Bytes go as Text unless told otherwise, as in websocket-client."""
    app, calls, peer, running = peer_app()
    eventually(lambda: ("open",) in calls)
    assert app.ready()
    app.send("a")
    app.send(b"b")
    app.send(b"c", Opcode.BINARY)
    app.send_text("d")
    app.send_bytes(b"e")
    app.send("f", Opcode.PING)
    app.send("g", Opcode.PONG)
    with pytest.raises(ValueError, match="opcode=8; expected TEXT, BINARY, PING or PONG"):
        app.send("h", 8)

    assert [peer.recv() for _ in range(7)] == [
        (TEXT, b"a"),
        (TEXT, b"b"),
        (BINARY, b"c"),
        (TEXT, b"d"),
        (BINARY, b"e"),
        (PING, b"f"),
        (PONG, b"g"),
    ]
    peer.close()
    assert running.result() is True
    assert not app.ready()
    with pytest.raises(ConnectionClosedError):
        app.send("x")


def test_sending_without_a_connection():
    """It says so."""
    with pytest.raises(ConnectionClosedError, match=r"run_forever\(\) has no connection"):
        WebSocketApp("ws://localhost").send("x")


# close().


@pytest.mark.parametrize("name", ["open", "message", "ping", "pong", "data", "error"])
def test_close_in_a_callback(serve, name):
    """run_forever() ends; on_close is told what the server answered."""

    def handler(ws):
        ws.send("text")
        ws.ping()
        ws.recv()

    def stop(app, *args):
        app.close(4000, "enough")

    def on_open(app):
        if name == "open":
            stop(app)
        elif name == "pong":
            app.send("", Opcode.PING)
        elif name == "error":
            raise ZeroDivisionError

    app, calls = recorder(serve(handler).url, **{f"on_{name}": stop, "on_open": on_open})

    assert app.run_forever() is False
    assert calls[-1] == ("close", 4000, "")
    assert [call[0] for call in calls].count("close") == 1


def test_close_in_another_thread(serve):
    """Nothing comes, nothing is awaited: run_forever() ends at once."""
    app, calls = recorder(serve().url)
    running = Running(app.run_forever)
    eventually(lambda: ("open",) in calls)
    app.close()
    app.close(4000)

    assert running.result() is False
    assert calls == [("open",), ("close", 1000, "")]


def test_nothing_is_told_behind_close(peer_app):
    """Also what was here already."""
    go_on = threading.Event()
    app, calls, peer, running = peer_app(on_message=lambda app, message: go_on.wait(WATCHDOG))
    for _ in range(100):
        peer.send(TEXT, b"x")
    eventually(lambda: calls and calls[-1] == ("message", "x"))
    app.close()
    go_on.set()
    assert peer.recv() == (CLOSE, closing(1000))
    peer.send(CLOSE, closing(1000))
    peer.sock.shutdown(socket.SHUT_WR)
    running.result()

    assert [name for name, *_ in calls] == ["open", "data", "message", "close"]


def test_a_server_that_does_not_answer_the_close(peer_app):
    """``close_timeout`` is the limit; then the code is 1006."""
    app, calls, _, running = peer_app(run={"close_timeout": 0.05})
    eventually(lambda: ("open",) in calls)
    app.close()
    running.result()
    assert calls[-1] == ("close", 1006, "")


def test_close_while_connecting():
    """It does not wait for a server that does not answer."""
    with black_hole() as (host, port):
        app, calls = recorder(f"ws://{host}:{port}")
        running = Running(app.run_forever, open_timeout=1)
        eventually(lambda: blocked_in(running.thread, "_connect") and app._changed._waiters)
        app.close()
        assert running.result(0.9) is False
        assert calls == [("close", None, None)]


def test_close_before(serve):
    """The run that follows ends at once, the next one does not."""
    app, calls = recorder(serve(lambda ws: None).url)
    app.close()
    assert app.run_forever() is False
    assert calls == [("close", None, None)]
    assert app.run_forever() is False
    assert calls[1:] == [("open",), ("close", 1000, "")]


def test_run_again_in_on_close(serve):
    """And close() there is not for the next run."""
    runs = []

    def on_close(app, code, reason):
        app.close()
        runs.append(code)
        if len(runs) == 2:
            runs.append(app.run_forever())

    app, _ = recorder(serve(lambda ws: None).url, on_close=on_close)
    app.run_forever()
    app.run_forever()
    app.run_forever()
    assert runs == [1000, 1000, None, False, 1000]


def test_close_with_a_code_that_may_not_be_sent():
    """The app goes on."""
    with pytest.raises(ValueError, match="close code 1006"):
        WebSocketApp("ws://localhost").close(1006)


def test_only_one_run_at_a_time(serve):
    """A second run_forever() says so, and the first goes on."""
    app, calls = recorder(serve().url)
    running = Running(app.run_forever)
    eventually(lambda: ("open",) in calls)
    with pytest.raises(RuntimeError, match="running already"):
        app.run_forever()
    app.close()
    running.result()


# Errors.


def test_exceptions_in_callbacks_reach_on_error(serve):
    """With their tracebacks; the connection stays."""
    url = serve(lambda ws: [ws.send("1"), ws.send("2")]).url

    def on_message(app, message):
        raise ZeroDivisionError(message)

    app, calls = recorder(url, on_message=on_message)

    assert app.run_forever() is False
    errors = [call[1] for call in calls if call[0] == "error"]
    assert [str(error) for error in errors] == ["1", "2"]
    assert traceback.extract_tb(errors[0].__traceback__)[-1].name == "on_message"
    assert calls[-1] == ("close", 1000, "")


@pytest.mark.parametrize("name", ["open", "close"])
def test_exceptions_without_on_error(serve, caplog, name):
    """They are in the log, with their tracebacks."""
    app, calls = recorder(
        serve(lambda ws: None).url, "error", **{f"on_{name}": lambda *args: 1 / 0}
    )
    assert app.run_forever() is False
    assert "a callback failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert calls[-1][0] == "close"


def test_on_error_fails(serve, caplog):
    """Both are in the log."""
    app, _ = recorder(
        serve(lambda ws: None).url, on_open=lambda app: 1 / 0, on_error=lambda app, exc: {}[7]
    )
    assert app.run_forever() is False
    assert "on_error failed; it was told: ZeroDivisionError" in caplog.text
    assert "KeyError: 7" in caplog.text


def test_connecting_fails(serve):
    """on_error is told why; on_close is called, without a code."""
    app, calls = recorder(serve(process_request=lambda request: syncws.Response(418)).url)
    assert app.run_forever() is True
    assert [name for name, *_ in calls] == ["error", "close"]
    assert isinstance(calls[0][1], InvalidStatus)
    assert calls[1] == ("close", None, None)


def test_an_abnormal_end(peer_app, caplog):
    """on_error is told of it, or the log."""
    _, calls, peer, running = peer_app()
    peer.send(CLOSE, closing(1011, b"oops"))
    peer.sock.shutdown(socket.SHUT_WR)
    assert running.result() is True
    assert [name for name, *_ in calls] == ["open", "error", "close"]
    assert (calls[1][1].code, calls[2]) == (1011, ("close", 1011, "oops"))

    _, calls, peer, running = peer_app("error")
    peer.close()
    assert running.result() is True
    assert "the connection failed" in caplog.text
    assert calls[-1] == ("close", 1006, "")


def test_arguments_that_cannot_be_used():
    """These are mistakes of the program, so they are raised."""
    with pytest.raises(InvalidURI):
        WebSocketApp("http://localhost").run_forever()
    with pytest.raises(TypeError, match="nonsense"):
        WebSocketApp("ws://localhost").run_forever(nonsense=1)
    with pytest.raises(TypeError, match="sslopt has 'ssl_version'"):
        WebSocketApp("ws://localhost").run_forever(sslopt={"ssl_version": 1})
    with socket.socket() as sock, pytest.raises(ValueError, match="socket= can be used only once"):
        WebSocketApp("ws://localhost", socket=sock).run_forever(reconnect=1)


@pytest.mark.native_threads("Ctrl-C strikes whichever greenlet runs")
def test_ctrl_c(serve):
    """It ends run_forever(), on_close is called, and it is raised."""
    server = serve()
    program = """
        import sys, syncws
        from support.children import blocks_in

        app = syncws.WebSocketApp(
            sys.argv[1],
            on_open=lambda app: blocks_in("events", "ready"),
            on_error=lambda app, exc: print("error", exc, flush=True),
            on_close=lambda app, code, reason: print("close", code, flush=True),
        )
        try:
            app.run_forever()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    with child(program, args=(server.url,)) as running:
        assert running.line() == "ready"
        running.interrupt()
        assert running.line() == "close 1011"
        assert running.line() == "interrupted"
        assert running.ends() == (0, "")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_ends_it(serve, error):
    """Raised in a callback: on_close is called, on_error is not."""

    def on_open(app):
        raise error

    app, calls = recorder(serve().url, on_open=on_open)
    with pytest.raises(error):
        app.run_forever()
    assert calls == [("open",), ("close", 1011, "")]


# reconnect=.


@pytest.fixture
def pauses(monkeypatch):
    """Note the pauses, which take no time."""
    noted = []

    class Noting(Attempts):
        def after(self, exc, lasted=0.0):
            if super().after(exc, lasted) is None:
                return None
            noted.append((self.failures, self.backoff.initial))
            return 0.0

    monkeypatch.setattr(app, "Attempts", Noting)
    return noted


def test_reconnect(serve, pauses):
    """Until the server closes normally; on_reconnect is told from the second on."""
    count = itertools.count(1)

    def handler(ws):
        ws.close([1011, 1012, 1001, 1000][next(count) - 1])

    app, calls = recorder(serve(handler).url)

    assert app.run_forever(reconnect=3) is False
    assert [name for name, *_ in calls if name != "error"] == [
        "open",
        "reconnect",
        "reconnect",
        "reconnect",
        "close",
    ]
    assert [call[1].code for call in calls if call[0] == "error"] == [1011, 1012]
    assert calls[-1] == ("close", 1000, "")
    assert pauses == [(1, 3), (2, 3), (3, 3)]  # none of these connections lasted


def test_reconnect_while_there_is_no_server(serve, pauses):
    """Each failure is told; close() ends it."""
    with closed_port() as (host, port):

        def on_error(app, exc):
            assert isinstance(exc, ConnectionRefusedError)
            if len(calls) == 3:
                app.close()

        app, calls = recorder(f"ws://{host}:{port}", on_error=on_error)
        assert app.run_forever(reconnect=2) is True
    assert [name for name, *_ in calls] == ["error", "error", "error", "close"]
    assert pauses == [(1, 2), (2, 2)]


def test_close_in_a_pause(monkeypatch):
    """It ends at once."""
    monkeypatch.setattr(app.Attempts, "after", lambda self, exc, lasted: 1000.0)
    with closed_port() as (host, port):
        told, calls = recorder(f"ws://{host}:{port}")
        running = Running(told.run_forever, reconnect=1)
        eventually(lambda: blocked_in(running.thread, "_pause"))
        told.close()
        running.result()
    assert [name for name, *_ in calls] == ["error", "close"]


def test_what_is_not_tried_again(serve, pauses):
    """What the next attempt would meet again."""
    told, calls = recorder(serve(process_request=lambda request: syncws.Response(403)).url)
    assert told.run_forever(reconnect=1) is True
    assert [name for name, *_ in calls] == ["error", "close"]
    assert pauses == []


@pytest.mark.parametrize(
    ("error", "worth"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (socket.gaierror(), True),
        (ssl.SSLCertVerificationError(), False),
        (InvalidStatus(503), True),
        (InvalidStatus(404), False),
        (syncws.InvalidMessage("nonsense"), False),
        (syncws.ConnectionClosedOK(syncws.Close(1000, ""), None), False),
        (syncws.ConnectionClosedError(syncws.Close(1012, ""), None), True),
    ],
)
def test_worth_retrying(error, worth):
    """What may be gone the next time."""
    assert worth_retrying(error) is worth


# Options.


def test_headers(serve):
    """In all the forms of websocket-client; a function is asked each time."""
    asked = queue.SimpleQueue()

    def handler(ws):
        headers = ws.request.headers
        asked.put([headers.get(name) for name in ("X-A", "Cookie", "Host", "Origin")])

    app = WebSocketApp(serve(handler, origins=None).url, ["X-A: b:c"], cookie="a=b")
    app.run_forever(host="example.com", origin="https://example.com")
    assert asked.get(timeout=WATCHDOG) == ["b:c", "a=b", "example.com", "https://example.com"]
    count = itertools.count()
    app.header = lambda: {"X-A": str(next(count))}
    for number in range(2):
        app.run_forever()
        assert asked.get(timeout=WATCHDOG)[0] == str(number)


def test_headers_of():
    """Pairs as well; and what is none is refused."""
    assert list(headers_of([("A", "b"), "C:d"], None).items()) == [("A", "b"), ("C", "d")]
    assert list(headers_of(None, None).items()) == []
    with pytest.raises(ValueError, match="header 'A b': expected 'Name: value'"):
        headers_of(["A b"], None)


def test_tls(serve):
    """``sslopt`` says whom to trust."""
    url = serve(lambda ws: None, ssl=server_context()).url
    app, calls = recorder(url)
    assert app.run_forever() is True
    assert app.run_forever(sslopt={"ca_certs": str(CA), "server_hostname": "elsewhere"}) is True
    errors = [call[1] for call in calls if call[0] == "error"]
    assert [type(error) for error in errors] == [ssl.SSLCertVerificationError] * 2
    for sslopt in (
        {"ca_certs": str(CA), "server_hostname": "localhost"},
        {"cert_reqs": ssl.CERT_NONE},
        {"ca_certs": str(CA), "check_hostname": False},
        {"context": ssl.create_default_context(cafile=str(CA)), "server_hostname": "localhost"},
    ):
        assert app.run_forever(sslopt=sslopt) is False


def test_tls_of():
    """Certificates of one's own, and ciphers; nothing asked, nothing made."""
    assert tls_of({}) == (None, None)
    context, _ = tls_of({"certfile": CERTS / "localhost.pem", "ciphers": "ECDHE+AESGCM"})
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_socket_of_ones_own(serve):
    """``socket=`` is used for the one connection."""
    sock = socket.create_connection(serve(lambda ws: None).server_address)
    app, calls = recorder("ws://example.com", socket=sock)
    assert app.run_forever() is False
    assert calls == [("open",), ("close", 1000, "")]


@pytest.mark.parametrize("interval", [0, None])
def test_keepalive_can_be_turned_off(serve, interval):
    """0 means never, as in websocket-client."""
    app, _ = recorder(serve(lambda ws: None).url)
    app.run_forever(ping_interval=interval, ping_timeout=0)
    assert app.connection._engine._keepalive is None


def test_the_log_has_no_credentials(caplog):
    """Neither of the URL nor of headers."""
    caplog.set_level(logging.DEBUG)
    with closed_port() as (host, port):
        WebSocketApp(f"ws://ada:secret@{host}:{port}", {"Authorization": "secret"}).run_forever()
    assert "the connection failed" in caplog.text
    assert "secret" not in caplog.text
