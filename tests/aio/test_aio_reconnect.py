"""reconnect() and ``async for ws in connect(...)``, under each kind of event loop."""

from __future__ import annotations

import contextlib
import gc

import pytest

import syncws
from support.loops import Cancelled, url_of
from support.streams import closed_port
from syncws import Backoff, aio

QUICK = Backoff(initial=0.001, maximum=0.004)
# Only a test that hangs sees the end of such a pause.
SLOW = Backoff(initial=3600, maximum=3600)
HERE = ("127.0.0.1", 0)
REFUSED = "ws://127.0.0.1:%d/"


@contextlib.asynccontextmanager
async def noting(**options):
    """Yield (a server that leaves behind each message "leave", the close codes of its clients)."""
    codes = []

    async def handler(ws):
        with contextlib.suppress(aio.ConnectionClosed):
            async for message in ws:
                if message == "leave":
                    break
                await ws.send(message)
        await ws.close(1012)
        codes.append(ws.close_code)

    async with aio.serve(handler, *HERE, **options) as server:
        yield server, codes


async def steps(connections):
    async for _ in connections:
        pass


@pytest.mark.parametrize("make", [aio.connect, aio.reconnect])
def test_each_step_gives_a_new_connection(run, make):
    async def main():
        async with noting() as (server, _):
            seen = []
            options = {} if make is aio.connect else {"backoff": QUICK}
            async for ws in make(url_of(server), **options):
                assert all(old.state is aio.State.CLOSED for old in seen)
                seen.append(ws)
                await ws.send("hello")
                assert await ws.recv() == "hello"
                if make is aio.connect or len(seen) == 4:
                    break
            await ws.wait_closed()

    run(main)


def test_it_comes_back_when_the_server_does(run):
    told = []

    async def main():
        def hook(number, delay, exc):
            told.append((number, delay, exc))

        with closed_port() as (_, port):
            task = run.start(first, REFUSED % port, hook)
            await run.until(lambda: len(told) > 5)
        async with aio.serve(answers, "127.0.0.1", port):
            assert await task.result() == "hello"

    async def answers(ws):
        await ws.send("hello")

    async def first(url, hook):
        async for ws in aio.reconnect(url, backoff=QUICK, on_reconnect=hook):
            message = await ws.recv()
            await ws.close()
            return message

    run(main)
    for number, (count, delay, exc) in enumerate(told):
        assert count == number + 1
        assert 0 <= delay <= min(0.001 * 2**number, 0.004)
        assert isinstance(exc, OSError)


@pytest.mark.parametrize("is_async", [False, True])
def test_hooks_may_be_coroutine_functions(run, is_async):
    """Headers are asked for anew with each attempt."""
    told, calls = [], []

    def hook(number, delay, exc):
        told.append((number, str(exc.code)))

    def headers():
        calls.append(True)
        return {"X-Attempt": str(len(calls))}

    async def async_hook(*args):
        await run.step()
        hook(*args)

    async def async_headers():
        await run.step()
        return headers()

    async def main():
        seen = []

        async def handler(ws):
            seen.append(ws.request.headers["X-Attempt"])
            await ws.close(1012)

        async with aio.serve(handler, *HERE) as server:
            options = {
                "on_reconnect": async_hook if is_async else hook,
                "additional_headers": async_headers if is_async else headers,
                "backoff": QUICK,
            }
            async for ws in aio.reconnect(url_of(server), **options):
                await ws.wait_closed()
                if len(seen) == 3:
                    break
        assert seen == ["1", "2", "3"]
        assert told == [(1, "1012"), (2, "1012")]

    run(main)


@pytest.mark.parametrize("how", ["status", "close"])
def test_a_fatal_failure_is_raised(run, how):
    async def main():
        async def handler(ws):
            await ws.close(1008)

        def refuse(request):
            return syncws.Response(403) if how == "status" else None

        async with aio.serve(handler, *HERE, process_request=refuse) as server:
            error = aio.InvalidStatus if how == "status" else aio.ConnectionClosedError
            with pytest.raises(error, match="403" if how == "status" else "1008"):
                async for ws in aio.reconnect(url_of(server), backoff=QUICK):
                    await ws.wait_closed()

    run(main)


