"""The figures to reach, and which are reached."""

from __future__ import annotations

import dataclasses

from contestants import BY_NAME
from results import Results
from scenarios import METRICS


@dataclasses.dataclass(frozen=True)
class Bar:
    """One of our figures, against that of a peer or alone."""

    scenario: str
    metric: str
    limit: float
    peers: tuple[str, ...] = ()  # the best of these; none: the figure itself is limited
    ours: str = "syncws-c"

    def reached(self, results: Results) -> float | None:
        """The ratio, or the figure in its unit; None if it was not measured."""
        if not self.peers:
            value = results.median(self.scenario, self.ours, self.metric)
            return None if value is None else value * METRICS[self.metric].factor
        ratios = [results.ratio(self.scenario, self.metric, self.ours, peer) for peer in self.peers]
        known = [ratio for ratio in ratios if ratio is not None]
        if not known:
            return None
        return max(known) if METRICS[self.metric].less_is_better else min(known)

    def passes(self, value: float) -> bool:
        """Whether this is good enough."""
        return value <= self.limit if METRICS[self.metric].less_is_better else value >= self.limit

    @property
    def text(self) -> str:
        """The limit."""
        sign = "≤" if METRICS[self.metric].less_is_better else "≥"
        return f"{sign} {self.limit:g}{'x' if self.is_ratio else ''}"

    @property
    def is_ratio(self) -> bool:
        """Whether it is x times something."""
        return bool(self.peers) or self.metric.endswith("growth")

    @property
    def against(self) -> str:
        """The peers' titles."""
        return " or ".join(BY_NAME[peer].title for peer in self.peers)


def _against(scenario: str, metric: str, **limits: float) -> tuple[Bar, ...]:
    return tuple(
        Bar(scenario, metric, limit, (peer.replace("_", "-"),)) for peer, limit in limits.items()
    )


BARS = (
    *_against("receive-32", "rate", picows=1.8, websockets_sync=30),
    *_against(
        "roundtrip-client-32-one-cpu",
        "time",
        picows=1.15,
        websockets_sync=0.38,
        websocket_client=0.65,
    ),
    *_against("roundtrip-client-64k-one-cpu", "time", picows=1.1),
    *_against("roundtrip-client-64k", "time", picows=1.1),
    *_against("roundtrip-client-1m-one-cpu", "time", picows=1.0),
    *_against("roundtrip-client-1m", "time", picows=1.0),
    *_against("roundtrip-server-32-one-cpu", "time", picows=1.2, websockets_sync=0.4),
    *_against("send-32", "rate", websockets_sync=4, picows=1.0),
    *_against("tls-receive-32", "rate", websockets_sync=10),
    *_against("tls-client-32-one-cpu", "time", websockets_sync=0.6),
    Bar("receive-32", "rate", 2, ("websockets-sync", "websocket-client"), "syncws-pure"),
    Bar("roundtrip-client-32-one-cpu", "time", 0.6, ("websockets-sync",), "syncws-pure"),
    *_against("connect-client", "connections", websockets_sync=1.8),
    *_against("connect-server", "connections", websockets_sync=1.8),
    *_against("connect-server", "cpu", websockets_sync=0.55),
    Bar("idle-server", "rss", 30),
    Bar("idle-server", "threads", 2),
    Bar("idle-server", "fds", 1),
    *_against("deflate-roundtrip-256", "time", websockets_sync=1.0),
    *_against("deflate-roundtrip-4k", "time", websockets_sync=1.0),
    *_against("deflate-roundtrip-64k", "time", websockets_sync=1.0),
    *_against("deflate-receive-256", "rate", websockets_sync=2.0),
    *_against("deflate-receive-4k", "rate", websockets_sync=1.0),
    *_against("deflate-receive-64k", "rate", websockets_sync=1.0),
    *_against("deflate-idle-server", "rss", websockets_sync=1.0),
    Bar("aio-receive-32", "rate", 5, ("websockets-asyncio",), "syncws-aio"),
    *(
        Bar(f"aio-roundtrip-{where}", "time", 1.0, ("websockets-asyncio",), "syncws-aio")
        for where in ("client-32-one-cpu", "client-32", "server-32-one-cpu", "server-32")
    ),
    Bar("aio-stuck", "lag", 20, (), "syncws-aio"),
    Bar("growth-one-cpu", "cpu_growth", 1.3),
    Bar("growth", "cpu_growth", 1.3),
    Bar("growth-busy-one-cpu", "cpu_growth", 1.3),
)
