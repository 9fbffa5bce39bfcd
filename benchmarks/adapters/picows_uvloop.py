"""picows on uvloop: callbacks, no coroutines.

Its frames hold a memoryview. They are turned into str or bytes, which is what the others return.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable

import uvloop
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
    ws_create_server,
)
from task import Task, expect
from timing import AsyncRun, timed_async

TEXT, BINARY, CLOSE = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CLOSE


def converted(frame: WSFrame) -> str | bytes:
    """The message of a frame."""
    if frame.msg_type == TEXT:
        return frame.get_payload_as_utf8_text()
    return frame.get_payload_as_bytes()


class Counter(WSListener):
    """Counts messages; the base of the clients."""

    def __init__(self, task: Task) -> None:
        self.outgoing = task.message
        self.type = TEXT if isinstance(task.message, str) else BINARY
        self.remaining = 0
        self.paused = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def expect(self, count: int) -> Awaitable[str | bytes]:
        """Wait until so many messages have come; the result is the last one."""
        self.remaining = count
        self.done = asyncio.get_running_loop().create_future()
        return self.done

    def end(self, message: str | bytes) -> None:
        """Note that it was the last message."""
        # In the middle of a stream the event loop runs nothing else until the socket is empty.
        self.ended = time.perf_counter()
        self.done.set_result(message)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        message = converted(frame)
        self.remaining -= 1
        if self.remaining == 0:
            self.end(message)

    def pause_writing(self) -> None:
        self.paused = True
        self.resumed = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        self.paused = False
        self.resumed.set_result(None)


class RoundTrips(Counter):
    """Sends the next message when the last one has come back."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        message = converted(frame)
        self.remaining -= 1
        if self.remaining:
            transport.send(self.type, self.outgoing)
        else:
            self.end(message)


async def round_trips(client: RoundTrips, task: Task) -> AsyncRun:
    async def exchange(count: int) -> str | bytes:
        done = client.expect(count)
        client.transport.send(client.type, client.outgoing)
        return await done

    async def run(count: int) -> None:
        await exchange(count)

    expect(await exchange(1), task.message)
    return run


async def receive(client: Counter, task: Task) -> AsyncRun:
    first = client.expect(1)
    client.transport.send(TEXT, "go")
    expect(await first, task.message)

    async def run(count: int) -> float:
        await client.expect(count)
        return client.ended

    return run


async def send(client: Counter, task: Task) -> AsyncRun:
    transport, type_, message = client.transport, client.type, client.outgoing

    async def run(count: int) -> None:
        for _ in range(count):
            transport.send(type_, message)
            if client.paused:
                await client.resumed
        acknowledged = client.expect(1)
        transport.send(TEXT, "end")
        expect(await acknowledged, str(count))

    return run


def connect(task: Task) -> AsyncRun:
    async def run(count: int) -> None:
        for _ in range(count):
            transport, _ = await ws_connect(WSListener, task.url)
            transport.send_close(WSCloseCode.OK)
            await transport.wait_disconnected()

    return run


RUNS = {
    "round_trips": (RoundTrips, round_trips),
    "receive": (Counter, receive),
    "send": (Counter, send),
    "send_many": (Counter, send),
}


def measure(task: Task) -> dict[str, float]:
    async def main() -> dict[str, float]:
        if task.op == "connect":
            return await timed_async(connect(task), task)
        listener, prepare = RUNS[task.op]
        _, client = await ws_connect(
            lambda: listener(task), task.url, ssl_context=task.client_context()
        )
        return await timed_async(await prepare(client, task), task)

    return uvloop.run(main())


class Echo(WSListener):
    """An echo server as a user would write it."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        else:
            transport.send(frame.msg_type, converted(frame))


def serve(sock: socket.socket, task: Task, listener: type[WSListener] = Echo) -> None:
    async def main() -> None:
        context = task.server_context()
        server = await ws_create_server(lambda request: listener(), sock=sock, ssl=context)
        await server.serve_forever()

    uvloop.run(main())
