"""What each rule does, and that every rule is shown here."""

from __future__ import annotations

from typing import Any

import pytest

import lockgate
from lockgate import Misuse
from lockgate.gate.recovery.patch_rules import LOSSY_RULES, PATCH_RULES

_ENUM = {"enum": ["red", "dark green", "São Paulo"]}
_PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array"}},
    "required": ["name"],
    "additionalProperties": False,
}
_DEFAULT = {"type": "object", "properties": {"a": {"default": [1]}, "b": {"const": 2}}, "required": ["a", "b"]}
_ONLY = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
_PEOPLE = {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}
_COUNT = {"type": "integer", "minimum": 1, "maximum": 10}

#: Rule, schema, what a model writes, what comes of it.
SHOWN: list[tuple[str, Any, str, str]] = [
    ("nul_character", lockgate.compile(True, limits=lockgate.Limits(strip_nul=True)), '["a\\u0000b"]', '["ab"]'),
    ("byte_order_mark", True, "\ufeff[1]", "[1]"),
    ("prose_before", True, 'Sure:\n```json\n{"a":1}', '\n{"a":1}'),
    ("prose_before", True, '<think>{"no": 1}</think>{"a":1}', '{"a":1}'),
    ("prose_before", {"type": "integer"}, "The answer is 42.", " 42"),
    ("prose_before", _PEOPLE, 'Here: {"n":1}', '[ {"n":1}]'),
    ("text_after", True, '{"a":1}\n```\nHope this helps', '{"a":1}\n'),
    ("text_after", True, '{"a":1}{"a":1}', '{"a":1}'),
    ("extra_comma", True, "[1,2,]", "[1,2]"),
    ("extra_comma", True, '{"a":1,,"b":2,}', '{"a":1,"b":2}'),
    ("extra_comma", True, "[,1]", "[1]"),
    ("missing_comma", True, '{"a":1\n "b":2}', '{"a":1,\n "b":2}'),
    ("missing_comma", True, '["a" "b"]', '["a", "b"]'),
    ("missing_comma", True, "[1 2]", "[1, 2]"),
    ("missing_comma", True, "[[1] [2]]", "[[1], [2]]"),
    ("quotes", True, "{'a': 'it\\'s', 'b': 'say \"hi\"'}", '{"a": "it\'s", "b": "say \\"hi\\""}'),
    ("quotes", True, "{“a”: “b”}", '{"a": "b"}'),
    ("quotes", True, "{'who': 'don't'}", '{"who": "don\'t"}'),
    ("bare_name", True, "{a: 1, b_2: 2}", '{"a": 1, "b_2": 2}'),
    ("bare_text", True, '{"a": hello world, "b": 1}', '{"a": "hello world", "b": 1}'),
    ("bare_text", True, '{"a": 2024-01-01}', '{"a": "2024-01-01"}'),
    ("bare_text", True, '{"a":2024-10-18T18:35:22Z}', '{"a":"2024-10-18T18:35:22Z"}'),
    ("bare_text", True, '{"a": for {x}, see b:\n1, 2 "c"}', '{"a": "for {x}, see b:\\n1, 2 \\"c\\""}'),
    ("literal", True, "[True, False, None, undefined, NaN]", "[true, false, null, null, null]"),
    ("number", True, "[+1, .5, 2., 007, 0x10, 1_000]", "[1, 0.5, 2, 7, 16, 1000]"),
    ("number", True, '{"a": -2,000.5, "b": 1,000,000}', '{"a": -2000.5, "b": 1000000}'),
    ("number", {"type": "integer"}, "12,345", "12345"),
    ("number", True, "0x1f", "31"),
    ("comment", True, '{"a": 1, // one\n "b": /* two */ 2} # three', '{"a": 1, \n "b":  2} '),
    ("control_character", True, '["a\nb\tc"]', '["a\\nb\\tc"]'),
    ("escape", True, '["\\x41 \\\' \\u12 \\ud800 \\_"]', '["\\u0041 \' \\\\u12 \\ufffd \\\\_"]'),
    ("escape", True, r'["C:\Users\new", "a\n"]', r'["C:\\Users\\new", "a\n"]'),
    ("escape", True, r'["\frac{\alpha}{2}"]', r'["\\frac{\\alpha}{2}"]'),
    ("inner_quote", True, '{"t": "he said "hi", then left", "u": 1}', '{"t": "he said \\"hi\\", then left", "u": 1}'),
    ("inner_quote", {"type": "string", "minLength": 9}, '"an "odd" one"', '"an \\"odd\\" one"'),
    ("triple_quotes", True, '{"a": """say "hi"\nnow""", "b": ""}', '{"a": "say \\"hi\\"\\nnow", "b": ""}'),
    ("inner_quote", True, '"an "odd" one"', '"an \\"odd\\" one"'),
    ("closing_quote", _PERSON, '{"name": "Oak, "age": 3}', '{"name": "Oak", "age": 3}'),
    ("closing_quote", _PERSON, '{"name": "Oak\n "age": 3}', '{"name": "Oak",\n "age": 3}'),
    ("closing_quote", True, '{"name": "Oak”, "age": 3}', '{"name": "Oak", "age": 3}'),
    ("closing_quote", True, '{"o": {"name": "Oak”}，"l": ["Elm”]}', '{"o": {"name": "Oak"},"l": ["Elm"]}'),
    ("concatenation", True, '["a" + "b"]', '["ab"]'),
    ("concatenation", True, '"a" + "b"', '"ab"'),
    ("colon", True, '{"a" 1, "b" = 2, "c" => 3}', '{"a": 1, "b" : 2, "c" : 3}'),
    ("bracket", True, '{"a": [1, 2}', '{"a": [1, 2]}'),
    ("bracket", True, '{"a": 1]', '{"a": 1}'),
    ("bracket", True, '[{"a": 1}]}, {"a": 2}]', '[{"a": 1}, {"a": 2}]'),
    ("bracket", True, "[[1}], [2]]", "[[1], [2]]"),
    ("sign", True, '{“a”：“b”，"c"：［1，2］}', '{"a":"b","c":[1,2]}'),
    ("sign", True, '{\\n"a": 1,\\n\\t"b": 2\\n}', '{"a": 1,"b": 2}'),
    ("doubled_brace", True, '{"x": {"a": {{"b": 1}}, "c": 2}}', '{"x": {"a": {"b": 1}, "c": 2}}'),
    ("doubled_brace", True, '{{"a": 1}}', '{"a": 1}'),
    ("tuple", True, '{"a": (1, 2)}', '{"a": [1, 2]}'),
    ("tuple", True, "{'a': ('x', ('y', 'z'))}", '{"a": ["x", ["y", "z"]]}'),
    ("call", True, '{"id": ObjectId("12")}', '{"id": "12"}'),
    ("ellipsis", True, "[1, 2, ...]", "[1, 2]"),
    ("missing_value", True, '{"a":, "b": 1}', '{"a":null, "b": 1}'),
    ("scalar_in_string", _PERSON, '{"name":"x","age":"12"}', '{"name":"x","age":12}'),
    ("scalar_in_string", {"type": "boolean"}, '"Yes"', "true"),
    ("json_in_string", {"type": "object"}, '"{\\"a\\": \\"b\\\\n\\"}"', '{"a": "b\\n"}'),
    ("scalar_as_string", _PERSON, '{"name":12}', '{"name":"12"}'),
    ("enum_spelling", _ENUM, '"RED"', '"red"'),
    ("enum_spelling", _ENUM, '"dark_green"', '"dark green"'),
    ("enum_spelling", _ENUM, '"sao paulo"', '"São Paulo"'),
    ("enum_in_text", _ENUM, '"red, because it is warm"', '"red"'),
    ("enum_in_text", _ENUM, "I choose red!", '"red"'),
    ("enum_in_text", {"enum": ["TWO", "ONE"]}, "two", '"TWO"'),
    ("member_name", _PERSON, '{"Name":"x"}', '{"name":"x"}'),
    ("name_quote", _PERSON, '{"age: 3, "name": "x"}', '{"age": 3, "name": "x"}'),
    ("name_quote", _PERSON, '{"age : 3, "name": "x"}', '{"age" : 3, "name": "x"}'),
    ("default_member", _DEFAULT, "{}", '{"a":[1],"b":2}'),
    ("default_member", _DEFAULT, '{"c":1\n}', '{"c":1,"a":[1],"b":2\n}'),
    ("wrap_element", _PERSON, '{"name":"x","tags":"one"}', '{"name":"x","tags":["one"]}'),
    ("wrap_element", {"type": "array", "items": {"type": "integer"}}, "12", "[12]"),
    ("wrap_element", _PEOPLE, '{"n":1}\n{"n":2}, {"n":3}\nDone.', '[{"n":1},\n{"n":2}, {"n":3}]\n'),
    ("unwrap_element", _PERSON, '{"name":["x"]}', '{"name":"x"}'),
    ("unwrap_member", _ONLY, '{"answer": {"n": 1}}', '{"n": 1}'),
    ("unwrap_member", _PEOPLE, '{"people": [{"n": 1}, {"n": 2}]}', '[{"n": 1}, {"n": 2}]'),
    ("opening_brace", _PEOPLE, '["n": 1, "m": 2}, {"n": 3}]', '[{"n": 1, "m": 2}, {"n": 3}]'),
    ("opening_brace", {"type": "object"}, '"n": 1}', '{"n": 1}'),
    ("wrap_member", _ONLY, "5", '{"n":5}'),
    ("null_member", _PERSON, '{"name":"x","age":null}', '{"name":"x"}'),
    ("null_member", _PERSON, '{"name":"x","age":"n/a","tags":""}', '{"name":"x"}'),
    ("unknown_member", _PERSON, '{"name":"x","y":[1,{"z":"]"}]}', '{"name":"x"}'),
    ("unknown_member", _PERSON, '{"y":1, "name":"x"}', '{"name":"x"}'),
    ("unknown_member", _PERSON, '{"name":"x","name":"x"}', '{"name":"x"}'),
    ("truncated", True, '{"a": [1, {"b": "tr', '{"a": [1, {"b": "tr"}]}'),
    ("truncated", True, '{"a": 1, "b":', '{"a": 1}'),
    ("truncated", True, "[1, 2.", "[1, 2]"),
    ("truncated", True, "[true, fal", "[true, false]"),
    ("clamp", _COUNT, "50", "10"),
    ("round", _COUNT, "5.7", "5"),
    ("cut", {"type": "string", "maxLength": 3}, '"abcdef"', '"abc"'),
    ("cut", {"type": "array", "maxItems": 2}, "[1,2,3,4]", "[1,2]"),
    ("amount", {"type": "number"}, '"$1,234.50"', "1234.50"),
    ("amount", _PERSON, '{"name":"x","age":"12 years"}', '{"name":"x","age":12}'),
    ("amount", _PERSON, '{"age": 12 years,"name":"x"}', '{"age": 12,"name":"x"}'),
    ("empty_object", {"type": "object"}, " ", " {}"),
]


