"""
Takes the socket of a WSGI request from the server that runs it.

A server goes on to use its file descriptor when the application returns: it writes a response,
waits for the next request, registers the descriptor somewhere, closes it. Each does it differently,
so none is asked: our socket is a duplicate, and below the server's descriptor lies, from then on,
one end of a socket pair. Whatever the server still does meets that, and the other end, the sink,
swallows it. As the server closes its end in the end, the sink also tells when it is done with the
request.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import signal
import socket
import threading
from typing import Any, Callable, NamedTuple

from .addresses import address
from .exceptions import UnsupportedServer
from .housekeeper import housekeeper

Environ = dict[str, Any]

_TAKEN = "syncws.taken"
_INSTEAD = (
    "run syncws.ThreadingServer on a port of its own, in a thread beside the application, "
    "or let it serve both: ThreadingServer(handler, wsgi_app=app)"
)
_SIP = 64 * 1024  # bytes


class Place(NamedTuple):
    """Where a server keeps what belongs to a request; found in its environ."""

    # Asked at each use: once the server has closed the socket, the number may be another client's.
    fileno: Callable[[], int]  # negative from then on
    peer_address: Any
    # Takes out what the server has read behind the request. After the exchange of descriptors:
    # then a look into an empty buffer meets the end of a stream and does not wait.
    take_read: Callable[[], bytes]
    tls: bool = False


def was_taken(environ: Environ) -> bool:
    """Whether the server has its socket no more."""
    return _TAKEN in environ


def find_place(environ: Environ) -> Place:
    """
    Find the socket of a request.

    Raises:
        UnsupportedServer: the server shows none, or one that cannot be taken over.
        OSError: uWSGI's request has no socket any more.
    """
    if was_taken(environ):
        raise UnsupportedServer("the connection of this request was taken over already")
    name = environ.get("SERVER_SOFTWARE") or "this WSGI server"
    if os.name != "posix":
        raise UnsupportedServer(f"sockets can be taken over on POSIX systems only; {_INSTEAD}")
    for look in _PLACES:
        place = look(environ)
        if place is not None:
            break
    else:
        raise UnsupportedServer(f"{name} does not show the socket of a request; {_INSTEAD}")
    if place.tls:
        raise UnsupportedServer(
            f"{name} does TLS itself, in an SSLSocket, which two threads must not share; "
            f"let a reverse proxy end TLS, or {_INSTEAD}, which takes ssl="
        )
    if place.fileno() < 0:
        raise UnsupportedServer("the socket of this request is closed already")
    return place


def _in_gunicorn(environ: Environ) -> Place | None:
    """Workers sync, gthread, gevent, eventlet: the socket lies in the environ."""
    sock = environ.get("gunicorn.socket")
    if sock is None:
        return None
    unreader = getattr(getattr(environ.get("wsgi.input"), "reader", None), "unreader", None)

    def take_read() -> bytes:
        if unreader is None:
            return b""
        data: bytes = unreader.buf.getvalue()
        unreader.buf = io.BytesIO()
        return data

    return _place(sock, take_read)


def _below_input(environ: Environ) -> Place | None:
    """
    wsgiref, Django, Werkzeug, cheroot, gevent.pywsgi, eventlet.wsgi read with a BufferedReader.

    Some wrap it, to hold the application to the length of the body.
    """
    reader: Any = environ.get("eventlet.input", environ.get("wsgi.input"))
    for _ in range(4):
        raw: Any = getattr(reader, "raw", None)
        if hasattr(raw, "_sock"):  # a SocketIO; under eventlet not the one of the module socket
            break
        reader = _wrapped(reader)
    else:
        return None
    if raw._sock is None:  # closed
        return Place(lambda: -1, None, bytes)
    return _place(raw._sock, lambda: reader.read(len(reader.peek())))


def _wrapped(reader: Any) -> Any:
    """Return what a reader reads from."""
    for name in ("rfile", "stream"):
        if hasattr(reader, name):
            return getattr(reader, name)
    return getattr(getattr(reader, "_read", None), "__self__", None)  # Django's LimitedStream


def _in_uwsgi(environ: Environ) -> Place | None:
    """The module exists inside of uWSGI only. What it has read behind the request is lost."""
    if "uwsgi.version" not in environ:
        return None
    uwsgi = importlib.import_module("uwsgi")
    options = {os.fsdecode(option) for option in uwsgi.opt}
    if options & {"http", "https"} and not options & {"http-websockets", "http-socket"}:
        raise UnsupportedServer(
            "the HTTP router of uWSGI passes WebSockets on only if uWSGI is started with "
            "--http-websockets"
        )
    # A router, uWSGI's or another, may have ended TLS; then HTTPS is on as well.
    tls = environ.get("HTTPS") == "on" and any(name.startswith("https-socket") for name in options)
    with socket.socket(fileno=os.dup(uwsgi.connection_fd())) as sock:
        peer_address = address(sock.getpeername)
    return Place(uwsgi.connection_fd, peer_address, bytes, tls)


def _place(sock: Any, take_read: Callable[[], bytes]) -> Place:
    # Also of gevent, of eventlet and of pyOpenSSL.
    tls = any(hasattr(sock, name) for name in ("cipher", "get_cipher_name"))
    return Place(sock.fileno, address(sock.getpeername), take_read, tls)


_PLACES: tuple[Callable[[Environ], Place | None], ...] = (_in_gunicorn, _below_input, _in_uwsgi)


def http_version(environ: Environ) -> str:
    """Return the version of HTTP that the client speaks."""
    protocol: str = environ.get("SERVER_PROTOCOL", "HTTP/1.1")
    # eventlet.wsgi says HTTP/1.0 to applications, whatever the client said.
    return "1.1" if "eventlet.input" in environ else protocol.partition("/")[2]


def stopping(environ: Environ) -> Callable[[], bool]:
    """
    Return a function that tells whether the server wants to stop and waits for its requests.

    Of gunicorn and of cheroot one can know. Others tell nobody, and close what they wait for.
    """
    thread = threading.current_thread()
    if "gunicorn" in environ.get("SERVER_SOFTWARE", ""):
        worker = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if hasattr(worker, "alive"):
            if thread is threading.main_thread():
                # The worker "sync": its handler of the signal runs when its thread stops waiting
                # for a message, and gunicorn has told the system to go on waiting.
                signal.siginterrupt(signal.SIGTERM, True)
            return lambda: not worker.alive  # type: ignore[union-attr]
    if type(thread).__module__.startswith("cheroot."):
        server = thread.server  # type: ignore[attr-defined]
        return lambda: not server.ready
    return lambda: False


class Sink:
    """Swallows what the server sends, and tells when it closes its end."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._done: Callable[[], object] | None = None
        sock.setblocking(False)
        sock.shutdown(socket.SHUT_WR)  # the server shall not wait for another request

    def watch(self, done: Callable[[], object] | None) -> None:
        """Call back once when the server has closed its end: it has done with the request."""
        self._done = done
        housekeeper.call_when_readable(self._sock, self._swallow)

    def _swallow(self) -> None:
        try:
            over = not self._sock.recv(_SIP)
        except BlockingIOError:  # woken for nothing
            over = False
        except ConnectionError:
            over = True
        if not over:
            housekeeper.call_when_readable(self._sock, self._swallow)
            return
        self._sock.close()
        if self._done is not None:
            self._done()


def take_over(environ: Environ, place: Place) -> tuple[socket.socket, bytes, Sink]:
    """
    Take the socket over; return it, what the server had read behind the request, and the sink.

    Raises:
        OSError: the system has no more file descriptors, and the server has its socket still; or
            the server has closed it meanwhile.
    """
    with contextlib.ExitStack() as undo:
        sock = undo.enter_context(socket.socket(fileno=os.dup(place.fileno())))
        with contextlib.suppress(OSError):  # a Unix socket; eventlet's do not know their family
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        theirs, ours = socket.socketpair()
        undo.enter_context(ours)
        with theirs:
            # A server that never blocks must not block on this one.
            os.set_blocking(theirs.fileno(), os.get_blocking(place.fileno()))
            os.dup2(theirs.fileno(), place.fileno(), inheritable=False)
        undo.pop_all()
    environ[_TAKEN] = True
    sink = Sink(ours)
    return sock, place.take_read(), sink
