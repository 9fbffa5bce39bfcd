"""
An echo server that shows its live statistics in a browser: open http://localhost:8765/ there.

Usage: server.py [PORT [HOST]]

Clients of /echo are counted, those of /stats get the numbers: a JSON list of samples, first those
of the last minute, then one every half second. The page can bring clients of its own.
"""

import collections
import contextlib
import json
import pathlib
import sys
import threading
import time

from syncws import Response, ThreadingServer

PAGE = pathlib.Path(__file__).with_name("page.html")
INTERVAL = 0.5  # seconds between samples
KEPT = 120  # samples: one minute
LIMITS = [0.5, 1, 2, 5, 10, 20, 50, 100]  # ms: the bars of the histogram; the last has the rest
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src data:;"
    " style-src 'unsafe-inline'; script-src 'unsafe-inline'",
}


class Statistics:
    """Counts the clients of /echo and what they send and get. Thread-safe."""

    def __init__(self):
        self._lock = threading.Lock()
        self._clients = set()
        self._viewers = 0
        self._gone = 0  # messages of clients that have left
        self._last = (time.monotonic(), 0)
        self.samples = collections.deque(maxlen=KEPT)
        self.taken = 0  # samples, also those that are no longer kept

    @contextlib.contextmanager
    def client(self, ws):
        with self._lock:
            self._clients.add(ws)
        try:
            yield
        finally:
            with self._lock:
                self._clients.remove(ws)
                self._gone += messages(ws)

    @contextlib.contextmanager
    def viewer(self):
        with self._lock:
            self._viewers += 1
        try:
            yield
        finally:
            with self._lock:
                self._viewers -= 1

    def take(self):
        with self._lock:
            now, total = time.monotonic(), self._gone + sum(map(messages, self._clients))
            then, before = self._last
            self._last = now, total
            latencies = sorted(ws.latency * 1000 for ws in self._clients if ws.latency)
            self.samples.append(
                {
                    "clients": len(self._clients),
                    "viewers": self._viewers,
                    "rate": (total - before) / (now - then),
                    "total": total,
                    "median": latencies[len(latencies) // 2] if latencies else None,
                    "histogram": histogram(latencies),
                }
            )
            self.taken += 1

    def since(self, number):
        """Return the samples behind this number, as many as are kept, and the new number."""
        with self._lock:
            count = min(self.taken - number, len(self.samples))
            return list(self.samples)[len(self.samples) - count :], self.taken


def messages(ws):
    return ws.stats.messages_received + ws.stats.messages_sent


def histogram(latencies):
    counts = [0] * (len(LIMITS) + 1)
    for latency in latencies:
        counts[sum(latency > limit for limit in LIMITS)] += 1
    return counts


def show(ws, statistics):
    number = 0
    with statistics.viewer():
        while not ws.wait_closed(timeout=INTERVAL if number else 0):
            samples, number = statistics.since(number)
            if samples:
                ws.send(json.dumps(samples))


def echo(ws, statistics):
    with statistics.client(ws):
        for message in ws:
            ws.send(message)


def serve_page(request):
    path = request.path.partition("?")[0]
    if path == "/":
        return Response(200, HEADERS, PAGE.read_bytes())
    return None if path in ("/stats", "/echo") else Response(404)


def main(port=8765, host="localhost"):
    statistics = Statistics()

    def handler(ws, path):
        (show if path.startswith("/stats") else echo)(ws, statistics)

    def take_samples():
        while not ended.wait(INTERVAL):
            statistics.take()

    ended = threading.Event()
    sampling = threading.Thread(target=take_samples)
    statistics.take()
    options = {"process_request": serve_page, "ping_interval": 1}  # each Ping tells the latency
    with ThreadingServer(handler, host, int(port), **options) as server:
        print(f"listening on http://{host}:{server.server_address[1]}/", flush=True)
        sampling.start()
        try:
            server.serve_forever()
        finally:
            ended.set()
            sampling.join()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
