"""
An ordered byte stream over a connected socket, for one reader and one writer.

Knows nothing of WebSocket. Reading and writing are independent and may happen at the same time.
What the socket does not take at once stays here and goes out first next time: nothing that
interrupts a write can tear the stream.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
import types
from typing import Any

from . import sockets
from .deadline import ENDLESS, NOW, Deadline
from .forks import greenlets, watch_forks

READ_SIZE = 64 * 1024
# A read that waits holds its buffer, and many connections wait.
LITTLE_READ = 512
_LITTLE_READ = (LITTLE_READ,)
_BIG_READ = (READ_SIZE,)
_FIRST_READ = (4 * 1024,)  # the head of an opening handshake, in one piece
_FEW_PINGS = 4096  # bytes
_BUSY = (BlockingIOError, InterruptedError)
# struct linger {on, 0 seconds}: its members are short on Windows, int elsewhere.
_RESET = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class Transport:
    """
    A plain byte stream.

    ``recv`` is for one thread at a time, and so are the sending methods together; ``abort`` is for
    any thread at any time and wakes the others. Network errors are raised as ``OSError``.
    """

    # TLS bytes that only a write can bring out; see TLSTransport.
    wants_flush = False
    # Whoever is at the other end, where others know that better than the socket: behind a proxy.
    remote_address: Any = None

    def __init__(self, sock: socket.socket) -> None:
        watch_forks()
        self._sock = sock
        self._received: list[bytes] = []  # one read, for a moment
        self._read_size = _FIRST_READ  # of the next read: big, if the last one was not little
        # (bytes, how many of them the socket took, call by call). Ctrl-C may come in behind every
        # call; so the one that moves bytes notes that too, all of it in C: see extend() and map().
        # A list only while there is something: it would have to come from far memory.
        self._unsent: list[tuple[bytes, list[int]]] | None = None
        self._stuck = False  # the socket did not take all
        self._torn = False  # nobody knows what it took
        # Under gevent and eventlet Ctrl-C may come in between.
        self._sends_in_c = isinstance(sock.send, types.BuiltinMethodType)
        # Counts the times the socket took bytes that had waited: a peer that makes room is alive.
        # Bytes for which there is room anyway say nothing of the peer.
        self.progress = 0
        self._taken = 0  # bytes that the socket took
        # The number of a closed file descriptor may be another socket's: abort() must not come
        # behind close(). Reentrant, since the destructor of a connection may call it anywhere.
        self._end_lock = threading.RLock()
        sock.settimeout(None if sockets.DONTWAIT else 0)

    @property
    def sock(self) -> socket.socket:
        """The socket, for its addresses and options; do not read or write it."""
        return self._sock

    # Reading.

    def recv(self, deadline: Deadline = ENDLESS) -> bytes:
        """
        Return the next bytes, at least one; ``b""`` is the end of the stream.

        Blocks until there are some.

        Raises:
            TimeoutError: the deadline lapsed.
        """
        data = None
        while data is None:
            if not self.fill(deadline):
                raise TimeoutError(f"nothing received in {deadline.seconds} s")
            data = self.take()
        return data

    def fill(self, deadline: Deadline = ENDLESS) -> bool:
        """
        Wait until ``take`` may have something; return False on a timeout.

        Ctrl-C may interrupt it at any moment, and loses nothing.
        """
        received = self._received
        while not received:
            # All of it in C: nothing can come between the end of recv() and the note of its result.
            if deadline is ENDLESS and sockets.DONTWAIT:
                received.extend(map(self._sock.recv, self._read_size))
            elif deadline is not NOW and not sockets.wait_for(
                self._sock, "read", deadline.remaining()
            ):
                return False
            else:
                try:
                    received.extend(map(self._sock.recv, self._read_size, sockets.NOT_WAITING))
                except _BUSY:
                    if deadline is NOW:
                        return False
                except KeyboardInterrupt:
                    if greenlets() and not received:  # as in flush_nowait: what came may be lost
                        self.abort()
                    raise
        return True

    @property
    def more(self) -> bool:
        """Whether there is something to take, whatever the socket says."""
        return bool(self._received)

    def take(self) -> bytes | None:
        """Return what came, ``b""`` at the end; None if one can make nothing of it yet."""
        data = self._received.pop()
        self._read_size = _LITTLE_READ if len(data) < LITTLE_READ else _BIG_READ
        return data

    # Writing.

    @property
    def pending(self) -> bool:
        """Whether the socket has yet to take something."""
        return bool(self._unsent)

    def send_nowait(self, data: bytes, rest: bytes = b"") -> bool:
        """
        Send without blocking; return False if a part has to wait for ``flush_nowait``.

        What is large can be given as the ``rest``, so that nobody has to copy it behind the data.
        """
        taken: list[int] = []
        given = [(data, taken), (rest, [])] if rest else [(data, taken)]
        if self._unsent:
            self._unsent.extend(given)  # both or none, also if interrupted
        else:
            self._unsent = given
            if self._sends_in_c and not rest:  # the common case, as below but without detours
                try:
                    taken.extend(map(self._sock.send, (data,), sockets.NOT_WAITING))
                    self._taken += taken[0]
                    if taken[0] == len(data):
                        self._unsent = None
                        return True
                except _BUSY:
                    self._stuck = True
                    return False
        return self.flush_nowait()

    def flush_nowait(self) -> bool:
        """
        Send what had to wait; return False if a part still has to.

        Raises:
            OSError: a write was interrupted by Ctrl-C, and nobody knows how far it came.
        """
        unsent = self._unsent
        while unsent:
            if self._torn:
                raise OSError("a write was interrupted in the middle; the stream cannot go on")
            data, taken = unsent[0]
            calls = len(taken)
            rest = memoryview(data)[sum(taken) :] if calls else data
            flags = sockets.NOT_WAITING if len(unsent) == 1 else sockets.MORE
            try:
                taken.extend(map(self._sock.send, (rest,), flags))
            except _BUSY:
                self._stuck = True
                return False
            except KeyboardInterrupt:
                if not self._sends_in_c:
                    self._torn = len(taken) == calls  # else it was not called
                raise
            sent = taken[-1]
            self._taken += sent
            self.progress += self._stuck
            if sent == len(rest):
                del unsent[0]
        self._unsent = None
        self._stuck = False
        return True

    def wait_writable(self, deadline: Deadline) -> bool:
        """Wait until the socket takes bytes again or is broken; return False on a timeout."""
        return sockets.wait_for(self._sock, "write", deadline.remaining())

    def send(self, data: bytes, deadline: Deadline) -> None:
        """
        Send all of the data.

        Blocks until the socket has taken it.

        Raises:
            TimeoutError: the deadline lapsed; the rest waits for ``flush_nowait``.
        """
        self._finish(self.send_nowait(data), deadline)

    def _finish(self, done: bool, deadline: Deadline) -> None:
        """Send what had to wait, if not all is done yet."""
        while not done:
            if not self.wait_writable(deadline):
                raise TimeoutError(f"the peer did not take all bytes in {deadline.seconds} s")
            done = self.flush_nowait()

    def confirmed(self) -> int:
        """
        Return how far the peer has come in what is on its way to it; 0 if there is little.

        Little is less than a few Pings need. Where the system cannot tell it is 0, too.
        """
        try:
            import fcntl
            import termios

            answer = fcntl.ioctl(self._sock, termios.TIOCOUTQ, bytes(4))
        except (ImportError, OSError, ValueError):
            return 0
        on_the_way = int.from_bytes(answer, sys.byteorder)
        return 0 if on_the_way < _FEW_PINGS else self._taken - on_the_way

    # The end.

    def half_close(self) -> None:
        """Tell the peer that no more bytes come. Everything must have been flushed."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def shutdown(self) -> None:
        """End the stream both ways and wake whoever reads or waits to write."""
        with self._end_lock, contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def abort(self) -> None:
        """Do the same by a reset, so that nothing is left to be delivered."""
        with self._end_lock:
            self.reset_on_close()
            self.shutdown()

    def reset_on_close(self) -> None:
        """Let ``close`` be a reset, so that the peer does not take this for an orderly end."""
        with self._end_lock, contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def close(self) -> None:
        """Give the file descriptor back. Nobody may be reading or writing."""
        self._unsent = None
        with self._end_lock:
            self._sock.close()

    def disown(self) -> None:
        """Close our copy in a forked child, where locks may be held by threads that are gone."""
        self._unsent = None
        self.wants_flush = False
        self._sock.close()
