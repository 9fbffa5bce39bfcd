"""
A view that asks a WebSocket server, by one connection for each process.

The connection is made with the first question, after the server has forked, and made anew when it
was closed meanwhile. Usage, with any server that answers, such as README's:

    call_out.py [PORT [HOST [BACKEND]]]
    BACKEND=ws://localhost:8765 gunicorn --threads 8 --chdir examples/wsgi call_out:application

Then http://localhost:8000/?hello shows the answer to "hello".
"""

import os
import sys
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

from syncws import ConnectionClosed, State, WebSocketException, connect


class Backend:
    """Asks one question at a time: else an answer could go to another thread."""

    def __init__(self, url):
        self.url = url
        self._lock = threading.Lock()
        self._ws = None

    def ask(self, question):
        with self._lock:
            try:
                return self._ask(question)
            except ConnectionClosed:  # it was started again; ask only what may be repeated
                return self._ask(question)

    def _ask(self, question):
        if self._ws is None or self._ws.state is not State.OPEN:
            self._ws = connect(self.url, open_timeout=5)
        try:
            self._ws.send(question)
            return self._ws.recv(timeout=5, decode=True)
        except BaseException:  # a lapsed time, or gevent's, or the end of the worker
            self._ws.abort()  # the answer to the next question must not be this one's
            raise


backend = Backend(os.environ.get("BACKEND", "ws://localhost:8765"))


def application(environ, start_response):
    try:
        status, text = "200 OK", backend.ask(environ.get("QUERY_STRING", ""))
    except (OSError, WebSocketException) as exc:
        status, text = "502 Bad Gateway", f"the backend does not answer: {exc}"
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode()]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


def main(port=8000, host="localhost", url=backend.url):
    backend.url = url
    with make_server(host, int(port), application, Server) as server:
        print(f"listening on http://{host}:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
