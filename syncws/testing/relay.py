"""
A TCP relay between a client and a server that makes the network bad.

One thread does everything, also the closing of sockets: so a reset is a reset, and nothing passes
behind a cut. Knows nothing of WebSocket; TLS passes through it.
"""

from __future__ import annotations

import contextlib
import math
import selectors
import socket
import threading
import time
import urllib.parse
from types import TracebackType
from typing import Callable, Literal

from .line import Fault, Line, reset

Way = Literal["both", "to_server", "to_client"]

_CONNECT_TIMEOUT = 10.0  # seconds
# Unlike epoll it needs no file descriptor.
_Selector: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)


class _Link:
    """One client, and its connection to the server."""

    def __init__(
        self, client: socket.socket, server: socket.socket, up: Fault, down: Fault
    ) -> None:
        self.socks = (client, server)
        self.lines = (Line(client, server, up), Line(server, client, down))
        for sock in self.socks:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def torn(self) -> bool:
        return any(line.torn for line in self.lines)

    @property
    def over(self) -> bool:
        """Whether nothing will ever pass. Behind a cut nobody may see an end."""
        return all(line.done for line in self.lines) and not self.torn

    def events(self, now: float) -> list[tuple[socket.socket, int]]:
        """Say what to wait for."""
        found = []
        for sock in self.socks:
            reads = any(line.source is sock and line.wants_to_read(now) for line in self.lines)
            writes = any(line.target is sock and line.blocked for line in self.lines)
            events = selectors.EVENT_READ * reads | selectors.EVENT_WRITE * writes
            if events:
                found.append((sock, events))
        return found

    def move(self, now: float) -> bool:
        """Let pass what may; return False when the connection is over."""
        try:
            for line in self.lines:
                line.read(now)
                line.write(now)
        except OSError:  # an end is gone: so is the other, unless the network hides it
            if not any(line.fault.cut for line in self.lines):
                self.close(abruptly=True)
                return False
            for line in self.lines:
                line.give_up()
        if self.over:
            self.close()
        return not self.over

    def close(self, abruptly: bool = False) -> None:
        for sock in self.socks:
            if abruptly:
                reset(sock)
            sock.close()