@pytest.mark.parametrize(("rule", "schema", "text", "wanted"), SHOWN)
def test_rule(rule: str, schema: Any, text: str, wanted: str) -> None:
    lossy = [rule] if rule in {one.id for one in LOSSY_RULES} else []
    found = lockgate.repair(text, schema, lossy=lossy, accept_truncated=True)
    assert (found.text, found.state) == (wanted, "complete")
    assert rule in {patch.rule for patch in found.patches}


_FILES = {"type": "object", "properties": {"files": {"type": "array", "items": {"type": "string"}}}}


@pytest.mark.parametrize(
    ("schema", "text", "wanted"),
    [
        (_FILES, '{"files": E:\\Store\\R.md,\n "n": 1}', '{"files": ["E:\\\\Store\\\\R.md"],\n "n": 1}'),
        (_FILES, "{'files': 'one'}", '{"files": ["one"]}'),
        (_ONLY, 'n": 1}', '{"n": 1}'),
        (_ONLY, "n: 1}", '{"n": 1}'),
        (_ONLY, "'n': 1}", '{"n": 1}'),
    ],
)
def test_two_faults_at_one_byte(schema: Any, text: str, wanted: str) -> None:
    found = lockgate.repair(text, schema)
    assert (found.text, found.state) == (wanted, "complete")


