"""Plain HTTP by a WSGI app beside WebSockets: PEP 3333, bodies, errors, disconnects, the end."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import logging
import socket
import struct
import sys
import threading
from wsgiref.validate import validator

import pytest

import syncws
from support.peer import Peer
from support.streams import dial
from support.threads import Running, blocked_in, eventually
from support.tls import client_context, server_context
from syncws import Response

SHORT = 0.15  # seconds: a limit that is meant to lapse
TEXT = ("Content-Type", "text/plain")
FIVE_MIB = bytes(range(256)) * (5 * 4096)

# A client of a few lines.


class OverSocket(http.client.HTTPConnection):
    """An HTTP client on a socket that is connected already."""

    def __init__(self, sock):
        super().__init__("localhost", timeout=20)
        self.sock = sock


class Answer:
    """What a server answered."""

    def __init__(self, response):
        self.status, self.headers, self.version = (
            response.status,
            response.headers,
            response.version,
        )
        self.body = response.read()


def fetch(server, path="/", method="GET", body=None, headers=(), wrap=None, **options):
    """Ask by http.client; return the whole answer."""
    sock = dial(server)
    client = OverSocket(wrap(sock) if wrap else sock)
    with contextlib.closing(client):
        client.request(method, path, body, dict(headers), **options)
        with client.getresponse() as response:
            return Answer(response)


def read_all(sock):
    """Read until the end of the stream, which must be a tidy one."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


def ask(server, data):
    """Send bytes; return all bytes of the answer."""
    with dial(server) as sock:
        sock.sendall(data)
        return read_all(sock)


def reset(sock):
    """Leave by a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def head(*lines, start="POST / HTTP/1.1"):
    """Write the head of a request."""
    return "\r\n".join([start, "Host: localhost", *lines, "", ""]).encode("latin-1")


GET = head(start="GET / HTTP/1.1")


# Apps.


def page(environ, start_response):
    """An app that does little."""
    start_response("200 OK", [TEXT])
    return [b"hello"]


def mirror(environ, start_response):
    """An app that sends the body back, with what it knows of the request."""
    body = environ["wsgi.input"].read(-1)
    start_response("200 OK", [TEXT, ("Content-Length", str(len(body)))])
    return [body]


def answering(status="200 OK", headers=(TEXT,), body=(b"hello",)):
    """Make an app that always answers the same."""

    def app(environ, start_response):
        start_response(status, list(headers))
        return body() if callable(body) else body

    return app


class Slow:
    """An app that answers when it is let go."""

    def __init__(self):
        self.inside, self.release = threading.Event(), threading.Event()

    def __call__(self, environ, start_response):
        self.inside.set()
        self.release.wait(20)
        return page(environ, start_response)


class Seen:
    """An app that keeps what it was asked."""

    def __init__(self):
        self.environs = []

    def __call__(self, environ, start_response):
        self.environs.append(environ)
        start_response("200 OK", [TEXT])
        return [b"seen"]

    @property
    def environ(self):
        (environ,) = self.environs
        return environ


def echo(ws):
    for message in ws:
        ws.send(message)


@pytest.fixture
def site(serve):
    """Return a function that serves an app, checked by the standard library's validator."""

    def start(app=page, valid=True, handler=echo, **options):
        return serve(handler, wsgi_app=validator(app) if valid else app, **options)

    return start


def errors(caplog):
    """Return the log records that somebody should look at."""
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


def served(server):
    """Wait until nobody is served any more."""
    eventually(lambda: not server._sessions, "the end of the sessions")


# One port for both.


def test_page_and_websocket_on_one_port(site):
    """Plain HTTP is the app's, WebSockets are the handler's, at the same time."""
    server = site(valid=False)  # the validator hides how long the body is

    with syncws.connect(server.url) as ws:
        answer = fetch(server, "/page")
        ws.send("hello")

        assert ws.recv(timeout=10) == "hello"
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers["Connection"] == "close"
    assert answer.headers["Content-Length"] == "5"
    assert answer.headers["Server"] == f"syncws/{syncws.__version__}"
    assert answer.headers["Date"].endswith(" GMT")


def test_many_of_both_at_once(site):
    """Pages and WebSockets do not get into each other's way."""
    server = site(mirror)

    def visit(number):
        with syncws.connect(server.url) as ws:
            ws.send(str(number))
            assert fetch(server, method="POST", body=b"%d" % number).body == b"%d" % number
            return ws.recv(timeout=10)

    visits = [Running(visit, number) for number in range(12)]

    assert [each.result() for each in visits] == [str(number) for number in range(12)]


