"""ThreadingServer: accepts clients and runs a handler in a thread for each."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import selectors
import socket
import ssl as ssl_module
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Callable, TypeVar

from .addresses import address_text
from .codes import CloseCode, State
from .connection import Connection
from .deadline import Deadline, wait
from .exceptions import Close
from .forwarded import Proxies, TrustedProxies
from .handlers import Handler
from .listening import listen, listen_unix
from .options import OptionsDict, options_of
from .sansio import (
    SAME_ORIGIN,
    Origins,
    SelectSubprotocol,
    checked_subprotocols,
    listed_origins,
    validated_close,
)
from .session import Policy, ProcessRequest, ProcessResponse, Session
from .threads import Thread
from .version import __version__
from .workers import Workers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from typing_extensions import Unpack

SERVER = f"syncws/{__version__}"
S = TypeVar("S", bound="ThreadingServer")

# Clients beyond max_connections that are told so; still more are just cut off.
_REFUSALS = 16
_ACCEPT_PAUSE = 0.1  # seconds, when the system has no more file descriptors or threads
_ABORT_WAIT = 1.0  # seconds for handlers to notice that their connections were cut


class ThreadingServer:
    """
    A WebSocket server with a thread for each handler, in the manner of ``socketserver``.

    It listens as soon as it is made. As a context manager it shuts down at the end of the block.
    All methods may be called from any thread.

    Args:
        handler: called as ``handler(ws)``, or ``handler(ws, path)`` if it takes two arguments, in a
            thread that serves nobody else meanwhile, and perhaps another client afterwards. When it
            returns the connection is closed with 1000, when it raises with 1011, and the traceback
            is logged.
        host, port: where to listen; on every address of the host name. Port 0: any free port.
        sock: a listening socket to use instead.
        unix_path: a Unix socket to listen on instead.
        ssl: a TLS context for the server's side; makes it wss.
        origins: which Origins may connect: ``SAME_ORIGIN`` (a page of this very host and port), a
            list of ``"https://example.com"`` or compiled patterns, or ``None`` for all. Clients
            that are no browsers send no Origin and are always let in.
        subprotocols: names in order of preference; the first that a client offers is chosen.
        select_subprotocol: called with the request and the client's list; returns one or ``None``.
        process_request: called with each Request; may return a Response to answer it as plain HTTP.
        process_response: called with Request and Response before it is sent; may change it, or
            return another.
        server_header: the Server header; ``None`` sends none.
        max_connections: clients at one time, opening handshakes and requests for ``wsgi_app``
            included; more get HTTP 503. Each costs one or two threads.
        reuse_port: let several processes listen on one port, where the system can.
        trusted_proxies: addresses and networks of reverse proxies, ``"unix"`` for those on a Unix
            socket; what they tell in Forwarded or X-Forwarded-For is ``ws.remote_address``.
        logger: instead of ``syncws.server``.
        create_connection: a subclass of Connection, or a function with its arguments.
        wsgi_app: a WSGI application that answers all requests but those for a WebSocket, in the
            thread that a handler would have; without one they get HTTP 426.
        **options: the fields of ``Options``, as for ``connect()``.

    Raises:
        OSError: the address cannot be listened on.
        ssl.SSLError: the TLS context has no usable certificate.
    """

    def __init__(
        self,
        handler: Handler,
        host: str | None = "localhost",
        port: int = 8765,
        *,
        sock: socket.socket | None = None,
        unix_path: str | None = None,
        ssl: ssl_module.SSLContext | None = None,
        origins: Origins = SAME_ORIGIN,
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: SelectSubprotocol | None = None,
        process_request: ProcessRequest | None = None,
        process_response: ProcessResponse | None = None,
        server_header: str | None = SERVER,
        max_connections: int = 1024,
        reuse_port: bool = False,
        trusted_proxies: Proxies = (),
        logger: logging.Logger | None = None,
        create_connection: Callable[..., Connection] | None = None,
        wsgi_app: WSGIApplication | None = None,
        **options: Unpack[OptionsDict],
    ) -> None:
        if max_connections < 1:
            raise ValueError(f"max_connections={max_connections}; expected 1 or more")
        self.logger = logger or logging.getLogger("syncws.server")
        self._policy = Policy(
            handler,
            options_of(options),
            self.logger,
            ssl,
            listed_origins(origins),
            checked_subprotocols(subprotocols or ()),
            select_subprotocol,
            process_request,
            process_response,
            server_header,
            create_connection or Connection,
            TrustedProxies(trusted_proxies),
            wsgi_app,
        )
        self._max_connections = max_connections
        # Guards what follows; _idle is notified when there is less to wait for. Reentrant, since a
        # signal handler may call shutdown() anywhere in serve_forever().
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._sessions: dict[Session, threading.Thread] = {}
        self._workers = Workers("syncws-handler")
        self._stopping = False
        self._goodbye: Close | None = None  # of the first shutdown()
        self._acceptor: threading.Thread | None = None
        self._stoppers: set[threading.Thread] = set()  # handlers that are in shutdown()
        self._unix_path = unix_path
        if sock is None and unix_path is not None:
            sock = listen_unix(unix_path)
        self._listeners = [sock] if sock else listen(host, port, reuse_port)
        self._listeners[0].setblocking(False)
        self._address = self._listeners[0].getsockname()
        self._process = os.getpid()
        self._waker, self._sleeper = socket.socketpair()

    @property
    def server_address(self) -> tuple[str, int]:
        """The address of the first listening socket: (host, port), or the path of a Unix socket."""
        return self._address  # type: ignore[no-any-return]

    @property
    def connections(self) -> list[Connection]:
        """The connections that are open now."""
        with self._lock:
            connections = [session.connection for session in self._sessions]
        return [ws for ws in connections if ws is not None and ws.state is State.OPEN]

    def fileno(self) -> int:
        """Return the file descriptor of the first listening socket."""
        return self._listeners[0].fileno()

    # Accepting.

    def serve_forever(self) -> None:
        """
        Accept clients until ``shutdown()``, then wait for their handlers as it does.

        Blocks. Ctrl-C shuts down gracefully too, and is raised again then.

        Raises:
            RuntimeError: it was shut down, or another thread is in this method.
        """
        self._claim(threading.current_thread())
        try:
            self._accept_loop()
        finally:
            self.shutdown()

    def start(self) -> None:
        """Do ``serve_forever()`` in a background thread, which ends with the program."""
        thread = Thread(self._accept_loop, "syncws-accept")
        self._claim(thread)
        thread.start()

    def _claim(self, acceptor: threading.Thread) -> None:
        with self._lock:
            if self._stopping:
                raise RuntimeError("this server was shut down; make a new one")
            if self._acceptor is not None:
                raise RuntimeError("this server is serving already")
            self._acceptor = acceptor

    def _accept_loop(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._sleeper, selectors.EVENT_READ)
                for listener in self._listeners:
                    selector.register(listener, selectors.EVENT_READ)
                self.logger.info("listening on %s", address_text(self._address))
                # Under gevent this goes on in a forked child, too, whose clients they are not.
                while not self._stopping and os.getpid() == self._process:
                    self._accept_all(selector)
        finally:
            self._close_listeners()
            with self._lock:
                self._acceptor = None
                self._idle.notify_all()

    def _accept_all(self, selector: selectors.BaseSelector) -> None:
        """Take those who are waiting, or wait for one."""
        for key, _ in selector.select():
            if os.getpid() != self._process:  # forked while it waited: they are the parent's
                return
            if key.fileobj is not self._sleeper and not self._stopping:
                self._accept(key.fileobj)  # type: ignore[arg-type]

    def _accept(self, listener: socket.socket) -> None:
        """Take one client."""
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as exc:
            self.logger.error("cannot accept: %s", exc)
            self._pause()
            return
        try:
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._begin_session(sock)
        except OSError as exc:  # gone already
            sock.close()
            self.logger.info("client left: %s", exc)
        except RuntimeError as exc:
            sock.close()
            self.logger.error("cannot serve a client: %s", exc)
            self._pause()

    def _pause(self) -> None:
        """Let some clients end before more are accepted."""
        with self._lock:
            wait(self._idle, Deadline(_ACCEPT_PAUSE))

    def _begin_session(self, sock: socket.socket) -> None:
        with self._lock:
            count = len(self._sessions)
            if self._stopping or count >= self._max_connections + _REFUSALS:
                sock.close()
                return
            session = Session(self._policy, sock, refuse=count >= self._max_connections)
            worker = self._workers.get()
            self._sessions[session] = worker.thread

        def undo() -> None:
            self._end_session(session)
            sock.close()

        worker.start(functools.partial(self._serve, session), undo)

    def _serve(self, session: Session) -> None:
        try:
            if self._open(session) is not None:
                session.run_handler()
        finally:
            self._end_session(session)

    def _open(self, session: Session) -> Connection | None:
        connection = session.open()
        if connection is not None and self._goodbye is not None:
            # Its handshake ended just behind the round of shutdown().
            connection._engine.begin_close(self._goodbye)
        return connection

    def _end_session(self, session: Session) -> None:
        with self._lock:
            self._sessions.pop(session, None)
            self._idle.notify_all()

    # The end.

    def shutdown(
        self, code: int = CloseCode.GOING_AWAY, reason: str = "", timeout: float | None = None
    ) -> None:
        """
        Stop: accept no more, close all connections, wait for the handlers.

        Blocks until all handlers have returned, at most ``timeout`` seconds; then TCP is cut. May
        be called from a handler, which is not waited for, from a signal handler, and again.

        Args:
            code, reason: for the Close frames; those of the first call count.
            timeout: seconds; ``None`` means the option ``close_timeout``.

        Raises:
            ValueError: the code or the reason may not be sent; the server goes on.
        """
        close = validated_close(code, reason)
        if os.getpid() != self._process:
            self._close_listeners()  # the clients and the threads are the parent's
            return
        limit = self._policy.options.close_timeout if timeout is None else timeout
        deadline = Deadline(limit)
        with self._lock:
            self._goodbye = self._goodbye or close
        self._stop_accepting()
        for session in list(self._sessions):
            session.begin_close(self._goodbye)
        if not self._wait_idle(deadline):
            for session in list(self._sessions):
                session.abort()
            if not (self._wait_idle(Deadline(_ABORT_WAIT)) or self._interrupt_handlers()):
                self.logger.warning("handlers are still running after %s s", limit)

    def _interrupt_handlers(self) -> bool:
        """Do what can be done about handlers that do not end; return whether that ended them."""
        return False

    def _wait_idle(self, deadline: Deadline) -> bool:
        """Wait for the accept loop and for every handler but the caller's own."""
        me = threading.current_thread()
        with self._lock:
            handler = me in self._sessions.values()
            if handler:
                self._stoppers.add(me)
                self._idle.notify_all()
            try:
                # Handlers that are all in shutdown() would wait for each other.
                while self._running() - (self._stoppers if handler else {me}):
                    if not wait(self._idle, deadline):
                        return False
            finally:
                self._stoppers.discard(me)
        return True

    def _running(self) -> set[threading.Thread | None]:
        return {self._acceptor, *self._sessions.values()} - {None}

    def server_close(self) -> None:
        """
        Accept no more, and close the listening sockets; ``shutdown()`` does it too.

        Blocks until it is done. After ``start()`` the connections go on, but ``serve_forever()``
        ends as with ``shutdown()``.
        """
        self._stop_accepting()
        with self._lock:
            while self._acceptor not in (None, threading.current_thread()):
                wait(self._idle, Deadline(None))

    def _stop_accepting(self) -> None:
        """Let the accept loop end, which then closes the listening sockets."""
        with self._lock:
            self._stopping = True
            acceptor = self._acceptor
        self._workers.close()
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")
        if acceptor is None:
            self._close_listeners()

    def _close_listeners(self) -> None:
        for sock in (*self._listeners, self._waker, self._sleeper):
            sock.close()
        # Once only: later it may be another server's. In a forked child it is the parent's.
        path, self._unix_path = self._unix_path, None
        if path is not None and os.getpid() == self._process:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        address = address_text(self._address)
        return f"<{type(self).__name__} {address} connections={len(self.connections)}>"


def serve(
    handler: Handler, host: str | None = "localhost", port: int = 8765, **options: object
) -> ThreadingServer:
    """Make a ThreadingServer, which takes the same arguments. Call its ``serve_forever()``."""
    return ThreadingServer(handler, host, port, **options)  # type: ignore[arg-type]
