"""Recovery skip: the smallest value that may be missing, and nothing else."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

import lockgate
from lockgate import Element, Event, Released, Skipped, Violated
from tests.conftest import Corpus
from tests.gate.recovery import faults

_ITEM = {"type": "object", "properties": {"id": {"type": "integer"}, "n": {"type": "string"}}, "required": ["id"]}
_SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "integer"},
        "b": {"type": "string"},
        "o": {
            "type": "object",
            "properties": {"x": {"type": "integer"}},
            "required": ["x"],
            "additionalProperties": False,
        },
        "items": {"type": "array", "items": _ITEM},
    },
    "required": ["a"],
    "additionalProperties": False,
}


def run(schema: Any, text: bytes, **options: Any) -> tuple[str, str, list[Event]]:
    gate = lockgate.compile(schema).gate(recovery="skip", **options)
    events = [*gate.feed(text), *gate.close()]
    return b"".join(event.data for event in events if isinstance(event, Released)).decode(), gate.state, events


@pytest.mark.parametrize(
    ("text", "wanted", "path", "skipped"),
    [
        ('{"a":1,"b":2,"o":{"x":1}}', '{"a":1,"o":{"x":1}}', "/b", '"b":2'),
        ('{"b":2, "a":1}', '{"a":1}', "/b", '"b":2'),
        ('{"a":1,"o":{"x":"q"},"b":"x"}', '{"a":1,"b":"x"}', "/o", '"o":{"x":"q"}'),
        ('{"a":1,"zz":[1,{"b":"]"}] , "b":"x"}', '{"a":1, "b":"x"}', "", '"zz":[1,{"b":"]"}]'),
        ('{"a":1,"o":{"x":1,"y":2}}', '{"a":1,"o":{"x":1}}', "/o", '"y":2'),
        ('{"a":1,"b":tru}', '{"a":1}', "/b", '"b":tru'),
        ('{"items":[{"id":1},{"id":"2"}],"a":1}', '{"items":[{"id":1}],"a":1}', "/items/1", '{"id":"2"}'),
        ('{"items":[bad, {"id":3}],"a":1}', '{"items":[{"id":3}],"a":1}', "/items/0", "bad"),
    ],
)  # fmt: skip
def test_what_is_left_out(text: str, wanted: str, path: str, skipped: str) -> None:
    released, state, events = run(_SCHEMA, text.encode(), elements="/items")
    assert (released, state) == (wanted, "complete")
    (found,) = [event for event in events if isinstance(event, Skipped)]
    assert (found.path, text[found.upstream_at : found.upstream_end]) == (path, skipped)
    assert [event.action for event in events if isinstance(event, Violated)] == ["skip"]


@pytest.mark.parametrize("text", ['{"a":"1"}', '{"b":"x"}', '{"a":1,"items":[{"id":"2"}]}', '{"a":1} x'])
def test_a_fault_that_nothing_contains_halts(text: str) -> None:
    """Required members, elements of an array that was not declared, text after the document."""
    assert run(_SCHEMA, text.encode())[1] == "halted"


@pytest.mark.parametrize("size", [1, 3, 100])
def test_what_was_left_out_is_told_where_it_stood(size: int) -> None:
    """Also when what holds it is left out after it, and behind both."""
    inner = {"type": "object", "properties": {"p": {"type": "integer"}}, "minProperties": 1}
    schema = {"type": "array", "items": {"type": "object", "properties": {"o": inner, "q": {"type": "integer"}}}}
    text = b'[{"o": {"p":"x"} }, {"q":"y"} ]'
    gate = lockgate.compile(schema).gate("skip", elements="")
    events = [event for at in range(0, len(text), size) for event in gate.feed(text[at : at + size])]
    left_out = [event for event in [*events, *gate.close()] if isinstance(event, Skipped)]
    assert [(event.path, text[event.upstream_at : event.upstream_end]) for event in left_out] == [
        ("/0/o/p", b'"p":"x"'),
        ("/0/o", b'"o": {"p":"x"}'),
        ("/1/q", b'"q":"y"'),
    ]
    assert gate.state == "complete"


def test_elements_that_are_too_many_are_left_out() -> None:
    schema = {"type": "array", "items": {"type": "integer"}, "maxItems": 2}
    assert run(schema, b"[1,2,3,4]", elements="")[:2] == ("[1,2]", "complete")


def test_positions_of_a_tuple_are_never_left_out() -> None:
    schema = {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "integer"}}
    assert run(schema, b'["x",1]', elements="")[1] == "halted"
    assert run(schema, b'[1,"x",2]', elements="")[:2] == ("[1,2]", "complete")


def test_too_few_elements_are_left() -> None:
    assert run({"type": "array", "items": {"type": "integer"}, "minItems": 2}, b'[1,"x"]', elements="")[1] == "halted"


def test_past_the_limit_a_value_is_released() -> None:
    long = b'{"a":1,"b":"' + b"x" * 100 + b'\x01"}'
    assert run(_SCHEMA, long, max_held_bytes=50)[1] == "halted"
    assert run(_SCHEMA, long)[:2] == ('{"a":1}', "complete")


def test_exactly_the_broken_elements_are_lost(corpus: Corpus) -> None:
    """Arrays of valid documents, with some of them broken by seed."""
    rng = random.Random(3)
    pool = faults.wild(corpus.folder / "suites" / "jsonschemabench")
    for one in rng.sample(pool, min(60, len(pool))):
        good = json.dumps(one.value, ensure_ascii=False)
        if not isinstance(one.value, dict) or '"$id"' in json.dumps(one.schema):
            continue
        broken = [rng.random() < 0.4 for _ in range(6)]
        if not any(broken):
            continue
        text = "[" + ", ".join("@" + good if bad else good for bad in broken) + "]"
        inner = {**one.schema} if isinstance(one.schema, dict) else one.schema
        outer = {"$schema": inner.pop("$schema")} if inner is not True and "$schema" in inner else {}
        schema = {**outer, "type": "array", "items": inner}
        if "#/" in json.dumps(one.schema):
            continue  # its references would lead elsewhere
        released, state, events = run(schema, text.encode(), elements="")
        assert state == "complete"
        assert json.loads(released) == [one.value for bad in broken if not bad]
        assert len([event for event in events if isinstance(event, Skipped)]) == sum(broken)
        assert len([event for event in events if isinstance(event, Element)]) == broken.count(False)


def test_lines() -> None:
    text = b'{"a":1}\n{"a":"2"}\n\n{"a":4\n{"a":6} x\n{"a":7}'
    released, state, events = run(_SCHEMA, text, framing="ndjson")
    assert (released, state) == ('{"a":1}\n\n{"a":7}', "complete")
    left_out = [text[event.upstream_at : event.upstream_end] for event in events if isinstance(event, Skipped)]
    assert left_out == [b'{"a":"2"}', b'{"a":4', b'{"a":6} x']


@pytest.mark.parametrize("cuts", ["whole", "every byte"])
def test_a_comma_with_nothing_behind_it_is_what_was_left_out(cuts: str) -> None:
    """No span of a skip is empty: people look it up in the text."""
    text = b'{"a": 1, }'
    gate = lockgate.compile({"maxProperties": 1}).gate("skip")
    pieces = [text] if cuts == "whole" else [text[at : at + 1] for at in range(len(text))]
    events = [event for piece in pieces for event in gate.feed(piece)] + gate.close()
    released = b"".join(event.data for event in events if isinstance(event, Released))
    assert (released, gate.state) == (b'{"a": 1}', "complete")
    (found,) = [event for event in events if isinstance(event, Skipped)]
    assert text[found.upstream_at : found.upstream_end] == b","