def attempt(start="GET / HTTP/1.1", **changes):
    """Write a right opening handshake, changed."""
    fields = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **changes,
    }
    return head(*[f"{name}: {value}" for name, value in fields.items() if value], start=start)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (attempt(Connection="close"), 426),
        (attempt(**{"Sec-WebSocket-Version": "8"}), 426),
        (attempt(**{"Sec-WebSocket-Key": ""}), 400),
        (attempt(Origin="http://evil.example"), 403),
        (attempt("POST / HTTP/1.1"), 405),
        (attempt("GET / HTTP/1.0"), 505),
        (attempt(Upgrade="h2c"), 200),
        (attempt(Upgrade="web socket"), 200),
        (attempt(Upgrade=""), 200),
    ],
)
def test_who_asks_for_a_websocket_is_told_what_is_wrong(site, data, status):
    """The handshake's errors stay what they are; who names another protocol gets the page."""
    assert ask(site(), data).startswith(b"HTTP/1.1 %d " % status)


def test_without_an_app_plain_http_is_refused(serve):
    """As ever."""
    assert fetch(serve()).status == 426


def test_process_request_comes_first(site):
    """It sees every request and may answer it; the user that it lets in is known to the app."""
    app = Seen()
    check = syncws.basic_auth("realm", credentials=("mé", "pw"))
    server = site(app, process_request=check)

    refused = fetch(server)
    answer = fetch(server, headers={"Authorization": "Basic bcOpOnB3"})

    assert (refused.status, answer.status) == (401, 200)
    assert app.environ["REMOTE_USER"].encode("latin-1").decode() == "mé"


def test_process_request_may_refuse_a_body(site):
    """An upload that a hook refuses is not read by anybody."""
    server = site(mirror, process_request=lambda _: Response(413))

    assert ask(server, head("Content-Length: 99") + b"x").startswith(b"HTTP/1.1 413 ")


def test_requests_count_as_clients(site):
    """max_connections is for all of them."""
    slow = Slow()
    server = site(slow, max_connections=1)
    first = Running(fetch, server)
    assert slow.inside.wait(20)

    refused = fetch(server)
    slow.release.set()

    assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
    assert first.result().status == 200


def test_over_tls(site):
    """Over TLS it is https, bodies of any length included."""
    app = Seen()

    def both(environ, start_response):
        app.environs.append(environ)
        return mirror(environ, start_response)

    server = site(both, ssl=server_context())

    def wrap(sock):
        return client_context().wrap_socket(sock, server_hostname="localhost")

    with syncws.connect(server.url, ssl=client_context()) as ws:
        ws.send("hello")
        answer = fetch(server, method="POST", body=FIVE_MIB, wrap=wrap)

        assert ws.recv(timeout=10) == "hello"
    assert answer.body == FIVE_MIB
    assert (app.environ["wsgi.url_scheme"], app.environ["HTTPS"]) == ("https", "on")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets")
def test_over_a_unix_socket(site, tmp_path):
    """On a Unix socket the addresses are empty or stand for something, as WSGI wants strings."""
    app = Seen()
    server = site(app, unix_path=str(tmp_path / "socket"))

    assert fetch(server).body == b"seen"
    assert (app.environ["SERVER_NAME"], app.environ["SERVER_PORT"]) == ("localhost", "80")
    assert app.environ["REMOTE_ADDR"] == ""
    assert "REMOTE_PORT" not in app.environ


# What the app is told.


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"X-Forwarded-For": "192.0.2.1"}, ("192.0.2.1", "0")),
        ({"Forwarded": 'for="192.0.2.1:4711"'}, ("192.0.2.1", "4711")),
        ({}, ("127.0.0.1", None)),
    ],
)
def test_environ_behind_a_proxy(site, headers, address):
    """The address is the client's."""
    app = Seen()
    server = site(app, trusted_proxies=["127.0.0.1"])

    assert fetch(server, headers=headers).body == b"seen"
    host, port = address
    assert app.environ["REMOTE_ADDR"] == host
    assert port is None or app.environ["REMOTE_PORT"] == port


