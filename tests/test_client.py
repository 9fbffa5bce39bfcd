"""connect(): addresses, requests, redirects, refusals, time limits, TLS, secrets."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import itertools
import json
import logging
import socket
import ssl
import threading

import pytest

import syncws
import syncws.client
from support.peer import Peer
from support.threads import Running, blocked_in, eventually
from support.tls import CA, client_context, server_context
from syncws.exceptions import (
    ConnectionClosedError,
    InvalidHandshake,
    InvalidHeader,
    InvalidMessage,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
    TooManyRedirects,
)

SHORT = 0.15  # seconds: an open_timeout that is meant to lapse
END = b"\r\n\r\n"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
NO = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
SECRETS = ["hunter2", base64.b64encode(b"me:hunter2").decode()]


# A server of a few lines.


def field(head: bytes, name: bytes) -> bytes:
    """Return the value of a header field of a request."""
    lines = head.split(b"\r\n")
    return next(line for line in lines if line.lower().startswith(name + b":"))[
        len(name) + 1 :
    ].strip()


def accepting(head: bytes, more: bytes = b"", accept: bytes | None = None) -> bytes:
    """Return the response that accepts a request, with more header lines."""
    key = field(head, b"sec-websocket-key")
    accept = accept or base64.b64encode(hashlib.sha1(key + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n" + more + b"\r\n"
    )


def answer(listener, *answers):
    """Give each client an answer: bytes, or a function of the request. Return the requests."""
    heads = []
    for given in answers:
        sock, _ = listener.accept()
        with Peer(sock, masked=False) as peer:
            heads.append(peer.read_until(END))
            peer.sock.sendall(given(heads[-1]) if callable(given) else given)
    return heads


def address(listener, scheme="ws"):
    """Return the URL of a listening socket."""
    return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def answers(listener):
    """Return a function that lets connect() talk to ``answer``; it returns (error, requests)."""

    def talk(*given, path="/", **options):
        server = Running(answer, listener, *given)
        with pytest.raises(Exception) as caught:
            syncws.connect(address(listener) + path, **options)
        return caught.value, server.result()

    return talk


@pytest.fixture
def accepted_by(listener):
    """Return a function that connects to a server that accepts with these header lines."""
    with contextlib.ExitStack() as stack:

        def connect(more=b"", **options):
            server = Running(answer, listener, lambda head: accepting(head, more))
            ws = syncws.connect(address(listener), **options)
            stack.callback(ws.wait_closed)
            stack.callback(ws.abort)
            server.result()
            return ws

        yield connect


def request_of(url, **options):
    """Call connect(), refuse, and return the lines of its request. No network is needed for it."""
    ours, theirs = socket.socketpair()
    with Peer(theirs, masked=False) as peer:
        client = Running(syncws.connect, url, sock=ours, **options)
        head = peer.read_until(END)
        peer.sock.sendall(NO)
        assert isinstance(client.error(), InvalidStatus)
    return head.decode("latin-1").split("\r\n")[:-2]


def headers_of(url="ws://example.com/", **options):
    """Return the header fields of the request as pairs."""
    return [tuple(line.split(": ", 1)) for line in request_of(url, **options)[1:]]


def values_of(name, **options):
    """Return the values of one header field of the request."""
    return [value for key, value in headers_of(**options) if key.lower() == name]


def tell_headers(ws):
    """A handler that sends the request's headers to the client."""
    ws.send(json.dumps(ws.request.headers.items()))


def nobody_came(listener):
    """Tell whether nobody connected to the listener."""
    listener.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        listener.accept()[0].close()
        return False
    return True


# Addresses.


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_connects_to_addresses_and_names(serve, host, secure):
    """IPv4 and IPv6 literals and host names work for ws and for wss, where they are verified."""
    tls = {"ssl": server_context()} if secure else {}
    server = serve(host=host, **tls)
    name = f"[{host}]" if ":" in host else host
    url = f"{'wss' if secure else 'ws'}://{name}:{server.server_address[1]}/"

    with syncws.connect(url, ssl=client_context() if secure else None) as ws:
        ws.send("hello")
        received = ws.recv(timeout=10)

    assert received == "hello"
    assert ws.remote_address[:2] == server.server_address[:2]


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_connects_to_a_unix_socket(serve, tmp_path, secure):
    """With unix_path the URL makes the request only; TLS verifies its host name."""
    path = str(tmp_path / "socket")
    serve(tell_headers, unix_path=path, **({"ssl": server_context()} if secure else {}))
    url = f"{'wss' if secure else 'ws'}://localhost/room"

    with syncws.connect(url, unix_path=path, ssl=client_context() if secure else None) as ws:
        headers = dict(json.loads(ws.recv(timeout=10)))

    assert headers["Host"] == "localhost"
    assert ws.path == "/room"


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_uses_a_socket_that_is_connected(serve, secure):
    """With sock= nothing is dialled, and TLS runs over the socket."""
    server = serve(tell_headers, **({"ssl": server_context()} if secure else {}))
    sock = socket.create_connection(server.server_address)
    ours = sock.getsockname()
    url = f"{'wss' if secure else 'ws'}://localhost/"

    with syncws.connect(url, sock=sock, ssl=client_context() if secure else None) as ws:
        ws.recv(timeout=10)

    assert ws.local_address == ours
    assert sock.fileno() == -1


def test_binds_to_a_source_address(serve):
    """source_address is where the connection comes from."""
    server = serve(tell_headers)

    with syncws.connect(server.url, source_address=("127.0.0.2", 0)) as ws:
        ws.recv(timeout=10)

    assert ws.local_address[0] == "127.0.0.2"


def test_sets_socket_options(serve):
    """socket_options are set, and may come from an iterator."""
    option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    with syncws.connect(serve().url, socket_options=iter([option])) as ws:
        value = ws._engine._transport.sock.getsockopt(*option[:2])

    assert value == 1


