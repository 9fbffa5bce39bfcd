"""The two HTTP messages of an opening handshake: read in any pieces, bounded, linear; written."""

from __future__ import annotations

import pytest

from support import wire
from syncws.exceptions import InvalidHandshake, InvalidMessage
from syncws.sansio.http11 import (
    MAX_BODY,
    MAX_HEAD,
    MAX_HEADERS,
    MAX_LINE,
    Request,
    RequestReader,
    Response,
    ResponseReader,
)

GET = b"GET /chat?room=1 HTTP/1.1\r\n"
HOST = b"Host: example.com\r\n"
REQUEST = (
    GET
    + HOST
    + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
# Frames are full of what a head must not have: NUL, CR, LF and other control characters.
FRAMES = wire.frame(wire.BINARY, b"\x00\r\n\r\n\x01 \x00", key=b"\x00\r\n\x00") + b"\x89\x00\x00"

TLS_CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(32)
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def request_of(*lines: bytes) -> bytes:
    return GET + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def read(reader, pieces):
    """
    Feed the reader until it has its message, as the owner of a socket would.

    Returns the message, or None, and all bytes behind it.
    """
    pieces = list(pieces)
    while pieces:
        message = reader.receive(pieces.pop(0))
        if message is not None:
            return message, reader.trailing() + b"".join(pieces)
    return None, b""


def client_reader() -> ResponseReader:
    reader = ResponseReader()
    reader.request(Request("/", {"Host": "example.com", "Upgrade": "websocket"}))
    return reader


def contents(message):
    """Return what a request or response says, as plain values."""
    if isinstance(message, Request):
        return (message.method, message.path, message.http_version, message.headers.items())
    return (message.status, message.headers.items(), message.body)


def status_of(reader, pieces):
    """Return the HTTP status for what the reader refuses, or None."""
    try:
        read(reader, pieces)
    except InvalidHandshake as exc:
        return exc.status
    return None


def response_to(request: bytes, response: Response) -> bytes:
    reader = RequestReader()
    reader.receive(request)
    return reader.respond(response)


def answered(*pieces: bytes) -> Response:
    """Return the response that the pieces are."""
    response, _ = read(client_reader(), pieces)
    assert response is not None
    return response


# Reading a request.


def test_request_is_read():
    """Method, target, version and fields are taken over as they were written."""
    request = RequestReader().receive(REQUEST)

    assert contents(request) == (
        "GET",
        "/chat?room=1",
        "1.1",
        [
            ("Host", "example.com"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ],
    )
    assert request.username is None


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_request_is_read_however_it_is_cut(newline):
    """Whole, cut once anywhere or byte by byte, with frames behind it: it is all the same."""
    head = REQUEST.replace(b"\r\n", newline)
    expected = contents(RequestReader().receive(REQUEST))

    outcomes = [read(RequestReader(), pieces) for pieces in wire.cuts(head + FRAMES)]

    assert [contents(request) for request, _ in outcomes] == [expected] * len(outcomes)
    assert {rest for _, rest in outcomes} == {FRAMES}


def test_request_is_complete_with_the_last_byte_of_its_head():
    """Nothing is returned before the blank line, and the request at once with it."""
    reader = RequestReader()

    assert reader.receive(REQUEST[:-1]) is None
    assert reader.receive(REQUEST[-1:]) is not None
    assert reader.trailing() == b""


def test_request_keeps_fields_that_repeat():
    """Repeated fields stay apart, in order and in their spelling."""
    request = RequestReader().receive(request_of(b"x-a: 1", b"X-A:2", b"X-B: \t3\t "))

    assert request.headers.items()[1:] == [("x-a", "1"), ("X-A", "2"), ("X-B", "3")]


def test_request_takes_values_that_are_not_ascii():
    """Bytes above ASCII in a value are read as Latin-1."""
    request = RequestReader().receive(request_of(b"X-A: caf\xc3\xa9 \xff"))

    assert request.headers["X-A"] == "caf\xc3\xa9 \xff"


@pytest.mark.parametrize(
    ("data", "method", "version"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", "GET", "1.0"),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD", "1.1"),
        (HTTP2_PREFACE, "PRI", "2.0"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", "POST", "1.1"),
    ],
)
def test_request_that_is_no_websocket_is_read_all_the_same(data, method, version):
    """Other methods and versions are read, for the rules of the handshake to refuse them."""
    request = RequestReader().receive(data)

    assert (request.method, request.http_version) == (method, version)


BAD_REQUESTS = {
    "nothing": ([b""], 400),
    "cut off in the line": ([b"GET / HT", b""], 400),
    "cut off in the head": ([GET + HOST, b""], 400),
    "TLS": ([TLS_CLIENT_HELLO], 400),
    "TLS, first byte": ([TLS_CLIENT_HELLO[:1]], 400),
    "DEL, first byte": ([b"\x7f"], 400),
    "blank line": ([b"\r\n"], 400),
    "bare blank line": ([b"\n"], 400),
    "space first": ([b" GET"], 400),
    "no version": ([b"GET /\r\n\r\n"], 400),
    "two spaces": ([b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n"], 400),
    "lower-case http": ([b"GET / http/1.1\r\n" + HOST + b"\r\n"], 400),
    "long version": ([b"GET / HTTP/1.10\r\n" + HOST + b"\r\n"], 400),
    "target not ASCII": ([b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n"], 400),
    "target with NUL": ([b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n"], 400),
    "method no token": ([b"G(T / HTTP/1.1\r\n" + HOST + b"\r\n"], 400),
    "no Host": ([GET + b"\r\n"], 400),
    "two Hosts": ([request_of(b"Host: example.com")], 400),
    "two Hosts, other case": ([request_of(b"hOST: other")], 400),
    "continuation of nothing": ([GET + b" " + HOST + b"\r\n"], 400),
    "no colon": ([request_of(b"X-A")], 400),
    "no name": ([request_of(b": a")], 400),
    "space before colon": ([request_of(b"X-A : a")], 400),
    "name not ASCII": ([request_of(b"X-\xe9: a")], 400),
    "name with NUL": ([request_of(b"X-\x00: a")], 400),
    "bare CR": ([request_of(b"X-A: a\rX-B: b")], 400),
    "CR before CRLF": ([request_of(b"X-A: a\r")], 400),
    "lengths in conflict": ([request_of(b"Content-Length: 1", b"Content-Length: 2")], 400),
    "length no number": ([request_of(b"Content-Length: -1")], 400),
    "length of 5000 digits": ([request_of(b"Content-Length: " + b"9" * 5000)], 400),
    "unknown coding": ([request_of(b"Transfer-Encoding: gzip")], 501),
}


@pytest.mark.parametrize(("pieces", "status"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_request_that_is_not_http_is_refused(pieces, status):
    """What is not HTTP/1.1 is refused with its status, whole or byte by byte."""
    octets = [octet for piece in pieces for octet in wire.octets(piece) or [b""]]

    assert status_of(RequestReader(), pieces) == status
    assert status_of(RequestReader(), octets) == status


@pytest.mark.parametrize(
    "number", [*range(9), 11, 12, *range(14, 32), 127], ids=lambda number: f"{number:02x}"
)
@pytest.mark.parametrize("line", [b"X-A: a%cb", b"X-A:%c", b"X%cA: a", b"X-A: a%c"])
def test_request_with_a_control_character_is_refused(line, number):
    """No control character but the tab passes anywhere in a head."""
    assert status_of(RequestReader(), [request_of(line % number)]) == 400


@pytest.mark.parametrize(
    "data",
    [
        request_of(b"Authorization : Basic geheim"),
        request_of(b"Cookie geheim"),
        request_of(b"Authorization: Basic geheim\x01"),
        GET + b"Authorization: geheim\r\n\r\n",
        b"GET /?token=geheim\r\n\r\n",
    ],
)
def test_refusing_a_request_quotes_nothing_of_it(data):
    """The error for bad HTTP says what is wrong, not what was sent: that may be secret or long."""
    with pytest.raises(InvalidMessage) as caught:
        RequestReader().receive(data)

    assert "geheim" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (request_of(b"X-A"), "bad HTTP request: illegal header line"),
        (b"hello\r\n\r\n", "bad HTTP request: illegal request line"),
        (GET + b"\r\n", "bad HTTP request: Missing mandatory Host: header"),
        (b"\x16", "control character in the head"),
    ],
)
def test_refusing_a_request_says_what_is_wrong(data, words):
    """The error for bad HTTP names the part that is bad."""
    with pytest.raises(InvalidMessage) as caught:
        RequestReader().receive(data)

    assert str(caught.value) == words


# Limits of a request.


def test_limits_are_those_that_are_documented():
    """8 KiB of request line, 32 KiB of head, 128 fields, 64 KiB of a refusal's body."""
    assert (MAX_LINE, MAX_HEAD, MAX_HEADERS, MAX_BODY) == (8192, 32768, 128, 65536)


def test_request_line_has_a_limit():
    """A request line of the limit passes; one byte more is 414."""
    fill = MAX_LINE - len(b"GET / HTTP/1.1\r")
    longest = b"GET /" + b"x" * fill + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    longer = longest.replace(b"/x", b"/xx")

    assert RequestReader().receive(longest) is not None
    assert status_of(RequestReader(), [longer]) == 414
    assert status_of(RequestReader(), wire.octets(longer)) == 414


def test_request_line_ends_with_its_newline_however_it_is_cut():
    """What stands behind the newline is not counted, even if a piece begins with it."""
    line = b"GET /" + b"x" * (MAX_LINE - len(b"GET / HTTP/1.1\r")) + b" HTTP/1.1\r"

    request, _ = read(RequestReader(), [line, b"\n" + HOST + b"\r\n"])

    assert len(request.path) == MAX_LINE - len(b"GET  HTTP/1.1\r")


def test_request_line_without_an_end_is_refused_at_its_limit():
    """A line that never ends is refused with the byte that is too many."""
    reader = RequestReader()
    reader.receive(b"G" * MAX_LINE)

    with pytest.raises(InvalidMessage, match="request line of 8193 bytes; limit 8192") as caught:
        reader.receive(b"G")

    assert caught.value.status == 414


@pytest.mark.parametrize("cut", [1, 1000, 65536])
def test_request_head_has_a_limit(cut):
    """A head of the limit passes and one byte more is 431, whatever pieces they come in."""
    fill = MAX_HEAD - len(request_of(b"X-A: "))
    largest = request_of(b"X-A: " + b"x" * fill)
    larger = request_of(b"X-A: x" + b"x" * fill)

    request, rest = read(RequestReader(), wire.pieces_of(largest + FRAMES, [cut]))
    status = status_of(RequestReader(), wire.pieces_of(larger, [cut]))

    assert len(request.headers["X-A"]) == fill
    assert rest == FRAMES
    assert status == 431


def test_request_head_without_an_end_is_refused_at_its_limit():
    """A head that never ends is refused with the byte that is too many."""
    reader = RequestReader()
    reader.receive(request_of()[:-2] + b"X-A: ")

    with pytest.raises(InvalidMessage, match=f"head of over {MAX_HEAD} bytes") as caught:
        read(reader, [b"x" * 1000] * 33)

    assert caught.value.status == 431


def test_request_fields_have_a_limit():
    """As many fields as are allowed pass; one more is 431."""
    most = request_of(*[b"X-A: 1"] * (MAX_HEADERS - 1))
    more = request_of(*[b"X-A: 1"] * MAX_HEADERS)

    assert len(RequestReader().receive(most).headers) == MAX_HEADERS
    assert status_of(RequestReader(), [more]) == 431


def test_ten_thousand_fields_are_refused():
    """A flood of fields is 431, however small they are."""
    assert status_of(RequestReader(), [request_of(*[b"a:"] * 10000)]) == 431


# Linear time.


@pytest.mark.parametrize("size", [1000, 30000])
def test_request_byte_by_byte_costs_the_same_for_every_byte(size):
    """A long head that comes in single bytes takes work in proportion to its length."""
    octets = wire.octets(request_of(*[b"X-A: " + b"x" * 293] * (size // 300)))

    work = wire.calls(lambda: read(RequestReader(), octets))

    assert work < 60 * len(octets) + 20000


@pytest.mark.parametrize("size", [1000, 30000])
def test_response_byte_by_byte_costs_the_same_for_every_byte(size):
    """A long head of a response that comes in single bytes is as cheap."""
    octets = wire.octets(SWITCHING[:-2] + (b"X-A: " + b"x" * 293 + b"\r\n") * (size // 300))

    work = wire.calls(lambda: read(client_reader(), octets))

    assert work < 60 * len(octets) + 20000


# What regular expressions with two ways to match a space would take minutes for.
SPACES = b" \t" * 16000
COSTLY = {
    "leading spaces": b"X-A:" + SPACES + b"\x00",
    "trailing spaces": b"X-A: a" + SPACES + b"\x00",
    "bare CR": b"X-A:" + SPACES + b"\rx",
    "form feed": b"X-A:" + SPACES + b"\x0c",
    "folded": b"X-A:" + b"\r\n " * 8000 + b"\r\x00",
    "no colon": b"X" * 32000 + b"\x00",
    "words": b"X-A: " + b"a " * 15000 + b"\x00",
}


@pytest.mark.parametrize("line", COSTLY.values(), ids=COSTLY.keys())
def test_request_that_is_wrong_is_refused_in_linear_time(line):
    """No 32 KiB make the server think for long."""
    seconds = wire.cpu_seconds(lambda: status_of(RequestReader(), [request_of(line)]))

    assert status_of(RequestReader(), [request_of(line)]) in (400, 431)
    assert seconds < 0.25


@pytest.mark.parametrize("line", COSTLY.values(), ids=COSTLY.keys())
def test_response_that_is_wrong_is_refused_in_linear_time(line):
    """No 32 KiB make the client think for long."""
    data = b"HTTP/1.1 101 x\r\n" + line + b"\r\n\r\n"

    seconds = wire.cpu_seconds(lambda: status_of(client_reader(), [data]))

    assert status_of(client_reader(), [data]) in (400, 431)
    assert seconds < 0.25


# Writing a response.


def test_response_101_is_written():
    """The acceptance is the status line and the given fields, nothing else."""
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("X-A", "caf\xe9")]

    data = response_to(REQUEST, Response(101, fields))

    assert data == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"X-A: caf\xe9\r\n\r\n"
    )


def test_trailing_frames_survive_the_response():
    """The frames behind a request can be taken before and after it is answered."""
    reader = RequestReader()
    reader.receive(REQUEST + FRAMES)

    before = reader.trailing()
    reader.respond(Response(101))

    assert (before, reader.trailing()) == (FRAMES, FRAMES)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 414, 426, 431, 500, 503, 505])
def test_refusal_says_its_status_and_closes(status):
    """A refusal has a line of text that names the status, its length, and ends the connection."""
    response = Response(status, {"X-A": "a"})

    head, _, body = response_to(REQUEST, response).partition(b"\r\n\r\n")

    assert body == f"{status} {response.reason}\n".encode()
    assert head.split(b"\r\n") == [
        f"HTTP/1.1 {status} {response.reason}".encode(),
        b"X-A: a",
        b"Content-Type: text/plain; charset=utf-8",
        b"Connection: close",
        b"Content-Length: " + str(len(body)).encode(),
    ]


@pytest.mark.parametrize(
    "pieces",
    [[], [b"GET / HT"], [TLS_CLIENT_HELLO], [b"G" * 9000], [request_of(b"X-A:\x00")], [b""]],
    ids=["silence", "half a line", "TLS", "414", "NUL", "end"],
)
def test_refusal_can_be_written_whatever_was_read(pieces):
    """Bad bytes, or none, can be answered too."""
    reader = RequestReader()
    status_of(reader, pieces)

    data = reader.respond(Response(400))

    assert data.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert data.endswith(b"\r\n\r\n400 Bad Request\n")


@pytest.mark.parametrize(
    "request_line",
    [b"GET / HTTP/1.0", b"PRI * HTTP/2.0", b"POST / HTTP/1.1", b"CONNECT a:1 HTTP/1.1"],
)
def test_refusal_of_other_methods_and_versions_is_http_1_1(request_line):
    """Whatever was spoken, the answer is HTTP/1.1 with a length, and closes."""
    data = response_to(request_line + b"\r\n" + HOST + b"\r\n", Response(405))

    assert data.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert b"\r\nConnection: close\r\n" in data
    assert b"\r\nContent-Length: 23\r\n" in data


def test_answer_to_head_has_no_body():
    """The answer to HEAD tells the length of the body and leaves it out."""
    data = response_to(b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n", Response(200, {}, b"12345"))

    assert data == b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"


def test_answer_204_has_neither_body_nor_length():
    """RFC 9110 section 8.6: a 204 has no Content-Length."""
    data = response_to(REQUEST, Response(204, {}, b"ignored"))

    assert data == b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


def test_answer_304_has_no_body():
    """A 304 ends with its head, and tells the length that a 200 would have."""
    data = response_to(REQUEST, Response(304, {"ETag": '"1"'}, b"x"))

    assert data.endswith(b"\r\nContent-Length: 1\r\n\r\n")


def test_answer_200_carries_its_body():
    """A health check can be answered with a body of text or bytes."""
    text = response_to(REQUEST, Response(200, {}, "grün"))
    binary = response_to(REQUEST, Response(200, {}, b"\x00"))

    assert text.endswith(b"Content-Length: 5\r\n\r\n" + "grün".encode())
    assert b"Content-Type: text/plain; charset=utf-8" in text
    assert binary.endswith(b"Content-Length: 1\r\n\r\n\x00")
    assert b"Content-Type" not in binary


@pytest.mark.parametrize(
    ("status", "headers"),
    [(99, {}), (100, {}), (199, {}), (1000, {}), (200, {"Content-Length": "7"})],
)
def test_answer_that_is_no_http_is_refused(status, headers):
    """A status or length that makes no final answer is a ValueError."""
    with pytest.raises(ValueError, match=f"<Response {status} .*> cannot be sent"):
        response_to(REQUEST, Response(status, headers, b"x"))


def test_answer_101_to_a_request_without_upgrade_is_refused():
    """Protocols are not switched for somebody who did not ask."""
    with pytest.raises(ValueError, match="cannot be sent"):
        response_to(request_of(), Response(101))


# Request and Response themselves.


def test_response_with_a_status_of_its_own_has_no_reason():
    """A status that HTTP does not know has no words."""
    assert Response(499).reason == ""
    assert Response(404).reason == "Not Found"


def test_response_keeps_the_type_it_is_given():
    """A Content-Type that is set stays."""
    response = Response(200, {"content-type": "application/json"}, "{}")

    assert response.headers.items() == [("content-type", "application/json")]
    assert response.body == b"{}"


def test_response_below_400_has_no_body_of_its_own():
    """Only errors get a line of text if no body is given."""
    assert (Response(302).body, Response(101).body) == (b"", b"")
    assert Response(400).body == b"400 Bad Request\n"


@pytest.mark.parametrize("field", [("X-A", "a\r\nX-B: b"), ("X-A\r\nX-B", "b"), ("X-A", "\x00")])
def test_headers_of_a_message_cannot_be_split(field):
    """Neither message takes a field that would write further ones."""
    with pytest.raises(ValueError, match=r"control character|token"):
        Response(200, [field])
    with pytest.raises(ValueError, match=r"control character|token"):
        Request("/", [field])


def test_repr_shows_no_credentials():
    """Requests and responses are shown without credentials."""
    request = Request("/", [("Host", "a"), ("Authorization", "geheim"), ("Cookie", "geheim")])
    response = Response(200, [("Set-Cookie", "geheim"), ("X-A", "a")], "geheim")

    assert repr(request) == (
        "<Request GET / Headers([('Host', 'a'), ('Authorization', '***'), ('Cookie', '***')])>"
    )
    assert repr(response) == (
        "<Response 200 Headers([('Set-Cookie', '***'), ('X-A', 'a'),"
        " ('Content-Type', 'text/plain; charset=utf-8')])>"
    )


# Writing a request.


def test_request_is_written():
    """A request is written as it is, without anything added."""
    request = Request("/chat?a=b", [("Host", "example.com"), ("X-A", "caf\xe9")])

    data = ResponseReader().request(request)

    assert data == b"GET /chat?a=b HTTP/1.1\r\nHost: example.com\r\nX-A: caf\xe9\r\n\r\n"


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX-A: b", "/a\nb", "/\x00", "/é", "", "/\ud800"])
def test_request_for_a_bad_path_is_refused(path):
    """Nothing that would end the request line, and nothing but ASCII, is sent."""
    with pytest.raises(ValueError, match="cannot be sent"):
        ResponseReader().request(Request(path, {"Host": "a"}))


def test_request_without_a_host_is_refused():
    """HTTP/1.1 wants a Host."""
    with pytest.raises(ValueError, match="cannot be sent"):
        ResponseReader().request(Request("/"))


# Reading a response.


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_response_101_is_read_however_it_is_cut(newline):
    """Whole, cut once anywhere or byte by byte, with frames behind it: it is all the same."""
    head = SWITCHING.replace(b"\r\n", newline)
    fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ]

    outcomes = [read(client_reader(), pieces) for pieces in wire.cuts(head + FRAMES)]

    assert [contents(response) for response, _ in outcomes] == [(101, fields, b"")] * len(outcomes)
    assert {rest for _, rest in outcomes} == {FRAMES}


def test_response_needs_no_reason():
    """Some servers leave out the reason phrase."""
    assert answered(b"HTTP/1.1 101\r\nUpgrade: websocket\r\n\r\n").status == 101


def test_interim_responses_are_skipped_however_they_are_cut():
    """100 and 103 before the answer do not count, wherever the stream is cut."""
    interim = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\nHTTP/1.1 102 x\r\n\r\n"
    )

    outcomes = [read(client_reader(), pieces) for pieces in wire.cuts(interim + SWITCHING + FRAMES)]

    assert {(response.status, rest) for response, rest in outcomes} == {(101, FRAMES)}
    assert {len(response.headers) for response, _ in outcomes} == {3}


@pytest.mark.parametrize("cut", [1, 25, 1000, 10**6])
def test_flood_of_interim_responses_is_refused(cut):
    """Interim responses count towards the limit of the head, whatever pieces they come in."""
    flood = b"HTTP/1.1 100 Continue\r\n\r\n" * 2000

    with pytest.raises(InvalidMessage, match=f"head of over {MAX_HEAD} bytes"):
        read(client_reader(), wire.pieces_of(flood, [cut]))


@pytest.mark.parametrize("cut", [1, 1000, 65536])
def test_response_head_has_a_limit(cut):
    """A head of the limit passes and one byte more does not, whatever pieces they come in."""
    fill = MAX_HEAD - len(SWITCHING) - len(b"X-A: \r\n")
    largest = SWITCHING[:-2] + b"X-A: " + b"x" * fill + b"\r\n\r\n"
    larger = SWITCHING[:-2] + b"X-A: x" + b"x" * fill + b"\r\n\r\n"

    response, rest = read(client_reader(), wire.pieces_of(largest + FRAMES, [cut]))

    assert len(response.headers["X-A"]) == fill
    assert rest == FRAMES
    with pytest.raises(InvalidMessage, match=f"head of over {MAX_HEAD} bytes"):
        read(client_reader(), wire.pieces_of(larger, [cut]))


def test_response_fields_have_a_limit():
    """As many fields as are allowed pass; one more does not."""
    head = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n"
    most = head + b"X-A: 1\r\n" * (MAX_HEADERS - 1) + b"\r\n"
    more = head + b"X-A: 1\r\n" * MAX_HEADERS + b"\r\n"

    assert len(answered(most).headers) == MAX_HEADERS
    with pytest.raises(InvalidMessage, match="129 header fields; limit 128"):
        answered(more)


BAD_RESPONSES = {
    "nothing": [b""],
    "cut off in the head": [SWITCHING[:-1], b""],
    "cut off after an interim response": [b"HTTP/1.1 100 x\r\n\r\n", b""],
    "TLS alert": [bytes.fromhex("15030300020228")],
    "SSH": [b"SSH-2.0-OpenSSH_9.6\r\n\r\n"],
    "HTTP/2": [bytes.fromhex("000012040000000000")],
    "a request": [REQUEST],
    "blank line": [b"\r\n"],
    "status no number": [b"HTTP/1.1 abc x\r\n\r\n"],
    "status of 2 digits": [b"HTTP/1.1 10 x\r\n\r\n"],
    "name with space": [b"HTTP/1.1 101 x\r\nUpgrade : websocket\r\n\r\n"],
    "value with NUL": [b"HTTP/1.1 101 x\r\nUpgrade: \x00\r\n\r\n"],
    "value with control character": [b"HTTP/1.1 101 x\r\nUpgrade: \x1b[2J\r\n\r\n"],
    "reason with control character": [b"HTTP/1.1 101 \x07\r\n\r\n"],
    "unknown coding": [b"HTTP/1.1 400 x\r\nTransfer-Encoding: gzip\r\n\r\n"],
}


@pytest.mark.parametrize("pieces", BAD_RESPONSES.values(), ids=BAD_RESPONSES.keys())
def test_response_that_is_not_http_is_refused(pieces):
    """What is not an HTTP/1.1 response, or is cut off before its end, is InvalidMessage."""
    octets = [octet for piece in pieces for octet in wire.octets(piece) or [b""]]

    with pytest.raises(InvalidMessage):
        read(client_reader(), pieces)
    with pytest.raises(InvalidMessage):
        read(client_reader(), octets)


@pytest.mark.parametrize("pieces", [[], [SWITCHING[:-1]], [b"HTTP/1.1 100 x\r\n\r\n"]])
def test_response_that_does_not_come_is_told_as_such(pieces):
    """A server that closes the connection before it has answered is not blamed for bad HTTP."""
    with pytest.raises(InvalidMessage, match="the server closed the connection before"):
        read(client_reader(), [*pieces, b""])


# The body of a refusal.

BODIES = {
    "length": (b"Content-Length: 4\r\n\r\nbody", b""),
    "no body": (b"Content-Length: 0\r\n\r\n", b""),
    "chunked": (
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nbod\r\n1;x=y\r\ny\r\n0\r\nX: y\r\n\r\n",
        b"",
    ),
    "until the end": (b"\r\nbody", b"end"),
}


@pytest.mark.parametrize(("data", "end"), BODIES.values(), ids=BODIES.keys())
def test_refusal_is_read_with_its_body_however_it_is_cut(data, end):
    """A refusal's status, fields and body arrive, however long the body says it is."""
    data = b"HTTP/1.1 404 Not Found\r\nX-A: a\r\n" + data
    ending = [b""] if end else []

    outcomes = [answered(*pieces, *ending) for pieces in wire.cuts(data)]

    assert {response.status for response in outcomes} == {404}
    assert {response.headers["X-A"] for response in outcomes} == {"a"}
    assert {response.body for response in outcomes} == {b"body" if data.find(b"bod") > 0 else b""}


@pytest.mark.parametrize("status", [204, 304])
def test_refusal_without_a_body_ends_with_its_head(status):
    """A status that has no body is complete at once."""
    response = answered(b"HTTP/1.1 %d x\r\n\r\n" % status)

    assert (response.status, response.body) == (status, b"")


@pytest.mark.parametrize(
    "head", [b"Content-Length: 10\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\n"]
)
def test_refusal_that_is_cut_off_keeps_what_came(head):
    """A body that ends too early is still a refusal, with what arrived of it."""
    response = answered(b"HTTP/1.1 403 x\r\n" + head + b"half", b"")

    assert (response.status, response.body) == (403, b"half")


@pytest.mark.parametrize("junk", [b"zz\r\n", b"5\r\nhalf!wrong", b"-1\r\n", b"0\r\nX\r\n\r\n"])
def test_refusal_with_a_damaged_body_is_still_one(junk):
    """A body that is no good HTTP does not hide the refusal."""
    response = answered(b"HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n", junk)

    assert response.status == 403
    assert response.body in (b"", b"half!")


LARGE = b"x" * (MAX_BODY + 10000)
LARGE_BODIES = {
    "length": b"Content-Length: 1000000000\r\n\r\n" + LARGE,
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + LARGE[:65536] + b"\r\n5\r\n",
    "until the end": b"\r\n" + LARGE,
}


@pytest.mark.parametrize("cut", [10, 1000, 10**6])
@pytest.mark.parametrize("body", LARGE_BODIES.values(), ids=LARGE_BODIES.keys())
def test_refusal_with_a_large_body_is_cut_at_the_limit(body, cut):
    """64 KiB of a body are kept, and nobody waits for the rest."""
    response = answered(*wire.pieces_of(b"HTTP/1.1 500 x\r\n" + body, [cut]))

    assert response.body == b"x" * MAX_BODY


def test_refusal_with_a_declared_length_takes_no_memory_for_it():
    """Memory does not move by a declared length."""
    data = b"HTTP/1.1 500 x\r\nContent-Length: 99999999999999\r\n\r\n"
    reader = client_reader()

    peak = wire.peak_memory(lambda: read(reader, [data, b"x"]))

    assert peak < 64 * 1024


COSTLY_BODIES = {
    "extension": b"5;" + SPACES * 2 + b"\nx\r\n",
    "endless extension": b"5;" + SPACES * 2,
    "size": b"5" + SPACES * 2,
    "trailer": b"0\r\nX:" + SPACES * 2 + b"\x00\r\n\r\n",
    "endless trailer": b"0\r\nX:" + b"x" * 60000,
    "trailers": b"0\r\n" + b"a:\r\n" * 15000 + b"\r\n",
}


@pytest.mark.parametrize("cut", [100, 10**6])
@pytest.mark.parametrize("body", COSTLY_BODIES.values(), ids=COSTLY_BODIES.keys())
def test_refusal_with_long_lines_between_chunks_ends_in_linear_time(body, cut):
    """What stands between the chunks of a body is bounded too, and does not hide the refusal."""
    data = b"HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    pieces = wire.pieces_of(data, [cut])

    seconds = wire.cpu_seconds(lambda: read(client_reader(), pieces))

    assert answered(*pieces).status == 403
    assert seconds < 0.25


def test_bytes_after_a_whole_refusal_change_nothing():
    """Whoever feeds more after the end gets no second response, and no endless loop."""
    reader = client_reader()
    response = reader.receive(b"HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 x\r\n\r\n")

    more = reader.receive(b"HTTP/1.1 200 x\r\n\r\n")

    assert response.status == 403
    assert more is None


def test_end_of_stream_after_a_whole_refusal_gives_it_again():
    """The end of the stream may come behind a whole refusal."""
    reader = client_reader()
    response = reader.receive(b"HTTP/1.1 403 x\r\nContent-Length: 4\r\n\r\nbody")

    again = reader.receive(b"")

    assert again is response
    assert again.body == b"body"
