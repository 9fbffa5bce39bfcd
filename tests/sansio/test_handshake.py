"""The rules of the opening handshake, both roles, on messages and on bytes."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import wire
from syncws.exceptions import (
    InvalidHandshake,
    InvalidHeader,
    InvalidMessage,
    InvalidOrigin,
    InvalidUpgrade,
    NegotiationError,
)
from syncws.sansio.handshake import (
    SAME_ORIGIN,
    accept_key,
    build_request,
    build_response,
    check_origin,
    check_request,
    check_response,
    checked_subprotocols,
)
from syncws.sansio.headers import Headers
from syncws.sansio.http11 import Request, RequestReader, Response, ResponseReader

# The example of RFC 6455 section 1.3.
NONCE = b"the sample nonce"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

quick = settings(max_examples=80, deadline=None, derandomize=True, database=None)


def changed(fields, changes):
    """Return the fields with some replaced; a list of values repeats, None leaves a field out."""
    fields = {**fields, **changes}
    return Headers(
        (name, value)
        for name, values in fields.items()
        for value in (values if isinstance(values, list) else [values])
        if value is not None
    )


def request_with(changes=(), **attributes):
    """Return a good request of a client, with changes."""
    fields = {
        "Host": "example.com",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    return Request("/", changed(fields, dict(changes)), **attributes)


def response_with(changes=()):
    """Return a good response of a server, with changes."""
    fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": ACCEPT}
    return Response(101, changed(fields, dict(changes)))


def refusal(call, *args):
    """Return the exception that refuses a handshake, or None."""
    try:
        call(*args)
    except InvalidHandshake as exc:
        return exc
    return None


def verdict(pieces, origins=SAME_ORIGIN):
    """Read a request from bytes and judge it; return the HTTP status that a server answers."""
    reader = RequestReader()
    try:
        for piece in pieces:
            request = reader.receive(piece)
            if request is not None:
                check_request(request, origins)
                return build_response(request, ["chat"]).status
    except InvalidHandshake as exc:
        return exc.status
    return None


def lines(request_line="GET / HTTP/1.1", changes=()):
    """Return the bytes of a request."""
    fields = [f"{name}: {value}" for name, value in request_with(changes).headers.items()]
    return "\r\n".join([request_line, *fields, "", ""]).encode("latin-1")


# The key.


def test_accept_key_is_that_of_the_rfc():
    """The example of section 1.3 is answered as it is there."""
    assert accept_key(KEY) == ACCEPT


# The client's request.


def test_request_is_that_of_section_4_1():
    """The request has exactly the fields that the RFC wants."""
    request = build_request("example.com:8080", "/chat?a=b", NONCE)

    assert (request.method, request.path, request.http_version) == ("GET", "/chat?a=b", "1.1")
    assert request.headers.items() == [
        ("Host", "example.com:8080"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
    ]


def test_request_carries_origin_subprotocols_and_further_fields():
    """What the caller adds stands behind the fields of the handshake."""
    request = build_request(
        "a",
        "/",
        NONCE,
        origin="https://a",
        subprotocols=["chat", "superchat"],
        headers=Headers([("X-A", "1"), ("X-A", "2"), ("User-Agent", "x")]),
    )

    assert request.headers.items()[5:] == [
        ("Origin", "https://a"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("X-A", "1"),
        ("X-A", "2"),
        ("User-Agent", "x"),
    ]


def test_request_takes_a_host_of_the_callers():
    """A Host among the further fields replaces ours, so that there is one."""
    request = build_request("a", "/", NONCE, headers=Headers({"host": "b"}))

    assert request.headers.get_all("Host") == ["b"]


@pytest.mark.parametrize(
    "name",
    [
        "connection",
        "Content-Length",
        "Sec-WebSocket-Accept",
        "sec-websocket-extensions",
        "SEC-WEBSOCKET-KEY",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Version",
        "Transfer-Encoding",
        "Upgrade",
    ],
)
def test_request_refuses_fields_of_the_handshake(name):
    """A field that carries the handshake cannot be set by hand, in any case of letters."""
    with pytest.raises(ValueError, match=f"the {name} header is set by the opening handshake"):
        build_request("a", "/", NONCE, headers=Headers({name: "x"}))


@pytest.mark.parametrize("bad", ["a\r\nX-B: b", "a\nb", "a\rb", "a\x00b"])
@pytest.mark.parametrize(
    "options",
    [
        lambda bad: {"host": bad},
        lambda bad: {"origin": bad},
        lambda bad: {"subprotocols": [bad]},
        lambda bad: {"headers": Headers([("X-A", bad)])},
        lambda bad: {"headers": Headers([(bad, "x")])},
    ],
    ids=["host", "origin", "subprotocol", "value", "name"],
)
def test_request_cannot_be_split(options, bad):
    """CR, LF and NUL get into a request nowhere."""
    with pytest.raises(ValueError, match=r"control character|token"):
        build_request(**{"host": "a", "path": "/", "nonce": NONCE, **options(bad)})


def test_request_shows_no_credentials():
    """The repr of a request hides what lets somebody in."""
    secrets = Headers(
        {"Authorization": "geheim", "Cookie": "geheim", "Proxy-Authorization": "geheim"}
    )

    request = build_request("a", "/", NONCE, headers=secrets)

    assert "geheim" not in repr(request)


# Subprotocols.


@pytest.mark.parametrize("names", [[], ["chat"], ("a", "b"), ["v1.chat", "CHAT", "chat"]])
def test_subprotocols_that_are_different_tokens_are_good(names):
    """Names come back as they are."""
    assert checked_subprotocols(names) is names


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a\r\nb", "ä", "a/1", "\x00"])
def test_subprotocols_must_be_tokens(name):
    """A name that is no token is a ValueError."""
    with pytest.raises(ValueError, match="is not an HTTP token"):
        checked_subprotocols(["chat", name])


def test_subprotocols_must_differ():
    """The same name twice is a ValueError."""
    with pytest.raises(ValueError, match="has a name twice"):
        checked_subprotocols(["chat", "a", "chat"])


def test_subprotocols_are_no_str():
    """A str is not taken for a list of letters."""
    with pytest.raises(TypeError, match="not one str"):
        checked_subprotocols("chat")


# The server's response, as the client checks it.


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Upgrade": "WebSocket"},
        {"Connection": "UPGRADE"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": ["keep-alive", "upgrade"]},
        {"Sec-WebSocket-Accept": f"  {ACCEPT}\t"},
        {"Server": "x", "Set-Cookie": ["a=b", "c=d"]},
    ],
)
def test_response_that_accepts_is_good(changes):
    """A response that grants the upgrade and answers the key opens the connection."""
    assert check_response(request_with(), response_with(changes)) is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"Upgrade": None}, InvalidUpgrade),
        ({"Upgrade": ""}, InvalidUpgrade),
        ({"Upgrade": "h2c"}, InvalidUpgrade),
        ({"Upgrade": "websocket/13"}, InvalidUpgrade),
        ({"Upgrade": "h2c, websocket"}, InvalidUpgrade),
        ({"Upgrade": ["websocket", "h2c"]}, InvalidUpgrade),
        ({"Connection": None}, InvalidUpgrade),
        ({"Connection": "close"}, InvalidUpgrade),
        ({"Connection": "not upgrade"}, InvalidUpgrade),
        ({"Sec-WebSocket-Accept": None}, InvalidHeader),
        ({"Sec-WebSocket-Accept": [ACCEPT, ACCEPT]}, InvalidHeader),
        ({"Sec-WebSocket-Accept": f"{ACCEPT}, {ACCEPT}"}, InvalidHeader),
        ({"Sec-WebSocket-Accept": ACCEPT.lower()}, InvalidHeader),
        ({"Sec-WebSocket-Accept": KEY}, InvalidHeader),
        ({"Sec-WebSocket-Accept": ""}, InvalidHeader),
        ({"Sec-WebSocket-Accept": "\xff"}, InvalidHeader),
        ({"Sec-WebSocket-Extensions": "permessage-deflate"}, NegotiationError),
        ({"Sec-WebSocket-Extensions": ""}, NegotiationError),
        ({"Sec-WebSocket-Protocol": "chat"}, NegotiationError),
        ({"Sec-WebSocket-Protocol": ""}, NegotiationError),
    ],
)
def test_response_that_breaks_a_rule_is_refused(changes, error):
    """Whatever section 4.1 forbids in a response fails the handshake."""
    exc = refusal(check_response, request_with(), response_with(changes))

    assert type(exc) is error


@pytest.mark.parametrize("chosen", ["chat", "superchat"])
def test_response_may_choose_a_subprotocol_that_was_offered(chosen):
    """The subprotocol chosen from the offered ones is returned."""
    request = build_request("a", "/", NONCE, subprotocols=["chat", "superchat"])

    assert check_response(request, response_with({"Sec-WebSocket-Protocol": chosen})) == chosen


def test_response_need_not_choose_a_subprotocol():
    """A server that speaks none of the subprotocols says so by silence."""
    request = build_request("a", "/", NONCE, subprotocols=["chat"])

    assert check_response(request, response_with()) is None


@pytest.mark.parametrize(
    "chosen",
    [
        "other",
        "CHAT",
        "chat, superchat",
        ["chat", "superchat"],
        ["chat", "chat"],
        "",
        "chat;",
        "\xe9",
    ],
)
def test_response_may_choose_nothing_else(chosen):
    """A subprotocol that was not offered, or more than one, fails the handshake."""
    request = build_request("a", "/", NONCE, subprotocols=["chat", "superchat"])
    response = response_with({"Sec-WebSocket-Protocol": chosen})

    with pytest.raises(NegotiationError, match=r"the server chose subprotocol .* we offered \["):
        check_response(request, response)


# The client's request, as the server checks it.


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Upgrade": ["h2c", "websocket"]},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": ["keep-alive", "upgrade"]},
        {"Content-Length": "0"},
        {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
        {"Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode()},
        {"Sec-WebSocket-Key": "/+" * 11 + "=="},
        {"Host": "example.com:8080"},
        {"X-A": "caf\xe9"},
    ],
)
def test_request_for_a_websocket_is_good(changes):
    """A request as section 4.2.1 wants it passes."""
    check_request(request_with(changes), SAME_ORIGIN)


@pytest.mark.parametrize("version", ["0.9", "1.0", "1.2", "2.0"])
def test_request_of_another_http_version_is_505(version):
    """Only HTTP/1.1 can be upgraded."""
    exc = refusal(check_request, request_with(http_version=version), None)

    assert (type(exc), exc.status) == (InvalidMessage, 505)


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS", "CONNECT", "get", "PRI"])
def test_request_of_another_method_is_405(method):
    """Only GET can be upgraded."""
    exc = refusal(check_request, request_with(method=method), None)

    assert (type(exc), exc.status) == (InvalidMessage, 405)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Upgrade": None}, 426),
        ({"Upgrade": ""}, 426),
        ({"Upgrade": "x"}, 426),
        ({"Upgrade": "websocket/13"}, 426),
        ({"Upgrade": "web socket"}, 426),
        ({"Upgrade": "websocket\xa0"}, 426),
        ({"Connection": None}, 426),
        ({"Connection": "keep-alive"}, 426),
        ({"Connection": "Upgrade;"}, 426),
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Version": "14"}, 426),
        ({"Sec-WebSocket-Version": "013"}, 426),
        ({"Sec-WebSocket-Version": "13, 8"}, 426),
        ({"Sec-WebSocket-Version": "\xb9\xb3"}, 426),
        ({"Sec-WebSocket-Version": ""}, 426),
        ({"Sec-WebSocket-Version": None}, 400),
        ({"Sec-WebSocket-Version": ["13", "13"]}, 400),
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Sec-WebSocket-Key": [KEY, KEY]}, 400),
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Sec-WebSocket-Key": f"{KEY}, {KEY}"}, 400),
        ({"Sec-WebSocket-Key": base64.b64encode(bytes(15)).decode()}, 400),
        ({"Sec-WebSocket-Key": base64.b64encode(bytes(17)).decode()}, 400),
        ({"Sec-WebSocket-Key": KEY[:-1]}, 400),
        ({"Sec-WebSocket-Key": KEY + "AAAA"}, 400),
        ({"Sec-WebSocket-Key": KEY[:8] + " " + KEY[8:]}, 400),
        ({"Sec-WebSocket-Key": KEY.replace("Z", "-")}, 400),
        ({"Sec-WebSocket-Key": KEY.replace("Z", "\xe9")}, 400),
        ({"Content-Length": "1"}, 400),
        ({"Content-Length": ["0", "0"]}, 400),
        ({"Transfer-Encoding": "chunked"}, 400),
        ({"Transfer-Encoding": ""}, 400),
        ({"Origin": ["http://example.com", "http://example.com"]}, 400),
        ({"Origin": "http://other.com"}, 403),
    ],
)
def test_request_that_breaks_a_rule_is_refused_with_its_status(changes, status):
    """Whatever section 4.2.1 forbids in a request is refused with the HTTP status that says so."""
    exc = refusal(check_request, request_with(changes), SAME_ORIGIN)

    assert exc.status == status
    assert next(iter(changes)) in str(exc)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Upgrade": None}, "Upgrade header: missing; expected websocket"),
        ({"Upgrade": "h2c, TLS"}, "Upgrade header: h2c, tls; expected websocket"),
        ({"Connection": "a b"}, "Connection header: 'a b' is not a token"),
        ({"Sec-WebSocket-Key": None}, "Sec-WebSocket-Key header: missing"),
        ({"Sec-WebSocket-Key": ["a", "b"]}, "Sec-WebSocket-Key header: 2 of them; expected 1"),
    ],
)
def test_refusing_a_request_says_what_is_wrong(changes, words):
    """The error names the header, what it says and what it should."""
    assert str(refusal(check_request, request_with(changes), None)) == words


# Where a browser's request comes from.

SAME = [
    ("http://example.com", "example.com"),
    ("https://example.com", "example.com"),
    ("http://example.com:80", "example.com"),
    ("http://example.com", "example.com:80"),
    ("https://example.com:443", "example.com"),
    ("https://example.com", "example.com:443"),
    ("http://example.com:8080", "example.com:8080"),
    ("HTTP://Example.COM", "eXample.com"),
    ("http://127.0.0.1:8765", "127.0.0.1:8765"),
    ("http://[::1]:8765", "[::1]:8765"),
    ("https://[2001:DB8::1]", "[2001:db8::1]"),
    ("https://xn--bcher-kva.example", "xn--bcher-kva.example"),
]
OTHER = [
    ("http://other.com", "example.com"),
    ("http://example.com.evil.com", "example.com"),
    ("http://evil-example.com", "example.com"),
    ("http://www.example.com", "example.com"),
    ("http://example.com.", "example.com"),
    ("http://example.com@evil.com", "example.com"),
    ("http://evil.com#example.com", "example.com"),
    ("http://evil.com/example.com", "example.com"),
    ("http://evil.com?example.com", "example.com"),
    ("http://example.com:8080", "example.com"),
    ("http://example.com", "example.com:8080"),
    ("http://example.com:443", "example.com"),
    ("http://example.com", "example.com:443"),
    ("https://example.com:80", "example.com"),
    ("http://localhost", "127.0.0.1"),
    ("http://[::1]", "[::2]"),
    ("http://[::1]", "127.0.0.1"),
    ("null", "example.com"),
    ("", "example.com"),
    ("example.com", "example.com"),
    ("//example.com", "example.com"),
    ("http:", "example.com"),
    ("http://", "example.com"),
    ("http://", ""),
    ("http://:80", ":80"),
    ("ws://example.com", "example.com"),
    ("ftp://example.com", "example.com"),
    ("file://", "example.com"),
    ("chrome-extension://example.com", "example.com"),
    ("moz-extension://example.com", "example.com"),
    ("data:text/html,x", "example.com"),
    ("http://example.com:port", "example.com"),
    ("http://example.com:99999", "example.com:99999"),
    ("http://example.com:-1", "example.com:-1"),
    ("http://[::1", "[::1"),
    ("http://[", "["),
    ("http://\xe9xample.com", "example.com"),
    ("*", "*"),
    ("http://example.com http://other.com", "example.com"),
    ("http://other.com, http://example.com", "example.com"),
]


@pytest.mark.parametrize(("origin", "host"), SAME)
def test_same_origin_lets_the_hosts_own_pages_in(origin, host):
    """A page of the host it connects to is let in, a port being left out where it is usual."""
    check_origin(request_with({"Origin": origin, "Host": host}), SAME_ORIGIN)


@pytest.mark.parametrize(("origin", "host"), OTHER)
def test_same_origin_keeps_other_pages_out(origin, host):
    """Any other origin, and anything that is no origin, is 403."""
    exc = refusal(check_origin, request_with({"Origin": origin, "Host": host}), SAME_ORIGIN)

    assert (type(exc), exc.status) == (InvalidOrigin, 403)
    assert repr(origin) in str(exc)


def test_same_origin_without_a_host_keeps_pages_out():
    """A page cannot be of the same origin as an unknown host."""
    exc = refusal(
        check_origin, request_with({"Origin": "http://example.com", "Host": None}), SAME_ORIGIN
    )

    assert type(exc) is InvalidOrigin


@pytest.mark.parametrize("origins", [SAME_ORIGIN, None, [], ["http://a"]])
def test_request_without_an_origin_is_let_in(origins):
    """Programs that are no browsers may always connect."""
    check_origin(request_with(), origins)


@pytest.mark.parametrize("origin", ["http://other.com", "null", "", "\xff"])
def test_any_origin_is_let_in_without_a_rule(origin):
    """``None`` turns the check off."""
    check_origin(request_with({"Origin": origin}), None)


def test_two_origins_are_a_bad_request():
    """Two Origin fields are refused whatever they say."""
    exc = refusal(check_origin, request_with({"Origin": ["http://a", "http://a"]}), ["http://a"])

    assert (type(exc), exc.status) == (InvalidHeader, 400)


ORIGINS = [
    "https://a.example",
    "null",
    re.compile(r"https://[a-z]+\.b\.example"),
    re.compile(r"http://localhost(:\d+)?"),
]


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.example",
        "HTTPS://A.example",
        "null",
        "https://www.b.example",
        "http://localhost",
        "http://localhost:3000",
    ],
)
def test_listed_origins_are_let_in(origin):
    """An origin is let in that is in the list, or that a pattern in it matches."""
    check_origin(request_with({"Origin": origin}), ORIGINS)


@pytest.mark.parametrize(
    "origin",
    [
        "http://a.example",
        "https://a.example:8443",
        "https://a.example.evil.com",
        "http://example.com",
        "https://www.b.example.evil.com",
        "x https://www.b.example",
        "http://localhost:3000/",
        "",
    ],
)
def test_origins_that_are_not_listed_are_kept_out(origin):
    """A pattern must match the whole origin, and the host's own pages need to be listed too."""
    exc = refusal(check_origin, request_with({"Origin": origin}), ORIGINS)

    assert (type(exc), exc.status) == (InvalidOrigin, 403)


