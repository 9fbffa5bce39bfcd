"""What is measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from contestants import Contestant
from task import Task

SIZES = {
    "32": (32, "32 B"),
    "256": (256, "256 B"),
    "1k": (2**10, "1 KiB"),
    "4k": (2**12, "4 KiB"),
    "64k": (2**16, "64 KiB"),
    "1m": (2**20, "1 MiB"),
}


@dataclasses.dataclass(frozen=True)
class Metric:
    """One figure of a measurement."""

    title: str
    factor: float = 1.0  # from the figure to the unit of the title
    less_is_better: bool = True
    compared: bool = True  # whether ratios say something


METRICS = {
    "rate": Metric("messages/s", less_is_better=False),
    "time": Metric("µs per round trip", 1e6),
    "connections": Metric("connections/s", less_is_better=False),
    "cpu": Metric("server CPU, µs each", 1e6),
    "rss": Metric("RSS, KiB", 1 / 1024),
    "pss": Metric("PSS, KiB", 1 / 1024, compared=False),
    "threads": Metric("threads", compared=False),
    "fds": Metric("file descriptors", compared=False),
    "lag": Metric("longest lag of the loop, ms", 1e3),
    "cpu_10": Metric("server CPU at 10, µs", 1e6, compared=False),
    "cpu_100": Metric("at 100", 1e6, compared=False),
    "cpu_500": Metric("at 500", 1e6, compared=False),
    "cpu_2000": Metric("at 2000", 1e6),
    "cpu_growth": Metric("server CPU, 10 to 2000", compared=False),
    "time_growth": Metric("time, 10 to 2000", compared=False),
}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One thing to do, by each library as the client or as the server."""

    name: str
    title: str
    op: str
    role: str  # of the library
    partner: str  # module in partners/ that is the other end
    metrics: tuple[str, ...]
    size: int = 32
    tls: bool = False
    one_cpu: bool = False
    deflate: bool = False
    connections: int = 0
    in_flight: int = 0
    contestants: tuple[str, ...] = ()  # names; all that have the role if empty
    plotted: str = ""  # the metric to plot

    def takes(self, contestant: Contestant) -> bool:
        """Whether this library can be measured here."""
        chosen = contestant.name in self.contestants if self.contestants else not contestant.facade
        return chosen and self.role in contestant.roles

    def tasks(self, contestant: Contestant, common: Task) -> tuple[Task, Task]:
        """What to tell the server and the client; ``common`` has the times and the CPU."""
        adapter, partner = f"adapters.{contestant.adapter}", f"partners.{self.partner}"
        server, client = (partner, adapter) if self.role == "client" else (adapter, partner)
        task = dataclasses.replace(
            common,
            op=self.op,
            size=self.size,
            tls=self.tls,
            deflate=self.deflate,
            cpu=common.cpu if self.one_cpu else None,
            connections=self.connections,
            in_flight=self.in_flight,
        )
        return (
            dataclasses.replace(task, module=server, role="server"),
            dataclasses.replace(task, module=client, role="client"),
        )


def _round_trips(role: str, key: str, tls: bool = False) -> Iterator[Scenario]:
    size, text = SIZES[key]
    for one_cpu in (True, False):
        yield Scenario(
            f"{'tls' if tls else 'roundtrip'}-{role}-{key}{'-one-cpu' if one_cpu else ''}",
            f"Round trip {text}, {'TLS, ' if tls else ''}{role}{', one CPU' if one_cpu else ''}",
            "round_trips",
            role,
            "fast_echo" if role == "client" else "raw_client",
            ("time",),
            size,
            tls,
            one_cpu,
            plotted="time" if key == "32" and one_cpu else "",
        )


def _stream(op: str, key: str, tls: bool = False) -> Scenario:
    size, text = SIZES[key]
    plotted = "rate" if key == "32" else ""
    name = f"{'tls-' if tls else ''}{op}-{key}"
    verb = "Receive" if op == "receive" else "Send"
    title = f"{verb} a stream of {text}{', TLS' if tls else ''}, client"
    return Scenario(name, title, op, "client", "raw_server", ("rate",), size, tls, plotted=plotted)


def _send_many() -> Scenario:
    return Scenario(
        "send-many-32",
        "Send a stream of 32 B, client; syncws with send_many() of 100 each",
        "send_many",
        "client",
        "raw_server",
        ("rate",),
        contestants=("syncws-c", "syncws-pure", "websockets-sync", "picows"),
    )


