"""Through nginx and HAProxy, configured as in README: both ends are ours."""

from __future__ import annotations

import contextlib
import queue
import socket
import tempfile

import pytest

import syncws
from peers.proxies import CARELESS, FORWARDED, HASTY, IMPATIENT, X_FORWARDED_FOR, Proxy, Route
from support import tls
from support.ends import send_around_a_ping
from support.threads import WATCHDOG, Running, eventually
from syncws import ConnectionClosedError, InvalidStatus

pytestmark = pytest.mark.peers

MIB = 2**20
CLIENT = "127.0.0.2"  # not where the proxies are, since that is trusted
REASON = "später, \U0001f44b"
# Longer than the watchdog of a test: an end that needs our time limits is a failure.
OPTIONS = {"open_timeout": 60, "close_timeout": 60, "ping_interval": None}

with_both = pytest.mark.parametrize("program", ["nginx", "haproxy"])
on_all_routes = pytest.mark.parametrize(
    "route",
    [
        pytest.param(Route(program, secure, unix), id=f"{program}-{name}")
        for program in ("nginx", "haproxy")
        for name, secure, unix in (
            ("plain", False, False),
            ("tls", True, False),
            ("unix", False, True),
        )
    ],
)


class Behind:
    """A server behind a proxy."""

    def __init__(self, server, proxy, arrivals):
        self.server = server
        self.proxy = proxy
        self._arrivals = arrivals
        self._stack = contextlib.ExitStack()

    def connect(self, **options):
        """Return (the client, the server's end) of a new connection."""
        host, port = self.proxy.address
        source = (CLIENT, 0) if "." in host else None
        client = syncws.connect(
            self.proxy.url,
            sock=socket.create_connection((host, port), WATCHDOG, source),
            ssl=tls.client_context() if self.proxy.url.startswith("wss") else None,
            **{**OPTIONS, **options},
        )
        self._stack.callback(client.wait_closed)
        self._stack.callback(client.abort)
        return client, self._arrivals.get(timeout=WATCHDOG)

    def put_before(self, route, folder):
        """Put another proxy before the one that is there."""
        (folder / "front").mkdir()
        inner, self.proxy = self.proxy, Proxy(route, self.proxy.netloc, folder / "front")
        self._stack.callback(inner.close)

    def close(self):
        """Cut what is left."""
        self._stack.close()
        self.proxy.close()


@pytest.fixture
def behind(serve, tmp_path):
    """Return a function that puts a server behind a proxy."""
    with contextlib.ExitStack() as stack:
        # The path of a Unix socket must be short.
        folder = stack.enter_context(tempfile.TemporaryDirectory())

        def make(route, changes=(), **options):
            arrivals = queue.Queue()

            def handler(ws):
                arrivals.put(ws)
                ws.wait_closed()

            where = {"unix_path": f"{folder}/s"} if route.unix else {}
            trusted = ["127.0.0.1", "unix"]
            server = serve(handler, **where, **{**OPTIONS, "trusted_proxies": trusted, **options})
            at = server.server_address
            proxy = Proxy(route, at if route.unix else f"{at[0]}:{at[1]}", tmp_path, dict(changes))
            made = Behind(server, proxy, arrivals)
            stack.callback(made.close)
            return made

        yield make


def swap(left, right, message):
    """Send a message each way; return what arrived."""
    arrived = []
    for sender, receiver in ((left, right), (right, left)):
        sending = Running(sender.send, message)
        arrived.append(receiver.recv(WATCHDOG))
        sending.result()
    return arrived


