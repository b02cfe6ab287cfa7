"""A gate is rebuilt from what it released: every kind of gate, whatever it would hold back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lockgate
from lockgate import Event, Gate, Misuse, Released
from tests.gate.runs import cut

SCHEMA = lockgate.compile({"type": "array", "items": {"type": ["integer", "string", "object"]}})
LINE = lockgate.compile({"type": ["integer", "string", "object"]})

values = st.lists(st.integers(0, 99) | st.sampled_from(["", "é", "x\ny"]) | st.just({"a": 1}), max_size=5)
cuts = st.lists(st.integers(0, 60), max_size=5)


def released(events: list[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Released))


def check(make: Any, text: bytes, at: list[int], length: int) -> None:
    """Feed the beginning to one gate, what it released to another, and the rest to that one."""
    first: Gate = make()
    before = released(first.feed(text[:length]))
    gate: Gate = make()
    events = [event for piece in cut(before, at) for event in gate.restore(piece)]
    assert released(events) == before
    assert all(isinstance(event, Released) for event in events)
    assert (gate.held_bytes, gate.released_bytes, gate.state) == (0, len(before), "open")
    rest = [event for piece in cut(text[len(before) :], at) for event in gate.feed(piece)] + gate.close()
    assert released(rest) == text[len(before) :]
    assert gate.state == "complete"


@settings(max_examples=200, deadline=None)
@given(
    values,
    cuts,
    st.integers(0, 60),
    st.sampled_from(["halt", "patch", "skip"]),
    st.sampled_from([None, ""]),
    st.sampled_from(["prefix", "document"]),
)
def test_of_a_document(value: Any, at: list[int], length: int, recovery: Any, elements: Any, release: Any) -> None:
    text = json.dumps(value, ensure_ascii=False).encode()
    check(lambda: SCHEMA.gate(recovery, elements=elements, release=release), text, at, length)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(values.map(lambda some: some[0] if some else 7), min_size=1, max_size=4),
    cuts,
    st.integers(0, 60),
    st.sampled_from(["halt", "patch", "skip"]),
    st.sampled_from(["prefix", "element"]),
)
def test_of_lines(lines: list[Any], at: list[int], length: int, recovery: Any, release: Any) -> None:
    text = b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)
    check(lambda: LINE.gate(recovery, framing="ndjson", release=release), text, at, length)


def test_of_plain_text() -> None:
    gate = lockgate.passthrough()
    assert released([event for piece in cut("aé".encode(), [2]) for event in gate.restore(piece)]) == "aé".encode()
    assert released(gate.feed(b"b")) == b"b"


def test_it_may_be_longer_than_the_authority_is_shown() -> None:
    limits = lockgate.Limits(authority_max_bytes=4)
    for recovery in ("halt", "patch", "skip"):
        gate = lockgate.compile(True, limits=limits).gate(recovery)
        gate.restore(b"[1,2,")
        assert gate.authority == "checks"
        assert released(gate.feed(b"3]") + gate.close()) == b"3]"
        assert gate.state == "complete"


@pytest.mark.parametrize("recovery", ["halt", "patch", "skip"])
@pytest.mark.parametrize("framing", ["json", "ndjson"])
@pytest.mark.parametrize("text", [b'{"a":]', b'["\xff"]', b"[]x"])
def test_what_no_gate_released_is_refused(recovery: Any, framing: Any, text: bytes) -> None:
    gate = lockgate.compile(True).gate(recovery, framing=framing)
    with pytest.raises(Misuse, match="restore takes text that a gate has released"):
        gate.restore(text)


def test_plain_text_that_no_gate_released_is_refused() -> None:
    with pytest.raises(Misuse, match="restore takes text that a gate has released"):
        lockgate.passthrough().restore(b"\xff")