def _servers() -> Iterator[Scenario]:
    def scenario(name: str, title: str, op: str, *metrics: str, **more: object) -> Scenario:
        return Scenario(name, title, op, "server", "raw_client", metrics, **more)

    yield scenario(
        "connect-server",
        "Open and close connections, server",
        "connect",
        "connections",
        "cpu",
        plotted="connections",
    )
    yield scenario(
        "idle-server",
        "An idle connection, server",
        "idle",
        "rss",
        "pss",
        "threads",
        "fds",
        connections=500,
        plotted="rss",
    )
    yield scenario(
        "echo-200",
        "200 busy connections, server",
        "echo",
        "rate",
        "cpu",
        connections=200,
        plotted="rate",
    )


def _deflate() -> Iterator[Scenario]:
    contestants = ("syncws-c", "syncws-pure", "websockets-sync", "websockets-asyncio", "aiohttp")
    for key in ("256", "4k", "64k"):
        size, text = SIZES[key]
        for op, title, metric in (
            ("round_trips", f"Round trip {text} of JSON", "time"),
            ("receive", f"Receive a stream of {text} of JSON", "rate"),
        ):
            yield Scenario(
                f"deflate-{'roundtrip' if metric == 'time' else op}-{key}",
                f"{title}, compressed, client{', one CPU' if metric == 'time' else ''}",
                op,
                "client",
                "raw_server",
                (metric,),
                size,
                deflate=True,
                one_cpu=metric == "time",
                contestants=contestants,
            )
    yield Scenario(
        "deflate-idle-server",
        "An idle connection that has compressed, server",
        "idle",
        "server",
        "raw_client",
        ("rss", "pss", "threads", "fds"),
        deflate=True,
        connections=500,
        contestants=contestants,
    )


def _growth() -> Iterator[Scenario]:
    for name, detail, one_cpu, in_flight in (
        ("growth-one-cpu", "10 at a time, one CPU", True, 10),
        ("growth", "10 at a time", False, 10),
        ("growth-busy-one-cpu", "all at a time, one CPU", True, 0),
    ):
        yield Scenario(
            name,
            f"More connections, server: one echo, {detail}",
            "growth",
            "server",
            "raw_client",
            ("cpu_10", "cpu_100", "cpu_500", "cpu_2000", "cpu_growth", "time_growth"),
            one_cpu=one_cpu,
            in_flight=in_flight,
            contestants=("syncws-c", "syncws-pure", "websockets-sync", "picows"),
        )


def _aio() -> Iterator[Scenario]:
    """The facade beside other libraries for asyncio; each named as without ``aio-``."""
    contestants = ("syncws-aio", "syncws-aio-uvloop", "websockets-asyncio", "aiohttp", "picows")
    same = [
        *_round_trips("client", "32"),
        *_round_trips("server", "32"),
        _stream("receive", "32"),
        _stream("send", "32"),
        *(scenario for scenario in _servers() if scenario.op == "idle"),
    ]
    for scenario in same:
        yield dataclasses.replace(
            scenario,
            name=f"aio-{scenario.name}",
            title=f"{scenario.title}, in an event loop",
            contestants=contestants,
            plotted="",
        )
    yield Scenario(
        "aio-stuck",
        "64 MiB wait for a peer that does not read: how long other tasks of the loop wait",
        "stuck",
        "client",
        "raw_server",
        ("lag",),
        2**20,
        contestants=("syncws-aio", "syncws-aio-uvloop", "websockets-asyncio", "aiohttp"),
    )


def _all() -> Iterator[Scenario]:
    for role in ("client", "server"):
        for key in ("32", "1k", "64k", "1m"):
            yield from _round_trips(role, key)
    for op in ("receive", "send"):
        for key in ("32", "4k"):
            yield _stream(op, key)
    yield _send_many()
    yield from _round_trips("client", "32", tls=True)
    yield _stream("receive", "32", tls=True)
    yield _stream("receive", "4k", tls=True)
    yield Scenario(
        "connect-client",
        "Open and close connections, client",
        "connect",
        "client",
        "fast_echo",
        ("connections",),
        plotted="connections",
    )
    yield from _servers()
    yield from _deflate()
    yield from _growth()
    yield from _aio()


ALL = tuple(_all())
