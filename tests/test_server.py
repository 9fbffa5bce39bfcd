"""ThreadingServer: handlers, hooks, refusals, limits, strangers, the end."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import errno
import functools
import hmac
import inspect
import itertools
import logging
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from typing import NamedTuple

import pytest

import syncws
from support.peer import Peer
from support.streams import dial
from support.threads import Running, blocked_in, eventually
from support.tls import client_context, server_context
from syncws import ConnectionClosedError, ConnectionClosedOK, Response, ThreadingServer
from syncws.exceptions import InvalidOrigin, InvalidStatus

SHORT = 0.15  # seconds: a limit that is meant to lapse
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


# A client of a few lines.


class Answer(NamedTuple):
    """What the server answered before it closed the connection."""

    status: int
    headers: syncws.Headers
    body: bytes
    raw: bytes


def request(line="GET / HTTP/1.1", without="", add=(), **changes):
    """Write a right request, changed: fields replaced (``Upgrade="x"``), left out or added."""
    fields = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    fields.update(changes)
    lines = [f"{name}: {value}" for name, value in fields.items() if name != without]
    return "\r\n".join([line, *lines, *add, "", ""]).encode("latin-1")


def read_all(sock):
    """Read until the server closes the connection, tidily or not."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while True:
            piece = sock.recv(65536)
            if not piece:
                break
            data += piece
    return data


def ask(server, data):
    """Send bytes; return what the server answers until it closes the connection."""
    with dial(server) as sock:
        with contextlib.suppress(ConnectionError):  # it may have answered before it read all
            sock.sendall(data)
        return parsed(read_all(sock))


def parsed(raw):
    """Take an answer apart."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    return Answer(
        int(lines[0].split()[1]),
        syncws.Headers([tuple(line.split(": ", 1)) for line in lines[1:]]),
        body,
        raw,
    )


def status_of(server, data):
    """Return the status of the answer, of an acceptance also while the connection is open."""
    with Peer(dial(server), masked=True) as peer:
        peer.sock.sendall(data)
        return int(peer.read_until(b"\r\n\r\n").split()[1])


def talk(server, **options):
    """Connect, say nothing and return all messages until the end."""
    with syncws.connect(server.url, **options) as ws:
        return list(ws)


def stay(ws):
    """A handler that does nothing until the connection is closed."""
    ws.wait_closed()


def errors(caplog):
    """Return the log records that somebody should look at."""
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


# Where it listens.


@pytest.mark.parametrize("made", [ThreadingServer, syncws.serve], ids=["class", "serve"])
def test_default_address_is_localhost_8765(made):
    """Without an address it listens on localhost:8765."""
    parameters = inspect.signature(made).parameters

    assert parameters["host"].default == "localhost"
    assert parameters["port"].default == 8765


def test_serve_makes_a_server():
    """serve() is ThreadingServer() with other words."""
    with syncws.serve(stay, "127.0.0.1", 0, max_connections=3) as server:
        assert type(server) is ThreadingServer


def test_listens_on_every_address_of_a_name(serve, monkeypatch):
    """A name with several addresses is served on all of them, on one port."""

    def getaddrinfo(host, port, *args, **kwargs):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        server = serve(lambda ws: ws.send("hello"), host="localhost")
    port = server.server_address[1]

    assert talk(server) == ["hello"]
    with syncws.connect(f"ws://[::1]:{port}/") as ws:
        assert list(ws) == ["hello"]


def test_socket_of_the_user(serve):
    """sock= is a listening socket to be used; it is closed in the end."""
    sock = socket.create_server(("127.0.0.1", 0))
    server = serve(lambda ws: ws.send("hello"), sock=sock)

    assert server.server_address == sock.getsockname()
    assert talk(server) == ["hello"]
    server.shutdown()
    assert sock.fileno() == -1


def test_taken_address_fails_at_once(serve):
    """An address that is taken is an OSError that names it, and nothing is left behind."""
    server = serve(stay)
    host, port = server.server_address

    with pytest.raises(OSError, match=f"{re.escape(host)}:{port}"):
        ThreadingServer(stay, host, port)


def test_reuse_port(serve):
    """With reuse_port several servers listen on one port, and all its clients are served."""
    first = serve(lambda ws: ws.send("hello"), reuse_port=True)
    port = first.server_address[1]
    second = serve(lambda ws: ws.send("hello"), port=port, reuse_port=True)

    assert second.server_address == first.server_address
    assert [talk(second) for _ in range(4)] == [["hello"]] * 4


def test_unix_socket(serve, tmp_path):
    """unix_path= is where it listens instead; the file goes when it ends."""
    path = str(tmp_path / "socket")
    server = serve(lambda ws: ws.send(repr(ws)), unix_path=path)

    with syncws.connect("ws://localhost/", unix_path=path) as ws:
        received = ws.recv(timeout=10)
    server.shutdown()

    assert server.server_address == path
    assert path in repr(server)
    assert received.startswith("<Connection server OPEN unix ")
    assert not os.path.exists(path)


def test_unix_socket_that_was_left_behind(serve, tmp_path):
    """The file of a server that died is replaced."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)

    serve(stay, unix_path=path)

    syncws.connect("ws://localhost/", unix_path=path).close()


def test_unix_socket_of_a_live_server(serve, tmp_path):
    """The file of a server that lives is left alone."""
    path = str(tmp_path / "socket")
    serve(stay, unix_path=path)

    with pytest.raises(OSError):
        ThreadingServer(stay, unix_path=path)

    syncws.connect("ws://localhost/", unix_path=path).close()


def test_unix_path_of_a_file(tmp_path):
    """A file that is no socket is left alone."""
    path = tmp_path / "file"
    path.write_text("precious")

    with pytest.raises(OSError):
        ThreadingServer(stay, unix_path=str(path))

    assert path.read_text() == "precious"


def test_unix_socket_of_a_successor(serve, tmp_path):
    """A second shutdown() does not take away the file of the next server."""
    path = str(tmp_path / "socket")
    first = serve(stay, unix_path=path)
    first.shutdown()
    serve(stay, unix_path=path)

    first.shutdown()

    syncws.connect("ws://localhost/", unix_path=path).close()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"handler": None}, TypeError),
        ({"handler": "echo"}, TypeError),
        ({"wsgi_app": "app:app"}, TypeError),
        ({"origins": "https://example.com"}, TypeError),
        ({"origins": ["https://example.com/"]}, ValueError),
        ({"origins": ["example.com"]}, ValueError),
        ({"origins": ["*"]}, ValueError),
        ({"origins": [None]}, TypeError),
        ({"origins": b"http://a"}, TypeError),
        ({"origins": True}, TypeError),
        ({"subprotocols": "chat"}, TypeError),
        ({"subprotocols": ["a b"]}, ValueError),
        ({"max_connections": 0}, ValueError),
        ({"max_size": -1}, ValueError),
        ({"max_sise": 1}, TypeError),
        ({"ssl": True}, TypeError),
        ({"open_timeout": "1"}, TypeError),
        ({"server_header": "a\r\nb"}, ValueError),
    ],
    ids=str,
)
def test_bad_arguments(options, error):
    """Arguments that cannot work are refused at the start."""
    with pytest.raises(error):
        ThreadingServer(**{"handler": stay, "host": "127.0.0.1", "port": 0, **options})


