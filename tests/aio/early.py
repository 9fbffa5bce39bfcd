"""
What the documents of early versions of websockets tell their readers to write, word for word.

Complete programs and pieces of them. Only ``import websockets`` is ours, and the port is replaced.
"""

IMPORT = "from syncws import aio as websockets"

PARTIAL = """
import asyncio
import functools
import websockets

async def handler(websocket, path, extra_argument):
    ...

bound_handler = functools.partial(handler, extra_argument='spam')
start_server = websockets.serve(bound_handler, '127.0.0.1', 8765)

asyncio.get_event_loop().run_until_complete(start_server)
asyncio.get_event_loop().run_forever()
"""

PARTIAL_TODAY = """
import asyncio
import functools
import websockets

async def handler(websocket, path, extra_argument):
    ...

async def main():
    bound_handler = functools.partial(handler, extra_argument='spam')
    async with websockets.serve(bound_handler, '127.0.0.1', 8765) as server:
        await server.serve_forever()

asyncio.run(main())
"""

LOGGING = """
import logging
logger = logging.getLogger('websockets')
logger.setLevel(logging.INFO)
logger.addHandler(logging.StreamHandler())
"""

KEEP_OPEN = """
while True:
    try:
        msg = await asyncio.wait_for(ws.recv(), timeout=20)
    except asyncio.TimeoutError:
        # No data in 20 seconds, check the connection.
        try:
            pong_waiter = await ws.ping()
            await asyncio.wait_for(pong_waiter, timeout=10)
        except asyncio.TimeoutError:
            # No response to ping in 10 seconds, disconnect.
            break
    else:
        # do something with msg
        ...
"""

KEEP_OPEN_TODAY = """
while True:
    try:
        async with asyncio.timeout(20):
            msg = await ws.recv()
    except TimeoutError:
        try:
            async with asyncio.timeout(10):
                await (await ws.ping())
        except TimeoutError:
            break
    else:
        ...
"""

SERVER = """
import asyncio
import websockets

async def hello(websocket, path):
    name = await websocket.recv()
    print("< {}".format(name))
    greeting = "Hello {}!".format(name)
    await websocket.send(greeting)
    print("> {}".format(greeting))

start_server = websockets.serve(hello, 'localhost', 8765)

asyncio.get_event_loop().run_until_complete(start_server)
asyncio.get_event_loop().run_forever()
"""

SERVER_TODAY = """
import asyncio
import websockets

async def hello(websocket):
    name = await websocket.recv()
    print(f"< {name}")
    await websocket.send(f"Hello {name}!")
    print(f"> Hello {name}!")

async def main():
    async with websockets.serve(hello, 'localhost', 8765) as server:
        await server.serve_forever()

asyncio.run(main())
"""

CLIENT = """
import asyncio
import websockets

async def hello():
    websocket = await websockets.connect('ws://localhost:8765/')
    try:
        name = input("What's your name? ")
        await websocket.send(name)
        print("> {}".format(name))
        greeting = await websocket.recv()
        print("< {}".format(greeting))
    finally:
        await websocket.close()

asyncio.get_event_loop().run_until_complete(hello())
"""

OLD_CLIENT = """
import asyncio
import websockets

@asyncio.coroutine
def hello():
    websocket = yield from websockets.connect('ws://localhost:8765/')
    try:
        name = input("What's your name? ")
        yield from websocket.send(name)
        print("> {}".format(name))
        greeting = yield from websocket.recv()
        print("< {}".format(greeting))
    finally:
        yield from websocket.close()

asyncio.get_event_loop().run_until_complete(hello())
"""

# Generators that are coroutines are still there, if not by that name.
OLD_CLIENT_TODAY = OLD_CLIENT.replace("@asyncio.", "@types.").replace(
    "import asyncio", "import asyncio, types"
)

CLIENT_TODAY = """
import asyncio
import websockets

async def hello():
    async with websockets.connect('ws://localhost:8765/') as websocket:
        name = input("What's your name? ")
        await websocket.send(name)
        print(f"> {name}")
        print(f"< {await websocket.recv()}")

asyncio.run(hello())
"""

