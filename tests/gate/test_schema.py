"""A compiled schema as a thing of its own: cached by content, references by registry."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

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


# -- references --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["Row<Item>", "Row[Item]", "a b", "Größe", "日本", "a|b", "a^b", "100%", "C#", "{a}", '"q"', "a\\b", "a`b", "x/y",
     "q~z", "a?b", "a+b", "a&b=c", "a'b", "(a)", "a:b", "%zz"],
    ids=range(22),
)  # fmt: skip
@pytest.mark.parametrize("escape", [False, True], ids=["as it is", "escaped"])
def test_a_reference_may_hold_any_character(name: str, escape: bool) -> None:
    """As generators write names; and escaped, as a URI must."""
    token = name.replace("~", "~0").replace("/", "~1")
    reference = "#/$defs/" + (quote(token, safe="~") if escape else token)
    schema = lockgate.compile(
        {"$defs": {name: {"not": {"type": "string"}}}, "items": {"$ref": reference}, "enum": [[1], [{"$ref": "a b"}]]}
    )
    assert judge(schema, b"[1]").state == "complete"
    assert judge(schema, b'[{"$ref": "a b"}]').state == "complete", "a value that looks like a reference is none"
    assert judge(schema, b'["x"]').violations[0].code == "schema_violation"


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        pytest.param({"properties": {"a": {"$ref": "#/$defs/Gone"}}}, "/properties/a/$ref", id="pointer"),
        pytest.param({"items": {"anyOf": [True, {"$ref": "#gone"}]}}, "/items/anyOf/1/$ref", id="anchor"),
        pytest.param({"items": {"$ref": "gone.json"}}, "/items/$ref", id="document"),
        pytest.param({"$defs": {"a/b": {"$ref": "gone.json"}}}, "/$defs/a~1b/$ref", id="document-out-of-reach"),
        pytest.param({"not": {"$ref": "https://e.example/x#/y"}}, "/not/$ref", id="other-host"),
        pytest.param({"not": {"$dynamicRef": "#gone"}}, "/not/$dynamicRef", id="dynamic"),
        pytest.param({"$defs": {"a": {"$ref": "#/$defs/Gone"}}, "$ref": "#/$defs/a"}, "/$defs/a/$ref", id="behind"),
        pytest.param({"$id": "https://e.example/a", "contains": {"$ref": "#/x y"}}, "/contains/$ref", id="with-id"),
        pytest.param({"properties": {"$ref": {"$ref": "#/gone"}}}, "/properties/$ref/$ref", id="member-of-that-name"),
    ],
)
def test_a_reference_that_leads_nowhere_names_its_place(schema: dict[str, Any], pointer: str) -> None:
    with pytest.raises(lockgate.SchemaError, match="leads nowhere") as refused:
        lockgate.compile(schema)
    assert refused.value.pointer == pointer


def test_a_dangling_reference_of_another_document_is_named_with_it() -> None:
    with pytest.raises(lockgate.SchemaError, match=r"https://e\.example/other#/items/\$ref: 'gone'"):
        lockgate.compile(
            {"$ref": "https://e.example/other"}, registry={"https://e.example/other": {"items": {"$ref": "gone"}}}
        )


def test_documents_of_a_registry_may_have_relative_names() -> None:
    schema = lockgate.compile({"items": {"not": {"$ref": "word.json"}}}, registry={"word.json": {"type": "string"}})
    assert judge(schema, b'[1, "x"]').released == b"[1, "


def test_a_resource_inside_a_document_of_the_registry_has_its_own_name() -> None:
    bundle = {"$defs": {"word": {"$id": "https://e.example/word", "type": "string"}}}
    schema = lockgate.compile({"not": {"$ref": "https://e.example/word"}}, registry={"https://e.example/all": bundle})
    assert judge(schema, b'"x"').violations[0].code == "schema_violation"


def test_a_document_that_nobody_needs_may_be_broken() -> None:
    registry = {"https://e.example/broken": {"$ref": "gone"}, "https://e.example/word": {"type": "string"}}
    schema = lockgate.compile({"items": {"not": {"$ref": "https://e.example/word"}}}, registry=registry)
    assert judge(schema, b'[1, "x"]').released == b"[1, "


def test_an_element_that_must_equal_a_schema_is_compared_with_it_and_not_judged_by_it() -> None:
    schema = lockgate.compile({"items": {"const": {"type": "string"}}})
    run = judge_elements(schema, b'[{"type": "string"}]')
    assert run == (["/0"], "complete", [])


def test_where_a_reference_has_two_meanings_the_document_is_judged_as_a_whole() -> None:
    twice = [{"$id": "https://e.example/a", "type": kind} for kind in ("string", "integer")]
    schema = lockgate.compile({"$defs": {"a": twice[0], "b": twice[1]}, "items": {"$ref": "https://e.example/a"}})
    states = {judge(schema, text).state for text in (b'["x"]', b"[1]")}
    assert states == {"complete", "halted"}
    assert {one.code for text in (b'["x"]', b"[1]") for one in judge(schema, text).violations} == {"schema_violation"}
    with pytest.raises(lockgate.Misuse, match="whole document"):
        schema.gate(elements="")


def judge_elements(schema: lockgate.Schema, text: bytes) -> tuple[list[str], str, list[str]]:
    gate = schema.gate(elements="")
    events = [*gate.feed(text), *gate.close()]
    paths = [event.path for event in events if isinstance(event, lockgate.Element)]
    return paths, gate.state, [event.code for event in events if isinstance(event, lockgate.Violated)]


@pytest.mark.parametrize("draft", ["4", "7", "2020-12"])
def test_a_type_that_there_is_not_is_refused_with_those_that_there_are(draft: str) -> None:
    with pytest.raises(lockgate.SchemaError) as refused:
        lockgate.compile({"properties": {"a": {"type": "objct"}}}, draft=draft)
    assert str(refused.value) == (
        'schema/properties/a/type: "objct" is not a type; '
        "there are array, boolean, integer, null, number, object, string"
    )


def test_a_hint_about_a_number_that_was_not_read_to_its_end_has_no_full_stop_behind_the_dots() -> None:
    [*_, violated] = lockgate.compile({"minimum": 0}).gate().feed(b"-1")
    assert isinstance(violated, lockgate.Violated)
    assert violated.message.endswith("…")
    assert violated.hint.endswith("…")
