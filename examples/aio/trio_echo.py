"""
An echo server and its client under trio; prints what comes back. Usage: trio_echo.py

Needs trio: pip install 'syncws[trio]'. The functions and classes are those for asyncio.
"""

import trio

from syncws.aio import connect, serve


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def talk(ws):
    for line in ["Hello!", "How are you?", "Good-bye!"]:
        await ws.send(line)


async def listen(ws):
    async for message in ws:
        print(f"< {message}")
        if message == "Good-bye!":
            break


async def main():
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with trio.fail_after(10):
            async with connect(f"ws://127.0.0.1:{port}") as ws, trio.open_nursery() as nursery:
                nursery.start_soon(talk, ws)
                nursery.start_soon(listen, ws)


if __name__ == "__main__":
    trio.run(main)
