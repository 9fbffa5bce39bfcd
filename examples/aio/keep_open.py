"""
A client for asyncio that pings when nothing comes. Usage: keep_open.py [PORT [HOST [SECONDS]]]

By default syncws does this for you (see ``ping_interval``); by hand you decide what happens then.
"""

import asyncio
import sys

from syncws.aio import ConnectionClosed, connect


async def keep_open(ws, seconds):
    while True:
        try:
            message = await asyncio.wait_for(ws.recv(), timeout=seconds)
        except asyncio.TimeoutError:
            # No message: check the connection.
            try:
                pong = await ws.ping()
                latency = await asyncio.wait_for(pong, timeout=10)
                print(f"alive: Pong after {latency:.6f} s", flush=True)
            except asyncio.TimeoutError:
                print("dead: no Pong")
                ws.abort()  # the closing handshake would wait for the dead peer, too
                return
        else:
            print(f"< {message}", flush=True)


async def main(port=8765, host="localhost", seconds=20):
    async with connect(f"ws://{host}:{port}", ping_interval=None) as ws:
        try:
            await keep_open(ws, float(seconds))
        except ConnectionClosed as exc:
            print(f"closed: {exc}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
