"""Documents for any schema: valid, of the size asked for, the same each time, or refused with a reason."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import jsonschema_rs
import pytest

from lockgate.sim.chance import Dice
from lockgate.sim.documents import CATALOGUE
from lockgate.sim.schema_writer import regexes
from lockgate.sim.schema_writer.schema_entry import SchemaEntry
from lockgate.sim.schema_writer.texts import FORMATS
from lockgate.sim.schema_writer.unwritable import Unwritable
from tests.conftest import Corpus

SEEDS = range(1, 26)
DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
TREE: Any = {
    "$defs": {"node": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/pair"}]}},
    "type": "object",
    "properties": {"left": {"$ref": "#/$defs/node"}, "right": {"$ref": "#/$defs/node"}},
    "required": ["left", "right"],
}
TREE["$defs"]["pair"] = {key: TREE[key] for key in ("type", "properties", "required")}
BASE: Any = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
OBJECT_B: Any = {"properties": {"b": {"type": "integer"}}, "required": ["b"]}

SCHEMAS: dict[str, Any] = {
    "anything": True,
    "empty": {},
    "types": {"type": ["string", "null", "integer", "object"]},
    "enum": {"enum": [1, "a", None, {"b": [2]}]},
    "enum and type": {"type": "string", "enum": [1, "a", None]},
    "const": {"const": {"x": [1, 2.5]}},
    "required without properties": {"type": "object", "required": ["x", "y"], "additionalProperties": {"type": "null"}},
    "closed": {**BASE, "additionalProperties": False},
    "map": {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 3, "maxProperties": 4},
    "pattern map": {
        "type": "object",
        "patternProperties": {"^x-[a-z]{2,5}$": {"type": "boolean"}},
        "additionalProperties": False,
        "minProperties": 2,
    },
    "patternProperties apply to properties": {
        "type": "object",
        "properties": {"ab": {"type": "integer"}},
        "patternProperties": {"^a": {"minimum": 5000}},
        "required": ["ab"],
    },
    "property names": {"type": "object", "propertyNames": {"pattern": "^[A-Z]{3}$"}, "minProperties": 2},
    "counts": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
    "tuple": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2},
    "old tuple": {
        "$schema": DRAFT_7,
        "type": "array",
        "items": [{"type": "string"}, {"type": "integer"}],
        "additionalItems": {"type": "boolean"},
        "minItems": 4,
    },
    "unique": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 3},
    "contains": {"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 9000}, "minContains": 2},
    "lengths": {"type": "string", "minLength": 33, "maxLength": 34},
    "long": {"type": "string", "minLength": 5_000},
    "one letter": {"type": "string", "minLength": 1, "maxLength": 1},
    "no letter": {"type": "string", "maxLength": 0},
    "bounds": {"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6},
    "old bounds": {"$schema": DRAFT_4, "type": "integer", "minimum": 4, "exclusiveMinimum": True, "maximum": 5},
    "narrow": {"type": "number", "exclusiveMinimum": 0.1, "exclusiveMaximum": 0.1001},
    "steps": {"type": "number", "multipleOf": 0.01, "minimum": 3.333, "maximum": 3.345},
    "two steps": {"allOf": [{"multipleOf": 6}, {"multipleOf": 4}], "type": "integer", "minimum": 1},
    "whole numbers of another kind": {"allOf": [{"type": "number"}, {"type": ["integer", "string"]}], "maximum": 3},
    "recursive": TREE,
    "recursive list": {"type": "array", "items": {"$ref": "#"}, "minItems": 1, "maxItems": 2, "$comment": "no end"},
    "reference by id": {
        "$id": "https://sim.example/root",
        "$defs": {"n": {"$id": "number", "type": "integer"}, "m": {"$anchor": "mark", "type": "boolean"}},
        "type": "array",
        "prefixItems": [{"$ref": "number"}, {"$ref": "#mark"}],
        "minItems": 2,
    },
    "reference within a URN": {
        "$id": "urn:uuid:deadbeef-1234-ffff-ffff-4321feebdaed",
        "$defs": {"n": {"$anchor": "mark", "type": "integer"}},
        "type": "array",
        "prefixItems": [{"$ref": "#/$defs/n"}, {"$ref": "#mark"}],
        "minItems": 2,
    },
    "reference with escapes": {"$defs": {"a/b~c %d": {"type": "null"}}, "$ref": "#/$defs/a~1b~0c%20%25d"},
    "metaschema": {"$schema": DRAFT_7, "$ref": DRAFT_7},
    "allOf": {"allOf": [BASE, OBJECT_B, {"properties": {"a": {"maxLength": 5}}}]},
    "oneOf": {"oneOf": [{"type": "number", "multipleOf": 3}, {"type": "number", "multipleOf": 5}], "minimum": 1},
    "oneOf beside properties": {**BASE, "oneOf": [OBJECT_B, {"required": ["c"], "properties": {"c": {"const": 1}}}]},
    "anyOf with a dead branch": {"type": "string", "anyOf": [{"type": "integer"}, {"minLength": 40}]},
    "not": {"type": "integer", "minimum": 1, "maximum": 3, "not": {"enum": [1, 3]}},
    "not a member": {**BASE, "properties": {**BASE["properties"], "b": {}}, "not": {"required": ["b"]}},
    "if then else": {
        "type": "object",
        "properties": {"kind": {"enum": ["x", "y"]}, "n": {"type": "integer"}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "x"}}},
        "then": {"required": ["n"]},
        "else": {"properties": {"n": False}},
    },
    "dependencies": {
        "$schema": DRAFT_7,
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "dependencies": {"a": ["b"], "b": {"properties": {"c": {"const": 4}}, "required": ["c"]}},
    },
    "dependent": {**BASE, "dependentRequired": {"a": ["z"]}, "dependentSchemas": {"z": OBJECT_B}},
    "unevaluated": {"allOf": [BASE], "unevaluatedProperties": False},
    "default and examples": {"type": "string", "default": 5, "examples": ["one", "two"], "maxLength": 3},
    "pattern and format": {"type": "string", "format": "date", "pattern": "^20"},
    "pattern and length": {"type": "string", "pattern": "^[a-z]+$", "minLength": 70, "maxLength": 71},
    "names of dicts": {"type": "object", "properties": {"id": {"type": "string"}, "$ref": {"type": "integer"}}},
}
every_schema = pytest.mark.parametrize("schema", SCHEMAS.values(), ids=list(SCHEMAS))
UNENDING = "recursive list"


def is_valid(schema: Any, text: str) -> bool:
    validator = jsonschema_rs.validator_for(schema, validate_formats=True, offline=True)
    return bool(validator.is_valid(json.loads(text)))


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name != UNENDING])
def test_documents_satisfy_their_schema(name: str) -> None:
    for seed in SEEDS:
        assert is_valid(SCHEMAS[name], SchemaEntry(SCHEMAS[name]).document(seed, 300))


@every_schema
def test_no_document_is_wrong(schema: Any) -> None:
    """Whatever the size, what is written is valid; what cannot be written is refused."""
    for size_bytes in (1, 50, 5_000):
        try:
            assert is_valid(schema, SchemaEntry(schema).document(3, size_bytes))
        except Unwritable:
            pass  # with a reason, as another test sees to


def test_the_seed_decides_and_nothing_else() -> None:
    schema = CATALOGUE["products"].schema
    assert SchemaEntry(schema).document(1, 900) == SchemaEntry(json.loads(json.dumps(schema))).document(1, 900)
    assert len({SchemaEntry(schema).document(seed, 900) for seed in SEEDS}) == len(SEEDS)


def test_documents_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "from lockgate.sim.documents import CATALOGUE\n"
        "from lockgate.sim.schema_writer.schema_entry import SchemaEntry\n"
        "print([SchemaEntry(one.schema).document(9, 2000) for one in CATALOGUE.values()])\n"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_members_come_in_the_order_of_the_schema() -> None:
    names = list("zmabq")
    schema = {"type": "object", "properties": {name: {"type": "integer"} for name in names}, "required": sorted(names)}
    assert list(json.loads(SchemaEntry(schema).document(1, 100))) == names


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name != "org-chart"])
@pytest.mark.parametrize("size_bytes", [1_500, 8_000, 60_000])
def test_documents_are_about_as_long_as_asked(name: str, size_bytes: int) -> None:
    sizes = [len(SchemaEntry(CATALOGUE[name].schema).document(seed, size_bytes).encode()) for seed in range(5)]
    assert all(size_bytes * 0.6 < size < size_bytes * 1.3 for size in sizes), sizes


def test_texts_grow_where_nothing_else_can() -> None:
    schema = {
        "type": "object",
        "properties": {"essay": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["essay"],
    }
    assert 4_000 < len(SchemaEntry(schema).document(1, 5_000)) < 6_000


def test_recursion_ends() -> None:
    for seed in SEEDS:
        assert len(SchemaEntry(TREE).document(seed, 100_000)) < 1_000_000


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        pytest.param(False, "nothing is allowed here", id="false"),
        pytest.param({"type": "strin"}, "does not compile: .*strin", id="no schema"),
        pytest.param(
            {"$ref": "http://elsewhere.example/x"},
            "does not compile: .*http://elsewhere.example/x",
            id="reference out",
        ),
        pytest.param({"$ref": "#/$defs/x"}, "x", id="reference to nowhere"),
        pytest.param({"$ref": "#"}, "leads to itself", id="loop"),
        pytest.param(SCHEMAS[UNENDING], "nested too deeply", id="no end"),
        pytest.param({"type": "integer", "minimum": 3, "maximum": 2}, "no number from", id="bounds"),
        pytest.param({"type": "array", "minItems": 10**9}, "too long", id="huge array"),
        pytest.param({"type": "string", "minLength": 10**9}, "too long", id="huge text"),
        pytest.param({"type": "string", "pattern": "^a$", "minLength": 5}, "no text found for pattern", id="pattern"),
        pytest.param({"allOf": [{"const": 1}, {"const": 2}]}, "no word of enum is left", id="contradiction"),
    ],
)
def test_what_cannot_be_written_is_refused_with_a_reason(schema: Any, words: str) -> None:
    with pytest.raises(Unwritable, match=words) as caught:
        SchemaEntry(schema).document(1, 200)
    assert "cannot write a document for this schema: " in str(caught.value)


def deep(keyword: str, n: int) -> Any:
    schema: Any = {"type": "integer"}
    for _ in range(n):
        schema = {"allOf": [schema]} if keyword == "allOf" else {"type": "array", "items": schema, "minItems": 1}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(deep("allOf", 150), id="allOf in allOf"),
        pytest.param(deep("items", 150), id="arrays in arrays"),
        pytest.param({"type": "string", "pattern": "^(a+)+$"}, id="pattern that backtracks"),
        pytest.param({"type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}, id="another"),
        pytest.param({"type": "string", "pattern": "^((a{1,90}){1,90}){1,90}$"}, id="pattern that explodes"),
        pytest.param({"anyOf": [{"anyOf": [{"anyOf": [False] * 50}] * 50}] * 50}, id="too many branches"),
        pytest.param({"type": "array", "items": {"$ref": "#"}, "minItems": 9, "maxItems": 9}, id="explosion"),
    ],
)
def test_work_is_bounded(schema: Any) -> None:
    """Schemas made to be expensive are answered or refused, within the time that any test has."""
    try:
        assert is_valid(schema, SchemaEntry(schema).document(1, 500))
    except Unwritable:
        pass


# -- strings -----------------------------------------------------------------------------------------------------

PATTERNS = [
    *(r"^[A-Z]{2}-\d{4,6}$", r"^(?:red|green|blue)$", r"^\w+@\w+\.\w{2,3}$", r"^$|^[a-z]+$", r"\d{3}", r"^[^/\s]+$"),
    *(r"^(\d)\1$", r"^(?<y>\d{4})-x$", r"^\p{Lu}\p{L}*$", r"^[\p{Nd}_]{3}$", r"^\u0041\x42\/\-$", r"^.{5}$"),
    *(r"^(?=.*\d)(?=.*[a-z]).{8,12}$", r"^(?!abc)[a-c]{3}$", r"^[\w\-.~]+$", r"^a*?b+?c??$", r"^[+--]$", r"^\cJ$"),
    *(
        r"^[&&|~[]{3}$",
        r"\bword\b",
        r"^[\u4e00-\u9fff]{2}$",
        r"^[^a-zA-Z0-9]{2}$",
        r"^\$\{[a-z]+\}$",
        r"^[^\x00-\x7f]$",
    ),
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_texts_match_their_pattern(pattern: str) -> None:
    schema = {"type": "string", "pattern": pattern}
    for seed in SEEDS:
        text = regexes.draw([pattern], Dice(str(seed)))
        assert jsonschema_rs.is_valid(schema, text), text


def test_two_patterns_hold_at_once() -> None:
    schema = {"type": "string", "allOf": [{"pattern": "^[a-c]{2,9}$"}, {"pattern": "b"}]}
    for seed in SEEDS:
        text = json.loads(SchemaEntry(schema).document(seed, 10))
        assert re.fullmatch("[a-c]{2,9}", text)
        assert "b" in text


@pytest.mark.parametrize("name", list(FORMATS))
def test_formats_are_what_the_authority_takes(name: str) -> None:
    for seed in SEEDS:
        assert is_valid(
            {"type": "string", "format": name}, SchemaEntry({"type": "string", "format": name}).document(seed, 9)
        )


# -- schemas from the wild ---------------------------------------------------------------------------------------


def test_schemas_from_the_wild_get_documents(corpus: Corpus) -> None:
    """A seeded sample of JSONSchemaBench: at least 95 % are answered, and no answer is wrong."""
    path = corpus.folder / "suites" / "jsonschemabench" / "cases.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    dice, written = Dice("jsonschemabench"), 0
    sample = dice.several(lines, 150)
    for line in sample:
        schema = json.loads(line)["schema"]
        try:
            text = SchemaEntry(schema).document(dice.below(1000), dice.between(10, 4_000))
        except Unwritable:
            continue
        assert is_valid(schema, text)
        written += 1
    print(f"documents for {written} of {len(sample)} schemas")
    assert written >= 0.95 * len(sample)