def test_every_rule_is_shown() -> None:
    assert {rule for rule, *_ in SHOWN} == {rule.id for rule in (*PATCH_RULES, *LOSSY_RULES)}


def test_a_member_that_comes_again_with_another_value_is_not_dropped() -> None:
    """Nobody can tell which of the two was meant."""
    found = lockgate.repair('{"name":"x","name":"y"}', _PERSON)
    assert (found.state, found.errors[-1].code) == ("halted", "duplicate_member")


def test_a_lossy_rule_must_be_asked_for() -> None:
    assert lockgate.repair("50", _COUNT).state == "halted"
    with pytest.raises(Misuse, match="clamp, round, cut, amount, empty_object"):
        lockgate.repair("50", _COUNT, lossy=["shrink"])


def test_a_closed_text_is_not_complete() -> None:
    """Closing makes it parse; only accept_truncated says that this is enough."""
    found = lockgate.repair('{"a": [1, 2')
    assert (found.text, found.state) == ('{"a": [1, 2]}', "incomplete")
    assert found.errors[-1].code == "truncated"


@pytest.mark.parametrize("text", ['{"n": 1, "m', '{"n": 1, "m": 2', '{"n": 1,', '{"n": 1, "m": "é'])
def test_a_text_that_cannot_be_closed_ends_where_it_ends(text: str) -> None:
    """A required member is missing, so no bracket may close it; the violation stands behind its last byte."""
    found = lockgate.repair(text, {"type": "object", "required": ["z"]})
    assert found.state == "incomplete"
    assert (found.errors[-1].code, found.errors[-1].upstream_at) == ("truncated", len(text.encode()))


