"""
A chat in Flask: open http://localhost:5000/ in two windows of a browser.

Usage: flask_chat.py [PORT [HOST]], or: flask --app flask_chat run

The same file runs in gunicorn: gunicorn --config gunicorn.conf.py flask_chat:app
"""

import pathlib
import sys
import threading

import flask

import syncws
from syncws import wsgi

PAGE = pathlib.Path(__file__).with_name("chat.html")

app = flask.Flask(__name__)
lock = threading.Lock()
rooms = {}  # the connections of each room, by its name


@app.get("/")
def page():
    return PAGE.read_text(encoding="utf-8")


@app.route("/rooms/<name>", websocket=True)
def room(name):
    try:
        wsgi.accept(flask.request.environ, lambda ws: chat(ws, name), detach=True)
    except syncws.InvalidHandshake as exc:
        return f"{exc}\n", exc.status, {"Content-Type": "text/plain"}
    return "", 101  # for the access log


def chat(ws, name):
    """Pass everything on to everybody in the room, for as long as the client stays."""
    with lock:
        members = rooms.setdefault(name, set())
        members.add(ws)
    try:
        for message in ws:
            tell(members, message)
    finally:
        with lock:
            members.discard(ws)
            if not members and rooms.get(name) is members:
                del rooms[name]


def tell(members, message):
    with lock:
        present = list(members)
    for ws in present:
        try:
            ws.send(message, timeout=1)
        except TimeoutError:
            ws.abort()  # who does not read holds up nobody
        except syncws.ConnectionClosed:
            pass  # its own thread takes it out of the room


def main(port=5000, host="localhost"):
    app.run(host, int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
