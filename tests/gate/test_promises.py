"""Properties of the gate: cuts change nothing, what is released is the text up to the violation, little is held."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
from hypothesis import example, given, settings
from hypothesis import strategies as st

import lockgate
from tests.gate.runs import cut, every_byte, feed, judge

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 8},
        "kind": {"enum": ["alpha", "alp", "béta", 7, None]},
        "n": {"type": "integer", "minimum": -3, "exclusiveMaximum": 10},
        "x": {"type": ["number", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "deep": {"properties": {"a": {"const": True}}, "additionalProperties": {"type": "string"}},
        "any": True,
        "never": False,
        "ref": {"$ref": "#/$defs/even"},
    },
    "$defs": {"even": {"multipleOf": 2}},
    "required": ["name"],
    "additionalProperties": False,
}
COMPILED = lockgate.compile(SCHEMA)
ORACLE = jsonschema_rs.validator_for(SCHEMA, offline=True)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-20, 20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["alpha", "alp", "béta", "", "😀é\u2028", '"\\\n\t/']),
    st.text(max_size=10),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc") | st.text(max_size=3), inner),
    max_leaves=8,
)
members = st.dictionaries(st.sampled_from([*SCHEMA["properties"], "nam", "names"]), values, max_size=5)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """JSON texts near the schema, in several spellings."""
    value = draw(members | values)
    indent = draw(st.sampled_from([None, 1]))
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=indent)
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which hypothesis' text() may hold; escaped it is a case of its own
        return json.dumps(value).encode()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Nearly JSON: a document with a few bytes deleted, replaced or inserted, often inside a character."""
    text = bytearray(draw(documents()))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        junk = draw(
            st.sampled_from([b"", b'"', b"\\", b"\\u12", b"\\ud83d", b"\xc3", b"\xff", b",", b"}", b"{}", b" ", b"1e"])
        )
        text[at : at + draw(st.integers(0, 2))] = junk
    return bytes(text)


cuts = st.lists(st.integers(0, 200), max_size=12)


@settings(max_examples=400, deadline=None)
@given(damaged(), cuts)
@example(b'{"name":"\xc3(', [10])
@example(b'{"name":"\\ud83d\\u0041"}', [])
@example(b"{\xc3\xa9}", [2])
def test_cuts_change_nothing(text: bytes, at: list[int]) -> None:
    """Whole, byte by byte and at random cuts give the same bytes, the same violations, the same state."""
    whole = judge(COMPILED, text)
    assert feed(COMPILED.gate(), every_byte(text)) == whole
    assert judge(COMPILED, text, at) == whole


@settings(max_examples=400, deadline=None)
@given(damaged())
def test_released_is_the_text_up_to_the_violation(text: bytes) -> None:
    run = judge(COMPILED, text)
    assert text.startswith(run.released)
    for violation in run.violations:
        if violation.code == "truncated":
            assert violation.upstream_at == len(text)
            assert len(text) - len(run.released) <= 11
        else:
            assert violation.upstream_at == len(run.released)


@settings(max_examples=400, deadline=None)
@given(documents())
def test_complete_is_exactly_valid(text: bytes) -> None:
    """The verdict is the authority's, for every document; a lone surrogate is nobody's Unicode."""
    run = judge(COMPILED, text)
    value = json.loads(text)
    try:
        expected = ORACLE.is_valid(value)
    except UnicodeEncodeError:
        expected = False
    assert (run.state == "complete") == expected, run


@settings(max_examples=200, deadline=None)
@given(documents())
def test_no_false_alarm(text: bytes) -> None:
    """P1, soundness: a document that is valid is released whole, to the last byte."""
    try:
        if not ORACLE.is_valid(json.loads(text)):
            return
    except UnicodeEncodeError:
        return
    assert judge(COMPILED, text) == (text, (), "complete")


@settings(max_examples=200, deadline=None)
@given(damaged(), cuts)
def test_broken_off_is_never_complete(text: bytes, at: list[int]) -> None:
    """P3: what upstream did not end cleanly is not complete, whatever it looks like."""
    assert feed(COMPILED.gate(), cut(text, at), clean=False).state in ("incomplete", "halted")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=20).map(lambda text: text.encode(errors="surrogatepass")), cuts)
def test_passthrough_lets_whole_characters_through(text: bytes, at: list[int]) -> None:
    run = feed(lockgate.passthrough(), cut(text, at))
    assert run == feed(lockgate.passthrough(), [text])
    assert text.startswith(run.released)
    is_utf8 = text.decode(errors="replace").encode() == text
    assert (run.state == "complete") == is_utf8
