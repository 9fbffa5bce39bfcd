"""One exchange of plain HTTP: bodies in any pieces, framed both ways, bounded, linear."""

from __future__ import annotations

import pytest

from support import wire
from syncws.exceptions import InvalidMessage
from syncws.sansio import Exchange, Headers, Request, RequestReader, names_websocket

POST = b"POST /form?a=b HTTP/1.1\r\nHost: example.com\r\n"
SIZED = POST + b"Content-Length: 11\r\n\r\nhello world"
CHUNKED = (
    POST
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"5;ext=1\r\nhello\r\n1\r\n \r\n005\r\nworld\r\n0\r\nX-Sum: 1\r\n\r\n"
)
NEXT = b"GET /smuggled HTTP/1.1\r\nHost: example.com\r\n\r\n"


def begin(data):
    """Read the head of a request, which is there at once; return its exchange."""
    reader = RequestReader()
    request = reader.receive(data)
    assert request is not None
    return Exchange(reader, request)


def begin_in_pieces(pieces):
    """Do the same with a head in pieces; return what is left of them, too."""
    reader = RequestReader()
    pieces = list(pieces)
    while True:
        request = reader.receive(pieces.pop(0))
        if request is not None:
            return Exchange(reader, request), pieces


def body_of(exchange, pieces=()):
    """Read a body to its end, as the owner of a socket would."""
    pieces = list(pieces)
    body = b""
    while True:
        data = exchange.read()
        if data == b"":
            return body
        if data is None:
            exchange.receive(pieces.pop(0) if pieces else b"")
        else:
            body += data


def refused(data, pieces=()):
    """Return the status for a request that is refused, when it begins or while it is read."""
    with pytest.raises(InvalidMessage) as caught:
        body_of(begin(data), pieces)
    return caught.value.status


# The request.


@pytest.mark.parametrize("request_", [SIZED, CHUNKED], ids=["sized", "chunked"])
def test_body_is_read_however_it_is_cut(request_):
    """It does not matter how TCP cuts it, nor what comes behind it."""
    for pieces in wire.cuts(request_ + NEXT):
        exchange, rest = begin_in_pieces(pieces)

        assert body_of(exchange, rest) == b"hello world"
        assert exchange.read() == b""


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n",  # the way that does without h11
        b"GET / HTTP/1.0\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nContent-Length: 0\r\n",
    ],
)
def test_request_without_a_body(head):
    """It has ended before anything was received; what comes behind it is not looked at."""
    exchange = begin(head + b"\r\n" + NEXT)

    assert exchange.read() == b""


def test_body_behind_an_upgrade_that_is_ignored():
    """A request that offers another protocol may have a body as well."""
    exchange = begin(SIZED.replace(b"Host:", b"Upgrade: h2c\r\nHost:"))

    assert body_of(exchange) == b"hello world"


@pytest.mark.parametrize(
    ("line", "host", "path", "query"),
    [
        ("GET /", None, "/", ""),
        ("GET /a%20b/?c=d?e&f=%20", None, "/a%20b/", "c=d?e&f=%20"),
        ("GET //evil.example/x", None, "//evil.example/x", ""),
        ("GET /http://evil.example/", None, "/http://evil.example/", ""),
        ("GET http://a.example:80/b?c", "a.example:80", "/b", "c"),
        ("GET HTTPS://a.example", "a.example", "/", ""),
        ("GET http://a.example?c", "a.example", "/", "c"),
        ("OPTIONS *", None, "", ""),
        ("OPTIONS /", None, "/", ""),
    ],
)
def test_target(line, host, path, query):
    """RFC 9112 section 3.2: a path, a URL, or "*"."""
    exchange = begin(line.encode() + b" HTTP/1.1\r\nHost: example.com\r\n\r\n")

    assert (exchange.host, exchange.path, exchange.query) == (host, path, query)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET * HTTP/1.1", 400),
        (b"OPTIONS *?x HTTP/1.1", 400),
        (b"GET path HTTP/1.1", 400),
        (b"GET ftp://a.example/ HTTP/1.1", 400),
        (b"GET http:///path HTTP/1.1", 400),
        (b"GET http://user@a.example/ HTTP/1.1", 400),
        (b"CONNECT a.example:443 HTTP/1.1", 501),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/0.9", 505),
    ],
)
def test_request_that_nobody_can_serve(line, status):
    """Each has its HTTP status."""
    assert refused(line + b"\r\nHost: example.com\r\n\r\n") == status


