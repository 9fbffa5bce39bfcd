"""What many WebSockets cost a server: threads, file descriptors, and the bound that holds them."""

from __future__ import annotations

import contextlib
import signal

import pytest

from servers.catalogue import SERVERS, Server, gunicorn
from servers.running import fds, threads
from support.threads import WATCHDOG, eventually
from syncws import InvalidStatus

pytestmark = pytest.mark.peers

FEW_THREADS = Server(
    "gunicorn-4-threads",
    gunicorn("gthread", "--threads", "4"),
    ("gunicorn",),
    stop=signal.SIGTERM,
)
with_every_server = pytest.mark.parametrize("shared", SERVERS, indirect=True)


def converse(server, path, count):
    """Have so many conversations, one after the other."""
    for number in range(count):
        with server.connect(path) as ws:
            ws.send(str(number))
            assert ws.recv(WATCHDOG) == str(number)


@with_every_server
@pytest.mark.parametrize("path", ["/request", "/detached", "/view"])
def test_nothing_is_left_of_closed_websockets(shared, path):
    """File descriptors and threads of the worker are the same after thirty more."""
    pid = shared.worker()
    converse(shared, path, 10)  # what stays once for all: the housekeeper, threads of pools
    # Ours are gone a second after their last job; those of the server's pool stay.
    eventually(lambda: shared.worker() == pid)
    before, threads_before = fds(pid), threads(pid)

    converse(shared, path, 30)

    eventually(lambda: fds(pid) <= before, f"{before} open files again, not {fds(pid)}")
    eventually(lambda: threads(pid) <= threads_before + 3, f"{threads_before} threads again")


def test_two_hundred_detached_leave_the_threads_to_others(launch):
    """With four threads, 200 WebSockets are open and answer, and so do pages."""
    server = launch(FEW_THREADS)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect("/detached")) for _ in range(200)]
        for number, ws in enumerate(clients):
            ws.send(str(number))

        assert [server.get("/")[0] for _ in range(20)] == [200] * 20
        assert [ws.recv(WATCHDOG) for ws in clients] == [str(number) for number in range(200)]


def test_no_more_than_max_connections(launch):
    """The one too many gets 503 with Retry-After; when one leaves there is room again."""
    server = launch(FEW_THREADS)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect("/bounded")) for _ in range(10)]

        with pytest.raises(InvalidStatus) as caught:
            server.connect("/bounded")
        assert caught.value.status == 503
        assert "Retry-After" in dict(caught.value.headers)
        assert server.get("/")[0] == 200

        clients[0].close()

        def has_room():
            with contextlib.suppress(InvalidStatus), server.connect("/bounded") as ws:
                ws.send("room")
                return ws.recv(WATCHDOG) == "room"

        eventually(has_room, "room for one more")