def test_refused_connection_is_an_oserror():
    """Where nobody listens there is a ConnectionRefusedError that names host and port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(ConnectionRefusedError, match=rf"127\.0\.0\.1:{port}"):
        syncws.connect(f"ws://127.0.0.1:{port}/")


def test_missing_unix_socket_is_an_oserror(tmp_path):
    """A path where nobody listens is a FileNotFoundError."""
    with pytest.raises(FileNotFoundError):
        syncws.connect("ws://localhost/", unix_path=str(tmp_path / "none"))


def test_unknown_name_is_an_oserror(monkeypatch):
    """A name that nobody knows raises what getaddrinfo() raised, and the name."""
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    monkeypatch.setattr(socket, "getaddrinfo", functools.partial(fail_with, unknown))

    with pytest.raises(socket.gaierror, match=r"'nowhere.example': Name .*not known"):
        syncws.connect("ws://nowhere.example/")


def fail_with(exc, *args, **kwargs):
    """Raise an exception, whatever the arguments."""
    raise exc


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ssl": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}, "use wss://"),
        ({"sock": object(), "unix_path": "/tmp/x"}, "use one"),
    ],
)
def test_arguments_that_exclude_each_other(listener, options, words):
    """What does not fit together is refused before any network."""
    with pytest.raises(ValueError, match=words):
        syncws.connect(address(listener), **options)

    assert nobody_came(listener)


# URLs.


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("ws://example.com", "example.com"),
        ("ws://example.com:80/", "example.com"),
        ("ws://example.com:443/", "example.com:443"),
        ("ws://EXAMPLE.com:8080/", "example.com:8080"),
        ("ws://me:pw@example.com/", "example.com"),
        ("ws://[::1]/", "[::1]"),
        ("ws://[2001:db8::1]:99/", "[2001:db8::1]:99"),
        ("ws://bücher.example/", "xn--bcher-kva.example"),
        ("WS://example.com/", "example.com"),
    ],
)
def test_host_header(url, host):
    """The Host header has the name in ASCII, and the port unless it is the scheme's own."""
    assert dict(headers_of(url))["Host"] == host


@pytest.mark.parametrize(
    ("rest", "target"),
    [
        ("", "/"),
        ("/", "/"),
        ("?a=1", "/?a=1"),
        ("/chat?room=1&x=%20y", "/chat?room=1&x=%20y"),
        ("/ä?ö=☃", "/%C3%A4?%C3%B6=%E2%98%83"),
        ("//double//", "//double//"),
        ('/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
    ],
)
def test_request_target(rest, target):
    """The request has path and query as they are; what cannot stand there is escaped."""
    assert request_of("ws://example.com" + rest)[0] == f"GET {target} HTTP/1.1"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "scheme"),
        ("example.com", "scheme"),
        ("//example.com/", "scheme"),
        ("http://example.com/", "scheme"),
        ("ws:", "no host"),
        ("ws:///path", "no host"),
        ("ws://:80/", "no host"),
        ("ws://example.com/#top", "fragment"),
        ("ws://example.com:0/", "port"),
        ("ws://example.com:65536/", "port"),
        ("ws://example.com:-1/", "port"),
        ("ws://example.com:http/", "port"),
        ("ws://[::1/", "host"),
        ("ws://::1]/", "host"),
        ("ws://[x]/", "host"),
        ("ws://[v1.x]/", "host"),
        ("ws://[127.0.0.1]/", "host"),
        ("ws://example.com:80:80/", "port"),
        ("ws://a..b/", "host"),
        ("ws://" + "a" * 64 + ".example/", "host"),
        ("ws://ex\u2100mple/", "host"),
        ("ws://ä" + "a" * 64 + "/", "host"),
        ("ws://exa mple/", "space or a control character"),
        (" ws://example/", "space or a control character"),
    ],
)
def test_bad_urls(url, problem):
    """What is no WebSocket URL is refused with the reason; it is a ValueError, too."""
    with pytest.raises(InvalidURI, match=problem) as caught:
        syncws.connect(url)

    assert isinstance(caught.value, ValueError)


def test_url_of_another_type():
    """A URL is a str."""
    with pytest.raises(TypeError, match="bytes"):
        syncws.connect(b"ws://localhost/")


# The request.


def test_request_is_that_of_the_rfc():
    """RFC 6455 section 4.1: the fields that every request has, each once."""
    lines = request_of("ws://example.com/")
    headers = dict(headers_of())

    assert lines[0] == "GET / HTTP/1.1"
    assert lines[1] == "Host: example.com"
    assert headers["Upgrade"] == "websocket"
    assert headers["Connection"] == "Upgrade"
    assert headers["Sec-WebSocket-Version"] == "13"
    assert len(base64.b64decode(headers["Sec-WebSocket-Key"])) == 16
    assert set(headers) == {
        "Host",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Extensions",
        "User-Agent",
    }


def test_key_is_new_each_time():
    """RFC 6455 section 4.1: the key is "selected randomly for each connection"."""
    keys = [values_of("sec-websocket-key")[0] for _ in range(3)]

    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({}, [syncws.client.USER_AGENT]),
        ({"user_agent_header": "mine/1"}, ["mine/1"]),
        ({"user_agent_header": None}, []),
        ({"additional_headers": {"user-agent": "mine/2"}}, ["mine/2"]),
    ],
)
def test_user_agent(options, values):
    """The User-Agent names library and Python; it can be changed or left out."""
    assert values_of("user-agent", **options) == values


def test_user_agent_names_the_version():
    """The default User-Agent tells version of library and Python."""
    assert f"syncws/{syncws.__version__}" in syncws.client.USER_AGENT
    assert syncws.client.USER_AGENT.startswith("Python/3.")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-One": "1", "X-Two": "é"},
        [("X-One", "1"), ("X-Two", "é")],
        syncws.Headers([("X-One", "1"), ("X-Two", "é")]),
        iter([("X-One", "1"), ("X-Two", "é")]),
    ],
    ids=["mapping", "pairs", "Headers", "iterator"],
)
def test_additional_headers(headers):
    """Headers come as a mapping, as pairs or as Headers, and go out in order."""
    assert headers_of(additional_headers=headers)[-2:] == [("X-One", "1"), ("X-Two", "é")]


