"""A server that is killed and started again a hundred times, under a client that numbers."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

import syncws
from support.children import child
from support.threads import Running, eventually
from syncws import Backoff, ConnectionClosed, ThreadingServer, reconnect

BACKOFF = Backoff(initial=0.002, factor=2, maximum=0.016, stable=0.05)
KILLS = 90
KILLS_OF_A_PROCESS = 10


@pytest.fixture
def port():
    """Keep a port for the servers of one test: refusing while none has it, and nobody else's."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


class Client:
    """Sends 0, 1, 2, ... Each number is sent until its echo has come, then the next one."""

    def __init__(self, port: int) -> None:
        self.confirmed = 0
        self.connections = 0
        self.delays: list[tuple[int, float]] = []
        self._loop = reconnect(
            f"ws://127.0.0.1:{port}/", backoff=BACKOFF, on_reconnect=self._note, open_timeout=20
        )
        self._running = Running(self._run)

    def _note(self, number: int, delay: float, exc: Exception) -> None:
        self.delays.append((number, delay))

    def _run(self) -> None:
        for ws in self._loop:
            self.connections += 1
            with contextlib.suppress(ConnectionClosed):
                while True:
                    ws.send(str(self.confirmed))
                    assert ws.recv(timeout=20) == str(self.confirmed)
                    self.confirmed += 1

    def comes_back(self) -> None:
        """Wait until more messages have gone both ways."""
        wanted = self.confirmed + 5
        eventually(lambda: self.confirmed >= wanted or not self._running.alive, "five more echoes")
        assert self._running.alive, self._running.error()

    def finish(self) -> None:
        """Stop the loop; look at all delays."""
        self._loop.close()
        self._running.result()
        for number, delay in self.delays:
            limit = min(BACKOFF.initial * BACKOFF.factor ** (number - 1), BACKOFF.maximum)
            assert 0 <= delay <= limit


def echo(ws: syncws.Connection) -> None:
    for message in ws:
        ws.send(message)


def serve_and_kill(port: int, client: Client) -> None:
    """Let a server of this process live for a while, then cut all at once."""
    server = ThreadingServer(echo, "127.0.0.1", port, close_timeout=5)
    server.start()
    try:
        client.comes_back()
        for ws in server.connections:
            ws.abort()
    finally:
        server.shutdown(timeout=0)
        server.server_close()


@contextlib.contextmanager
def process(port: int) -> Iterator[None]:
    """Run a server in a process; kill it with SIGKILL at the end."""
    program = """
        import sys
        import syncws
        from conftest import echo
        server = syncws.ThreadingServer(echo, "127.0.0.1", int(sys.argv[1]))
        print("listening", flush=True)
        server.serve_forever()
    """
    with child(program, args=(port,)) as running:
        assert running.line() == "listening"
        yield


def test_a_client_comes_back_a_hundred_times(port):
    """It comes back each time, misses no number, and leaves nothing behind."""
    client = Client(port)
    for _ in range(KILLS):
        serve_and_kill(port, client)
    for _ in range(KILLS_OF_A_PROCESS):
        with process(port):
            client.comes_back()
    client.finish()

    assert client.connections >= KILLS + KILLS_OF_A_PROCESS
    assert client.confirmed >= 5 * (KILLS + KILLS_OF_A_PROCESS)
