"""What the acceptance criteria came to: figures by criterion, a table of them, and a file that the documents read."""

from __future__ import annotations

import json
import os
import platform
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
CRITERIA: Final[dict[str, Any]] = tomllib.loads((HERE / "criteria.toml").read_text("utf-8"))
#: Figures of the last run that was recorded (``RECORD=1 make acceptance``), by name.
RECORDED: Final = HERE / "measured.json"


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        criterion: A table of criteria.toml.
        name: What was measured.
        of: Number of measurements, with what they are of.
        wanted: What it must be.
        load: Processes that wanted a core then, on average (``os.getloadavg``): figures of time are worse under load.
    """

    criterion: str
    name: str
    value: float
    unit: str
    of: str
    wanted: str
    is_met: bool
    load: float


#: Of this run.
FIGURES: Final[list[Figure]] = []


def names() -> list[str]:
    """Every figure that the criteria ask for."""
    lost, readers = CRITERIA["lost"], CRITERIA["reconnects"]["readers"]
    return [
        "objects whole and valid",
        *(f"{what} {at}" for what in ("gap between chunks", "gap added", "end to end") for at in ("p99", "max")),
        "right verdicts",
        "right outcomes of the fault matrix",
        *(f"{count} readers reconnect, last one whole" for count in readers),
        *(f"bytes lost, {mode}" for mode in lost["modes"]),
    ]


def measured(criterion: str, name: str, value: float, unit: str, *, of: str, wanted: str, is_met: bool) -> None:
    """A criterion was measured: note it. ``all_met`` judges, so that one that is missed hides no other."""
    assert name in names(), name
    FIGURES.append(Figure(criterion, name, round(value, 6), unit, of, wanted, is_met, round(os.getloadavg()[0], 1)))
    _record()


def all_met() -> None:
    """Fail if a figure of this run is not what was wanted."""
    missed = [f"{one.name}: {one.value:g} {one.unit}, wanted {one.wanted}" for one in FIGURES if not one.is_met]
    assert missed == []


def _record() -> None:
    if not os.environ.get("RECORD"):
        return
    known = json.loads(RECORDED.read_text("utf-8"))["figures"] if RECORDED.exists() else []
    by_name = {one["name"]: one for one in [*known, *map(asdict, FIGURES)]}
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    kept = [by_name[name] for name in names() if name in by_name]
    RECORDED.write_text(json.dumps({"machine": machine, "figures": kept}, indent=2) + "\n", "utf-8")


def table() -> str:
    """All figures; those that were not measured in this run are named."""
    found = {one.name: one for one in FIGURES}
    lines = [f"{'criterion':<42}{'figure':>14}  {'of':<46}wanted"]
    for name in names():
        one = found.get(name)
        if one is None:
            lines.append(f"{name:<42}{'not measured':>14}")
            continue
        value = f"{one.value:g} {one.unit}"
        lines.append(f"{name:<42}{value:>14}  {one.of:<46}{one.wanted}{'' if one.is_met else '  NOT MET'}")
    return "\n".join(lines)