def test_additional_headers_may_repeat():
    """A field may be there twice."""
    twice = [("X-One", "1"), ("X-One", "2")]

    assert values_of("x-one", additional_headers=twice) == ["1", "2"]


def test_host_header_can_be_replaced():
    """A Host header among the additional ones replaces ours, and there is one only."""
    assert values_of("host", additional_headers={"host": "other.example"}) == ["other.example"]


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Content-Length",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Protocol",
        "sec-websocket-version",
        "Transfer-Encoding",
        "UPGRADE",
    ],
)
def test_reserved_headers_are_refused(listener, name):
    """Fields that carry the handshake are refused by name, before any network."""
    with pytest.raises(ValueError, match=name):
        syncws.connect(address(listener), additional_headers={name: "x"})

    assert nobody_came(listener)


def test_origin():
    """origin= becomes the Origin header."""
    assert values_of("origin", origin="https://example.com") == ["https://example.com"]


def test_subprotocols_are_offered_in_order():
    """subprotocols= becomes one header in order of preference."""
    offered = values_of("sec-websocket-protocol", subprotocols=["chat.v2", "chat.v1"])

    assert offered == ["chat.v2, chat.v1"]


@pytest.mark.parametrize(
    ("cookies", "values"),
    [
        ({"a": "1"}, ["a=1"]),
        ({"a": "1", "b": "x=y"}, ["a=1; b=x=y"]),
        ({"a": ""}, ["a="]),
        ({}, []),
        (None, []),
    ],
)
def test_cookies(cookies, values):
    """cookies= becomes one Cookie header, or none."""
    assert values_of("cookie", cookies=cookies) == values


def basic(text):
    """Return the Authorization value for a "user:password"."""
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("url", "options", "values"),
    [
        ("ws://example.com/", {}, []),
        ("ws://me:pw@example.com/", {}, [basic("me:pw")]),
        ("ws://me@example.com/", {}, [basic("me:")]),
        ("ws://m%40e:p%3Aw%2F@example.com/", {}, [basic("m@e:p:w/")]),
        ("ws://example.com/", {"auth": ("me", "p:w")}, [basic("me:p:w")]),
        ("ws://example.com/", {"auth": ("mé", "☃")}, [basic("mé:☃")]),
        ("ws://me:pw@example.com/", {"auth": ("other", "x")}, [basic("other:x")]),
        (
            "ws://me:pw@example.com/",
            {"auth": ("you", "x"), "additional_headers": {"authorization": "Bearer t"}},
            ["Bearer t"],
        ),
    ],
)
def test_basic_auth(url, options, values):
    """Credentials come from additional_headers, else auth=, else the URL (RFC 7617)."""
    assert values_of("authorization", url=url, **options) == values


# What must never be sent.

EVIL = ["\r\nX: y", "\n", "\r", "\0", "\x7f", "☃"]


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
@pytest.mark.parametrize(
    "options",
    [
        lambda evil: {"additional_headers": {"X-One": f"a{evil}b"}},
        lambda evil: {"additional_headers": {f"X-One{evil}": "a"}},
        lambda evil: {"additional_headers": {"Host": f"a{evil}b"}},
        lambda evil: {"additional_headers": {"Authorization": f"hunter2{evil}b"}},
        lambda evil: {"user_agent_header": f"a{evil}b"},
        lambda evil: {"origin": f"http://a{evil}b"},
        lambda evil: {"cookies": {f"a{evil}b": "1"}},
        lambda evil: {"cookies": {"a": f"hunter2{evil}b"}},
        lambda evil: {"subprotocols": [f"chat{evil}"]},
    ],
    ids=["value", "name", "host", "auth", "agent", "origin", "cookie", "cookie value", "protocol"],
)
def test_evil_characters_in_headers(listener, evil, options):
    """What could end a header line, or is no Latin-1, is a ValueError before any network."""
    with pytest.raises(ValueError) as caught:
        syncws.connect(address(listener), **options(evil))

    assert nobody_came(listener)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("evil", ["\r\n", "\n", "\r", "\0", "\t", " ", "\x7f"], ids=ascii)
@pytest.mark.parametrize("url", ["/a{}b", "/?a{}b", "/{}", "{}"])
def test_evil_characters_in_urls(listener, evil, url):
    """Control characters and spaces in a URL are a ValueError before any network."""
    with pytest.raises(InvalidURI, match="control character"):
        syncws.connect(address(listener) + url.format(evil))

    assert nobody_came(listener)


@pytest.mark.parametrize(
    "options",
    [
        {"subprotocols": [""]},
        {"subprotocols": ["a b"]},
        {"subprotocols": ["a,b"]},
        {"subprotocols": ["a", "a"]},
        {"subprotocols": ["é"]},
        {"cookies": {"a b": "1"}},
        {"cookies": {"a=b": "1"}},
        {"cookies": {"a": "1; b=2"}},
        {"auth": ("a:b", "c")},
        {"additional_headers": {"": "a"}},
        {"additional_headers": {"a b": "a"}},
        {"additional_headers": {"a:": "a"}},
        {"open_timeout": 0},
        {"open_timeout": -1},
        {"ping_interval": 0},
        {"max_size": -1},
        {"max_queue": 0},
        {"fragment_size": 0},
    ],
    ids=str,
)
def test_bad_values(listener, options):
    """Arguments of a wrong value are a ValueError before any network."""
    with pytest.raises(ValueError):
        syncws.connect(address(listener), **options)

    assert nobody_came(listener)


@pytest.mark.parametrize(
    "options",
    [
        {"subprotocols": "chat"},
        {"open_timeout": "10"},
        {"open_timeout": True},
        {"ping_timeout": float("nan")},
        {"max_size": 1.5},
        {"max_sise": 1},
        {"compression": "gzip"},
        {"ssl": True},
        {"proxy_ssl": True},
        {"additional_headers": ["ab"]},
        {"additional_headers": [b"ab"]},
        {"additional_headers": [1]},
        {"additional_headers": [("a", "b", "c")]},
    ],
    ids=str,
)
def test_bad_types(listener, options):
    """Arguments of a wrong type or name are a TypeError before any network."""
    with pytest.raises(TypeError):
        syncws.connect(address(listener), **options)

    assert nobody_came(listener)


