"""docs/acceptance.md: each line that was asked for, and what answers it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from deliverables.asked import Line, lines, measured, sections

_HEAD = """\
# Acceptance

Each line of what was asked for, with the code and the tests that answer it, and the figure where there is one. *Not yet*
means that it is not there. Written from [acceptance.toml](acceptance.toml); a test looks up every file, name, setting and
metric, and that what is *not yet* is not.
"""


def page() -> str:
    recorded = measured()
    figures = {one["name"]: one for one in recorded["figures"]}
    states = Counter(line.state for line in lines())
    text = [
        _HEAD,
        f"{len(lines())} lines: " + ", ".join(f"{count} {state}" for state, count in states.items()) + ".",
        "",
    ]
    for title, rows in sections():
        text += [f"## {title}", "", "| asked for | state | code | tests | figure |", "|---|---|---|---|---|"]
        text += [_row(line, figures) for line in rows] + [""]
    text += _figures(recorded)
    return "\n".join(text)


def _row(line: Line, figures: dict[str, Any]) -> str:
    state = line.state if line.state == "done" else f"**{line.state}**: {line.lacks}"
    setting = f" ([setting](reference/settings.md) `{line.setting}`)" if line.setting else ""
    code = [_linked(one, "../src/lockgate/") for one in line.code] + [_page(one) for one in line.pages]
    tests = [_linked(one.replace("::", ":"), "../") for one in line.tests]
    told = [_told(name, figures) for name in line.figures]
    cells = (f'<a id="{line.id}"></a>{line.asks}{setting}', state, *map(_cell, (code, tests, told)))
    return "| " + " | ".join(cells) + " |"


def _cell(items: list[str]) -> str:
    return "<br>".join(items) or "–"


def _linked(place: str, folder: str) -> str:
    file, _, name = place.partition(":")
    return f"[`{name or file.rpartition('/')[2]}`]({folder}{file})"


def _page(path: str) -> str:
    return f"[{path.rpartition('/')[2]}]({path.removeprefix('docs/') if path.startswith('docs/') else '../' + path})"


def _told(name: str, figures: dict[str, Any]) -> str:
    if name not in figures:
        return f"{name}: not recorded yet"
    return f"{name}: {_value(figures[name])}"


def _value(figure: dict[str, Any]) -> str:
    value = figure["value"]
    plain = f"{value:.2f}" if value % 1 and value < 10 else f"{value:.1f}" if value % 1 else f"{value:g}"
    return f"{plain} {figure['unit']}".strip()


def _figures(recorded: dict[str, Any]) -> Iterator[str]:
    yield from ("## The figures", "")
    yield "`make acceptance` prints them; [criteria.toml](../tests/acceptance/criteria.toml) fixed before the run how often each"
    yield f"is measured. Below is the last run that was recorded (`RECORD=1`): {recorded['machine']}. *Load*: how many processes wanted a core then."
    yield from ("", "| figure | value | of | wanted | load |", "|---|---|---|---|---|")
    for figure in recorded["figures"]:
        wanted = figure["wanted"] + ("" if figure["is_met"] else " (**not met**)")
        yield f"| {figure['name']} | {_value(figure)} | {figure['of']} | {wanted} | {figure['load']} |"
    yield ""
