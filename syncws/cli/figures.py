"""Latencies as figures and as a histogram. Waits for nothing."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import NamedTuple

_PERCENTILES = (50, 90, 99, 99.9)
_BUCKETS = 12
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


class Bucket(NamedTuple):
    """How many latencies lie from ``low`` to below ``high``, in seconds."""

    low: float
    high: float
    size: int


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the value that this part of all values does not exceed (the nearest rank)."""
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(rank, 1) - 1]


def buckets(ordered: Sequence[float], number: int = _BUCKETS) -> list[Bucket]:
    """Sort values into buckets, each as much wider than the last; the slow few get their own."""
    low, high = max(ordered[0], 1e-9), ordered[-1]
    if high <= low:
        return [Bucket(low, high, len(ordered))]
    bounds = [low * (high / low) ** (step / number) for step in range(1, number)]
    places = [0, *(bisect.bisect_left(ordered, bound) for bound in bounds), len(ordered)]
    edges = [low, *bounds, high]
    return [
        Bucket(edges[i], edges[i + 1], places[i + 1] - places[i]) for i in range(len(edges) - 1)
    ]


def histogram(ordered: Sequence[float], width: int, bar: str = "#") -> list[str]:
    """Draw the buckets as lines of at most this width, or a little more where that is narrow."""
    found = buckets(ordered)
    most = max(bucket.size for bucket in found)
    digits = len(str(most))
    room = max(10, width - 24 - digits)
    return [
        f"  {duration(low):>8} - {duration(high):>8}  {count:>{digits}} "
        + bar * math.ceil(room * count / most)
        for low, high, count in found
    ]


def report(latencies: Sequence[float], seconds: float, width: int, bar: str = "#") -> list[str]:
    """Return all that is told about a measurement."""
    ordered = sorted(latencies)
    count = len(ordered)
    mean = sum(ordered) / count
    lines = [
        f"{count} round trips in {duration(seconds)}: {count / seconds:,.0f} messages/s",
        f"  minimum  {duration(ordered[0]):>8}",
        f"  mean     {duration(mean):>8}",
        *(
            f"  {f'{part:g} %':<8} {duration(percentile(ordered, part)):>8}"
            for part in _PERCENTILES
        ),
        f"  maximum  {duration(ordered[-1]):>8}",
        "",
    ]
    return [line.rstrip() for line in (*lines, *histogram(ordered, width, bar))]


def duration(seconds: float) -> str:
    """Write a time with three digits and its unit."""
    scale, unit = next((pair for pair in _UNITS if seconds >= pair[0]), _UNITS[-1])
    value = seconds / scale
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} {unit}"
