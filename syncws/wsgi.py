"""
WebSockets in WSGI applications: take over the connection of a request, where the server shows it.

    def chat(environ, start_response):                # in any view
        with wsgi.accept(environ) as ws:
            for message in ws:
                ws.send(message)
        start_response("101 Switching Protocols", []) # goes to the log only
        return []

    application = wsgi.middleware(application, {"/chat": handler})
"""

from __future__ import annotations

import contextlib
import functools
import logging
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable
from wsgiref.util import is_hop_by_hop

from .accepted import GOODBYE, accepted
from .codes import Role
from .connection import Connection
from .deadline import Deadline
from .exceptions import InvalidHandshake, InvalidMessage
from .forwarded import Proxies, TrustedProxies
from .handlers import Handler, run_handler
from .options import OptionsDict, options_of
from .sansio import (
    SAME_ORIGIN,
    Origins,
    Request,
    Response,
    SelectSubprotocol,
    build_response,
    check_request,
    checked_subprotocols,
    listed_origins,
    names_websocket,
    redacted,
    refusal,
    write_switching,
)
from .takeover import (
    Environ,
    Place,
    find_place,
    http_version,
    stopping,
    take_over,
    was_taken,
)
from .transport import Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


__all__ = ["accept", "app", "middleware"]


class _AcceptOptions(OptionsDict, total=False):
    """The keyword arguments of ``accept``."""

    detach: bool
    max_connections: int
    origins: Origins
    subprotocols: Sequence[str] | None
    select_subprotocol: SelectSubprotocol | None
    trusted_proxies: Proxies
    logger: logging.Logger | None
    create_connection: Callable[..., Connection] | None


def accept(
    environ: Environ, handler: Handler | None = None, **options: Unpack[_AcceptOptions]
) -> Connection:
    """
    Take over the connection of a WSGI request that asks for a WebSocket.

    Blocks for the opening handshake, and as long as the handler runs, unless it is detached. What
    the application answers to the server afterwards goes nowhere but into its log; 101 is the true
    status.

    Works in Werkzeug, gunicorn, gevent.pywsgi, eventlet.wsgi, cheroot, wsgiref and uWSGI.

    Args:
        environ: of the request.
        handler: called with the connection as by ``ThreadingServer``. Without one the caller uses
            the connection that is returned, and closes it.
        detach: let the connection outlive the request, so that it does not keep one of the server's
            threads: the handler runs in a thread of ours, and without one the connection stays open
            for others to use. Otherwise it is closed with 1001 at the latest when the server has
            done with the request.
        max_connections: how many of this process may be detached at one time, those included that
            are closed but for a handler that still runs; 1024 by default. Nothing else counts.
        origins, subprotocols, select_subprotocol, trusted_proxies, logger, create_connection: as
            of ``ThreadingServer``.
        **options: the fields of ``Options``.

    Raises:
        InvalidHandshake: the request asks for no WebSocket, or may not have one; answer it with
            plain HTTP, as ``app`` does. ``status`` is the HTTP status that fits.
        UnsupportedServer: no socket can be taken over: waitress, mod_wsgi, TLS in the server; or it
            was taken over already, or is closed.
        OSError: the client is gone, or did not take the answer in ``open_timeout``, or the system
            has no more file descriptors.
        RuntimeError: with ``detach``: the system has no more threads.
        TypeError, ValueError: an argument cannot be used.
    """
    return _Door(**options).accept(environ, handler)


def app(handler: Handler, **options: Unpack[_AcceptOptions]) -> Application:
    """
    Make a WSGI application of a handler; what asks for no WebSocket is answered with HTTP 426.

    The arguments are those of ``accept``.

    Raises:
        TypeError, ValueError: an argument cannot be used.
    """
    if not callable(handler):
        raise TypeError(f"handler is called with each connection; got {handler!r}")
    return functools.partial(_serve, _Door(**options), handler)


def middleware(
    app: Application, routes: Mapping[str, Handler], **options: Unpack[_AcceptOptions]
) -> Application:
    """
    Serve WebSockets beside a WSGI application.

    A request that asks for a WebSocket on one of the paths goes to the path's handler, everything
    else to the application, also plain requests for the same path.

    Args:
        app: the application.
        routes: handlers by path, as in PATH_INFO: ``{"/chat": handler}``.
        **options: the arguments of ``accept``.

    Raises:
        TypeError, ValueError: an argument cannot be used.
    """
    _check_routes(app, routes)
    door = _Door(**options)

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        handler = routes.get(environ.get("PATH_INFO") or "/")
        if handler is None or not names_websocket([environ.get("HTTP_UPGRADE", "")]):
            return app(environ, start_response)
        return _serve(door, handler, environ, start_response)

    return application


