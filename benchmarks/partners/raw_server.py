"""The servers of the streams: a socket and ready-made bytes."""

from __future__ import annotations

import contextlib
import signal
import socket

from task import Task
from wire import accept_client, data_frame, deflated_frames, frame

BUFFER = 2**18


def serve(listener: socket.socket, task: Task) -> None:
    """Serve one client."""
    sock, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    context = task.server_context()
    if context is not None:
        sock = context.wrap_socket(sock, server_side=True)
    with sock, contextlib.suppress(ConnectionError):  # clients just go
        accept_client(sock, task.deflate)
        if task.op == "receive":
            stream(sock, task)
        elif task.op == "round_trips":
            echo(sock)
        elif task.op == "stuck":
            signal.pause()  # until it is killed
        else:
            sink(sock, task)


def stream(sock: socket.socket, task: Task) -> None:
    """Send messages without end, once the client has said something."""
    if task.deflate:
        first, again = deflated_frames(task.messages, masked=False)
        many = again * max(1, BUFFER // len(again))
    else:
        one = first = data_frame(task.message, masked=False)
        many = one * max(1, BUFFER // len(one))
    sock.recv(BUFFER)
    sock.sendall(first)
    while True:
        sock.sendall(many)


def echo(sock: socket.socket) -> None:
    """Send the bytes of each frame back, as they are: also compressed ones, in their order."""
    stream = sock.makefile("rb")
    while True:
        first, second = stream.read(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(stream.read(2), "big")
        elif size == 127:
            size = int.from_bytes(stream.read(8), "big")
        key = stream.read(4)
        mixed = int.from_bytes(stream.read(size), "big")
        mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
        sock.sendall(frame(first & 0x7F, (mixed ^ mask).to_bytes(size, "big"), masked=False))


def sink(sock: socket.socket, task: Task) -> None:
    """Take messages, all of the same size; tell the client their number when it says "end".

    Counts bytes, so it costs next to nothing. What the last bytes must be makes sure that the
    stream is where it should be.
    """
    size = len(data_frame(task.message, masked=True))
    end = data_frame("end", masked=True)
    buffer = memoryview(bytearray(BUFFER))
    total = 0
    tail = b""
    while True:
        # Without this, "end" waits 40 ms for an acknowledgement if the client has no TCP_NODELAY.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        received = sock.recv_into(buffer)
        if not received:
            return
        total += received
        tail = (tail + buffer[max(0, received - len(end)) : received])[-len(end) :]
        if total % size == len(end) and tail[:2] == end[:2]:
            sock.sendall(data_frame(str(total // size), masked=False))
            total = 0
            tail = b""
