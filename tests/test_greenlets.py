"""What is different where gevent or eventlet has put greenlets in the place of threads."""

from __future__ import annotations

import threading

import pytest

import syncws
from support.ends import linked
from support.peer import Peer
from support.threads import GREENLETS, WATCHDOG, Running, blocked_in, eventually
from syncws.housekeeper import housekeeper
from syncws.threads import Thread

pytestmark = pytest.mark.skipif(not GREENLETS, reason="run by green.py")


def throw(running, error):
    """Raise an error in a greenlet that waits, as gevent does for Ctrl-C, Timeout and kill()."""
    import gc

    import greenlet

    found = next(
        thing
        for thing in gc.get_objects()
        if isinstance(thing, greenlet.greenlet) and id(thing) == running.thread.ident
    )
    if GREENLETS == "gevent":
        import gevent

        gevent.get_hub().loop.run_callback(found.throw, error)
    else:
        import eventlet.hubs

        eventlet.hubs.get_hub().schedule_call_global(0, found.throw, error)


def test_who_sends_without_end_lets_timers_lapse():
    """A socket takes very many short messages before anybody has to wait for it."""
    with linked(ping_interval=None, compression=None) as (client, _):
        lapsed = threading.Event()
        housekeeper.call_later(0.01, lapsed.set)

        while not lapsed.is_set():
            client.send(b"x")

        assert client.stats.messages_sent < 20_000


def test_who_sends_without_end_lets_others_receive():
    """Also on the same connection."""
    with linked(ping_interval=None, compression=None) as (client, server):
        receiving = Running(server.recv)

        while receiving.alive:
            client.send(b"x")

        assert receiving.result() == b"x"


def test_who_echoes_without_end_lets_timers_lapse(serve):
    """The two ends of a chat, both greenlets of this process."""
    with syncws.connect(serve().url, ping_interval=None) as ws:
        lapsed = threading.Event()
        housekeeper.call_later(0.01, lapsed.set)

        while not lapsed.is_set():
            ws.send("x")
            assert ws.recv() == "x"


@pytest.mark.parametrize("timeout", [None, 20])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_an_error_thrown_into_recv_loses_nothing(secure, timeout):
    """The next call goes on from there."""
    with linked(secure, ping_interval=None) as (client, server):
        for number in range(3):
            receiving = Running(client.recv, timeout)
            eventually(lambda it=receiving: blocked_in(it.thread, "fill", "get"), "recv() to wait")
            throw(receiving, KeyboardInterrupt)
            assert isinstance(receiving.error(), KeyboardInterrupt)
            server.send(str(number))
            assert client.recv(WATCHDOG) == str(number)


def test_an_error_thrown_into_send_does_not_tear_the_stream():
    """The rest of the message goes out by itself."""
    large = bytes(range(256)) * 2**16
    with linked(ping_interval=None, compression=None, max_size=None, fragment_size=None) as ends:
        client, server = ends
        sending = Running(client.send, large)
        eventually(lambda: blocked_in(sending.thread, "wait_writable"), "send() to wait")
        throw(sending, KeyboardInterrupt)
        assert isinstance(sending.error(), KeyboardInterrupt)

        assert server.recv(WATCHDOG) == large


def test_ctrl_c_that_strikes_a_thread_of_ours_reaches_the_main_one():
    """It is raised in whichever greenlet runs, and Python's threads swallow it."""

    def struck():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Thread(struck, "struck").start()
        threading.Event().wait(WATCHDOG)


def test_ctrl_c_that_strikes_the_housekeeper_stops_no_timer():
    def struck():
        raise KeyboardInterrupt

    housekeeper.call_later(0, struck)
    with pytest.raises(KeyboardInterrupt):
        threading.Event().wait(WATCHDOG)
    lapsed = threading.Event()
    housekeeper.call_later(0, lapsed.set)
    assert lapsed.wait(WATCHDOG)


def test_ctrl_c_that_strikes_a_handler_does_not_wait_for_its_end(serve):
    """The peer never answers the Close."""
    struck = []
    may_strike = threading.Event()

    def handler(ws):
        struck.append(ws)
        may_strike.wait(WATCHDOG)
        raise KeyboardInterrupt

    server = serve(handler, close_timeout=600)
    with Peer.connecting(server.server_address):
        eventually(lambda: struck)
        may_strike.set()
        with pytest.raises(KeyboardInterrupt):
            threading.Event().wait(WATCHDOG)
        assert struck[0].state is syncws.State.CLOSING
        struck[0].abort()
