"""The end of the program, and Ctrl-C in everything that blocks."""

from __future__ import annotations

import contextlib
import signal
import socket

import pytest

import syncws
from support.children import child
from support.ends import QuickPeer, plain_and_tls
from support.threads import WATCHDOG, eventually
from support.tls import CA, server_context

# For the programs: they get a port, and a CA if it is one for TLS.
PROLOGUE = """
    import ssl, sys, threading
    import syncws
    from support.children import blocks_in
    from support.threads import blocked_in, eventually

    def connect(**options):
        port, ca = sys.argv[1:]
        if ca:
            options["ssl"] = ssl.create_default_context(cafile=ca)
        return syncws.connect(f"{'wss' if ca else 'ws'}://localhost:{port}/", **options)
"""
END = "print('end', flush=True)"

ENDS_WITH = {
    "an-open-connection": "ws = connect()",
    "one-in-a-cycle": "ws = connect(); cycle = [ws]; cycle.append(cycle)",
    "one-that-is-busy": """
        def chat():
            try:
                for message in ws:
                    ws.send(message)
            except syncws.ConnectionClosed:
                pass
        ws = connect(max_queue=3)
        for _ in range(3):
            threading.Thread(target=chat, daemon=True).start()
            ws.send(bytes(1000))
        eventually(lambda: ws.stats.messages_received > 100)
    """,
    "a-full-queue": """
        ws = connect(max_queue=1)
        for _ in range(9):
            ws.send("x")
        eventually(lambda: ws._engine.queue.parked)
    """,
    "a-server": """
        server = syncws.ThreadingServer(lambda ws: ws.recv(), "127.0.0.1", 0)
        server.start()
        mine = syncws.connect("ws://127.0.0.1:%d" % server.server_address[1])
        ws = connect()
    """,
    "a-thread-in-recv": """
        ws = connect()
        thread = threading.Thread(target=ws.recv, daemon=True)
        thread.start()
        eventually(lambda: blocked_in(thread, "get"))
    """,
    "one-in-a-thread-that-ended": """
        threading.Thread(target=lambda: globals().update(ws=connect())).start()
        eventually(lambda: "ws" in globals())
    """,
}


@pytest.mark.parametrize(
    ("name", "secure"),
    [(name, False) for name in ENDS_WITH]
    + [("an-open-connection", True), ("one-that-is-busy", True), ("a-full-queue", True)],
)
def test_the_program_ends_with(name, secure, serve):
    """Nobody closes anything, and nothing keeps the program alive; no word of it on stderr."""
    server = serve(host="localhost", ssl=server_context() if secure else None)
    args = (server.server_address[1], CA if secure else "")
    with child(PROLOGUE, ENDS_WITH[name], END, args=args) as running:
        assert running.line() == "end"
        assert running.ends() == (0, "")


@plain_and_tls
def test_the_program_ends_with_a_blocked_send(secure):
    program = """
        ws = connect()
        thread = threading.Thread(target=ws.send, args=(bytes(2**24),), daemon=True)
        thread.start()
        eventually(lambda: blocked_in(thread, "wait_writable"))
    """
    with silent_peer(program, END, secure=secure) as running:
        assert running.line() == "end"
        assert running.ends() == (0, "")


def test_the_program_ends_with_an_error(serve):
    """The traceback is shown, and nothing else happens."""
    args = (serve().server_address[1], "")
    with child(PROLOGUE, "ws = connect()", END, "1 / 0", args=args) as running:
        assert running.line() == "end"
        code, errors = running.ends()
    assert code == 1
    assert errors.endswith("ZeroDivisionError: division by zero\n")
    assert errors.count("Traceback") == 1


def test_close_in_an_exit_handler(serve):
    """New threads cannot be started there any more."""
    program = """
        import atexit
        ws = connect(ping_interval=None)
        atexit.register(ws.close)
    """
    args = (serve().server_address[1], "")
    with child(PROLOGUE, program, END, args=args) as running:
        assert running.line() == "end"
        assert running.ends() == (0, "")


@contextlib.contextmanager
def silent_peer(*parts, secure=False):
    """Run a program, and the peer that it connects to, which does nothing but the handshakes."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("localhost", 0)))
        listener.settimeout(WATCHDOG)
        args = (listener.getsockname()[1], CA if secure else "")
        running = stack.enter_context(child(PROLOGUE, *parts, args=args))
        if secure:
            listener = server_context().wrap_socket(listener, server_side=True)
            stack.enter_context(listener)
        stack.enter_context(QuickPeer.accepting(listener))
        yield running


CTRL_C = """
    def try_ctrl_c(where, call):
        blocks_in(where, f"in {call}")
        try:
            call()
        except KeyboardInterrupt:
            print("out", flush=True)

    # Interrupted between two fragments, send() would close the connection.
    ws = connect(ping_interval=None, fragment_size=None)
