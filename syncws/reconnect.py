"""reconnect(): one open connection after the other, with pauses between them."""

from __future__ import annotations

import _thread
import logging
import os
import signal
import sys
import threading
import time
from types import TracebackType
from typing import Any, Callable, Protocol

from .attempts import Attempts, Backoff, Retry, is_transient
from .client import connect
from .codes import CloseCode
from .connection import Connection
from .deadline import Deadline, Waitable, wait
from .housekeeper import housekeeper
from .sansio import Headers
from .uri import parse_uri

_BEHIND = 0.05  # seconds in which a destructor returns
OnReconnect = Callable[[int, float, Exception], object]


class Stop(Waitable, Protocol):
    """What ends the pauses: a ``threading.Event``, or another's."""

    def is_set(self) -> bool:
        """Tell whether to stop."""


class Connections:
    """
    An iterator of open connections; ``reconnect()`` makes it.

    One thread at a time may iterate; ``close()`` is thread-safe. As a context manager it closes at
    the end of the block, and the connection with it: with 1000, or with 1011 on an exception.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def __iter__(self) -> Connections:
        return self

    def __next__(self) -> Connection:
        """
        Close the connection that was handed out before, then return a new one that is open.

        Blocks until there is one: for as long as failures are transient, through all pauses.

        Raises:
            StopIteration: ``stop`` is set, or ``close()`` was called.
            Exception: what ``connect()`` raised, or how the last connection ended, if ``retry=``
                says that connecting again does not help.
        """
        steps = self._steps
        steps.caller = id(sys._getframe().f_back)
        # A traceback keeps this frame. Who keeps an exception is not to keep what closes.
        del self
        return steps.next()

    def close(self, code: int = CloseCode.NORMAL_CLOSURE.value, reason: str = "") -> None:
        """
        End the loop: close the connection that is open, and make no other.

        Blocks as ``Connection.close()`` does. Thread-safe: from another thread it also wakes the
        loop's from its pause, unless that waits for a ``stop`` of yours: set that as well. An
        attempt to connect goes on to its end, at most ``open_timeout``.

        Raises:
            ValueError: the code or the reason may not be sent.
        """
        self._steps.close(code, reason)

    def __enter__(self) -> Connections:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        code = CloseCode.NORMAL_CLOSURE if exc_type is None else CloseCode.INTERNAL_ERROR
        self.close(code.value)

    def __del__(self) -> None:
        """Close the connection of a loop that was left by ``break``, ``return`` or an exception."""
        # That comes from the loop's own frame. The garbage collector comes anywhere, also where a
        # lock is held: then the connection cuts itself, as every one does that nobody holds.
        steps = self._steps
        in_the_loop = id(sys._getframe().f_back) == steps.caller
        if steps.connection is None or not in_the_loop or sys.is_finalizing():
            return
        try:
            steps.connection.close()
        except KeyboardInterrupt:
            steps.connection.abort()
            # Python swallows what a destructor raises, so it is raised again behind this one.
            housekeeper.call_later(_BEHIND, _press_ctrl_c)


class Steps:
    """
    What Connections do.

    Attributes:
        connection: the one that is open, or was.
        caller: the frame that iterates.
    """

    def __init__(
        self,
        url: str,
        attempts: Attempts,
        stop: Stop | None,
        on_reconnect: OnReconnect | None,
        options: dict[str, Any],
    ) -> None:
        self._url = url
        self._place = parse_uri(url).host_header
        self._attempts = attempts
        self._own_stop = threading.Event()
        self._stop: Stop = self._own_stop if stop is None else stop
        self._on_reconnect = on_reconnect
        self._options = options
        self._log = options.get("logger") or logging.getLogger("syncws.client")
        self._lock = threading.Lock()  # guards the next two
        self.connection: Connection | None = None
        self._over = False
        self._opened = 0.0
        self.caller = 0

    def next(self) -> Connection:
        """
        Do as ``Connections.__next__``.

        Raises:
            StopIteration, Exception: as there.
        """
        try:
            self._finish_last()
            while not self._stopped():
                connection = self._try()
                if connection is not None:
                    return connection
        except BaseException:
            self._over = True  # as in a generator: nothing comes behind an exception
            if self.connection is not None:
                self.connection.abort()  # Ctrl-C while it was being closed
            raise
        raise StopIteration

    def close(self, code: int, reason: str) -> None:
        """Do as ``Connections.close``."""
        with self._lock:
            self._over = True
            connection = self.connection
        self._own_stop.set()
        if connection is not None:
            connection.close(code, reason)

    def _stopped(self) -> bool:
        return self._over or self._stop.is_set()

    def _finish_last(self) -> None:
        """Close the connection that the loop is done with, and pause unless it was stable."""
        connection = self.connection
        if connection is None:
            return
        lasted = time.monotonic() - self._opened
        connection.close()
        self.connection = None
        if not self._stopped():
            self._pause(connection._engine.closed_error(), lasted)

    def _try(self) -> Connection | None:
        """Make one attempt; pause if it fails."""
        try:
            options = dict(self._options)
            if callable(options.get("additional_headers")):
                options["additional_headers"] = options["additional_headers"]()
            connection = connect(self._url, **options)
        except Exception as exc:
            if not self._stopped():
                self._pause(exc, 0.0)
            return None
        with self._lock:
            self._opened = time.monotonic()
            self.connection = connection
        if not self._stopped():
            return connection
        connection.close()  # as was asked for meanwhile
        return None

    def _pause(self, exc: Exception, lasted: float) -> None:
        delay = self._attempts.after(exc, lasted)
        if delay is None:
            raise exc
        number = self._attempts.failures
        self._log.info("%s: attempt %d follows in %.3g s: %s", self._place, number, delay, exc)
        if self._on_reconnect is not None:
            self._on_reconnect(number, delay, exc)
        wait(self._stop, Deadline(delay))


def _press_ctrl_c() -> None:
    if os.name == "posix":
        os.kill(os.getpid(), signal.SIGINT)
    else:
        _thread.interrupt_main()


def reconnect(
    url: str,
    *,
    backoff: Backoff | None = None,
    retry: Retry = is_transient,
    stop: Stop | None = None,
    on_reconnect: OnReconnect | None = None,
    **connect_options: Any,
) -> Connections:
    """
    Return an iterator of open connections: whenever the last has ended, there is a new one.

    Does not block; each step of the iterator does, until a connection is open. Each is closed when
    the body of the loop ends, also by ``continue``, ``break`` or an exception. What the body raises
    leaves the loop, as in every loop: suppress ``ConnectionClosed`` inside. If the connection
    ended in a way that connecting again does not mend, the iterator raises that itself.

        for ws in reconnect("wss://example.com/feed"):
            with contextlib.suppress(ConnectionClosed):
                for message in ws:
                    print(message)

    Args:
        url: as of ``connect()``.
        backoff: how long to wait between two attempts; by default ``Backoff()``.
        retry: called with the exception of a failed attempt, or of the connection's end
            (``ConnectionClosedOK``, too); tells whether to connect again. By default
            ``is_transient``.
        stop: a ``threading.Event``; once it is set, no connection is made any more. A pause ends at
            once; it does not wake a ``recv()``: for that use ``close()`` of the result.
        on_reconnect: called before each pause with the number of failures in a row, the seconds to
            wait, and the exception. What it raises ends the loop.
        **connect_options: as of ``connect()``, but for ``sock``. ``additional_headers`` may be a
            function without arguments, called for each attempt.

    Raises:
        InvalidURI, TypeError, ValueError: an argument cannot be used.
    """
    options = reusable(connect_options)
    return Connections(Steps(url, Attempts(backoff, retry), stop, on_reconnect, options))


def reusable(connect_options: dict[str, Any]) -> dict[str, Any]:
    """
    Return the same options, so that they do for more than one attempt.

    Raises:
        TypeError: they cannot.
    """
    if "sock" in connect_options:
        raise TypeError("sock= can be used only once; reconnect() needs a new one each time")
    options = dict(connect_options)
    # An iterator would be used up by the first attempt.
    if not callable(options.get("additional_headers")):
        options["additional_headers"] = Headers(options.get("additional_headers"))
    options["socket_options"] = list(options.get("socket_options", ()))
    return options