def test_empty_list_of_origins_keeps_every_page_out():
    """Without any origin in the list, no browser gets in."""
    assert refusal(check_origin, request_with({"Origin": "http://example.com"}), []).status == 403


def test_same_origin_names_itself():
    """The default shows as the name by which it is imported."""
    assert repr(SAME_ORIGIN) == "SAME_ORIGIN"


# The server's response.


def test_response_is_that_of_section_4_2_2():
    """The acceptance has exactly the fields that the RFC wants."""
    response = build_response(request_with())

    assert response.status == 101
    assert response.headers.items() == [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", ACCEPT),
    ]


def test_response_grants_no_extension():
    """An offer of extensions is left unanswered."""
    request = request_with({"Sec-WebSocket-Extensions": "permessage-deflate"})

    assert "Sec-WebSocket-Extensions" not in build_response(request).headers


@pytest.mark.parametrize(
    ("ours", "offered", "chosen"),
    [
        ([], None, None),
        ([], "chat", None),
        (["chat"], None, None),
        (["chat"], "", None),
        (["chat"], "other", None),
        (["chat"], "CHAT", None),
        (["chat"], "other, chat", "chat"),
        (["chat"], ["other", "chat"], "chat"),
        (["a", "b"], "b, a", "a"),
        (["a", "b"], " b ,, c", "b"),
    ],
)
def test_response_chooses_the_first_of_ours_that_is_offered(ours, offered, chosen):
    """The server's order decides, and names are compared exactly."""
    request = request_with({"Sec-WebSocket-Protocol": offered})

    assert build_response(request, ours).headers.get("Sec-WebSocket-Protocol") == chosen


