"""
A chat with events, for asyncio, on sockets that the program accepts itself.

Usage: events_chat.py [PORT [HOST [ORIGIN...]]], with the Origins of pages that may connect.
"""

import asyncio
import contextlib
import socket
import sys

from syncws.aio import SAME_ORIGIN, ConnectionClosed, InvalidHandshake
from syncws.aio.events import CloseConnection, Message, open_websocket_server

connected = set()
tasks = set()  # asyncio itself holds them weakly


async def send(websocket, message):
    # Neither one that is gone nor one that does not read may stop the others for long.
    with contextlib.suppress(ConnectionClosed, asyncio.TimeoutError):
        await asyncio.wait_for(websocket.send(message), timeout=1)


async def chat(websocket):
    connected.add(websocket)
    try:
        async for event in websocket:
            if isinstance(event, Message):  # TextMessage or BytesMessage
                await asyncio.gather(*(send(other, event.data) for other in connected))
            elif isinstance(event, CloseConnection):
                print(f"closed with {event.code}", flush=True)
    finally:
        connected.remove(websocket)


async def serve_client(sock, origins):
    try:
        async with open_websocket_server(sock, origins=origins) as websocket:
            await chat(websocket)
    except (InvalidHandshake, OSError, asyncio.TimeoutError) as exc:
        print(f"not opened: {exc}", flush=True)


async def main(port=8765, host="localhost", *origins):
    with socket.create_server((host, int(port))) as listener:
        listener.setblocking(False)
        print(f"listening on ws://{host}:{listener.getsockname()[1]}", flush=True)
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(listener)
            task = asyncio.create_task(serve_client(sock, origins or SAME_ORIGIN))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