def test_environ(site):
    """PEP 3333, "environ Variables"."""
    app = Seen()
    server = site(app)
    host, port = server.server_address

    with dial(server) as sock:
        client = sock.getsockname()
        sock.sendall(
            head(
                "Content-Type: text/x",
                "Content-Length: 0",
                "X-Two: 1",
                "x-two: 2",
                "Cookie: a=1",
                "Cookie: b=2",
                "X-Latin: caf\xe9",
                start="PUT /caf%C3%A9%2Fx/../?a=%20&b HTTP/1.1",
            )
        )
        read_all(sock)

    assert {name: value for name, value in app.environ.items() if not name.startswith("wsgi.")} == {
        "REQUEST_METHOD": "PUT",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/caf\xc3\xa9/x/../",
        "QUERY_STRING": "a=%20&b",
        "REQUEST_URI": "/caf%C3%A9%2Fx/../?a=%20&b",
        "RAW_URI": "/caf%C3%A9%2Fx/../?a=%20&b",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_SOFTWARE": f"syncws/{syncws.__version__}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "0",
        "HTTP_HOST": "localhost",
        "HTTP_X_TWO": "1, 2",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_X_LATIN": "caf\xe9",
    }
    assert app.environ["wsgi.version"] == (1, 0)
    assert app.environ["wsgi.url_scheme"] == "http"
    assert app.environ["wsgi.multithread"] is True
    assert app.environ["wsgi.multiprocess"] is False
    assert app.environ["wsgi.run_once"] is False
    assert app.environ["wsgi.input_terminated"] is True


def test_environ_of_the_process_stays_there(site, monkeypatch):
    """What the server was started with is no part of a request, nor can a client set it."""
    monkeypatch.setenv("SYNCWS_SECRET", "secret")
    app = Seen()

    ask(site(app), head("Proxy: evil:1", start="GET / HTTP/1.1"))

    assert "SYNCWS_SECRET" not in app.environ
    assert "HTTP_PROXY" not in app.environ


def test_header_with_an_underscore_is_dropped(site):
    """It would look like the one with a dash, which a proxy in front may vouch for."""
    app = Seen()

    ask(site(app), head("X_Forwarded_For: evil", "Content_Length: 9", "X-Forwarded-For: good"))

    assert app.environ["HTTP_X_FORWARDED_FOR"] == "good"
    assert "CONTENT_LENGTH" not in app.environ
    assert "HTTP_CONTENT_LENGTH" not in app.environ


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("GET http://other.example:80/a?b HTTP/1.1", ("/a", "b", "other.example:80")),
        ("OPTIONS * HTTP/1.1", ("", "", "localhost")),
        ("GET //a/b HTTP/1.1", ("//a/b", "", "localhost")),
        ("GET / HTTP/1.0", ("/", "", "localhost")),
        ("BREW / HTTP/1.1", ("/", "", "localhost")),
    ],
)
def test_kinds_of_requests(site, start, expected):
    """Targets are taken apart as RFC 9112 says, and any method is the app's."""
    app = Seen()

    assert ask(site(app, valid=False), head(start=start)).startswith(b"HTTP/1.1 200 OK\r\n")

    names = ("PATH_INFO", "QUERY_STRING", "HTTP_HOST")
    assert tuple(app.environ[name] for name in names) == expected
    assert f"{app.environ['REQUEST_METHOD']} {app.environ['REQUEST_URI']} " in start
    assert app.environ["SERVER_PROTOCOL"] == start.split()[2]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (head(start="GET path HTTP/1.1"), 400),
        (head("Content-Length: 1", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
        (head("Content-Length: 1", "Content-Length: 2"), 400),
        (head("Content-Length: -1"), 400),
        (head("X: a\0b"), 400),
        (head(start="GET /" + "x" * 8192 + " HTTP/1.1"), 414),
        (head("X: " + "x" * 32768), 431),
        (head(*["X: y"] * 130), 431),
        (head("Transfer-Encoding: gzip"), 501),
        (head(start="CONNECT localhost:80 HTTP/1.1"), 501),
        (head(start="GET / HTTP/2.0"), 505),
    ],
)
def test_requests_that_no_app_sees(site, caplog, data, status):
    """The limits of the head hold for plain HTTP, too, and what is unclear is refused."""
    app = Seen()

    assert ask(site(app), data).startswith(b"HTTP/1.1 %d " % status)

    assert app.environs == []
    assert errors(caplog) == []


# Bodies.


@pytest.mark.parametrize("body", [b"", b"hello", FIVE_MIB], ids=["none", "short", "5 MiB"])
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_body_goes_in_and_out(site, body, chunked):
    """A body comes to the app as it was sent, with a length or in chunks."""
    pieces = iter([body[start : start + 50_001] for start in range(0, len(body), 50_001)])
    sent = pieces if chunked else body

    answer = fetch(site(mirror), "/", "POST", sent, encode_chunked=chunked)

    assert answer.body == body


def test_ways_to_read(site):
    """wsgi.input has what PEP 3333 asks for, and it ends where the body does."""

    def app(environ, start_response):
        body = environ["wsgi.input"]
        parts = [body.read(1), body.readline(), *body.readlines(4), *body, body.read(9)]
        start_response("200 OK", [TEXT])
        return [repr(parts).encode()]

    answer = fetch(site(app), method="POST", body=b"one\ntwo\nthree\nfour")

    assert answer.body == repr([b"o", b"ne\n", b"two\n", b"three\n", b"four", b""]).encode()


