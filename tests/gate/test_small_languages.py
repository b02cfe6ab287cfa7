"""Small languages, written out: no byte is released that no valid text goes on with, and none is refused that one does.

For each schema, all texts of a small universe are judged by ``jsonschema-rs``. A prefix is alive if a valid one of them
begins so. The gate must refuse no prefix that is alive; and it must refuse, at its first byte, each one that is not.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

import lockgate
from lockgate import Violated
from lockgate.gate.halt import HaltGate

Json = dict[str, Any]

NAMES = ["a", "ab", "b"]
ATOMS: list[Json] = [
    {"type": "string"},
    {"type": ["object", "null"]},
    {"type": "array"},
    {"enum": ["a", "ab", 1]},
    {"enum": ["ab", "b", None]},
    {"enum": [[1], ["a", 1], "a"]},
    {"const": {"a": 1}},
    {"minLength": 2},
    {"maxLength": 1},
    {"pattern": "^a"},
    {"pattern": "^(b|ab)$"},
    {"properties": {"a": {"type": "string"}}},
    {"properties": {"a": False}},
    {"properties": {"a": {"const": 1}, "b": {}}, "additionalProperties": False},
    {"properties": {"ab": {}}, "additionalProperties": False},
    {"additionalProperties": {"type": "integer"}},
    {"patternProperties": {"^a": {"type": "integer"}}},
    {"patternProperties": {"b$": {}}, "additionalProperties": False},
    {"propertyNames": {"enum": ["a", "ab"]}},
    {"propertyNames": {"maxLength": 1}},
    {"required": ["a"]},
    {"required": ["a", "b"]},
    {"minProperties": 2},
    {"maxProperties": 1},
    {"maxProperties": 0},
    {"maxProperties": 2},
    {"dependentRequired": {"a": ["b"]}},
    {"items": {"type": "string"}},
    {"prefixItems": [{"type": "integer"}, False]},
    {"prefixItems": [{"enum": ["a"]}], "items": {"type": "integer"}},
    {"minItems": 2},
    {"maxItems": 1},
    {"maxItems": 0},
    {"anyOf": [{"type": "string", "maxLength": 1}, {"type": "array", "maxItems": 1}, {"required": ["ab"]}]},
    {"anyOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"a": {"const": "a"}, "b": {"const": "a"}}}]},
    {"oneOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"required": ["b"]}]},
    {"oneOf": [{"required": ["a"]}, {"required": ["ab"]}]},
    {"not": {"required": ["a"]}},
    {"not": {"type": "string"}},
    {"not": {"enum": ["a", [1]]}},
    {"if": {"properties": {"a": {"const": 1}}, "required": ["a"]}, "then": {"required": ["b"]}},
    {"if": {"type": "string"}, "then": {"pattern": "^a"}, "else": {"maxProperties": 1}},
    {"dependentSchemas": {"a": {"properties": {"b": {"type": "string"}}}}},
    {"properties": {"a": {}}, "unevaluatedProperties": False},
    {"allOf": [{"properties": {"a": {}}}, {"properties": {"ab": {}}}], "unevaluatedProperties": {"type": "integer"}},
    {"anyOf": [{"properties": {"a": {"const": 1}}}, {"required": ["b"]}], "unevaluatedProperties": False},
    {"prefixItems": [{}], "unevaluatedItems": False},
    {"allOf": [{"prefixItems": [{}]}], "unevaluatedItems": {"type": "string"}},
    {"if": {"prefixItems": [{"const": 1}]}, "then": {"prefixItems": [{}, {}]}, "unevaluatedItems": False},
    {"uniqueItems": True},
    {"contains": {"type": "string"}},
    {"minimum": 1},
    {"maximum": 1},
    {"multipleOf": 2},
    {"$ref": "#/$defs/x", "$defs": {"x": {"maxItems": 1, "maxProperties": 1}}},
]
#: Keywords that speak at the end of their value, or of a number; docs/reference/earliness.md lists them.
LATER = frozenset(["contains", "minimum", "maximum", "multipleOf"])
#: With one of these, what follows from several keywords at once is not looked for in all cases.
TOGETHER = frozenset(["patternProperties", "not", "if", "oneOf", "anyOf", "dependentSchemas",
                      "dependentRequired", "propertyNames"])  # fmt: skip


def universe(others: list[str]) -> list[str]:
    """Texts of all values; with members of other names, too."""
    scalars = [0, 1, "", "a", "ab", "b", "bb", None, True]
    values: list[Any] = list(scalars)
    inner = [1, "a", None]
    for length in range(3):
        values += map(list, itertools.product([*inner, "ab"], repeat=length))
    for length in range(4):
        for names in itertools.permutations([*NAMES, *others], length):
            values += (dict(zip(names, one, strict=True)) for one in itertools.product(inner[:2], repeat=length))
    return [json.dumps(value, separators=(",", ":")) for value in values]


UNIVERSE = universe([])
MORE = [
    "[1,10]",
    "[10,1]",
    '["a","az"]',
    '["ab","abz"]',
    '["az","a"]',
    '"az"',
    '"abz"',
    '"bz"',
    '"abbz"',
    "[[1]]",
    '["az"]',
    "[1,1,1]",
    '["a","a","a"]',
    '{"a":"az","b":1}',
]
#: Each name goes on with a letter that no schema has: a prefix of it is alive where other names may come.
WITNESSES = [*UNIVERSE, *MORE, *universe(["az", "abz", "bz"])]


def merged(first: Json, second: Json) -> Json | None:
    """Both together, if no keyword is in both."""
    return None if first.keys() & second.keys() else {**first, **second}


def schemas() -> Iterator[Json]:
    yield from ATOMS
    for first, second in itertools.combinations(ATOMS, 2):
        both = merged(first, second)
        yield both if both is not None else {"allOf": [first, second]}


def first_violation(schema: lockgate.Schema, text: str) -> int | None:
    gate = HaltGate(schema._graph, None, schema.limits)
    for event in [*gate.feed(text.encode()), *gate.close()]:
        if isinstance(event, Violated):
            return event.upstream_at
    return None


def check(source: Json) -> tuple[int, list[tuple[str, int, int]]]:
    """How many texts are judged, and which dead bytes are released: text, first dead byte, byte refused."""
    try:
        schema, authority = lockgate.compile(source), jsonschema_rs.Draft202012Validator(source)
    except lockgate.SchemaError:
        return 0, []
    valid = [text for text in UNIVERSE if authority.is_valid(json.loads(text))]
    witnesses = [text for text in WITNESSES if authority.is_valid(json.loads(text))]
    alive = {text[:end] for text in witnesses for end in range(len(text) + 1)}
    late = []
    for text in UNIVERSE:
        found = first_violation(schema, text)
        dead = next((at for at in range(len(text)) if text[: at + 1] not in alive), len(text))
        if text in valid:
            assert found is None, (source, text, found)
            continue
        assert found is not None, (source, text)
        assert found >= dead, (source, text, f"byte {found} is refused, and {text[: found + 1]!r} is alive")
        if found > dead:
            late.append((text, dead, found))
    return len(UNIVERSE), late


def keywords(source: Json) -> set[str]:
    return {keyword for part in parts_of(source) for keyword in part} - {"allOf"}


def parts_of(source: Json) -> list[Json]:
    """The schemas that it is put together from."""
    return [source, *source.get("allOf", ())]


def is_exact(source: Json) -> bool:
    """Whether the page says that no judge could speak earlier. Patterns and lengths are judged one by one."""
    parts = parts_of(source)
    with_text = sum(len({"pattern", "minLength", "maxLength"} & part.keys()) for part in parts)
    has_patterns = any("pattern" in part for part in parts) and with_text > 1
    return not (keywords(source) & (LATER | TOGETHER) or has_patterns)


def _run(sources: list[Json]) -> tuple[int, int, dict[str, int]]:
    """Texts judged, dead bytes released in the exact classes, and late refusals by the keywords of the others."""
    judged, later = 0, dict[str, int]()
    for source in sources:
        count, late = check(source)
        judged += count
        if is_exact(source):
            # That no value at all of a kind can satisfy a schema is seen only where it is plain.
            late = [one for one in late if one[1] > 0]
            assert not late, (source, late[:5])
        if late:
            name = " ".join(sorted(keywords(source)))
            later[name] = later.get(name, 0) + sum(found - dead for _, dead, found in late)
    return judged, len(sources), later


def test_no_dead_byte_is_released_and_no_live_one_refused() -> None:
    sources = list(schemas())
    judged, _, _ = _run([*ATOMS, *random.Random(5).sample(sources[len(ATOMS) :], 120)])
    assert judged > 10_000


@pytest.mark.acceptance
def test_all_pairs_of_keywords() -> None:
    judged, count, later = _run(list(schemas()))
    print(f"{judged} texts, {count} schemas; bytes later, by keywords:", json.dumps(later, indent=1))
    assert judged >= 50_000
    assert count >= 400