# What it tells of itself.


def test_server_address_and_fileno(serve):
    """server_address and fileno() are those of the listening socket."""
    server = serve(stay)

    with socket.socket(fileno=os.dup(server.fileno())) as sock:
        assert sock.getsockname() == server.server_address
    assert server.server_address[0] == "127.0.0.1"


def test_connections_are_those_that_are_open(serve):
    """connections lists the open ones; one that is closed is none, even while its handler runs."""
    release = threading.Event()
    server = serve(lambda ws: release.wait(20))

    with syncws.connect(server.url) as ws:
        (theirs,) = eventually(lambda: server.connections, "the handler")
        assert theirs.remote_address == ws.local_address
        assert theirs.role is syncws.Role.SERVER
    left = list(server.connections)
    release.set()

    assert left == []


def test_repr(serve):
    """The repr tells the address and how many are connected."""
    server = serve(stay)
    host, port = server.server_address

    with syncws.connect(server.url):
        eventually(lambda: server.connections, "the handler")
        assert repr(server) == f"<ThreadingServer {host}:{port} connections=1>"


def test_listening_is_logged(serve, caplog):
    """Where it listens is one line at INFO, and a normal connection is none."""
    caplog.set_level(logging.INFO)

    server = serve(lambda ws: ws.send("hello"))
    talk(server)
    server.shutdown()

    host, port = server.server_address
    assert [(r.name, r.getMessage()) for r in caplog.records] == [
        ("syncws.server", f"listening on {host}:{port}")
    ]


def test_logger(serve, caplog):
    """logger= is where all of it is logged, instead of syncws.server."""
    caplog.set_level(logging.DEBUG)

    server = serve(lambda ws: ws.send(ws.logger.name), logger=logging.getLogger("mine"))

    assert talk(server) == ["mine"]
    server.shutdown()
    assert {r.name for r in caplog.records} == {"mine", "syncws.client"}


# Handlers.


def takes_ws(ws):
    """A handler of one argument."""
    ws.send("one")


def takes_path(ws, path):
    """A handler of two arguments."""
    ws.send(path)


def takes_more(greeting, ws, *, mark="?"):
    """What functools.partial makes a handler of."""
    ws.send(greeting + mark)


class Handlers:
    """Handlers that are methods."""

    def __call__(self, ws):
        ws.send("called")

    def bound(self, ws):
        ws.send("bound")

    def bound_path(self, ws, path):
        ws.send("bound " + path)

    @staticmethod
    def static(ws, path):
        ws.send("static " + path)

    @classmethod
    def of_class(cls, ws):
        ws.send("class")


class Made:
    """A handler that is a class: it is made for each connection."""

    def __init__(self, ws, path):
        ws.send("made " + path)


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (takes_ws, "one"),
        (takes_path, "/x?y=1"),
        (functools.partial(takes_more, "hi", mark="!"), "hi!"),
        (functools.partial(takes_more, "hi"), "hi?"),
        (functools.partial(takes_path, path="fixed"), "fixed"),
        (functools.partial(takes_path), "/x?y=1"),
        (Handlers(), "called"),
        (Handlers().bound, "bound"),
        (Handlers().bound_path, "bound /x?y=1"),
        (Handlers.static, "static /x?y=1"),
        (Handlers.of_class, "class"),
        (Made, "made /x?y=1"),
        (lambda ws, retries=3: ws.send(str(retries)), "3"),
        (lambda ws, path="none": ws.send(path), "/x?y=1"),
        (lambda ws, *, path="none": ws.send(path), "none"),
        (lambda ws, *rest: ws.send(str(rest)), "()"),
        (lambda *both: both[0].send(str(len(both))), "1"),
        (lambda ws, /, target: ws.send(target), "/x?y=1"),
        (functools.wraps(takes_path)(lambda *args: takes_path(*args)), "/x?y=1"),
    ],
)
def test_handler_signatures(serve, handler, message):
    """A handler is called with the path if it requires two arguments, or calls one "path"."""
    server = serve(handler)

    with syncws.connect(server.url + "/x?y=1") as ws:
        assert ws.recv(timeout=10) == message
        assert list(ws) == []
    assert ws.close_code == 1000


def test_handler_without_a_signature(serve):
    """What has no signature is called with the connection alone."""
    with pytest.raises(ValueError):
        inspect.signature(type)

    assert talk(serve(type)) == []


def test_handler_that_returns(serve):
    """When the handler returns, the connection is closed with 1000."""
    server = serve(lambda ws: None)

    with syncws.connect(server.url) as ws, pytest.raises(ConnectionClosedOK) as caught:
        ws.recv(timeout=10)

    assert (caught.value.code, caught.value.reason) == (1000, "")


def test_handler_that_raises(serve, caplog):
    """When it raises, the traceback is logged and the client learns 1011, not why."""
    server = serve(functools.partial(fail_with, ZeroDivisionError("secret reason")))

    with syncws.connect(server.url) as ws, pytest.raises(ConnectionClosedError) as caught:
        ws.recv(timeout=10)
    server.shutdown()

    assert (caught.value.code, caught.value.reason) == (1011, "")
    (record,) = errors(caplog)
    assert record.levelname == "ERROR"
    assert record.exc_info[0] is ZeroDivisionError


def fail_with(exc, *args):
    """Raise an exception, whatever the arguments."""
    raise exc


def test_handler_that_meets_the_end(serve, caplog):
    """A handler that lets ConnectionClosed pass is no error: clients come and go."""
    caplog.set_level(logging.DEBUG)
    ends = []

    def handler(ws):
        try:
            ws.recv()
        except syncws.ConnectionClosed as exc:
            ends.append(exc.code)
            raise

    server = serve(handler)

    syncws.connect(server.url).close()
    Peer.connecting(server.server_address).reset()
    eventually(lambda: len(ends) == 2, "both ends")
    server.shutdown()

    assert sorted(ends) == [1000, 1006]
    assert errors(caplog) == []


def test_handler_that_closes_itself(serve):
    """A handler may close with a code of its own; what it does then is its own business."""
    server = serve(lambda ws: ws.close(4000, "own reason"))

    with syncws.connect(server.url) as ws, pytest.raises(ConnectionClosedError) as caught:
        ws.recv(timeout=10)

    assert (caught.value.code, caught.value.reason) == (4000, "own reason")


def test_handlers_run_side_by_side(serve):
    """Each client has a handler of its own thread: they can wait for each other."""
    together = threading.Barrier(3, timeout=20)
    server = serve(lambda ws: ws.send(str(together.wait())))

    clients = [Running(talk, server) for _ in range(3)]

    assert sorted(client.result()[0] for client in clients) == ["0", "1", "2"]


def test_first_frames_behind_the_request(serve):
    """Frames in one segment with the request are the first messages."""
    server = serve(lambda ws: ws.send(ws.recv()))

    with Peer(dial(server), masked=True) as peer:
        peer.sock.sendall(request() + peer.frame(1, b"early"))
        peer.read_until(b"\r\n\r\n")
        assert peer.recv() == (1, b"early")


# The answer.


