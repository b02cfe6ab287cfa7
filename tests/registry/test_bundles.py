"""A bundled schema says the same when each of its references is a place in it: generators of types read it so."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from lockgate import compile
from lockgate.errors import BadRequest
from lockgate.registry.bundles import bundled, with_places

MONEY = {
    "type": "object",
    "properties": {"amount": {"minimum": 0}, "unit": {"$ref": "#/$defs/unit"}, "rest": {"$ref": "#"}},
    "$defs": {"unit": {"enum": ["EUR", "USD"]}},
}
OTHERS = {"money@1": MONEY, "tax@1.4.0": {"properties": {"sum": {"$ref": "lockgate:money@1"}}}, "any@1": True}


def placed(schema: Any) -> Any:
    whole = bundled(json.dumps(schema).encode(), lambda name: json.dumps(OTHERS[name]).encode())
    return with_places(msgspec.json.decode(whole))


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        pytest.param({"$ref": "lockgate:money@1"}, {"unit": "EUR"}, {"unit": "X"}, id="another schema"),
        pytest.param(
            {"$ref": "lockgate:money@1"}, {"rest": {"amount": 1}}, {"rest": {"amount": -1}}, id="its own root"
        ),
        pytest.param({"$ref": "lockgate:tax@1.4.0"}, {"sum": {"amount": 0}}, {"sum": {"unit": 1}}, id="one of others"),
        pytest.param({"$ref": "lockgate:money@1#/properties/amount"}, 1, -1, id="a part of another"),
        pytest.param({"items": {"$ref": "lockgate:any@1"}, "type": "array"}, [1], 1, id="anything"),
        pytest.param(
            {"properties": {"default": {"$ref": "lockgate:money@1"}}, "const": {"default": {"unit": "EUR"}}},
            *({"default": {"unit": "EUR"}}, {"default": {"unit": "X"}}),
            id="of a property with the name of a keyword",
        ),
        pytest.param({"properties": {"next": {"$ref": "#"}, "id": {"type": "string"}}}, {"id": ""}, {"id": 1}, id="id"),
        pytest.param(
            {"$id": "https://x.test/a", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": False}}, [], [1], id="$id"
        ),
        pytest.param(
            {
                "allOf": [{"$ref": "lockgate:money@1"}, {"$ref": "#/$defs/money_1"}],
                "$defs": {"money_1": {"required": ["unit"]}},
            },
            *({"unit": "EUR"}, {"amount": 1}),
            id="a name taken",
        ),
        pytest.param(
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "properties": {"sum": {"$ref": "lockgate:money@1"}},
                "definitions": {"own": True},
            },
            *({"sum": {"amount": 2}}, {"sum": {"amount": -2}}),
            id="draft 7",
        ),
        pytest.param(
            {"properties": {"default": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "null"}}},
            *({"default": None}, {"default": 1}),
            id="a member that is called as a keyword",
        ),
    ],
)
def test_it_means_the_same(schema: Any, good: Any, bad: Any) -> None:
    found = placed(schema)
    assert all(one == "#" or one.startswith("#/") for one in references(found))
    assert "$id" not in json.dumps(found)
    judged = [_valid(found, value) for value in (good, bad)]
    assert judged == [True, False]


def _valid(schema: Any, value: Any) -> bool:
    gate = compile(schema).gate()
    gate.feed(json.dumps(value).encode())
    gate.close(clean=True)
    return gate.state == "complete"


@pytest.mark.parametrize("schema", [True, {}, {"type": "string"}, {"const": {"id": "x", "$id": 5}}])
def test_what_refers_to_nothing_stays(schema: Any) -> None:
    assert placed(schema) == schema


@pytest.mark.parametrize(
    ("schema", "hint"),
    [
        pytest.param({"$ref": "other.json"}, "'other.json': is no place", id="a file"),
        pytest.param({"items": [{"$ref": "https://x.test/a#/b"}]}, "is no place", id="an address"),
        pytest.param({"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}}, "'#name': is no place", id="an anchor"),
        pytest.param({"const": {"a": [{"$ref": "/etc/hosts"}]}}, "const: has a", id="a value that looks like one"),
        pytest.param({"$defs": {"a": {"$id": "b"}}}, "'b': stands inside", id="an id inside"),
    ],
)
def test_what_leads_elsewhere_is_refused(schema: Any, hint: str) -> None:
    """A generator would look for it: in files, or at an address."""
    with pytest.raises(BadRequest, match=hint):
        with_places(schema)
