"""Listening sockets, and whether they can speak TLS. Knows nothing of WebSocket."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import stat
import sys
from collections.abc import Iterable
from typing import Any

from .addresses import look_up

_AddressInfo = tuple[Any, ...]  # as getaddrinfo() returns it

_BACKLOG = 1024
_TRIES = 20  # for port 0: what is free on the first address may be taken on the next
_NO_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def listen(host: str | None, port: int, reuse_port: bool = False) -> list[socket.socket]:
    """
    Listen on every address that the host name resolves to; ``None`` or "" means all interfaces.

    With port 0 the system chooses one for the first address, and the others take the same.

    Raises:
        OSError: the name is unknown, or an address cannot be listened on.
    """
    found = look_up(host or None, port, socket.AI_PASSIVE)
    tries = 1 if port else _TRIES
    while True:
        tries -= 1
        try:
            listeners = _bind_all(found, port, reuse_port)
            break
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE or not tries:
                raise
    if not listeners:
        raise OSError(f"none of the addresses of {host!r} exists on this machine")
    return listeners


def _bind_all(found: Iterable[_AddressInfo], port: int, reuse_port: bool) -> list[socket.socket]:
    """Listen on all addresses that this machine has, with one port."""
    listeners: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            where = (address[0], listeners[0].getsockname()[1] if listeners else port, *address[2:])
            listener = _bind(family, kind, protocol, where, reuse_port)
            if listener is not None:
                listeners.append(listener)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _bind(
    family: int, kind: int, protocol: int, where: tuple[object, ...], reuse_port: bool
) -> socket.socket | None:
    """Return a listening socket; None if this machine lacks the address or its family."""
    try:
        listener = socket.socket(family, kind, protocol)
    except OSError:
        return None
    try:
        if os.name == "posix" and sys.platform != "cygwin":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            listener.bind(where)
        except OSError as exc:
            # /etc/hosts often names ::1 where IPv6 is turned off.
            if family == socket.AF_INET6 and exc.errno in _NO_ADDRESS:
                listener.close()
                return None
            raise OSError(
                exc.errno, f"cannot listen on {where[0]}:{where[1]}: {exc.strerror}"
            ) from None
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def listen_unix(path: str) -> socket.socket:
    """
    Listen on a Unix socket; the file that a dead server left behind is replaced.

    Raises:
        OSError: a live server, or something else, has the path.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode) and not _answers(path):
                os.unlink(path)
        try:
            listener.bind(path)
        except OSError as exc:
            raise OSError(exc.errno, f"cannot listen on {path}: {exc.strerror or exc}") from None
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        # A live server that is busy does not refuse: its backlog is full.
        return probe.connect_ex(path) != errno.ECONNREFUSED


def check_server_context(context: ssl.SSLContext) -> None:
    """
    Find out now, not with the first client, whether a server can use this context.

    Raises:
        ssl.SSLError: it is for clients, or has no certificate.
    """
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    hello, answer = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(ssl.MemoryBIO(), hello)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    try:
        context.wrap_bio(hello, answer, server_side=True).do_handshake()
    except ssl.SSLWantReadError:
        return
    except ssl.SSLError as exc:
        if exc.reason in ("NO_SHARED_CIPHER", "NO_SUITABLE_SIGNATURE_ALGORITHM") or not exc.reason:
            raise ssl.SSLError(
                ssl.SSL_ERROR_SSL, f"ssl= has no usable certificate; call load_cert_chain(): {exc}"
            ) from None
