"""connect() through proxies: HTTP, HTTPS and SOCKS; refusals, nonsense, silence, secrets."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import socket
import ssl
import sys
import threading
import time
import traceback

import pytest

import syncws
from support.ends import plain_and_tls
from support.peer import Peer
from support.streams import Names, closed_port
from support.threads import WATCHDOG, Running
from support.tls import client_context, server_context
from support.tunnel import Tunnel
from syncws import (
    ConnectionClosedError,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    ProxyError,
)
from syncws.sansio import MAX_CONTROL_PAYLOAD

SHORT = 0.15  # seconds: an open_timeout that is meant to lapse
END = b"\r\n\r\n"
OK = b"HTTP/1.1 200 Connection established\r\n\r\n"
SECRETS = ["hunter2", base64.b64encode(b"me:hunter2").decode()]
MIB = 2**20

over_http_and_https = pytest.mark.parametrize("https", [False, True], ids=["http", "https"])


def tell_headers(ws):
    """A handler that sends the request's headers to the client, then what it receives."""
    ws.send(json.dumps(ws.request.headers.items()))
    for message in ws:
        ws.send(message)


@pytest.fixture
def behind(serve):
    """Return a function that starts a server and a tunnel to it; see ``Behind``."""
    with contextlib.ExitStack() as stack:

        def start(secure=False, https=False, tidy=True, reply="200 OK", server=None, **options):
            if secure:
                options["ssl"] = server_context()
            address = server or serve(tell_headers, **options).server_address
            return Behind(stack.enter_context(Tunnel(address, https, tidy, reply)), secure, https)

        yield start


class Behind:
    """A server that is reached through a tunnel, as "example.test" or, over TLS, "localhost"."""

    def __init__(self, tunnel, secure, https):
        self.tunnel = tunnel
        self.url = "wss://localhost/" if secure else "ws://example.test/"
        self._options = {"ssl": client_context() if secure else None}
        if https:
            self._options["proxy_ssl"] = client_context()

    def connect(self, credentials="", **options):
        """Connect to the server."""
        options = {**self._options, "proxy": self.tunnel.url(credentials), **options}
        return syncws.connect(self.url, **options)


# HTTP and HTTPS.


@plain_and_tls
@over_http_and_https
def test_messages_pass(behind, secure, https):
    """All kinds, large ones both ways at once, Pings, and a Close: as without a proxy."""
    large = b"x" * (3 * MIB)
    site = behind(secure, https, max_size=None)

    with site.connect(max_size=None, compression=None) as ws:
        ws.recv(timeout=WATCHDOG)
        sending = Running(lambda: [ws.send(large) for _ in range(3)])
        echoes = [ws.recv(timeout=WATCHDOG) for _ in range(3)]
        sending.result()
        round_trip = ws.ping(b"p" * MAX_CONTROL_PAYLOAD, timeout=WATCHDOG)
        ws.send("κόσμε")
        text = ws.recv(timeout=WATCHDOG)

    assert echoes == [large] * 3
    assert round_trip > 0
    assert text == "κόσμε"
    assert (ws.close_code, ws._engine.cause) == (1000, None)


@plain_and_tls
@over_http_and_https
def test_who_is_told_what(behind, secure, https):
    """The proxy learns host and port, the server the rest; each its own password."""
    site = behind(secure, https)
    options = {"auth": ("you", "secret"), "cookies": {"a": "b"}, "user_agent_header": "agent"}

    with site.connect("me:hunter2@", **options) as ws:
        headers = dict(json.loads(ws.recv(timeout=WATCHDOG)))

    place = "localhost:443" if secure else "example.test:80"
    assert site.tunnel.heads == [
        f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: agent\r\n"
        f"Proxy-Authorization: Basic {SECRETS[1]}\r\n\r\n"
    ]
    assert headers["Host"] == place.partition(":")[0]
    assert headers["Cookie"] == "a=b"
    assert headers["Authorization"].startswith("Basic ")
    assert "hunter2" not in str(headers)
    assert SECRETS[1] not in str(headers)
    assert not {"Proxy-Authorization", "proxy-authorization"} & set(headers)


def test_the_proxy_looks_names_up(behind, monkeypatch):
    """We do not: behind a firewall there may be no DNS."""
    site = behind()
    asked = []
    ask = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: asked.append(host) or ask(host, *a, **k)
    )

    with site.connect():
        pass

    assert "localhost" in asked
    assert "example.test" not in asked


