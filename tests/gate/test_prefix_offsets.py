"""Beside llguidance: at which byte each of us refuses the invalid instances of jsonschemabench.

llguidance writes documents, so it wants the members in the order of the schema and numbers without exponents. Where it
refuses a text that can still become valid, its byte says nothing of ours. Two rules leave such instances out, and the
list is printed:

- *order*: it refuses a member name, or the comma before one, and with the same text we take that whole name;
- *number*: it refuses inside a number, which an exponent, or the zero of ``-0``, could still mend.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import lockgate
from tests.gate.runs import feed

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[^"]')
_OF_NUMBERS = b"-.0123456789"
#: Bytes behind llguidance's that count as the same.
_NEAR = 3


class Refusal(NamedTuple):
    """An invalid instance, and where it was refused: by llguidance and by us."""

    name: str
    text: bytes
    theirs: int
    ours: int


def refusals(folder: Path) -> list[Refusal]:
    lines = (folder / "cases.jsonl").read_text("utf-8").splitlines()
    sources = {case["id"]: case["schema"] for case in map(json.loads, lines)}
    schemas: dict[str, lockgate.Schema] = {}
    found = []
    for line in (folder / "prefix_offsets.jsonl").read_text("utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        theirs = row["llguidance"].get("reject_at")
        if row["valid"] or theirs is None:
            continue
        schema = schemas.setdefault(row["id"], lockgate.compile(sources[row["id"]]))
        text = row["text"].encode()
        run = feed(schema.gate(), [text])
        found.append(Refusal(f"{row['id']} {row['i']}", text, theirs, run.violations[0].upstream_at))
    return found


def left_out(one: Refusal) -> str:
    """The rule that leaves it out; empty for none."""
    at = 0
    for token in _TOKEN.finditer(one.text):
        at = token.end()
        is_name = len(token[0]) > 1 and one.text[at : at + 1] == b":"
        if is_name and token.start() - 1 <= one.theirs < at:
            return "order" if one.ours > at else ""
    refused, before = one.text[one.theirs : one.theirs + 1], one.text[one.theirs - 1 : one.theirs]
    return "number" if refused == b"-" or (refused in _OF_NUMBERS and before in _OF_NUMBERS) else ""


@pytest.mark.acceptance
def test_invalid_instances_beside_llguidance(shared_data: Path) -> None:
    found = refusals(shared_data / "suites" / "jsonschemabench")
    near = [one for one in found if one.ours - one.theirs <= _NEAR]
    late = [(left_out(one), one) for one in found if one.ours - one.theirs > _NEAR]
    for rule, one in late:
        shown = one.text[max(0, one.theirs - 30) : one.theirs + 20].decode(errors="replace")
        print(f"{rule or 'late':7} +{one.ours - one.theirs:<5} {one.name}: {shown}")
    counted = len(near) + sum(not rule for rule, _ in late)
    print(f"{len(near)} of {len(found)} within {_NEAR} bytes; {len(near) / counted:.1%} of the {counted} that count")
    assert len(found) > 1_000
    assert len(near) / len(found) >= 0.865
    assert len(near) / counted >= 0.97