@pytest.mark.parametrize("how", ["break", "return", "exception"])
def test_a_loop_that_is_left_closes_its_connection(run, how):
    """With 1000, in a task of its own."""

    async def main():
        async with noting() as (server, codes):
            told = []  # who keeps exceptions does not keep the loop

            def headers():
                if not told:
                    raise OSError("no token yet")

            async def body():
                async for ws in aio.reconnect(
                    url_of(server),
                    additional_headers=headers,
                    backoff=QUICK,
                    on_reconnect=lambda *args: told.append(args),
                ):
                    if how == "exception":
                        raise KeyError("mine")
                    if how == "return":
                        return ws
                    break
                return ws

            if how == "exception":
                with pytest.raises(KeyError):
                    await body()
            else:
                ws = await body()
                await ws.wait_closed()
                assert ws.close_code == 1000
            await run.until(lambda: gc.collect() >= 0 and codes)
            assert codes == [1000]

    run(main)


@pytest.mark.parametrize("phase", ["pause", "hook", "connecting"])
def test_a_loop_that_is_cancelled_ends_at_once(run, phase, listener):
    reached = []

    async def hook(*args):
        reached.append(True)
        if phase == "hook":
            await run.sleep(3600)

    async def main():
        with closed_port() as (_, port), contextlib.ExitStack() as stack:
            port = listener.getsockname()[1] if phase == "connecting" else port
            task = run.start(steps, aio.reconnect(REFUSED % port, backoff=SLOW, on_reconnect=hook))
            if phase == "connecting":
                stack.enter_context((await run.thread(listener.accept))[0])
            else:
                await run.until(lambda: reached)
            await run.step(5)
            task.cancel()
            assert isinstance(await task.error(), Cancelled)

    run(main, 15)


@pytest.mark.parametrize(("error", "code"), [(None, 1000), (KeyError, 1011)])
def test_it_closes_as_a_context_manager(run, error, code):
    async def main():
        async with noting() as (server, codes):
            expected = pytest.raises(error) if error else contextlib.nullcontext()
            with expected:
                async with aio.reconnect(url_of(server)) as connections:
                    async for last in connections:
                        ws = last
                        if error:
                            raise error
                        break
            assert ws.close_code == code
            await run.until(lambda: codes == [code])

    run(main)


def test_close_ends_a_pause(run):
    reached = []

    async def main():
        with closed_port() as (_, port):
            connections = aio.reconnect(
                REFUSED % port, backoff=SLOW, on_reconnect=lambda *_: reached.append(True)
            )
            task = run.start(steps, connections)
            await run.until(lambda: reached)
            await run.step(5)
            await connections.close()
            assert await task.result() is None

    run(main, 15)


def test_close_in_the_hook_makes_no_pause(run):
    async def main():
        with closed_port() as (_, port):

            async def hook(*_):
                await connections.close()

            connections = aio.reconnect(REFUSED % port, backoff=SLOW, on_reconnect=hook)
            await steps(connections)

    run(main, 15)


def test_close_while_connecting_hands_nothing_out(run):
    """What was made meanwhile is closed."""

    async def main():
        asked, go_on = [], []

        async def hold(request):
            asked.append(True)
            await run.until(lambda: go_on)

        async with noting(process_request=hold) as (server, codes):
            handed_out = []
            connections = aio.reconnect(url_of(server))

            async def loop():
                async for ws in connections:
                    handed_out.append(ws)

            task = run.start(loop)
            await run.until(lambda: asked)
            await connections.close()
            go_on.append(True)
            await task.result()
            assert handed_out == []
            await run.until(lambda: codes == [1000])

    run(main)


def test_close_wakes_the_body_and_ends_the_loop(run):
    async def main():
        async with noting() as (server, codes):
            connections = aio.reconnect(url_of(server))
            inside = []

            async def loop():
                async for ws in connections:
                    inside.append(ws)
                    async for _ in ws:
                        pass

            task = run.start(loop)
            await run.until(lambda: inside)
            await connections.close()
            await task.result()
            assert len(inside) == 1
            await run.until(lambda: codes == [1000])

    run(main)