SEND_TIME = """
import asyncio
import datetime
import random
import websockets

async def time(websocket, path):
    while True:
        now = datetime.datetime.utcnow().isoformat() + 'Z'
        await websocket.send(now)
        await asyncio.sleep(random.random() * 3)

start_server = websockets.serve(time, '127.0.0.1', 8765)

asyncio.get_event_loop().run_until_complete(start_server)
asyncio.get_event_loop().run_forever()
"""

SEND_TIME_TODAY = """
import asyncio
import datetime
import random
import websockets

async def time(websocket):
    while True:
        now = datetime.datetime.now(datetime.timezone.utc)
        await websocket.send(now.isoformat())
        await asyncio.sleep(random.random() * 3)

async def main():
    async with websockets.serve(time, '127.0.0.1', 8765) as server:
        await server.serve_forever()

asyncio.run(main())
"""

SHOW_TIME = """
<!DOCTYPE html>
<html>
    <head>
        <title>WebSocket demo</title>
    </head>
    <body>
        <script>
            var ws = new WebSocket("ws://127.0.0.1:8765/"),
                messages = document.createElement('ul');
            ws.onmessage = function (event) {
                var message = document.createElement('li');
                message.appendChild(document.createTextNode(event.data));
                messages.appendChild(message);
            };
            document.body.appendChild(messages);
        </script>
    </body>
</html>
"""

RECEIVER = """
async def receiver_handler(websocket, path):
    while True:
        message = await websocket.recv()
        await consumer(message)
"""

RECEIVER_TODAY = """
async def receiver_handler(websocket, path):
    async for message in websocket:
        await consumer(message)
"""

PRODUCER = """
async def producer_handler(websocket, path):
    while True:
        message = await producer()
        await websocket.send(message)
"""

BOTH = """
async def handler(websocket, path):
    # This call prevents the handler from exiting, which would
    # terminate the websocket connection.
    await asyncio.wait([
        receiver_handler(websocket, path),
        producer_handler(websocket, path),
    ])
"""

BOTH_GATHERED = """
async def handler(websocket, path):
    await asyncio.gather(
        receiver_handler(websocket, path),
        producer_handler(websocket, path),
    )
"""

BOTH_GROUPED = """
async def handler(websocket, path):
    async with asyncio.TaskGroup() as group:
        group.create_task(receiver_handler(websocket, path))
        group.create_task(producer_handler(websocket, path))
"""

BOTH_IN_ONE_LOOP = """
async def handler(websocket, path):
    while True:
        listener_task = asyncio.ensure_future(websocket.recv())
        producer_task = asyncio.ensure_future(producer())
        done, pending = await asyncio.wait(
            [listener_task, producer_task],
            return_when=asyncio.FIRST_COMPLETED)

        if listener_task in done:
            message = listener_task.result()
            await consumer(message)
        else:
            listener_task.cancel()

        if producer_task in done:
            message = producer_task.result()
            await websocket.send(message)
        else:
            producer_task.cancel()
"""

REGISTRATION = """
connected = set()

async def handler(websocket, path):
    global connected
    # Register.
    connected.add(websocket)
    try:
        # Implement logic here.
        await asyncio.wait([ws.send("Hello!") for ws in connected])
        await asyncio.sleep(10)
    finally:
        # Unregister.
        connected.remove(websocket)
"""

REGISTRATION_TODAY = """
connected = set()

async def handler(websocket):
    connected.add(websocket)
    try:
        await asyncio.gather(*(ws.send("Hello!") for ws in connected), return_exceptions=True)
        await asyncio.sleep(10)
    finally:
        connected.remove(websocket)
"""

# What the readers write around the pieces.

BEFORE = """
import asyncio
import itertools
import websockets

numbers = itertools.count()

async def consumer(message):
    print("<", message)

async def producer():
    await asyncio.sleep(0.01)
    return "message {}".format(next(numbers))
"""

AFTER = """
start_server = websockets.serve(handler, '127.0.0.1', 8765)
asyncio.get_event_loop().run_until_complete(start_server)
asyncio.get_event_loop().run_forever()
"""

AFTER_TODAY = """
async def main():
    async with websockets.serve(handler, '127.0.0.1', 8765) as server:
        await server.serve_forever()

asyncio.run(main())
"""

AROUND_THE_LOOP = """
import asyncio
import websockets

async def main():
    ws = await websockets.connect('ws://127.0.0.1:8765/', ping_interval=None)
    LOOP
    print("no Pong")
    ws.abort()

asyncio.run(main())
"""