def test_acceptance_is_that_of_the_rfc(serve):
    """RFC 6455 section 4.2.2: what the answer must hold, and the key's answer of section 1.3."""
    with Peer(dial(serve(stay)), masked=True) as peer:
        peer.sock.sendall(request())
        answer = parsed(peer.read_until(b"\r\n\r\n"))

    assert answer.status == 101
    assert answer.headers["Upgrade"] == "websocket"
    assert answer.headers["Connection"] == "Upgrade"
    assert answer.headers["Sec-WebSocket-Accept"] == ACCEPT
    assert email.utils.parsedate_to_datetime(answer.headers["Date"])
    assert answer.headers["Server"] == f"syncws/{syncws.__version__}"
    assert len(answer.headers) == 5


@pytest.mark.parametrize(
    "data",
    [
        request(Upgrade="WebSocket"),
        request(Upgrade="h2c, websocket"),
        request(Connection="keep-alive, Upgrade"),
        request(Connection="UPGRADE"),
        request(add=["Content-Length: 0"]),
        request().replace(b"\r\n", b"\n"),
        request(add=["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"]),
        request(add=["Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Protocol: c"]),
        request("GET ws://localhost/ HTTP/1.1"),
    ],
)
def test_requests_that_are_right(serve, data):
    """What the RFCs allow is accepted."""
    assert status_of(serve(stay), data) == 101


def test_request_byte_by_byte(serve):
    """It does not matter how TCP cuts the request."""
    with Peer(dial(serve(stay)), masked=True) as peer:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request():
            peer.sock.sendall(bytes([byte]))
        assert peer.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"server_header": "mine"}, "mine"),
        ({"server_header": None}, None),
        ({"process_response": lambda _, r: r.headers.add("Server", "hooked")}, "hooked"),
    ],
)
def test_server_header(serve, options, value):
    """The Server header can be changed or left out."""
    with syncws.connect(serve(stay, **options).url) as ws:
        assert ws.response.headers.get("Server") == value


EXTRA = {
    405: {"Allow": "GET"},
    426: {
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
    },
}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (request(without="Host"), 400),
        (request(add=["Host: other"]), 400),
        (request(add=["A: b\0c"]), 400),
        (request(add=["A: b\rc"]), 400),
        (request(add=["no colon"]), 400),
        (request("GET /a b HTTP/1.1"), 400),
        (request("GET /\xe9 HTTP/1.1"), 400),
        (request(without="Sec-WebSocket-Key"), 400),
        (request(add=[f"Sec-WebSocket-Key: {KEY}"]), 400),
        (request(**{"Sec-WebSocket-Key": "dG9vIHNob3J0"}), 400),
        (request(**{"Sec-WebSocket-Key": "not base64"}), 400),
        (request(**{"Sec-WebSocket-Key": KEY[:-1] + "\xe9"}), 400),
        (request(without="Sec-WebSocket-Version"), 400),
        (request(add=["Sec-WebSocket-Version: 13"]), 400),
        (request(add=["Sec-WebSocket-Protocol: a b"]), 400),
        (request(add=["Content-Length: 5"]) + b"hello", 400),
        (request(add=["Transfer-Encoding: chunked"]) + b"0\r\n\r\n", 400),
        (request(Origin="http://evil.example"), 403),
        (request("GET /missing HTTP/1.1"), 404),
        (request("POST / HTTP/1.1"), 405),
        (request("DELETE / HTTP/1.1"), 405),
        (request("GET /" + "x" * 8192 + " HTTP/1.1"), 414),
        (b"GET /" + b"x" * 10000, 414),
        (request(without="Upgrade"), 426),
        (request(without="Connection"), 426),
        (request(Upgrade="h2c"), 426),
        (request(Upgrade="web socket"), 426),
        (request(Connection="close"), 426),
        (request(**{"Sec-WebSocket-Version": "8"}), 426),
        (request(add=["A: " + "x" * 32768]), 431),
        (request(add=["A: b"] * 130), 431),
        (request(add=["A: b"] * 10000), 431),
        (request("GET /broken HTTP/1.1"), 500),
        (request("GET / HTTP/1.0"), 505),
        (request("GET / HTTP/2.0"), 505),
    ],
)
def test_refusals(serve, data, status):
    """Each broken rule has its HTTP status; one line says why, and the connection is closed."""

    def process_request(request):
        if request.path == "/missing":
            return Response(404)
        return 1 / 0 if request.path == "/broken" else None

    answer = ask(serve(stay, process_request=process_request), data)

    assert answer.status == status
    assert "close" in answer.headers["Connection"]
    assert int(answer.headers["Content-Length"]) == len(answer.body) > 0
    assert answer.body.count(b"\n") == 1
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    extra = EXTRA.get(status, {})
    assert {name: answer.headers[name] for name in extra} == extra


def test_upgrade_is_a_hop_by_hop_header(serve):
    """RFC 9110 section 7.8: who sends Upgrade says so in Connection."""
    answer = ask(serve(stay), request(Upgrade="h2c"))

    assert sorted(answer.headers["Connection"].lower().split(", ")) == ["close", "upgrade"]


def test_refusal_of_head_has_no_body(serve):
    """RFC 9110 section 9.3.2: the answer to HEAD has the length of the body, not the body."""
    answer = ask(serve(stay), request("HEAD / HTTP/1.1"))

    assert answer.status == 405
    assert int(answer.headers["Content-Length"]) > 0
    assert answer.body == b""


def test_refused_client_can_read_why_while_it_sends(serve):
    """The answer is not lost to a reset, although the request was not read to its end."""
    answer = ask(serve(stay), request("POST / HTTP/1.1") + b"x" * 300_000)

    assert answer.status == 405


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        request(Upgrade="h2c"),
        b"garbage\r\n\r\n",
    ],
)
def test_second_request_is_never_parsed(serve, first):
    """After a failed upgrade nothing else on the connection is looked at: no smuggling."""
    seen = []
    server = serve(stay, process_request=lambda request: seen.append(request.path))

    answer = ask(server, first + request("GET /smuggled HTTP/1.1"))

    assert answer.raw.count(b"HTTP/1.1") == 1
    assert "/smuggled" not in seen


# Hooks.


def health(request):
    """A hook that answers health checks."""
    return Response(200, body="OK\n") if request.path == "/healthz" else None


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", b"OK\n"),
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"OK\n"),
        (b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n", b""),
        (b"HEAD /healthz HTTP/1.0\r\n\r\n", b""),
        (b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", b"OK\n"),
        (request("GET /healthz HTTP/1.1"), b"OK\n"),
    ],
)
def test_process_request_answers_plain_http(serve, caplog, data, body):
    """A health check gets its answer, whatever HTTP it speaks, and leaves no trace."""
    caplog.set_level(logging.INFO)
    server = serve(stay, process_request=health)

    answer = ask(server, data)
    server.shutdown()

    assert (answer.status, answer.body) == (200, body)
    assert answer.headers["Content-Length"] == "3"
    assert answer.headers["Connection"] == "close"
    assert {"Date", "Server"} <= set(answer.headers)
    assert [record.getMessage()[:9] for record in caplog.records] == ["listening"]


