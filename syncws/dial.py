"""
TCP connections by name: every address gets its chance, none may hold up the others (RFC 8305).

Knows nothing of WebSocket.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import selectors
import socket
import threading
from collections.abc import Iterable, Sequence

from .addresses import look_up
from .deadline import Deadline

# RFC 8305 section 5: "Connection Attempt Delay"; 250 ms is what it recommends.
ATTEMPT_DELAY = 0.25

# Unlike epoll it needs no file descriptor, and no system call for each step.
_Selector: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)

SocketOption = tuple[int, int, "int | bytes"]
_Address = tuple[int, int, int, object]  # family, type, protocol, socket address


def dial(
    host: str,
    port: int,
    deadline: Deadline,
    source_address: tuple[str, int] | None = None,
    socket_options: Iterable[SocketOption] = (),
) -> socket.socket:
    """
    Connect to a host by the first of its addresses that answers.

    Blocks. Tries the next address when one fails, or after 250 ms.

    Raises:
        TimeoutError: the deadline lapsed.
        OSError: the name is unknown, or no address could be connected to.
    """
    addresses = _interleaved(resolve(host, port, deadline))
    options = list(socket_options)
    errors: list[str] = []
    with _Selector() as attempts:
        try:
            waiting = iter(addresses)
            address = next(waiting, None)
            while address is not None or attempts.get_map():
                if address is not None:
                    _attempt(attempts, address, source_address, options, errors)
                    address = next(waiting, None)
                pause = deadline if address is None else deadline.earlier(ATTEMPT_DELAY)
                winner = _first(attempts, pause, address is not None, errors)
                if winner is not None:
                    return winner
                if deadline.lapsed:
                    raise TimeoutError(
                        f"no TCP connection to {host}:{port} in {deadline.seconds} s"
                    )
        finally:
            for key in list(attempts.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
    raise _failure(f"cannot connect to {host}:{port}: {'; '.join(errors) or 'no address'}", errors)


def _attempt(
    attempts: selectors.BaseSelector,
    address: _Address,
    source_address: tuple[str, int] | None,
    options: Sequence[SocketOption],
    errors: list[str],
) -> None:
    """Begin to connect to one address."""
    family, kind, protocol, where = address
    sock = None
    try:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in options:
            sock.setsockopt(*option)
        if source_address is not None:
            sock.bind(source_address)
        with contextlib.suppress(BlockingIOError):
            sock.connect(where)  # type: ignore[arg-type]
        attempts.register(sock, selectors.EVENT_WRITE, where)
    except OSError as exc:
        if sock is not None:
            sock.close()
        errors.append(_one_failure(where, exc.strerror or str(exc)))


def _first(
    attempts: selectors.BaseSelector, pause: Deadline, more: bool, errors: list[str]
) -> socket.socket | None:
    """Wait until an attempt succeeds, or the next is due: all have failed or the pause is over."""
    while attempts.get_map():
        ready = attempts.select(pause.remaining())
        for key, _ in ready:
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            attempts.unregister(sock)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not error and not _reached_itself(sock):
                return sock
            sock.close()
            errors.append(_one_failure(key.data, os.strerror(error or errno.ECONNREFUSED)))
        if more or not ready:
            return None  # one failed: the next need not wait
    return None


def _reached_itself(sock: socket.socket) -> bool:
    """
    Tell whether a socket is connected to itself, as TCP allows.

    It happens where nobody listens, to who tries again and again on one machine: sooner or later
    the system draws the wanted port as the socket's own.
    """
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:  # gone again: the handshake will find that
        return False


def _one_failure(where: object, reason: str) -> str:
    host = where[0] if isinstance(where, tuple) else where
    return f"{host}: {reason}"


def _failure(message: str, errors: Sequence[str]) -> OSError:
    refused = errors and all(os.strerror(errno.ECONNREFUSED) in error for error in errors)
    return ConnectionRefusedError(errno.ECONNREFUSED, message) if refused else OSError(message)


def _interleaved(addresses: Sequence[_Address]) -> list[_Address]:
    """RFC 8305 section 4: take turns between the families, beginning with the system's first."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    pairs = itertools.zip_longest(first, others)
    return [address for pair in pairs for address in pair if address is not None]


def resolve(host: str, port: int, deadline: Deadline) -> list[_Address]:
    """
    Look a name up. Blocks, in a thread that may stay behind: getaddrinfo() knows no timeout.

    Raises:
        TimeoutError: the deadline lapsed.
        OSError: the name is unknown.
    """
    with contextlib.suppress(socket.gaierror):
        return _getaddrinfo(host, port, socket.AI_NUMERICHOST)
    result: list[list[_Address] | BaseException] = []
    done = threading.Event()

    def look_up() -> None:
        try:
            result.append(_getaddrinfo(host, port, 0))
        except BaseException as exc:  # raised again below, in the thread that asked
            result.append(exc)
        done.set()

    threading.Thread(target=look_up, name=f"syncws-resolve-{host}", daemon=True).start()
    if not done.wait(deadline.remaining()):
        raise TimeoutError(f"no address for {host} in {deadline.seconds} s")
    found = result[0]
    if isinstance(found, BaseException):
        raise found
    return found


def _getaddrinfo(host: str, port: int, flags: int) -> list[_Address]:
    found = look_up(host, port, flags)
    return [(family, kind, protocol, where) for family, kind, protocol, _, where in found]
