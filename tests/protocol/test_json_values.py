"""Values of a JSON text are counted without reading it: never too few, and hardly too many."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.protocol.json_values import has_more_values

_MARKED = st.text(alphabet='a",[{\\]}:é', max_size=6)
_VALUES = st.recursive(
    st.none() | st.integers() | _MARKED,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(_MARKED, inner, max_size=6),
    max_leaves=60,
)


def count(value: Any) -> int:
    """Elements and members, at any depth, and the containers."""
    if isinstance(value, dict):
        return 1 + sum(map(count, value.values()))
    return 1 + sum(map(count, value)) if isinstance(value, list) else 1


def strings(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(strings, value.values()))
    return sum(map(strings, value)) if isinstance(value, list) else isinstance(value, str)


@given(value=_VALUES, most=st.integers(1, 40), escaped=st.booleans())
def test_it_says_what_a_reader_would_find(value: Any, most: int, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped).encode()
    says_more = has_more_values(text, most)
    # An empty container looks like one with an element.
    if count(value) > 2 * most:
        assert says_more
    if 2 * count(value) < most and strings(value) < most:
        assert not says_more


@pytest.mark.parametrize(
    ("text", "is_more"),
    [
        (b"[" + b"0," * 2_000_000 + b"0]", True),
        (b"[" + b"{}," * 1_300_000 + b"{}]", True),
        (b"[" + b'"",' * 1_300_000 + b'""]', True),
        (b'{"content": "' + b"1,2,[{" * 600_000 + b'"}', False),
        (b'{"content": "' + b'\\"' * 2_000_000, False),
    ],
    ids=["zeros", "empty objects", "empty strings", "a table in a string", "a string of quotes without an end"],
)
def test_small_values_in_large_texts(text: bytes, is_more: bool) -> None:
    assert has_more_values(text, 300_000) is is_more
