"""
A background worker pushes what views hand to it, to clients that only listen and need no handler.

Usage: push_worker.py [PORT [HOST]]; then listen at ws://localhost:8000/news, and tell the news:
curl --data "It rains." http://localhost:8000/tell
"""

import queue
import sys
import threading
from wsgiref.simple_server import make_server

import syncws
from syncws import wsgi

news = queue.Queue()
lock = threading.Lock()
listeners = set()


def application(environ, start_response):
    if environ["PATH_INFO"] == "/news":
        return listen(environ, start_response)
    if environ["PATH_INFO"] == "/tell" and environ["REQUEST_METHOD"] == "POST":
        return tell(environ, start_response)
    return answer(start_response, "404 Not Found")


def listen(environ, start_response):
    """Keep the connection, without a handler; the worker writes to it."""
    try:
        ws = wsgi.accept(environ, detach=True)
    except syncws.InvalidHandshake as exc:
        return answer(start_response, f"{exc.status} Refused", f"{exc}\n")
    with lock:
        gone = [old for old in listeners if old.state is syncws.State.CLOSED]
        listeners.difference_update(gone)
        listeners.add(ws)
    return answer(start_response, "101 Switching Protocols")


def tell(environ, start_response):
    """Hand a message to the worker; the view need not wait for anybody."""
    news.put(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode())
    return answer(start_response, "202 Accepted")


def answer(start_response, status, text=""):
    body = text.encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]


def work():
    while True:
        message = news.get()
        with lock:
            present = list(listeners)
        for ws in present:
            try:
                ws.send(message, timeout=1)
            except (syncws.ConnectionClosed, TimeoutError):
                ws.abort()
                with lock:
                    listeners.discard(ws)


def main(port=8000, host="localhost"):
    threading.Thread(target=work, daemon=True).start()
    with make_server(host, int(port), application) as server:
        print(f"listening on http://{host}:{server.server_port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
