"""What the fuzzers found: read their reports, judge them, print the summary."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cases import section

GOOD = ("OK", "NON-STRICT", "INFORMATIONAL")

Results = Mapping[str, Mapping[str, Any]]  # case id -> its entry in index.json


def read(folders: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """The results of every fuzzer that wrote its index."""
    results: dict[str, dict[str, Any]] = {}
    for folder in folders:
        index = folder / "index.json"
        if index.exists():
            for cases_of_agent in json.loads(index.read_text()).values():
                results.update(cases_of_agent)
    return results


def verdict(result: Mapping[str, Any] | None) -> str:
    """One word for a case: its behaviour, or that of its close where only that is bad."""
    if result is None:
        return "MISSING"
    behavior: str = result["behavior"]
    close: str = result["behaviorClose"]
    return close if behavior in GOOD and close not in GOOD else behavior


def is_good(result: Mapping[str, Any] | None) -> bool:
    return verdict(result) in GOOD


def table(selected: Sequence[str], results: Results) -> list[str]:
    """One line for each section, and one for their sum."""
    found = {verdict(results.get(case)) for case in selected}
    columns = [*GOOD, *sorted(found.difference(GOOD))]
    header = f"{'section':<8}{'cases':>7}" + "".join(f"{name:>15}" for name in columns)
    lines = [header, "-" * len(header)]
    for number in sorted({section(case) for case in selected}):
        part = [case for case in selected if section(case) == number]
        lines.append(_row(str(number), part, results, columns))
    lines.append(_row("all", selected, results, columns))
    return lines


def _row(title: str, cases: Sequence[str], results: Results, columns: Sequence[str]) -> str:
    counts = Counter(verdict(results.get(case)) for case in cases)
    return f"{title:<8}{len(cases):>7}" + "".join(f"{counts[name]:>15}" for name in columns)


def remarks(selected: Sequence[str], results: Results) -> list[str]:
    """One line for each case that is not plainly OK, and one list of those that were not run."""
    lines = []
    for case in selected:
        result = results.get(case)
        if result and (result["behavior"], result["behaviorClose"]) != ("OK", "OK"):
            close = f"close {result['behaviorClose']}, code {result['remoteCloseCode']}"
            mark = "" if is_good(result) else "  <-- bad"
            lines.append(f"{case:<8} {result['behavior']} ({close}){mark}")
    missing = [case for case in selected if case not in results]
    if missing:
        lines += textwrap.wrap(f"not run, {len(missing)} cases: {' '.join(missing)}", 100)
    return lines
