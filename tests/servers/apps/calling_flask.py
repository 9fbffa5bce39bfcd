"""The views of ``calling``, with Flask."""

from __future__ import annotations

from calling import answer
from flask import Flask, request

app = Flask(__name__)


@app.get("/")
@app.get("/<path:path>")
def view(path=""):
    """Answer any path."""
    return answer(request.path, request.query_string.decode())


application = app
