"""The shortcut for plain heads says what h11 says, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import wire
from syncws.exceptions import InvalidMessage
from syncws.sansio.http11 import Request, RequestReader, ResponseReader
from syncws.sansio.plainhttp import read_request, read_switching, write_head

REQUEST = b"GET /a?b HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n%b\r\n"
SWITCHING = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n%b\r\n"


def by_h11_request(data):
    """Read a request the long way: no first piece of a byte is plain."""
    reader = RequestReader()
    try:
        request = None
        for piece in (data[:1], data[1:]):
            request = request or reader.receive(piece)
    except InvalidMessage:
        return "refused"
    if request is None:
        return "incomplete"
    return request.method, request.path, request.headers.items(), reader.trailing()


def by_h11_response(data):
    reader = ResponseReader()
    reader.request(Request("/", {"Host": "a", "Upgrade": "websocket"}))
    try:
        response = None
        for piece in (data[:1], data[1:]):
            response = response or reader.receive(piece)
    except InvalidMessage:
        return "refused"
    if response is None:
        return "incomplete"
    return response.status, response.headers.items(), reader.trailing()


def agrees(data):
    """See that the shortcut, where it says anything, says the same; return whether it does."""
    request, response = read_request(data), read_switching(data)
    if request is not None:
        path, fields, rest = request
        assert by_h11_request(data) == ("GET", path, fields, rest)
    if response is not None:
        fields, rest = response
        assert by_h11_response(data) == (101, fields, rest)
    return bool(request or response)


PLAIN = [
    b"",
    b"X-A: a\r\n",
    b"X-A:a\r\nX-A: \t b c \t\r\n",
    b"x-a:\r\nX-B: \r\n",
    b'Cookie: a=b; c="d"\r\n!#$%&\'*+-.^_`|~: :;,\r\n',
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
]
NOT_PLAIN = [
    b"X-A: caf\xe9\r\n",
    b"X-A: a\r\n b\r\n",
    b"X-A : a\r\n",
    b"X-A\r\n",
    b": a\r\n",
    b"X-A: a\n",
    b"X-A: a\rb\r\n",
    b"X-A: \x00\r\n",
    b"X-A: \x7f\r\n",
    b"Content-Length: 0\r\n",
    b"content-length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"X\xc3\xa9: a\r\n",
]


@pytest.mark.parametrize("template", [REQUEST, SWITCHING])
@pytest.mark.parametrize("lines", PLAIN)
@pytest.mark.parametrize("rest", [b"", b"\x82\x00", b"\r\n\r\n", b"\x00" * 100])
def test_plain_heads_are_read_as_h11_reads_them(template, lines, rest):
    assert agrees(template % lines + rest)


@pytest.mark.parametrize("template", [REQUEST, SWITCHING])
@pytest.mark.parametrize("lines", NOT_PLAIN)
def test_what_is_not_plain_is_left_to_h11(template, lines):
    assert not agrees(template % lines)


@pytest.mark.parametrize(
    "data",
    [
        REQUEST % b"Host: b\r\n",
        REQUEST.replace(b"Host", b"X-Host") % b"",
        REQUEST.replace(b"Upgrade", b"X-Upgrade") % b"",
        REQUEST.replace(b"GET", b"POST") % b"",
        REQUEST.replace(b"1.1", b"1.0") % b"",
        REQUEST.replace(b"/a", b"/ a") % b"",
        REQUEST.replace(b"/a", b"/\xe9") % b"",
        REQUEST.replace(b"\r\n", b"\n") % b"",
        b"\r\n" + REQUEST % b"",
        (REQUEST % b"")[:-1],
        SWITCHING.replace(b"101", b"100") % b"",
        SWITCHING.replace(b"101", b"1010") % b"",
        SWITCHING.replace(b"101", b"200") % b"",
        SWITCHING.replace(b"HTTP/1.1", b"HTTP/1.0") % b"",
        SWITCHING.replace(b" x", b" \x07") % b"",
        (SWITCHING % b"")[:-1],
    ],
)
def test_other_heads_are_left_to_h11(data):
    assert not agrees(data)


text = st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=12)
visible = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
name = st.sampled_from(["X-A", "host", "Connection", "Content-Length", "X A", "", "Expect"])
line = st.builds(
    lambda name, colon, value, end: (name + colon + value + end).encode("latin-1"),
    name | visible,
    st.sampled_from([":", ": ", " : ", ":\t", ""]),
    visible | text,
    st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n "]),
)


@given(st.sampled_from([REQUEST, SWITCHING]), st.lists(line, max_size=6), st.binary(max_size=20))
def test_random_heads_are_read_as_h11_reads_them_or_left_to_it(template, lines, rest):
    agrees(template % b"".join(lines) + rest)


@given(st.sampled_from([REQUEST, SWITCHING]), st.data())
def test_damaged_heads_are_read_as_h11_reads_them_or_left_to_it(template, data):
    head = bytearray(template % b"Connection: Upgrade\r\nX-A: a b\r\n")
    at = data.draw(st.integers(0, len(head) - 1))
    head[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    agrees(bytes(head))


@pytest.mark.parametrize("line", [b"X-A:" + b" \t" * 16000, b"X" * 32000, b"X-A: " + b"a " * 16000])
@pytest.mark.parametrize("end", [b"\r\n", b"\x00"])
def test_a_long_line_takes_linear_time(line, end):
    seconds = wire.cpu_seconds(lambda: read_request(REQUEST % (line + end)))

    assert seconds < 0.25


def test_a_head_is_written():
    fields = [("Host", "a"), ("X-A", "caf\xe9")]

    assert write_head("GET / HTTP/1.1", fields) == (
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: caf\xe9\r\n\r\n"
    )
