"""The WSGI door, in the standard library's server. tests/servers has the others."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading

import pytest

import syncws
from support.children import child
from support.peer import Peer
from support.threads import WATCHDOG, Running, eventually
from support.wire import TEXT
from support.wsgi import serving
from syncws import accepted as module
from syncws import takeover, wsgi
from syncws.wsgi import request_of

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "localhost",
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "wsgi.input": io.BytesIO(),
}

FIELDS = {key[5:].replace("_", "-"): value for key, value in ENVIRON.items() if key[:5] == "HTTP_"}
REQUEST = "\r\n".join(
    ["GET / HTTP/1.1", *(f"{name}: {value}" for name, value in FIELDS.items()), "", ""]
).encode()


def echo(ws):
    """Send every message back."""
    for message in ws:
        ws.send(message)


def page(environ, start_response):
    """Answer plain HTTP."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"page"]


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """Give each test a registry of its own; its threads end with the test."""
    registry = module.Accepted()
    monkeypatch.setattr(wsgi, "accepted", registry)
    yield registry
    registry.goodbye()
    registry._workers.close()
    eventually(lambda: not registry._looking, "the last look")


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch):
    monkeypatch.setattr(module, "_LOOK", 0.02)


@pytest.fixture
def serve_wsgi():
    """Return a function that serves a WSGI application."""
    with contextlib.ExitStack() as stack:
        yield lambda app, **options: stack.enter_context(serving(app, **options))


def get(server, path="/", **headers):
    """Ask for a page; return status, headers and body."""
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=WATCHDOG)
    ) as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


# One handler as an application.


def test_app_runs_the_handler(serve_wsgi):
    server, log = serve_wsgi(wsgi.app(echo))

    with syncws.connect(server.url) as ws:
        ws.send("Hello!")
        assert ws.recv(timeout=WATCHDOG) == "Hello!"
        ws.send(bytes(2**20))
        assert ws.recv(timeout=WATCHDOG) == bytes(2**20)
        assert ws.ping(timeout=WATCHDOG) >= 0

    assert ws.close_code == 1000
    eventually(lambda: log.statuses == ["101"], log.getvalue())


def test_app_closes_with_1011_when_the_handler_raises(serve_wsgi, caplog):
    def handler(ws):
        raise RuntimeError("out of order")

    server, log = serve_wsgi(wsgi.app(handler))
    ws = syncws.connect(server.url)

    with pytest.raises(syncws.ConnectionClosedError) as caught:
        ws.recv(timeout=WATCHDOG)
    assert caught.value.code == 1011
    eventually(lambda: log.statuses == ["101"], log.getvalue())
    assert "out of order" in caplog.text


def test_app_passes_the_path_to_a_handler_that_wants_it(serve_wsgi):
    server, _ = serve_wsgi(wsgi.app(lambda ws, path: ws.send(path)))

    with syncws.connect(f"{server.url}/a%20b?c=%C3%A9") as ws:
        assert ws.recv(timeout=WATCHDOG) == ws.path == "/a%20b?c=%C3%A9"


def test_app_answers_plain_requests(serve_wsgi):
    """RFC 6455 section 4.4: 426 and the version that is spoken."""
    server, log = serve_wsgi(wsgi.app(echo))

    status, headers, body = get(server)

    assert (status, headers["Sec-WebSocket-Version"]) == (426, "13")
    assert body.startswith(b"Upgrade header: missing")
    eventually(lambda: log.statuses == ["426"], log.getvalue())


@pytest.mark.parametrize(
    ("origin", "origins", "status"),
    [
        ("http://evil.example", syncws.SAME_ORIGIN, 403),
        ("http://evil.example", ["http://good.example"], 403),
        ("http://good.example", ["http://good.example"], 101),
        ("http://evil.example", None, 101),
    ],
)
def test_app_checks_the_origin(serve_wsgi, origin, origins, status):
    once = iter(origins) if isinstance(origins, list) else origins
    server, log = serve_wsgi(wsgi.app(echo, origins=once))

    for _ in range(2):
        with contextlib.suppress(syncws.InvalidStatus), syncws.connect(server.url, origin=origin):
            pass

    eventually(lambda: log.statuses == [str(status)] * 2, log.getvalue())


