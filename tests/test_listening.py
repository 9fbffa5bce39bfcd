"""Listening: on every address of a name, and on Unix sockets."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import stat

import pytest

from support.streams import Names, has_ipv6
from support.tls import client_context, server_context
from syncws import listening
from syncws.listening import check_server_context, listen, listen_unix

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
needs_unix = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")


@pytest.fixture
def names(monkeypatch):
    """Return a table of names, to be filled with addresses."""
    return Names(monkeypatch)


@pytest.fixture
def listeners():
    """Return a function that listens, and stops in the end."""
    with contextlib.ExitStack() as stack:

        def start(*args, **options):
            return [stack.enter_context(sock) for sock in listen(*args, **options)]

        yield start


@pytest.fixture
def unix_listener(tmp_path):
    """Return a function that listens on a path, and stops in the end."""
    with contextlib.ExitStack() as stack:
        yield lambda path: stack.enter_context(listen_unix(str(path)))


def addresses(socks):
    """Return where some sockets listen, without the port."""
    return [sock.getsockname()[0] for sock in socks]


# TCP.


def test_listen_accepts_connections(listeners):
    """It does not block the thread that accepts."""
    (sock,) = listeners("127.0.0.1", 0)

    with pytest.raises(BlockingIOError):
        sock.accept()
    with socket.create_connection(sock.getsockname()) as client, sock.accept()[0] as accepted:
        assert accepted.getpeername() == client.getsockname()


def test_listen_takes_the_port_it_is_told(listeners):
    """A port that is free is taken, also right behind its last use."""
    (first,) = listeners("127.0.0.1", 0)
    where = first.getsockname()
    with socket.create_connection(where) as client:
        accepted, _ = first.accept()
        accepted.close()  # first, so that the port keeps a memory of it
        assert client.recv(1) == b""
    first.close()

    (second,) = listeners(*where)

    assert second.getsockname() == where


def test_listen_takes_every_address_of_a_name(listeners, names):
    """With the same port, also where the system chose it."""
    names["server.test"] = [("127.0.0.1", None), ("127.0.0.2", None), ("127.0.0.3", None)]

    socks = listeners("server.test", 0)

    assert addresses(socks) == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    assert len({sock.getsockname()[1] for sock in socks}) == 1
    assert socks[0].getsockname()[1] != 0


@needs_ipv6
def test_listen_takes_both_families_with_one_port(listeners, names):
    """localhost is 127.0.0.1 and ::1, and clients may try either."""
    names["server.test"] = [("::1", None), ("127.0.0.1", None)]

    socks = listeners("server.test", 0)

    assert addresses(socks) == ["::1", "127.0.0.1"]
    assert len({sock.getsockname()[1] for sock in socks}) == 1
    assert [sock.family for sock in socks] == [socket.AF_INET6, socket.AF_INET]


def test_listen_tries_another_port_if_the_systems_choice_is_taken_elsewhere(
    listeners, names, monkeypatch
):
    """What is free on the first address may be in use on the next."""
    names["server.test"] = [("127.0.0.1", None), ("127.0.0.2", None)]
    bind = listening._bind
    tried = []

    def unlucky(family, kind, protocol, where, reuse_port):
        tried.append(where)
        if len(tried) == 2:
            raise OSError(errno.EADDRINUSE, "taken")
        return bind(family, kind, protocol, where, reuse_port)

    monkeypatch.setattr(listening, "_bind", unlucky)

    socks = listeners("server.test", 0)

    assert addresses(socks) == ["127.0.0.1", "127.0.0.2"]
    assert len(tried) == 4


def test_listen_takes_an_address_once(listeners, names):
    """A name may have the same address twice in the system's tables."""
    names["server.test"] = [("127.0.0.1", None), ("127.0.0.1", None)]

    assert addresses(listeners("server.test", 0)) == ["127.0.0.1"]


@pytest.mark.parametrize("host", [None, ""])
def test_listen_without_a_name_asks_for_all_interfaces(listeners, names, host):
    """The system knows which these are."""
    names[None] = [("127.0.0.1", None)]

    listeners(host, 0)

    assert names.asked == [
        {"host": None, "port": 0, "type": socket.SOCK_STREAM, "flags": socket.AI_PASSIVE}
    ]


def test_listen_passes_over_an_ipv6_address_that_is_not_there(listeners, names):
    """/etc/hosts often names ::1 where IPv6 is turned off."""
    names["server.test"] = [("2001:db8::1", None), ("127.0.0.1", None)]

    assert addresses(listeners("server.test", 0)) == ["127.0.0.1"]


