"""A client and a handler for the tests beside it. It does nothing by itself."""

from contextlib import suppress

from syncws import ConnectionClosed, connect, reconnect


def echo(ws):
    """Handle a client of the server: shout back."""
    for message in ws:
        ws.send(message.upper())


def greet(url, name):
    """Tell a server our name; return its greeting."""
    with connect(url) as ws:
        ws.send(f"I am {name}")
        return ws.recv(timeout=10)


def follow(url, **options):
    """Yield the news of a server, whatever happens to the connection."""
    for ws in reconnect(url, **options):
        with suppress(ConnectionClosed):
            ws.send("subscribe")
            yield from ws