def test_process_request_lets_others_pass(serve):
    """A hook that returns None lets the handshake go on."""
    server = serve(takes_path, process_request=health)

    with syncws.connect(server.url + "/chat") as ws:
        assert ws.recv(timeout=10) == "/chat"


def test_process_request_sees_the_request(serve):
    """The hook sees method, target and headers; what it notes there, the handler finds."""

    def process_request(request):
        request.username = f"{request.method} {request.path} {request.headers['X-Who']}"

    server = serve(lambda ws: ws.send(ws.request.username), process_request=process_request)

    with syncws.connect(server.url + "/a", additional_headers={"X-Who": "me"}) as ws:
        assert ws.recv(timeout=10) == "GET /a me"


@pytest.mark.parametrize("status", [204, 302, 304, 401, 404, 418, 599])
def test_process_request_answers_with_any_status(serve, status):
    """A hook may answer with what it wants; 204 and 304 have no body."""
    server = serve(stay, process_request=lambda _: Response(status, {"Location": "ftp://x"}))

    answer = ask(server, request())

    assert answer.status == status
    assert bool(answer.body) is (status >= 400)


@pytest.mark.parametrize("hook", ["process_request", "process_response", "select_subprotocol"])
@pytest.mark.parametrize("error", [ZeroDivisionError, OSError, TimeoutError, ssl.SSLError])
def test_hook_that_raises(serve, caplog, hook, error):
    """A hook that fails is 500 without a word of why, and a traceback in our log."""
    server = serve(stay, **{hook: functools.partial(fail_with, error("secret reason"))})

    answer = ask(server, request())
    server.shutdown()

    assert answer.status == 500
    assert answer.body == b"500 Internal Server Error\n"
    assert b"secret" not in answer.raw
    (record,) = errors(caplog)
    assert record.exc_info[0] is error


@pytest.mark.parametrize("hook", ["process_request", "process_response"])
@pytest.mark.parametrize(
    "response",
    [Response(99), Response(1000), Response(200, {"Content-Length": "99"}, "short")],
    ids=["99", "1000", "length"],
)
def test_hook_whose_answer_cannot_be_sent(serve, caplog, hook, response):
    """An answer that is no HTTP is an error of the hook: the client is cut."""
    server = serve(stay, **{hook: lambda *args: response})

    with dial(server) as sock:
        sock.sendall(request())
        assert read_all(sock) == b""
    server.shutdown()

    (record,) = errors(caplog)
    assert record.exc_info[0] is ValueError


def test_hook_that_refuses_by_an_exception(serve, caplog):
    """A hook may raise an InvalidHandshake: it becomes its HTTP status, and no error."""
    refusal = functools.partial(fail_with, InvalidOrigin("not you"))

    answer = ask(serve(stay, process_request=refusal), request())

    assert (answer.status, answer.body) == (403, b"Origin header: not you\n")
    assert errors(caplog) == []


def test_process_response_changes_the_answer(serve):
    """The hook may add to the answer before it is sent."""
    server = serve(stay, process_response=lambda q, r: r.headers.add("X-Path", q.path))

    with syncws.connect(server.url + "/a") as ws:
        assert ws.response.headers["X-Path"] == "/a"


def test_process_response_replaces_the_answer(serve):
    """The hook may return a refusal instead."""
    server = serve(stay, process_response=lambda q, r: Response(403, body="no\n"))

    with pytest.raises(InvalidStatus) as caught:
        syncws.connect(server.url)

    assert (caught.value.status, caught.value.body) == (403, b"no\n")


# Origins.


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://localhost", "localhost", 101),
        ("http://localhost:80", "localhost", 101),
        ("http://localhost", "localhost:80", 101),
        ("https://localhost", "localhost:443", 101),
        ("http://LocalHost:8000", "localhost:8000", 101),
        ("http://localhost:8000", "LOCALHOST:8000", 101),
        ("http://[::1]:8000", "[::1]:8000", 101),
        ("http://xn--bcher-kva.example", "xn--bcher-kva.example", 101),
        ("http://localhost:8001", "localhost:8000", 403),
        ("http://localhost", "localhost:8000", 403),
        ("https://localhost", "localhost:80", 403),
        ("http://evil.example", "localhost", 403),
        ("http://localhost.evil.example", "localhost", 403),
        ("http://evil.example/localhost", "localhost", 403),
        ("http://localhost@evil.example", "localhost", 403),
        ("http://localhost.", "localhost", 403),
        ("http://localhost:port", "localhost", 403),
        ("http://[::1", "localhost", 403),
        ("null", "localhost", 403),
        ("", "localhost", 403),
        ("localhost", "localhost", 403),
        ("//localhost", "localhost", 403),
        ("file://localhost", "localhost", 403),
        ("http://", "localhost", 403),
    ],
)
def test_same_origin_is_the_default(serve, origin, host, status):
    """A page may connect to the host and port that it came from, and to no other."""
    assert status_of(serve(stay), request(Host=host, Origin=origin)) == status


def test_programs_send_no_origin(serve):
    """Who sends no Origin is no browser, and is let in."""
    assert status_of(serve(stay, origins=[]), request()) == 101


def test_two_origins(serve):
    """Two Origin headers are no origin."""
    data = request(add=["Origin: http://localhost", "Origin: http://evil.example"])

    assert status_of(serve(stay), data) == 400


A_EXAMPLE = re.compile(r"https://[a-z]+\.a\.example")


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        (["https://a.example"], "https://a.example", 101),
        (["https://a.example"], "https://A.EXAMPLE", 101),
        (["https://b.example", "https://a.example"], "https://a.example", 101),
        (["null"], "null", 101),
        (["https://A.example:443"], "https://a.example", 101),
        (["http://a.example:80"], "http://a.example", 101),
        (["http://a.example:443"], "http://a.example", 403),
        (["http://a.example:8080"], "http://a.example:8080", 101),
        (["http://[::1]:80"], "http://[::1]", 101),
        (["https://a.example"], "https://a.example.evil", 403),
        (["https://a.example"], "http://a.example", 403),
        (["https://a.example"], "http://localhost", 403),
        ([A_EXAMPLE], "https://www.a.example", 101),
        ([A_EXAMPLE], "https://www.a.example.evil", 403),
        ([A_EXAMPLE], "x https://www.a.example", 403),
        ([], "http://localhost", 403),
        (None, "http://anyone.example", 101),
        (None, "null", 101),
        (syncws.SAME_ORIGIN, "http://localhost", 101),
    ],
)
def test_origins(serve, origins, origin, status):
    """origins= lists who may connect, literally or by pattern; None is for all."""
    assert status_of(serve(stay, origins=origins), request(Origin=origin)) == status


def test_origins_may_come_from_an_iterator(serve):
    """The list is kept: an iterator serves more than the first client."""
    server = serve(stay, origins=iter(["https://a.example"]))

    for _ in range(2):
        assert status_of(server, request(Origin="https://a.example")) == 101


# Subprotocols.


