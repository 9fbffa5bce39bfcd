"""serve(): handlers as tasks, and the end of a server."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import signal
import socket
import sys

import pytest

import syncws
from support.children import child
from support.loops import Cancelled, url_of
from support.peer import Peer
from support.threads import WATCHDOG, Running
from support.tls import client_context, server_context
from support.wire import CLOSE
from syncws import aio

HERE = ("127.0.0.1", 0)


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def with_path(ws, path):
    await ws.send(path)


async def with_more(greeting, ws):
    await ws.send(greeting)


@pytest.mark.parametrize(
    ("handler", "expected"),
    [(with_path, "/here?x=1"), (functools.partial(with_more, "hi"), "hi")],
)
def test_handlers_are_called_with_what_they_take(run, handler, expected):
    async def main():
        async with (
            aio.serve(handler, *HERE) as server,
            aio.connect(url_of(server) + "here?x=1") as ws,
        ):
            assert await ws.recv() == expected
            await ws.wait_closed()
            assert ws.close_code == 1000

    run(main)


@pytest.mark.parametrize("name", ["create_connection", "create_protocol"])
def test_connections_are_made_as_asked(run, name):
    class Mine(aio.AsyncConnection):
        pass

    async def handler(ws):
        await ws.send(type(ws).__name__)

    async def main():
        async with (
            aio.serve(handler, *HERE, **{name: Mine}) as server,
            aio.connect(url_of(server), **{name: Mine}) as ws,
        ):
            assert isinstance(ws, Mine)
            assert await ws.recv() == "Mine"

    run(main)


@pytest.mark.parametrize("make", [aio.connect, functools.partial(aio.serve, echo)])
def test_both_names_are_one_too_many(make):
    both = {"create_connection": aio.AsyncConnection, "create_protocol": aio.AsyncConnection}
    with pytest.raises(TypeError, match="mean the same"):
        make("ws://localhost/", **both)


async def fails(ws):
    raise KeyError("mine")


def returns_nothing(ws):
    return 5


@pytest.mark.parametrize(
    ("handler", "words"), [(fails, "KeyError: 'mine'"), (returns_nothing, "returned int")]
)
def test_a_handler_that_fails_closes_with_1011(run, handler, words, caplog):
    async def main():
        async with aio.serve(handler, *HERE) as server, aio.connect(url_of(server)) as ws:
            with pytest.raises(aio.ConnectionClosedError):
                await ws.recv()
            assert ws.close_code == 1011

    run(main)
    assert words in caplog.text


def test_create_connection_that_fails_closes_with_1011(run, caplog):
    def create(connection):
        raise KeyError("mine")

    async def main():
        async with (
            aio.serve(echo, *HERE, create_connection=create) as server,
            aio.connect(url_of(server)) as ws,
        ):
            await ws.wait_closed()
            assert ws.close_code == 1011
            with pytest.raises(KeyError, match="mine"):
                await aio.connect(url_of(server), create_connection=create)

    run(main)
    assert "KeyError: 'mine'" in caplog.text


def test_close_cancels_handlers_that_ignore_it(run, impatient, caplog):
    cancelled = []

    async def stubborn(ws):
        try:
            await run.sleep(60)
        except BaseException as exc:
            cancelled.append(type(exc).__name__)
            raise

    async def main():
        server = await aio.serve(stubborn, *HERE, close_timeout=0.1)
        ws = await aio.connect(url_of(server), close_timeout=0.1)
        await run.until(lambda: server.connections)
        server.close()
        await server.wait_closed()
        await ws.wait_closed()
        assert len(cancelled) == 1

    run(main)
    assert "still running" not in caplog.text


@pytest.mark.parametrize("is_async", [False, True])
def test_hooks(run, is_async):
    """Each is called, whether it is a coroutine function or not."""

    def process_request(request):
        if request.path == "/plain":
            return syncws.Response(200, {}, b"hello")
        return None

    def process_response(request, response):
        response.headers.add("X-Hook", "yes")

    def select_subprotocol(request, offered):
        return offered[-1]

    hooks = {f.__name__: f for f in (process_request, process_response, select_subprotocol)}
    if is_async:

        def awaited(function):
            async def hook(*args):
                await run.step(2)
                return function(*args)

            return hook

        hooks = {name: awaited(function) for name, function in hooks.items()}

    async def main():
        async with (
            aio.serve(echo, *HERE, subprotocols=["a", "b"], **hooks) as server,
            aio.connect(url_of(server), subprotocols=["a", "b"]) as ws,
        ):
            assert ws.subprotocol == "b"
            assert ws.response.headers["X-Hook"] == "yes"
            with pytest.raises(aio.InvalidStatus) as caught:
                await aio.connect(url_of(server) + "plain")
            assert caught.value.body == b"hello"

    run(main)


@pytest.mark.parametrize("wrap", [lambda hook: hook, functools.partial])
def test_hooks_may_be_objects(run, wrap):
    """Whose call is a coroutine function."""

    class Hook:
        async def __call__(self, request):
            await run.step()
            return syncws.Response(418)

    async def main():
        async with aio.serve(echo, *HERE, process_request=wrap(Hook())) as server:
            with pytest.raises(aio.InvalidStatus, match="418"):
                await aio.connect(url_of(server))

    run(main)


def test_a_hook_of_a_loop_that_drops_its_tasks_keeps_no_thread(run_asyncio):
    """Without open_timeout nothing else would end it."""
    begun = []

    async def hook(request):
        begun.append(True)
        await asyncio.sleep(3600)

    async def main():
        options = {"open_timeout": None, "close_timeout": None}
        return await aio.serve(echo, *HERE, process_request=hook, **options)

    loop = run_asyncio.make()
    server = loop.run_until_complete(main())
    client = Running(syncws.connect, url_of(server))
    loop.run_until_complete(run_asyncio.until(lambda: begun))
    loop.close()
    assert isinstance(client.error(), syncws.InvalidStatus)
    assert server._closed.wait(WATCHDOG)
    # asyncio complains of its own task.
    asyncio_log = logging.getLogger("asyncio")
    asyncio_log.disabled = True
    try:
        gc.collect()
    finally:
        asyncio_log.disabled = False


PROGRAM = """
    import asyncio, signal
    from support.children import blocks_in
    from syncws import aio

    async def handler(ws):
        %s

    async def main():
        async with aio.serve(handler, "127.0.0.1", 0) as server:
            print(server.sockets[0].getsockname()[1], flush=True)
            await server.serve_forever()

    asyncio.run(main())
