"""A forward proxy in this process: it notes each CONNECT and carries bytes to one server."""

from __future__ import annotations

import contextlib
import socket

from support.threads import Running
from support.tls import server_context
from syncws.deadline import Deadline
from syncws.tls import TLSTransport
from syncws.transport import Transport

_END = b"\r\n\r\n"


class Tunnel:
    """
    A forward proxy, which clients reach over TLS if it is ``secure``.

    All names lead to the same server. If it is not ``tidy``, its TLS ends without a word.

    Attributes:
        port: where it listens.
        heads: the head of each CONNECT.
    """

    def __init__(
        self,
        server: tuple[str, int],
        secure: bool = False,
        tidy: bool = True,
        reply: str = "200 OK",
    ) -> None:
        self._server = server
        self._secure = secure
        self._tidy = tidy
        self._reply = reply
        self.heads: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._accepting = Running(self._accept)

    def url(self, credentials: str = "") -> str:
        """Return its URL, with "user:password@" if one likes."""
        return f"{'https' if self._secure else 'http'}://{credentials}localhost:{self.port}"

    def _accept(self) -> None:
        carrying = []
        with contextlib.suppress(OSError):
            while True:
                carrying.append(Running(self._carry, self._listener.accept()[0]))
        for one in carrying:
            one.result()

    def _carry(self, sock: socket.socket) -> None:
        client = TLSTransport(sock, server_context(), server_side=True) if self._secure else None
        try:
            if client is not None:
                client.handshake(Deadline(20))
            near = client or Transport(sock)
            head = b""
            while not head.endswith(_END):
                head += near.recv(Deadline(20)) or _END
            self.heads.append(head.decode("latin-1"))
            near.send(f"HTTP/1.1 {self._reply}\r\n\r\n".encode(), Deadline(20))
            if not self._reply.startswith("2"):
                return
            far = Transport(socket.create_connection(self._server))
            back = Running(self._pump, far, near)
            self._pump(near, far)
            back.result()
            far.close()
        except OSError:
            pass  # the client does not like us
        finally:
            sock.close()

    def _pump(self, source: Transport, target: Transport) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(Deadline(60))
                if not data:
                    break
                target.send(data, Deadline(60))
        if self._tidy:
            target.half_close()
        else:
            target.shutdown()

    def close(self) -> None:
        """Accept no more; wait until all that it carries has ended."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.result()
        self._listener.close()

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
