"""Recovery inside a union: after its tag a branch is mended as if it alone stood there."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

import lockgate
from lockgate import Patched
from tests.gate.unions import SCALARS, Json

TAGS = ["boat", "cart", "cab"]
#: What stands instead of a value of a kind, and can be mended without a guess.
FAULTS: dict[str, list[Any]] = {"integer": ["3", "-20"], "boolean": ["true", "False"], "string": [3, True]}


def _branch(rng: random.Random, tag: str) -> Json:
    plain = [one for one, _ in SCALARS if len(one) == 1 and str(one.get("type")) in FAULTS]
    members = {name: rng.choice(plain) for name in rng.sample(["m", "b", "size"], 2)}
    schema: Json = {"type": "object", "properties": {"t": {"const": tag}, **members}, "required": ["t"]}
    return {**schema, "additionalProperties": False} if rng.random() < 0.5 else schema


def _mended(schema: Json, text: str, cut: int) -> tuple[str, str, list[str]]:
    gate = lockgate.compile(schema).gate("patch")
    events = [*gate.feed(text[:cut]), *gate.feed(text[cut:]), *gate.close()]
    released = b"".join(event.data for event in events if isinstance(event, lockgate.Released))
    return gate.state, released.decode(), [event.rule for event in events if isinstance(event, Patched)]


def test_a_branch_is_mended_as_if_it_stood_alone() -> None:
    """Behind the tag, whatever the cuts: the same text, by the same rules."""
    rng = random.Random(8)
    patched = 0
    for _ in range(150):
        branches = [_branch(rng, tag) for tag in TAGS]
        chosen = rng.choice(branches)
        value = {"t": chosen["properties"]["t"]["const"]}
        for name, inner in chosen["properties"].items():
            if name != "t":
                value[name] = rng.choice(FAULTS[inner["type"]])
        text = json.dumps(value)
        union = {rng.choice(["anyOf", "oneOf"]): branches}
        alone = _mended(chosen, text, 0)
        assert alone == _mended(union, text, 0), (union, text)
        assert alone == _mended(union, text, rng.randrange(len(text))), (union, text)
        within = _mended({"type": "object", "properties": {"load": union}}, f'{{"load": {text}}}', 9)
        assert within[:2] == (alone[0], f'{{"load": {alone[1]}}}'), (union, text)
        patched += bool(alone[2])
    assert patched > 100


def test_a_tag_in_another_case_is_one_of_those_that_are_allowed() -> None:
    branches = [{"properties": {"t": {"const": tag}}, "required": ["t"]} for tag in TAGS]
    assert _mended({"oneOf": branches}, '{"t": "Cart"}', 3)[:2] == ("complete", '{"t": "cart"}')


@pytest.mark.parametrize("recovery", ["halt", "skip", "patch"])
def test_an_empty_array_that_a_branch_refuses_is_refused_as_a_whole(recovery: Any) -> None:
    """At its closing bracket nothing has come that a rule could look at."""
    schema = {"not": {"if": {"not": {"type": "array", "items": {"type": "string"}}}, "then": False, "else": True}}
    gate = lockgate.compile(schema).gate(recovery)
    events = [*gate.feed(b"["), *gate.feed(b"]"), *gate.close()]
    violations = [event.code for event in events if isinstance(event, lockgate.Violated)]
    assert violations[0] == "schema_violation"
    assert gate.state == ("incomplete" if recovery == "patch" else "halted")


_LIST = {"type": {"enum": ["list"]}, "kind": {"type": "string"}, "items": {"type": "array"}}
_TEXT = {"type": {"enum": ["text"]}, "content": {"type": "string"}}
_CLOSED: list[Json] = [{"additionalProperties": False, "properties": names} for names in (_LIST, _TEXT)]
_BY_TAG: list[Json] = [
    {"if": {"properties": {"type": names["type"]}}, "then": closed}
    for names, closed in zip((_LIST, _TEXT), _CLOSED, strict=True)
]


@pytest.mark.parametrize("word", ["anyOf", "oneOf", "allOf"])
@pytest.mark.parametrize("quotes", ["''", "``", "\u2018\u2019", "\u201c\u201d", "\u201e\u201c"])
def test_names_of_the_branch_that_is_left_tell_where_a_string_in_other_quotes_ends(word: str, quotes: str) -> None:
    value = {"type": "list", "kind": "plain", "items": ["a", "b"]}
    pieces = json.dumps(value).split('"')
    text = pieces[0] + "".join(quotes[at % 2] + piece for at, piece in enumerate(pieces[1:]))
    for cut in range(len(text)):
        state, released, _ = _mended({"type": "object", word: _BY_TAG if word == "allOf" else _CLOSED}, text, cut)
        assert (state, json.loads(released)) == ("complete", value), (text, cut)