def test_an_element_too_many_is_not_part_of_the_one_before() -> None:
    assert lockgate.repair('["a", "b", "c"]', {"type": "array", "maxItems": 2}).state == "halted"


def test_one_of_several_is_not_the_document() -> None:
    """An array before an object is no prose: nobody said that its first element was meant."""
    assert lockgate.repair('[{"n": 1}, {"n": 2}]', {"type": "object"}).state == "halted"


@pytest.mark.parametrize("half", ['{"n": 2', '{"n": 22', '{"n": 2, "m": "x', '{"n": 2, "m": [1', "{", '{"n"'])
def test_half_an_element_is_left_out(half: str) -> None:
    """Where nothing of it was released: what can be closed may still say something else than was meant."""
    gate = lockgate.compile(_PEOPLE).gate("patch", elements="", release="element")
    events = [*gate.feed('[{"n": 1}, ' + half), *gate.close()]
    assert b"".join(event.data for event in events if isinstance(event, lockgate.Released)) == b'[{"n": 1}]'
    assert (gate.state, len([event for event in events if isinstance(event, lockgate.Element)])) == ("incomplete", 1)


def test_a_text_that_broke_off_is_closed_and_never_complete() -> None:
    """It parses, whatever ended it; that it may count as complete is for texts that ended."""
    gate = lockgate.compile(True).gate(recovery="patch", accept_truncated=True)
    events = [*gate.feed(b'{"a": [1, 2'), *gate.close(clean=False)]
    assert b"".join(event.data for event in events if isinstance(event, lockgate.Released)) == b'{"a": [1, 2]}'
    assert gate.state == "incomplete"
    assert not [event for event in events if isinstance(event, lockgate.Completed)]


def test_limits_turn_patch_into_halt() -> None:
    schema = lockgate.compile({"type": "array"})
    cases: list[tuple[dict[str, Any], bytes]] = [
        ({"max_patches": 1}, b"[1,,2,,3]"),
        ({"max_held_bytes": 20}, b"prose " * 20 + b"[1]"),
    ]
    for options, text in cases:
        gate = schema.gate(recovery="patch", **options)
        gate.feed(text)
        gate.close()
        assert gate.state == "halted"


def test_options_that_do_not_fit() -> None:
    schema = lockgate.compile(True)
    refused: list[tuple[dict[str, Any], str]] = [
        ({"recovery": "skip", "lossy": ["cut"]}, "lossy"),
        ({"recovery": "halt", "accept_truncated": True}, "accept_truncated"),
        ({"recovery": "patch", "max_held_bytes": 0}, "max_held_bytes"),
        ({"recovery": "mend"}, "mend"),
    ]
    for options, word in refused:
        with pytest.raises(Misuse, match=word):
            schema.gate(**options)


def test_a_name_is_not_of_the_member_before() -> None:
    """Behind a comma the path is that of the object, until the next name is known."""
    found = lockgate.repair('{"o": {"a": 1, b: 2}, c: 3}')
    assert [(error.path, error.code) for error in found.errors] == [("/o", "invalid_json"), ("", "invalid_json")]
    assert {patch.path for patch in found.patches} == {"/o", ""}


def test_a_rule_is_named_after_its_id() -> None:
    """Who reads an event finds the class; ``Rule`` is added where the bare word means something else elsewhere."""
    for rule in (*PATCH_RULES, *LOSSY_RULES):
        assert type(rule).__name__.removesuffix("Rule") == "".join(word.capitalize() for word in rule.id.split("_"))
