"""
A WSGI application whose views call out: ``/VIEW/TEXT?URL``, where the URL is that of the backend.

The same views are served with frameworks by ``calling_with.py``.
"""

from __future__ import annotations

import atexit
import os
import threading
import urllib.parse

import syncws

LIMIT = 20  # seconds; a watchdog only

_lock = threading.Lock()
_shared = None
# Made when the module is imported: before the fork, where the server does that.
_early = os.environ.get("CALL_EARLY") and syncws.connect(os.environ["CALL_EARLY"])


def shared(url):
    """Return the connection of this process, made with the first need."""
    global _shared
    with _lock:
        if _shared is None or _shared.state is not syncws.State.OPEN:
            _shared = syncws.connect(url)
            if "CALL_GOODBYE" in os.environ:
                atexit.register(_shared.close, syncws.CloseCode.GOING_AWAY)
        return _shared


def ask(text, url):
    """Take a connection for one question."""
    with syncws.connect(url) as ws:
        ws.send(text)
        return ws.recv(timeout=LIMIT)


def push(text, url):
    """Send a long message by the connection that all share."""
    shared(url).send(10_000 * text)
    return "pushed"


def ping(text, url):
    """Measure the round trip on the connection that all share."""
    return str(shared(url).ping(timeout=LIMIT))


def early(text, url):
    """Tell what is wrong with the connection that was made before the fork."""
    calls = (lambda: _early.send(text), lambda: _early.recv(timeout=LIMIT), _early.ping)
    answers = []
    for call in calls:
        try:
            answers.append(f"worked: {call()}")
        except syncws.InheritedConnection as exc:
            answers.append(f"InheritedConnection: {exc}")
    _early.close()
    return "\n".join(answers)


VIEWS = {"ask": ask, "push": push, "ping": ping, "early": early}


def answer(path, query):
    """Find the view and call it; without one answer with the process's number."""
    _, view, text = (path + "/").split("/", 3)[:3]
    return VIEWS[view](text, urllib.parse.unquote(query)) if view else str(os.getpid())


def application(environ, start_response):
    body = answer(environ["PATH_INFO"], environ.get("QUERY_STRING", "")).encode()
    fields = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", fields)
    return [body]
