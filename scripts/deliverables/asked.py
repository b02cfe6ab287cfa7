"""docs/acceptance.toml, read: every line that was asked for, and what answers it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
_SOURCE: Final = ROOT / "docs" / "acceptance.toml"
_MEASURED: Final = ROOT / "tests" / "acceptance" / "measured.json"


@dataclass(frozen=True)
class Line:
    """One line of what was asked for. The members are those of the file, which says what they mean."""

    id: str
    asks: str
    state: str
    lacks: str = ""
    setting: str = ""
    code: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def sections() -> Iterator[tuple[str, list[Line]]]:
    """Title and lines of each section."""
    for section in tomllib.loads(_SOURCE.read_text("utf-8"))["section"]:
        yield (
            section["title"],
            [
                Line(**{key: tuple(v) if isinstance(v, list) else v for key, v in row.items()})
                for row in section["line"]
            ],
        )


def lines() -> list[Line]:
    return [line for _, rows in sections() for line in rows]


def measured() -> dict[str, Any]:
    """The figures of the last recorded run of the acceptance criteria: ``machine``, and ``figures``."""
    return dict(json.loads(_MEASURED.read_text("utf-8")))