def test_the_way_to_the_proxy_has_the_options_of_the_socket(behind):
    """source_address and socket_options are for the one socket that there is."""
    option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    with behind().connect(source_address=("127.0.0.2", 0), socket_options=[option]) as ws:
        assert ws.local_address[0] == "127.0.0.2"
        assert ws._engine._transport.sock.getsockopt(*option[:2]) == 1


@pytest.mark.parametrize("tidy", [True, False], ids=["close_notify", "cut"])
@plain_and_tls
def test_a_proxy_that_ends(listener, behind, secure, tidy):
    """With its TLS ended in order or not: the connection ends with 1006."""
    with contextlib.ExitStack() as stack:
        if secure:
            listener = stack.enter_context(server_context().wrap_socket(listener, server_side=True))
        site = behind(secure, https=True, tidy=tidy, server=listener.getsockname())
        client = Running(site.connect)
        peer = stack.enter_context(Peer.accepting(listener))
        with client.result() as ws:
            peer.close()
            with pytest.raises(ConnectionClosedError):
                ws.recv(timeout=WATCHDOG)

    assert ws.close_code == 1006


@plain_and_tls
@over_http_and_https
def test_a_server_that_breaks_the_protocol_is_told(listener, behind, secure, https):
    """Our Close and the end of our half of the stream come through all layers."""
    with contextlib.ExitStack() as stack:
        if secure:
            listener = stack.enter_context(server_context().wrap_socket(listener, server_side=True))
        site = behind(secure, https, server=listener.getsockname())
        client = Running(site.connect)
        peer = stack.enter_context(Peer.accepting(listener))
        with client.result() as ws:
            peer.send(0x3)
            opcode, payload = peer.recv()
            at_eof = peer.at_eof()
            peer.close()
            assert ws.wait_closed(WATCHDOG)

    assert (opcode, payload[:2], at_eof) == (0x8, (1002).to_bytes(2, "big"), True)


# TLS.


def test_the_certificate_of_the_proxy_is_verified(behind):
    """By proxy_ssl=, or by what the system trusts: ssl= is for the server."""
    site = behind(secure=True, https=True)

    with pytest.raises(ssl.SSLCertVerificationError, match=r"proxy https://localhost:\d+: .*CERT"):
        site.connect(proxy_ssl=None)

    assert site.tunnel.heads == []


def test_the_certificate_of_the_server_is_verified(behind):
    """What the proxy's own is worth does not matter."""
    site = behind(secure=True, https=True)

    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        site.connect(ssl=None)

    assert "proxy" not in str(caught.value)


@over_http_and_https
def test_the_certificate_has_the_name_of_the_server(behind, https):
    """Or the one that server_hostname= says."""
    site = behind(secure=True, https=https)
    site.url = "wss://example.test/"

    with pytest.raises(ssl.SSLCertVerificationError, match=r"example\.test"):
        site.connect()
    with site.connect(server_hostname="localhost") as ws:
        assert "example.test" in ws.recv(timeout=WATCHDOG)


def test_an_http_proxy_does_not_speak_tls(listener):
    """https:// for http:// fails with an error that is about the proxy."""
    server = Running(lambda: Peer(listener.accept()[0], masked=False))
    client = Running(dial, listener, scheme="https")
    with server.result() as peer:
        peer.read(1)
        peer.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        error = client.error()

    assert isinstance(error, ssl.SSLError)
    assert "proxy https://127.0.0.1" in str(error)


# Which proxy.


def test_the_environment_has_a_proxy(behind, monkeypatch):
    """It is used by default, and not with None."""
    site = behind()
    monkeypatch.setenv("ws_proxy", site.tunnel.url())

    with syncws.connect("ws://example.test/"):
        pass
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(socket.gaierror):
        syncws.connect("ws://example.test/", proxy=None)

    assert len(site.tunnel.heads) == 1


def unknown(host, *args, flags=0, **kwargs):
    """Be a DNS that knows nothing."""
    raise socket.gaierror(socket.EAI_NONAME, "unknown to this test")


def test_the_proxy_of_the_environment_is_not_for_this_machine(serve, monkeypatch):
    """Nor for what no_proxy names."""
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")
    server = serve(tell_headers)

    with syncws.connect(server.url) as ws:
        assert ws.remote_address == server.server_address