def _check_routes(app: object, routes: object) -> None:
    """Refuse now what would fail, or never be found, with the first client."""
    if not callable(app):
        raise TypeError(f"app is a WSGI application; got {app!r}")
    if not isinstance(routes, Mapping):
        raise TypeError(f"routes is a mapping of paths to handlers; got {routes!r}")
    for path, handler in routes.items():
        if not (isinstance(path, str) and path.startswith("/")) or "?" in path:
            raise ValueError(f'route {path!r}: expected a path that begins with "/", without query')
        if not callable(handler):
            raise TypeError(f"route {path!r}: its handler is called with each connection")


def _serve(
    door: _Door, handler: Handler, environ: Environ, start_response: StartResponse
) -> Iterable[bytes]:
    try:
        door.accept(environ, handler)
        response = Response(101)
    except InvalidHandshake as exc:
        door.logger.info("opening handshake failed: %s", exc or type(exc).__name__)
        response = refusal(exc)
        response.headers.add("Content-Length", str(len(response.body)))
    except OSError as exc:
        if not was_taken(environ):
            raise
        door.logger.info("opening handshake failed: %s", exc or type(exc).__name__)
        response = Response(101)  # too late for another one
    fields = [field for field in response.headers.items() if not is_hop_by_hop(field[0])]
    start_response(f"{response.status} {response.reason}", fields)
    return [response.body] if response.body else []


class _Door:
    """What ``accept`` is told, checked once."""

    def __init__(
        self,
        detach: bool = False,
        max_connections: int = 1024,
        origins: Origins = SAME_ORIGIN,
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: SelectSubprotocol | None = None,
        trusted_proxies: Proxies = (),
        logger: logging.Logger | None = None,
        create_connection: Callable[..., Connection] | None = None,
        **options: Unpack[OptionsDict],
    ) -> None:
        if max_connections < 1:
            raise ValueError(f"max_connections={max_connections}; expected 1 or more")
        self.logger = logger or logging.getLogger("syncws.server")
        self._detach = detach
        self._max_connections = max_connections
        self._origins = listed_origins(origins)
        self._subprotocols = checked_subprotocols(subprotocols or ())
        self._select_subprotocol = select_subprotocol
        self._trusted_proxies = TrustedProxies(trusted_proxies)
        self._create_connection = create_connection or Connection
        self._options = options_of(options)

    def accept(self, environ: Environ, handler: Handler | None) -> Connection:
        request = request_of(environ)
        check_request(request, self._origins)
        response = build_response(
            request, self._subprotocols, self._select_subprotocol, self._options.deflate
        )
        place = find_place(environ)
        client = self._trusted_proxies.client_address(place.peer_address, request.headers)
        stops = stopping(environ)
        with accepted.room(self._max_connections) if self._detach else contextlib.nullcontext():
            connection = self._open(environ, place, client, request, response)
            accepted.add(connection, self._detach, stops)
        if handler is not None:
            run = functools.partial(run_handler, handler, connection)
            if self._detach:
                accepted.run(connection, run)
            else:
                run()
        return connection

    def _open(
        self, environ: Environ, place: Place, client: Any, request: Request, response: Response
    ) -> Connection:
        """Take the socket and finish the opening handshake."""
        self.logger.debug("< %s %s", request.path, redacted(request.headers.items()))
        sock, trailing, sink = take_over(environ, place)
        transport = Transport(sock)
        transport.remote_address = client
        try:
            head = write_switching(response)
            self.logger.debug("> 101 %s", redacted(response.headers.items()))
            transport.send(head, Deadline(self._options.open_timeout))
            connection = self._create_connection(
                transport, Role.SERVER, request, response, self._options, self.logger
            )
        except BaseException:
            transport.close()
            sink.watch(None)
            raise
        connection._start(trailing)
        begin_close = functools.partial(connection._engine.begin_close, GOODBYE)
        sink.watch(None if self._detach else begin_close)
        return connection


def request_of(environ: Environ) -> Request:
    """
    Read the client's half of the opening handshake from a WSGI environ.

    Raises:
        InvalidMessage: something in it cannot stand in a request.
        TypeError: it is no environ.
    """
    if not (isinstance(environ, dict) and "REQUEST_METHOD" in environ):
        raise TypeError(
            "accept() wants the WSGI environ of a request, which is flask.request.environ, or in "
            f"Django request.environ; got {type(environ).__name__}"
        )
    request = Request(
        environ.get("RAW_URI") or environ.get("REQUEST_URI") or _rebuilt_target(environ),
        method=environ["REQUEST_METHOD"],
        http_version=http_version(environ),
    )
    request.username = environ.get("REMOTE_USER")
    try:
        for key, value in environ.items():
            if key.startswith("HTTP_"):
                request.headers.add(key[5:].replace("_", "-").title(), value)
        if environ.get("CONTENT_LENGTH"):
            request.headers.add("Content-Length", environ["CONTENT_LENGTH"])
    except ValueError as exc:
        raise InvalidMessage(f"bad HTTP request: {exc}") from None
    return request


def _rebuilt_target(environ: Environ) -> str:
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    target = urllib.parse.quote(path, safe="/;=,:@!$&'()*+~", encoding="latin-1") or "/"
    query = environ.get("QUERY_STRING")
    return f"{target}?{query}" if query else target
