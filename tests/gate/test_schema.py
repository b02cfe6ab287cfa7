"""A compiled schema as a thing of its own: cached by content, references by registry."""

from __future__ import annotations

from typing import Any

import pytest

import lockgate
from tests.gate.runs import judge


def test_the_same_content_is_compiled_once() -> None:
    one = lockgate.compile({"type": "object", "properties": {"a": {}}})
    assert lockgate.compile('{"properties": {"a": {}}, "type": "object"}') is one
    assert lockgate.compile({"type": "object", "properties": {"a": {}}}, formats=False) is not one
    assert lockgate.compile({"type": "object", "properties": {"a": {}}}, limits=lockgate.Limits(max_depth=3)) is not one


def test_a_schema_is_not_changed_from_outside() -> None:
    source: dict[str, Any] = {"const": 1, "title": "mine"}
    schema = lockgate.compile(source)
    source["const"] = 2
    assert judge(schema, b"1").state == "complete"


def test_an_unsatisfiable_schema_compiles_and_halts_at_byte_0() -> None:
    run = judge(lockgate.compile({"allOf": [{"type": "string"}, {"type": "number"}]}), b'"x"')
    assert (run.released, run.violations[0].upstream_at) == (b"", 0)


def test_references_lead_into_the_registry_and_nowhere_else() -> None:
    registry = {"https://example.org/name": {"type": "string", "maxLength": 3}}
    schema = {"properties": {"name": {"$ref": "https://example.org/name"}}}
    compiled = lockgate.compile(schema, registry=registry)
    run = judge(compiled, b'{"name": "Adam"}')
    assert run.released == b'{"name": "Ada'
    assert run.violations[0].schema_path == "https://example.org/name#/maxLength"
    with pytest.raises(lockgate.SchemaError, match=r"example\.org/name"):
        lockgate.compile(schema)


@pytest.mark.parametrize("uri", ["file:///etc/hostname", "http://127.0.0.1:1/schema.json"])
def test_nothing_is_fetched(uri: str) -> None:
    with pytest.raises(lockgate.SchemaError, match="nothing is fetched"):
        lockgate.compile({"$ref": uri})


def test_a_recursive_schema_is_judged_at_every_depth() -> None:
    tree = {
        "type": "object",
        "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}, "n": {"type": "integer"}},
        "additionalProperties": False,
    }
    run = judge(lockgate.compile(tree), b'{"kids": [{"kids": [{"n": "x"}]}]}')
    assert run.violations[0].path == "/kids/0/kids/0/n"
    assert run.released == b'{"kids": [{"kids": [{"n": '


def test_a_schema_that_refers_to_itself_at_once_ends() -> None:
    schema = lockgate.compile(
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}}}
    )
    assert judge(schema, b"1").state == "complete"


def test_an_optional_object_is_judged_as_early_as_a_required_one() -> None:
    """anyOf with null is how most generators spell an optional member; its other branch is then the only one left."""
    schema = {"properties": {"a": {"anyOf": [{"$ref": "#/$defs/x"}, {"type": "null"}]}},
              "$defs": {"x": {"type": "object", "properties": {"n": {"type": "integer"}}}}}  # fmt: skip
    run = judge(lockgate.compile(schema), b'{"a": {"n": "1"}}')
    assert (run.released, run.violations[0].schema_path) == (b'{"a": {"n": ', "/$defs/x/properties/n/type")


def test_a_value_that_only_its_end_can_decide_is_held_back_at_its_closing_byte() -> None:
    """Not at the end of the document: the first of two is refused while the second has not come."""
    schema = {"items": {"type": "array", "uniqueItems": True}}
    run = judge(lockgate.compile(schema), b"[[1, 2, 1], [3]]")
    assert run.released == b"[[1, 2, 1"
    assert run.violations[0].path == "/0"


def test_a_container_that_must_be_equal_speaks_early() -> None:
    run = judge(lockgate.compile({"const": {"a": [1, {"b": "xyz"}]}}), b'{"a": [1, {"b": "xq"}]}')
    assert run.released == b'{"a": [1, {"b": "x'