@pytest.mark.parametrize(
    ("proxies", "headers", "host"),
    [
        ((), {"X-Forwarded-For": "192.0.2.1"}, "127.0.0.1"),
        (["127.0.0.1"], {"X-Forwarded-For": "192.0.2.1"}, "192.0.2.1"),
        (["127.0.0.1"], {"Forwarded": 'for="192.0.2.1:4711"'}, "192.0.2.1"),
        (["127.0.0.1"], {}, "127.0.0.1"),
    ],
)
def test_app_knows_the_client_behind_a_proxy(serve_wsgi, proxies, headers, host):
    app = wsgi.app(lambda ws: ws.send(ws.remote_address[0]), trusted_proxies=proxies)
    server, _ = serve_wsgi(app)

    with syncws.connect(server.url, additional_headers=headers) as ws:
        assert ws.recv(timeout=WATCHDOG) == host


def test_app_refuses_a_proxy_that_contradicts_itself(serve_wsgi):
    server, _ = serve_wsgi(wsgi.app(echo, trusted_proxies=["127.0.0.1"]))
    headers = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.2"}

    with pytest.raises(syncws.InvalidStatus) as caught:
        syncws.connect(server.url, additional_headers=headers)
    assert caught.value.status == 400


def test_app_negotiates(serve_wsgi):
    server, _ = serve_wsgi(wsgi.app(echo, subprotocols=["b", "a"], compression=None))

    with syncws.connect(server.url, subprotocols=["a", "b"]) as ws:
        assert (ws.subprotocol, ws.extensions) == ("b", [])


@pytest.mark.parametrize("make", [wsgi.app, lambda h, **o: wsgi.middleware(page, {"/": h}, **o)])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_connections": 0}, ValueError),
        ({"origins": "http://one.example"}, TypeError),
        ({"subprotocols": "chat"}, TypeError),
        ({"max_size": -1}, ValueError),
        ({"nonsense": 1}, TypeError),
        ({"trusted_proxies": "127.0.0.1"}, TypeError),
    ],
)
def test_bad_options_show_at_once(make, options, error):
    with pytest.raises(error):
        make(echo, **options)


# Beside an application.


def test_middleware(serve_wsgi):
    server, log = serve_wsgi(wsgi.middleware(page, {"/": echo, "/chat": echo}))

    for path in ("", "/", "/chat", "/chat?room=1"):
        with syncws.connect(server.url + path) as ws:
            ws.send(path)
            assert ws.recv(timeout=WATCHDOG) == path
    assert get(server, "/chat")[2] == get(server, "/")[2] == b"page"
    assert get(server, "/chat", Upgrade="no-websocket")[2] == b"page"
    with pytest.raises(syncws.InvalidStatus) as caught:
        syncws.connect(f"{server.url}/other")
    assert (caught.value.status, caught.value.body) == (200, b"page")
    eventually(lambda: sorted(log.statuses) == ["101"] * 4 + ["200"] * 4, log.getvalue())


@pytest.mark.parametrize(
    ("app", "routes", "error"),
    [
        (None, {"/": echo}, TypeError),
        (page, [("/", echo)], TypeError),
        (page, {"chat": echo}, ValueError),
        (page, {"/chat?room=1": echo}, ValueError),
        (page, {None: echo}, ValueError),
        (page, {"/chat": None}, TypeError),
        ({"/chat": echo}, page, TypeError),
    ],
)
def test_middleware_that_would_never_work(app, routes, error):
    with pytest.raises(error):
        wsgi.middleware(app, routes)


# In a view.


def view(serve_wsgi, call, **options):
    """Serve an application that calls something with its environ, and answers 101."""
    done = []

    def application(environ, start_response):
        done.append(call(environ))
        start_response("101 Switching Protocols", [])
        return []

    server, log = serve_wsgi(application, **options)
    return server, log, done