@pytest.mark.parametrize(
    "head",
    [
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_request_whose_end_is_ambiguous(head):
    """RFC 9112 section 6.1: that is how a second request is smuggled."""
    assert refused(head + b"\r\n0\r\n\r\n") == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x\r\n", 400),
        (b"-1\r\n", 400),
        (b"0x5\r\nhello\r\n", 400),
        (b"5\nhello\n0\n\n" + b" " * 4000, 400),
        (b"5\r\nhello!\r\n0\r\n\r\n", 400),
        (b"1" * 21 + b"\r\n", 400),
        (b"5;" + b"x" * 3000 + b"\r\nhello\r\n", 400),
        (b"0\r\n" + b"X-Trailer: x\r\n" * 300 + b"\r\n", 400),
        (b"0\r\nbad trailer\r\n\r\n", 400),
    ],
)
@pytest.mark.parametrize("cut", [10**6, 1000, 1])
def test_body_that_is_badly_chunked(body, status, cut):
    """It is refused, however it comes, and an answer can still be written."""
    exchange = begin(POST + b"Transfer-Encoding: chunked\r\n\r\n")

    with pytest.raises(InvalidMessage) as caught:
        body_of(exchange, wire.pieces_of(body, [cut]))

    assert caught.value.status == status
    assert exchange.begin(400, "Bad Request", Headers()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("request_", [SIZED, CHUNKED], ids=["sized", "chunked"])
def test_body_that_is_cut_off(request_):
    """The end of the stream is not the end of the body, and an answer can still be written."""
    exchange = begin(request_[:-8])

    with pytest.raises(InvalidMessage, match="in the middle"):
        body_of(exchange)

    assert exchange.begin(400, "Bad Request", Headers()).startswith(b"HTTP/1.1 400 ")


COSTLY_BODIES = {
    "spaces": b"5;" + b" " * 60000 + b"\n\r\n",
    "spaces in trailers": b"0\r\nX:" + b" " * 60000 + b"\x00\r\n\r\n",
    "endless line": b"5;" + b"x" * 60000,
    "short chunks": b"1\r\nx\r\n" * 10000 + b"0\r\n\r\n",
}


@pytest.mark.parametrize("body", COSTLY_BODIES.values(), ids=COSTLY_BODIES.keys())
@pytest.mark.parametrize("behind", [True, False], ids=["with the head", "behind the head"])
def test_chunks_are_read_in_linear_time(body, behind):
    """No 64 KiB make the server think for long, whether they come with the head or later."""
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    pieces = [head + body] if behind else [head, body]

    def read():
        try:
            return len(body_of(begin(pieces[0]), pieces[1:]))
        except InvalidMessage as exc:
            return exc.status

    assert wire.cpu_seconds(read) < 0.5
    assert read() in (400, 10000)


def test_body_of_any_length_needs_no_memory():
    """What was read is gone: nothing but one received piece is held."""
    exchange = begin(POST + b"Content-Length: 99999999999999999999\r\n\r\n")
    received = 0

    for _ in range(100):
        exchange.receive(b"x" * 65536)
        data = exchange.read()
        received += len(data)
        assert exchange.read() is None

    assert received == 100 * 65536


def test_continue_is_sent_once_to_who_waits():
    """RFC 9110 section 10.1.1: Expect: 100-continue."""
    expecting = SIZED.replace(b"Host:", b"Expect: 100-Continue\r\nHost:")
    head = expecting[:-11]
    waiting = begin(head)

    assert waiting.read() is None
    assert waiting.go_on() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert waiting.go_on() == b""
    waiting.receive(b"hello world")
    assert waiting.read() == b"hello world"


def test_continue_is_not_sent_in_vain():
    """Neither to who does not wait, nor to HTTP/1.0, nor behind the answer."""
    expecting = SIZED.replace(b"Host:", b"Expect: 100-continue\r\nHost:")
    eager = begin(expecting)
    answered = begin(expecting[:-11])
    old = begin(expecting[:-11].replace(b"HTTP/1.1", b"HTTP/1.0"))

    eager.read()
    answered.begin(200, "OK", Headers())

    assert [eager.go_on(), answered.go_on(), old.go_on()] == [b"", b"", b""]


# The answer.


def answer(head, status=200, headers=(), pieces=(b"hello ", b"world")):
    """Write an answer in pieces."""
    exchange = begin(head + b"\r\n")
    written = exchange.begin(status, "Reason", Headers(headers))
    if not exchange.bodiless(status):
        for piece in pieces:
            written += exchange.body(piece)
    return written + exchange.end()


GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n"
LENGTH = [("Content-Length", "11")]


@pytest.mark.parametrize(
    ("head", "status", "headers", "expected"),
    [
        (
            GET,
            200,
            LENGTH,
            b"HTTP/1.1 200 Reason|Content-Length: 11|Connection: close||hello world",
        ),
        (
            GET,
            404,
            [],
            b"HTTP/1.1 404 Reason|Connection: close|Transfer-Encoding: chunked|"
            b"|6|hello |5|world|0||",
        ),
        (
            b"GET / HTTP/1.0\r\n",
            200,
            [],
            b"HTTP/1.1 200 Reason|Connection: close||hello world",
        ),
        (HEAD, 200, LENGTH, b"HTTP/1.1 200 Reason|Content-Length: 11|Connection: close||"),
        (GET, 204, LENGTH, b"HTTP/1.1 204 Reason|Connection: close||"),
        (GET, 304, LENGTH, b"HTTP/1.1 304 Reason|Content-Length: 11|Connection: close||"),
        (
            GET + b"Upgrade: h2c\r\n",
            200,
            LENGTH,
            b"HTTP/1.1 200 Reason|Content-Length: 11|Connection: close||hello world",
        ),
    ],
)
def test_answer_is_framed(head, status, headers, expected):
    """With its length, in chunks, or by the end of the stream; and it always is the last."""
    assert answer(head, status, headers) == expected.replace(b"|", b"\r\n")


def test_answer_keeps_its_headers():
    """Names as they are written, all of them, in order."""
    written = answer(GET, headers=[("X-A", "1"), ("x-b", "caf\xe9"), ("X-A", "2"), ("X-C", "")])

    assert b"\r\nX-A: 1\r\nx-b: caf\xe9\r\nX-A: 2\r\nX-C: \r\n" in written


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (199, []),
        (101, []),
        (1000, []),
        (200, [("Content-Length", "x")]),
        (200, [("Content-Length", "1"), ("Content-Length", "2")]),
        (200, [("Transfer-Encoding", "gzip")]),
    ],
)
def test_answer_that_is_no_http(status, headers):
    """It is refused before a byte was written, and another answer can take its place."""
    exchange = begin(GET + b"\r\n")

    with pytest.raises(ValueError):
        exchange.begin(status, "", Headers(headers))

    assert exchange.begin(500, "", Headers()).startswith(b"HTTP/1.1 500 ")


def test_answer_that_is_too_short():
    """Its end cannot be written."""
    exchange = begin(GET + b"\r\n")
    exchange.begin(200, "OK", Headers(LENGTH))
    exchange.body(b"hello")

    with pytest.raises(ValueError, match="6 bytes shorter"):
        exchange.end()

    assert (exchange.room, exchange.complete) == (6, False)


# What is for whom.


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], False),
        (["websocket"], True),
        (["WebSocket"], True),
        (["h2c, websocket"], True),
        (["h2c", "websocket"], True),
        (["websocket/13"], True),
        (["h2c"], False),
        (["web socket"], False),
        (["websockets"], False),
        ([""], False),
    ],
)
def test_names_websocket(values, expected):
    """It is the Upgrade header that tells, rightly or not."""
    request = Request("/", [("Upgrade", value) for value in values])

    assert names_websocket(request.headers.get_all("Upgrade")) is expected
