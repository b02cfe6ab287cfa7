"""The cases of eleven repair libraries, and what ours makes of them. Data of other people: ``suites/json-repair``."""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import jsonschema_rs

import lockgate
from lockgate import SchemaError


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


#: Shares that are asked for, by group: asserted cases, and valid or repairable behind what was delivered, since that
#: is all that a stream can be asked for.
KEPT: Final = "asserted, and valid or append-only, without a schema"
KEPT_SCHEMA: Final = "asserted, and valid or append-only, with a schema"
SCHEMA: Final = "all with a schema"
NO_SCHEMA: Final = "all without a schema"
SHARES: Final = {KEPT: 0.95, KEPT_SCHEMA: 0.70, SCHEMA: None, NO_SCHEMA: None}

VALUE: Final = "value"
NO_JSON: Final = "no JSON"
REFUSAL: Final = "refusal"
SUCCESS: Final = "success"


def wants(case: Case) -> str:
    """What the library wants: a value, a text that is no JSON, a refusal, or any success."""
    if case.expect in ("error", "accepted"):
        return REFUSAL if case.expect == "error" else SUCCESS
    return NO_JSON if case.wanted is NOT_A_VALUE else VALUE


def is_kept(case: Case) -> bool:
    return case.is_asserted and (case.is_append_only or case.kind == "valid")


def agrees(case: Case, result: Result) -> bool:
    """Equal values; where the library refuses, or gives no JSON, ours is not complete; where it takes it, ours is."""
    if wants(case) == VALUE:
        return result.is_equal
    return (result.state == "complete") == (wants(case) == SUCCESS)


class Row(NamedTuple):
    """Every case is in exactly one."""

    library: str
    kind: str
    schema: str  # with, without, refused
    basis: str  # asserted, observed
    wants: str


class Tally(NamedTuple):
    cases: Counter[Row]
    agreed: Counter[Row]
    states: Counter[tuple[Row, str]]
    shares: dict[str, tuple[int, int]]  # group -> equal values, cases
    kept: dict[str, tuple[int, int]]  # wants -> agreed, cases; of the kept ones that want no value
    dishonest: list[str]


def tally(all_cases: Iterable[Case]) -> Tally:
    """Run every case and count it in its row."""
    found = Tally(Counter(), Counter(), Counter(), {}, {}, [])
    for case in all_cases:
        schema = "without" if case.schema is None else "with"
        try:
            result = repaired(case)
            agreed = agrees(case, result)
            if not result.is_honest:
                found.dishonest.append(f"{case.id} is called complete: {result.text!r}")
        except SchemaError:
            schema, result, agreed = "refused", None, wants(case) == REFUSAL
        row = Row(case.library, case.kind, schema, "asserted" if case.is_asserted else "observed", wants(case))
        found.cases[row] += 1
        found.agreed[row] += agreed
        found.states[row, "refused" if result is None else result.state] += 1
        if row.wants == VALUE:
            _count(found.shares, NO_SCHEMA if case.schema is None else SCHEMA, agreed)
            if is_kept(case):
                _count(found.shares, KEPT if case.schema is None else KEPT_SCHEMA, agreed)
        elif is_kept(case):
            _count(found.kept, row.wants, agreed)
    return found


def _count(counts: dict[str, tuple[int, int]], key: str, agreed: bool) -> None:
    before, cases = counts.get(key, (0, 0))
    counts[key] = (before + agreed, cases + 1)