@pytest.mark.parametrize(("answer", "chosen"), [("b", "b"), (None, None)])
def test_response_chooses_what_the_function_selects(answer, chosen):
    """A function gets the request and the offer, and decides, whatever our list says."""
    asked = []
    request = request_with({"Sec-WebSocket-Protocol": "a, b"})

    response = build_response(request, ["a"], lambda *args: asked.append(args) or answer)

    assert response.headers.get("Sec-WebSocket-Protocol") == chosen
    assert asked == [(request, ["a", "b"])]


@pytest.mark.parametrize("answer", ["c", "", "a, b", "A"])
def test_response_does_not_choose_what_was_not_offered(answer):
    """A function that selects something else is at fault, not the client."""
    request = request_with({"Sec-WebSocket-Protocol": "a, b"})

    with pytest.raises(ValueError, match="select_subprotocol returned"):
        build_response(request, [], lambda request, offered: answer)


@pytest.mark.parametrize("offered", ["a b", "chat/1", "\xe9", '"chat"', "chat, a;b", "a\tb"])
def test_offer_that_cannot_be_read_is_400(offered):
    """Subprotocols that are no tokens are a bad request."""
    exc = refusal(build_response, request_with({"Sec-WebSocket-Protocol": offered}), ["chat"])

    assert (type(exc), exc.status) == (InvalidHeader, 400)
    assert "Sec-WebSocket-Protocol" in str(exc)


