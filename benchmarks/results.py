"""The figures of a run, round by round."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import statistics
from collections.abc import Sequence

from contestants import Contestant

Figures = dict[str, float]


@dataclasses.dataclass
class Results:
    """What was measured so far."""

    environment: dict[str, object]
    settings: dict[str, object]
    # Scenario, then library: the figures of each round, None for one that failed.
    rounds: dict[str, dict[str, list[Figures | None]]] = dataclasses.field(default_factory=dict)
    failures: list[str] = dataclasses.field(default_factory=list)

    def add(self, scenario: str, contestant: str, figures: Figures | None) -> None:
        """Note one measurement; every library gets one for every round."""
        self.rounds.setdefault(scenario, {}).setdefault(contestant, []).append(figures)

    def values(self, scenario: str, contestant: str, metric: str) -> list[float]:
        """One figure of each round."""
        rounds = self.rounds.get(scenario, {}).get(contestant, [])
        return [figures[metric] for figures in rounds if figures is not None]

    def median(self, scenario: str, contestant: str, metric: str) -> float | None:
        """The median of the rounds, None if there is none."""
        values = self.values(scenario, contestant, metric)
        return statistics.median(values) if values else None

    def ratio(self, scenario: str, metric: str, ours: str, peer: str) -> float | None:
        """Ours : peer. The median of each round's ratio: what slows a round slows both."""
        found = self.rounds.get(scenario, {})
        pairs = zip(found.get(ours, []), found.get(peer, []))
        ratios = [a[metric] / b[metric] for a, b in pairs if a and b and b[metric]]
        return statistics.median(ratios) if ratios else None

    def to_dict(self) -> dict[str, object]:
        """Everything, for JSON."""
        return {
            "environment": self.environment,
            "settings": self.settings,
            "rounds": self.rounds,
            "failures": self.failures,
        }


def describe_environment(contestants: Sequence[Contestant]) -> dict[str, object]:
    """What the figures depend on."""
    versions: dict[str, str] = {}
    for contestant in contestants:
        versions.update(contestant.versions)
    if "picows" in versions:
        # picows makes its connections with this one, where it is installed.
        versions["aiofastnet"] = importlib.metadata.version("aiofastnet")
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "versions": versions,
    }


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"