"""


def test_ctrl_c_ends_a_server():
    """At once, whichever task it strikes; clients hear of it."""
    if sys.version_info >= (3, 11):
        busy = """
        print("open", flush=True)
        while ws.state is aio.State.OPEN:
            await asyncio.sleep(0)
        """
    else:
        # It strikes whatever runs. If that is asyncio itself, which notes that the task is to go
        # on, asyncio.run() waits for this task for ever.
        busy = """
        blocks_in("handler", "open")
        signal.pause()
        """
    with (
        child(PROGRAM % busy) as program,
        syncws.connect(f"ws://127.0.0.1:{program.line()}/") as ws,
    ):
        assert program.line() == "open"
        program.interrupt()
        code, errors = program.ends()
        assert ws.wait_closed(WATCHDOG)
        assert ws.close_code == 1001
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in errors
    assert "syncws" not in errors.replace("syncws/aio/", "")


def test_sys_exit_in_a_handler_ends_the_program():
    """At once, also if the client does not answer the Close."""
    with (
        child(PROGRAM % "raise SystemExit(3)") as program,
        Peer.connecting(("127.0.0.1", int(program.line()))) as peer,
    ):
        assert peer.recv() == (CLOSE, b"\x03\xe9")
        assert program.ends()[0] == 3


def test_a_hook_that_raises_answers_500(run, caplog):
    async def hook(request):
        raise KeyError("mine")

    async def main():
        async with aio.serve(echo, *HERE, process_request=hook) as server:
            with pytest.raises(aio.InvalidStatus, match="500"):
                await aio.connect(url_of(server))

    run(main)
    assert "KeyError: 'mine'" in caplog.text


@pytest.mark.parametrize("how", ["timeout", "close"])
def test_a_hook_that_never_ends_is_cancelled(run, impatient, how):
    """By open_timeout, or with the server; no thread stays for it."""
    begun, ended = [], []

    async def hook(request):
        begun.append(True)
        try:
            await run.sleep(60)
        finally:
            ended.append(True)

    async def main():
        limit = 0.1 if how == "timeout" else 50
        options = {"process_request": hook, "open_timeout": limit, "close_timeout": 0.1}
        async with aio.serve(echo, *HERE, **options) as server:

            async def connecting():
                await aio.connect(url_of(server))

            task = run.start(connecting)
            if how == "close":
                await run.until(lambda: begun)
                server.close()
            await task.error()
            await run.until(lambda: ended)

    run(main, 15)


def test_the_life_of_a_server(run):
    async def main():
        async with aio.serve(echo, *HERE) as server:
            assert server.is_serving()
            port = server.sockets[0].getsockname()[1]
            assert port > 0
            assert server.connections == set()
            assert str(port) in str(server)
            assert "Server" in repr(server)
            assert server.logger is logging.getLogger("syncws.server")
            ws = await aio.connect(url_of(server))
            await run.until(lambda: len(server.connections) == 1)
            with pytest.raises(ValueError):
                server.close(1005)
            assert server.is_serving()
            server.close(4000, "over")
            server.close()
            assert not server.is_serving()
            assert server.sockets == ()
            await server.wait_closed()
            await ws.wait_closed()
            assert (ws.close_code, ws.close_reason) == (4000, "over")
            assert server.connections == set()
        async with aio.serve(echo, "127.0.0.1", port) as server, aio.connect(url_of(server)) as ws:
            await ws.send("again")
            assert await ws.recv() == "again"

    run(main)


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_serve_forever_ends(run, how):
    async def main():
        server = await aio.serve(echo, *HERE)
        serving = run.start(server.serve_forever)
        await run.stays_waiting(serving)
        if how == "close":
            server.close()
            await serving.result()
        else:
            serving.cancel()
            assert isinstance(await serving.error(), Cancelled)
        await server.wait_closed()

    run(main)


def test_a_unix_socket(run, tmp_path):
    path = str(tmp_path / "socket")

    async def main():
        async with (
            aio.serve(echo, unix_path=path),
            aio.connect("ws://localhost/", unix_path=path) as ws,
        ):
            await ws.send("x")
            assert await ws.recv() == "x"

    run(main)


def test_tls(run):
    async def main():
        async with aio.serve(echo, *HERE, ssl=server_context()) as server:
            url = url_of(server, "wss").replace("localhost", "127.0.0.1")
            async with aio.connect(url, ssl=client_context(), server_hostname="localhost") as ws:
                await ws.send(bytes(2**17))
                assert await ws.recv() == bytes(2**17)

    run(main)


def test_a_wsgi_app_answers_what_is_no_websocket(run):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]

    def get(port):
        with socket.create_connection(("127.0.0.1", port), timeout=WATCHDOG) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return sock.makefile("rb").read()

    async def main():
        async with aio.serve(echo, *HERE, wsgi_app=app) as server:
            answer = await run.thread(get, server.sockets[0].getsockname()[1])
            assert b"hello" in answer

    run(main)


def test_max_connections(run):
    async def main():
        async with aio.serve(echo, *HERE, max_connections=1) as server:
            async with aio.connect(url_of(server)):
                with pytest.raises(aio.InvalidStatus, match="503"):
                    await aio.connect(url_of(server))

            async def again():
                try:
                    async with aio.connect(url_of(server)) as ws:
                        await ws.send("x")
                        return await ws.recv()
                except aio.InvalidStatus:
                    return None

            while await again() != "x":
                await run.step()

    run(main)


def test_close_while_a_handshake_is_going_on(run):
    async def main():
        server = await aio.serve(echo, *HERE)
        with socket.create_connection(server.sockets[0].getsockname()) as sock:
            sock.settimeout(WATCHDOG)
            await run.until(lambda: server._server._sessions)
            server.close()
            await server.wait_closed()
            assert sock.recv(1) == b""

    run(main)
