"""
A server that sends the time, and the page that shows it: open http://localhost:8765/ in a browser.

Usage: show_time_server.py [PORT [HOST]]

The page comes from the same host and port as the WebSocket, which is what the server's default for
``origins`` asks for. Opened as a file it would be refused.
"""

import datetime
import pathlib
import random
import sys

from syncws import Response, ThreadingServer

PAGE = pathlib.Path(__file__).with_name("show_time.html")


def show_time(ws):
    while not ws.wait_closed(timeout=random.uniform(0, 3)):
        ws.send(datetime.datetime.now(datetime.timezone.utc).isoformat())


def serve_page(request):
    path = request.path.partition("?")[0]
    if path == "/":
        return Response(200, {"Content-Type": "text/html; charset=utf-8"}, PAGE.read_bytes())
    return None if path == "/time" else Response(404)


def main(port=8765, host="localhost"):
    with ThreadingServer(show_time, host, int(port), process_request=serve_page) as server:
        print(f"listening on http://{host}:{server.server_address[1]}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