@pytest.mark.parametrize("name", ["Upgrade", "Connection", "Sec-WebSocket-Protocol", "Origin"])
@pytest.mark.parametrize(
    "value",
    ["a" + " " * 2**16 + "x", "a," * 2**16 + "(", 'b;a="' + "\\c" * 2**16, "\t, " * 2**16 + "é"],
    ids=["spaces", "tokens", "unterminated string", "empty elements"],
)
def test_long_lists_are_refused_in_linear_time(name, value):
    """No field that holds a list, or should, makes the server think for long."""
    request = request_with({name: value})

    def judge():
        check_request(request, SAME_ORIGIN)
        build_response(request, ["chat"])

    seconds = wire.cpu_seconds(lambda: refusal(judge))

    assert refusal(judge) is not None
    assert seconds < 0.5


# On bytes: what a server answers.

REFUSED = {
    400: [
        lines(changes={"Host": None}),
        lines(changes={"Host": ["example.com", "example.com"]}),
        lines(changes={"Sec-WebSocket-Key": None}),
        lines(changes={"Sec-WebSocket-Key": [KEY, KEY]}),
        lines(changes={"Sec-WebSocket-Version": ["13", "13"]}),
        lines(changes={"Transfer-Encoding": "chunked"}),
        lines(changes={"Content-Length": "5"}) + b"12345",
        lines(changes={"Sec-WebSocket-Protocol": "caf\xe9"}),
        lines().replace(b"13\r\n", b"1\x003\r\n"),
        lines().replace(b"13\r\n", b"13\rX\r\n"),
        lines("GET / HTTP/11"),
        b"\x16\x03\x01\x02\x00",
        b"\x80\x2e\x01\x00\x02",
        b"hello\r\n\r\n",
    ],
    403: [
        lines(changes={"Origin": "https://evil.com"}),
        lines(changes={"Origin": "null"}),
        lines(changes={"Origin": "http://example.com:81"}),
    ],
    405: [
        lines("HEAD / HTTP/1.1"),
        lines("POST / HTTP/1.1"),
        lines("CONNECT example.com:80 HTTP/1.1"),
    ],
    414: [lines(f"GET /{'x' * 8192} HTTP/1.1"), b"x" * 8193],
    426: [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        lines(changes={"Upgrade": "h2c"}),
        lines(changes={"Connection": "close"}),
        lines(changes={"Sec-WebSocket-Version": "12"}),
    ],
    431: [
        lines(changes={"X-A": "x" * 32768}),
        lines(changes={"X-A": ["x"] * 124}),
        lines(changes={f"a{number}": "" for number in range(10000)}),
    ],
    505: [
        lines("GET / HTTP/1.0"),
        b"GET / HTTP/1.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
}


@pytest.mark.parametrize(
    ("data", "status"),
    [(data, status) for status, requests in REFUSED.items() for data in requests],
    ids=[
        f"{status}-{number}"
        for status, requests in REFUSED.items()
        for number in range(len(requests))
    ],
)
def test_bad_bytes_are_refused_with_their_status_however_they_are_cut(data, status):
    """Each kind of bad request has its HTTP status, whole or in small pieces."""
    assert verdict([data]) == status
    assert verdict(wire.pieces_of(data, [1] if len(data) < 1000 else [499])) == status


@quick
@given(
    damage=st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 5), st.binary(max_size=4)), max_size=4
    ),
    sizes=st.lists(st.integers(1, 50), max_size=4),
)
def test_damaged_requests_get_a_status_and_no_other_exception(damage, sizes):
    """Whatever happens to a request, it is accepted, refused or waited on, however it is cut."""
    data = bytearray(
        lines(changes={"Origin": "http://example.com", "Sec-WebSocket-Protocol": "chat"})
    )
    for start, size, junk in damage:
        data[start : start + size] = junk

    status = verdict([bytes(data)])

    assert status in (None, 101, 400, 403, 405, 426, 501, 505)
    assert verdict(wire.pieces_of(bytes(data), sizes)) == status


