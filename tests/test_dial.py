"""TCP by name: every address gets its chance, and none holds up the others (RFC 8305)."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading

import pytest

from support.streams import Names, black_hole, closed_port, has_ipv6, soon
from support.threads import Running, blocked_in, eventually
from syncws import dial as module
from syncws.deadline import Deadline
from syncws.dial import ATTEMPT_DELAY, dial

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@pytest.fixture
def names(monkeypatch):
    """Return a table of names, to be filled with addresses."""
    return Names(monkeypatch)


@pytest.fixture
def dead():
    """Return an address that does not answer."""
    with black_hole() as address:
        yield address


@pytest.fixture
def refusing():
    """Return an address that refuses."""
    with closed_port() as address:
        yield address


@pytest.fixture
def good(listener):
    """Return an address that accepts."""
    return listener.getsockname()


@pytest.fixture
def good6():
    """Return an IPv6 address that accepts."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as sock:
        yield sock.getsockname()


@pytest.fixture
def attempts(monkeypatch):
    """Return the addresses that are tried, in order."""
    tried = []
    attempt = module._attempt

    def noted(selector, address, *args):
        tried.append(address[3][:2])
        attempt(selector, address, *args)

    monkeypatch.setattr(module, "_attempt", noted)
    return tried


@pytest.fixture
def _no_delay(monkeypatch):
    """Go on to the next address only if one has failed."""
    monkeypatch.setattr(module, "ATTEMPT_DELAY", 1000)


# Addresses.


def test_dial_connects_to_an_address(good, listener):
    """An address needs no name service."""
    with dial(*good, soon()) as sock, listener.accept()[0] as accepted:
        assert sock.getpeername() == good
        assert accepted.getpeername() == sock.getsockname()


@needs_ipv6
def test_dial_connects_to_an_ipv6_address(good6):
    """An IPv6 address has no brackets here."""
    with dial(*good6[:2], soon()) as sock:
        assert sock.family == socket.AF_INET6
        assert sock.getpeername() == good6


def test_dial_connects_to_a_name(names, good):
    """A name is looked up, for TCP only."""
    names["server.test"] = [("127.0.0.1", None)]

    with dial("server.test", good[1], soon()) as sock:
        assert sock.getpeername() == good
    assert {question["type"] for question in names.asked} == {socket.SOCK_STREAM}


def test_dial_sends_without_delay(good):
    """Small messages do not wait for company."""
    with dial(*good, soon()) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_dial_sets_options_for_every_attempt(names, good, refusing):
    """Options come before the connection, and may come from any iterable."""
    names["server.test"] = [refusing, good]
    options = iter([(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)])

    with dial("server.test", 1, soon(), socket_options=options) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_dial_connects_from_a_source_address(good):
    """The server sees where we come from."""
    with dial(*good, soon(), source_address=("127.0.0.2", 0)) as sock:
        assert sock.getsockname()[0] == "127.0.0.2"


@needs_ipv6
def test_dial_skips_addresses_that_the_source_address_does_not_fit(names, good):
    """An IPv4 source has no way to an IPv6 address."""
    names["server.test"] = [("::1", good[1]), good]

    with dial("server.test", 1, soon(), source_address=("127.0.0.1", 0)) as sock:
        assert sock.getpeername() == good


# The order of attempts.


def test_the_first_address_that_answers_is_the_only_one_tried(names, good, dead, attempts):
    """No address is bothered for nothing."""
    names["server.test"] = [good, dead]

    with dial("server.test", 1, soon()):
        assert attempts == [good]


def test_a_dead_address_costs_no_more_than_the_delay(names, dead, good, attempts):
    """Behind a quarter of a second the next one is tried, and wins."""
    names["server.test"] = [dead, good]

    with dial("server.test", 1, soon()) as sock:
        assert sock.getpeername() == good
    assert attempts == [dead, good]
    assert ATTEMPT_DELAY == 0.25


def test_several_dead_addresses_are_tried_one_after_the_other(
    names, dead, good, attempts, monkeypatch
):
    """Each costs one delay."""
    monkeypatch.setattr(module, "ATTEMPT_DELAY", 0.01)
    names["server.test"] = [dead, dead, dead, good]

    with dial("server.test", 1, soon()) as sock:
        assert sock.getpeername() == good
    assert attempts == [dead, dead, dead, good]


@pytest.mark.usefixtures("_no_delay")
def test_an_address_that_refuses_costs_nothing(names, refusing, good, attempts):
    """The next one is tried at once."""
    names["server.test"] = [refusing, refusing, good]

    with dial("server.test", 1, soon()) as sock:
        assert sock.getpeername() == good
    assert attempts == [refusing, refusing, good]