"""
# Who waits for a message reads for himself, or leaves that to a thread if that was quicker.
BLOCKS = [
    ("fill get", "lambda: ws.recv()"),
    ("fill get", "lambda: ws.recv(timeout=600)"),
    ("fill get", "lambda: next(iter(ws))"),
    ("_wait", "lambda: next(ws.recv_stream())"),
    ("fill result", "lambda: ws.ping()"),
    ("wait_closed", "lambda: ws.wait_closed()"),
    ("wait_writable", "lambda: ws.send(bytes(2**24))"),
    ("wait_writable", "lambda: ws.send_many(['more'])"),
    ("wait_writable", "lambda: ws.send(['more'])"),
    ("close", "lambda: ws.close(timeout=600)"),
]

tells_of_ctrl_c = pytest.mark.native_threads(
    "gevent writes every KeyboardInterrupt to stderr, and raises it in whichever greenlet runs"
)


@tells_of_ctrl_c
@plain_and_tls
def test_ctrl_c_ends_what_blocks(secure):
    """At once, every time; and the program can go on, or end."""
    calls = "\n".join(f"try_ctrl_c({where!r}, {call})" for where, call in BLOCKS)
    with silent_peer(CTRL_C, calls, END, secure=secure) as running:
        for _ in BLOCKS:
            assert running.line().startswith("in")
            running.interrupt()
            assert running.line() == "out"
        assert running.line() == "end"
        assert running.ends() == (0, "")


@tells_of_ctrl_c
@pytest.mark.parametrize("url", ["ws://127.0.0.1", "wss://127.0.0.1"])
def test_ctrl_c_ends_connect(url, listener):
    """The server is silent in the opening handshake, or before it in that of TLS."""
    program = f"""
        blocks_in("wait_for", "in")
        syncws.connect("{url}:%s" % sys.argv[1], open_timeout=None)
    """
    with child(PROLOGUE, program, args=(listener.getsockname()[1], "")) as running:
        assert running.line() == "in"
        running.interrupt()
        code, errors = running.ends()
        assert code == -signal.SIGINT or "KeyboardInterrupt" in errors
        assert errors.rstrip().endswith("KeyboardInterrupt")


@tells_of_ctrl_c
def test_ctrl_c_leaves_a_with_block(serve):
    """The connection is closed on the way out."""
    program = """
        with connect() as ws:
            blocks_in("get", "in")
            ws.recv()
    """
    closed = []

    def handler(ws):
        ws.wait_closed()
        closed.append(ws.close_code)

    args = (serve(handler).server_address[1], "")
    with child(PROLOGUE, program, args=args) as running:
        assert running.line() == "in"
        running.interrupt()
        assert running.ends()[1].rstrip().endswith("KeyboardInterrupt")
    assert eventually(lambda: closed) == [1011]


SERVER = """
    import logging, signal, sys, threading
    import syncws
    from support.children import blocks_in
    logging.basicConfig(level=logging.WARNING)

    def handler(ws):
        for message in ws:
            ws.send(message)
        print("handler is done", flush=True)

    server = syncws.ThreadingServer(handler, "127.0.0.1", 0)
    print(server.server_address[1], flush=True)
    blocks_in("select", "serving")
"""


def served(running):
    """Connect to the server program; return the connection."""
    port = running.line()
    ws = syncws.connect(f"ws://127.0.0.1:{port}")
    assert running.line() == "serving"
    ws.send("hello")
    assert ws.recv() == "hello"
    return ws


@tells_of_ctrl_c
def test_ctrl_c_ends_serve_forever():
    """Gracefully: clients are told, handlers end; then KeyboardInterrupt is raised again."""
    program = """
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    with child(SERVER, program) as running, served(running) as ws:
        running.interrupt()
        with pytest.raises(syncws.ConnectionClosedOK) as caught:
            ws.recv()
        assert caught.value.code == 1001
        assert running.line() == "handler is done"
        assert running.line() == "interrupted"
        assert running.ends() == (0, "")