def test_no_proxy_for_a_socket(serve, tmp_path, monkeypatch):
    """A socket that is connected, or the path of one, is the way."""
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")
    path = str(tmp_path / "s")
    serve(tell_headers, unix_path=path)
    sock = socket.create_connection(serve(tell_headers).server_address)

    for way in ({"unix_path": path}, {"sock": sock}):
        with syncws.connect("ws://example.test/", **way) as ws:
            assert "example.test" in ws.recv(timeout=WATCHDOG)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"proxy": "http://h", "sock": object()}, ValueError, "use one"),
        ({"proxy": "http://h", "unix_path": "/x"}, ValueError, "use one"),
        ({"proxy": "http://h", "proxy_ssl": client_context()}, ValueError, "use https://"),
        ({"proxy": "ftp://me:hunter2@h"}, InvalidProxy, r"ftp://\*\*\*@h"),
        ({"proxy": 3128}, TypeError, "int"),
    ],
)
def test_arguments_that_cannot_be_used(options, error, words):
    """They are refused before any network."""
    with pytest.raises(error, match=words):
        syncws.connect("ws://example.test/", **options)


def redirecting(place):
    """Return a process_request hook that sends all clients on."""
    return {"process_request": lambda request: syncws.Response(302, {"Location": place})}


def test_a_redirect_has_a_proxy_of_its_own(behind, serve, monkeypatch):
    """Each place is asked for anew: here the first is behind a proxy, the second is not."""
    direct = serve(tell_headers)
    site = behind(**redirecting(direct.url))
    monkeypatch.setenv("ws_proxy", site.tunnel.url("me:hunter2@"))

    with syncws.connect("ws://example.test/") as ws:
        headers = ws.recv(timeout=WATCHDOG)

    assert ws.remote_address == direct.server_address
    assert "Proxy" not in headers
    assert len(site.tunnel.heads) == 1


def test_a_redirect_from_here_leads_to_a_proxy(behind, serve, monkeypatch):
    """From ws to wss it is another variable's."""
    site = behind(secure=True)
    monkeypatch.setenv("wss_proxy", site.tunnel.url())
    start = serve(tell_headers, **redirecting("wss://example.test/"))

    with pytest.raises(ssl.SSLCertVerificationError):  # which shows that it got there
        syncws.connect(start.url)

    assert [head.split()[1] for head in site.tunnel.heads] == ["example.test:443"]


def test_a_redirect_keeps_the_proxy_of_the_caller(behind, serve):
    """proxy= is for all places."""
    second = behind(**redirecting("ws://other.test/"))

    with pytest.raises(syncws.TooManyRedirects):
        second.connect(max_redirects=1)

    assert [head.split()[1] for head in second.tunnel.heads] == [
        "example.test:80",
        "other.test:80",
    ]


# What a proxy may do.


def dial(listener, scheme="http", url="ws://example.test/", **options):
    """Connect through a scripted proxy, with a password."""
    port = listener.getsockname()[1]
    user = "me" if scheme.startswith("socks4") else "me:hunter2"
    return syncws.connect(url, proxy=f"{scheme}://{user}@127.0.0.1:{port}", **options)


def failing(listener, script, **options):
    """Let a scripted proxy deal with a client; return what connect() raised."""
    client = Running(dial, listener, **options)
    with Peer(listener.accept()[0], masked=False) as peer:
        script(peer)
        return client.error()


def answering(data, close=True):
    """Return a script that answers a CONNECT."""

    def script(peer):
        peer.read_until(END)
        peer.sock.sendall(data)
        if close:
            peer.close()

    return script


