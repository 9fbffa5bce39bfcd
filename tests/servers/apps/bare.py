"""A WSGI application without a framework, with a WebSocket for each way to get one."""

from __future__ import annotations

import contextlib
import os

from conversation import converse

from syncws import ConnectionClosed, wsgi


def view(environ, start_response):
    """Take a WebSocket over in the middle of a view."""
    with contextlib.suppress(ConnectionClosed), wsgi.accept(environ) as ws:
        converse(ws)
    start_response("101 Switching Protocols", [])
    return []


def page(environ, start_response):
    """Answer with the process's number; POST with the body."""
    body = str(os.getpid()).encode()
    if environ["REQUEST_METHOD"] == "POST":
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    fields = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", fields)
    return [body]


def pages(environ, start_response):
    """Find the view of a path."""
    return {"/view": view}.get(environ["PATH_INFO"], page)(environ, start_response)


application = wsgi.middleware(pages, {"/request": converse})
application = wsgi.middleware(application, {"/detached": converse}, detach=True)
application = wsgi.middleware(application, {"/bounded": converse}, detach=True, max_connections=10)
