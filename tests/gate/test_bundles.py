"""References of every kind: judged part by part, with the whole document, and by elements, always the same.

The judge of the judges is the authority's library, asked here directly about the whole document.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

import lockgate
from lockgate.gate.halt import HaltGate
from lockgate.gate.schema.resources import NAMELESS, SchemaLocation, escaped
from tests.gate.bundles import Bundle, bundle
from tests.gate.runs import feed

VALIDATORS = {
    6: jsonschema_rs.Draft6Validator,
    7: jsonschema_rs.Draft7Validator,
    2019: jsonschema_rs.Draft201909Validator,
    2020: jsonschema_rs.Draft202012Validator,
}

#: Some bundles have loops that lead back in many ways, and would be too complex.
ROOM = lockgate.Limits(max_schema_expansion=1_000_000)


def judge_of(bundle: Bundle, schema: dict[str, Any]) -> Any:
    """The library's own validator of a whole document."""

    def retrieve(uri: str) -> Any:
        return escaped(bundle.registry[uri.removesuffix("#")])

    return VALIDATORS[bundle.draft](escaped(schema), retriever=retrieve, base_uri=NAMELESS)


def compare(seed: int, documents: int, counts: Counter[str]) -> None:
    """Compare all ways to judge for some documents of one bundle."""
    made = bundle(seed)
    try:
        truth = judge_of(made, made.schema)
    except ValueError:
        counts["schemas that the library refuses"] += 1
        with pytest.raises(lockgate.SchemaError):
            lockgate.compile(made.schema, draft=made.draft, registry=made.registry, limits=ROOM)
        return
    schema = lockgate.compile(made.schema, draft=made.draft, registry=made.registry, limits=ROOM)
    short = replace(ROOM, authority_max_bytes=1)
    unseen = lockgate.compile(made.schema, draft=made.draft, registry=made.registry, limits=short)
    parts = {} if schema._is_whole else {name: part_of(schema, pointer) for name, pointer in made.parts.items()}
    counts["schemas judged " + ("as a whole" if schema._is_whole else "by parts")] += 1
    for _ in range(documents):
        name, value = made.rng.choice(list(made.parts)), made.value()
        text = json.dumps({name: value}).encode()
        is_valid = truth.is_valid({name: value})
        where = (seed, text, made)
        unaided = feed(HaltGate(schema._graph, None, schema.limits), [text])
        assert (unaided.state == "complete") == is_valid, where
        assert all(violation.code == "schema_violation" for violation in unaided.violations), where
        assert feed(schema.gate(), [text]) == unaided, where
        assert feed(unseen.gate(), [text]) == unaided, where
        if parts:
            assert (parts[name].complaint(value) is None) == is_valid, where
        counts["valid" if is_valid else "invalid"] += 1


def part_of(schema: lockgate.Schema, pointer: str) -> Any:
    root = schema._graph._resources.root
    location: SchemaLocation = schema._graph._resources.at_home(root.below(*pointer.split("/")[1:]))
    part = schema._authority.part([location], "", [])
    assert part is not None
    return part


def compare_elements(seed: int, documents: int, counts: Counter[str]) -> None:
    """The same for the elements of an array: each is handed out exactly if it is valid where it stands."""
    made = bundle(seed)
    name = made.rng.choice(list(made.parts))
    inner = made.schema["properties"][name]
    listed = {**made.schema, "properties": {"list": {"type": "array", "items": inner}}}
    try:
        truth = judge_of(made, listed)
    except ValueError:
        return
    schema = lockgate.compile(listed, draft=made.draft, registry=made.registry, limits=ROOM)
    if schema._is_whole:
        counts["elements refused"] += 1
        with pytest.raises(lockgate.Misuse, match="whole document"):
            schema.gate(elements="/list")
        return
    for _ in range(documents):
        values = [made.value() for _ in range(3)]
        good = 0
        while good < 3 and truth.is_valid({"list": [values[good]]}):
            good += 1
        gate = schema.gate(elements="/list")
        events = [*gate.feed(json.dumps({"list": values}).encode()), *gate.close()]
        where = (seed, values, listed)
        assert sum(isinstance(event, lockgate.Element) for event in events) == good, where
        assert (gate.state == "complete") == (good == 3), where
        codes = {event.code for event in events if isinstance(event, lockgate.Violated)}
        assert codes <= {"schema_violation"}, where
        counts["lists"] += 1


def run(seeds: range, documents: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for seed in seeds:
        compare(seed, documents, counts)
        compare_elements(seed, documents // 4, counts)
    return counts


def test_parts_and_documents_agree() -> None:
    counts = run(range(200), 8)
    assert min(counts["valid"], counts["invalid"], counts["lists"]) > 200, counts