@quick
@given(
    damage=st.lists(
        st.tuples(st.integers(0, 160), st.integers(0, 5), st.binary(max_size=4)), max_size=4
    ),
    sizes=st.lists(st.integers(1, 50), max_size=4),
)
def test_damaged_responses_are_refused_by_no_other_exception(damage, sizes):
    """Whatever happens to a response, it is accepted, refused or waited on."""
    request = build_request("example.com", "/", NONCE)
    data = bytearray(
        b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + ACCEPT.encode()
        + b"\r\nX-A: a\r\n\r\nframes"
    )
    for start, size, junk in damage:
        data[start : start + size] = junk

    def shake_hands(pieces):
        reader = ResponseReader()
        reader.request(request)
        for piece in [*pieces, b""]:
            response = reader.receive(piece)
            if response is not None:
                return response.status == 101 and check_response(request, response)

    refused = refusal(shake_hands, [bytes(data)])

    assert type(refusal(shake_hands, wire.pieces_of(bytes(data), sizes))) is type(refused)


# Both roles together.


def test_client_and_server_shake_hands_byte_by_byte():
    """What either side writes, the other accepts, with frames behind both messages."""
    client, server = ResponseReader(), RequestReader()
    frames = wire.frame(wire.TEXT, b"Hello")

    sent = build_request(
        "example.com", "/", NONCE, origin="http://example.com", subprotocols=["chat"]
    )
    *head, last = wire.octets(client.request(sent))
    waiting = [server.receive(octet) for octet in head]
    request = server.receive(last + frames)
    check_request(request, SAME_ORIGIN)
    *head, last = wire.octets(server.respond(build_response(request, ["superchat", "chat"])))
    waiting += [client.receive(octet) for octet in head]
    response = client.receive(last + frames)

    assert set(waiting) == {None}
    assert request.headers == sent.headers
    assert check_response(sent, response) == "chat"
    assert server.trailing() == client.trailing() == frames
