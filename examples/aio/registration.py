"""
A chat for asyncio: all clients get what one of them sends. Usage: registration.py [PORT [HOST]]

This keeps its own register of clients; ``server.connections`` has the open ones, too. The handlers
are tasks of one event loop, so the register needs no lock.
"""

import asyncio
import contextlib
import sys

from syncws.aio import ConnectionClosed, serve

connected = set()


async def send(ws, message):
    # Neither one that is gone nor one that does not read may stop the others for long.
    with contextlib.suppress(ConnectionClosed, asyncio.TimeoutError):
        await asyncio.wait_for(ws.send(message), timeout=1)


async def handler(ws):
    connected.add(ws)
    try:
        async for message in ws:
            await asyncio.gather(*(send(other, message) for other in connected))
    finally:
        connected.remove(ws)


async def main(port=8765, host="localhost"):
    async with serve(handler, host, int(port)) as server:
        print(f"listening on ws://{host}:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
