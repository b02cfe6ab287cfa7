"""Offsets: sortable as text, legal everywhere, and never guessed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.protocol.offsets import START, Offset, parse_offset

offsets = st.builds(Offset, st.integers(0, 9999), st.integers(0, 10**16 - 1))


@given(offsets, offsets)
def test_text_sorts_like_positions(one: Offset, other: Offset) -> None:
    assert (str(one) < str(other)) == (one < other)


@given(offsets)
def test_what_is_written_is_read_back(offset: Offset) -> None:
    assert parse_offset(str(offset)) == offset
    assert re.fullmatch(r"[0-9_]{21}", str(offset))


def test_minus_one_is_the_start() -> None:
    assert parse_offset("-1") == START == parse_offset("0000_0000000000000000")


@pytest.mark.parametrize(
    "written", ["", "now", "1", "0001_12", "0001-0000000000000012", "0001_000000000000001x", "²" * 21]
)
def test_anything_else_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        parse_offset(written)
