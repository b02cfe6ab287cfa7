"""Where a violation is seen, and what is said about it."""

from __future__ import annotations

import pytest

import lockgate
from lockgate import Limits, Misuse, SchemaError, Violated
from lockgate.errors import VIOLATIONS
from tests.gate.runs import feed, judge

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2, "maxLength": 5},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "role": {"enum": ["admin", "author"]},
        "a/b": {"type": "array", "items": {"const": 1}, "minItems": 1, "maxItems": 2},
        "maybe": {"type": ["null", "boolean"]},
        "num": {"type": "number"},
    },
    "required": ["name"],
    "additionalProperties": False,
}


# The text up to | is released; the byte after it is the one at fault.
@pytest.mark.parametrize(
    ("text", "code", "path", "schema_path"),
    [
        pytest.param("|[", "schema_violation", "", "/type", id="type, first byte"),
        pytest.param('{"name":|1', "schema_violation", "/name", "/properties/name/type", id="type of a member"),
        pytest.param('{"name":"Ab|"', "", "", "", id="nothing wrong yet"),
        pytest.param('{"name":"A|"', "schema_violation", "/name", "/properties/name/minLength", id="minLength"),
        pytest.param('{"name":"Abcde|f', "schema_violation", "/name", "/properties/name/maxLength", id="maxLength"),
        pytest.param('{"name":"😀éabc|d', "schema_violation", "/name", "/properties/name/maxLength", id="characters"),
        pytest.param('{"name":"abcde|\\u0066', "schema_violation", "/name", "/properties/name/maxLength", id="escape"),
        pytest.param('{"role":"a|b', "schema_violation", "/role", "/properties/role/enum", id="enum, second letter"),
        pytest.param('{"role":"|\\u0062', "schema_violation", "/role", "/properties/role/enum", id="enum, escaped"),
        pytest.param('{"role":"ad|"', "schema_violation", "/role", "/properties/role/enum", id="enum, too short"),
        pytest.param('{"role":|7', "schema_violation", "/role", "/properties/role/enum", id="enum, kind"),
        pytest.param('{"age":1.5|,', "schema_violation", "/age", "/properties/age/type", id="integer"),
        pytest.param('{"age":-|1}', "schema_violation", "/age", "/properties/age/minimum", id="minimum"),
        pytest.param('{"age":151|}', "schema_violation", "/age", "/properties/age/maximum", id="maximum"),
        pytest.param('{"maybe":|"', "schema_violation", "/maybe", "/properties/maybe/type", id="several types"),
        pytest.param('{"nam|y', "schema_violation", "", "/additionalProperties", id="name, at its letter"),
        pytest.param('{"na|"', "schema_violation", "", "/additionalProperties", id="name, too short"),
        pytest.param('{"a/b":[1,10|]', "schema_violation", "/a~1b/1", "/properties/a~1b/items/const", id="10e-1 is 1"),
        pytest.param('{"a/b":[1,|2]', "schema_violation", "/a~1b/1", "/properties/a~1b/items/const", id="const"),
        pytest.param('{"a/b":[|]', "schema_violation", "/a~1b", "/properties/a~1b/minItems", id="minItems"),
        pytest.param('{"a/b":[1,1|,', "schema_violation", "/a~1b", "/properties/a~1b/maxItems", id="comma too many"),
        pytest.param('{"age":1|}', "schema_violation", "", "/required", id="required"),
        pytest.param('{"age":1,"a|ge"', "duplicate_member", "/age", "", id="duplicate"),
        pytest.param('{"age":1,"\\u0061|ge"', "duplicate_member", "/age", "", id="duplicate, escaped"),
        pytest.param('{"name":"Ab"} \n|{', "trailing_text", "", "", id="second document"),
        pytest.param('{"age":0|1', "invalid_json", "/age", "", id="leading zero"),
        pytest.param('{"age":1|x', "invalid_json", "/age", "", id="letter after a number"),
        pytest.param('{"maybe":tr|x', "invalid_json", "/maybe", "", id="literal"),
        pytest.param('{"name":"a|\n', "invalid_json", "/name", "", id="raw line end in a string"),
        pytest.param('{"name":"|\\x', "invalid_json", "/name", "", id="no escape"),
        pytest.param('{"name":"|\\ud800\\u0041', "lone_surrogate", "/name", "", id="half a pair"),
        pytest.param('{"name":"|\\udc00', "lone_surrogate", "/name", "", id="the other half"),
        pytest.param("|\ufeff{", "invalid_json", "", "", id="byte order mark"),
        pytest.param('{"name":"Ab"|]', "invalid_json", "/name", "", id="wrong bracket"),
        pytest.param("{|'", "invalid_json", "", "", id="single quote"),
        pytest.param('{"num":1e30|9,', "number_out_of_range", "/num", "", id="overflow"),
        pytest.param('{"num":1e-32|4,', "number_out_of_range", "/num", "", id="underflow"),
    ],
)
def test_first_byte(text: str, code: str, path: str, schema_path: str) -> None:
    """The byte at fault is named when it is fed, and nothing from it on is released."""
    good, _, bad = text.partition("|")
    gate = lockgate.compile(PERSON).gate()
    events = gate.feed((good + bad).encode())
    found = [event for event in events if isinstance(event, Violated)]
    if not code:
        assert found == []
        return
    assert [(one.code, one.path, one.schema_path) for one in found] == [(code, path, schema_path)]
    assert found[0].upstream_at == found[0].at == len(good.encode())
    assert gate.state == "halted"
    assert found[0].message


