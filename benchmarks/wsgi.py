"""
Round trips under gunicorn, side by side: ours, flask-sock's, and our own server without gunicorn.

    pip install -e . gunicorn flask flask-sock
    python benchmarks/wsgi.py [--rounds 7] [--seconds 2]

All servers run at the same time and are asked in turns, each by a client of its own with one
connection and messages of 32 bytes; a server that is not asked sleeps. Prints a table in Markdown:
the median of the rounds, the least and the most, and the median of the ratios round by round.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time

import syncws

APPLICATION = """
    import flask
    from flask_sock import Sock
    from syncws import wsgi

    app = flask.Flask(__name__)

    @Sock(app).route("/theirs")
    def theirs(ws):
        while True:
            ws.send(ws.receive())

    def ours(ws):
        for message in ws:
            ws.send(message)

    app.wsgi_app = wsgi.middleware(app.wsgi_app, {"/request": ours})
    app.wsgi_app = wsgi.middleware(app.wsgi_app, {"/detached": ours}, detach=True)
"""
SERVER = """
    import sys
    from syncws import ThreadingServer

    def ours(ws):
        for message in ws:
            ws.send(message)

    ThreadingServer(ours, "127.0.0.1", int(sys.argv[1])).serve_forever()
"""
CONTESTANTS = {
    "syncws, ThreadingServer": ("server", "/"),
    "syncws, in the request": ("gunicorn", "/request"),
    "syncws, detached": ("gunicorn", "/detached"),
    "flask-sock (simple-websocket)": ("gunicorn", "/theirs"),
}
MESSAGE = "x" * 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        ports = {name: stack.enter_context(started(name)) for name in ("server", "gunicorn")}
        clients = {
            title: stack.enter_context(connected(ports[server], path))
            for title, (server, path) in CONTESTANTS.items()
        }
        times: dict[str, list[float]] = {title: [] for title in clients}
        titles = list(clients)
        for turn in range(arguments.rounds):
            first = turn % len(titles)
            for title in titles[first:] + titles[:first]:
                times[title].append(round_trip(clients[title], arguments.seconds))
        # The handler of flask-sock would take the end of the stream for an error.
        for ws in clients.values():
            ws.close()
    print(table(times))


@contextlib.contextmanager
def started(name: str):
    """Run a server; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    gunicorn = ["-m", "gunicorn", "-b", f"127.0.0.1:{port}", "-k", "gthread", "--threads", "8"]
    arguments = {
        "server": ["server.py", str(port)],
        "gunicorn": [*gunicorn, "--log-level", "warning", "application:app"],
    }
    with tempfile.TemporaryDirectory() as folder:
        for file, source in (("server.py", SERVER), ("application.py", APPLICATION)):
            pathlib.Path(folder, file).write_text(textwrap.dedent(source))
        process = subprocess.Popen([sys.executable, *arguments[name]], cwd=folder)
        try:
            yield port
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def connected(port: int, path: str):
    """Connect as soon as the server is there."""
    end = time.monotonic() + 20
    while True:
        try:
            # The same for all: flask-sock cannot compress.
            ws = syncws.connect(f"ws://127.0.0.1:{port}{path}", compression=None)
            break
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
    try:
        yield ws
    finally:
        ws.abort()


def round_trip(ws: syncws.Connection, seconds: float) -> float:
    """Return the median of the round trips in so many seconds, in microseconds."""
    taken = []
    end = time.perf_counter() + seconds
    while True:
        begun = time.perf_counter()
        ws.send(MESSAGE)
        ws.recv()
        done = time.perf_counter()
        taken.append(done - begun)
        if done > end:
            return statistics.median(taken) * 1e6


def table(times: dict[str, list[float]]) -> str:
    """Write a row for each server."""
    rows = ["| server | round trip, µs | least | most | to the first |", "|---|---|---|---|---|"]
    first = next(iter(times.values()))
    for title, taken in times.items():
        figures = (statistics.median(taken), min(taken), max(taken))
        ratio = statistics.median(mine / its for mine, its in zip(taken, first))
        rows.append(f"| {title} | {' | '.join(f'{one:.1f}' for one in figures)} | {ratio:.2f} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