def test_an_unknown_argument_is_told_with_those_that_there_are():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'timeout'.*open_timeout, "):
        syncws.connect("ws://localhost/", timeout=3)


# The response.


def test_accepted(accepted_by):
    """A response that answers the key opens the connection, and can be looked at."""
    ws = accepted_by(b"X-Served-By: me\r\n")

    assert ws.response.status == 101
    assert ws.response.headers["x-served-by"] == "me"
    assert ws.request.headers["Upgrade"] == "websocket"
    assert ws.role is syncws.Role.CLIENT
    assert ws.subprotocol is None


@pytest.mark.parametrize("offered", [["chat"], ["x", "chat"]])
def test_subprotocol_is_chosen(serve, offered):
    """The server's choice among ours is the connection's subprotocol."""
    server = serve(subprotocols=["chat", "superchat"])

    with syncws.connect(server.url, subprotocols=offered) as ws:
        assert ws.subprotocol == "chat"


def test_no_subprotocol_is_chosen(serve):
    """A server that chooses none is fine: the connection has none."""
    with syncws.connect(serve().url, subprotocols=["chat"]) as ws:
        assert ws.subprotocol is None


CHAT = b"Sec-WebSocket-Protocol: chat\r\n"


@pytest.mark.parametrize(
    ("options", "change", "error", "words"),
    [
        ({}, lambda r: r.replace(b"Upgrade: websocket\r\n", b""), InvalidUpgrade, "missing"),
        ({}, lambda r: r.replace(b"websocket", b"h2c"), InvalidUpgrade, "h2c"),
        ({}, lambda r: r.replace(b"websocket", b"websocket, h2c"), InvalidUpgrade, "alone"),
        ({}, lambda r: r.replace(b"Connection: Upgrade\r\n", b""), InvalidUpgrade, "missing"),
        ({}, lambda r: r.replace(b": Upgrade", b": close"), InvalidUpgrade, "close"),
        ({}, lambda r: r.replace(b"Sec-WebSocket-Accept", b"X"), InvalidHeader, "missing"),
        (
            {},
            lambda r: r[:-2] + b"Sec-WebSocket-Accept: x\r\n\r\n",
            InvalidHeader,
            "2 of them",
        ),
        (
            {"compression": None},
            lambda r: r[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            NegotiationError,
            "offered none",
        ),
        (
            {"compression": syncws.Deflate(server_max_window_bits=12)},
            lambda r: r[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            NegotiationError,
            "server_max_window_bits is 15; we offered 12",
        ),
        (
            {},
            lambda r: r[:-2] + b"Sec-WebSocket-Extensions: x-other\r\n\r\n",
            NegotiationError,
            "the server chose extensions x-other",
        ),
        ({}, lambda r: r[:-2] + CHAT + b"\r\n", NegotiationError, "chat"),
        (
            {"subprotocols": ["Chat", "b"]},
            lambda r: r[:-2] + CHAT + b"\r\n",
            NegotiationError,
            "chat",
        ),
        (
            {"subprotocols": ["chat", "b"]},
            lambda r: r[:-2] + CHAT + CHAT + b"\r\n",
            NegotiationError,
            "chat",
        ),
        (
            {"subprotocols": ["chat", "b"]},
            lambda r: r[:-2] + CHAT[:-2] + b", b\r\n\r\n",
            NegotiationError,
            "chat, b",
        ),
    ],
)
def test_wrong_acceptance(answers, options, change, error, words):
    """RFC 6455 section 4.1: a 101 that breaks a rule fails the connection, with the reason."""
    exc, _ = answers(lambda head: change(accepting(head)), **options)

    assert isinstance(exc, error)
    assert words in str(exc)


def test_wrong_accept_key(answers):
    """A server that does not know the key's answer does not speak WebSocket."""
    exc, _ = answers(lambda head: accepting(head, accept=b"x" * 28))

    assert isinstance(exc, InvalidHeader)
    assert exc.name == "Sec-WebSocket-Accept"


def test_case_does_not_matter(listener):
    """Names of fields, and the values of Upgrade and Connection, compare without case."""
    change = {b"Upgrade: websocket": b"UPGRADE: WebSocket", b": Upgrade": b": keep-alive, upGRADE"}
    server = Running(
        answer,
        listener,
        lambda head: functools.reduce(lambda r, c: r.replace(*c), change.items(), accepting(head)),
    )

    ws = syncws.connect(address(listener))

    ws.abort()
    assert ws.wait_closed(10)
    server.result()


def test_interim_responses_are_skipped(listener):
    """RFC 9110 section 15.2: any 1xx but 101 is passed over."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    server = Running(answer, listener, lambda head: early + accepting(head))

    ws = syncws.connect(address(listener))

    ws.abort()
    assert ws.wait_closed(10)
    server.result()


def test_frames_behind_the_response(accepted_by, listener):
    """Frames in one segment with the 101 are the connection's first messages."""
    frames = b"\x81\x05hello" + b"\x82\x02\x00\xff" + b"\x88\x02\x03\xe9"
    server = Running(answer, listener, lambda head: accepting(head) + frames)

    with syncws.connect(address(listener)) as ws:
        received = list(ws)

    server.result()
    assert received == ["hello", b"\x00\xff"]
    assert ws.close_code == 1001


def test_response_byte_by_byte(listener):
    """It does not matter how TCP cuts the response, and where the first frame begins."""

    def trickle(sock):
        with Peer(sock, masked=False) as peer:
            peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            response = accepting(peer.read_until(END)) + b"\x81\x02hi\x88\x00"
            for index in range(len(response)):
                peer.sock.sendall(response[index : index + 1])
            peer.at_eof()

    server = Running(lambda: trickle(listener.accept()[0]))

    with syncws.connect(address(listener)) as ws:
        received = list(ws)

    server.result()
    assert received == ["hi"]


# Refusals.


@pytest.mark.parametrize(
    ("rest", "body"),
    [
        (b"Content-Length: 4\r\n\r\nbody", b"body"),
        (b"Content-Length: 0\r\n\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\nT: x\r\n\r\n", b"body"),
        (b"\r\nuntil the end", b"until the end"),
        (b"\r\n", b""),
        (b"Content-Length: 9\r\n\r\ncut off", b"cut off"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nbo\r\nzz\r\n", b"bo"),
        (b"Content-Length: 70000\r\n\r\n" + b"x" * 70000, b"x" * 65536),
        (b"\r\n" + b"x" * 70000, b"x" * 65536),
    ],
    ids=[
        "length",
        "empty",
        "chunked",
        "until EOF",
        "nothing",
        "cut off",
        "damaged",
        "too long",
        "too long until EOF",
    ],
)
def test_refusal_carries_the_answer(answers, rest, body):
    """A plain HTTP answer becomes InvalidStatus with status, headers and body, up to 64 KiB."""
    exc, _ = answers(b"HTTP/1.1 503 Busy\r\nX-Why: load\r\nX-Why: more\r\n" + rest)

    assert isinstance(exc, InvalidStatus)
    assert exc.status == 503
    assert exc.headers[:2] == [("X-Why", "load"), ("X-Why", "more")]
    assert exc.body == body


@pytest.mark.parametrize("status", [200, 204, 304, 401, 404, 426, 500, 599])
def test_refusal_with_any_status(answers, status):
    """Whatever is no 101 and no redirect is a refusal."""
    exc, _ = answers(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)

    assert isinstance(exc, InvalidStatus)
    assert exc.status == status


def test_refusal_closes_at_once(listener):
    """The connection of a refused client is closed although the server keeps it open."""
    client = Running(syncws.connect, address(listener))
    with Peer(listener.accept()[0], masked=False) as peer:
        peer.read_until(END)
        peer.sock.sendall(NO)

        assert isinstance(client.error(), InvalidStatus)
        assert peer.at_eof()


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", 400),
        (b"\x15\x03\x01\x00\x02\x02\x50", 400),
        (b"\x00" * 100, 400),
        (b"HTTP/1.1 99 Low\r\n\r\n", 400),
        (b"HTTP/1.1 101 X\r\nbad header\r\n\r\n", 400),
        (b"HTTP/1.1 101 X\r\nA: b\0c\r\n\r\n", 400),
        (b"HTTP/1.1 101 X\r\nA: " + b"x" * 33000 + b"\r\n\r\n", 431),
        (b"HTTP/1.1 101 X\r\n" + b"A: b\r\n" * 129 + b"\r\n", 431),
        (b"HTTP/1.1 103 X\r\nA: b\r\n\r\n" * 2000, 431),
        (b"x" * 40000, 431),
    ],
    ids=[
        "ssh",
        "tls",
        "zeros",
        "status",
        "no colon",
        "NUL",
        "long header",
        "many headers",
        "endless 1xx",
        "endless line",
    ],
)
def test_garbage_in_the_handshake(listener, garbage, status):
    """What is not HTTP, or over a limit, is InvalidMessage, and its text stays short."""
    client = Running(syncws.connect, address(listener))
    with Peer(listener.accept()[0], masked=False) as peer:
        peer.read_until(END)
        with contextlib.suppress(ConnectionError):  # it may leave before it has read all
            peer.sock.sendall(garbage)
            peer.sock.shutdown(socket.SHUT_WR)
        exc = client.error()

    assert isinstance(exc, InvalidMessage)
    assert exc.status == status
    assert len(str(exc)) < 200


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 101 Swi", b"HTTP/1.1 101 X\r\nUpgrade: webs"])
def test_end_of_stream_in_the_handshake(answers, begun):
    """A server that leaves before it has answered is InvalidMessage, however far it came."""
    exc, _ = answers(begun)

    assert isinstance(exc, InvalidMessage)


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 101 Swi"])
def test_reset_in_the_handshake(listener, begun):
    """A TCP reset in the handshake is InvalidMessage, caused by the network error."""
    client = Running(syncws.connect, address(listener))
    peer = Peer(listener.accept()[0], masked=False)
    peer.read_until(END)
    peer.sock.sendall(begun)
    peer.reset()

    exc = client.error()

    assert isinstance(exc, InvalidMessage)
    assert isinstance(exc.__cause__, ConnectionError)


# Redirects.


def redirect(location, status=302):
    """Return a response that leads elsewhere."""
    return f"HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode(
        "latin-1"
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_followed(answers, status):
    """All five kinds of redirect are followed."""
    exc, heads = answers(redirect("/there", status), NO)

    assert isinstance(exc, InvalidStatus)
    assert heads[1].startswith(b"GET /there HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/there?a=1", "/there?a=1"),
        ("there", "/a/there"),
        ("../there", "/there"),
        ("?a=1", "/a/b?a=1"),
        ("/there#top", "/there"),
        ("//127.0.0.1:{port}/x", "/x"),
        ("ws://127.0.0.1:{port}/x", "/x"),
        ("http://127.0.0.1:{port}/x", "/x"),
        ("HTTP://127.0.0.1:{port}", "/"),
    ],
)
def test_redirect_is_relative_to_the_url(answers, listener, location, target):
    """A Location may be relative, and absolute with the scheme of HTTP or WebSocket."""
    location = location.format(port=listener.getsockname()[1])

    _, heads = answers(redirect(location), NO, path="/a/b?c=2")

    assert heads[1].split(b" ")[1].decode() == target


