"""A real WSGI server for the tests: the standard library's, in a thread."""

from __future__ import annotations

import contextlib
import io
import socketserver
import sys
import threading
from collections.abc import Iterator
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from support.threads import Running


class Log(io.StringIO):
    """What the server says; its access log is one line for each request."""

    @property
    def statuses(self) -> list[str]:
        """The status of each request, as the access log has it."""
        return [line.split('"')[2].split()[0] for line in self.getvalue().splitlines()]


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """One thread for each request; none is left behind."""

    daemon_threads = False

    @property
    def url(self) -> str:
        """Where its WebSockets are."""
        return f"ws://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def serving(app, threads: bool = True) -> Iterator[tuple[Server, Log]]:
    """Serve a WSGI application; the server says nothing but what is in the log."""
    log = Log()

    class Handler(WSGIRequestHandler):
        def log_message(self, format, *args):
            log.write(f"- {format % args}\n")

        def get_stderr(self):
            return log

    class OneThread(WSGIServer):
        url = Server.url

    server = (Server if threads else OneThread)(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *args: log.write(f"- - {sys.exc_info()}\n")
    server.set_app(app)
    running = Running(server.serve_forever, 0.005)
    try:
        yield server, log
    finally:
        server.shutdown()
        server.server_close()
        running.result()
        for thread in threading.enumerate():
            if "process_request_thread" in thread.name:
                thread.join(20)
