"""/openapi.json says what the code does: routes, codes, headers and shapes come from where they are defined."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from lockgate.config import Settings
from lockgate.errors import CODES, Code
from lockgate.gateway.app import Gateway
from lockgate.gateway.contract import openapi
from lockgate.protocol.header_names import RESPONSE_HEADERS

DOCUMENT = openapi()
OPERATIONS = {
    (path, method.upper()): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if method != "parameters"
}
ANSWERS = [
    pytest.param(answer, id=f"{method} {path} {status}")
    for (path, method), operation in OPERATIONS.items()
    for status, answer in operation["responses"].items()
]
SHAPES = DOCUMENT["components"]["schemas"]
#: Codes that answer requests which are no operation of the document, or that never leave the gateway.
UNDECLARED = {Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED, Code.STREAM_EXISTS, Code.FENCED_OUT, Code.TAIL_MOVED}


def references(value: Any) -> Iterator[str]:
    """Every ``$ref`` in a part of the document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def test_every_route_is_an_operation() -> None:
    """What is routed and what the document says are the same; HEAD goes with GET."""
    gateway = Gateway(Settings.model_validate({"store": {"kind": "memory"}}))
    routes = {
        (route.path.replace(":path", ""), method)
        for route in gateway.routes
        for method in route.methods or ()
        if not route.path.startswith("/playground") and route.path not in ("/", "/openapi.json")
    }
    assert set(OPERATIONS) | {(path, "HEAD") for path, method in OPERATIONS if method == "GET"} == routes


@pytest.mark.parametrize("answer", ANSWERS)
def test_headers_of_an_answer_are_of_the_one_list(answer: dict[str, Any]) -> None:
    assert set(answer["headers"]) <= set(RESPONSE_HEADERS)
    for name, header in answer["headers"].items():
        assert header == {"$ref": f"#/components/headers/{name}"}


def codes_of(part: Any) -> Iterator[str]:
    """The codes that a part of the document names: an enumeration beside ``code``."""
    if isinstance(part, dict):
        code = part.get("code")
        yield from code.get("enum", ()) if isinstance(code, dict) else ()
        for one in part.values():
            yield from codes_of(one)
    elif isinstance(part, list):
        for one in part:
            yield from codes_of(one)


def test_every_code_that_answers_is_declared_with_its_status() -> None:
    """Each answer names the codes that it may have; each code that the table gives a status stands somewhere."""
    declared = set()
    for operation in OPERATIONS.values():
        for status, answer in operation["responses"].items():
            codes = {CODES[name] for name in codes_of(answer)}
            assert all(code.status == int(status) for code in codes)
            declared |= codes
    assert declared | UNDECLARED == {code for code in Code if code.status is not None}


def test_references_lead_somewhere() -> None:
    for reference in set(references(DOCUMENT)):
        part: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_a_schema_and_says_what_its_members_are(name: str) -> None:
    shape = SHAPES[name]
    jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **shape})
    assert shape["description"]
    for member, schema in shape.get("properties", {}).items():
        # The words of OpenAI's own API, and a member that is described where it is used.
        if (name, member) not in {("ToolFunction", "name"), ("Event", "event"), ("Event", "data")}:
            assert schema.get("description") or schema["$ref"], member


def test_docstrings_leave_no_marks_of_their_language() -> None:
    text = json.dumps(DOCUMENT)
    assert "Attributes:" not in text
    assert "``" not in text
    assert ":class:" not in text


def test_the_token_is_a_security_scheme() -> None:
    """OpenAPI ignores a header parameter of the name Authorization."""
    parameters = [one["name"] for operation in OPERATIONS.values() for one in operation.get("parameters", [])]
    assert "Authorization" not in parameters
    with_token = {
        operation["operationId"] for operation in OPERATIONS.values() if {"token": []} in operation.get("security", [])
    }
    assert with_token == {"push", "deleteStream", "cancelStream"}
    assert set(DOCUMENT["components"]["securitySchemes"]) == {"token", "key", "apiKey", "signedURL"}
