"""A client for asyncio that sends a line and shows the echo. Usage: echo_client.py [PORT [HOST]]"""

import asyncio
import sys

from syncws.aio import connect


async def main(port=8765, host="localhost"):
    async with connect(f"ws://{host}:{port}") as ws:
        await ws.send("Hello!")
        print(f"< {await ws.recv()}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