def test_accept_in_a_view(serve_wsgi):
    def call(environ):
        with wsgi.accept(environ) as ws:
            echo(ws)
        return ws

    server, log, done = view(serve_wsgi, call)

    with syncws.connect(server.url) as ws:
        ws.send("Hello!")
        assert ws.recv(timeout=WATCHDOG) == "Hello!"
    theirs = eventually(lambda: done and done[0])
    assert (theirs.role, theirs.close_code) == (syncws.Role.SERVER, 1000)
    assert theirs.remote_address == ws.local_address
    eventually(lambda: log.statuses == ["101"], log.getvalue())


def test_a_view_that_forgets_its_connection(serve_wsgi):
    """It is closed with 1001 when the server has done with the request."""
    server, _, done = view(serve_wsgi, wsgi.accept)

    with syncws.connect(server.url) as ws:
        with pytest.raises(syncws.ConnectionClosedOK) as caught:
            ws.recv(timeout=WATCHDOG)
        assert caught.value.code == 1001
    assert done[0].wait_closed(WATCHDOG)


def test_what_a_view_answers_goes_nowhere(serve_wsgi):
    """Nor does the server wait for a client that does not read it."""

    def application(environ, start_response):
        wsgi.accept(environ, echo)
        start_response("200 OK", [])
        return [bytes(2**20)] * 8

    server, log = serve_wsgi(application)

    with syncws.connect(server.url) as ws:
        ws.close()
        assert ws.close_code == 1000
    eventually(lambda: log.statuses == ["200"], log.getvalue())


def test_a_client_that_vanishes(serve_wsgi):
    ended = []

    def call(environ):
        with pytest.raises(syncws.ConnectionClosedError) as caught:
            wsgi.accept(environ).recv()
        ended.append(caught.value.code)

    server, log, _ = view(serve_wsgi, call)
    with Peer.connecting(("127.0.0.1", server.server_port)):
        pass

    eventually(lambda: ended == [1006])
    eventually(lambda: log.statuses == ["101"], log.getvalue())


def test_frames_right_behind_the_request(serve_wsgi):
    """The server has read them; they are not lost."""
    server, log = serve_wsgi(wsgi.app(echo))
    sock = socket.create_connection(("127.0.0.1", server.server_port))
    with Peer(sock, masked=True) as peer:
        sock.sendall(REQUEST + peer.frame(TEXT, b"early"))
        assert peer.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert peer.recv() == (TEXT, b"early")
    eventually(lambda: log.statuses == ["101"], log.getvalue())


def test_accept_takes_a_request_once(serve_wsgi):
    def call(environ):
        with wsgi.accept(environ), pytest.raises(syncws.UnsupportedServer, match="already"):
            wsgi.accept(environ)

    server, _, done = view(serve_wsgi, call)

    with syncws.connect(server.url) as ws:
        ws.wait_closed(WATCHDOG)
    assert ws.close_code == 1000
    eventually(lambda: done)


def test_accept_refuses_before_it_takes_over(serve_wsgi):
    """So the view can still answer with plain HTTP."""

    def application(environ, start_response):
        with pytest.raises(syncws.InvalidOrigin):
            wsgi.accept(environ)
        return page(environ, start_response)

    server, _ = serve_wsgi(application)

    with pytest.raises(syncws.InvalidStatus) as caught:
        syncws.connect(server.url, origin="http://evil.example")
    assert caught.value.body == b"page"


# Detached.


def test_detached_connections_do_not_hold_the_server(serve_wsgi):
    """It has one thread here."""
    server, log = serve_wsgi(wsgi.middleware(page, {"/chat": echo}, detach=True), threads=False)
    clients = [syncws.connect(f"{server.url}/chat") for _ in range(5)]

    assert get(server)[2] == b"page"
    for number, ws in enumerate(clients):
        ws.send(str(number))
        assert ws.recv(timeout=WATCHDOG) == str(number)
    for ws in clients:
        ws.close()
        assert ws.close_code == 1000
    eventually(lambda: log.statuses == ["101"] * 5 + ["200"], log.getvalue())


