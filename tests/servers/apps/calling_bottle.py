"""The views of ``calling``, with Bottle; as a program, in its development server."""

from __future__ import annotations

import contextlib
import signal
import sys

import bottle
from calling import answer

application = bottle.Bottle()


@application.get("/")
@application.get("/<path:path>")
def view(path=""):
    """Answer any path."""
    return answer(bottle.request.path, bottle.request.query_string)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    host, port = sys.argv[1].split(":")
    with contextlib.suppress(KeyboardInterrupt):
        bottle.run(application, server="wsgiref", host=host, port=int(port), quiet=True)
