"""docs/reference/earliness.md is what the code does: every row is run, whole and byte by byte."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import lockgate
from lockgate.gate.halt import HaltGate
from tests.gate.runs import every_byte

PAGE = Path(__file__).parents[2] / "docs/reference/earliness.md"
ROW = re.compile(r"^\| (.+?) \| (.+?) \| `(\{.+?\})` \| `(.+?)` \|$", re.MULTILINE)


def rows() -> list[tuple[str, str, str, str]]:
    return ROW.findall(PAGE.read_text(encoding="utf-8"))


def test_the_page_has_its_rows() -> None:
    assert len(rows()) > 50


@pytest.mark.parametrize(("keyword", "_byte", "schema", "text"), rows())
def test_row(keyword: str, _byte: str, schema: str, text: str) -> None:
    """The violation belongs to the byte after the mark, is seen with it, and not by the last authority."""
    good, mark, bad = text.partition("▲")
    assert mark, "the row has no mark"
    compiled = lockgate.compile(json.loads(schema))
    for pieces in ([(good + bad).encode()], every_byte((good + bad).encode())):
        gate = HaltGate(compiled._graph, None, compiled.limits)
        fed = 0
        for piece in pieces:
            fed += len(piece)
            found = [event for event in gate.feed(piece) if isinstance(event, lockgate.Violated)]
            if found:
                break
        assert [one.upstream_at for one in found] == [len(good.encode())], (schema, text)
        assert found[0].code == "schema_violation"
        # Seen with its own byte; only an escape is finished first.
        assert fed <= len(good.encode()) + (6 if bad.startswith("\\") else 1) or fed == len((good + bad).encode())
