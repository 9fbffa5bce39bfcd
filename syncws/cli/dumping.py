"""``syncws dump``: what a server sends, line by line, for pipes and scripts."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from .. import Connection, ConnectionClosed, Connections, reconnect
from ..events import CloseConnection, Event, WebSocket
from .exits import Exit, OutputGone, UsageError, verdict
from .opening import as_usage, client_options, open_connection, tell_handshake
from .output import notice, out
from .records import SENT, Record, json_line, message_record, record_of, text_line
from .shown import escaped
from .talking import cut_at_the_end, ending


def run(args: argparse.Namespace) -> Exit:
    """
    Do what the command line says, and return the exit code.

    Raises:
        Exception: as ``exits.verdict()`` expects it.
    """
    if args.stdin and args.reconnect:
        raise UsageError("--stdin and --reconnect do not go together: lines would be lost")
    dump = Dump(args)
    with _connections(args) as connections:
        for connection in connections:
            with cut_at_the_end(connection):
                if dump.follow(connection):
                    return Exit.OK
    code, said = verdict(ending(connection))
    if args.verbose or code is not Exit.OK:
        notice(f"syncws: {said}")
    return code


@contextlib.contextmanager
def _connections(args: argparse.Namespace) -> Iterator[Connections | list[Connection]]:
    if not args.reconnect:
        yield [open_connection(args)]
        return
    options = client_options(args)
    with as_usage():
        opened = reconnect(
            args.url, on_reconnect=_tell_pause, create_connection=WebSocket, **options
        )
    with opened:
        yield opened


def _tell_pause(number: int, delay: float, exc: Exception) -> None:
    notice(f"syncws: {escaped(str(exc))}; attempt {number} follows in {delay:.1f} s")


class Dump:
    """Writes what happens on connections, one after the other."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._line = json_line if args.json else text_line
        self._left = args.count
        self._opened = 0.0
        self._writing = threading.Lock()

    def follow(self, connection: Connection) -> bool:
        """
        Write what happens until the connection ends; return whether all that was wanted came.

        Raises:
            TimeoutError: no message for ``--timeout`` seconds.
            OutputGone: nobody reads the output any more.
        """
        tell_handshake(self._args, connection)
        self._opened = time.monotonic()
        self._write(Record("open", connection.path, time.time(), 0.0))
        if self._args.stdin:
            threading.Thread(target=self._send_lines, args=[connection], daemon=True).start()
        silent_since = time.monotonic()
        while True:
            event = self._next(connection, silent_since)
            record = self._record(event)
            self._write(record)
            if isinstance(event, CloseConnection):
                return False
            if record.is_message:
                silent_since = time.monotonic()
                if self._was_last():
                    self._close(connection)
                    return True

    def _next(self, connection: Connection, silent_since: float) -> Event:
        timeout = self._args.timeout
        left = None if timeout is None else max(0.0, silent_since + timeout - time.monotonic())
        try:
            return next(connection.events(left, whole=True))
        except TimeoutError:
            self._close(connection)
            raise TimeoutError(f"no message in {timeout:g} s") from None

    def _was_last(self) -> bool:
        if self._left is not None:
            self._left -= 1
        return self._left == 0

    def _close(self, connection: Connection) -> None:
        """Close as we want it; what still comes is not asked for, but how it ends is."""
        connection.close()
        for event in connection.events(whole=True):
            if isinstance(event, CloseConnection):
                self._write(self._record(event))

    def _record(self, event: Event) -> Record:
        return record_of(event, time.time(), time.monotonic() - self._opened)

    def _write(self, record: Record) -> None:
        if self._args.json or record.is_message:
            with self._writing:
                out(self._line(record, self._args.timings))

    def _send_lines(self, connection: Connection) -> None:
        # Not sys.stdin: Python's end would wait for its lock while this thread reads.
        fd = sys.stdin.fileno()
        ends = contextlib.suppress(ConnectionClosed, OutputGone)  # the other thread tells
        with open(fd, errors="replace", closefd=False) as lines, ends:
            for line in lines:
                self._send(connection, line.rstrip("\n"))

    def _send(self, connection: Connection, line: str) -> None:
        connection.send(line)
        if self._args.json:
            now = time.monotonic() - self._opened
            self._write(message_record(line, time.time(), now, SENT))