def test_redirect_has_a_new_key(answers):
    """Every request has a key of its own."""
    _, heads = answers(redirect("/there"), NO)

    assert field(heads[0], b"sec-websocket-key") != field(heads[1], b"sec-websocket-key")


ALL_CREDENTIALS = {
    "auth": ("me", "hunter2"),
    "cookies": {"session": "hunter2"},
    "additional_headers": {
        "Proxy-Authorization": "hunter2",
        "Host": "virtual.example",
        "X-Mine": "stays",
    },
}


def test_redirect_keeps_credentials_at_the_same_origin(answers):
    """The same scheme, host and port gets all that was given."""
    _, heads = answers(redirect("/there"), NO, **ALL_CREDENTIALS)

    assert field(heads[1], b"authorization") == field(heads[0], b"authorization")
    assert field(heads[1], b"cookie") == b"session=hunter2"
    assert field(heads[1], b"host") == b"virtual.example"


def test_redirect_drops_credentials_for_another_origin(listener, serve):
    """Another port is another origin: it gets no Authorization, no Cookie, and its own Host."""
    server = serve(tell_headers)
    first = Running(answer, listener, redirect(server.url))

    with syncws.connect(address(listener), **ALL_CREDENTIALS) as ws:
        headers = dict(json.loads(ws.recv(timeout=10)))

    first.result()
    assert {"Authorization", "Cookie", "Proxy-Authorization"} & set(headers) == set()
    assert headers["Host"] == server.url[len("ws://") :]
    assert headers["X-Mine"] == "stays"


