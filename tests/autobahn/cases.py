"""The cases of Autobahn testsuite 25.10.1.

They stand here, rather than being asked of the tool, so that a case the tool silently leaves out
is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

# How many cases each group has; they are numbered from 1 ("6.3" has 6.3.1 and 6.3.2).
GROUPS = {
    **{"1.1": 8, "1.2": 8, "2": 11, "3": 7, "4.1": 5, "4.2": 5, "5": 20},
    **{"6.1": 3, "6.2": 4, "6.3": 2, "6.4": 4, "6.5": 5, "6.6": 11, "6.7": 4, "6.8": 2},
    **{"6.9": 4, "6.10": 3, "6.11": 5, "6.12": 8, "6.13": 5, "6.14": 10, "6.15": 1, "6.16": 3},
    **{"6.17": 5, "6.18": 5, "6.19": 5, "6.20": 7, "6.21": 8, "6.22": 34, "6.23": 7},
    **{"7.1": 6, "7.3": 6, "7.5": 1, "7.7": 13, "7.9": 9, "7.13": 2},
    **{"9.1": 6, "9.2": 6, "9.3": 9, "9.4": 9, "9.5": 6, "9.6": 6, "9.7": 6, "9.8": 6},
    "10.1": 1,
    **{f"12.{n}": 18 for n in range(1, 6)},
    **{f"13.{n}": 18 for n in range(1, 8)},
}
ALL = tuple(f"{group}.{n}" for group, count in GROUPS.items() for n in range(1, count + 1))

SLOW = ("9.*", "12.*", "13.*")
# Of compression: short messages, and 128 KiB in fragments, for each kind of data and parameters.
SAMPLE = ("12.*.1", "12.1.16", "13.*.1", "13.*.10")


def select(patterns: Sequence[str], *, without: Sequence[str] = ()) -> list[str]:
    """The cases that match one of `patterns` ("7.*", "9.1.?", "7.1.5") and none of `without`."""
    chosen = [case for case in ALL if _matches(case, patterns) and not _matches(case, without)]
    for pattern in patterns:
        if not any(fnmatchcase(case, pattern) for case in ALL):
            raise ValueError(f"no case matches {pattern!r}: write an id like 7.1.5 or all of 7.*")
    return chosen


def quick() -> list[str]:
    """The cases that do not take long, and some that do."""
    return [*select(["*"], without=SLOW), *select(SAMPLE)]


def section(case: str) -> int:
    return int(case.split(".")[0])


def _matches(case: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(case, pattern) for pattern in patterns)