def test_listen_raises_if_no_address_is_there(names):
    """A server that listens nowhere is none."""
    names["server.test"] = [("2001:db8::1", None)]

    with pytest.raises(OSError, match=r"none of the addresses of 'server\.test' exists"):
        listen("server.test", 0)


def test_listen_raises_for_an_ipv4_address_that_is_not_there():
    """It was meant, so it is not passed over."""
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1:0: ") as caught:
        listen("192.0.2.1", 0)
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_listen_says_which_address_is_in_use(listeners):
    """The message names address and port."""
    (sock,) = listeners("127.0.0.1", 0)
    port = sock.getsockname()[1]

    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: .*in use") as caught:
        listen("127.0.0.1", port)
    assert caught.value.errno == errno.EADDRINUSE


def test_listen_takes_all_addresses_or_none(listeners, names):
    """If one is in use, those before it are given back."""
    names["server.test"] = [("127.0.0.1", None), ("127.0.0.2", None)]
    free, _ = listeners("server.test", 0)
    port = free.getsockname()[1]
    free.close()

    with pytest.raises(OSError, match=r"127\.0\.0\.2"):
        listen("server.test", port)

    assert addresses(listeners("127.0.0.1", port)) == ["127.0.0.1"]


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="no SO_REUSEPORT here")
def test_listen_shares_a_port_if_told_to(listeners):
    """Several processes may serve one port."""
    (first,) = listeners("127.0.0.1", 0, reuse_port=True)

    (second,) = listeners(*first.getsockname(), reuse_port=True)

    assert second.getsockname() == first.getsockname()


# Unix sockets.


@needs_unix
def test_listen_unix_accepts_connections(unix_listener, tmp_path):
    """It does not block the thread that accepts."""
    sock = unix_listener(tmp_path / "s")

    with pytest.raises(BlockingIOError):
        sock.accept()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
        sock.accept()[0].close()


@needs_unix
def test_listen_unix_replaces_what_a_dead_server_left(unix_listener, tmp_path):
    """A crash does not keep a server from starting again."""
    unix_listener(tmp_path / "s").close()
    left_behind = stat.S_ISSOCK(os.stat(tmp_path / "s").st_mode)

    unix_listener(tmp_path / "s")

    assert left_behind
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))


@needs_unix
def test_listen_unix_leaves_a_live_server_alone(unix_listener, tmp_path):
    """Its clients go on finding it."""
    live = unix_listener(tmp_path / "s")

    with pytest.raises(OSError, match=r"cannot listen on .*/s: .*in use") as caught:
        listen_unix(str(tmp_path / "s"))

    assert caught.value.errno == errno.EADDRINUSE
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
        live.accept()[0].close()
        live.accept()[0].close()


@needs_unix
def test_listen_unix_leaves_a_busy_server_alone(tmp_path):
    """A live server whose backlog is full does not answer, and is alive all the same."""
    path = str(tmp_path / "s")
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(path)
        busy.listen(0)
        client = stack.enter_context(socket.socket(socket.AF_UNIX))
        client.connect(path)

        with pytest.raises(OSError, match="in use"):
            listen_unix(path)

        assert os.path.exists(path)


@needs_unix
def test_listen_unix_leaves_a_file_alone(tmp_path):
    """Only sockets are replaced."""
    (tmp_path / "s").write_text("precious")

    with pytest.raises(OSError, match="in use"):
        listen_unix(str(tmp_path / "s"))

    assert (tmp_path / "s").read_text() == "precious"


@needs_unix
def test_listen_unix_in_no_directory_raises(tmp_path):
    """The message names the path."""
    with pytest.raises(FileNotFoundError, match=r"cannot listen on .*/nowhere/s"):
        listen_unix(str(tmp_path / "nowhere" / "s"))


@needs_unix
def test_listen_unix_with_a_path_that_is_too_long_raises(tmp_path):
    """The system's limit is about 100 bytes."""
    with pytest.raises(OSError, match="too long"):
        listen_unix(str(tmp_path / ("s" * 200)))


def test_check_server_context_accepts_a_context_with_a_certificate():
    """A good context passes."""
    check_server_context(server_context())


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (client_context(), "server|load_cert_chain"),
        (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "load_cert_chain"),
    ],
)
def test_check_server_context_refuses_what_no_server_can_use(context, words):
    """A client's context, or one without a certificate, is found out at once."""
    with pytest.raises(ssl.SSLError, match=words):
        check_server_context(context)