def test_redirect_does_not_take_credentials_along(listener):
    """Credentials in a Location are the server's, not ours: they are not sent."""
    port = listener.getsockname()[1]
    target = redirect(f"ws://evil:hunter2@127.0.0.1:{port}/there")
    first = Running(answer, listener, target, NO)

    with pytest.raises(InvalidStatus):
        syncws.connect(address(listener))

    assert b"authorization" not in first.result()[1].lower()


def test_redirect_from_ws_to_wss(listener, serve, monkeypatch):
    """A redirect to TLS is followed, and verified."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CA))
    server = serve(tell_headers, ssl=server_context())
    first = Running(answer, listener, redirect(server.url))

    with syncws.connect(address(listener)) as ws:
        ws.recv(timeout=10)

    first.result()
    assert ws.remote_address == server.server_address


def test_redirect_from_wss_to_ws_is_refused(serve, listener):
    """TLS is never given up, whoever says so."""
    location = address(listener) + "/plain"
    server = serve(
        ssl=server_context(),
        process_request=lambda request: syncws.Response(302, {"Location": location}),
    )

    with pytest.raises(TooManyRedirects, match="wss to ws"):
        syncws.connect(server.url, ssl=client_context())

    assert nobody_came(listener)


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_redirects_are_limited(answers, limit):
    """max_redirects are followed, and no more."""
    exc, heads = answers(*[redirect("/again")] * (limit + 1), max_redirects=limit)

    assert isinstance(exc, TooManyRedirects)
    assert str(limit) in str(exc)
    assert len(heads) == limit + 1


def test_redirect_without_location_is_a_refusal(answers):
    """There is nowhere to go."""
    exc, _ = answers(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")

    assert isinstance(exc, InvalidStatus)
    assert exc.status == 302


@pytest.mark.parametrize(
    "location",
    [
        "http://[",
        "http://[::1/",
        "ftp://example.com/",
        "mailto:me@example.com",
        "ws://example.com:port/",
        "ws://example.com:99999/",
        "ws://a..b/",
        "/a b",
        "ws://me:hunter2@example.com:port/",
        "ws://me:hunter2@a..b/",
    ],
)
def test_redirect_to_a_bad_location(answers, location):
    """A Location that is no URL fails the handshake: it is the server's fault, not the caller's."""
    exc, _ = answers(redirect(location))

    assert isinstance(exc, InvalidHandshake)
    assert not isinstance(exc, ValueError)
    assert "hunter2" not in str(exc)


def test_redirect_keeps_the_deadline(listener):
    """open_timeout is for all redirects together."""
    server = Running(answer, listener, redirect("/there"))

    with pytest.raises(TimeoutError):
        syncws.connect(address(listener), open_timeout=SHORT)

    server.result()


def test_redirect_with_sock(listener):
    """A socket that was given cannot be used twice."""
    sock = socket.create_connection(listener.getsockname())
    server = Running(answer, listener, redirect("/there"))

    with pytest.raises(TooManyRedirects, match="sock="):
        syncws.connect(address(listener), sock=sock)

    server.result()
    assert sock.fileno() == -1


def test_redirect_to_another_origin_with_sock(listener):
    """Elsewhere is not where the given socket leads; credentials in the Location are not shown."""
    sock = socket.create_connection(listener.getsockname())
    server = Running(answer, listener, redirect("ws://me:hunter2@other.example/"))

    with pytest.raises(TooManyRedirects, match=r"other\.example") as caught:
        syncws.connect(address(listener), sock=sock)

    server.result()
    assert "hunter2" not in str(caught.value)


def test_redirect_over_a_unix_socket(tmp_path):
    """The same origin is found at the same Unix socket; another origin is not."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        server = Running(answer, listener, redirect("/there"), redirect("ws://other.example/"))

        with pytest.raises(TooManyRedirects, match="unix_path="):
            syncws.connect("ws://localhost/", unix_path=path)

        heads = server.result()
    assert heads[1].startswith(b"GET /there ")


# Time.


def test_server_that_says_nothing(listener):
    """TCP connects by itself; the silence behind it is limited."""
    with pytest.raises(TimeoutError):
        syncws.connect(address(listener), open_timeout=SHORT)


def test_tls_server_that_says_nothing(listener):
    """The same for TLS."""
    with pytest.raises(TimeoutError):
        syncws.connect(address(listener, "wss"), ssl=client_context(), open_timeout=SHORT)


def test_server_that_does_not_take_tcp():
    """A server whose queue is full does not answer TCP at all."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())

        with pytest.raises(TimeoutError):
            syncws.connect(address(listener), open_timeout=SHORT)


@pytest.fixture
def full_unix_listener(tmp_path):
    """Return a listening Unix socket whose queue is full, and its path."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        listener.settimeout(20)
        first.connect(path)
        yield listener, path


def test_unix_server_that_does_not_accept(full_unix_listener):
    """The same for a Unix socket, which says at once that its queue is full."""
    _, path = full_unix_listener

    with pytest.raises(TimeoutError, match="socket"):
        syncws.connect("ws://localhost/", unix_path=path, open_timeout=SHORT)


def test_unix_server_that_accepts_late(full_unix_listener):
    """A client waits for its turn."""
    listener, path = full_unix_listener
    client = Running(syncws.connect, "ws://localhost/", unix_path=path)
    eventually(lambda: blocked_in(client.thread, "_dial_unix"), "the client to wait")

    listener.accept()[0].close()

    assert answer(listener, NO)[0].startswith(b"GET / ")
    assert isinstance(client.error(), InvalidStatus)


