"""
A thread and tasks on one connection; prints what comes back. Usage: threads_and_tasks.py

A worker thread has the blocking connection, ``ws.connection``, and sends what it computes without
knowing of the event loop. Meanwhile one task receives and another sends. No call needs a lock.
"""

import asyncio
import threading

from syncws.aio import connect, serve

COUNT = 1000


async def echo(ws):
    async for message in ws:
        await ws.send(message)


def compute(connection):
    for number in range(COUNT):
        connection.send(f"thread {number * number}")


async def send(ws):
    for number in range(COUNT):
        await ws.send(f"task {number}")


async def receive(ws):
    received = {"thread": [], "task": []}
    for _ in range(2 * COUNT):
        sender, number = (await ws.recv()).split()
        received[sender].append(int(number))
    return received


async def main():
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}") as ws:
            worker = threading.Thread(target=compute, args=[ws.connection])
            worker.start()
            received, _ = await asyncio.gather(receive(ws), send(ws))
            worker.join()  # it has sent everything, so this does not wait
    for sender, numbers in received.items():
        order = "in order" if numbers == sorted(numbers) else "IN DISORDER"
        print(f"{len(numbers)} messages of the {sender} came back, {order}")


if __name__ == "__main__":
    asyncio.run(main())