@pytest.mark.parametrize(
    ("ours", "offered", "chosen"),
    [
        (["a", "b"], ["b", "a"], "a"),
        (["b", "a"], ["a"], "a"),
        (["a"], ["A"], None),
        (["a"], ["b"], None),
        (["a"], None, None),
        (None, ["a"], None),
    ],
)
def test_subprotocols(serve, ours, offered, chosen):
    """The first of ours that the client offers is chosen, else none."""
    server = serve(lambda ws: ws.send(str(ws.subprotocol)), subprotocols=ours)

    with syncws.connect(server.url, subprotocols=offered) as ws:
        assert ws.subprotocol == chosen
        assert ws.recv(timeout=10) == str(chosen)


@pytest.mark.parametrize("chosen", ["b", None])
def test_select_subprotocol(serve, chosen):
    """The function sees request and offer, and chooses one or none."""
    seen = []

    def select(request, offered):
        seen.append((request.path, list(offered)))
        return chosen

    server = serve(stay, select_subprotocol=select)

    with syncws.connect(server.url + "/x", subprotocols=["a", "b"]) as ws:
        assert ws.subprotocol == chosen
    assert seen == [("/x", ["a", "b"])]


def test_select_subprotocol_of_its_own(serve, caplog):
    """To choose what was not offered is an error of the function: 500, and a traceback."""
    server = serve(stay, select_subprotocol=lambda request, offered: "own")

    answer = ask(server, request(add=["Sec-WebSocket-Protocol: a"]))
    server.shutdown()

    assert answer.status == 500
    assert b"own" not in answer.body
    assert "select_subprotocol returned 'own'" in str(errors(caplog)[0].exc_info[1])


# Basic authentication.


def authorized(value):
    """Return the request of a client with this Authorization."""
    return request(Authorization=value)


def basic(text):
    """Return the Authorization value for "user:password", in UTF-8."""
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("given", "credentials"),
    [
        ("me:pw", ("me", "pw")),
        ("me:", ("me", "")),
        (":pw", ("", "pw")),
        ("me:p:w", ("me", "p:w")),
        ("mé:☃", ("mé", "☃")),
        ("you:pw2", [("me", "pw"), ("you", "pw2")]),
        ("you:pw2", iter([("me", "pw"), ("you", "pw2")])),
    ],
)
def test_basic_auth_lets_in(serve, given, credentials):
    """The right password opens, and the handler knows whose it was."""
    server = serve(
        lambda ws: ws.send(ws.request.username),
        process_request=syncws.basic_auth("realm", credentials=credentials),
    )
    user, _, password = given.partition(":")

    for _ in range(2):
        with syncws.connect(server.url, auth=(user, password)) as ws:
            assert ws.recv(timeout=10) == user


@pytest.mark.parametrize(
    "value",
    [
        basic("me:PW"),
        basic("me:pw "),
        basic("me:"),
        basic("ME:pw"),
        basic("you:pw"),
        basic("mepw"),
        basic(""),
        basic("é:☃"),
        "Basic",
        "Basic ",
        "Basic ????",
        "Basic bWU6cHc",
        "Basic \xe9",
        "Basic " + base64.b64encode(b"me:\xff").decode(),
        basic("me:pw").replace("Basic", "Bearer"),
        basic("me:pw")[len("Basic ") :],
        "",
    ],
)
def test_basic_auth_keeps_out(serve, value):
    """Anything but the right password, in whatever form, is 401 with a challenge."""
    server = serve(stay, process_request=syncws.basic_auth("realm", credentials=("me", "pw")))

    answer = ask(server, authorized(value))

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="realm", charset="UTF-8"'


def test_basic_auth_without_credentials(serve):
    """Who says nothing is asked."""
    server = serve(stay, process_request=syncws.basic_auth("realm", credentials=("me", "pw")))

    with pytest.raises(InvalidStatus) as caught:
        syncws.connect(server.url)

    assert caught.value.status == 401


def test_basic_auth_given_twice(serve):
    """Two Authorization headers are none."""
    server = serve(stay, process_request=syncws.basic_auth("realm", credentials=("me", "pw")))
    twice = [f"Authorization: {basic('me:pw')}"] * 2

    assert status_of(server, request(add=twice)) == 401


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_basic_auth_scheme_has_no_case(serve, scheme):
    """RFC 9110 section 11.1: the scheme is compared without regard to case."""
    server = serve(stay, process_request=syncws.basic_auth(credentials=("me", "pw")))

    assert status_of(server, authorized(basic("me:pw").replace("Basic", scheme))) == 101


def test_check_credentials(serve):
    """A function may check the pair instead."""
    asked = []

    def check(user, password):
        asked.append((user, password))
        return password == "right"

    server = serve(stay, process_request=syncws.basic_auth(check_credentials=check))

    assert status_of(server, authorized(basic("me:right"))) == 101
    assert status_of(server, authorized(basic("me:wrong"))) == 401
    assert asked == [("me", "right"), ("me", "wrong")]


@pytest.mark.parametrize("given", ["first:1", "second:2", "none:0"])
def test_every_pair_is_compared_in_constant_time(monkeypatch, given):
    """All pairs are compared, by hmac.compare_digest and as bytes, whichever it is."""
    compared = []

    def compare_digest(a, b):
        compared.append((type(a), type(b)))
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    hook = syncws.basic_auth(credentials=[("first", "1"), ("second", "2"), ("thîrd", "3")])

    hook(syncws.Request("/", {"Authorization": basic(given)}))

    assert compared == [(bytes, bytes)] * 3


def test_realm_is_quoted():
    """Quotes and backslashes in a realm stay within it."""
    hook = syncws.basic_auth('a "b\\', credentials=("me", "pw"))

    challenge = hook(syncws.Request("/")).headers["WWW-Authenticate"]

    assert challenge == 'Basic realm="a \\"b\\\\", charset="UTF-8"'


@pytest.mark.parametrize("realm", ["a\r\nX: y", "a\0", "☃"])
def test_realm_that_cannot_be_sent(realm):
    """A realm that could end the header is refused at the start."""
    with pytest.raises(ValueError):
        syncws.basic_auth(realm, credentials=("me", "pw"))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"credentials": ("me", "pw"), "check_credentials": lambda user, password: True},
        {"credentials": "me:pw"},
        {"credentials": ("me", "pw", "x")},
        {"credentials": [("me", b"pw")]},
        {"credentials": ["me", "pw"]},
    ],
)
def test_basic_auth_of_nothing(options):
    """Credentials that are not there, or not pairs, are refused at the start."""
    with pytest.raises(TypeError):
        syncws.basic_auth("realm", **options)


# TLS.


def test_tls(serve):
    """With ssl= it serves wss."""
    server = serve(lambda ws: ws.send("hello"), ssl=server_context())

    assert talk(server, ssl=client_context()) == ["hello"]


def broken_contexts():
    """Return contexts that no server can use."""
    return [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()]


@pytest.mark.parametrize("context", broken_contexts(), ids=["no certificate", "for clients"])
def test_broken_tls_context_fails_at_once(context):
    """A context without certificate, or for clients, fails in the constructor: never plain text."""
    with pytest.raises(ssl.SSLError):
        ThreadingServer(stay, "127.0.0.1", 0, ssl=context)


def test_tls_refusal_can_be_read(serve):
    """Over TLS, too, a refused client can read why."""
    server = serve(stay, ssl=server_context(), process_request=health)

    with client_context().wrap_socket(dial(server), server_hostname="localhost") as sock:
        sock.sendall(request("GET /healthz HTTP/1.1"))
        answer = parsed(read_all(sock))

    assert (answer.status, answer.body) == (200, b"OK\n")


