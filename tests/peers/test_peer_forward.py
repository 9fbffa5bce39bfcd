"""Through the forward proxies of others, by each protocol that they speak: both ends are ours."""

from __future__ import annotations

import contextlib
import hashlib
import os

import pytest

import syncws
from peers.forward import LOGIN, Forward
from support import tls
from support.ends import plain_and_tls
from support.threads import WATCHDOG, Running, eventually
from syncws import ConnectionClosedError, InvalidProxyStatus, ProxyError

pytestmark = pytest.mark.peers

MIB = 2**20
PIECE = os.urandom(MIB)
PIECES = 64

WAYS = [
    ("http", "tinyproxy", LOGIN),
    ("https", "haproxy", LOGIN),
    ("socks4", "danted", ""),
    ("socks4a", "v2ray", ""),
    ("socks5", "danted", ""),
    ("socks5h", "danted", ""),
    ("socks5", "microsocks", LOGIN),
    ("socks5h", "microsocks", LOGIN),
]


@pytest.fixture
def forward(tmp_path):
    """Return a function that starts a proxy and makes its URL."""
    with contextlib.ExitStack() as stack:

        def start(scheme, program, login=""):
            if scheme.startswith("socks"):
                pytest.importorskip("python_socks")
            inner = Forward("tinyproxy", tmp_path) if program == "haproxy" else None
            if inner is not None:
                stack.callback(inner.close)
            proxy = Forward(program, tmp_path, inner)
            stack.callback(proxy.close)
            return proxy, f"{scheme}://{login}localhost:{proxy.port}"

        yield start


def reach(server, proxy, secure=False, **options):
    """Connect to a server through a proxy."""
    if secure:
        options["ssl"] = tls.client_context()
    if proxy.startswith("https"):
        options["proxy_ssl"] = tls.client_context()
    url = f"{'wss' if secure else 'ws'}://localhost:{server.server_address[1]}/"
    return syncws.connect(url, proxy=proxy, **options)


def send_all(ws):
    """Send 64 MiB, and their hash."""
    for _ in range(PIECES):
        ws.send(PIECE)


def receive_all(ws):
    """Receive 64 MiB; return their hash."""
    arrived = hashlib.blake2b()
    for _ in range(PIECES):
        arrived.update(ws.recv(timeout=WATCHDOG))
    return arrived.hexdigest()


EXPECTED = hashlib.blake2b()
for _ in range(PIECES):
    EXPECTED.update(PIECE)


def exchange(ws):
    """Be either end: 64 MiB each way at once, then what arrived here is told there."""
    sending = Running(send_all, ws)
    arrived = receive_all(ws)
    sending.result()
    ws.send(arrived)
    return ws.recv(timeout=WATCHDOG)


@plain_and_tls
@pytest.mark.parametrize(("scheme", "program", "login"), WAYS)
def test_megabytes_pass_both_ways(serve, forward, scheme, program, login, secure):
    """64 MiB in each direction at once, then a clean end."""
    told = []

    def handler(ws):
        told.append(exchange(ws))
        ws.wait_closed()

    context = tls.server_context() if secure else None
    server = serve(handler, host="localhost", ssl=context, compression=None)
    _, proxy = forward(scheme, program, login)
    with reach(server, proxy, secure, compression=None) as ws:
        told.append(exchange(ws))
        ws.ping(timeout=WATCHDOG)
        eventually(lambda: len(told) == 2)

    assert told == [EXPECTED.hexdigest()] * 2
    assert ws.close_code == 1000


@pytest.mark.parametrize(("scheme", "program", "login"), [way for way in WAYS if way[2]])
@pytest.mark.parametrize("wrong", ["", "me:guess@", "you:hunter2@"])
def test_wrong_credentials(serve, forward, scheme, program, login, wrong):
    """None, or others: refused with clear words, and the right ones are in no text."""
    server = serve(host="localhost")
    _, proxy = forward(scheme, program, wrong)

    with pytest.raises(ProxyError) as caught:
        reach(server, proxy)

    if scheme.startswith("http"):
        assert type(caught.value) is InvalidProxyStatus
        assert caught.value.status == (401 if wrong else 407)  # that is tinyproxy's way
        assert ("does not take" if wrong else "wants a password") in str(caught.value)
    assert "guess" not in f"{caught.value!r}"


@pytest.mark.parametrize(("scheme", "program", "login"), WAYS)
def test_a_server_that_is_not_there(serve, forward, scheme, program, login):
    """The proxy cannot reach it, and says so."""
    server = serve(host="localhost")
    server.shutdown()
    server.server_close()
    _, proxy = forward(scheme, program, login)

    with pytest.raises((ProxyError, syncws.InvalidMessage)):
        reach(server, proxy)


@plain_and_tls
@pytest.mark.parametrize(("scheme", "program", "login"), WAYS)
def test_the_proxy_dies(serve, forward, scheme, program, login, secure):
    """Both ends are told at once, without the help of the keepalive."""
    ends = []

    def handler(ws):
        with pytest.raises(ConnectionClosedError):
            ws.recv()
        ends.append(ws.close_code)

    context = tls.server_context() if secure else None
    server = serve(handler, host="localhost", ssl=context)
    proxy, url = forward(scheme, program, login)
    with reach(server, url, secure) as ws:
        receiving = Running(ws.recv)
        proxy.close()
        assert receiving.error().code == 1006
    server.shutdown()

    assert ends == [1006]
