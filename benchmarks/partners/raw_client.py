"""The client that all servers talk to: sockets and ready-made bytes."""

from __future__ import annotations

import os
import socket
import time
from typing import Callable

import wire
from task import HOST, Task, expect
from timing import timed

from .crowd import Crowd

BATCH = 10  # connections that are opened at the same time
STEPS = (10, 100, 500, 2000)  # connections
SETTLE = 0.5  # seconds for a server to come to rest


def measure(task: Task) -> dict[str, float]:
    return _OPS[task.op](task)


def round_trips(task: Task) -> dict[str, float]:
    """One connection: send a message, wait until it is back."""
    request = wire.data_frame(task.message, masked=True)
    reply = wire.data_frame(task.message, masked=False)
    buffer = memoryview(bytearray(len(reply)))
    sock = socket.create_connection((HOST, task.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(wire.REQUEST)
    wire.read_response(sock)

    def run(count: int) -> None:
        for _ in range(count):
            sock.sendall(request)
            received = sock.recv_into(buffer)
            while received < len(buffer):
                received += receive_more(sock, buffer[received:])

    run(1)
    expect(bytes(buffer), reply)
    return timed(run, task)


def receive_more(sock: socket.socket, buffer: memoryview) -> int:
    received = sock.recv_into(buffer)
    if not received:
        raise AssertionError("the server closed the connection")
    return received


def connect(task: Task) -> dict[str, float]:
    """Open and close connections, some at the same time."""
    request, goodbye = wire.REQUEST, wire.close_frame(masked=True)

    def run(count: int) -> None:
        for first in range(0, count, BATCH):
            socks = []
            for _ in range(min(BATCH, count - first)):
                socks.append(socket.create_connection((HOST, task.port)))
                socks[-1].sendall(request)
            for sock in socks:
                wire.read_response(sock)
                sock.sendall(goodbye)
            for sock in socks:
                while sock.recv(1024):
                    pass
                sock.close()

    return with_server_cpu(run, task)


def idle(task: Task) -> dict[str, float]:
    """What the server needs for each of many connections that were used once."""
    crowd = Crowd(task.port, task.deflate)
    crowd.grow_to(BATCH)
    time.sleep(SETTLE)
    before = footprint(task.pid)
    crowd.grow_to(BATCH + task.connections)
    time.sleep(SETTLE)
    after = footprint(task.pid)
    return {name: (after[name] - before[name]) / task.connections for name in before}


def echo(task: Task) -> dict[str, float]:
    """Many connections, all busy."""
    crowd = Crowd(task.port)
    crowd.grow_to(task.connections)
    return with_server_cpu(lambda count: crowd.exchange(count, task.connections), task)


def growth(task: Task) -> dict[str, float]:
    """More and more connections to one server."""
    crowd = Crowd(task.port)
    figures = {}
    for step in STEPS:
        crowd.grow_to(step)
        time.sleep(SETTLE)
        in_flight = task.in_flight or step
        found = with_server_cpu(lambda count: crowd.exchange(count, in_flight), task)  # noqa: B023
        figures[f"cpu_{step}"] = found["cpu"]
        figures[f"time_{step}"] = found["time"]
    for name in ("cpu", "time"):
        figures[f"{name}_growth"] = figures[f"{name}_{STEPS[-1]}"] / figures[f"{name}_{STEPS[0]}"]
    return figures


def with_server_cpu(run: Callable[[int], None], task: Task) -> dict[str, float]:
    """Measure ``run``, and how many CPU seconds the server needed for one of its rounds."""
    spent = 0.0

    def noting(count: int) -> None:
        nonlocal spent
        before = cpu_seconds(task.pid)
        run(count)
        spent = cpu_seconds(task.pid) - before

    found = timed(noting, task)
    found["cpu"] = spent / found["count"]
    return found


def cpu_seconds(pid: int) -> float:
    """The CPU time of another process, by Linux's clock for it."""
    return time.clock_gettime((~pid << 3) | 2)


def footprint(pid: int) -> dict[str, float]:
    """Bytes of memory, threads and file descriptors of a process."""
    found = {}
    for file in ("smaps_rollup", "status"):
        with open(f"/proc/{pid}/{file}", encoding="ascii") as lines:
            found.update(line.split(":", 1) for line in lines if ":" in line)
    return {
        "rss": int(found["Rss"].split()[0]) * 1024,
        "pss": int(found["Pss"].split()[0]) * 1024,
        "threads": int(found["Threads"]),
        "fds": len(os.listdir(f"/proc/{pid}/fd")),
    }


_OPS = {
    "round_trips": round_trips,
    "connect": connect,
    "idle": idle,
    "echo": echo,
    "growth": growth,
}
