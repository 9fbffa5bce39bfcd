"""
A server for asyncio that sends the time, and the page that shows it.

Usage: show_time_server.py [PORT [HOST]], then open http://localhost:8765/ in a browser.

The page comes from the same host and port as the WebSocket, which is what the server's default for
``origins`` asks for. Opened as a file it would be refused.
"""

import asyncio
import contextlib
import datetime
import pathlib
import random
import sys

from syncws.aio import Response, serve

PAGE = pathlib.Path(__file__).parents[1] / "show_time.html"


async def show_time(ws):
    while True:
        await ws.send(datetime.datetime.now(datetime.timezone.utc).isoformat())
        await asyncio.sleep(random.uniform(0, 3))


def serve_page(request):
    path = request.path.partition("?")[0]
    if path == "/":
        return Response(200, {"Content-Type": "text/html; charset=utf-8"}, PAGE.read_bytes())
    return None if path == "/time" else Response(404)


async def main(port=8765, host="localhost"):
    async with serve(show_time, host, int(port), process_request=serve_page) as server:
        print(f"listening on http://{host}:{server.sockets[0].getsockname()[1]}/", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
