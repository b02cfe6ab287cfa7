"""Schemas with instances, of the kinds that people write."""

from __future__ import annotations

from typing import Any, Final

Group = tuple[str, Any, list[Any], list[Any]]  # name, schema, valid, invalid

ORDER: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"},
        "status": {"enum": ["open", "paid", "shipped"]},
        "note": {"type": "string", "maxLength": 80},
        "total": {"type": "number", "minimum": 0},
        "lines": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "sku": {"type": "string"},
                    "count": {"type": "integer", "minimum": 1, "maximum": 999},
                    "gift": {"type": "boolean"},
                },
                "required": ["sku", "count"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["id", "status", "lines"],
    "additionalProperties": False,
}
PERSON: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "mail": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "maxItems": 5},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
TREE: Final[dict[str, Any]] = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "label": {"type": "string"},
                "weight": {"type": "number"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["label"],
            "additionalProperties": False,
        }
    },
}
SHAPE: Final[dict[str, Any]] = {
    "oneOf": [
        {
            "type": "object",
            "properties": {"kind": {"const": "circle"}, "radius": {"type": "number", "exclusiveMinimum": 0}},
            "required": ["kind", "radius"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"kind": {"const": "box"}, "width": {"type": "number"}, "height": {"type": "number"}},
            "required": ["kind", "width", "height"],
            "additionalProperties": False,
        },
    ]
}
SETTINGS: Final[dict[str, Any]] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "definitions": {"port": {"type": "integer", "minimum": 1, "maximum": 65535}},
    "type": "object",
    "properties": {
        "host": {"type": "string"},
        "port": {"$ref": "#/definitions/port"},
        "level": {"enum": ["debug", "info", "error"], "default": "info"},
        "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
    "required": ["host", "port", "level"],
    "dependencies": {"limits": ["level"]},
}
CALENDAR: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "day": {"type": "string", "format": "date"},
        "from": {"type": "string", "format": "time"},
        "place": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}}},
    },
    "required": ["title", "day"],
}
CONDITIONAL: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"country": {"enum": ["DE", "US"]}, "zip": {"type": "string"}},
    "required": ["country", "zip"],
    "if": {"properties": {"country": {"const": "DE"}}},
    "then": {"properties": {"zip": {"pattern": "^[0-9]{5}$"}}},
    "else": {"properties": {"zip": {"pattern": "^[0-9]{5}(-[0-9]{4})?$"}}},
}
TABLE: Final[dict[str, Any]] = {
    "type": "array",
    "items": {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": False,
        "minItems": 2,
    },
    "maxItems": 10,
}
HEADERS: Final[dict[str, Any]] = {
    "type": "object",
    "patternProperties": {"^x-[a-z]+$": {"type": "string"}},
    "additionalProperties": False,
    "minProperties": 1,
}
MEASURE: Final[dict[str, Any]] = {
    "allOf": [
        {"type": "object", "required": ["value", "unit"]},
        {"properties": {"value": {"type": "number", "multipleOf": 0.5}, "unit": {"enum": ["m", "kg", "s"]}}},
        {"not": {"required": ["error"]}},
    ]
}
DRAFT_4: Final[dict[str, Any]] = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "type": "object",
    "properties": {
        "rank": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
        "title": {"type": "string"},
    },
    "required": ["rank"],
}
ANSWER: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string", "minLength": 2}, {"type": "integer"}, {"type": "null"}],
}

GROUPS: Final[list[Group]] = [
    (
        "order",
        ORDER,
        [
            {"id": "AB-1234", "status": "open", "lines": [{"sku": "lamp", "count": 2}]},
            {
                "id": "ZZ-0001",
                "status": "shipped",
                "note": "leave it at the door",
                "total": 129.5,
                "lines": [{"sku": "chair", "count": 4, "gift": True}, {"sku": "rug", "count": 1}],
            },
            {"id": "QX-9876", "status": "paid", "note": "it's a gift for Zoë 😀", "lines": [{"sku": "10", "count": 1}]},
        ],
        [
            {"id": "AB-1234", "status": "Open", "lines": [{"sku": "lamp", "count": 2}]},
            {"id": "AB-12", "status": "open", "lines": [{"sku": "lamp", "count": 2}]},
            {"id": "AB-1234", "status": "open", "lines": []},
            {"id": "AB-1234", "status": "open"},
        ],
    ),
    (
        "person",
        PERSON,
        [
            {"name": "Ada Lovelace", "age": 36, "mail": None, "tags": ["first", "of many"]},
            {"name": "Bo", "age": 0},
            {"name": "Kim of the north wind", "age": 77, "mail": "kim@mail.example", "tags": []},
        ],
        [{"name": "", "age": 1}, {"name": "Bo", "age": 151}, {"name": "Bo", "age": 1, "tags": ["a", "a"]}, {"age": 4}],
    ),
    (
        "tree",
        TREE,
        [
            {"label": "root of it all", "children": [{"label": "left", "weight": 0.25}, {"label": "right"}]},
            {"label": "a", "weight": -3, "children": [{"label": "b", "children": [{"label": "c d e"}]}]},
        ],
        [{"label": "root", "children": [{"weight": 1}]}, {"label": 1}, {"label": "a", "leaf": True}],
    ),
    (
        "shape",
        SHAPE,
        [{"kind": "circle", "radius": 1.5}, {"kind": "box", "width": 2, "height": 30}],
        [{"kind": "circle", "radius": 0}, {"kind": "box", "width": 2}, {"kind": "line", "length": 1}],
    ),
    (
        "settings",
        SETTINGS,
        [
            {"host": "a.example", "port": 8080, "level": "debug"},
            {"host": "the host of the day", "port": 1, "level": "error", "limits": {"open": 10, "wait": 250}},
        ],
        [{"host": "a", "port": 0, "level": "info"}, {"host": "a", "port": 80, "level": "loud"}],
    ),
    (
        "calendar",
        CALENDAR,
        [
            {"title": "a walk in the park", "day": "2024-02-29", "from": "09:30:00Z"},
            {"title": "nothing", "day": "1999-12-31", "place": {"lat": 52.5, "lon": 13.4}},
        ],
        [{"title": "x", "day": 7}, {"day": "2024-02-29"}],
    ),
    (
        "conditional",
        CONDITIONAL,
        [{"country": "DE", "zip": "10115"}, {"country": "US", "zip": "10115-0001"}],
        [{"country": "DE", "zip": "10115-0001"}, {"country": "FR", "zip": "75001"}],
    ),
    (
        "table",
        TABLE,
        [[["a", 1], ["the second row", 22]], []],
        [[["a"]], [["a", 1, 2]], [[1, "a"]]],
    ),
    ("headers", HEADERS, [{"x-trace": "1 2 3", "x-request": "abc"}], [{}, {"X-Trace": "1"}, {"x-a": 1}]),
    (
        "measure",
        MEASURE,
        [{"value": 1.5, "unit": "kg"}, {"value": 10, "unit": "m", "by": "hand"}],
        [{"value": 1.3, "unit": "kg"}, {"value": 1, "unit": "KG"}, {"value": 1, "unit": "s", "error": 0}],
    ),
    ("draft 4", DRAFT_4, [{"rank": 1, "title": "one of the best"}, {"rank": 12}], [{"rank": 0}, {"title": "x"}]),
    ("answer", ANSWER, ["yes", 42, None], ["y", True, [1]]),
    ("anything", True, [{"a": [1, "two", None]}, "text", 0], []),
]
