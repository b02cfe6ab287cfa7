"""The value of a released text while it grows: what ``value_of`` says of each prefix, spelled as the text spells it."""

from __future__ import annotations

import copy
import json
import random
import statistics
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lockgate
from lockgate import Limits
from lockgate.gate.partial import PartialValue
from lockgate.gate.values import NOTHING, GrowingValue, value_of
from tests.gate.schema_shapes import count_work

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(documents, st.booleans(), st.sampled_from([None, 1]))
def test_each_prefix_has_the_value_that_a_parse_finds(document: Any, is_ascii: bool, indent: int | None) -> None:
    """Whatever a gate releases, character by character."""
    gate, growth, released = lockgate.compile(True).gate(), PartialValue(), b""
    for character in json.dumps(document, ensure_ascii=is_ascii, indent=indent):
        for event in gate.feed(character.encode()):
            assert isinstance(event, lockgate.Released)
            released += event.data
            growth.feed(event.data)
        expected, value = value_of(released, Limits()), growth.value()
        assert (NOTHING if value is None else json.loads(released[: value.end] + value.closers)) == expected


def test_numbers_keep_their_spelling() -> None:
    growth = PartialValue()
    growth.feed(b'{"a": 1.0, "b": 123456789012345678901234567890, "c": 2')
    assert growth.value() == (len(b'{"a": 1.0, "b": 123456789012345678901234567890'), b"}")


def test_where_it_grows() -> None:
    """The path, the members that are done, and the count of a root array's elements."""
    growth = PartialValue()
    seen = []
    for piece in (b'{"a/b', b'": [1, ', b'{"x', b'": 2}], ', b'"c": ', b"3}"):
        growth.feed(piece)
        seen.append((growth.path, list(growth.members_done)))
    assert seen == [
        ("", []),
        ("/a~1b/1", []),
        ("/a~1b/1", []),
        ("", ["a/b"]),
        ("/c", ["a/b"]),
        ("", ["a/b", "c"]),
    ]
    rows = PartialValue()
    rows.feed(b"[1, [2], 3")
    assert (rows.elements_done, rows.path) == (2, "/2")


@settings(max_examples=150, deadline=None)
@given(documents, st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_a_snapshot_is_the_value_of_what_is_released_and_stays_it(document: Any, sizes: list[int]) -> None:
    """At any byte, in any pieces; and an earlier one is not changed by what comes later."""
    text = json.dumps(document).encode()
    gate = lockgate.compile(True).gate()
    seen: list[tuple[Any, Any]] = []
    at = 0
    while at < len(text) and gate.state == "open":
        size = sizes[at % len(sizes)]
        gate.feed(text[at : at + size])
        at += size
        expected = value_of(text[: gate.released_bytes], Limits())
        seen.append((gate.snapshot(), None if expected is NOTHING else expected))
    assert all(found == expected for found, expected in seen)


@settings(max_examples=150, deadline=None)
@given(documents, st.randoms(use_true_random=False))
def test_a_snapshot_that_somebody_holds_is_never_changed(document: Any, dice: random.Random) -> None:
    """Whole or in part, for ever or for some steps; what nobody holds may grow into a later one."""
    text = json.dumps(document).encode()
    growing, held, at = GrowingValue(Limits()), [], 0
    while at < len(text):
        size = dice.randrange(1, 9)
        growing.feed(text[at : at + size])
        at += size
        value = growing.value()
        assert value == value_of(text[:at], Limits())
        if value is not NOTHING:
            found = part_of(value, dice)
            held.append((found, copy.deepcopy(found)))
        if dice.random() < 0.5:
            held = dice.sample(held, dice.randrange(len(held) + 1))
        assert all(found == expected for found, expected in held)


def part_of(value: Any, dice: random.Random) -> Any:
    """The value, or something in it."""
    while isinstance(value, (list, dict)) and value and dice.random() < 0.7:
        value = dice.choice(list(value.values()) if isinstance(value, dict) else value)
    return value


@pytest.mark.parametrize(
    ("begin", "unit"),
    [
        pytest.param("[", '"element",', id="elements"),
        pytest.param('{"rows":[', '{"a":[1,2]},', id="elements of a member"),
        pytest.param("{", '"%06d":"é",', id="members"),
    ],
)
def test_a_snapshot_of_much_takes_little_memory(begin: str, unit: str) -> None:
    """Whoever holds the last one only gets the one before it, grown: 10,000 elements are not copied for one more."""
    gate = lockgate.compile(True).gate()
    gate.feed(begin)
    for number in range(10_000):
        gate.feed(unit % number if "%" in unit else unit)
    value: Any = None
    peaks = []
    for number in range(10_000, 10_020):
        gate.feed(unit % number if "%" in unit else unit)
        tracemalloc.start()
        value = gate.snapshot()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(value.get("rows", value) if isinstance(value, dict) else value) == 10_020
    # The first two are new, and a list or dict that grows is moved now and then: none of these is for each snapshot.
    assert statistics.median(peaks) < 5_000, "a copy has 80,000 bytes at least"


@pytest.mark.parametrize("unit", ["word\\n", '","', '"},{"a":"'])
def test_snapshots_after_each_delta_cost_what_has_changed(unit: str) -> None:
    """Of strings, of lists and of objects in them: four times the text is four times the work."""

    def work(count: int) -> int:
        text = ('[{"a":"' if "a" in unit else '["') + unit * count
        gate = lockgate.compile({"type": "array"}).gate()

        def run() -> None:
            for at in range(0, len(text), 8):
                gate.feed(text[at : at + 8].encode())
                gate.snapshot()
                gate.expected()

        return count_work(10**9, run)[0]

    assert work(400) < 5 * work(100)


@pytest.mark.parametrize("schema", [{}, {"uniqueItems": True}], ids=["free", "built"])
def test_numbers_of_a_snapshot_keep_their_kind_and_all_digits(schema: dict[str, Any]) -> None:
    """In each build: what is an integer or a double by its value is no double for a compiler."""
    text = b'[1,-7,9007199254740993,123456789012345678901234567890,1.0,-0,1e2,{"n":[9007199254740995]}]'
    gate = lockgate.compile(schema).gate()
    gate.feed(text)
    assert repr(gate.snapshot()) == repr(json.loads(text))


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"uniqueItems": True}, b"[9007199254740993,9007199254740992]"),
        ({"items": {"enum": [9007199254740993]}}, b"[9007199254740993]"),
        ({"items": {"maximum": 9007199254740992}}, b"[9007199254740992]"),
        ({"items": {"anyOf": [{"const": 9007199254740993}, {"type": "string"}]}}, b"[9007199254740993]"),
    ],
)
def test_integers_are_compared_with_all_digits(schema: dict[str, Any], text: bytes) -> None:
    """The next integer has the same double."""
    assert outcome(schema, text) == "complete"
    if "uniqueItems" not in schema:
        wrong = text.replace(b"992", b"994").replace(b"993", b"992").replace(b"994", b"993")
        assert outcome(schema, wrong) == "halted"


def outcome(schema: dict[str, Any], text: bytes) -> str:
    gate = lockgate.compile(schema).gate()
    gate.feed(text)
    gate.close()
    return gate.state
