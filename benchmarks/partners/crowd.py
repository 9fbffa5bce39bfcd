"""Many raw client connections in one thread."""

from __future__ import annotations

import collections
import select
import socket

import wire
from task import HOST, Task, expect

_MESSAGE = Task("", "client", "echo").message
_REQUEST = wire.data_frame(_MESSAGE, masked=True)
_REPLY = wire.data_frame(_MESSAGE, masked=False)
_COMPRESSED, _ = wire.deflated_frames([_MESSAGE * 8], masked=True)


class Crowd:
    """Connections that send messages in turn."""

    def __init__(self, port: int, deflate: bool = False) -> None:
        self._port = port
        self._deflate = deflate  # agree on it, and send one compressed message first
        self._epoll = select.epoll()
        self._socks: dict[int, socket.socket] = {}
        # Those without a message on its way; the one that waits longest is the next to send.
        self._resting: collections.deque[socket.socket] = collections.deque()

    def grow_to(self, count: int) -> None:
        """Open connections until there are so many, and use each once."""
        while len(self._socks) < count:
            sock = socket.create_connection((HOST, self._port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(wire.DEFLATE_REQUEST if self._deflate else wire.REQUEST)
            wire.read_response(sock)
            if self._deflate:
                sock.sendall(_COMPRESSED)
                expect(sock.recv(1), _COMPRESSED[:1])
            else:
                sock.sendall(_REQUEST)
                expect(sock.recv(len(_REPLY), socket.MSG_WAITALL), _REPLY)
            sock.setblocking(False)
            self._socks[sock.fileno()] = sock
            self._epoll.register(sock, select.EPOLLIN)
            self._resting.append(sock)

    def exchange(self, count: int, in_flight: int) -> None:
        """Send so many messages and wait for their echoes; ``in_flight`` at the same time."""
        resting, socks, poll = self._resting, self._socks, self._epoll.poll
        sent = min(count, in_flight)
        for _ in range(sent):
            resting.popleft().send(_REQUEST)
        done = 0
        while done < count:
            for fd, _ in poll():
                sock = socks[fd]
                if sock.recv(4096) != _REPLY:
                    raise AssertionError("an echo was cut or wrong")
                done += 1
                resting.append(sock)
                if sent < count:
                    resting.popleft().send(_REQUEST)
                    sent += 1