# Limits.


def test_max_connections(serve):
    """Beyond max_connections clients get 503 and when to come back; slots come back, too."""
    server = serve(stay, max_connections=2)
    first = syncws.connect(server.url)
    second = syncws.connect(server.url)

    refused = ask(server, request())
    first.close()
    eventually(lambda: len(server._sessions) == 1, "a free slot")
    third = syncws.connect(server.url)

    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert "close" in refused.headers["Connection"]
    second.close()
    third.close()


def test_max_connections_counts_handshakes(serve):
    """Who has not asked yet takes a slot, too."""
    server = serve(stay, max_connections=1)

    with dial(server) as silent:
        eventually(lambda: server._sessions, "the silent client")
        assert ask(server, request()).status == 503
        silent.sendall(request())
        assert silent.recv(12) == b"HTTP/1.1 101"


def test_many_beyond_max_connections(serve):
    """So many are told why; still more are cut off, and cost no thread."""
    server = serve(stay, max_connections=1)
    with contextlib.ExitStack() as stack:
        told = [stack.enter_context(dial(server)) for _ in range(17)]
        eventually(lambda: len(server._sessions) == 17, "all of them")
        cut = stack.enter_context(dial(server))

        assert read_all(cut) == b""
        told[16].sendall(request())
        assert parsed(read_all(told[16])).status == 503


# Strangers.


def nothing(sock):
    """Connect and leave."""


def half_a_request(sock):
    """Leave in the middle of the request."""
    sock.sendall(request()[:50])


def garbage(sock):
    """Send what is no HTTP, and leave."""
    sock.sendall(b"\x00\x01\x02\x03" * 10 + b"\r\n\r\n")


def half_a_client_hello(sock):
    """Speak TLS, and leave."""
    sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")


def cut_with_a_reset(sock):
    """Leave by a TCP reset."""
    sock.sendall(request()[:10])
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def a_request_and_gone(sock):
    """Ask, and leave without the answer."""
    sock.sendall(request())


def garbage_and_waits(sock):
    """Send what is no HTTP, and wait for what happens."""
    sock.sendall(b"hello?\r\n\r\n" * 10)
    read_all(sock)


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize(
    "stranger",
    [
        nothing,
        half_a_request,
        garbage,
        half_a_client_hello,
        cut_with_a_reset,
        a_request_and_gone,
        garbage_and_waits,
    ],
    ids=lambda stranger: stranger.__name__,
)
def test_strangers_leave_no_trace(serve, caplog, stranger, secure):
    """Port scanners and lost clients cause no traceback, and nothing of them stays."""
    caplog.set_level(logging.DEBUG)
    server = serve(lambda ws: ws.send("hello"), ssl=server_context() if secure else None)

    with dial(server) as sock:
        eventually(lambda: server._sessions, "the stranger")
        stranger(sock)
    eventually(lambda: not server._sessions, "the end of the stranger")
    messages = talk(server, ssl=client_context() if secure else None)

    assert messages == ["hello"]
    assert [record for record in caplog.records if record.exc_info] == []
    assert errors(caplog) == []


def drip(sock, data):
    """Send bytes one by one until the server is tired of it."""
    with contextlib.suppress(OSError):
        for byte in itertools.cycle(data):
            sock.sendall(bytes([byte]))
            threading.Event().wait(0.01)


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1 ", b"\x16\x03\x03\x40\x00\x01\x00"])
def test_slow_loris_is_cut(serve, caplog, data, secure):
    """Who has not asked within open_timeout is cut without an answer, silent or dripping."""
    server = serve(stay, open_timeout=SHORT, ssl=server_context() if secure else None)

    with dial(server) as sock:
        dripping = Running(drip, sock, data) if data else None
        assert b"HTTP/1.1 500" not in read_all(sock)
    eventually(lambda: not server._sessions, "the end of the session")

    assert dripping is None or dripping.result() is None
    assert errors(caplog) == []


def test_refused_client_that_goes_on_sending(serve):
    """A refused client that sends without end is cut after a while, too."""
    server = serve(stay, open_timeout=SHORT)

    with dial(server) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while True:
            sock.sendall(b"x" * 10_000)
    eventually(lambda: not server._sessions, "the end of the session")


def test_client_that_does_not_read_the_answer(serve):
    """A refused client that neither reads nor leaves is cut after a while, too."""
    server = serve(stay, open_timeout=SHORT)

    with dial(server) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: server._sessions, "the client")
        eventually(lambda: not server._sessions, "the end of the session")


# Exhaustion.


class Exhausted(socket.socket):
    """A listening socket whose first calls of accept() fail."""

    failures: list[OSError]

    def accept(self):
        if self.failures:
            raise self.failures.pop()
        return super().accept()


def failing_listener(*failures):
    """Return a listening socket that fails with these errors first."""
    sock = Exhausted()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    sock.failures = list(failures)
    return sock


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_accept_survives_exhaustion(serve, caplog, number):
    """When the system has no more file descriptors, that is logged, and clients wait."""
    sock = failing_listener(OSError(number, "too many"))
    server = serve(lambda ws: ws.send("hello"), sock=sock)

    assert talk(server) == ["hello"]
    assert ["cannot accept" in record.getMessage() for record in errors(caplog)] == [True]


def test_accept_survives_clients_that_left(serve, caplog):
    """A client that is gone before it was accepted is no news."""
    sock = failing_listener(ConnectionAbortedError(), BlockingIOError(), InterruptedError())
    server = serve(lambda ws: ws.send("hello"), sock=sock)

    assert talk(server) == ["hello"]
    assert errors(caplog) == []


@pytest.mark.parametrize("name", ["syncws-handler", "syncws-server-reader"])
def test_no_more_threads(serve, caplog, monkeypatch, name):
    """When the system has no more threads, a client is cut, and the next is served."""

    def handler(ws):
        if name == "syncws-server-reader":
            ws._engine.reader.wake()
        ws.send("hello")

    server = serve(handler)
    start = threading.Thread.start
    failures = [RuntimeError("can't start new thread")]

    def fail_once(thread):
        if failures and thread.name == name:
            raise failures.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail_once)
    with pytest.raises((syncws.WebSocketException, OSError)):
        syncws.connect(server.url).recv(timeout=10)

    assert talk(server) == ["hello"]
    eventually(lambda: not server._sessions, "the end of both")
    if name == "syncws-handler":  # the other failure is told to the handler
        assert ["can't start" in caplog.text, len(errors(caplog))] == [True, 1]


# Connections of the user's own kind.


class Mine(syncws.Connection):
    """A connection of the user's own kind."""


@pytest.mark.parametrize("make", [Mine, lambda *args: Mine(*args)], ids=["class", "function"])
def test_create_connection(serve, make):
    """create_connection= makes what the handler gets."""
    server = serve(lambda ws: ws.send(type(ws).__name__), create_connection=make)

    assert talk(server) == ["Mine"]


