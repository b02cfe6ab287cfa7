"""What a gate can do beside judging: elements, lines, holding, the value so far, what may come next."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lockgate
from lockgate import Completed, Element, Misuse, Released, Violated
from tests.gate.runs import cut

ITEM = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "s": {"type": "string", "pattern": "^[a-zé]*$"}},
    "required": ["n"],
    "additionalProperties": False,
}
LIST = {"type": "array", "items": ITEM}
PAGE = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "items": LIST, "total": {"type": "integer"}},
    "required": ["items"],
}
items = st.lists(
    st.fixed_dictionaries({"n": st.integers(-9, 9)}, optional={"s": st.sampled_from(["", "a", "éé", "zz"])}), max_size=6
)
cuts = st.lists(st.integers(0, 150), max_size=10)


def events_of(gate: lockgate.Gate, pieces: Any, *, clean: bool = True) -> list[Any]:
    events = [event for piece in pieces for event in gate.feed(piece)]
    return events + gate.close(clean=clean)


def released(events: list[Any]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Released))


def elements(events: list[Any]) -> list[Element]:
    return [event for event in events if isinstance(event, Element)]


def check_order(events: list[Any]) -> None:
    """Every element comes after the release of its last byte."""
    at = 0
    for event in events:
        match event:
            case Released(data=data):
                at += len(data)
            case Element(end=end):
                assert end <= at


# -- elements --------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(items, cuts, st.sampled_from([None, 1]), st.booleans(), st.sampled_from(["prefix", "element"]))
def test_elements_are_handed_out_whole(
    values: list[Any], at: list[int], indent: int | None, is_root: bool, mode: Any
) -> None:
    """Bytes of each element, in order, whatever the cuts; the text itself is released unchanged."""
    document: Any = values if is_root else {"title": "t", "items": values, "total": len(values)}
    text = json.dumps(document, ensure_ascii=False, indent=indent).encode()
    schema, pointer = (LIST, "") if is_root else (PAGE, "/items")
    gate = lockgate.compile(schema).gate(elements=pointer, release=mode)
    events = events_of(gate, cut(text, at))
    check_order(events)
    assert released(events) == text
    assert [json.loads(text[one.start : one.end]) for one in elements(events)] == values
    assert [one.path for one in elements(events)] == [f"{pointer}/{index}" for index in range(len(values))]
    assert isinstance(events[-1], Completed)
    assert gate.authority == "elements"


def test_scalars_are_elements_too() -> None:
    gate = lockgate.compile({"type": "array"}).gate(elements="")
    text = b'[1, "a", true, null, -2.5e1, [], {"x":[1]}]'
    found = [text[one.start : one.end] for one in elements(events_of(gate, [text]))]
    assert found == [b"1", b'"a"', b"true", b"null", b"-2.5e1", b"[]", b'{"x":[1]}']


def test_only_the_declared_array_is_handed_out() -> None:
    text = b'{"a/b": {"items": [[1], [2]]}, "items": [3], "x": {"a/b": {"items": [4]}}}'
    gate = lockgate.compile(True).gate(elements="/a~1b/items")
    assert [one.path for one in elements(events_of(gate, [text]))] == ["/a~1b/items/0", "/a~1b/items/1"]


def test_what_is_finished_is_let_go() -> None:
    """Memory does not grow with the number of elements: the kept text is that of one element."""
    gate = lockgate.compile(LIST).gate(elements="")
    gate.feed(b"[")
    for _ in range(2000):
        gate.feed(b'{"n": 1, "s": "abcdefgh"},')
    assert len(gate._kept.data) < 100  # type: ignore[attr-defined]


def test_a_limit_for_documents_is_not_one_for_elements() -> None:
    schema = lockgate.compile(LIST, limits=lockgate.Limits(max_document_bytes=100))
    text = b"[" + b",".join([b'{"n":1}'] * 100) + b"]"
    assert events_of(schema.gate(elements=""), [text])[-1] == Completed(len(text))
    assert any(isinstance(event, Violated) for event in events_of(schema.gate(), [text]))


# -- lines -----------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    items,
    cuts,
    st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n \n"]),
    st.booleans(),
    st.sampled_from(["prefix", "element"]),
)
def test_lines(values: list[Any], at: list[int], ending: bytes, ends: bool, mode: Any) -> None:
    """Each line is judged by itself; blank ones are skipped; the bytes are unchanged."""
    lines = [json.dumps(value, ensure_ascii=False).encode() for value in values]
    text = ending.join(lines) + (ending if ends else b"")
    gate = lockgate.compile(ITEM).gate(framing="ndjson", release=mode)
    events = events_of(gate, cut(text, at))
    check_order(events)
    assert released(events) == text
    assert [json.loads(text[one.start : one.end]) for one in elements(events)] == values
    assert [one.path for one in elements(events)] == [f"/{index}" for index in range(len(values))]
    assert gate.state == ("complete" if values else "incomplete")


@pytest.mark.parametrize(
    ("text", "code", "path", "good"),
    [
        pytest.param(b'{"n":1}\n{"n":"x"}\n', "schema_violation", "/1/n", b'{"n":1}\n{"n":', id="second line"),
        pytest.param(b'{"n":1}\n{"n":\n1}\n', "invalid_json", "/1", b'{"n":1}\n{"n":', id="a document over two lines"),
        pytest.param(b'{"n":1} {"n":2}\n', "trailing_text", "/0", b'{"n":1} ', id="two documents on one line"),
        pytest.param(b'{"n":1}\n{"n":2', "truncated", "/1", b'{"n":1}\n{"n":2', id="broken off"),
    ],
)
def test_a_bad_line_is_named(text: bytes, code: str, path: str, good: bytes) -> None:
    for pieces in ([text], cut(text, range(len(text)))):
        gate = lockgate.compile(ITEM).gate(framing="ndjson")
        events = events_of(gate, pieces)
        (violation,) = [event for event in events if isinstance(event, Violated)]
        assert (violation.code, violation.path) == (code, path)
        assert released(events) == good
        assert violation.upstream_at == violation.at == len(good)
        assert gate.state == ("incomplete" if code == "truncated" else "halted")


def test_lines_that_broke_off_are_not_complete() -> None:
    gate = lockgate.compile(ITEM).gate(framing="ndjson")
    gate.feed(b'{"n":1}\n')
    assert [event.code for event in gate.close(clean=False) if isinstance(event, Violated)] == ["truncated"]
    assert gate.state == "incomplete"


# -- holding ---------------------------------------------------------------------------------------------------------


def test_release_by_document_holds_until_it_is_proven() -> None:
    gate = lockgate.compile(PAGE).gate(release="document")
    text = b'{"items": [{"n": 1}]}'
    assert gate.feed(text[:-1]) == []
    assert gate.held_bytes == len(text) - 1
    assert gate.feed(text[-1:]) == [Released(text, 0)]
    assert gate.close() == [Completed(len(text))]


def test_release_by_document_releases_nothing_of_a_bad_one() -> None:
    gate = lockgate.compile(PAGE).gate(release="document")
    (violation,) = gate.feed(b'{"items": [{"n": "x"}]}')
    assert isinstance(violation, Violated)
    assert (violation.at, violation.upstream_at) == (0, 17)


def test_release_by_element_keeps_a_bad_element_back() -> None:
    gate = lockgate.compile(PAGE).gate(elements="/items", release="element")
    events = gate.feed(b'{"items": [{"n": 1}, {"n": 2, "s": "B"}]}')
    assert released(events) == b'{"items": [{"n": 1}, '
    assert len(elements(events)) == 1
    assert gate.state == "halted"


# -- the value so far, and what may come -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param(b"", None, id="nothing"),
        pytest.param(b'{"a', {}, id="an open name"),
        pytest.param(b'{"a": ', {}, id="a name without a value"),
        pytest.param(b'{"a": "b\\u00e9c', {"a": "béc"}, id="an open string"),
        pytest.param(b'{"a": [1, 2', {"a": [1]}, id="an open number"),
        pytest.param(b'{"a": [1, 2,', {"a": [1, 2]}, id="a finished number"),
        pytest.param(b'{"a": tru', {}, id="an open literal"),
        pytest.param(b'{"a": true', {"a": True}, id="a finished literal"),
        pytest.param(b"nul", None, id="an open root literal"),
        pytest.param(b'[null, {"x": {}}, -1.5e1]', [None, {"x": {}}, -15.0], id="the whole"),
        pytest.param(b'["a\\ud83d', ["a"], id="half an escape is not released"),
    ],
)
def test_snapshot(text: bytes, value: Any) -> None:
    """Open strings are included; open numbers, literals and names are left out; nothing is guessed."""
    gate = lockgate.compile(True).gate()
    gate.feed(text)
    assert gate.snapshot() == value


@settings(max_examples=150, deadline=None)
@given(items, st.integers(0, 200))
def test_snapshots_only_grow(values: list[Any], count: int) -> None:
    text = json.dumps({"items": values}).encode()
    gate = lockgate.compile(PAGE).gate()
    gate.feed(text[:count])
    partial = gate.snapshot()
    gate.feed(text[count:])
    whole = gate.snapshot()
    assert whole == {"items": values}
    assert partial is None or len(partial.get("items", [])) <= len(values)


def test_snapshot_needs_the_text() -> None:
    for gate in (lockgate.compile(True).gate(elements=""), lockgate.compile(True).gate(framing="ndjson")):
        with pytest.raises(Misuse, match="whole text"):
            gate.snapshot()


@pytest.mark.parametrize(
    ("text", "awaits", "expected"),
    [
        pytest.param(b"", "value", {"kinds": ("object",)}, id="the root"),
        pytest.param(b"{", "name or }", {"names": ("kind", "n", "tags"), "required": ("n",)}, id="names"),
        pytest.param(b'{"n": 1, ', "name", {"names": ("kind", "tags"), "required": ()}, id="names left"),
        pytest.param(b'{"n":', "value", {"kinds": ("number",)}, id="a member"),
        pytest.param(b'{"kind": "a', "string", {"continuations": ("lpha", "rgo")}, id="an enum"),
        pytest.param(b'{"tags": [', "element or ]", {"kinds": ("string", "null")}, id="elements"),
        pytest.param(b'{"tags": ["", ""', "comma", {}, id="between elements"),
        pytest.param(b'{"n": 1}', "end", {}, id="the end"),
    ],
)
def test_expected(text: bytes, awaits: str, expected: dict[str, Any]) -> None:
    schema = {
        "type": "object",
        "properties": {
            "n": {"type": "integer"},
            "kind": {"enum": ["alpha", "argo", "beta"]},
            "tags": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "maxItems": 2},
        },
        "required": ["n"],
        "additionalProperties": False,
    }
    gate = lockgate.compile(schema).gate()
    gate.feed(text)
    found = gate.expected()
    assert found.awaits == awaits
    for name, value in expected.items():
        got = getattr(found, name)
        assert (sorted(got), name) == (sorted(value), name)


def test_checkpoint_is_what_was_released() -> None:
    gate = lockgate.compile(True).gate()
    gate.feed(b'"ab\\u00')
    assert gate.checkpoint == gate.released_bytes == 3


def test_options_that_exclude_each_other_are_misuse() -> None:
    schema = lockgate.compile(True)
    for options in (
        {"release": "element"},
        {"framing": "ndjson", "elements": ""},
        {"framing": "xml"},
        {"elements": "items"},
    ):
        with pytest.raises(Misuse):
            schema.gate(**options)  # type: ignore[arg-type]


# -- the short way ---------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(items, cuts, st.integers(0, 200), st.sampled_from(["", "x", '"', "}", "\\", "é"]))
def test_the_short_way_through_feed_does_what_the_long_way_does(
    values: list[Any], at: list[int], where: int, junk: str
) -> None:
    """bytes take the short way, a bytearray the long one: same events, for good and bad documents."""
    text = json.dumps({"items": values}).encode()
    text = text[:where] + junk.encode() + text[where:]
    schema = lockgate.compile(PAGE)
    short, long = schema.gate(), schema.gate()
    for piece in cut(text, at):
        assert short.feed(piece) == long.feed(bytearray(piece))  # type: ignore[arg-type]
        assert short.held_bytes == long.held_bytes
    assert short.close() == long.close()
    assert short.state == long.state


@pytest.mark.parametrize(
    "item",
    [
        {"$schema": "http://json-schema.org/draft-04/schema#", "type": "integer"},
        {
            "$dynamicRef": "#item",
            "$defs": {
                "item": {"$dynamicAnchor": "item", "type": "integer"},
                "other": {"$id": "http://127.0.0.1/other", "$dynamicAnchor": "item"},
            },
        },
    ],
)
def test_elements_that_only_the_whole_document_judges_are_not_handed_out(item: Any) -> None:
    """What is handed out was judged; where that can not be, it is refused, and lines are documents of their own."""
    schema = lockgate.compile({"type": "array", "items": item})
    with pytest.raises(Misuse, match="elements cannot be judged one by one"):
        schema.gate(elements="")
    assert schema.gate(framing="ndjson").feed(b"[1]\n")


# -- what callers get and give -------------------------------------------------------------------------------------


def test_an_element_brings_its_text_and_its_value() -> None:
    """What was released of it, patches included; elements and lines, whatever the cuts."""
    schema = lockgate.compile({"properties": {"items": {"items": {"type": "object"}}}})
    text = b'{"items": [ {"a": "\xc3\xa9"} , {"b": [1.5, null]}]}'
    for size in (1, 3, len(text)):
        gate = schema.gate(elements="/items")
        events = [event for at in range(0, len(text), size) for event in gate.feed(text[at : at + size])]
        elements = [event for event in events if isinstance(event, lockgate.Element)]
        assert [element.data for element in elements] == [text[element.start : element.end] for element in elements]
        assert [element.value() for element in elements] == [{"a": "é"}, {"b": [1.5, None]}]


@pytest.mark.parametrize("recovery", ["halt", "skip", "patch"])
def test_a_line_brings_its_text_and_its_value(recovery: Any) -> None:
    gate = lockgate.compile({"type": "object"}).gate(recovery, framing="ndjson")
    text = b'{"a": 1}\n\n {"b": 2}\n' + (b"{'c': 3}" if recovery == "patch" else b'{"c": 3}')
    events = [*gate.feed(text), *gate.close()]
    released = b"".join(event.data for event in events if isinstance(event, lockgate.Released))
    elements = [event for event in events if isinstance(event, lockgate.Element)]
    assert [element.data for element in elements] == [released[element.start : element.end] for element in elements]
    assert [element.value() for element in elements] == [{"a": 1}, {"b": 2}, {"c": 3}]


@pytest.mark.parametrize(
    ("gate", "again"),
    [(lockgate.compile(True).gate(mode, framing=framing), lockgate.compile(True).gate(mode, framing=framing))
     for mode in ("halt", "skip", "patch") for framing in ("json", "ndjson")]
    + [(lockgate.passthrough(), lockgate.passthrough())],
    ids=range(7),
)  # fmt: skip
def test_text_may_be_fed_as_it_is(gate: lockgate.Gate, again: lockgate.Gate) -> None:
    pieces = ['{"é', '": "😀', 'x"}', ""]
    assert [gate.feed(piece) for piece in pieces] == [again.feed(piece.encode()) for piece in pieces]
    assert gate.close() == again.close()


def test_half_a_surrogate_pair_is_no_text() -> None:
    gate = lockgate.compile(True).gate()
    (released, violated) = gate.feed('"\ud800"')
    assert isinstance(released, lockgate.Released)
    assert isinstance(violated, lockgate.Violated)
    assert (released.data, violated.code) == (b'"', "invalid_utf8")
