"""Tests of chat.py with pytest. Usage: pytest examples/testing"""

import threading

import pytest
from chat import echo, follow, greet

from syncws import Backoff, ConnectionClosedError, connect
from syncws.testing import pair

pytest_plugins = ["syncws.testing.pytest_plugin"]

QUICK = Backoff(initial=0.01, maximum=0.01)


def test_echo():
    """A handler without a server: the test has the client, and no port is needed."""
    with pair() as (client, server):
        handler = threading.Thread(target=echo, args=[server])
        handler.start()
        client.send("hello")
        assert client.recv(timeout=10) == "HELLO"
        client.close()
        handler.join()


def test_greet(scripted_server):
    """The server knows what it wants to hear."""
    scripted_server.expect("I am Ada").send("Hello Ada!").expect_close(1000)

    assert greet(scripted_server.url, "Ada") == "Hello Ada!"


def test_follow(scripted_server):
    """What a server does to a client on a bad day: three clients, one after the other."""
    scripted_server.refuse(503)
    scripted_server.expect("subscribe").send("one").drop()
    scripted_server.expect("subscribe").send("two").expect_close()

    news = follow(scripted_server.url, backoff=QUICK)

    assert [next(news), next(news)] == ["one", "two"]
    news.close()


def test_dead_network(scripted_server, relay_to):
    """The keepalive notices that nothing comes any more, although nobody said so."""
    scripted_server.client().call(lambda ws: ws.wait_closed(10))
    relay = relay_to(scripted_server.url)
    ws = connect(relay.url, ping_interval=0.1, ping_timeout=0.1)
    relay.cut()

    with pytest.raises(ConnectionClosedError, match="keepalive"):
        ws.recv(timeout=10)
    relay.restore()  # so that the server sees an end, too


def test_slow_network(scripted_server, relay_to):
    """200 ms each way: a Ping takes 400."""
    scripted_server.client().expect_close()
    relay = relay_to(scripted_server.url)
    with connect(relay.url) as ws:
        relay.delay(0.2)
        assert ws.ping(timeout=10) >= 0.4
        relay.restore()