def test_body_streams_both_ways(site):
    """Nothing is read ahead or held back: each side waits for the other's last piece."""

    def app(environ, start_response):
        start_response("200 OK", [TEXT])
        return iter(lambda: environ["wsgi.input"].read(5), b"")

    with Peer(dial(site(app)), masked=True) as peer:
        peer.sock.sendall(head("Transfer-Encoding: chunked"))
        for word in (b"hello", b"world"):
            peer.sock.sendall(b"5\r\n" + word + b"\r\n")
            assert peer.read_until(b"5\r\n" + word + b"\r\n")
        peer.sock.sendall(b"0\r\n\r\n")
        assert peer.read_until(b"0\r\n\r\n") == b"0\r\n\r\n"
        assert peer.at_eof()


def test_continue(site):
    """Who waits for it gets 100 Continue when the app begins to read."""
    with Peer(dial(site(mirror)), masked=True) as peer:
        peer.sock.sendall(head("Expect: 100-continue", "Content-Length: 5"))
        assert peer.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sock.sendall(b"hello")
        assert peer.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
        assert peer.read(5) == b"hello"


def test_no_continue_for_a_body_that_nobody_reads(site):
    """An app that does not want the body answers at once."""
    data = head("Expect: 100-continue", "Content-Length: 5")

    assert ask(site(), data).startswith(b"HTTP/1.1 200 OK\r\n")


def test_body_that_nobody_reads(site):
    """The answer is not lost to a reset, although the body was not read."""
    assert fetch(site(), method="POST", body=b"x" * 1_000_000).body == b"hello"


def test_second_request_is_never_looked_at(site):
    """One exchange a connection: nothing is smuggled behind a body."""
    app = Seen()

    answer = ask(site(app), head("Content-Length: 2") + b"hi" + head(start="GET /next HTTP/1.1"))

    assert answer.count(b"HTTP/1.1") == 1
    assert app.environ["PATH_INFO"] == "/"


def test_input_of_a_request_that_is_over(site):
    """An app that keeps wsgi.input cannot get at anything behind the answer."""
    app = Seen()
    server = site(app, valid=False)

    with dial(server) as sock:
        sock.sendall(head("Content-Length: 5"))
        read_all(sock)
        sock.sendall(b"hello")
    served(server)

    with pytest.raises(ConnectionAbortedError, match="over"):
        app.environ["wsgi.input"].read()


# Answers.


def words():
    yield b"hello "
    yield b""
    yield b"world"


@pytest.mark.parametrize("start", ["GET / HTTP/1.1", "GET / HTTP/1.0"])
def test_answer_of_unknown_length(site, start):
    """It comes in chunks, or ends with the stream for HTTP/1.0, and both can be told whole."""
    answer = ask(site(answering(body=words)), head(start=start))

    top, _, body = answer.partition(b"\r\n\r\n")
    assert (b"Transfer-Encoding: chunked" in top) is start.endswith("1")
    chunked = b"6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"
    assert body == (chunked if start.endswith("1") else b"hello world")


@pytest.mark.parametrize(
    ("app", "length"),
    [
        (page, "5"),
        (answering(body=words, headers=[TEXT, ("Content-Length", "11")]), "11"),
        (answering(body=()), None),
        (answering(body=(b"",)), None),
        (answering(body=words), None),
        (answering(body=lambda: itertools.repeat(b"endless")), None),
    ],
)
def test_head_gets_no_body(site, app, length):
    """HEAD is the app's; its answer has the headers alone, and no length that GET would not."""
    answer = ask(site(app, valid=False), head(start="HEAD / HTTP/1.1"))

    top, _, body = answer.partition(b"\r\n\r\n")
    assert body == b""
    lengths = [line for line in top.split(b"\r\n") if line.startswith(b"Content-Length")]
    assert lengths == ([f"Content-Length: {length}".encode()] if length else [])


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("body", [[], [b"hello"], words], ids=["none", "some", "generator"])
def test_answers_that_have_no_body(site, status, body):
    """RFC 9110: what the app gives of one is not sent."""
    answer = ask(site(answering(status, [], body)), GET)

    assert answer.startswith(f"HTTP/1.1 {status}\r\n".encode())
    assert answer.partition(b"\r\n\r\n")[2] == b""
    assert b"Content-Length: 0" not in answer


@pytest.mark.parametrize("body", [[], [b""], [b"", b""]])
def test_empty_answer(site, body):
    """An empty body has a length."""
    assert fetch(site(answering(body=body))).headers["Content-Length"] == "0"


