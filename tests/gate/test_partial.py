"""The value of a released text while it grows: what ``value_of`` says of each prefix, spelled as the text spells it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import lockgate
from lockgate import Limits
from lockgate.gate.partial import PartialValue
from lockgate.gate.values import NOTHING, value_of

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
