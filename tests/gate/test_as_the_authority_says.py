"""Where JSON Schema leaves room, our own checks say what the authority says: they never disagree.

Texts and schemas are made by seed. Each is judged as a whole document, and again as an element of a list, where our own
checks decide about the rest.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest

import lockgate
from lockgate import Schema, SchemaError, Violated

DIALECTS = {
    4: "http://json-schema.org/draft-04/schema#",
    6: "http://json-schema.org/draft-06/schema#",
    7: "http://json-schema.org/draft-07/schema#",
    2019: "https://json-schema.org/draft/2019-09/schema",
    2020: "https://json-schema.org/draft/2020-12/schema",
}
#: Where doubles stop to tell whole numbers apart, and where 64 bits end.
_EDGES = [2**53, 2**63, 2**64, 10**16, 10**19, 10**22, 2**100]


def _number(rng: random.Random) -> str:
    """A number as it may be written, near an edge."""
    number = rng.choice(_EDGES) + rng.randint(-3, 3)
    text = str(-number if rng.random() < 0.2 else number)
    if rng.random() < 0.5:
        return text
    ways: list[Callable[[], str]] = [
        lambda: f"{text}.0",
        lambda: f"{text}.5",
        lambda: f"{text}e0",
        lambda: f"{float(text)!r}",
        lambda: f"{text[:-1]}.{text[-1:]}e1",
        lambda: f"{text}0e-1",
        lambda: rng.choice(["1e16", "9.007199254740993e15", "1e300", "0.1", "0.3", "1e-7", "-0.0", "3", "7.5", "1.0"]),
    ]
    return rng.choice(ways)()


def _number_case(rng: random.Random) -> tuple[Any, str]:
    bound = json.loads(_number(rng))
    step = abs(json.loads(_number(rng))) or 1
    kinds: list[Any] = [
        {"minimum": bound},
        {"maximum": bound},
        {"exclusiveMinimum": bound},
        {"exclusiveMaximum": bound},
        {"multipleOf": rng.choice([1, 2, 3, 0.1, 0.5, 1e-7, step])},
        {"const": bound},
        {"enum": [bound, json.loads(_number(rng)), "x"]},
        {"type": "integer"},
    ]
    one = rng.choice(kinds)
    number = json.dumps(bound) if rng.random() < 0.3 else _number(rng)
    if rng.random() < 0.75:
        return one, number
    near = number if rng.random() < 0.3 else f"{number}.0" if number.lstrip("-").isdigit() else _number(rng)
    ways = [
        ({"type": "array", "uniqueItems": True}, f"[{number}, {near}]"),
        ({"const": [bound]}, f"[{number}]"),
        ({"enum": [{"a": bound}]}, f'{{"a": {number}}}'),
        ({"type": "array", "contains": one}, f"[{number}, {near}]"),
    ]
    return rng.choice(ways)


def _dependencies_case(rng: random.Random) -> tuple[Any, str]:
    needs = {
        rng.choice("abc"): rng.choice([[], ["a"], ["b", "c"], True, False, {"required": ["c"]}, {"maxProperties": 1}])
        for _ in range(rng.randint(1, 2))
    }
    schema: dict[str, Any] = {"dependencies": needs}
    extra = {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"b": {"required": ["c"]}}, "minProperties": 1}
    schema |= {word: said for word, said in extra.items() if rng.random() < 0.2}
    if rng.random() < 0.2:
        schema = {rng.choice(["anyOf", "allOf", "oneOf"]): [schema, {"required": ["a"]}]}
    value = dict.fromkeys(rng.sample("abc", rng.randint(0, 3)), 1)
    return schema, json.dumps(value)


def _loop_case(rng: random.Random) -> tuple[Any, str]:
    """A reference that comes back to itself before anything of the value is looked into."""
    plain = [True, False, {"type": "string"}, {"type": "integer"}, {"maximum": 3}, {"required": ["a"]}, {"minItems": 1}]

    def part(depth: int = 0) -> Any:
        kind = rng.random()
        if kind < 0.35 or depth > 2:
            return rng.choice(plain)
        if kind < 0.6:
            return {"$ref": f"#/definitions/{rng.choice('xyz')}"}
        if kind < 0.85:
            return {rng.choice(["anyOf", "allOf", "oneOf"]): [part(depth + 1) for _ in range(rng.randint(1, 3))]}
        return {"not": part(depth + 1)}

    schema = {"definitions": {name: part() for name in "xyz"}, "allOf": [{"$ref": "#/definitions/x"}]}
    return schema, rng.choice(["1", "5", '"a"', "{}", '{"a": 1}', "[]", "[1]", "null"])


CASES = {"numbers": _number_case, "dependencies": _dependencies_case, "loops": _loop_case}


def _state(schema: Schema, text: str, **options: Any) -> str:
    gate = schema.gate(**options)
    events = [*gate.feed(text), *gate.close()]
    codes = [event.code for event in events if isinstance(event, Violated)]
    assert "authority_disagreement" not in codes, f"they disagree: {events}"
    return gate.state


def _check(source: Any, text: str, draft: int) -> str:
    source = {"$schema": DIALECTS[draft], **source}
    try:
        schema = lockgate.compile(source)
    except SchemaError:
        return "refused"
    try:
        is_valid = jsonschema_rs.validator_for(source, offline=True).is_valid(json.loads(text))
    except ValueError:
        return "unclear"
    assert (_state(schema, text) == "complete") == is_valid, f"valid: {is_valid}"
    listed = {"$schema": DIALECTS[draft], "items": source, "type": "array"}
    if "definitions" in source:
        listed = {**listed, "definitions": source["definitions"]}
    try:
        schema = lockgate.compile(listed)
        schema.gate(elements="")
    except (SchemaError, lockgate.Misuse):
        return "valid" if is_valid else "not"
    assert (_state(schema, f"[{text}]", elements="") == "complete") == is_valid, f"as an element; valid: {is_valid}"
    return "valid" if is_valid else "not"


def _run(kind: str, seed: int, count: int) -> dict[str, int]:
    rng = random.Random(seed)
    seen: dict[str, int] = {}
    for number in range(count):
        source, text = CASES[kind](rng)
        draft = rng.choice([2020, 2020, *DIALECTS])
        try:
            found = _check(source, text, draft)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, case {number}, draft {draft}: {source} {text}: {error}") from error
        seen[found] = seen.get(found, 0) + 1
    return seen


@pytest.mark.parametrize("kind", CASES)
def test_our_checks_and_the_authority_agree(kind: str) -> None:
    seen = _run(kind, 1, 600)
    assert min(seen["valid"], seen["not"]) > 60


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("kind", CASES)
def test_fifty_thousand_of_each(kind: str, seed: int) -> None:
    print(kind, _run(kind, seed, 5000))
