"""The same as ``bare``, with Flask."""

from __future__ import annotations

import contextlib
import os

from conversation import converse
from flask import Flask, request

from syncws import ConnectionClosed, wsgi

app = Flask(__name__)


@app.route("/view", websocket=True)
def view():
    """Take a WebSocket over in the middle of a view. Without ``websocket=True`` Flask says 400."""
    with contextlib.suppress(ConnectionClosed), wsgi.accept(request.environ) as ws:
        converse(ws)
    return "", 101


@app.get("/")
def pid():
    """Answer with the process's number."""
    return str(os.getpid())


app.wsgi_app = wsgi.middleware(app.wsgi_app, {"/request": converse})
app.wsgi_app = wsgi.middleware(app.wsgi_app, {"/detached": converse}, detach=True)
application = app