def test_a_detached_connection_without_a_handler_stays_open(serve_wsgi, registry):
    """Also if nobody holds it; it is dropped when it is closed."""
    said = []

    def call(environ):
        ws = wsgi.accept(environ, detach=True)
        threading.Thread(target=lambda: said.append(ws.recv())).start()

    server, log, done = view(serve_wsgi, call)

    with syncws.connect(server.url) as ws:
        eventually(lambda: done)
        assert ws.ping(timeout=WATCHDOG) >= 0
        ws.send("Hello!")
        eventually(lambda: said == ["Hello!"])
        eventually(lambda: log.statuses == ["101"], log.getvalue())
    eventually(lambda: not registry._open)


def test_max_connections_of_detached_ones(serve_wsgi):
    server, _ = serve_wsgi(wsgi.app(echo, detach=True, max_connections=2))

    def there_is_room():
        with contextlib.suppress(syncws.InvalidStatus), syncws.connect(server.url):
            return True
        return False

    with syncws.connect(server.url), syncws.connect(server.url) as second:
        with pytest.raises(syncws.InvalidStatus) as caught:
            syncws.connect(server.url)
        assert (caught.value.status, dict(caught.value.headers)["Retry-After"]) == (503, "5")
        second.close()
        eventually(there_is_room)


def test_max_connections_of_handlers_that_outlive_their_clients(serve_wsgi):
    """Who comes and goes must not start one thread after the other."""
    leave = threading.Event()
    ran = []

    def handler(ws):
        ws.wait_closed()
        leave.wait(WATCHDOG)
        ran.append(ws)

    server, _ = serve_wsgi(wsgi.app(handler, detach=True, max_connections=2))
    try:
        for _ in range(2):
            with syncws.connect(server.url):
                pass
        with pytest.raises(syncws.InvalidStatus) as caught:
            syncws.connect(server.url)
        assert caught.value.status == 503
    finally:
        leave.set()
    eventually(lambda: len(ran) == 2)

    def connects():
        with contextlib.suppress(syncws.InvalidStatus), syncws.connect(server.url):
            return True

    eventually(connects)


def test_a_server_that_wants_to_stop(serve_wsgi, monkeypatch):
    """What gunicorn's workers tell: the clients hear 1001, and the handlers end."""
    stop = threading.Event()
    monkeypatch.setattr(wsgi, "stopping", lambda environ: stop.is_set)
    app = wsgi.middleware(wsgi.app(echo), {"/detached": echo}, detach=True)
    server, log = serve_wsgi(app)

    with syncws.connect(server.url) as one, syncws.connect(f"{server.url}/detached") as other:
        stop.set()
        for ws in (one, other):
            assert ws.wait_closed(WATCHDOG)
            assert ws.close_code == 1001
    eventually(lambda: log.statuses == ["101", "101"], log.getvalue())


def test_the_end_of_the_program_says_goodbye():
    program = """
        from support.wsgi import serving
        from syncws import connect, wsgi
        import threading

        context = serving(wsgi.app(lambda ws: ws.recv(), detach=True), threads=False)
        server, log = context.__enter__()
        print(server.url, flush=True)
        input()
        server.shutdown()
        server.server_close()
    """
    with child(program) as running:
        ws = syncws.connect(running.line())
        closing = Running(ws.recv)
        running.process.stdin.write("\n")
        running.process.stdin.flush()
        assert closing.error().code == 1001
        assert running.ends() == (0, "")


# Servers that show no socket, and what else cannot be.


def test_a_server_without_a_socket():
    with pytest.raises(syncws.UnsupportedServer, match="waitress does not show"):
        wsgi.accept({**ENVIRON, "SERVER_SOFTWARE": "waitress"})


