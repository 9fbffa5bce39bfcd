"""fork() with connections open: they stay with the parent."""

from __future__ import annotations

import os

import pytest

from support.children import child
from support.ends import plain_and_tls
from support.tls import CA, server_context

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() here"),
    pytest.mark.native_threads("a forked child shares eventlet's epoll", unlike="eventlet"),
]

alone = pytest.mark.native_threads(
    "greenlets go on in a forked child, and gevent writes to stderr when one ends there"
)

# The child leaves by os._exit(), with 0 if all was as it should be.
PROLOGUE = """
    import gc, os, ssl, sys, threading, traceback, warnings
    import syncws
    from support.threads import Running, blocked_in, eventually

    warnings.simplefilter("ignore", DeprecationWarning)  # of fork() in a program with threads

    def connect(path="", **options):
        port, ca = sys.argv[1:]
        if ca:
            options["ssl"] = ssl.create_default_context(cafile=ca)
        return syncws.connect(f"{'wss' if ca else 'ws'}://localhost:{port}/{path}", **options)

    def in_a_child(check):
        pid = os.fork()
        if pid == 0:
            try:
                check()
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0

    def refuses_all(ws):
        for call in (
            ws.recv,
            lambda: ws.recv(timeout=0),
            lambda: list(ws.recv_stream()),
            lambda: list(ws),
            lambda: ws.send("x"),
            lambda: ws.send(["x"]),
            lambda: ws.send_many(["x"]),
            ws.ping,
            ws.ping_nowait,
            ws.pong,
        ):
            try:
                call()
            except syncws.InheritedConnection as exc:
                assert str(os.getpid()) in str(exc) and str(os.getppid()) in str(exc)
                assert "connect() again" in str(exc)
            else:
                raise AssertionError(f"{call} did not raise")
        ws.close()
        ws.abort()
        assert ws.wait_closed(0)
        assert ws.state is syncws.State.CLOSED
        repr(ws), ws.stats, ws.latency, ws.close_code

    def echo_works(ws):
        ws.send("hello")
        assert ws.recv(timeout=20) == "hello"
        assert ws.ping(timeout=20) > 0
"""


def runs_to_its_end(program, serve, secure):
    """Run a program that connects to a server of ours."""
    server = serve(host="localhost", ssl=server_context() if secure else None)
    args = (server.server_address[1], CA if secure else "")
    with child(PROLOGUE, program, "print('end', flush=True)", args=args) as running:
        assert running.line() == "end"
        assert running.ends() == (0, "")


@plain_and_tls
def test_an_inherited_connection(secure, serve):
    """The child is told so and can make its own; the parent's goes on, its keepalive too."""
    program = """
        ws = connect(ping_interval=0.05)

        def check():
            refuses_all(ws)
            with connect(ping_interval=0.02) as own:
                echo_works(own)
                eventually(lambda: own.latency)
                in_a_child(lambda: refuses_all(own))
                echo_works(own)

        for _ in range(2):
            in_a_child(check)
            echo_works(ws)
            before = ws.stats.frames_received
            eventually(lambda: ws.stats.frames_received > before + 3)
        ws.close()
        assert ws.close_code == 1000
    """
    runs_to_its_end(program, serve, secure)


@plain_and_tls
def test_the_child_drops_what_it_inherited(secure, serve):
    """Its destructor and its end do nothing to the parent's connection."""
    program = """
        ws = connect()

        def drop():
            global ws
            del ws
            gc.collect()

        in_a_child(drop)
        in_a_child(lambda: sys.stdout.flush())
        echo_works(ws)
        ws.close()
        assert ws.close_code == 1000
    """
    runs_to_its_end(program, serve, secure)


@alone
@plain_and_tls
def test_locks_that_other_threads_hold_at_the_fork(secure, serve):
    """They are held for ever in the child: by a blocked send(), and by all who are just busy."""
    program = """
        def chat(ws):
            try:
                while True:
                    ws.send(bytes(5000))
                    ws.pong()
                    ws.ping()
                    ws.recv()
            except syncws.ConnectionClosed:
                pass

        stuck, busy = connect("stuck"), connect(ping_interval=0.001)
        nothing_reads = Running(stuck.send, bytes(2**26), compress=False)
        waits = Running(stuck.send, "its turn")
        listens = Running(stuck.recv)
        eventually(lambda: blocked_in(nothing_reads.thread, "wait_writable"))
        chats = [Running(chat, busy) for _ in range(4)]

        def check():
            refuses_all(stuck)
            refuses_all(busy)
            with connect(ping_interval=0.05) as own:
                own.send("hello")
                assert own.recv(timeout=20) == "hello"
                eventually(lambda: own.latency)

        for turn in range(4):
            in_a_child(check)
            before = busy.stats.messages_received
            eventually(lambda: busy.stats.messages_received > before)
        assert stuck.state is syncws.State.OPEN
        assert nothing_reads.alive and waits.alive and listens.alive
        stuck.abort()
        busy.close()
        for chat in chats:
            chat.result()
    """

    def handler(ws, path):
        if path == "/stuck":
            ws.wait_closed()
        for message in ws:
            ws.send(message)

    server = serve(
        handler,
        host="localhost",
        max_queue_bytes=1,
        ssl=server_context() if secure else None,
    )
    args = (server.server_address[1], CA if secure else "")
    with child(PROLOGUE, program, "print('end', flush=True)", args=args) as running:
        assert running.line() == "end"
        assert running.ends() == (0, "")


@alone
def test_a_server_in_the_parent(serve):
    """Its handlers go on; the child may make a server of its own."""
    program = """
        def echo(ws):
            for message in ws:
                ws.send(message)

        def serving():
            server = syncws.ThreadingServer(echo, "127.0.0.1", 0)
            server.start()
            return server, syncws.connect("ws://127.0.0.1:%d" % server.server_address[1])

        server, ws = serving()
        echo_works(ws)

        def check():
            refuses_all(ws)
            own_server, own = serving()
            echo_works(own)
            own_server.shutdown()
            own.wait_closed(20)
            assert own.close_code == 1001

        def leaves_the_with_block():
            with server:
                pass

        in_a_child(check)
        in_a_child(leaves_the_with_block)
        echo_works(ws)
        with syncws.connect("ws://127.0.0.1:%d" % server.server_address[1]) as another:
            another.ping(timeout=20)
        server.shutdown()
        ws.wait_closed(20)
        assert ws.close_code == 1001
    """
    with child(PROLOGUE, program, "print('end', flush=True)", args=(0, "")) as running:
        assert running.line() == "end"
        assert running.ends() == (0, "")
