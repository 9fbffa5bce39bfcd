"""A thousand connections in one process."""

from __future__ import annotations

import resource

import pytest

from support.loops import url_of
from syncws import aio

COUNT = 1000


@pytest.fixture
def enough_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 3 * COUNT + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"only {hard} open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_connections(run, enough_descriptors):
    """Both ends here; a message each way on all of them while all are open."""

    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    async def main():
        async with aio.serve(echo, "127.0.0.1", 0, ping_interval=None) as server:
            url, ends = url_of(server), []

            async def connect(count):
                for _ in range(count):
                    ends.append(await aio.connect(url, ping_interval=None))

            async def visit(ws, number):
                await ws.send(str(number))
                assert await ws.recv() == str(number)

            for task in [run.start(connect, COUNT // 10) for _ in range(10)]:
                await task.result()
            await run.until(lambda: len(server.connections) == COUNT)
            for task in [run.start(visit, ws, number) for number, ws in enumerate(ends)]:
                await task.result()
            for task in [run.start(ws.close) for ws in ends]:
                await task.result()
            assert {ws.close_code for ws in ends} == {1000}

    run(main)
