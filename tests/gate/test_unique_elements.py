"""Equal elements are told as the authority tells them, at the end of the second one, also after the text went back."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
from hypothesis import given
from hypothesis import strategies as st

import lockgate
from lockgate.gate.schema.unique_elements import UniqueElements

_SCALARS = st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "1", "a", "true"])
_VALUES = st.recursive(_SCALARS, lambda one: st.lists(one, max_size=2) | st.dictionaries(st.sampled_from("ab"), one))
_AUTHORITY = jsonschema_rs.Draft202012Validator({"uniqueItems": True})


def is_pair_equal(first: Any, second: Any) -> bool:
    return not _AUTHORITY.is_valid([first, second])


@given(st.lists(_VALUES, max_size=8))
def test_equal_is_what_the_authority_calls_equal(values: list[Any]) -> None:
    elements = UniqueElements()
    for index, value in enumerate(values):
        first = next((at for at in range(index) if is_pair_equal(values[at], value)), None)
        assert elements.add(index, value) == first


@given(st.lists(_SCALARS, min_size=1, max_size=8), st.data())
def test_what_was_taken_back_is_forgotten(values: list[Any], data: st.DataObject) -> None:
    """After going back, a fork or not, it says what one would say that never saw the rest."""
    back = data.draw(st.integers(0, len(values) - 1))
    seen, fresh = UniqueElements(), UniqueElements()
    for index, value in enumerate(values):
        seen.add(index, value)
        if index < back:
            fresh.add(index, value)
    again = data.draw(_SCALARS)
    fork = seen.fork()
    assert seen.add(back, again) == fork.add(back, again) == fresh.add(back, again)


def test_the_end_of_the_second_one() -> None:
    """An equal element is not released as a whole; what is skipped does not count."""
    schema = lockgate.compile({"uniqueItems": True})
    gate = schema.gate()
    events = gate.feed(b'["a", "b", "a", "c"]')
    assert [event.upstream_at for event in events if isinstance(event, lockgate.Violated)] == [13]
    gate = schema.gate(recovery="skip", elements="")
    events = [*gate.feed(b'["a", "b", "a", "c", "b", "a"]'), *gate.close()]
    text = b"".join(event.data for event in events if isinstance(event, lockgate.Released))
    assert json.loads(text) == ["a", "b", "c"]
    assert gate.state == "complete"


def test_one_element_costs_no_more_than_its_bound() -> None:
    """What is large or deep is left to the closing bracket."""
    large = list(range(2_000))
    deep: Any = 1
    for _ in range(50):
        deep = [deep]
    for value in (large, deep, 0.5):
        elements = UniqueElements()
        assert [elements.add(index, value) for index in range(2)] == [None, None]
        gate = lockgate.compile({"uniqueItems": True}).gate()
        text = json.dumps([value, value]).encode()
        assert [event.at for event in gate.feed(text) if isinstance(event, lockgate.Violated)] == [len(text) - 1]