def test_create_connection_that_fails(serve, caplog):
    """When it raises, that is logged with traceback, and the client is cut."""
    failing = functools.partial(fail_with, ZeroDivisionError("no connection today"))
    server = serve(stay, create_connection=failing)

    with syncws.connect(server.url) as ws, pytest.raises(ConnectionClosedError):
        ws.recv(timeout=10)

    eventually(lambda: not server._sessions, "the end of the session")
    assert [record.exc_info[0] for record in errors(caplog)] == [ZeroDivisionError]


# Behind a reverse proxy.

LOCAL = ["127.0.0.1", "::1", "unix"]


def address_told(server, *headers):
    """Connect with these header lines; return the remote_address that the handler sent."""
    with Peer(dial(server), masked=True) as peer:
        peer.sock.sendall(request(add=headers))
        assert peer.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101")
        return peer.recv()[1].decode()


def tell_address(ws):
    """A handler that says who the client is."""
    ws.send(repr(ws.remote_address))


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("X-Forwarded-For: 192.0.2.66, 192.0.2.7", ("192.0.2.7", 0)),
        ('Forwarded: for=192.0.2.66, for="192.0.2.7:4711"', ("192.0.2.7", 4711)),
        ('forwarded: for="[2001:db8::7]:4711"', ("2001:db8::7", 4711, 0, 0)),
    ],
)
def test_trusted_proxies(serve, tmp_path, header, address):
    """remote_address is whom the proxy tells of, over TCP and a Unix socket."""
    tcp = serve(tell_address, trusted_proxies=LOCAL)
    unix = serve(tell_address, trusted_proxies=LOCAL, unix_path=str(tmp_path / "socket"))

    assert address_told(tcp, header) == repr(address)
    assert address_told(unix, header) == repr(address)


@pytest.mark.parametrize("trusted", [(), ["192.0.2.1", "unix"]], ids=["nobody", "others"])
def test_peers_that_are_no_trusted_proxies(serve, trusted):
    """Whoever connects without a proxy cannot choose an address."""
    server = serve(tell_address, trusted_proxies=trusted)

    told = address_told(server, "X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.8")

    assert told.startswith("('127.0.0.1', ")


def test_a_proxy_that_speaks_for_nobody(serve, tmp_path):
    """Without a header the peer is the client."""
    assert address_told(serve(tell_address, trusted_proxies=LOCAL)).startswith("('127.0.0.1', ")
    path = str(tmp_path / "socket")
    assert address_told(serve(tell_address, trusted_proxies=LOCAL, unix_path=path)) == "''"


def test_headers_of_a_proxy_that_contradict_each_other(serve, caplog):
    """One of them may be the client's own: 400, and the body tells what to do about it."""
    caplog.set_level(logging.INFO)
    server = serve(tell_address, trusted_proxies=LOCAL)

    answer = ask(server, request(add=["X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.8"]))
    server.shutdown()

    assert answer.status == 400
    assert b"must remove the one it does not write" in answer.body
    assert "X-Forwarded-For header: names another client" in caplog.text
    assert errors(caplog) == []


def test_plain_http_needs_no_address(serve):
    """What a hook answers, such as a health check, does not depend on it."""
    server = serve(trusted_proxies=LOCAL, process_request=lambda request: Response(204))

    data = request(add=["X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.8"])

    assert ask(server, data).status == 204


def test_the_address_is_there_from_the_beginning(serve):
    """A connection of the user's own kind has it as soon as it is made, and so has its repr."""
    made = []

    class Own(syncws.Connection):
        def __init__(self, *args):
            super().__init__(*args)
            made.append((self.remote_address, repr(self)))

    server = serve(tell_address, create_connection=Own, trusted_proxies=LOCAL)

    assert address_told(server, "X-Forwarded-For: 2001:db8::7") == "('2001:db8::7', 0, 0, 0)"
    assert made == [(("2001:db8::7", 0, 0, 0), "<Own server OPEN [2001:db8::7]:0 queued=0>")]


@pytest.mark.parametrize(
    ("trusted", "error"), [("127.0.0.1", TypeError), (["example.com"], ValueError)]
)
def test_trusted_proxies_that_are_none(trusted, error):
    """A mistake is told at once, before a socket is opened."""
    with pytest.raises(error, match=r"^trusted_proxies"):
        ThreadingServer(stay, port=0, trusted_proxies=trusted)


# The end.


def code_of(ws):
    """Wait for the end of a client; return code and reason of the server's Close."""
    with pytest.raises(syncws.ConnectionClosed) as caught:
        ws.recv(timeout=20)
    return caught.value.code, caught.value.reason


@pytest.mark.parametrize(
    ("arguments", "close"),
    [((), (1001, "")), ((1012, "restart"), (1012, "restart")), ((4000,), (4000, ""))],
)
def test_shutdown_closes_connections(serve, arguments, close):
    """shutdown() closes all connections with 1001, or as told, and waits for the handlers."""
    ended = []

    def handler(ws):
        ws.wait_closed()
        ended.append(ws.close_code)

    server = serve(handler)
    clients = [syncws.connect(server.url) for _ in range(3)]

    server.shutdown(*arguments)

    assert ended == [close[0]] * 3
    assert [code_of(ws) for ws in clients] == [close] * 3


def test_shutdown_wakes_handlers(serve):
    """Handlers in recv(), iteration, ping() and send() are woken."""
    wakers = {
        "/recv": lambda ws: ws.recv(),
        "/iteration": lambda ws: list(ws),
        "/ping": lambda ws: ws.ping(),
        "/send": lambda ws: ws.send(itertools.repeat(b"x" * 100_000)),
    }
    inside = []
    woken = []

    def handler(ws):
        inside.append(threading.current_thread())
        try:
            wakers[ws.path](ws)
        finally:
            woken.append(ws.path)

    server = serve(handler)
    with contextlib.ExitStack() as stack:
        for path in wakers:
            stack.enter_context(Peer.connecting(server.server_address, path, rcvbuf=4096))
        eventually(lambda: len(inside) == 4, "the handlers")
        for thread in inside:
            eventually(lambda: blocked_in(thread, "wait", "wait_for", "fill"))  # noqa: B023

        server.shutdown(timeout=SHORT)

    assert sorted(woken) == sorted(wakers)


def test_shutdown_stops_listening(serve):
    """After shutdown() clients are refused."""
    server = serve(stay)

    server.shutdown()

    with pytest.raises(ConnectionRefusedError):
        syncws.connect(server.url)


@pytest.mark.parametrize("verb", ["start", "serve_forever"])
def test_shutdown_is_for_ever(serve, verb):
    """A server that was shut down does not start again."""
    server = serve(stay)
    server.shutdown()

    with pytest.raises(RuntimeError, match="shut down"):
        getattr(server, verb)()


@pytest.mark.parametrize("verb", ["start", "serve_forever"])
def test_server_serves_once_at_a_time(serve, verb):
    """A server that is serving does not start again."""
    server = serve(stay)

    with pytest.raises(RuntimeError, match="serving already"):
        getattr(server, verb)()


def test_shutdown_of_a_server_that_never_started():
    """A server that never served is just closed."""
    server = ThreadingServer(stay, "127.0.0.1", 0)

    server.shutdown()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.server_address)


def test_shutdown_again(serve):
    """Another shutdown() does nothing."""
    server = serve(stay)

    server.shutdown()
    server.shutdown(1012)

    assert server.connections == []