def test_head_waits_for_the_body(site):
    """PEP 3333: until the first bytes that are not empty, the app may still change its mind."""

    def app(environ, start_response):
        start_response("200 OK", [TEXT])
        yield b""
        try:
            raise LookupError
        except LookupError:
            start_response("404 Not Found", [TEXT], sys.exc_info())
        yield b"gone"

    answer = fetch(site(app))

    assert (answer.status, answer.body) == (404, b"gone")


def test_write(site):
    """The callable that start_response() returns sends at once, before the iterable."""

    def app(environ, start_response):
        write = start_response("200 OK", [TEXT])
        write(b"one ")
        write(b"two ")
        return [b"three"]

    assert fetch(site(app)).body == b"one two three"


def test_file_wrapper(site, tmp_path):
    """wsgi.file_wrapper sends a file, and closes it."""
    path = tmp_path / "large.bin"
    path.write_bytes(FIVE_MIB)
    opened = []

    def app(environ, start_response):
        opened.append(open(path, "rb"))  # noqa: SIM115, the server closes it
        start_response("200 OK", [TEXT])
        return environ["wsgi.file_wrapper"](opened[0], 65536)

    assert fetch(site(app)).body == FIVE_MIB
    assert eventually(lambda: opened[0].closed)


def test_headers_of_the_app(site):
    """They go out as they are; Date and Server may be the app's own."""
    headers = [TEXT, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Date", "x"), ("Server", "y")]

    answer = fetch(site(answering(headers=headers)))

    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert answer.headers.get_all("Date") == ["x"]
    assert answer.headers.get_all("Server") == ["y"]


def test_list_of_headers_stays_the_apps(site):
    """An app may use one list again and again; nothing is added to it."""
    headers = [TEXT]
    bodies = iter([[b"long answer"], [b"short"]])

    def app(environ, start_response):
        start_response("200 OK", headers)
        return next(bodies)

    server = site(app)

    assert [fetch(server).body, fetch(server).body] == [b"long answer", b"short"]
    assert headers == [TEXT]


class Closing:
    """A body that notes that it was closed, and may fail at a given piece."""

    def __init__(self, *pieces, fail=None):
        self.closed = 0
        self._pieces = iter(pieces)
        self._fail = fail

    def __iter__(self):
        return self

    def __next__(self):
        piece = next(self._pieces)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self):
        self.closed += 1
        if self._fail is not None:
            raise self._fail