def drip(listener, data):
    """Accept a client and send it the bytes again and again, one by one, until it leaves."""
    with listener.accept()[0] as sock, contextlib.suppress(OSError):
        for byte in itertools.cycle(data):
            sock.sendall(bytes([byte]))
            threading.Event().wait(0.01)


@pytest.mark.parametrize(
    ("scheme", "data"),
    [("ws", b"HTTP/1.1 101 Switching"), ("wss", b"\x16\x03\x03\x40\x00\x02\x00")],
)
def test_server_that_drips(listener, scheme, data):
    """Byte by byte is not fast enough: the limit is for the whole, not for each step."""
    server = Running(drip, listener, data)
    options = {"ssl": client_context()} if scheme == "wss" else {}

    with pytest.raises(TimeoutError):
        syncws.connect(address(listener, scheme), open_timeout=SHORT, **options)

    server.result()


def test_refusal_whose_body_never_ends(listener):
    """The limit holds for the body of a refusal, too."""
    client = Running(syncws.connect, address(listener), open_timeout=SHORT)
    with Peer(listener.accept()[0], masked=False) as peer:
        peer.read_until(END)
        peer.sock.sendall(b"HTTP/1.1 403 X\r\nContent-Length: 9\r\n\r\nbody")

        assert isinstance(client.error(), TimeoutError)
        assert peer.at_eof()


def test_name_server_that_says_nothing(monkeypatch):
    """getaddrinfo() knows no timeout, connect() does."""
    release = threading.Event()

    def getaddrinfo(host, port, *args, **kwargs):
        if kwargs["flags"] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        release.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with contextlib.ExitStack() as stack:
        stack.callback(release.set)
        with pytest.raises(TimeoutError, match=r"slow\.example"):
            syncws.connect("ws://slow.example/", open_timeout=SHORT)


def test_no_open_timeout(listener):
    """None waits for ever, that is, until the server answers."""
    client = Running(syncws.connect, address(listener), open_timeout=None)
    with Peer(listener.accept()[0], masked=False) as peer:
        peer.read_until(END)
        assert client.alive
        peer.sock.sendall(NO)

    assert isinstance(client.error(), InvalidStatus)


# TLS.


@pytest.mark.parametrize(
    ("certificate", "words"),
    [("elsewhere", "localhost|127.0.0.1"), ("expired", "expired")],
)
def test_wrong_certificate(serve, certificate, words):
    """A certificate for another name, or of another time, is not accepted."""
    server = serve(ssl=server_context(certificate))

    with pytest.raises(ssl.SSLCertVerificationError, match=words):
        syncws.connect(server.url, ssl=client_context())


def test_unknown_authority(serve):
    """Without ssl= the system's authorities are trusted, and ours is none of them."""
    server = serve(ssl=server_context())

    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        syncws.connect(server.url)


def test_server_hostname(serve):
    """server_hostname is the name that the certificate must have."""
    server = serve(ssl=server_context("elsewhere"))

    with syncws.connect(
        server.url, ssl=client_context(), server_hostname="elsewhere.example"
    ) as ws:
        ws.send("hello")
        assert ws.recv(timeout=10) == "hello"


def test_default_context_asks_for_http_1_1(listener, monkeypatch):
    """A server that prefers HTTP/2 learns by ALPN that we speak HTTP/1.1."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CA))
    context = server_context()
    context.set_alpn_protocols(["h2", "http/1.1"])

    def serve_tls():
        with context.wrap_socket(listener.accept()[0], server_side=True) as sock:
            sock.recv(65536)
            sock.sendall(NO)
            return sock.selected_alpn_protocol()

    server = Running(serve_tls)
    with pytest.raises(InvalidStatus):
        syncws.connect(address(listener, "wss"))

    assert server.result() == "http/1.1"


def test_tls_server_that_leaves_in_the_tls_handshake(listener):
    """The end of the stream in the middle of TLS is an SSLError."""
    client = Running(syncws.connect, address(listener, "wss"), ssl=client_context())
    with Peer(listener.accept()[0], masked=False) as peer:
        peer.sock.recv(65536)

    exc = client.error()

    assert isinstance(exc, ssl.SSLError)
    assert "closed the connection" in str(exc)


def test_tls_server_that_resets_in_the_tls_handshake(listener):
    """A reset in the middle of TLS is a ConnectionError."""
    client = Running(syncws.connect, address(listener, "wss"), ssl=client_context())
    peer = Peer(listener.accept()[0], masked=False)
    peer.sock.recv(1)
    peer.reset()

    assert isinstance(client.error(), ConnectionError)


def test_tls_client_at_a_plain_server(serve):
    """wss:// where only ws:// is spoken is an SSLError, not a hang."""
    server = serve()

    with pytest.raises((ssl.SSLError, ConnectionError)):
        syncws.connect(server.url.replace("ws:", "wss:"), ssl=client_context())


def test_plain_client_at_a_tls_server(serve):
    """ws:// where only wss:// is spoken is InvalidMessage, not a hang."""
    server = serve(ssl=server_context())

    with pytest.raises(InvalidMessage):
        syncws.connect(server.url.replace("wss:", "ws:"))


def cut_tls(listener, tidy):
    """Accept TLS and a request, then leave, with or without saying so."""
    sock, _ = listener.accept()
    with server_context().wrap_socket(sock, server_side=True) as tls:
        tls.settimeout(20)
        tls.recv(65536)
        if tidy:
            with contextlib.suppress(OSError):
                tls.settimeout(0)
                tls.unwrap()


@pytest.mark.parametrize("tidy", [True, False], ids=["close_notify", "cut"])
def test_tls_server_that_leaves_without_an_answer(listener, tidy):
    """The end of the stream instead of an answer is InvalidMessage, tidy or not."""
    server = Running(cut_tls, listener, tidy)

    with pytest.raises(InvalidMessage):
        syncws.connect(address(listener, "wss"), ssl=client_context())

    server.result()