@on_all_routes
def test_messages_pass_both_ways(behind, route):
    """Of both kinds, empty and large, in one piece and in fragments; compressed through."""
    ours, theirs = behind(route).connect()
    messages = ["κόσμε", b"\x00\xff", "", b"", "κ" * (MIB // 2), bytes(range(256)) * (MIB // 256)]

    arrived = [swap(ours, theirs, message) for message in messages]
    ours.send(iter(["Hel", "", "lo"]))
    theirs.send(iter([b"x" * 70_000, b"y"]))

    assert arrived == [[message, message] for message in messages]
    assert theirs.recv(WATCHDOG) == "Hello"
    assert ours.recv(WATCHDOG) == b"x" * 70_000 + b"y"
    assert "permessage-deflate" in ours.extensions[0]
    assert theirs.extensions == ours.extensions
    assert theirs.stats.bytes_received < MIB


@on_all_routes
def test_pings_pass_both_ways(behind, route):
    """A proxy passes them on, between fragments as well, and does not answer them itself."""
    ours, theirs = behind(route).connect()
    pong = send_around_a_ping(ours)
    round_trips = [ours.ping(timeout=WATCHDOG), theirs.ping(timeout=WATCHDOG)]

    assert theirs.recv(WATCHDOG) == "beforebehind"
    assert pong.result(WATCHDOG) > 0
    assert all(round_trips)
    assert theirs.stats.frames_received >= 4  # two fragments, two Pings


@on_all_routes
@pytest.mark.parametrize("closer", ["client", "server"])
def test_a_close_passes_with_code_and_reason(behind, route, closer):
    """Both ends end cleanly, and what was sent before is there."""
    ends = behind(route).connect()
    one, other = ends if closer == "client" else reversed(ends)

    one.send("the last one")
    Running(one.close, 4001, REASON).result()

    assert other.recv(WATCHDOG) == "the last one"
    with pytest.raises(ConnectionClosedError) as caught:
        other.recv(WATCHDOG)
    assert other.wait_closed(WATCHDOG)
    assert caught.value.rcvd == (4001, REASON)
    assert (one.close_code, other.close_code, other.close_reason) == (4001, 4001, REASON)


@with_both
def test_the_server_shuts_down(behind, program):
    """Clients are told 1001; those that come later get the proxy's own answer."""
    site = behind(Route(program), changes=HASTY[program])
    ours, _ = site.connect()

    Running(site.server.shutdown).result()

    assert ours.wait_closed(WATCHDOG)
    assert ours.close_code == 1001
    with pytest.raises(InvalidStatus) as caught:
        site.connect()
    assert caught.value.status in (502, 503)


@with_both
def test_the_proxy_dies(behind, program):
    """Both ends are told at once, without the help of the keepalive."""
    site = behind(Route(program))
    ends = site.connect()
    receiving = [Running(ws.recv) for ws in ends]

    site.proxy.close()

    for waiting in receiving:
        error = waiting.error()
        assert type(error) is ConnectionClosedError
        assert error.code == 1006


# Origins.


@on_all_routes
def test_a_page_of_the_proxys_host_may_connect(behind, route):
    """The proxy passes the Host on, so the same-origin check works, and for others, too."""
    site = behind(route)
    scheme = "https" if route.secure else "http"

    ours, theirs = site.connect(origin=f"{scheme}://{site.proxy.netloc}")

    assert theirs.request.headers["Host"] == site.proxy.netloc
    assert swap(ours, theirs, "hello") == ["hello", "hello"]
    with pytest.raises(InvalidStatus) as caught:
        site.connect(origin=f"{scheme}://elsewhere.example")
    assert caught.value.status == 403


# Whose address it is.

SPOOFED = {
    "X-Forwarded-For": "192.0.2.66, 192.0.2.67",
    "Forwarded": 'for=192.0.2.66;x=", for=192.0.2.67, for="',
}


@on_all_routes
def test_remote_address_is_the_clients(behind, route):
    """As README has it; the repr tells it as well."""
    _, theirs = behind(route).connect()

    assert theirs.remote_address == (CLIENT, 0)
    assert f" {CLIENT}:0 " in repr(theirs)


@with_both
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("spoofed", [{}, SPOOFED], ids=["honest", "spoofed"])
@pytest.mark.parametrize("way", [X_FORWARDED_FOR, FORWARDED], ids=["x-forwarded-for", "forwarded"])
def test_clients_cannot_choose_their_address(behind, program, host, spoofed, way):
    """It is that of whoever connected to the proxy, by either header, over IPv4 and IPv6."""
    site = behind(Route(program, host=host), changes=way[program])

    ours, theirs = site.connect(additional_headers=spoofed)

    address, port, *rest = ours.local_address
    assert theirs.remote_address == (address, port if way is FORWARDED else 0, *rest)


@with_both
def test_a_header_that_the_proxy_passes_on_unseen(behind, program):
    """It contradicts what the proxy wrote, and its sender is refused."""
    site = behind(Route(program), changes=CARELESS[program])

    with pytest.raises(InvalidStatus) as caught:
        site.connect(additional_headers={"Forwarded": "for=192.0.2.66"})

    assert caught.value.status == 400
    assert site.connect()[1].remote_address == (CLIENT, 0)


def test_two_proxies_in_a_row(behind, tmp_path):
    """TLS ends at HAProxy, nginx speaks to the server by a Unix socket; both add whom they saw."""
    site = behind(Route("nginx", unix=True))
    site.put_before(Route("haproxy", secure=True), tmp_path)

    ours, theirs = site.connect(additional_headers=SPOOFED)

    assert theirs.request.headers["X-Forwarded-For"].endswith(f", {CLIENT}, 127.0.0.1")
    assert theirs.remote_address == (CLIENT, 0)
    assert swap(ours, theirs, "hello") == ["hello", "hello"]


@with_both
def test_a_proxy_that_is_not_trusted(behind, program):
    """Its own address is all that is known for sure."""
    _, theirs = behind(Route(program), trusted_proxies=[CLIENT, "unix"]).connect()

    assert theirs.remote_address[0] == "127.0.0.1"
    assert theirs.remote_address[1] > 0


# Idle connections.

OFTEN = 0.2  # seconds between Pings; the limit of an impatient proxy is 1 s


@with_both
@pytest.mark.parametrize("pinging", ["client", "server"])
def test_our_pings_keep_an_idle_connection_open(behind, program, pinging):
    """A proxy that cuts idle connections after a second sees them, whichever end sends them."""
    intervals = [OFTEN if pinging == end else None for end in ("server", "client")]
    site = behind(Route(program), changes=IMPATIENT[program], ping_interval=intervals[0])
    ours, theirs = site.connect(ping_interval=intervals[1])

    eventually(lambda: theirs.stats.frames_received * OFTEN > 1.5, "Pings or Pongs for 1.5 s")

    assert swap(ours, theirs, "still there") == ["still there", "still there"]


@with_both
def test_without_pings_an_idle_connection_is_cut(behind, program):
    """So it is the Pings that keep the other one open. Both ends are told."""
    ends = behind(Route(program), changes=IMPATIENT[program]).connect()

    for waiting in [Running(ws.recv) for ws in ends]:
        assert waiting.error().code == 1006