class Relay:
    """
    Listens on a free port of 127.0.0.1 and carries bytes between its clients and a server.

    At first it changes nothing. The faults hold for all connections, those to come included, until
    ``restore()``; they may be combined, and set at any time from any thread. In a ``with`` block it
    closes at the end.

    The faults take ``way``: ``"to_server"``, ``"to_client"``, or ``"both"``.

    Attributes:
        url: as that of the server, but leading to the relay. For wss, tell ``connect()`` the
            ``server_hostname`` that the certificate has.

    Args:
        url: of the server: ``ws://``, ``wss://`` or any with host and port.
    """

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"{url!r} has no host and port; expected ws://127.0.0.1:8765/")
        self._server = (parts.hostname, parts.port)
        self._faults = {"to_server": Fault(), "to_client": Fault()}
        self._changed = threading.Condition()  # guards what follows, but for the waiting
        self._links: list[_Link] = []
        self._orders: list[Callable[[], None]] = []  # for the thread, which owns the sockets
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._waker, self._sleeper = socket.socketpair()
        port = self._listener.getsockname()[1]
        self.url = parts._replace(netloc=f"127.0.0.1:{port}").geturl()
        self._thread = threading.Thread(target=self._run, name="syncws-relay", daemon=True)
        self._thread.start()

    @property
    def connections(self) -> int:
        """How many connections it carries now."""
        with self._changed:
            return len(self._links)

    # The faults.

    def delay(self, seconds: float, way: Way = "both") -> None:
        """
        Let each byte take so long, from now on; 0 ends it. Does not block.

        Many can be on the way at once, as in a long cable: the delay costs no throughput.

        Raises:
            ValueError: not a time.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"delay of {seconds!r} seconds; expected 0 or more")
        self._set(way, delay=seconds)

    def throttle(self, rate: float | None, way: Way = "both") -> None:
        """
        Let no more than ``rate`` bytes a second pass, from now on; ``None`` ends it.

        Does not block. The sender is held back, as by a slow network.

        Raises:
            ValueError: not a rate.
        """
        if rate is not None and not 0 < rate < math.inf:
            raise ValueError(f"throttle to {rate!r} bytes a second; expected more than 0, or None")
        self._set(way, rate=rate)

    def cut(self, way: Way = "both") -> None:
        """
        Let nothing pass any more, and tell nobody: bytes vanish, and so do the ends of connections.

        Does not block. Nothing passes after it has returned. Clients can still connect, as far as
        they see.
        """
        self._set(way, cut=True)

    def restore(self) -> None:
        """
        End all faults.

        A connection that has lost bytes in a cut cannot go on: it is reset. Blocks until that is
        done, which is at once.
        """

        def order() -> None:
            for fault in self._faults.values():
                fault.restored()
            self._reset_links(lambda link: link.torn)

        self._order(order)

    def reset(self) -> None:
        """Reset all connections, to both sides. Blocks until that is done, which is at once."""
        self._order(lambda: self._reset_links(lambda link: True))

    def _set(self, way: Way, **values: object) -> None:
        if way != "both" and way not in self._faults:
            raise ValueError(f"way={way!r}; expected 'both', 'to_server' or 'to_client'")
        with self._changed:  # so nothing passes meanwhile
            for name, fault in self._faults.items():
                if way in ("both", name):
                    vars(fault).update(values)
        self._wake()

    def _reset_links(self, chosen: Callable[[_Link], bool]) -> None:
        for link in filter(chosen, list(self._links)):
            link.close(abruptly=True)
            self._links.remove(link)

    # The thread.

    def _order(self, order: Callable[[], None]) -> None:
        """Let the thread do something; wait until it has."""
        with self._changed:
            self._orders.append(order)
            self._wake()
            self._changed.wait_for(lambda: order not in self._orders or self._closing)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def _run(self) -> None:
        try:
            while self._round():
                pass
        finally:
            with self._changed:
                self._closing = True
                for link in self._links:
                    link.close()
                self._links.clear()
                self._changed.notify_all()
            for sock in (self._listener, self._waker, self._sleeper):
                sock.close()

    def _round(self) -> bool:
        """Wait until there is something to do, and do it; return False at the end."""
        ready = self._wait()
        client = self._accepted() if self._listener in ready else None
        with self._changed:
            if client is not None:
                self._links.append(client)
            for order in self._orders:
                order()
            if self._orders:
                self._orders.clear()
                self._changed.notify_all()
            now = time.monotonic()
            self._links = [link for link in self._links if link.move(now)]
            return not self._closing

    def _wait(self) -> list[object]:
        with _Selector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._sleeper, selectors.EVENT_READ)
            with self._changed:
                now = time.monotonic()
                times = [line.next_time(now) for link in self._links for line in link.lines]
                for link in self._links:
                    for sock, events in link.events(now):
                        selector.register(sock, events)
            pause = min(times, default=math.inf) - now
            came = selector.select(None if pause == math.inf else pause)
        ready: list[object] = [key.fileobj for key, _ in came]
        if self._sleeper in ready:
            self._sleeper.recv(4096)
        return ready

    def _accepted(self) -> _Link | None:
        """Take a client and connect to the server; a client whom nobody serves is reset."""
        try:
            client, _ = self._listener.accept()
        except OSError:  # it left already
            return None
        try:
            server = socket.create_connection(self._server, _CONNECT_TIMEOUT)
        except OSError:
            reset(client)
            client.close()
            return None
        return _Link(client, server, self._faults["to_server"], self._faults["to_client"])

    # The end.

    def close(self) -> None:
        """End all connections, and listen no more. Blocks until that is done, which is at once."""
        with self._changed:
            self._closing = True
        self._wake()
        self._thread.join()

    def __enter__(self) -> Relay:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