@pytest.mark.parametrize(
    "pieces",
    [(), (b"hello",), (b"hello", ValueError("x")), (ValueError("x"),), ("text",)],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_body_is_closed(site, pieces, method):
    """close() is called once, however it ends."""
    body = Closing(*pieces)
    server = site(lambda environ, start_response: answered(body, start_response), valid=False)

    with contextlib.suppress(http.client.HTTPException, ConnectionError):
        fetch(server, method=method)
    served(server)

    assert body.closed == 1


def answered(body, start_response):
    """Begin an answer with a body."""
    start_response("200 OK", [TEXT])
    return body


def test_body_whose_close_fails(site, caplog):
    """The answer is whole by then; what close() raises is logged."""
    body = Closing(b"hello", fail=ZeroDivisionError("secret reason"))
    server = site(lambda environ, start_response: answered(body, start_response), valid=False)

    assert fetch(server).body == b"hello"

    served(server)
    assert [record.exc_info[0] for record in errors(caplog)] == [ZeroDivisionError]


# Apps that fail.


def fail(environ, start_response):
    raise ZeroDivisionError("secret reason")


def fail_after_start(environ, start_response):
    start_response("200 OK", [TEXT, ("X-Secret", "x")])
    raise ZeroDivisionError("secret reason")


def fail_at_first(environ, start_response):
    start_response("200 OK", [TEXT])
    raise ZeroDivisionError("secret reason")
    yield b""


def fail_as_a_client(environ, start_response):
    raise BrokenPipeError("secret reason: the database is gone")


def exit_(environ, start_response):
    sys.exit("secret reason")


def forgets_to_start(environ, start_response):
    return [b"hello"]


def returns_none(environ, start_response):
    start_response("200 OK", [TEXT])


def too_short_for_its_length(environ, start_response):
    start_response("200 OK", [TEXT, ("Content-Length", "5")])
    return []


@pytest.mark.parametrize(
    "app",
    [
        fail,
        fail_after_start,
        fail_at_first,
        fail_as_a_client,
        exit_,
        forgets_to_start,
        returns_none,
        too_short_for_its_length,
        answering(body=["text"]),
        answering(status="200"),
        answering(status="2000 OK"),
        answering(status="OK"),
        answering(status=200),
        answering(status="101 Switching Protocols"),
        answering(status="200 OK\r\nX-Evil: 1"),
        answering(headers=[TEXT, ("X-A", "a\r\nX-Evil: 1")]),
        answering(headers=[TEXT, ("X-A", "a\nb")]),
        answering(headers=[TEXT, ("X-A: 1\r\nX-Evil", "a")]),
        answering(headers=[TEXT, ("X-A", "\u2603")]),
        answering(headers=[TEXT, ("X-A", 1)]),
        answering(headers=[TEXT, ("Connection", "keep-alive")]),
        answering(headers=[TEXT, ("transfer-encoding", "chunked")]),
        answering(headers=[TEXT, ("Content-Length", "five")]),
        answering(headers=[TEXT, ("Content-Length", "5"), ("Content-Length", "6")]),
    ],
)
def test_app_that_fails(site, caplog, app):
    """Before anything was sent it is 500 without a word of why, and a traceback in our log."""
    server = site(app, valid=False)

    answer = fetch(server, "/path?secret")

    assert (answer.status, answer.body) == (500, b"500 Internal Server Error\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert not {"X-Secret", "X-Evil"} & set(answer.headers)
    served(server)
    (record,) = errors(caplog)
    assert (record.levelname, bool(record.exc_info)) == ("ERROR", True)
    assert record.getMessage() == "GET /path: the WSGI app failed"


@pytest.mark.parametrize("data", ["text", "", bytearray(b"bytes"), 5], ids=repr)
def test_app_that_writes_no_bytes(site, caplog, data):
    """It is no assertion that finds it: there are none under python -O."""
    server = site(answering(body=[data]), valid=False)

    assert fetch(server).status == 500
    served(server)
    (record,) = errors(caplog)
    assert record.exc_info[0] is TypeError


@pytest.mark.parametrize("start", ["GET / HTTP/1.1", "GET / HTTP/1.0"])
@pytest.mark.parametrize(
    "app",
    [
        answering(body=lambda: Closing(b"hello", ZeroDivisionError())),
        answering(headers=[TEXT, ("Content-Length", "6")]),
    ],
    ids=["raises", "too short"],
)
def test_app_that_fails_in_the_middle(site, caplog, app, start):
    """A client that has got some of the answer is cut: it must not take it for the whole."""
    server = site(app, valid=False)

    with dial(server) as sock:
        sock.sendall(head(start=start))
        with pytest.raises(ConnectionResetError):
            read_all(sock)

    served(server)
    (record,) = errors(caplog)
    assert record.exc_info


def test_app_that_fails_with_its_last_word(site, caplog):
    """When all that the Content-Length promised is there, the answer is whole."""
    for rest in (ZeroDivisionError(), b" and more"):
        body = Closing(b"hello", rest)
        server = site(answering(headers=[TEXT, ("Content-Length", "5")], body=body), valid=False)

        assert ask(server, GET).endswith(b"\r\n\r\nhello")
        served(server)

    assert [record.exc_info[0] for record in errors(caplog)] == [ZeroDivisionError, ValueError]


@pytest.mark.parametrize(
    ("method", "length"), [("GET", "0"), ("HEAD", "5"), ("HEAD", None)], ids=str
)
def test_app_that_fails_where_no_body_is_due(site, caplog, method, length):
    """The head is all there is of the answer, and not sent yet."""

    def app(environ, start_response):
        headers = [TEXT] if length is None else [TEXT, ("Content-Length", length)]
        start_response("200 OK", headers)(b"hello")
        raise ZeroDivisionError

    server = site(app, valid=False)

    answer = fetch(server, method=method)

    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, length, b"")
    served(server)
    assert len(errors(caplog)) == 1


def test_app_that_notices_too_late(site, caplog):
    """start_response() with exc_info raises that again when the head is gone."""
    caught = []

    def app(environ, start_response):
        start_response("200 OK", [TEXT])
        yield b"hello"
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            info = sys.exc_info()
        try:
            start_response("500 Oops", [TEXT], info)
        except ZeroDivisionError as exc:
            caught.append(exc)
        yield b" world"

    assert fetch(site(app)).body == b"hello world"
    assert len(caught) == 1


def test_app_that_starts_twice(site):
    """Without exc_info that is an error of the app."""

    def app(environ, start_response):
        start_response("200 OK", [TEXT])
        start_response("200 OK", [TEXT])
        return []

    assert fetch(site(app)).status == 500


def test_notes_of_the_app_are_logged(site, caplog):
    """What it writes to wsgi.errors is one line of ours at ERROR for each flush, and the rest."""

    def app(environ, start_response):
        notes = environ["wsgi.errors"]
        notes.writelines(["one\n", "two\n"])
        notes.flush()
        notes.flush()
        notes.write("three")
        return page(environ, start_response)

    server = site(app)
    fetch(server)
    served(server)

    expected = [("ERROR", "one\ntwo"), ("ERROR", "three")]
    assert [(r.levelname, r.getMessage()) for r in errors(caplog)] == expected


def test_endless_notes_are_logged_by_and_by(site, caplog):
    """An app that never flushes fills no memory."""

    def app(environ, start_response):
        for _ in range(100):
            environ["wsgi.errors"].write("x" * 1000)
        assert len(errors(caplog)) > 9
        return page(environ, start_response)

    assert fetch(site(app)).status == 200


def test_page_leaves_no_trace(site, caplog):
    """A normal request is no line at INFO, and its secrets are not told at DEBUG."""
    caplog.set_level(logging.DEBUG)
    server = site()

    fetch(server, headers={"Authorization": "Basic geheim"})
    served(server)

    lines = [r for r in caplog.records if r.levelno > logging.DEBUG]
    assert [r.getMessage()[:9] for r in lines] == ["listening"]
    assert "GET /" in caplog.text
    assert "> 200" in caplog.text
    assert "geheim" not in caplog.text


# Clients that leave, or do nothing.


def test_client_that_leaves_in_the_middle_of_its_body(site, caplog):
    """The app's read raises; nobody's log has a traceback."""
    raised = []

    def app(environ, start_response):
        try:
            return mirror(environ, start_response)
        except OSError as exc:
            raised.append(exc)
            raise

    server = site(app)
    with dial(server) as sock:
        sock.sendall(head("Content-Length: 10") + b"hello")
    with dial(server) as sock:
        sock.sendall(head("Content-Length: 10") + b"hello")
        eventually(lambda: len(raised) == 1 and server._sessions, "the app")
        reset(sock)
    eventually(lambda: len(raised) == 2, "both ends")
    served(server)

    assert [type(exc.__cause__ or exc).__name__[:10] for exc in raised][1] == "Connection"
    assert errors(caplog) == []


def test_client_that_ends_its_body_too_early_is_told(site, caplog):
    """Who ended only its own half of the stream can read why."""
    with dial(site(mirror)) as sock:
        sock.sendall(head("Content-Length: 10") + b"hello")
        sock.shutdown(socket.SHUT_WR)
        answer = read_all(sock)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert errors(caplog) == []


def test_body_that_is_no_http(site, caplog):
    """Chunks that are none are the client's fault: 400, and a line at INFO."""
    caplog.set_level(logging.INFO)

    answer = ask(site(mirror), head("Transfer-Encoding: chunked") + b"hello\r\n")

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert "request failed: bad body of an HTTP request: illegal chunk header" in caplog.text
    assert errors(caplog) == []


def test_app_may_answer_a_broken_body_itself(site):
    """It meets an OSError and may say what it wants, to the end."""

    def app(environ, start_response):
        try:
            environ["wsgi.input"].read(-1)
        except OSError:
            start_response("400 Bad Request", [TEXT])
            return [b"my own words"]

    answer = ask(site(app), head("Transfer-Encoding: chunked") + b"hello\r\n")

    assert b"\r\nmy own words\r\n" in answer


def test_app_that_fails_behind_a_broken_body(site, caplog):
    """What it makes of the client's fault is the client's; an error of its own is its own."""

    def app(environ, start_response):
        try:
            environ["wsgi.input"].read(-1)
        except OSError as exc:
            if environ["PATH_INFO"] == "/wrapped":
                raise LookupError("ClientDisconnected") from exc
        raise ZeroDivisionError

    server = site(app)

    wrapped, own = (
        ask(server, head("Transfer-Encoding: chunked", start=start) + b"hello\r\n")
        for start in ("POST /wrapped HTTP/1.1", "POST /own HTTP/1.1")
    )
    served(server)

    assert wrapped.startswith(b"HTTP/1.1 400 ")
    assert own.startswith(b"HTTP/1.1 500 ")
    assert [record.exc_info[0] for record in errors(caplog)] == [ZeroDivisionError]


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["close", "reset"])
def test_client_that_leaves_in_the_middle_of_the_answer(site, caplog, leave):
    """The body is closed, the thread is free, and no log has a traceback."""
    closed = threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [TEXT])
        try:
            while True:
                yield b"x" * 10_000
        finally:
            closed.set()

    server = site(app)
    with dial(server) as sock:
        sock.sendall(GET)
        sock.recv(100)
        leave(sock)
        assert closed.wait(20)
    served(server)

    assert errors(caplog) == []


