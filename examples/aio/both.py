"""
A server for asyncio that receives and sends at the same time. Usage: both.py [PORT [HOST]]

One task consumes, another produces. The consumer ends with the connection, and then the handler
cancels the producer.
"""

import asyncio
import contextlib
import itertools
import sys

from syncws.aio import serve


async def consumer(ws):
    async for message in ws:
        print(f"< {message}", flush=True)


async def producer(ws):
    for number in itertools.count():
        await ws.send(f"message {number}")
        await asyncio.sleep(0.5)


async def handler(ws):
    tasks = [asyncio.create_task(consumer(ws)), asyncio.create_task(producer(ws))]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print("both are done", flush=True)


async def main(port=8765, host="localhost"):
    async with serve(handler, host, int(port)) as server:
        print(f"listening on ws://{host}:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