@pytest.mark.native_threads("gevent runs signal handlers in its event loop, which cannot wait")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_shutdown_in_a_signal_handler(name):
    """It interrupts serve_forever() in the very thread that it waits for otherwise."""
    program = f"""
        signal.signal(signal.{name}, lambda *_: server.shutdown())
        server.serve_forever()
    """
    with child(SERVER, program) as running, served(running) as ws:
        running.process.send_signal(getattr(signal, name))
        with pytest.raises(syncws.ConnectionClosedOK):
            ws.recv()
        assert running.line() == "handler is done"
        assert running.ends() == (0, "")


@tells_of_ctrl_c
def test_ctrl_c_ends_shutdown_that_waits_for_a_handler():
    """The second Ctrl-C does not wait for a handler that ignores the first."""
    program = """
        stubborn = threading.Event()
        server = syncws.ThreadingServer(lambda ws: stubborn.wait(), "localhost", 0)
        server.start()
        ws = syncws.connect("ws://localhost:%d" % server.server_address[1])
        eventually(lambda: server.connections)
        server.server_close()  # or there would be two waits, and Ctrl-C might come in between
        blocks_in("_wait_idle", "in")
        server.shutdown(timeout=600)
    """
    with child(PROLOGUE, program, args=(0, "")) as running:
        assert running.line() == "in"
        running.interrupt()
        assert running.ends()[1].rstrip().endswith("KeyboardInterrupt")


BUSY = """
    import random, signal
    from support.ends import linked
    from support.threads import Running

    signal.signal(signal.SIGALRM, signal.default_int_handler)
    OPTIONS = {"ping_interval": None, "close_timeout": 2}

    def unraisable(info):
        if info.exc_type is not KeyboardInterrupt:
            sys.__unraisablehook__(info)

    sys.unraisablehook = unraisable

    def interrupted(call):
        '''Call again and again until Ctrl-C; return how many calls ended.'''
        number = 0
        try:
            # Again and again: a destructor that is interrupted lets nobody know.
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0002, 0.003), 0.5)
            while True:
                call(number)
                number += 1
        except KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return number
"""
# Before 3.11, Ctrl-C may come between "try" and the release of a lock in "finally". Then calls end
# by their timeouts, or say that another is in the middle.
LEAKS = "(TimeoutError, syncws.ConcurrencyError) if sys.version_info < (3, 11) else ()"


@tells_of_ctrl_c
@plain_and_tls
def test_ctrl_c_does_not_tear_the_stream(secure):
    """It comes at any moment of a busy send(); messages before it arrive, and the next one, too."""
    program = f"""
        for _ in range(40):
            with linked(sys.argv[1] == "True", **OPTIONS) as (client, server):
                receiving = Running(lambda: list(server))
                sizes = 4, 100, 100_000
                sent = interrupted(
                    lambda n: client.send(n.to_bytes(4, "big") + bytes(random.choice(sizes)))
                )
                try:
                    client.send(b"last", timeout=5)
                except {LEAKS}:
                    continue
                client.close()
                *received, last = receiving.result()
                assert last == b"last"
                numbers = [int.from_bytes(message[:4], "big") for message in received]
                assert numbers in (list(range(sent)), list(range(sent + 1)))
    """
    with child(PROLOGUE, BUSY, program, END, args=(secure,)) as running:
        assert running.line() == "end"
        assert running.ends() == (0, "")


@tells_of_ctrl_c
@plain_and_tls
def test_ctrl_c_in_a_busy_recv_lets_others_read(secure):
    """What follows arrives in order, or the connection ends at once: nobody waits in vain."""
    program = f"""
        def feed(server):
            try:
                for number in range(10**6):
                    server.send(number.to_bytes(4, "big") + bytes(random.choice((4, 100, 10_000))))
            except syncws.ConnectionClosed:
                pass

        for _ in range(40):
            with linked(sys.argv[1] == "True", **OPTIONS) as (client, server):
                feeding = Running(feed, server)
                received = []
                interrupted(lambda _: received.append(client.recv()))
                try:
                    for _ in range(100):
                        received.append(client.recv(timeout=5))
                except syncws.ConnectionClosed:
                    pass
                except {LEAKS}:
                    continue
                client.abort()
                feeding.result()
                numbers = [int.from_bytes(message[:4], "big") for message in received]
                missing = set(range(len(numbers))) - set(numbers)
                assert len(missing) <= 1  # recv() had returned it
                assert numbers == sorted(set(numbers))
    """
    with child(PROLOGUE, BUSY, program, END, args=(secure,)) as running:
        assert running.line() == "end"
        assert running.ends() == (0, "")