def test_client_that_left_before_the_app_failed(site, caplog):
    """The app's error is told, that nobody got the 500 is not."""
    inside, left = threading.Event(), threading.Event()

    def app(environ, start_response):
        inside.set()
        left.wait(20)
        raise ZeroDivisionError

    server = site(app)
    with dial(server) as sock:
        sock.sendall(GET)
        inside.wait(20)
        reset(sock)
    left.set()
    served(server)

    assert [record.exc_info[0] for record in errors(caplog)] == [ZeroDivisionError]


def test_client_that_sends_nothing(site, caplog, monkeypatch):
    """Who is silent in the middle of its body gets 408."""
    monkeypatch.setattr("syncws.webstreams._IDLE", SHORT)

    with dial(site(mirror)) as sock:
        sock.sendall(head("Content-Length: 10") + b"hello")
        answer = read_all(sock)

    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert errors(caplog) == []


def test_client_that_sends_slowly(site, monkeypatch):
    """The limit is for each wait: a client that goes on has all the time it wants."""
    monkeypatch.setattr("syncws.webstreams._IDLE", 1.0)

    with dial(site(mirror)) as sock:
        sock.sendall(head("Content-Length: 15"))
        for byte in b"x" * 15:
            threading.Event().wait(SHORT / 2)
            sock.sendall(bytes([byte]))
        assert read_all(sock).endswith(b"x" * 15)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_client_that_takes_nothing(site, caplog, monkeypatch, secure):
    """Who does not read the answer is cut, and the body is closed."""
    monkeypatch.setattr("syncws.webstreams._IDLE", SHORT)
    body = Closing(*[FIVE_MIB] * 4)
    options = {"ssl": server_context()} if secure else {}
    server = site(answering(body=body), valid=False, **options)

    with dial(server) as sock, contextlib.ExitStack() as stack:
        if secure:
            sock = client_context().wrap_socket(sock, server_hostname="localhost")
            stack.enter_context(sock)
        sock.sendall(GET)
        eventually(lambda: body.closed, "the end of the body")
        served(server)

    assert body.closed == 1
    assert errors(caplog) == []


