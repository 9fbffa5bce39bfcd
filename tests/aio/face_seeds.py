"""
What the documents of asws3 and asyncwebsockets tell their readers to write, word for word.

Only the imports are ours.
"""

CALLBACKS_IMPORT = """
import asyncio
import sys
from syncws.aio.callbacks import WebSocketServer, Client, WebSocketReader

address, port = "127.0.0.1", 8765
"""

CREATE = """
loop = asyncio.get_event_loop()
socket = WebSocketServer(address, port, loop=loop)
"""

CREATE_TODAY = """
socket = WebSocketServer(address, port)
"""

CONNECTION = """
@socket.connection
async def on_connection(client: Client):
    print("We just got a new connection!")
"""

START = """
with socket as server:
    print(f'Serving on {server.sockets[0].getsockname()}')

print("The server closed")
"""

START_TODAY = """
async def main():
    async with socket as server:
        print(f'Serving on {server.sockets[0].getsockname()}')

asyncio.run(main())
print("The server closed")
"""

SERVE = """
with socket as server:
    loop.run_forever()
    print("The server is going to close!")

print("The server closed")
"""

SERVE_TODAY = """
async def main():
    async with socket as server:
        await server.serve_forever()
        print("The server is going to close!")

asyncio.run(main())
print("The server closed")
"""

ADDRESS = """
@socket.connection
async def on_connection(client: Client):
    print(f"We just got a new connection from {client.addr, client.port}!")
"""

CLIENTS = """
@socket.connection
async def on_connection(client: Client):
    for other in socket.clients.values():
        print(f"Client {other.addr, other.port} was connected before {client.addr, client.port}")
"""

MESSAGE = """
@socket.connection
async def on_connection(client: Client):
    @client.message
    async def on_message(reader: WebSocketReader):
        print(f"The client {client.addr, client.port} sent an message.")
"""

# To be put into the function on_connection.
READ = """
@client.message
async def on_message(reader: WebSocketReader):
    msg = await reader.get()
    print(f"The client {client.addr, client.port} sent the message {msg}.")
"""

TELL = """
@socket.connection
async def on_connection(client: Client):
    for other in socket.clients.values():
        await other.writer.send('You are a client connected to my server.')
"""

ANSWER = """
@socket.connection
async def on_connection(client: Client):
    @client.message
    async def on_message(reader: WebSocketReader):
        msg = await reader.get()
        await client.writer.send('You just send me the following message.')
        await client.writer.send(msg)
"""

EVENTS_IMPORT = """
from syncws.aio.events import TextMessage
"""

TYPES = """
async for evt in websocket:
    print(type(evt))  # handle event appropriately
"""

THANKS = """
async for evt in websocket:
   if isinstance(evt, TextMessage):
      await websocket.send("Thanks for saying '%s'!" % (evt.data,))
"""

GOODBYE = """
await websocket.close(1000, reason="Goodbye!")
"""
