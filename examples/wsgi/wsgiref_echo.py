"""
An echo server and a page in the WSGI server of the standard library.

Usage: wsgiref_echo.py [PORT [HOST]]

That server has one thread; ``detach=True`` gives every WebSocket another one.
"""

import sys
from wsgiref.simple_server import make_server

from syncws import wsgi


def page(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"The WebSocket is at /echo.\n"]


def echo(ws):
    for message in ws:
        ws.send(message)


application = wsgi.middleware(page, {"/echo": echo}, detach=True)


def main(port=8000, host="localhost"):
    with make_server(host, int(port), application) as server:
        print(f"listening on http://{host}:{server.server_port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