def test_shutdown_twice_at_once(serve):
    """Two threads may shut down at the same time; both wait for the end."""
    server = serve(stay)
    ws = syncws.connect(server.url)

    both = [Running(server.shutdown), Running(server.shutdown)]

    assert code_of(ws) == (1001, "")
    assert [each.result() for each in both] == [None, None]
    assert server._sessions == {}


@pytest.mark.parametrize("arguments", [(1005,), (999,), (1000, "x" * 124)])
def test_shutdown_with_a_bad_close(serve, arguments):
    """A code or reason that may not be sent is refused, and the server goes on."""
    server = serve(lambda ws: ws.send("hello"))

    with pytest.raises(ValueError):
        server.shutdown(*arguments)

    assert talk(server) == ["hello"]


def test_shutdown_from_a_handler(serve):
    """A handler may shut its server down; it is not waited for."""
    server = serve(lambda ws: server.shutdown() if ws.path == "/end" else ws.wait_closed())
    other = syncws.connect(server.url)
    eventually(lambda: server.connections, "the other handler")

    ws = syncws.connect(server.url + "/end")

    assert code_of(ws) == (1001, "")
    assert code_of(other) == (1001, "")
    eventually(lambda: not server._sessions, "the end of the handlers")


def test_shutdown_from_all_handlers_at_once(serve):
    """Handlers that shut down at the same time do not wait for each other."""
    together = threading.Barrier(3, timeout=20)

    def handler(ws):
        together.wait()
        server.shutdown(timeout=15)

    server = serve(handler)
    clients = [syncws.connect(server.url) for _ in range(3)]

    assert [code_of(ws) for ws in clients] == [(1001, "")] * 3
    assert Running(server.shutdown).result(10) is None


def test_shutdown_in_the_middle_of_a_handshake(serve, monkeypatch):
    """Whose handshake has not ended when the time is over is cut."""
    monkeypatch.setattr("syncws.server._ABORT_WAIT", SHORT)
    release = threading.Event()
    server = serve(stay, process_request=lambda request: release.wait(20) and None)

    with dial(server) as sock:
        sock.sendall(request())
        eventually(lambda: [True for session in server._sessions if session.asked], "the request")
        server.shutdown(timeout=0)

        assert read_all(sock) == b""
    release.set()
    eventually(lambda: not server._sessions, "the end of the session")


def test_shutdown_does_not_wait_for_silent_clients(serve):
    """Who has not asked yet is cut at once: browsers open connections in advance, too."""
    server = serve(stay)

    with dial(server) as silent, dial(server) as half:
        half.sendall(request()[:50])
        eventually(lambda: len(server._sessions) == 2, "both clients")

        assert Running(server.shutdown).result(5) is None
        assert read_all(silent) + read_all(half) == b""


def test_handshake_that_ends_behind_the_shutdown(serve):
    """Who has asked in time still gets the Close of shutdown(), not a cut."""
    release = threading.Event()
    server = serve(stay, process_request=lambda request: release.wait(20) and None)

    with Peer(dial(server), masked=True) as peer:
        peer.sock.sendall(request())
        eventually(lambda: [True for session in server._sessions if session.asked], "the request")
        end = Running(server.shutdown, 1012, "restart")
        eventually(lambda: blocked_in(end.thread, "_wait_idle"), "shutdown() to wait")
        release.set()
        peer.read_until(b"\r\n\r\n")

        assert peer.recv() == (8, (1012).to_bytes(2, "big") + b"restart")
        peer.send(8, (1012).to_bytes(2, "big"))
        assert peer.at_eof()
    end.result()


def test_shutdown_with_a_peer_that_does_not_answer(serve):
    """A peer that never answers the Close is cut when the time is over."""
    codes = []

    def handler(ws):
        ws.wait_closed()
        codes.append(ws.close_code)

    server = serve(handler)
    with Peer.connecting(server.server_address) as peer:
        eventually(lambda: server.connections, "the handler")

        server.shutdown(timeout=SHORT)

        assert peer.recv() == (8, b"\x03\xe9")
        assert peer.at_eof()
    assert codes == [1006]


def test_shutdown_with_a_handler_that_goes_on(serve, caplog, monkeypatch):
    """A handler that does not care is left behind after the timeout, with a warning."""
    monkeypatch.setattr("syncws.server._ABORT_WAIT", SHORT)
    release = threading.Event()
    inside = threading.Event()

    def handler(ws):
        inside.set()
        release.wait(20)

    server = serve(handler)
    with syncws.connect(server.url) as ws:
        inside.wait(20)

        server.shutdown(timeout=0)

        assert ws.wait_closed(20)
    release.set()
    assert ["still running" in record.getMessage() for record in errors(caplog)] == [True]
    eventually(lambda: not server._sessions, "the end of the handler")


def test_context_manager_shuts_down():
    """The end of the block is a shutdown()."""
    with ThreadingServer(stay, "127.0.0.1", 0) as server:
        server.start()
        ws = syncws.connect(f"ws://127.0.0.1:{server.server_address[1]}")

    assert code_of(ws) == (1001, "")


def test_serve_forever_ends_with_shutdown():
    """serve_forever() returns when another thread shuts down, and the code is that one's."""
    with ThreadingServer(stay, "127.0.0.1", 0) as server:
        serving = Running(server.serve_forever)
        ws = syncws.connect(f"ws://127.0.0.1:{server.server_address[1]}")
        eventually(lambda: server.connections, "the handler")

        server.shutdown(1012, "restart")

        assert serving.result() is None
    assert code_of(ws) == (1012, "restart")


def test_server_close_lets_connections_go_on(serve):
    """server_close() takes no more clients; those that are there stay."""
    server = serve()
    ws = syncws.connect(server.url)
    eventually(lambda: server.connections, "the handler")

    server.server_close()

    with pytest.raises(ConnectionRefusedError):
        syncws.connect(server.url)
    ws.send("hello")
    assert ws.recv(timeout=10) == "hello"
    assert Running(server.shutdown).result(10) is None
    assert code_of(ws) == (1001, "")


def test_server_close_after_shutdown(serve):
    """The order of socketserver's verbs works, too: shutdown(), then server_close()."""
    server = serve(stay)

    server.shutdown()
    server.server_close()

    assert server.fileno() == -1


SERVER_PROGRAM = """
import sys, syncws

def handler(ws):
    ws.send("hello")
    ws.wait_closed()
    print("handler ended", flush=True)

with syncws.ThreadingServer(handler, "127.0.0.1", 0) as server:
    print(server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a child on Windows")
def test_ctrl_c_in_serve_forever():
    """Ctrl-C closes the connections with 1001, waits for the handlers and is raised again."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER_PROGRAM], stdout=subprocess.PIPE, text=True
    ) as process:
        port = int(process.stdout.readline())
        with syncws.connect(f"ws://127.0.0.1:{port}/") as ws:
            ws.recv(timeout=20)
            process.send_signal(signal.SIGINT)
            closed = code_of(ws)
        rest = process.stdout.read()

    assert closed == (1001, "")
    assert rest.split("\n") == ["handler ended", "interrupted", ""]
    assert process.returncode == 0