REFUSED = [
    (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403, b"no"),
    (b"HTTP/1.0 502 Bad Gateway\r\n\r\nwhole", 502, b"whole"),
    (
        b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\nContent-Length: 9\r\n\r\nshort",
        407,
        b"short",
    ),
    (b"HTTP/1.1 301 Moved\r\nLocation: ws://evil.test/\r\nContent-Length: 0\r\n\r\n", 301, b""),
    (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", 101, b""),
]


@pytest.mark.parametrize(("answer", "status", "body"), REFUSED)
def test_refusals(listener, answer, status, body):
    """They have status, headers and body, also one that is cut short."""
    error = failing(listener, answering(answer))

    assert type(error) is InvalidProxyStatus
    assert (error.status, error.body) == (status, body)
    assert f"status {status}" in str(error)


def test_a_refusal_without_end(listener):
    """64 KiB are kept of it."""

    def script(peer):
        peer.read_until(END)
        with contextlib.suppress(OSError):
            peer.sock.sendall(b"HTTP/1.1 503 No\r\n\r\n")
            while True:
                peer.sock.sendall(b"x" * 4096)

    error = failing(listener, script)

    assert (error.status, len(error.body)) == (503, 64 * 1024)


@pytest.mark.parametrize(
    "framing", [b"", b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n"]
)
def test_a_refusal_that_is_not_finished(listener, framing):
    """When the time is over it is known that, and why, the proxy refused."""
    answer = b"HTTP/1.1 407 Auth\r\n" + framing + b"\r\n"

    error = failing(listener, answering(answer, close=False), open_timeout=SHORT)

    assert type(error) is InvalidProxyStatus
    assert error.status == 407


NONSENSE = [
    (b"", "closed the connection before"),
    (b"HTTP/1.1 200 O", "closed the connection before"),
    (b"\x05\x00", ""),
    (b"SSH-2.0-OpenSSH\r\n\r\n", "bad HTTP response"),
    (b"\0" * 100, ""),
    (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000, "over 32768 bytes"),
    (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "200 header fields"),
    (b"HTTP/1.1 100 Continue\r\n\r\n" * 2000, "over 32768 bytes"),
    (OK + b"\x88\x00", "2 bytes before"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "5 bytes before"),
]


@pytest.mark.parametrize(("answer", "words"), NONSENSE)
def test_nonsense(listener, answer, words):
    """What cannot be used is a ProxyError that says why, at once."""
    error = failing(listener, answering(answer))

    assert type(error) is ProxyError
    assert words in str(error)
    assert f"proxy http://127.0.0.1:{listener.getsockname()[1]}" in str(error)


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_reset(listener, scheme):
    """A proxy that cuts the connection is a ProxyError, too."""
    need_python_socks(scheme)

    def script(peer):
        peer.read(1)
        peer.reset()

    assert isinstance(failing(listener, script, scheme=scheme), ProxyError)


@pytest.mark.parametrize("scheme", ["http", "https", "socks4a", "socks5h"])
def test_silence(listener, scheme):
    """A proxy that says nothing: TimeoutError, by the one deadline."""
    need_python_socks(scheme)
    begun = time.monotonic()
    error = failing(listener, Peer.at_eof, scheme=scheme, open_timeout=SHORT)

    assert type(error) is TimeoutError
    assert f"proxy {scheme}://127.0.0.1" in str(error)
    assert str(SHORT) in str(error)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("scheme", ["http", "socks4a", "socks5h"])
def test_dribble(listener, scheme):
    """So does one that sends a byte now and then: each does not count anew."""
    need_python_socks(scheme)

    def script(peer):
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 " + b"x" * 10_000 if scheme == "http" else b"\x05\x02\x01":
                peer.sock.sendall(bytes([byte]))
                threading.Event().wait(SHORT / 5)
        peer.at_eof()

    assert type(failing(listener, script, scheme=scheme, open_timeout=SHORT)) is TimeoutError


def test_an_answer_in_single_bytes(listener):
    """It is understood, wherever it is cut."""
    client = Running(dial, listener)
    with Peer(listener.accept()[0], masked=False) as peer:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.read_until(END)
        for byte in OK:
            peer.sock.sendall(bytes([byte]))
        peer.accept_opening()
        peer.send(0x1, b"hello")
        with client.result() as ws:
            assert ws.recv(timeout=WATCHDOG) == "hello"
            ws.abort()


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
def test_a_dead_proxy(scheme):
    """Nobody listens there: a ConnectionRefusedError that names the proxy."""
    need_python_socks(scheme)
    with closed_port() as (host, port):
        url = f"{scheme}://me:hunter2@{host}:{port}"
        with pytest.raises(
            ConnectionRefusedError, match=rf"proxy {scheme}://127\.0\.0\.1:{port}: "
        ):
            syncws.connect("ws://127.0.0.1/", proxy=url)


def test_a_proxy_that_nobody_knows(monkeypatch):
    """Its name is not in the DNS."""
    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(socket.gaierror, match=r"proxy http://nowhere\.test:80: .*unknown"):
        syncws.connect("ws://example.test/", proxy="http://nowhere.test")


def test_the_server_behind_the_tunnel_fails(behind, listener):
    """That is not the proxy's fault, and its error is as without one."""
    with pytest.raises(InvalidStatus) as caught:
        behind(process_request=lambda request: syncws.Response(403)).connect()
    cutting = Running(lambda: listener.accept()[0].close())
    with pytest.raises(syncws.InvalidMessage, match="server"):
        behind(server=listener.getsockname()).connect()
    cutting.result()

    assert caught.value.status == 403


# Secrets.


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (answering(REFUSED[2][0]), {}),
        (answering(REFUSED[0][0]), {}),
        (answering(b"HTTP/1.1 407 me:hunter2\r\n\r\n"), {}),
        (answering(b"me:hunter2\r\n\r\n"), {}),
        (answering(b""), {}),
        (answering(OK + b"x"), {}),
        (answering(OK), {}),
        (Peer.at_eof, {"open_timeout": SHORT}),
        (Peer.reset, {}),
    ],
)
def test_no_log_and_no_exception_tells_the_password(listener, caplog, script, options):
    """At any level, whatever the proxy does, even if it says it itself in an error."""
    caplog.set_level(logging.DEBUG, "syncws")

    error = failing(listener, script, **options)

    told = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    shown = f"{error!r} {error.args} {told} {caplog.text}"
    assert [secret for secret in SECRETS if secret in shown] == []


