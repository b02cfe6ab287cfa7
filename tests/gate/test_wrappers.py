"""Schemas as they come: in the wrappers and the words of APIs, and as Python types."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, NotRequired, TypedDict

import msgspec
import pydantic
import pytest

import lockgate
from tests.gate.runs import judge

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}}
UPPER: dict[str, Any] = {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}}
#: A wrapper, the member to pass, and the dialects that take it.
WRAPPERS = [
    ({"name": "x", "strict": True, "schema": SCHEMA}, "schema['schema']", ["openai"]),
    ({"schema": SCHEMA}, "schema['schema']", ["openai"]),
    ({"name": "x", "schema": SCHEMA, "$schema": "http://json-schema.org/draft-07/schema#"}, "['schema']", ["openai"]),
    ({"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}, "['json_schema']['schema']", ["openai"]),
    ({"type": "json_schema", "name": "x", "schema": SCHEMA}, "schema['schema']", ["openai"]),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}, "['schema']", ["openai"]),
    ({"text": {"format": {"type": "json_schema", "schema": SCHEMA}}}, "['format']['schema']", ["openai"]),
    ({"format": {"type": "json_schema", "schema": SCHEMA}}, "['format']['schema']", ["openai"]),
    ({"type": "function", "function": {"name": "f", "parameters": SCHEMA}}, "['function']['parameters']", ["openai"]),
    ({"type": "function", "name": "f", "strict": True, "parameters": SCHEMA}, "schema['parameters']", ["openai"]),
    ({"name": "f", "description": "d", "parameters": SCHEMA}, "schema['parameters']", ["openai", "gemini"]),
    ({"tools": [{"type": "function", "function": {"parameters": SCHEMA}}]}, "['tools'][0]['function']", ["openai"]),
    ({"name": "f", "description": "d", "inputSchema": SCHEMA}, "schema['inputSchema']", ["mcp"]),
    ({"name": "f", "inputSchema": SCHEMA, "outputSchema": {"type": "null"}}, "schema['inputSchema']", ["mcp"]),
    ({"name": "f", "input_schema": SCHEMA}, "schema['input_schema']", []),
    ({"toolSpec": {"name": "f", "inputSchema": {"json": SCHEMA}}}, "['inputSchema']['json']", []),
    ({"functionDeclarations": [{"name": "f", "parameters": UPPER}]}, "[0]['parameters']", ["gemini"]),
    ({"responseMimeType": "application/json", "responseSchema": UPPER}, "schema['responseSchema']", ["gemini"]),
    ({"generationConfig": {"response_schema": UPPER}}, "['response_schema']", ["gemini"]),
]  # fmt: skip


@pytest.mark.parametrize(("wrapper", "member", "dialects"), WRAPPERS, ids=range(len(WRAPPERS)))
def test_a_wrapper_is_refused_or_taken_off(wrapper: dict[str, Any], member: str, dialects: list[str]) -> None:
    """It has no keyword that limits anything, so every document would be proven."""
    with pytest.raises(lockgate.SchemaError, match="a wrapper") as refused:
        lockgate.compile(wrapper)
    assert member in str(refused.value)
    for dialect in dialects:
        schema = lockgate.compile(wrapper, dialect=dialect)  # type: ignore[arg-type]
        assert judge(schema, b'{"a": "no"}').violations[0].path == "/a"
        assert repr(dialect) in str(refused.value)


@pytest.mark.parametrize(
    "schema",
    [
        {}, {"title": "T", "description": "anything"}, {"default": {"type": "object"}}, {"examples": [SCHEMA]},
        {"person": SCHEMA}, {"$defs": {"a": SCHEMA}}, {"$id": "https://e.example/x"}, {"foo": {"bar": 1}},
        {"type": "object", "schema": SCHEMA}, {"properties": {"schema": SCHEMA, "parameters": SCHEMA}},
        {"description": "d", "name": "n", "readOnly": True}, {"type": ["object", "null"], "parameters": SCHEMA},
    ],
    ids=range(12),
)  # fmt: skip
@pytest.mark.parametrize("dialect", [None, "openai", "mcp", "openapi-3.0", "gemini", "pydantic"])
def test_what_is_no_wrapper_is_a_schema(schema: dict[str, Any], dialect: Any) -> None:
    """Also one of annotations alone, which allows anything."""
    assert judge(lockgate.compile(schema, dialect=dialect), b'{"a": "no"}').state == "complete"


PETS: dict[str, Any] = {
    "openapi": "3.0.3",
    "paths": {},
    "components": {"schemas": {
        "Pet": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "nullable": True},
            "kind": {"type": "string", "enum": ["cat", "dog"], "nullable": True},
            "friend": {"allOf": [{"$ref": "#/components/schemas/Pet"}], "nullable": True},
            "age": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
            "nullable": {"type": "boolean"},
        }},
        "enum": {"type": "array", "items": {"$ref": "#/components/schemas/Pet/properties/name"}},
    }},
}  # fmt: skip


def test_an_openapi_document_says_which_of_its_schemas_is_meant() -> None:
    with pytest.raises(lockgate.SchemaError, match=r"OpenAPI document.*'Pet', 'enum'.*#/components/schemas/Pet"):
        lockgate.compile(PETS, dialect="openapi-3.0")
    with pytest.raises(lockgate.SchemaError, match=r"OpenAPI document.*'Pet'"):
        lockgate.compile({"swagger": "2.0", "definitions": {"Pet": SCHEMA}})
    one = {"openapi": "3.0.0", "components": {"schemas": {"Pet": SCHEMA}}}
    assert judge(lockgate.compile(one, dialect="openapi-3.0"), b'{"a": "no"}').violations[0].path == "/a"


@pytest.mark.parametrize(
    ("name", "text", "state"),
    [
        ("Pet", '{"name": null, "kind": null, "friend": null}', "complete"),
        ("Pet", '{"name": "x", "kind": "dog", "friend": {"name": null}, "nullable": true}', "complete"),
        ("Pet", '{"name": 1}', "halted"),
        ("Pet", '{"name": "x", "kind": "cow"}', "halted"),
        ("Pet", '{"name": "x", "friend": {}}', "halted"),
        ("Pet", '{"name": "x", "age": 0}', "halted"),
        ("Pet", '{"name": "x", "age": 0.5}', "complete"),
        ("Pet", '{"name": "x", "age": null}', "halted"),
        ("Pet", '{"name": "x", "nullable": null}', "halted"),
        ("enum", '["x", null]', "complete"),
        ("enum", "[1]", "halted"),
    ],
    ids=range(11),
)
def test_words_of_openapi(name: str, text: str, state: str) -> None:
    """nullable, and exclusive bounds that are booleans."""
    schema = lockgate.compile({**PETS, "$ref": f"#/components/schemas/{name}"}, dialect="openapi-3.0")
    assert judge(schema, text.encode()).state == state


def test_words_of_gemini() -> None:
    given = {
        "type": "OBJECT",
        "properties": {
            "tags": {"type": "ARRAY", "items": {"type": "STRING", "enum": ["OBJECT", "b"]}, "minItems": "1"},
            "size": {"type": "INTEGER", "format": "int32", "nullable": True},
            "any": {"type": "TYPE_UNSPECIFIED"},
        },
        "propertyOrdering": ["tags", "size"],
    }
    schema = lockgate.compile(given, dialect="gemini")
    assert judge(schema, b'{"tags": ["OBJECT"], "size": null, "any": []}').state == "complete"
    assert judge(schema, b'{"tags": []').violations[0].schema_path == "/properties/tags/minItems"
    assert judge(schema, b'{"size": "x"').violations[0].path == "/size"
    with pytest.raises(lockgate.SchemaError, match=r"lower case.*gemini"):
        lockgate.compile(given)


def test_words_of_others_do_not_count_in_a_plain_schema() -> None:
    assert judge(lockgate.compile({"type": "string", "nullable": True}), b"null").state == "halted"


def test_an_unknown_dialect_is_misuse() -> None:
    with pytest.raises(lockgate.Misuse, match=r"openapi-3\.0"):
        lockgate.compile(SCHEMA, dialect="swagger")  # type: ignore[arg-type]


def test_another_process_compiles_the_same() -> None:
    """Whatever was taken off, translated or asked for."""
    registry = {"https://e.example/t": {"type": "STRING", "format": "date-time", "nullable": True}}
    schema = lockgate.compile(
        {"responseSchema": {"items": {"$ref": "https://e.example/t"}}},
        dialect="gemini", registry=registry, formats={"date-time": "lenient"},
    )  # fmt: skip
    twin = schema.source.compile()
    for text, state in ((b'["2024-05-06T10:56:41", null]', "complete"), (b'["x"]', "halted")):
        assert judge(schema, text).state == judge(twin, text).state == state


# -- Python types --------------------------------------------------------------------------------------------------


class Model(pydantic.BaseModel):
    name: str
    kids: list[Model] = []


@dataclasses.dataclass
class Data:
    name: str
    kids: list[Data]


class Typed(TypedDict):
    name: str
    kids: NotRequired[list[Data]]


class Struct(msgspec.Struct):
    name: str


@dataclasses.dataclass
class Mixed:
    """Only pydantic can say what is in it."""

    model: Model


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        pytest.param(Model, {"name": "a", "kids": [{"name": "b"}]}, {"name": "a", "kids": [{}]}, id="model"),
        pytest.param(Data, {"name": "a", "kids": []}, {"name": "a"}, id="dataclass"),
        pytest.param(Typed, {"name": "a"}, {"name": "a", "kids": [1]}, id="typed-dict"),
        pytest.param(Struct, {"name": "a"}, {"name": 1}, id="struct"),
        pytest.param(list[Data], [{"name": "a", "kids": []}], [{}], id="list"),
        pytest.param(Model | None, None, 1, id="union"),
        pytest.param(Mixed, {"model": {"name": "a"}}, {"model": {}}, id="model-in-dataclass"),
        pytest.param(pydantic.TypeAdapter(list[Model]), [{"name": "a"}], [{}], id="adapter"),
        pytest.param(
            pydantic.dataclasses.dataclass(Data), {"name": "a", "kids": []}, {"name": 1}, id="dataclass-of-it"
        ),
    ],
)
def test_a_python_type_is_compiled(kind: Any, good: Any, bad: Any) -> None:
    schema = lockgate.compile(kind)
    assert judge(schema, json.dumps(good).encode()).state == "complete"
    assert judge(schema, json.dumps(bad).encode()).state == "halted"


def test_a_type_without_a_schema_is_refused() -> None:
    class Opaque:
        pass

    with pytest.raises(lockgate.SchemaError, match=r"no JSON Schema can be made of the type .*Opaque"):
        lockgate.compile(Opaque)
    with pytest.raises(lockgate.SchemaError, match="not JSON"):
        lockgate.compile(Opaque())