def test_a_number_at_the_very_end_is_judged_at_close() -> None:
    run = judge(lockgate.compile({"maximum": 5}), b"6")
    assert run.released == b"6"
    assert run.state == "halted"
    assert run.violations[0].schema_path == "/maximum"


def test_what_only_the_authority_knows_is_judged_before_the_last_byte() -> None:
    """The closing byte of an invalid document is not released."""
    schema = lockgate.compile({"type": "array", "contains": {"type": "string"}})
    run = judge(schema, b"[1, 2]")
    assert (run.released, run.state) == (b"[1, 2", "halted")
    assert run.violations[0].code == "schema_violation"


@pytest.mark.parametrize(
    ("text", "limits", "code", "released"),
    [
        pytest.param(b"[[[1]]]", Limits(max_depth=2), "depth_limit", b"[[", id="depth"),
        pytest.param(b'"abcd"', Limits(max_string_bytes=3), "string_limit", b'"abc', id="string"),
        pytest.param('"aé"'.encode(), Limits(max_string_bytes=2), "string_limit", b'"a', id="string, whole characters"),
        pytest.param(b'{"abcd":1}', Limits(max_string_bytes=3), "string_limit", b'{"abc', id="name"),
        pytest.param(b"12345", Limits(max_number_digits=4), "number_limit", b"1234", id="number"),
        pytest.param(b'{"a":1,"b":2}', Limits(max_members=1), "members_limit", b'{"a":1,', id="members"),
        pytest.param(b"[1,   2]", Limits(max_whitespace_bytes=2), "whitespace_limit", b"[1,  ", id="white space"),
        pytest.param(
            b'["' + 20 * b"ab" + b'"]', Limits(repeat_run=30), "repeat_limit", b'["' + 15 * b"ab", id="string loop"
        ),
        pytest.param(b"[0." + 20 * b"3", Limits(repeat_run=12), "repeat_limit", b"[0." + 12 * b"3", id="number loop"),
        pytest.param(b'{"' + 20 * b"a", Limits(repeat_run=12), "repeat_limit", b'{"' + 12 * b"a", id="name loop"),
        pytest.param(b'["a\\u0000b"]', Limits(strip_nul=True), "nul_character", b'["a', id="nul"),
        pytest.param(b'{"\\u0000', Limits(strip_nul=True), "nul_character", b'{"', id="nul in a name"),
        pytest.param(b"[1,2,3]", Limits(max_document_bytes=4), "document_limit", b"[1,2", id="document"),
        pytest.param(
            '["é"]'.encode(), Limits(max_document_bytes=3), "document_limit", b'["', id="document, whole characters"
        ),
    ],
)
def test_limits(text: bytes, limits: Limits, code: str, released: bytes) -> None:
    schema = lockgate.compile(True, limits=limits)
    run = judge(schema, text)
    assert run.released == released
    assert [violation.code for violation in run.violations] == [code]
    assert judge(schema, text, range(len(text))) == run


def test_white_space_after_the_document_has_the_limit_that_it_has_inside() -> None:
    """A model that loops on it does so behind its document, too, and would go on for ever."""
    schema = lockgate.compile(True, limits=Limits(max_whitespace_bytes=10))
    assert judge(schema, b"[]" + b" \n" * 5).state == "complete"
    for cuts in ((), range(20)):
        run = judge(schema, b"[]" + b" \n" * 6, cuts)
        assert [(one.code, one.upstream_at) for one in run.violations] == [("whitespace_limit", 12)]
        assert run.released == b"[]" + b" \n" * 5


def test_a_hundred_thousand_brackets_are_a_violation_not_a_crash() -> None:
    assert judge(lockgate.compile(True), b"[" * 100_000).violations[0].code == "depth_limit"