def test_no_log_and_no_repr_of_a_connection_tells_the_password(behind, caplog):
    """A tunnel is logged with stars for the password."""
    caplog.set_level(logging.DEBUG, "syncws")

    with behind().connect("me:hunter2@") as ws:
        shown = f"{ws!r} {ws.request!r} {ws.response!r}"

    assert "> CONNECT example.test:80" in caplog.text
    assert "'Proxy-Authorization', '***'" in caplog.text
    assert [secret for secret in SECRETS if secret in shown + caplog.text] == []


# SOCKS, byte by byte; RFC 1928 and 1929.


def need_python_socks(scheme="socks"):
    """Skip the test without the extra."""
    if scheme.startswith("socks"):
        pytest.importorskip("python_socks")


@pytest.fixture
def socks(listener):
    """Return a function that plays (bytes expected, answer)... and then is the server."""
    need_python_socks()

    def play(scheme, *exchanges, url="ws://example.test:81/", **options):
        client = Running(dial, listener, scheme, url, **options)
        with Peer(listener.accept()[0], masked=False) as peer:
            for expected, answer in exchanges:
                assert peer.read(len(expected)) == expected
                for byte in answer:
                    peer.sock.sendall(bytes([byte]))
            if not client.alive:
                return client.error()
            head = peer.accept_opening()
            assert b"hunter2" not in head
            ws = client.result()
            ws.abort()
            assert ws.wait_closed(WATCHDOG)
        return head

    return play


METHODS = (b"\x05\x02\x00\x02", b"\x05\x02")
LOGIN = (b"\x01\x02me\x07hunter2", b"\x01\x00")
BY_NAME = b"\x05\x01\x00\x03\x0cexample.test\x00\x51"
DONE = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(
    "done",
    [DONE, b"\x05\x00\x00\x04" + bytes(18), b"\x05\x00\x00\x03\x01x\x00\x00"],
    ids=["IPv4", "IPv6", "name"],
)
def test_socks5h(socks, done):
    """The proxy gets the name; its answer may tell any kind of address."""
    assert b"Host: example.test:81" in socks("socks5h", METHODS, LOGIN, (BY_NAME, done))


def test_socks5_without_a_password(socks):
    """The proxy chooses."""
    assert socks("socks5h", (METHODS[0], b"\x05\x00"), (BY_NAME, DONE))


@pytest.mark.parametrize(
    ("addresses", "sent"),
    [
        (["10.1.2.3"], b"\x01\x0a\x01\x02\x03"),
        (["2001:db8::1", "10.1.2.3"], b"\x01\x0a\x01\x02\x03"),
        (["2001:db8::1"], b"\x04" + socket.inet_pton(socket.AF_INET6, "2001:db8::1")),
    ],
)
def test_socks5_gets_an_address(socks, monkeypatch, addresses, sent):
    """We look the name up; of IPv4 if there is one."""
    Names(monkeypatch)["example.test"] = [(address, None) for address in addresses]

    assert socks("socks5", METHODS, LOGIN, (b"\x05\x01\x00" + sent + b"\x00\x51", DONE))


def test_socks5_with_ipv6(socks):
    """An address in the URL goes as it is."""
    request = b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x00\x51"

    assert socks("socks5h", METHODS, LOGIN, (request, DONE), url="ws://[::1]:81/")


