"""Small suites of our own, in the forms of the suites of other people."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from tests.data.schemas import GROUPS

DRAFTS: Final = ("draft4", "draft6", "draft7", "draft2019-09", "draft2020-12")
REMOTE: Final = "http://localhost:1234/count.json"
#: Name -> drafts that have the format, a valid text, an invalid one.
FORMATS: Final = {
    "date": (("draft7", "draft2019-09", "draft2020-12"), "2024-02-29", "2023-02-29"),
    "time": (("draft7", "draft2019-09", "draft2020-12"), "23:59:60Z", "24:00:00Z"),
    "date-time": (DRAFTS, "2024-02-29T12:00:00+01:00", "2024-02-29 12.00"),
    "ipv4": (DRAFTS, "192.0.2.1", "192.0.2.256"),
    "uuid": (
        ("draft2019-09", "draft2020-12"),
        "00112233-4455-6677-8899-aabbccddeeff",
        "00112233-4455-6677-8899-aabbccddeef",
    ),
}


def group(description: str, schema: Any, valid: list[Any], invalid: list[Any]) -> dict[str, Any]:
    tests = [(data, True) for data in valid] + [(data, False) for data in invalid]
    return {
        "description": description,
        "schema": schema,
        "tests": [
            {"description": f"{number} is {'valid' if is_valid else 'invalid'}", "data": data, "valid": is_valid}
            for number, (data, is_valid) in enumerate(tests)
        ],
    }


def required_cases(draft: str) -> list[dict[str, Any]]:
    """What every draft has."""
    tuples = "prefixItems" if draft == "draft2020-12" else "items"
    exclusive = {"minimum": 1, "exclusiveMinimum": True} if draft == "draft4" else {"exclusiveMinimum": 1}
    groups = [
        group("a type", {"type": "integer"}, [0, -7], ["7", 1.5, None, [], {}]),
        group("several types", {"type": ["string", "null"]}, ["", None], [0, False]),
        group("words", {"enum": ["red", 1, [2], {"a": None}]}, ["red", 1, [2], {"a": None}], ["re", 2, [3], {"a": 0}]),
        group("a bound that is out", exclusive, [2, 1.25, "x"], [1, 0]),
        group("lengths", {"minLength": 2, "maxLength": 3}, ["ab", "äöü", "😀😀", 7], ["a", "abcd"]),
        group("a pattern", {"pattern": "^a+b?$"}, ["a", "aab", 1], ["", "b", "abb"]),
        group("counts", {"minItems": 1, "maxItems": 2}, [[1], [1, "1"], {}], [[], [1, 2, 3]]),
        group("no element twice", {"uniqueItems": True}, [[1, "1"], [[1], [2]], []], [[1, 1], [[1], [1]], [0, 0.0]]),
        group("a tuple", {tuples: [{"type": "string"}, {"type": "integer"}]}, [["a", 1], ["a"], []], [[1], ["a", "b"]]),
        group("members", {"required": ["a"], "properties": {"a": {"type": "string"}}}, [{"a": ""}, 1], [{}, {"a": 1}]),
        group("no other members", {"properties": {"a": {}}, "additionalProperties": False}, [{}, {"a": 1}], [{"b": 1}]),
        group("names by pattern", {"patternProperties": {"^x": {"type": "null"}}}, [{"x1": None, "y": 1}], [{"x": 1}]),
        group("all of them", {"allOf": [{"minimum": 2}, {"multipleOf": 3}]}, [3, 6], [0, 4]),
        group("one of them", {"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}, [2, 9], [6, 5]),
        group("not", {"not": {"type": "object"}}, [1, []], [{}]),
        group(
            "a reference to itself",
            {"properties": {"next": {"$ref": "#"}}, "type": "object"},
            [{"next": {"next": {}}}, {}],
            [{"next": 1}, {"next": {"next": []}}],
        ),
        group("a remote reference", {"$ref": REMOTE}, [1, 20], [0, "1"]),
    ]
    if draft != "draft4":
        groups += [
            group("a constant", {"const": {"a": [1, None]}}, [{"a": [1, None]}], [{"a": [1]}, {}, None]),
            group("contains", {"contains": {"const": 5}}, [[1, 5], "x"], [[], [1]]),
            group("names", {"propertyNames": {"maxLength": 2}}, [{"ab": 1}, {}], [{"abc": 1}]),
            group("nothing is valid", False, [], [1, None, {}]),
        ]
    if draft.startswith("draft20"):
        groups += [
            group("dependent members", {"dependentRequired": {"a": ["b"]}}, [{"a": 1, "b": 2}, {"b": 1}], [{"a": 1}]),
            group(
                "members that nobody looked at",
                {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
                [{"a": 1}, {}],
                [{"b": 1}, {"a": 1, "b": 2}],
            ),
            group("as many as contains says", {"contains": {"const": 1}, "minContains": 2}, [[1, 1]], [[1], []]),
        ]
    return groups


def schema_suite() -> Iterator[tuple[str, Any]]:
    """Path and content of every file."""
    yield "remotes/count.json", {"type": "integer", "minimum": 1}
    for draft in DRAFTS:
        yield f"tests/{draft}/keywords.json", required_cases(draft)
    for name, (drafts, good, bad) in FORMATS.items():
        for draft in drafts:
            yield f"tests/{draft}/optional/format/{name}.json", [group(name, {"format": name}, [good, 1], [bad])]


def wild_schemas() -> list[dict[str, Any]]:
    return [
        {
            "id": f"own-{name}",
            "schema": schema,
            "tests": [{"data": one, "valid": True} for one in valid]
            + [{"data": one, "valid": False} for one in invalid],
        }
        for name, schema, valid, invalid in GROUPS
    ]


def json_texts() -> list[dict[str, Any]]:
    """Whether a text is JSON; name, base64 of the bytes, verdict."""
    accepted = [
        b"[]", b"{}", b' {"a" : [ 1 , -0.5e+3 ] } ', b'"\\u00e9 \\ud83d\\ude00"', '"é😀"'.encode(), b"null", b"0",
        b"-0", b"1E30", b"[[[[1]]]]", b'{"":0}', b'"\\\\\\"\\/\\b\\f\\n\\r\\t"', b"[true,false,null]",
    ]  # fmt: skip
    rejected = [
        b"", b" ", b"[", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1 2]", b"{a:1}", b"{'a':1}", b'{"a"}', b'{"a":}',
        b'{"a":1,}', b'{"a":1 "b":2}', b"01", b"1.", b".5", b"+1", b"1e", b"0x1", b"NaN", b"-Infinity", b"tru", b"True",
        b'"a', b'"\t"', b'"\\x"', b'"\\u12"', b"[1]x", b"[1]]", b"1 2", b'"\xff"', b"\xef\xbb\xbf[]", b"[1]// no",
        b"'a'", b"[-]",
    ]  # fmt: skip
    either = [b'"\\ud800"', b"1E400", b"[" * 600 + b"]" * 600]
    rows = [("accept", "y", accepted), ("reject", "n", rejected), ("either", "i", either)]
    cases = [
        {"name": f"{letter}_own_{number}.json", "b64": base64.b64encode(text).decode(), "expect": expect}
        for expect, letter, texts in rows
        for number, text in enumerate(texts)
    ]
    twice = base64.b64encode(b'{"a":1,"a":2}').decode()
    return [*cases, {"name": "y_own_duplicate_member.json", "b64": twice, "expect": "accept"}]


class Sse(NamedTuple):
    """An event stream in pieces, and what the standard reads in it."""

    test: str
    pieces: list[bytes]
    events: list[tuple[str, str, str]]  # type, data, last event id
    retry_ms: int | None = None
    comments: tuple[str, ...] = ()


def _said(*texts: str, last_id: str = "") -> list[tuple[str, str, str]]:
    return [("message", text, last_id) for text in texts]


def event_streams() -> list[dict[str, Any]]:
    cut = "data: é😀\n\n".encode()
    rows = [
        Sse("one event", [b"data: a\n\n"], _said("a")),
        Sse("line ends of every kind", [b"data:a\r\n\r", b"data:b\r\r", b"data:c\n\n"], _said("a", "b", "c")),
        Sse("only the first space goes", [b"data:  a\n\ndata:b\n\n"], _said(" a", "b")),
        Sse("lines of data are joined", [b"data: a\nda", b"ta\ndata: b\n\n"], _said("a\n\nb")),
        Sse("a type counts once", [b"event: x\ndata: 1\n\ndata: 2\n\n"], [("x", "1", ""), *_said("2")]),
        Sse("an id stays", [b"id: 7\ndata: 1\n\nda", b"ta: 2\n\n"], _said("1", "2", last_id="7")),
        Sse("an id is reset", [b"id: 7\ndata: 1\n\nid\ndata: 2\n\n"], [*_said("1", last_id="7"), *_said("2")]),
        Sse("an id with NUL is none", [b"id: 7\ndata: 1\n\nid: b\x00\ndata: 2\n\n"], _said("1", "2", last_id="7")),
        Sse("without data there is no event", [b"event: x\nid: 1\n\ndata: a\n\n"], _said("a", last_id="1")),
        Sse("comments, unknown fields", [b": hello\nfoo: 1\ndata: a\n:\n\n"], _said("a"), comments=(" hello", "")),
        Sse("a reconnection time", [b"retry: 250\nretry: 1s\ndata: a\n\n"], _said("a"), retry_ms=250),
        Sse("a byte order mark", [b"\xef", b"\xbb\xbfdata: a\n\n"], _said("a")),
        Sse("a character that is cut", [cut[:9], cut[9:]], _said("é😀")),
        Sse("an end in the middle", [b"data: a\n\ndata: b\n"], _said("a")),
        Sse("JSON", [b'data: {"a":\ndata: [1]}\n\n'], _said('{"a":\n[1]}')),
    ]
    return [
        {
            "id": f"own-{number}",
            "test": one.test,
            "chunks_b64": [base64.b64encode(piece).decode() for piece in one.pieces],
            "events": [
                {"event": event, "data": data} | ({"data_json": json.loads(data)} if data[0] == "{" else {})
                for event, data, _ in one.events
            ],
            "events_complete": True,
            "agrees_with_whatwg": True,
            "spec": {
                "events": [{"event": event, "data": data, "lastEventId": last} for event, data, last in one.events],
                "retry": one.retry_ms,
                "comments": list(one.comments),
            },
        }
        for number, one in enumerate(rows)
    ]


def repairs() -> list[dict[str, Any]]:
    """Broken texts, and the value that a careful person reads in each."""
    count = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    word = {"type": "object", "properties": {"w": {"enum": ["red", "blue"]}}, "required": ["w"]}
    rows: list[tuple[str, str, Any, Any]] = [
        ("valid", '{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}, None),
        ("trailing comma", '{"a": [1, 2,],}', {"a": [1, 2]}, None),
        ("missing comma", '{"a": 1 "b": 2}', {"a": 1, "b": 2}, None),
        ("doubled comma", "[1,, 2]", [1, 2], None),
        ("single quotes", "{'a': 'b c'}", {"a": "b c"}, None),
        ("typographic quotes", "{“a”: “b”}", {"a": "b"}, None),
        ("bare names", "{a: 1, b_2: true}", {"a": 1, "b_2": True}, None),
        ("words of Python", '{"a": True, "b": None}', {"a": True, "b": None}, None),
        ("in a fence", '```json\n{"a": 1}\n```', {"a": 1}, None),
        ("prose before", 'Here it is: {"a": "x y"}', {"a": "x y"}, None),
        ("valid by its schema", '{"n": 12}', {"n": 12}, count),
        ("a number in a string", '{"n": "12"}', {"n": 12}, count),
        ("an unknown member", '{"n": 1, "why": "so"}', {"n": 1}, count),
        ("a word in capitals", '{"w": "RED"}', {"w": "red"}, word),
    ]
    return [
        {
            "id": f"own {name}",
            "input": text,
            "kind": "valid" if name.startswith("valid") else "broken",
            "expect": "value",
            "expected": value,
            "asserted": True,
            "append_only": True,
            **({"schema": schema} if schema is not None else {}),
        }
        for name, text, value, schema in rows
    ]
