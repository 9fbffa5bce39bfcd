"""Markdown: a table per scenario, and one of the figures to reach."""

from __future__ import annotations

from bars import BARS, Bar
from contestants import BY_NAME, OURS
from results import Results
from scenarios import METRICS, Scenario

HOW_TO_READ = """\
Medians of {rounds} rounds, in brackets the least and the most. Every measurement is a fresh
process, the libraries take turns. "x" is ours : theirs, the median of the rounds' ratios: more than
1 is good for rates, less than 1 for times, CPU and memory.
"""


def number(value: float) -> str:
    """Three digits that say something."""
    for limit, unit in ((1e6, " M"), (1e4, " k")):
        if value >= limit:
            return f"{value / (1e6 if unit == ' M' else 1e3):.3g}{unit}"
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 0.005 else "0"


def ratio(value: float | None) -> str:
    """A ratio, or a dash."""
    if value is None:
        return "-"
    return f"{value:.2f}x" if value < 10 else f"{value:.0f}x"


def table(rows: list[list[str]], numbers: bool = True) -> str:
    """A Markdown table; the first row is the heading. ``numbers`` go to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths)] for row in rows]
    rule = ["-" * widths[0], *("-" * (w - 1) + (":" if numbers else "-") for w in widths[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], rule, *lines[1:]))


def scenario_section(results: Results, scenario: Scenario) -> str:
    """One scenario: all libraries, then the figures to reach in it."""
    measured = results.rounds[scenario.name]
    ours = [name for name in OURS if name in measured]
    heading = ["library"]
    for name in scenario.metrics:
        metric = METRICS[name]
        heading.append(metric.title)
        if metric.compared:
            heading += [f"{BY_NAME[our].title} : it" for our in ours]
    rows = [heading, *(_row(results, scenario, name, ours) for name in measured)]
    lines = [f"### {scenario.title} (`{scenario.name}`)", "", table(rows)]
    bars = [bar for bar in BARS if bar.scenario == scenario.name]
    told = [verdict_line(results, bar) for bar in bars if bar.reached(results) is not None]
    return "\n".join([*lines, "", *told, ""] if told else [*lines, ""])


def _row(results: Results, scenario: Scenario, contestant: str, ours: list[str]) -> list[str]:
    row = [BY_NAME[contestant].title]
    for name in scenario.metrics:
        metric = METRICS[name]
        values = [v * metric.factor for v in results.values(scenario.name, contestant, name)]
        median = results.median(scenario.name, contestant, name)
        if median is None:
            row.append("failed")
        else:
            least, most = number(min(values)), number(max(values))
            spread = f" ({least}-{most})" if least != most else ""
            row.append(number(median * metric.factor) + spread)
        if metric.compared:
            row += [
                ""
                if our == contestant
                else ratio(results.ratio(scenario.name, name, our, contestant))
                for our in ours
            ]
    return row


def verdict(results: Results, bar: Bar) -> tuple[str, str]:
    """What was reached, and whether that is enough."""
    value = bar.reached(results)
    if value is None:
        return "-", "not measured"
    reached = ratio(value) if bar.is_ratio else number(value)
    return reached, "reached" if bar.passes(value) else "**falls short**"


def verdict_line(results: Results, bar: Bar) -> str:
    """The same in a sentence."""
    reached, judgement = verdict(results, bar)
    against = f" against {bar.against}" if bar.peers else ""
    return (
        f"- {BY_NAME[bar.ours].title}{against}, {METRICS[bar.metric].title}: {reached}, "
        f"to reach {bar.text}: {judgement}"
    )


def figures_section(results: Results, titles: dict[str, str]) -> str:
    """All figures to reach that belong to the scenarios of this run."""
    rows = [["what", "ours", "against", "measured", "to reach", "verdict"]]
    for bar in BARS:
        if bar.scenario in results.rounds:
            reached, judgement = verdict(results, bar)
            what = f"{titles[bar.scenario]}: {METRICS[bar.metric].title}"
            ours = BY_NAME[bar.ours].title
            rows.append([what, ours, bar.against, reached, bar.text, judgement])
    if len(rows) == 1:
        return ""
    return "\n".join(["## Figures to reach", "", table(rows, numbers=False), ""])


def whole(results: Results, scenarios: list[Scenario]) -> str:
    """The page results.md."""
    environment = results.environment
    versions = ", ".join(f"{k} {v}" for k, v in sorted(environment["versions"].items()))
    done = [scenario for scenario in scenarios if scenario.name in results.rounds]
    parts = [
        "# Benchmarks",
        f"{environment['python']}, {environment['system']}, {environment['cpus']} CPUs "
        f"({environment['processor']}).\n{versions}.",
        HOW_TO_READ.format(rounds=results.settings["rounds"]).rstrip(),
        figures_section(results, {s.name: s.title for s in done}).rstrip(),
        "## Scenarios",
        *(scenario_section(results, scenario).rstrip() for scenario in done),
    ]
    if results.failures:
        parts += ["## Failures", "\n".join(f"- {failure}" for failure in results.failures)]
    return "\n\n".join(part for part in parts if part) + "\n"
