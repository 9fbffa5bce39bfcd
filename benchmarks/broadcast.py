"""
One message to 1,000 connections, side by side: ours, and those of websockets. Linux only.

    pip install -e . websockets
    python benchmarks/broadcast.py [--connections 1000] [--stuck 10] [--rounds 7] [--size 200]

Each library serves in a process of its own; the clients are plain sockets here, which swallow what
comes. A measurement is the median time that a number of broadcasts took to return; before each, all
clients that read have everything from the one before. The contestants take turns, round by round;
a server that is not asked sleeps. Then some clients stop reading, the messages pile up in the small
buffers of the system until nothing more fits, and all is measured again.

Prints a table in Markdown: the median of the rounds, the least and the most, and the median of the
ratios round by round. Nobody compresses and no keepalive runs. The pool of websockets.sync has its
default size. A stuck peer keeps it, and each loop of send(), from returning: they have no second
figure. The two tables are measured one after the other: on a busy machine compare them with care.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import select
import socket
import statistics
import subprocess
import sys
import threading
import time

BUFFER = 4096  # bytes, so that a client that reads nothing is stuck soon; for all the same
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
# Title: the server, what it is told to do, whether a stuck peer lets it return.
CONTESTANTS = {
    "syncws, broadcast()": ("syncws", "broadcast", True),
    "syncws, a loop of send()": ("syncws", "loop", False),
    "websockets.sync, broadcast()": ("websockets-sync", "broadcast", False),
    "websockets.sync, a loop of send()": ("websockets-sync", "loop", False),
    "websockets.asyncio, broadcast()": ("websockets-asyncio", "broadcast", True),
}
FILLING = 400  # broadcasts


# The servers: each line of stdin is one broadcast, answered with the seconds it took.


def serve(name: str, size: int) -> None:
    sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    print(sock.getsockname()[1], flush=True)
    {
        "syncws": serve_syncws,
        "websockets-sync": serve_websockets_sync,
        "websockets-asyncio": serve_websockets_asyncio,
    }[name](sock, "x" * size)


def serve_syncws(sock: socket.socket, message: str) -> None:
    import syncws

    def handler(ws: syncws.Connection) -> None:
        for _ in ws:
            pass

    server = syncws.ThreadingServer(
        handler, sock=sock, compression=None, ping_interval=None, max_connections=100_000
    )
    server.start()
    answer(lambda: list(server.connections), syncws.broadcast, message)


def serve_websockets_sync(sock: socket.socket, message: str) -> None:
    from websockets.sync.connection import broadcast
    from websockets.sync.server import ServerConnection, serve

    connections: set[ServerConnection] = set()

    def handler(ws: ServerConnection) -> None:
        connections.add(ws)
        for _ in ws:
            pass

    server = serve(handler, sock=sock, compression=None, ping_interval=None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    answer(lambda: list(connections), broadcast, message)


def serve_websockets_asyncio(sock: socket.socket, message: str) -> None:
    from websockets.asyncio.connection import broadcast
    from websockets.asyncio.server import serve

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with serve(
            lambda ws: ws.wait_closed(), sock=sock, compression=None, ping_interval=None
        ) as server:
            while await loop.run_in_executor(None, sys.stdin.readline):
                tell(timed(broadcast, list(server.connections), message))

    asyncio.run(main())


def answer(connections, broadcast, message: str) -> None:
    """Broadcast for each line, in one way or the other."""

    def loop(connections, message):
        for ws in connections:
            ws.send(message)

    for line in sys.stdin:
        send = loop if line == "loop\n" else broadcast
        tell(timed(send, connections(), message))


def timed(send, connections, message: str) -> float:
    begun = time.perf_counter()
    send(connections, message)
    return time.perf_counter() - begun


def tell(seconds: float) -> None:
    print(seconds, flush=True)


# The clients.


class Clients:
    """A server in a process of its own and its clients, here."""

    def __init__(self, name: str, count: int, size: int) -> None:
        arguments = [sys.executable, __file__, "--serve", name, "--size", str(size)]
        pipe = subprocess.PIPE
        self._server = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True)
        self._poll = select.epoll()
        self._frame = size + (2 if size < 126 else 4 if size < 65536 else 10)
        port = int(self._server.stdout.readline())
        self._reading = {sock.fileno(): sock for sock in (dial(port) for _ in range(count))}
        self._stuck: list[socket.socket] = []
        for fd in self._reading:
            self._poll.register(fd, select.EPOLLIN)

    def broadcast(self, how: str) -> float:
        """Let the server send to all; return how long it took when all have it."""
        self._server.stdin.write(f"{how}\n")
        self._server.stdin.flush()
        missing = self._frame * len(self._reading)
        while missing:
            events = self._poll.poll(20)
            assert events, f"{missing} bytes never came"
            for fd, _ in events:
                missing -= len(self._reading[fd].recv(65536))
        return float(self._server.stdout.readline())

    def stop_reading(self, count: int) -> None:
        """Let so many be stuck from now on."""
        for _ in range(count):
            fd, sock = self._reading.popitem()
            self._poll.unregister(fd)
            self._stuck.append(sock)
        for _ in range(FILLING):
            self.broadcast("broadcast")

    def close(self) -> None:
        self._server.kill()
        self._server.wait()
        self._server.stdin.close()
        self._server.stdout.close()
        for sock in (*self._reading.values(), *self._stuck):
            sock.close()


def dial(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.connect(("127.0.0.1", port))
    sock.sendall(REQUEST)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    return sock


def measure(clients: dict[str, Clients], titles: list[str], rounds: int, times: int):
    """Return the seconds of each round by title."""
    taken: dict[str, list[float]] = {title: [] for title in titles}
    for turn in range(rounds):
        first = turn % len(titles)
        for title in titles[first:] + titles[:first]:
            server, how, _ = CONTESTANTS[title]
            each = [clients[server].broadcast(how) for _ in range(times)]
            taken[title].append(statistics.median(each))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--stuck", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--times", type=int, default=15, help="broadcasts of one measurement")
    parser.add_argument("--size", type=int, default=200, help="bytes of the message")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.size)
        return
    with contextlib.ExitStack() as stack:
        clients = {}
        for name in dict.fromkeys(server for server, _, _ in CONTESTANTS.values()):
            clients[name] = Clients(name, arguments.connections, arguments.size)
            stack.callback(clients[name].close)
        measure(clients, list(CONTESTANTS), 1, 3)  # warm up
        free = measure(clients, list(CONTESTANTS), arguments.rounds, arguments.times)
        print(table(f"{arguments.connections} connections", free), flush=True)
        titles = [title for title, (_, _, returns) in CONTESTANTS.items() if returns]
        for name in {CONTESTANTS[title][0] for title in titles}:
            clients[name].stop_reading(arguments.stuck)
        stuck = measure(clients, titles, arguments.rounds, arguments.times)
        print(table(f"{arguments.stuck} of them stuck", stuck))
        ours = titles[0]
        cost = statistics.median(stuck[ours]) / statistics.median(free[ours])
        print(f"With {arguments.stuck} stuck ones it takes {cost:.2f} of the time without.")


def table(what: str, times: dict[str, list[float]]) -> str:
    """Write a row for each contestant."""
    rows = [f"| {what} | ms per broadcast | least | most | to ours |", "|---|---|---|---|---|"]
    first = next(iter(times.values()))
    for title, taken in times.items():
        figures = (statistics.median(taken), min(taken), max(taken))
        ratio = statistics.median(its / ours for its, ours in zip(taken, first))
        shown = " | ".join(f"{1000 * one:.1f}" for one in figures)
        rows.append(f"| {title} | {shown} | {ratio:.2f} |")
    return "\n".join(["", *rows, ""])


if __name__ == "__main__":
    main()
