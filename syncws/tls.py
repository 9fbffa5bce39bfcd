"""
TLS over a transport: on a socket, or inside of other TLS, as through an https proxy.

OpenSSL forbids two threads in one connection, so TLS runs in memory under a short lock and the
socket carries ready-made bytes outside it. Knows nothing of WebSocket.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

from .deadline import ENDLESS, Deadline
from .transport import READ_SIZE, Transport


def start_tls(
    below: Transport, context: ssl.SSLContext, server_hostname: str, deadline: Deadline
) -> TLSTransport:
    """
    Return TLS over a transport, which is used up by that, and closed if it fails. Blocks.

    Raises:
        ssl.SSLError: the handshake failed.
        TimeoutError: the deadline lapsed.
    """
    try:
        transport = (
            NestedTLSTransport(below, context, server_hostname=server_hostname)
            if isinstance(below, TLSTransport)
            else TLSTransport(below.sock, context, server_hostname=server_hostname)
        )
        # One socket, so what is below can be aborted still, by any thread and at any time.
        transport._end_lock = below._end_lock
        transport.handshake(deadline)
    except BaseException:
        below.close()
        raise
    return transport


def check_context(name: str, context: object) -> None:
    """
    Refuse what is neither a TLS context nor None.

    Raises:
        TypeError: it says which argument that was.
    """
    if not (context is None or hasattr(context, "wrap_bio")):
        raise TypeError(f"{name} is an ssl.SSLContext or None; got {context!r}")


class TLSTransport(Transport):
    """
    A TLS byte stream.

    Call ``handshake`` first.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        super().__init__(sock)
        self._half_closed = False
        self._written: list[int] = []  # for a moment
        self._more = False  # what was taken in has not all been decrypted
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        # Guards the three TLS objects; held for computing only, never while waiting.
        self._tls_lock = threading.Lock()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )

    @property
    def ssl_object(self) -> ssl.SSLObject:
        """The TLS session, for its certificate and cipher."""
        return self._tls

    def handshake(self, deadline: Deadline) -> None:
        """
        Do the TLS handshake. Blocks.

        Raises:
            ssl.SSLError: it failed; the peer has been told why.
            TimeoutError: the deadline lapsed.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._send_outgoing(deadline)
                if not super().fill(deadline):
                    raise TimeoutError(f"no TLS handshake in {deadline.seconds} s") from None
                data = self._received.pop()
                if not data:
                    raise ssl.SSLEOFError(
                        ssl.SSL_ERROR_EOF, "the peer closed the connection in the TLS handshake"
                    ) from None
                self._put_in(data)
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._send_outgoing(deadline)
                raise
            else:
                self._send_outgoing(deadline)
                self._more = True  # the first data may have come along
                return

    def _send_outgoing(self, deadline: Deadline) -> None:
        if self._outgoing.pending:
            self.wants_flush = True
            self._finish(self.flush_nowait(), deadline)

    # Between the TLS objects and the socket, where there may be another layer. Need the lock.

    def _put_in(self, received: bytes | None) -> None:
        """Let TLS have what the socket gave: ``b""`` is the end."""
        if received:
            self._incoming.write(received)
        else:
            self._incoming.write_eof()

    def _bring_out(self) -> None:
        """Queue what TLS has for the socket."""
        self._queue(self._outgoing)

    def _queue(self, outgoing: ssl.MemoryBIO) -> None:
        if self._unsent is None:
            self._unsent = []
        # In one C call, as nothing may come in between.
        self._unsent.extend(zip(map(outgoing.read, (-1,)), ([],)))

    @property
    def pending(self) -> bool:
        return self.wants_flush or super().pending

    @property
    def more(self) -> bool:
        return self._more or super().more

    def fill(self, deadline: Deadline = ENDLESS) -> bool:
        return self._more or super().fill(deadline)

    def take(self) -> bytes | None:
        with self._tls_lock:
            if self._half_closed:
                # Behind our close_notify OpenSSL reads no more; nobody wants what still comes.
                self._more = False
                return b"" if self._received and not self._received.pop() else None
            if not self._more:
                self._put_in(super().take())
            return self._decrypt()

    def _decrypt(self) -> bytes | None:
        """Return what can be decrypted, ``b""`` at the end, None to wait. Needs the lock."""
        parts = []
        size = 0
        self._more = True
        try:
            while size < READ_SIZE:
                part = self._tls.read(READ_SIZE)
                if not part:
                    break
                parts.append(part)
                size += len(part)
        except ssl.SSLWantReadError:
            self._more = False
            if not parts:
                return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass  # with or without the peer's close_notify: WebSocket has its own closing handshake
        except ssl.SSLError:
            if not parts:
                raise
        # An answer to a key update waits for our next write, which must carry it first.
        self.wants_flush = bool(self._outgoing.pending)
        return b"".join(parts)

    def send_nowait(self, data: bytes, rest: bytes = b"") -> bool:
        with self._tls_lock:
            self.wants_flush = True
            if rest:  # both in one C call: an interruption comes before or behind
                self._written.extend(map(self._tls.write, (data, rest)))
                self._written.clear()
            else:
                self._tls.write(data)
        return self.flush_nowait()

    def flush_nowait(self) -> bool:
        if self.wants_flush:
            with self._tls_lock:
                self._bring_out()
                self.wants_flush = False
        return super().flush_nowait()

    def half_close(self) -> None:
        with self._tls_lock:
            self._half_closed = True
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._bring_out()
        with contextlib.suppress(OSError):
            super().flush_nowait()
        super().half_close()


class NestedTLSTransport(TLSTransport):
    """
    A TLS byte stream inside of another one, whose TLS objects it takes over.

    Nothing changes but the way between the inner TLS objects and the socket.
    """

    def __init__(
        self,
        outer: TLSTransport,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        super().__init__(
            outer.sock, context, server_side=server_side, server_hostname=server_hostname
        )
        self._outer = outer.ssl_object
        self._outer_incoming = outer._incoming
        self._outer_outgoing = outer._outgoing

    def _put_in(self, received: bytes | None) -> None:
        if received:
            self._outer_incoming.write(received)
        else:
            self._outer_incoming.write_eof()
        try:
            data: bytes | None = None
            while data != b"":  # which is the end, as an exception may be
                data = self._outer.read(READ_SIZE)
                super()._put_in(data)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            if not data and not isinstance(exc, (ssl.SSLZeroReturnError, ssl.SSLEOFError)):
                raise
            super()._put_in(b"")  # an error can wait until what came before it was read

    def _bring_out(self) -> None:
        if self._outgoing.pending:  # from one layer to the other, in one C call
            self._written.extend(map(self._outer.write, map(self._outgoing.read, (-1,))))
            self._written.clear()
        self._queue(self._outer_outgoing)

    def _decrypt(self) -> bytes | None:
        data = super()._decrypt()
        self.wants_flush = self.wants_flush or bool(self._outer_outgoing.pending)
        return data
