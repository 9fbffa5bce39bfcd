"""What reads a connection once its event loop is closed."""

from __future__ import annotations

import asyncio

import pytest

from support.threads import WATCHDOG, eventually, live_threads
from syncws import aio


@pytest.fixture(scope="module", autouse=True)
def _uvloop_has_what_it_keeps():
    """The first loop opens two descriptors that stay for the life of the process."""
    try:
        import uvloop
    except ImportError:
        return
    uvloop.run(asyncio.sleep(0))


@pytest.mark.parametrize("name", ["asyncio", "uvloop", "trio"])
def test_a_thread_goes_on_when_the_loop_is_closed(name, serve, caplog):
    """The blocking connection is as good as ever, and the log says whose it was."""
    module = pytest.importorskip(name)
    url = serve().url

    async def main():
        return await aio.connect(url)

    ws = module.run(main) if name == "trio" else module.run(main())
    with ws.connection as connection:
        eventually(lambda: "syncws-client-reader" in [thread.name for thread in live_threads()])
        connection.send("still here")
        assert connection.recv(timeout=WATCHDOG) == "still here"

    (record,) = caplog.records
    assert "an event loop was closed while syncws used it" in record.getMessage()