@pytest.mark.parametrize(
    "text", [b"", b" \n", b'{"name":"Ab"', b'{"name":"Ab\\ud83d\\ude0', b'{"name":"A\xf0\x9f', b"tru"]
)
def test_truncated(text: bytes) -> None:
    """Text that ends too early is truncated at its length, whatever is still held."""
    schema = lockgate.compile(PERSON if text[:1] == b"{" else True)
    run = judge(schema, text)
    assert run.state == "incomplete"
    assert [(one.code, one.upstream_at, one.action) for one in run.violations] == [("truncated", len(text), "none")]


def test_after_a_halt_nothing_changes() -> None:
    gate = lockgate.compile(PERSON).gate()
    gate.feed(b"[")
    assert (gate.feed(b"x"), gate.close(clean=True), gate.feed(b"y"), gate.state) == ([], [], [], "halted")


def test_misuse_is_raised() -> None:
    gate = lockgate.compile(True).gate()
    with pytest.raises(Misuse, match="bytes or str, not list"):
        gate.feed([])  # type: ignore[arg-type]
    gate.close()
    with pytest.raises(Misuse, match="after close"):
        gate.feed(b"1")
    assert gate.close() == []
    with pytest.raises(Misuse, match="recovery='mend'"):
        lockgate.compile(True).gate(recovery="mend")  # type: ignore[arg-type]
    with pytest.raises(Misuse, match="max_depth"):
        Limits(max_depth=501)


@pytest.mark.parametrize(
    ("schema", "pointer", "words"),
    [
        pytest.param('{"type": "strin"}', "/type", "strin", id="unknown type"),
        pytest.param('{"properties": {"a": {"minLength": -1}}}', "/properties/a/minLength", "-1", id="negative length"),
        pytest.param("[]", "", "object or a boolean", id="not a schema"),
        pytest.param("{", "", "not JSON", id="not JSON"),
        pytest.param({"$ref": "https://example.org/other"}, "/$ref", "example.org", id="remote reference"),
        pytest.param({"$schema": "https://example.org/my-dialect"}, "/$schema", "dialect", id="unknown dialect"),
        pytest.param({"pattern": "("}, "/pattern", "(", id="broken pattern"),
    ],
)
def test_a_schema_that_cannot_be_compiled_says_where(schema: str, pointer: str, words: str) -> None:
    with pytest.raises(SchemaError) as caught:
        lockgate.compile(schema)
    assert caught.value.pointer == pointer
    assert words in str(caught.value)


def test_formats_are_asserted_unless_told_not_to() -> None:
    text, schema = b'"2026-13-01"', {"format": "date"}
    assert judge(lockgate.compile(schema), text).state == "halted"
    assert judge(lockgate.compile(schema, formats=False), text).state == "complete"


def test_a_pattern_that_backtracks_is_undecided_not_invalid() -> None:
    schema = lockgate.compile({"pattern": r"^(?=(a+)+$)(a|a)*\1$"})
    run = judge(schema, b'"' + b"a" * 60 + b'"')
    assert run.violations[0].code == "pattern_undecided"


def test_draft_decides_what_a_keyword_means() -> None:
    old = {"minimum": 3, "exclusiveMinimum": True}
    assert judge(lockgate.compile(old, draft=4), b"[3]").state == "complete"
    assert judge(lockgate.compile(old, draft="draft4"), b"3").violations[0].schema_path.endswith("inimum")
    with pytest.raises(SchemaError):
        lockgate.compile(old)
    assert judge(lockgate.compile({"type": "integer"}, draft=4), b"1.0").state == "halted"
    assert judge(lockgate.compile({"type": "integer"}), b"1.0").state == "complete"


def test_gates_of_one_schema_do_not_know_each_other() -> None:
    schema = lockgate.compile(PERSON)
    one, two = schema.gate(), schema.gate()
    one.feed(b'{"name":"Ab"')
    assert feed(two, [b'{"name":"Cd"}']).state == "complete"
    assert [event.data for event in one.feed(b"}") if isinstance(event, lockgate.Released)] == [b"}"]


def test_codes_are_documented_ones() -> None:
    """Every code that the gate's source uses stands in errors.VIOLATIONS, and the other way round."""
    import re
    from pathlib import Path

    gate = Path(lockgate.__file__).parent / "gate"
    source = "".join(path.read_text("utf-8") for path in gate.rglob("*.py"))
    made = r"(?:Violation\(|Violated\(|Complaint\(|code =)"
    used = set(re.findall(made + r'\s*"([a-z0-9]+_[a-z0-9_]+|truncated)"', source))
    assert used == set(VIOLATIONS)
