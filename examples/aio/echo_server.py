"""A server for asyncio that sends every message back. Usage: echo_server.py [PORT [HOST]]"""

import asyncio
import contextlib
import sys

from syncws.aio import serve


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def main(port=8765, host="localhost"):
    async with serve(echo, host, int(port)) as server:
        print(f"listening on ws://{host}:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
