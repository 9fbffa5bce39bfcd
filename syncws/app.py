"""WebSocketApp: a client with callbacks, in the words of websocket-client."""

from __future__ import annotations

import functools
import socket as socket_module
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable

from .app_logic import AppCallbacks, Callback
from .app_options import HeaderLike, headers_of, tls_of, worth_retrying
from .attempt import Attempt
from .attempts import Attempts, Backoff
from .client import connect
from .codes import Opcode, State
from .connection import Connection
from .deadline import Deadline, wait
from .dial import SocketOption
from .exceptions import Close, ConnectionClosedError
from .outgoing import DataLike
from .sansio import validated_close

_LONGEST = 60.0  # seconds between two attempts


class WebSocketApp(AppCallbacks):
    """
    A connection to a server that calls back; ``run_forever()`` does it all.

    Callbacks run in the thread of ``run_forever()``, one after the other, in the order in which
    things happened; Pings are answered and the keepalive goes on meanwhile. All methods may be
    called from any thread and from any callback.

    An Exception in a callback goes to ``on_error``, or to the log, with its traceback; the
    connection stays. KeyboardInterrupt and SystemExit end ``run_forever()``.

    Args:
        url: ``ws://...`` or ``wss://...``.
        header: ``["Name: value"]``, a dict, or a function that returns one, called for each
            attempt to connect.
        on_open: ``on_open(app)``: connected.
        on_reconnect: ``on_reconnect(app)``: connected once more; without it ``on_open`` is called.
        on_message: ``on_message(app, message)``: ``str`` or ``bytes``.
        on_error: ``on_error(app, exception)``: a callback raised, connecting failed, or the
            connection ended abnormally (ConnectionClosedError).
        on_close: ``on_close(app, code, reason)``: ``run_forever()`` is about to return; called once
            in each. The code is 1006 if the server sent none, ``None`` if there was no connection.
        on_ping, on_pong: ``on_ping(app, payload)``.
        on_cont_message: ``on_cont_message(app, piece, fin)``: if given, long or fragmented
            messages come here, piece by piece.
        cookie: the value of a Cookie header.
        subprotocols: names in order of preference.
        on_data: ``on_data(app, data, opcode, fin)``: before ``on_message`` and ``on_cont_message``.
        socket: a connected socket to use.

    Attributes:
        connection: the Connection that is open, or the last one, or ``None``.
    """

    def __init__(
        self,
        url: str,
        header: HeaderLike | Callable[[], HeaderLike] = None,
        on_open: Callback | None = None,
        on_reconnect: Callback | None = None,
        on_message: Callback | None = None,
        on_error: Callback | None = None,
        on_close: Callback | None = None,
        on_ping: Callback | None = None,
        on_pong: Callback | None = None,
        on_cont_message: Callback | None = None,
        *,
        cookie: str | None = None,
        subprotocols: Sequence[str] | None = None,
        on_data: Callback | None = None,
        socket: socket_module.socket | None = None,
    ) -> None:
        self.url = url
        self.header = header
        self.on_open = on_open
        self.on_reconnect = on_reconnect
        self.on_message = on_message
        self.on_error = on_error
        self.on_close = on_close
        self.on_ping = on_ping
        self.on_pong = on_pong
        self.on_cont_message = on_cont_message
        self.cookie = cookie
        self.subprotocols = subprotocols
        self.on_data = on_data
        self.socket = socket
        self.connection: Connection | None = None
        # Guards what follows; notified by close(), and when an attempt to connect is done.
        self._changed = threading.Condition()
        self._running = False
        self._goodbye: Close | None = None  # of close()

    # Sending.

    def send(self, data: DataLike, opcode: int = Opcode.TEXT) -> None:
        """
        Send a message, or a Ping or Pong; bytes as Text, too, unless the opcode says otherwise.

        Blocks until the operating system has taken it, at most ``send_timeout`` seconds.

        Raises:
            ConnectionClosed: there is no open connection.
            UnicodeDecodeError: bytes that are to be Text are not UTF-8.
            ValueError: the opcode is not TEXT, BINARY, PING or PONG.
            Exception: as ``Connection.send``.
        """
        ws = self._open_connection()
        if opcode in (Opcode.TEXT, Opcode.BINARY):
            ws.send(data, text=opcode == Opcode.TEXT)
        elif opcode == Opcode.PING:
            ws.ping_nowait(data)
        elif opcode == Opcode.PONG:
            ws.pong(data)
        else:
            raise ValueError(f"opcode={opcode!r}; expected TEXT, BINARY, PING or PONG")

    def send_text(self, text_data: str) -> None:
        """Send a Text message; as ``send``."""
        self.send(text_data, Opcode.TEXT)

    def send_bytes(self, data: DataLike) -> None:
        """Send a Binary message; as ``send``."""
        self.send(data, Opcode.BINARY)

    def ready(self) -> bool:
        """Tell whether there is an open connection."""
        ws = self.connection
        return ws is not None and ws.state is State.OPEN

    def _open_connection(self) -> Connection:
        if self.connection is None:
            cause = RuntimeError("run_forever() has no connection")
            raise ConnectionClosedError(None, None) from cause
        return self.connection

    # The end.

    def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Let ``run_forever()`` end: close the connection, or give up connecting or waiting.

        Does not block: ``run_forever()`` returns when the server has answered, at most
        ``close_timeout`` seconds later. Before ``run_forever()`` it lets that return at once.

        Raises:
            ValueError: the code or the reason may not be sent.
        """
        close = validated_close(code, reason)
        with self._changed:
            self._goodbye = self._goodbye or close
            ws = self.connection
            self._changed.notify_all()
        if ws is not None:
            ws._engine.begin_close(self._goodbye)

    # The loop.

    def run_forever(
        self,
        sockopt: Iterable[SocketOption] = (),
        sslopt: Mapping[str, Any] | None = None,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        host: str | None = None,
        origin: str | None = None,
        reconnect: float | None = None,
        **options: Any,
    ) -> bool:
        """
        Connect, and call back until the connection ends, or ``close()`` is called.

        Blocks. Returns whether the end was an error: no connection, or an abnormal end.

        Args:
            sockopt: arguments of ``setsockopt``.
            sslopt: for wss: ``ca_certs``, ``cert_reqs``, ``check_hostname``, ``certfile``, ...,
                or a whole ``context``.
            ping_interval, ping_timeout: seconds, as of ``connect()``; 0 for none.
            host: the Host header, if it is not the URL's.
            origin: the Origin header.
            reconnect: seconds. Connect again after an end that was no normal close by the server
                (1000) and no fault of this program's. The pause before it is random, at most so
                long the first time and up to twice as long with each failure, to a minute. A
                connection that lasted 30 s lets it be short again.
            **options: further arguments of ``connect()``.

        Raises:
            RuntimeError: it is running already.
            TypeError, ValueError: an argument or the URL cannot be used.
        """
        context, name = tls_of(sslopt or {})
        asked = {
            "sock": self.socket,
            "ssl": context,
            "server_hostname": name,
            "origin": origin,
            "subprotocols": self.subprotocols,
            "socket_options": sockopt,
            "ping_interval": ping_interval or None,
            "ping_timeout": ping_timeout or None,
            **options,
        }
        if reconnect and self.socket is not None:
            raise ValueError("socket= can be used only once, so there is no reconnect=")
        with self._changed:
            if self._running:
                raise RuntimeError("run_forever() is running already")
            self._running = True
            self.connection = None
        try:
            return self._run(asked, host, reconnect or 0.0)
        finally:
            ws = self.connection
            with self._changed:
                self._running, self._goodbye = False, None
            end = (None, None) if ws is None else (ws.close_code, ws.close_reason)
            self._call(self.on_close, *end)
            with self._changed:
                if not self._running:  # on_close may have let it run again
                    self._goodbye = None

    def _run(self, options: dict[str, Any], host: str | None, reconnect: float) -> bool:
        backoff = (
            Backoff(initial=reconnect, maximum=max(reconnect, _LONGEST)) if reconnect else None
        )
        attempts = Attempts(backoff, worth_retrying)
        again = False
        while True:
            opened = None
            try:
                ws = self._connect(options, host)
                if ws is None:
                    return False
                opened = time.monotonic()
                end = self._converse(ws, again)
                again = True
            except Exception as exc:
                if isinstance(exc, (TypeError, ValueError)) and not isinstance(exc, OSError):
                    raise
                end = exc
            errored = self._tell_end(end, self._goodbye is not None)
            if self._goodbye or not reconnect:
                return errored
            delay = attempts.after(end, 0.0 if opened is None else time.monotonic() - opened)
            if delay is None:
                return errored
            self._pause(delay)

    def _connect(self, options: dict[str, Any], host: str | None) -> Connection | None:
        """Return an open connection; None if ``close()`` came first."""
        headers = headers_of(self.header, self.cookie)
        if host is not None:
            headers.add("Host", host)
        make = functools.partial(self._make, options.get("create_connection") or Connection)
        call = functools.partial(
            connect,
            self.url,
            **{**options, "additional_headers": headers, "create_connection": make},
        )
        with self._changed:
            if self._goodbye:
                return None
        attempt = Attempt(call, self._changed, _drop, "syncws-app-connect")
        try:
            with self._changed:
                while not (attempt.done or self._goodbye):
                    wait(self._changed, Deadline(None))
                if not self._goodbye:
                    self.connection = attempt.result()
                    return self.connection
        except BaseException:
            attempt.give_up()
            raise
        attempt.give_up()
        return None

    def _make(self, make: Callable[..., Connection], *args: Any) -> Connection:
        """Make a Connection that gives events from its first byte on."""
        connection = make(*args)
        connection.events(whole=self.on_cont_message is None)
        return connection

    def _converse(self, ws: Connection, again: bool) -> Exception:
        """Call back until the connection is closed; return how it ended."""
        with ws:
            self._tell_open(again)
            for event in ws.events(whole=self.on_cont_message is None):
                if self._goodbye:
                    break
                self._tell(event)
        return ws._engine.closed_error()

    def _pause(self, seconds: float) -> None:
        deadline = Deadline(seconds)
        with self._changed:
            while not (self._goodbye or deadline.lapsed):
                wait(self._changed, deadline)


def _drop(ws: Connection) -> None:
    ws.abort()
    ws.wait_closed()
