"""The plot: an SVG, written by hand, that follows the reader's light or dark theme."""

from __future__ import annotations

import dataclasses
from html import escape

from contestants import BY_NAME, OURS
from results import Results
from scenarios import METRICS, Scenario
from tables import number

WIDTH = 760
MARGIN = 24
LABELS = 160  # width of the names
BARS_WIDTH = 390  # width of the longest bar
BAR, ROW, HEADING, GAP = 14, 20, 28, 16
TOP = 74

STYLE = """\
  svg { color-scheme: light dark; }
  .page { fill: #ffffff; }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
  .title { font-size: 18px; font-weight: 600; }
  .heading { font-weight: 600; }
  .title, .heading, .label, .value { fill: #1f2328; }
  .note { fill: #59636e; }
  .c { fill: #0969da; }
  .pure { fill: #54aeff; }
  .peer { fill: #afb8c1; }
  .one { stroke: #59636e; stroke-dasharray: 2 3; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; }
    .title, .heading, .label, .value { fill: #e6edf3; }
    .note { fill: #9198a1; }
    .c { fill: #4493f8; }
    .pure { fill: #1f5fb0; }
    .peer { fill: #6e7681; }
    .one { stroke: #9198a1; }
  }"""


@dataclasses.dataclass(frozen=True)
class Line:
    """One bar: how good a library is, where ours is 1."""

    contestant: str
    score: float
    value: str


def scores(results: Results, scenario: Scenario, ours: str) -> list[Line]:
    """All libraries of a scenario; more is better, also where less of the unit is."""
    metric = METRICS[scenario.plotted]
    lines = []
    for name in results.rounds[scenario.name]:
        ratio = results.ratio(scenario.name, scenario.plotted, ours, name)
        median = results.median(scenario.name, name, scenario.plotted)
        if ratio is not None and median is not None:
            score = ratio if metric.less_is_better else 1 / ratio
            lines.append(Line(name, score, number(median * metric.factor)))
    return lines


def draw(results: Results, scenarios: list[Scenario]) -> str:
    """The whole picture. Each scenario has its own scale; a dashed line marks ours."""
    measured = {name for found in results.rounds.values() for name in found}
    ours = next((name for name in OURS if name in measured), "")
    body: list[str] = []
    y = TOP
    for scenario in scenarios:
        if scenario.plotted and scenario.name in results.rounds:
            lines = scores(results, scenario, ours)
            if lines:
                body += _group(scenario, lines, y)
                y += HEADING + ROW * len(lines) + GAP
    title = f"syncws against other WebSocket libraries, {results.environment['python']}"
    base = BY_NAME[ours].title if ours else "syncws"
    note = f"Longer is better: more per second, or fewer µs or KiB. {base} = 1.00 in each group."
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" '
            f'width="{WIDTH}" height="{y}" role="img" aria-labelledby="title note">',
            f"<style>\n{STYLE}\n</style>",
            f'<rect class="page" width="{WIDTH}" height="{y}"/>',
            f'<text id="title" class="title" x="{MARGIN}" y="36">{escape(title)}</text>',
            f'<text id="note" class="note" x="{MARGIN}" y="58">{escape(note)}</text>',
            *body,
            "</svg>",
            "",
        ]
    )


def _group(scenario: Scenario, lines: list[Line], top: int) -> list[str]:
    """The heading and the bars of one scenario."""
    longest = max(1.0, *(line.score for line in lines))
    unit = METRICS[scenario.plotted].title
    left = MARGIN + LABELS
    found = [
        f'<text class="heading" x="{MARGIN}" y="{top + 18}">{escape(scenario.title)}'
        f'<tspan class="note" font-weight="400" dx="8">{escape(unit)}</tspan></text>'
    ]
    y = top + HEADING
    mark = left + BARS_WIDTH / longest
    bottom = y + ROW * len(lines) - (ROW - BAR)
    for line in lines:
        found += _bar(line, left, y, max(1.0, BARS_WIDTH * line.score / longest))
        y += ROW
    found.append(f'<path class="one" d="M{mark:.1f} {top + HEADING - 3}V{bottom + 3}"/>')
    return found


def _bar(line: Line, left: int, y: int, width: float) -> list[str]:
    """One name, bar and value."""
    kind = {"syncws-c": "c", "syncws-pure": "pure"}.get(line.contestant, "peer")
    name = escape(BY_NAME[line.contestant].title)
    base = y + BAR - 3
    right = left + BARS_WIDTH + 12
    return [
        f'<text class="label" x="{left - 10}" y="{base}" text-anchor="end">{name}</text>',
        f'<rect class="{kind}" x="{left}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>',
        f'<text class="value" x="{right + 38}" y="{base}" text-anchor="end">{line.score:.2f}</text>'
        f'<text class="note" x="{WIDTH - MARGIN}" y="{base}" text-anchor="end">{line.value}</text>',
    ]
