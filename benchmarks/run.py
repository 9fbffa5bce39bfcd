"""Measure syncws and its peers side by side; print tables, write results and a plot.

    python benchmarks/run.py                        everything: about 45 minutes
    python benchmarks/run.py --quick                shorter and fewer rounds: about 15 minutes
    python benchmarks/run.py --scenario 'roundtrip-client-*' receive-32
    python benchmarks/run.py --only syncws-c picows websockets-sync
    python benchmarks/run.py --list                 the names of scenarios and libraries

README.md in this folder tells what is measured and how to read it. Linux only.
Exits with 1 if a measurement failed, with 2 if there was none. A figure that falls short is no
failure.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import pathlib
import sys

import contestants
import plot
import scenarios
import tables
from contestants import Contestant
from measuring import MeasurementError, measure
from results import Results, describe_environment
from scenarios import Scenario
from task import Task

SMOKE = ("receive-32", "roundtrip-server-32")
# Rounds, seconds of a measurement, seconds of the last part of its warm-up.
TIMES = {"full": (5, 1.0, 0.15), "quick": (3, 0.3, 0.1), "smoke": (1, 0.05, 0.01)}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rounds", type=int, help="rounds of each scenario (default: 5, with --quick 3)")
    add("--seconds", type=float, help="of one measurement (default: 1, with --quick 0.3)")
    add("--quick", action="store_true", help="less exact")
    add("--smoke", action="store_true", help="only see whether it works, with syncws alone")
    add("--scenario", nargs="+", default=["*"], metavar="NAME", help="these only; may have * and ?")
    add("--only", nargs="+", metavar="LIB", choices=sorted(contestants.BY_NAME), help="these only")
    add("--output", type=pathlib.Path, metavar="DIR", help="default: results, in this folder")
    add("--list", action="store_true", help="show the names and exit")
    arguments = parser.parse_args()
    kind = "smoke" if arguments.smoke else "quick" if arguments.quick else "full"
    rounds, seconds, arguments.warm_up = TIMES[kind]
    arguments.rounds = rounds if arguments.rounds is None else arguments.rounds
    arguments.seconds = seconds if arguments.seconds is None else arguments.seconds
    if arguments.rounds < 1 or arguments.seconds <= 0:
        parser.error("--rounds and --seconds must be more than 0")
    arguments.output = arguments.output or pathlib.Path(__file__).with_name("results")
    if arguments.smoke:
        arguments.scenario, arguments.only = list(SMOKE), list(contestants.OURS)
    arguments.scenarios = chosen_scenarios(arguments.scenario)
    if not arguments.scenarios:
        parser.error(f"no scenario is called {arguments.scenario}; see --list")
    return arguments


def chosen_scenarios(patterns: list[str]) -> list[Scenario]:
    return [
        scenario
        for scenario in scenarios.ALL
        if any(fnmatch.fnmatchcase(scenario.name, pattern) for pattern in patterns)
    ]


def chosen_contestants(only: list[str] | None) -> list[Contestant]:
    """Who can be measured; says who cannot."""
    found = []
    for contestant in contestants.ALL:
        if only and contestant.name not in only:
            continue
        reason = contestant.missing()
        if reason:
            progress(f"left out: {contestant.title}: {reason}")
        else:
            found.append(contestant)
    return found


def run_scenario(
    scenario: Scenario, entrants: list[Contestant], common: Task, results: Results
) -> None:
    """Measure all libraries in turn, round by round; who begins changes."""
    rounds = results.settings["rounds"]
    for contestant in entrants:
        results.rounds.setdefault(scenario.name, {})[contestant.name] = []
    for turn in range(rounds):
        first = turn % len(entrants)
        for contestant in entrants[first:] + entrants[:first]:
            progress(f"  {scenario.name}, round {turn + 1} of {rounds}: {contestant.title}")
            try:
                figures = measure(scenario, contestant, common)
            except MeasurementError as error:
                figures = None
                results.failures.append(f"{scenario.name}, {contestant.title}: {error}")
                progress(f"  FAILED: {error}")
            results.add(scenario.name, contestant.name, figures)


def write(results: Results, chosen: list[Scenario], folder: pathlib.Path) -> None:
    """Write all that is known so far."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "results.json": json.dumps(results.to_dict(), indent=1, ensure_ascii=False) + "\n",
        "results.md": tables.whole(results, chosen),
        "results.svg": plot.draw(results, chosen),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def run_all(arguments: argparse.Namespace) -> Results:
    available = chosen_contestants(arguments.only)
    settings = {"rounds": arguments.rounds, "seconds": arguments.seconds}
    results = Results(describe_environment(available), settings)
    common = Task(
        "",
        "",
        "",
        seconds=arguments.seconds,
        warm_up=arguments.warm_up,
        cpu=max(os.sched_getaffinity(0)),
    )
    for index, scenario in enumerate(arguments.scenarios, 1):
        entrants = [contestant for contestant in available if scenario.takes(contestant)]
        if entrants:
            progress(f"{index} of {len(arguments.scenarios)}: {scenario.title}")
            run_scenario(scenario, entrants, common, results)
            write(results, arguments.scenarios, arguments.output)
            print(tables.scenario_section(results, scenario), flush=True)
    return results


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def show_names() -> None:
    width = max(len(scenario.name) for scenario in scenarios.ALL)
    for scenario in scenarios.ALL:
        print(f"{scenario.name:{width}}  {scenario.title}")
    print("\nlibraries:", *contestants.BY_NAME)


def main() -> int:
    arguments = parse_arguments()
    if arguments.list:
        show_names()
        return 0
    if not hasattr(os, "sched_setaffinity"):
        progress("the benchmarks need Linux: they pin processes to CPUs and read /proc")
        return 2
    results = run_all(arguments)
    if not results.rounds:
        progress("nothing was measured: no library that was asked for is here")
        return 2
    titles = {scenario.name: scenario.title for scenario in arguments.scenarios}
    print(tables.figures_section(results, titles), end="")
    progress(f"results.json, results.md and results.svg are in {arguments.output}")
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
