"""Of two faults the one may hide the other. Then the text is left alone, or says what it said: never a member less."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from lockgate.gate.recovery.spelling import SIGNS
from tests.gate.recovery.texts import Run, Trial, check

ANY: dict[str, Any] = {"type": "object", "additionalProperties": {"type": ["string", "object", "array"]}}
TWO = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "note": {"type": "string"}},
    "additionalProperties": False,
}
LIST = {"type": "array", "items": {"type": "string"}}
WORDS = {"type": "object", "additionalProperties": LIST}
LONG = {"type": "array", "items": {"type": "string", "pattern": "^(\\S+ ){0,9}\\S+$"}}
MEANT = {"city": "Rome", "note": "old"}


def patched(schema: Any, text: str) -> Run:
    """Whole, byte by byte and at random cuts: it is the same, or this fails."""
    options = {"recovery": "patch", "release": "prefix", "max_held_bytes": 65536, "elements": None}
    return check(Trial(schema, text.encode(), options), random.Random(text))


@pytest.mark.parametrize("schema", [ANY, TWO], ids=["any names", "two names"])
@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"city: "Rome", "note": "old"}', id="half a name"),
        pytest.param('{"city： "Rome", "note": "old"}', id="half a name and a wide colon"),
        pytest.param('{"city= "Rome", "note": "old"}', id="half a name and another sign"),
        pytest.param('{"city": "Rome", "note： "old"}', id="the same at the next name"),
        pytest.param('{"city": "Rome", "note= "old"}', id="the next name and another sign"),
        pytest.param('{"city": "Rome", "note"  old"}', id="no colon, half a value"),
        pytest.param('{"city": "Rome", "note  "old"}', id="no colon, half a name"),
        pytest.param('{"city": "Rome"]}， "note": "old"}', id="a bracket too many, a wide comma"),
        pytest.param('{"city": "Rome, note: "old"}', id="half a value, a bare name"),
        pytest.param('{"city": "Rome,\n "note: "old"}', id="half a value, half a name"),
        pytest.param('{"city": "Rome,\n "note"  "old"}', id="half a value, no colon"),
        pytest.param('{"city": "Rome,\n \'note\': "old"}', id="half a value, a name in other quotes"),
        pytest.param('{"city": "Rome" `note`: "old"}', id="no comma, a name in other quotes"),
        pytest.param('{"city": Rome, "note: "old"}', id="a bare value, half a name"),
        pytest.param('{"city": Rome, "note"  "old"}', id="a bare value, no colon"),
        pytest.param('{"city": Rome,\n “note”: "old"}', id="a bare value, a name in other quotes"),
        pytest.param('{"city": Rome,\u00a0\n "note": "old"}', id="a bare value, wide space"),
        pytest.param('{"city": Rome\ufeff,\n "note": "old"}', id="a bare value, a mark behind it"),
        pytest.param('{"city": Rome;\n "note": "old"}', id="a bare value, another comma"),
        pytest.param('{"city": Rome,// where\n "note": "old"}', id="a bare value, a comment"),
        pytest.param('{"city": Rome,\\n\n "note": "old"}', id="a bare value, a written line end"),
        pytest.param('{"city": Rome,,\n "note": "old"}', id="a bare value, two commas"),
        pytest.param('{"city": "Rome"; note: "old"}', id="another comma, a bare name"),
        pytest.param('{"city": "Rome"; „note“: "old"}', id="another comma, a name in other quotes"),
        pytest.param('{"city": "Rome", note： "old"}', id="a bare name, a wide colon"),
        pytest.param("{`city`:`Rome`,# where\n`note`:`old`}", id="other quotes, a comment"),
        pytest.param('{"city: Rome, "note": "old"}', id="half a name, a bare value"),
        pytest.param('{"city: “Rome”, "note": "old"}', id="half a name, other quotes"),
        pytest.param('{"city": "Rome, "note"  "old"}', id="half a value, no colon on the same line"),
        pytest.param('{"city": "Rome", note:// what\n"old"}', id="a bare name, a comment behind its colon"),
        pytest.param('{"city": "Rome"},// what\n"note": "old"}', id="a bracket too many, a comment"),
        pytest.param('{"city": "Rome"}/* what */,note: "old"}', id="a bracket too many, a comment before a bare name"),
        pytest.param('{"city": "Rome, ‘note’: "old"}', id="half a value, a name in other quotes on the same line"),
        pytest.param('{"city": "Rome" "note: "old"}', id="no comma, half a name"),
        pytest.param('{"city": "Rome" note: "old"}', id="no comma, a bare name"),
        pytest.param('{"city": "Rome" "note"  "old"}', id="no comma, no colon"),
        pytest.param('{"city": Rome，\n "note": "old"}', id="a bare value, a wide comma"),
        pytest.param('{"city": Rome// where\n\n, "note": "old"}', id="a bare value, a comment right behind"),
    ],
)
def test_no_member_becomes_the_text_of_another(schema: Any, text: str) -> None:
    found = patched(schema, text)
    assert found.state != "complete" or json.loads(found.released) == MEANT


@pytest.mark.parametrize(
    ("schema", "text", "meant"),
    [
        (ANY, '{"city": "Rome"{"city": "Rome"}', {"city": "Rome"}),
        (LIST, "[‘a’, ‘b’ ‘c’]", ["a", "b", "c"]),
        (LIST, '["a", "b c,\n "d"]', ["a", "b c", "d"]),
        (LIST, '["a", "b", "c": "d"]', ["a", "b", "c"]),
        (LIST, '["a"\n "b: {"c": "d"} it was"\n]', ["a", 'b: {"c": "d"} it was']),
        (LIST, '["a"\n b",\n "c"\n]', ["a", "b", "c"]),
        (LIST, '["a"\n "b,\n "c"\n]', ["a", "b", "c"]),
        (WORDS, '{"x": ["a, "b"}], "y": []}', {"x": ["a", "b"], "y": []}),
        (WORDS, '{"x": ["a", "b" "c"}]}', {"x": ["a", "b", "c"]}),
        (LIST, '["a,\u00a0 "b"]', ["a", "b"]),
        (LIST, '["a"b",c,"d"]', ['a"b', "c", "d"]),
        (LIST, '["a" "b"c"]', ["a", 'b"c']),
        (LIST, '[""a", b", "c"]', ['"a', "b", "c"]),
        (LIST, '["a" "b\r\n"]', ["a", "b\r\n"]),
        (LONG, '["a word, "b word"]]', ["a word", "b word"]),
    ],
)
def test_no_word_of_a_list_becomes_the_text_of_another(schema: Any, text: str, meant: Any) -> None:
    found = patched(schema, text)
    assert found.state != "complete" or json.loads(found.released) == meant


@pytest.mark.parametrize(
    "text",
    [
        # The brace may be missing behind 1 as well.
        '[{"n": {"x": 1, "m": 2}, {"n": {}}]',
        '{"rows": [{"n": {"x": 1, "m": 2}, {"n": {}}]}',
        '{"rows": [{"n": {, "m": 2}]}',
    ],
)
def test_no_bracket_stands_where_another_place_would_do(text: str) -> None:
    assert patched({"type": ["array", "object"], "additionalProperties": {"type": "array"}}, text).state != "complete"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('{"m":{"x":{"d":1]},"y":{"e":2],"n":1},"s":0}', {"m": {"x": {"d": 1}, "y": {"e": 2}, "n": 1}, "s": 0}),
        ('{"m":{"x":{"y":{"d":1}},"n":2}},"s":0}', {"m": {"x": {"y": {"d": 1}}, "n": 2}, "s": 0}),
        ('{"m":[{"x":"a"][{"x":"a"}],"s":0}', {"m": [{"x": "a"}, {"x": "a"}], "s": 0}),
        ('{"m":{"x":"v"w", "y"  "z"},"s":0}', {"m": {"x": 'v"w', "y": "z"}, "s": 0}),
        ('{"m":{"x":{"y":{"d":1}}},"n":[2]},"s":0}', {"m": {"x": {"y": {"d": 1}}, "n": [2]}, "s": 0}),
    ],
)
def test_no_member_moves_into_another_object(text: str, meant: Any) -> None:
    found = patched({"type": "object", "properties": {"m": {}, "s": {}}}, text)
    assert found.state != "complete" or json.loads(found.released) == meant


def test_no_member_of_an_element_becomes_one_of_the_document() -> None:
    both: dict[str, Any] = {"x": {"type": "object"}, "y": {"type": "object"}}
    rows = {"type": "array", "items": {"type": "object", "properties": both}}
    schema = {"type": "object", "properties": {"m": rows, "s": {}, **both}, "additionalProperties": False}
    assert patched(schema, '{"m": [{"x": {}}, "y": {}}], "s": 0, "x": {}, "y": {}}').state != "complete"


def test_a_member_that_the_object_around_knows_is_not_moved_into_another() -> None:
    schema = {"type": "object", "properties": {"m": {"type": "object"}, "s": {"type": "string"}}}
    found = patched(schema, '{"m": {"x": "y"], "s": "z"}}')
    assert found.state != "complete" or json.loads(found.released) == {"m": {"x": "y"}, "s": "z"}


def test_no_element_becomes_a_name() -> None:
    schema = {"items": {"anyOf": [{"type": "object", "properties": {"x": {}}}, {"type": "string"}]}}
    assert patched(schema, '[{"x": 1, "y", {"x": 2}]').state != "complete"


def test_a_member_that_was_left_out_is_no_stranger_if_a_bracket_was_one_too_many() -> None:
    rows = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
    schema = {"properties": {"rows": {"additionalProperties": rows}}, "additionalProperties": False}
    assert patched(schema, '{"rows": {"1": {"n": 1}}, "2": {"n": 2}, "3": {"n": 3}}}').state != "complete"


@pytest.mark.parametrize(
    "text", ['{"city": Rome, "is"  true}', "{“city”: “Rome”, “is”  true}", '{"city": "Rome, "is"  true}']
)
def test_a_name_without_its_colon_is_one_before_a_literal_too(text: str) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "is": {"type": "boolean"}}}
    found = patched(schema, text)
    assert found.state != "complete" or json.loads(found.released) == {"city": "Rome", "is": True}


def test_a_list_ends_a_string_that_a_quote_stands_in() -> None:
    found = patched({"type": "array"}, '["a"b", ["c", "d"], "e"]')
    assert (found.state, json.loads(found.released)) == ("complete", ['a"b', ["c", "d"], "e"])


def test_no_member_goes_with_a_comment_that_is_none() -> None:
    found = patched(WORDS, '{"x": ["src/**"/*.a", "b"], "y": ["c"], z": ["**/*.d"]}')
    assert found.state != "complete" or list(json.loads(found.released)) == ["x", "y", "z"]


@pytest.mark.parametrize("space", sorted(sign.decode() for sign, plain in SIGNS.items() if not plain.strip()))
@pytest.mark.parametrize(
    "text", ['{"city": Rome%s, "note": "old"}', '{"city": Rome,%s\n"note": "old"}', "{`city`: `Rome`%s, `note`: `old`}"]
)
def test_white_space_of_any_script_ends_what_stands_before_it(space: str, text: str) -> None:
    found = patched(TWO, text % space)
    assert (found.state, json.loads(found.released)) == ("complete", MEANT)


def test_an_address_without_its_quote_is_a_name_and_no_comment() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "object"}}
    found = patched(schema, '{"a": {}, https://example.com/b": {"c": "d"},\n "e": {}}')
    assert found.state != "complete" or json.loads(found.released)["https://example.com/b"] == {"c": "d"}


@pytest.mark.parametrize("schema", [ANY, TWO], ids=["any names", "two names"])
@pytest.mark.parametrize("text", ['{"city”: "Rome", "note": "old"}', '{"city": "Rome", "note” : "old"}'])
def test_a_name_whose_quote_is_typographic_ends_before_its_colon(schema: Any, text: str) -> None:
    found = patched(schema, text)
    assert (found.state, json.loads(found.released)) == ("complete", MEANT)


def test_what_hides_nothing_is_mended() -> None:
    """So that the rules above are not kept by doing nothing."""
    for text in (
        '{"city": Rome, "note: "old"}',
        '{"city": Rome,\n “note”: "old"}',
        '{"city": Rome;\n "note": "old"}',
        "{`city`:`Rome`,# where\n`note`:`old`}",
    ):
        found = patched(TWO, text)
        assert (found.state, json.loads(found.released)) == ("complete", MEANT), text
    found = patched(TWO, '{"city": "Rome"/* where */, "note": "old"// what\n}')
    assert (found.state, json.loads(found.released)) == ("complete", MEANT)
    for behind in ("\\n", "/* so */", "// so\n", "\u00a0"):
        found = patched({"additionalProperties": {"type": ["string", "boolean"]}}, f'{{"is": True{behind}}}')
        assert (found.state, json.loads(found.released)) == ("complete", {"is": True}), behind
    found = patched({"additionalProperties": {"type": ["string", "boolean"]}}, '{"is": True;"more": "1"}')
    assert (found.state, json.loads(found.released)) == ("complete", {"is": True, "more": "1"})
    found = patched({"type": ["object", "string"]}, '<tool_call>{\\n\n "is": 6\n}</tool_call>')
    assert (found.state, json.loads(found.released)) == ("complete", {"is": 6})
    found = patched({"properties": {"a": {"const": "x/y"}, "b": {"type": "object"}}}, '{"a": x/y"; "b": {"c": {}}}')
    assert (found.state, json.loads(found.released)) == ("complete", {"a": "x/y", "b": {"c": {}}})
