"""
A site that was there before, and a live clock beside it, on one port: open http://localhost:8765/

Usage: wsgi_site.py [PORT [HOST]]

The site is a WSGI application. This one needs nothing but Python, so that the example runs
anywhere; with Flask or Django it is ``app`` in your ``app.py``, or what is in your ``wsgi.py``.
"""

import datetime
import html
import sys
import threading
import urllib.parse

from syncws import Response, ThreadingServer

PAGE = """<!DOCTYPE html>
<html lang="en">
    <head><meta charset="utf-8"><title>A site with a clock</title></head>
    <body>
        <h1>It is <span id="clock">...</span></h1>
        <form method="post"><input name="note" autofocus><button>Leave a note</button></form>
        <ul>{notes}</ul>
        <script>
            const scheme = location.protocol === "https:" ? "wss:" : "ws:";
            const ws = new WebSocket(scheme + "//" + location.host + "/clock");
            const clock = document.getElementById("clock");
            ws.onmessage = (event) => {{ clock.textContent = event.data; }};
            ws.onclose = () => {{ clock.textContent = "late"; }};
        </script>
    </body>
</html>
"""

notes = []
lock = threading.Lock()


# The old site: it knows nothing of WebSockets.


def app(environ, start_response):
    if environ["PATH_INFO"] != "/":
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"There is no such page.\n"]
    if environ["REQUEST_METHOD"] == "POST":
        leave_note(environ)
        start_response("303 See Other", [("Location", "/"), ("Content-Type", "text/plain")])
        return []
    with lock:
        items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [PAGE.format(notes=items).encode()]


def leave_note(environ):
    body = environ["wsgi.input"].read(10_000)  # the limit is the app's to set
    with lock:
        notes.extend(urllib.parse.parse_qs(body.decode()).get("note", []))


# What is new.


def clock(ws):
    while True:
        ws.send(f"{datetime.datetime.now():%H:%M:%S}")
        if ws.wait_closed(timeout=1):
            return


def only_clock(request):
    """Let no WebSocket in but that of the clock; everything else is for the site."""
    is_websocket = request.headers.get("Upgrade", "").lower() == "websocket"
    return Response(404) if is_websocket and request.path.partition("?")[0] != "/clock" else None


def main(port=8765, host="localhost"):
    with ThreadingServer(
        clock, host, int(port), wsgi_app=app, process_request=only_clock
    ) as server:
        print(f"listening on http://{host}:{server.server_address[1]}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