def test_socks4a(socks):
    """The proxy gets the name."""
    request = b"\x04\x01\x00\x51\x00\x00\x00\x01me\x00example.test\x00"

    assert socks("socks4a", (request, b"\x00\x5a" + bytes(6)))


def test_socks4(socks, monkeypatch):
    """The proxy gets an IPv4 address."""
    Names(monkeypatch)["example.test"] = [("2001:db8::1", None), ("10.1.2.3", None)]
    request = b"\x04\x01\x00\x51\x0a\x01\x02\x03me\x00"

    assert socks("socks4", (request, b"\x00\x5a" + bytes(6)))


@pytest.mark.parametrize("scheme", ["socks4", "socks4a"])
def test_socks4_knows_no_ipv6(scheme):
    """It is told before any network."""
    need_python_socks()
    with pytest.raises(ProxyError, match="SOCKS4"):
        syncws.connect("ws://[2001:db8::1]/", proxy=f"{scheme}://127.0.0.1:9")


@pytest.mark.parametrize(
    ("exchanges", "words"),
    [
        ([(METHODS[0], b"\x05\xff")], "authentication"),
        ([(METHODS[0], b"\x04\x00")], "version"),
        ([(METHODS[0], b"HT")], "version"),
        ([METHODS, (LOGIN[0], b"\x01\x01")], "password"),
        ([METHODS, LOGIN, (BY_NAME, b"\x05\x05\x00")], "refused"),
        ([METHODS, LOGIN, (BY_NAME, b"\x05\x02\x00")], "not allowed"),
        ([METHODS, LOGIN, (BY_NAME, b"\x05\x77\x00")], "code"),
        ([METHODS, LOGIN, (BY_NAME, b"\x05\x00\x00\x09")], ""),
        ([METHODS, LOGIN, (BY_NAME, b"\x05\x00\x00\x03\x02\xff\xff\x00\x00")], ""),
    ],
)
def test_socks_refusals_and_nonsense(listener, exchanges, words):
    """They are a ProxyError with the proxy's reason."""
    need_python_socks()

    def script(peer):
        for expected, answer in exchanges:
            assert peer.read(len(expected)) == expected
            peer.sock.sendall(answer)

    error = failing(listener, script, scheme="socks5h", url="ws://example.test:81/")

    assert type(error) is ProxyError
    assert words in str(error)
    assert "proxy socks5h://127.0.0.1" in str(error)
    assert "hunter2" not in f"{error!r} {error.__context__!r}"


def test_socks_closed_early(listener):
    """The end in the middle of an answer is a ProxyError."""
    need_python_socks()

    def script(peer):
        peer.read(4)
        peer.sock.sendall(b"\x05")
        peer.close()

    assert type(failing(listener, script, scheme="socks5h")) is ProxyError


def test_socks_with_more_than_an_answer(listener):
    """A WebSocket server never speaks first."""
    need_python_socks()

    def script(peer):
        peer.read(4)
        peer.sock.sendall(b"\x05\x00")
        peer.read(len(BY_NAME))
        peer.sock.sendall(DONE + b"xyz")

    error = failing(listener, script, scheme="socks5h", url="ws://example.test:81/")

    assert type(error) is ProxyError
    assert "3 bytes before" in str(error)


@pytest.mark.parametrize("scheme", ["socks4", "socks5"])
def test_a_dns_that_does_not_answer(monkeypatch, scheme):
    """Where we look the name up, that counts for open_timeout."""
    need_python_socks()
    names = Names(monkeypatch)
    names["example.test"] = [("10.1.2.3", None)]
    names.answering.clear()
    with pytest.raises(TimeoutError, match=r"example\.test"):
        syncws.connect("ws://example.test/", proxy=f"{scheme}://127.0.0.1:9", open_timeout=SHORT)
    names.answering.set()


@pytest.mark.parametrize("version", [None, "2.8.0"])
def test_without_python_socks(monkeypatch, version):
    """The error names the extra, before any network."""
    found = None
    if version is not None:
        found = type(sys)("python_socks")
        found.__version__ = version
        monkeypatch.setitem(sys.modules, "python_socks.sync", found)
        found.sync = found
    monkeypatch.setitem(sys.modules, "python_socks", found)

    with pytest.raises(ImportError, match=r"syncws\[socks\]"):
        syncws.connect("ws://example.test/", proxy="socks5://127.0.0.1:9")
