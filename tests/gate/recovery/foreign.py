"""The cases of eleven repair libraries, and what ours makes of them. Data of other people: ``suites/json-repair``."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs

import lockgate


class Case(NamedTuple):
    library: str
    id: str
    text: bytes
    kind: str
    schema: Any  # None without one
    wanted: Any  # the value; NOT_A_VALUE where the library says something else
    is_asserted: bool
    is_append_only: bool
    expect: str


NOT_A_VALUE = object()


def cases(folder: Path) -> Iterator[Case]:
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            raw = json.loads(line)
            text = (
                base64.b64decode(raw["input_b64"])
                if "input_b64" in raw
                else raw["input"].encode("utf-8", "surrogatepass")
            )
            schema = raw.get("schema")
            if isinstance(schema, dict) and not isinstance(raw.get("schema_repair_mode"), str):
                schema = schema or None
            yield Case(
                path.stem,
                raw["id"],
                text,
                raw["kind"],
                schema if isinstance(schema, dict | bool) else None,
                _wanted(raw),
                bool(raw.get("asserted")),
                bool(raw.get("append_only")),
                raw["expect"],
            )


def _wanted(raw: dict[str, Any]) -> Any:
    if raw["expect"] == "value":
        return raw["expected"]
    if raw["expect"] == "text":
        try:
            return json.loads(raw["expected_text"])
        except ValueError:
            return NOT_A_VALUE
    return NOT_A_VALUE


class Result(NamedTuple):
    state: str
    text: bytes
    value: Any
    is_equal: bool
    is_honest: bool  # valid by the authority wherever it says complete, and parseable


def repaired(case: Case) -> Result:
    schema = True if case.schema is None else case.schema
    gate = lockgate.compile(schema).gate(recovery="patch")
    events = [*gate.feed(case.text), *gate.close()]
    text = b"".join(event.data for event in events if isinstance(event, lockgate.Released))
    try:
        value = json.loads(text)
    except ValueError:
        value = NOT_A_VALUE
    is_valid = value is not NOT_A_VALUE and jsonschema_rs.validator_for(
        schema, offline=True, validate_formats=True
    ).is_valid(value)
    return Result(gate.state, text, value, equal(value, case.wanted), gate.state != "complete" or is_valid)


def equal(ours: Any, theirs: Any) -> bool:
    """Equal as JSON values: 1 and 1.0 are one number; a missing member of theirs that is null is no difference."""
    if isinstance(theirs, dict) and set(theirs) == {"__number__"}:
        return False
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        return ours == theirs or math.isclose(ours, theirs, rel_tol=1e-15)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = set(ours) | set(theirs)
        return all(equal(ours.get(name), theirs.get(name)) for name in names)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(equal, ours, theirs))
    return type(ours) is type(theirs) and ours == theirs


#: Asserted, without a schema, and valid or repairable behind what was delivered: what a stream can be asked for.
KEPT = "asserted, and valid or append-only"


def groups(case: Case) -> list[str]:
    """What a case counts for."""
    if case.wanted is NOT_A_VALUE:
        return [f"{case.library}: no value expected ({case.expect})"]
    found = [f"{case.library}: {case.kind}"]
    if case.schema is not None:
        found.append("with a schema")
    elif case.is_asserted and (case.is_append_only or case.kind == "valid"):
        found.append(KEPT)
    return found
