"""Start wstest so that it listens on 127.0.0.1 alone; left to itself it takes every interface.

Runs under Python 2.7, inside the environment that `run.py setup` makes.
"""

from autobahntestsuite import wstest
from twisted.internet import reactor

listen_anywhere = reactor.listenTCP


def listen_on_loopback(port, factory, backlog=50, interface=""):
    return listen_anywhere(port, factory, backlog, interface or "127.0.0.1")


reactor.listenTCP = listen_on_loopback
wstest.run()