def test_client_that_takes_slowly(site, monkeypatch):
    """A byte that it confirms is a sign of life, although there is no room yet."""
    confirmed = itertools.count(1)
    monkeypatch.setattr("syncws.webstreams._IDLE", 0.01)
    monkeypatch.setattr("syncws.transport.Transport.confirmed", lambda self: next(confirmed))
    server = site(answering(body=[FIVE_MIB]), valid=False)

    with dial(server) as sock:
        sock.sendall(GET)
        eventually(lambda: next(confirmed) > 50, "some waits")
        assert read_all(sock).endswith(FIVE_MIB)


def test_client_that_stays_behind_the_answer(site, monkeypatch):
    """Who neither reads on nor leaves is cut after a while."""
    monkeypatch.setattr("syncws.session._LINGER", SHORT)
    server = site()

    with dial(server) as sock:
        sock.sendall(GET)
        assert b"hello" in read_all(sock)
        served(server)


# The end.


def test_shutdown_waits_for_a_running_request(site):
    """An answer that is being made goes out to its end."""
    slow = Slow()
    server = site(slow)
    answer = Running(fetch, server)
    assert slow.inside.wait(20)
    end = Running(server.shutdown, timeout=20)
    eventually(lambda: blocked_in(end.thread, "_wait_idle"), "shutdown() to wait")
    slow.release.set()

    assert answer.result().body == b"hello"
    assert end.result() is None


def test_shutdown_cuts_who_has_not_asked(site):
    """A browser's idle connection is not waited for."""
    server = site()

    with dial(server) as silent:
        eventually(lambda: server._sessions, "the client")
        assert Running(server.shutdown).result(5) is None
        assert silent.recv(1) == b""


@pytest.mark.parametrize(
    "app",
    [mirror, answering(body=lambda: itertools.repeat(b"x" * 10_000))],
    ids=["reading", "writing"],
)
def test_shutdown_ends_requests_in_time(site, caplog, app):
    """When the time is over, an app that waits for its client is woken by an error."""
    server = site(app)

    with dial(server) as sock:
        sock.sendall(head("Content-Length: 10"))
        eventually(
            lambda: any(
                blocked_in(t, "wait_for")
                for t in threading.enumerate()
                if t.name == "syncws-handler"
            ),
            "the app to wait",
        )
        server.shutdown(timeout=SHORT)

    assert server._sessions == {}
    assert errors(caplog) == []


def test_shutdown_from_the_app(site):
    """An app may shut its server down; its own request is not waited for."""

    def app(environ, start_response):
        server.shutdown(timeout=10)
        return page(environ, start_response)

    server = site(app)

    assert fetch(server).body == b"hello"
    with pytest.raises(ConnectionRefusedError):
        dial(server)
