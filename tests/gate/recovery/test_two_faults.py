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
    found = patched({"properties": {"a": {"const": "x/y"}, "b": {"type": "object"}}}, '{"a": x/y"; "b": {"c": {}}}')
    assert (found.state, json.loads(found.released)) == ("complete", {"a": "x/y", "b": {"c": {}}})