def test_a_server_that_does_tls_itself():
    class SSLSocket:
        cipher = fileno = getpeername = lambda self: 5

    class Input:
        class raw:
            _sock = SSLSocket()

    with pytest.raises(syncws.UnsupportedServer, match="SSLSocket"):
        wsgi.accept({**ENVIRON, "wsgi.input": Input})


def test_a_request_whose_socket_is_closed():
    with socket.socket() as sock:
        reader = sock.makefile("rb")
    reader.close()
    with pytest.raises((syncws.UnsupportedServer, ValueError), match="closed"):
        wsgi.accept({**ENVIRON, "wsgi.input": reader})


def test_no_more_threads(serve_wsgi, registry, monkeypatch):
    """The client sees the end at once."""

    get = registry._workers.get

    def fail():
        raise RuntimeError("can't start new thread")

    def get_one_that_fails():
        worker = get()
        worker.thread.start = fail
        return worker

    monkeypatch.setattr(registry._workers, "get", get_one_that_fails)
    server, _ = serve_wsgi(wsgi.app(echo, detach=True))

    with syncws.connect(server.url) as ws:
        assert ws.wait_closed(WATCHDOG)
        assert ws.close_code == 1006
    assert not registry._running


@pytest.mark.parametrize("call", ["dup", "socketpair"])
def test_no_more_file_descriptors(serve_wsgi, monkeypatch, call):
    """The server has its socket still, and answers 500."""

    def fail(*args):
        raise OSError(24, "Too many open files")

    server, _ = serve_wsgi(wsgi.app(echo))
    ws = Peer(socket.create_connection(("127.0.0.1", server.server_port)), masked=True)

    with monkeypatch.context() as patch, ws:
        patch.setattr(takeover.os if call == "dup" else takeover.socket, call, fail)
        ws.sock.sendall(REQUEST)
        assert ws.read_until(b"\r\n").startswith(b"HTTP/1.0 500 ")


def test_app_of_what_is_no_handler():
    with pytest.raises(TypeError, match="handler"):
        wsgi.app(None)


@pytest.mark.parametrize("environ", [None, {}, object()])
def test_what_is_no_environ(environ):
    with pytest.raises(TypeError, match=r"flask\.request\.environ"):
        wsgi.accept(environ)


def test_sockets_of_windows(monkeypatch):
    monkeypatch.setattr("os.name", "nt")
    with pytest.raises(syncws.UnsupportedServer, match="POSIX"):
        wsgi.accept(ENVIRON)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"REQUEST_METHOD": "POST"}, "method POST"),
        ({"SERVER_PROTOCOL": "HTTP/1.0"}, "HTTP/1.0"),
        ({"CONTENT_LENGTH": "5"}, "no body"),
        ({"HTTP_SEC_WEBSOCKET_KEY": "short"}, "base64"),
        ({"HTTP_X": "a\nb"}, "X"),
    ],
)
def test_requests_that_are_no_websocket(change, error):
    with pytest.raises(syncws.InvalidHandshake, match=error):
        wsgi.accept({**ENVIRON, **change})


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ({"RAW_URI": "/a%20b?c"}, "/a%20b?c"),
        ({"REQUEST_URI": "/a%20b?c"}, "/a%20b?c"),
        ({"SCRIPT_NAME": "/app", "PATH_INFO": "/a b"}, "/app/a%20b"),
        ({"PATH_INFO": "/\xc3\xa9", "QUERY_STRING": "d=1"}, "/%C3%A9?d=1"),
        ({"PATH_INFO": ""}, "/"),
    ],
)
def test_the_request_target(given, target):
    assert request_of({**ENVIRON, **given}).path == target


def test_the_request():
    request = request_of({**ENVIRON, "REMOTE_USER": "ann", "CONTENT_LENGTH": ""})

    assert (request.method, request.http_version, request.username) == ("GET", "1.1", "ann")
    assert request.headers["sec-websocket-version"] == "13"
    assert "Content-Length" not in request.headers