def test_tls_server_that_cuts_the_connection(listener):
    """Without a closing handshake the end of an open TLS connection is 1006."""

    def serve_tls():
        sock, _ = listener.accept()
        with server_context().wrap_socket(sock, server_side=True) as tls:
            tls.settimeout(20)
            tls.sendall(accepting(tls.recv(65536)) + b"\x81\x02hi\x81\x05he")

    server = Running(serve_tls)
    ws = syncws.connect(address(listener, "wss"), ssl=client_context())

    assert ws.recv(timeout=10) == "hi"
    with pytest.raises(ConnectionClosedError) as caught:
        ws.recv(timeout=10)
    server.result()
    assert caught.value.code == 1006


# Secrets.


@pytest.mark.parametrize(
    "url",
    [
        "ws://me:hunter2@example.com:port/",
        "ws://me:hunter2@example.com:99999/",
        "ws://me:hunter2@/",
        "ws://me:hunter2@example.com/#top",
        "ws://me:hunter2 @example.com/",
        "ws://me:hunter2@exa mple.com/",
        "ws://me:hunter2@[::1/",
        "ws://me:hunter2@[x]/",
        "ws://me:hunter2@ex\u2100mple/",
        "ws://me:hunter2\u2100@example/",
        "ws://me:hunter2@a..b/",
        "http://me:hunter2@example.com/",
        "//me:hunter2@example.com/",
        "me:hunter2@example.com",
        "ws:me:hunter2@example.com",
        "ws:/me:hunter2@example.com",
        "ws://me:hunter2/x@example.com/",
        "ws://me:x/hunter2@example.com/",
        "ws://me:hunter2?x@example.com/",
        "ws://me:hunter2#x@example.com/",
        "ws://me:[hunter2@example.com/",
        "ws://m%3Ae:hunter2@example.com/",
    ],
)
def test_bad_url_with_credentials(url):
    """However a URL is broken, its password is not in the exception."""
    with pytest.raises(ValueError) as caught:
        syncws.connect(url, open_timeout=SHORT)

    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)
    assert "hunter2" not in repr(vars(caught.value))


def test_secrets_are_nowhere_when_it_works(serve, caplog):
    """Credentials are in no repr and in no log, though everything is logged."""
    caplog.set_level(logging.DEBUG)
    server = serve()

    with syncws.connect(server.url.replace("ws://", "ws://me:hunter2@"), **SECRET_OPTIONS) as ws:
        shown = [repr(ws), repr(ws.request), repr(ws.request.headers), repr(ws.response), str(ws)]

    assert "Authorization" in caplog.text
    assert [secret for secret in SECRETS if secret in caplog.text + "".join(shown)] == []


SECRET_OPTIONS = {
    "cookies": {"session": "hunter2"},
    "additional_headers": {"Proxy-Authorization": "hunter2"},
}


@pytest.mark.parametrize(
    "given",
    [
        (NO,),
        (b"garbage\r\n\r\n",),
        (b"",),
        (b"HTTP/1.1 401 X\r\nSet-Cookie: hunter2\r\nSet-Cookie: b\r\n\r\n",),
        (redirect("ws://[/"),),
        (redirect("/there"), NO),
        (accepting,),
        (lambda head: accepting(head, accept=b"x"),),
    ],
    ids=["refused", "garbage", "EOF", "cookie", "location", "redirected", "accepted", "wrong"],
)
def test_secrets_are_nowhere_when_it_fails(listener, caplog, given):
    """Credentials are in no exception and in no log, however the handshake ends."""
    caplog.set_level(logging.DEBUG)
    server = Running(answer, listener, *given)
    url = address(listener).replace("ws://", "ws://me:hunter2@")

    with pytest.raises(syncws.WebSocketException) as caught:
        syncws.connect(url, **SECRET_OPTIONS).recv(timeout=10)

    server.result()
    shown = caplog.text + str(caught.value) + repr(caught.value)
    assert [secret for secret in SECRETS if secret in shown] == []


# The connection that is made.


class Mine(syncws.Connection):
    """A connection of the user's own kind."""


def test_create_connection_takes_a_subclass(serve):
    """create_connection= is the class of the result."""
    with syncws.connect(serve().url, create_connection=Mine) as ws:
        assert type(ws) is Mine


def test_create_connection_takes_a_function(serve):
    """create_connection= may be a function that is called like the class."""
    made = []

    def make(*args):
        made.append(Mine(*args))
        return made[0]

    with syncws.connect(serve().url, create_connection=make) as ws:
        assert [ws] == made


def test_create_connection_that_fails(serve, caplog):
    """What create_connection= raises comes out, and the socket is closed."""
    server = serve()
    gone = ZeroDivisionError("no connection today")

    with pytest.raises(ZeroDivisionError):
        syncws.connect(server.url, create_connection=functools.partial(fail_with, gone))

    eventually(lambda: not server.connections, "the end of the connection")


def test_logger(serve, caplog):
    """logger= is where the connection logs, instead of syncws.client."""
    caplog.set_level(logging.DEBUG)
    mine = logging.getLogger("mine")

    with syncws.connect(serve().url, logger=mine) as ws:
        assert ws.logger is mine

    names = {record.name for record in caplog.records}
    assert "mine" in names
    assert "syncws.client" not in names


def test_failed_handshake_is_logged(answers, caplog):
    """A failed handshake is one line at INFO."""
    caplog.set_level(logging.INFO, "syncws.client")

    answers(NO)

    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "403" in caplog.text


def test_options_reach_the_connection(accepted_by):
    """Options are those of the connection: here the limit of a message."""
    ws = accepted_by(max_size=10, close_timeout=5)

    assert ws._options == syncws.Options(max_size=10, close_timeout=5)


def test_connect_in_many_threads(serve):
    """connect() is thread-safe: each thread gets a connection of its own."""
    server = serve()

    def talk(word):
        with syncws.connect(server.url) as ws:
            ws.send(word)
            return ws.recv(timeout=10)

    running = [Running(talk, f"word {index}") for index in range(8)]

    assert [each.result() for each in running] == [f"word {index}" for index in range(8)]