class LittleLeft(Deadline):
    """A deadline that leaves time for one delay only."""

    def earlier(self, seconds):
        self.earlier = lambda seconds: self
        return Deadline(0.01)


def test_a_refusal_beside_a_dead_address_lets_the_next_be_tried(names, dead, refusing, good):
    """Also where so little time is left that there is no other delay."""
    names["server.test"] = [dead, refusing, good]

    with dial("server.test", 1, LittleLeft(20)) as sock:
        assert sock.getpeername() == good


@needs_ipv6
def test_families_take_turns(names, attempts):
    """IPv6 does not hold up IPv4, or the reverse; the system's first choice begins."""
    with contextlib.ExitStack() as stack:
        old = [stack.enter_context(closed_port()) for _ in range(2)]
        new = [stack.enter_context(closed_port("::1")) for _ in range(3)]
        names["server.test"] = [*new, *old]
        with pytest.raises(ConnectionRefusedError):
            dial("server.test", 1, soon())
        names["server.test"] = [*old, *new]
        with pytest.raises(ConnectionRefusedError):
            dial("server.test", 1, soon())

    assert attempts[:5] == [new[0], old[0], new[1], old[1], new[2]]
    assert attempts[5:] == [old[0], new[0], old[1], new[1], new[2]]


# Failures.


def test_all_refused_is_a_refusal_that_names_every_address(names, refusing):
    """The message tells what was tried."""
    names["server.test"] = [refusing, ("127.0.0.2", refusing[1])]

    with pytest.raises(
        ConnectionRefusedError,
        match=r"cannot connect to server\.test:1: 127\.0\.0\.1: .*refused; 127\.0\.0\.2: .*refused",
    ) as caught:
        dial("server.test", 1, soon())
    assert caught.value.errno == errno.ECONNREFUSED


def test_failures_of_several_kinds_are_told_together(names, refusing):
    """One refused, another cannot be reached from there."""
    names["server.test"] = [refusing, ("::1", 1)]

    with pytest.raises(OSError, match=r"127\.0\.0\.1: .*; ::1: ") as caught:
        dial("server.test", 1, soon(), source_address=("127.0.0.1", 0))
    assert not isinstance(caught.value, ConnectionRefusedError)


def test_dead_addresses_time_out(names, dead):
    """The deadline holds for all addresses together."""
    names["server.test"] = [dead, dead]

    with pytest.raises(TimeoutError, match=r"no TCP connection to server\.test:1 in 0\.3 s"):
        dial("server.test", 1, Deadline(0.3))


def test_a_lapsed_deadline_times_out(dead):
    """There is no time for even one address."""
    with pytest.raises(TimeoutError):
        dial(*dead, Deadline(0))


def test_a_socket_that_reaches_itself_reached_nobody():
    """TCP lets a socket connect to its own port; there is no server behind that."""
    shared = (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with socket.socket() as keeper:  # so that the port is nobody else's
        keeper.setsockopt(*shared)
        keeper.bind(("127.0.0.1", 0))
        host, port = keeper.getsockname()

        with pytest.raises(ConnectionRefusedError):
            dial(host, port, Deadline(10), (host, port), [shared])


def test_an_unknown_name_is_told(monkeypatch):
    """The system's own error comes through."""

    def unknown(host, port, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(socket.gaierror, match="not known"):
        dial("nobody.test", 1, soon())


def test_a_slow_name_service_times_out(names):
    """getaddrinfo() knows no timeout, so it is left behind."""
    names["slow.test"] = []
    names.answering.clear()

    with pytest.raises(TimeoutError, match=r"no address for slow\.test in 0\.01 s"):
        dial("slow.test", 1, Deadline(0.01))
    names.answering.set()

    eventually(lambda: not any("slow.test" in thread.name for thread in threading.enumerate()))


def test_a_slow_name_service_is_waited_for(names, good):
    """An answer in time is as good as an early one."""
    names["slow.test"] = [good]
    names.answering.clear()
    dialling = Running(dial, "slow.test", 1, soon())
    eventually(lambda: blocked_in(dialling.thread, "resolve"))

    names.answering.set()

    with dialling.result() as sock:
        assert sock.getpeername() == good


def test_an_option_that_does_not_exist_is_told(good):
    """A mistake is not passed over in silence."""
    with pytest.raises(OSError, match="cannot connect"):
        dial(*good, soon(), socket_options=[(socket.SOL_SOCKET, 99999, 1)])
