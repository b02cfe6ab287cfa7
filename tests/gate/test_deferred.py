"""A gate whose last authority is asked elsewhere: it holds the closing byte, and says the same in the end."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lockgate
from lockgate import Completed, Misuse, Released, Violated
from tests.gate.runs import Run, cut, judge

SCHEMA = lockgate.compile({"type": "array", "items": {"type": ["integer", "string"]}})


def run_deferred(pieces: Iterable[bytes], complaint: tuple[str, str, str] | None = None) -> tuple[Run, int]:
    """Feed a gate that defers everything, settling as soon as it asks; and how often it asked."""
    gate, released, violations, asked = SCHEMA.deferring_gate(0), bytearray(), list[Violated](), 0
    events: list[Any] = []
    for piece in pieces:
        events += gate.feed(piece)
        if gate.deferred is not None:
            asked += 1
            assert gate.held_bytes >= 1, "the closing byte is held"
            assert json.loads(gate.deferred) is not None
            events += gate.settle(complaint if complaint else SCHEMA.complaint(gate.deferred))
    events += gate.close()
    for event in events:
        match event:
            case Released(data=data, at=at):
                assert at == len(released)
                released += data
            case Violated():
                violations.append(event)
            case Completed(at=at):
                assert at == len(released)
    return Run(bytes(released), tuple(violations), gate.state), asked


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-99, 99) | st.sampled_from(["", "é", "xyz"]), max_size=6),
    st.sampled_from(["", " \n", " x", "[1]", "\\", "é", "]"]),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_the_outcome_is_that_of_a_gate_that_does_not_defer(values: list[Any], tail: str, at: list[int]) -> None:
    """Also where something wrong follows the document in the same piece: the authority speaks first."""
    text = (json.dumps(values, ensure_ascii=False) + tail).encode()
    found, asked = run_deferred(cut(text, at))
    assert found == judge(SCHEMA, text)
    assert asked == 1


def test_what_the_authority_refuses_is_not_released() -> None:
    found, _ = run_deferred([b"[1, 2] "], ("schema_violation", "/items", "no"))
    assert (found.released, found.state) == (b"[1, 2", "halted")
    assert [(one.code, one.upstream_at) for one in found.violations] == [("authority_disagreement", 5)]


def test_nothing_else_is_done_before_it_is_settled() -> None:
    gate = SCHEMA.deferring_gate(0)
    gate.feed(b"[]")
    with pytest.raises(Misuse, match="settle"):
        gate.feed(b" ")
    with pytest.raises(Misuse, match="settle"):
        gate.close()
    assert gate.settle(None) == [Released(b"]", 1)]
    with pytest.raises(Misuse, match="without"):
        gate.settle(None)


def test_short_documents_are_not_deferred() -> None:
    gate = SCHEMA.deferring_gate(10)
    assert gate.feed(b"[1,2,3,4]") == [Released(b"[1,2,3,4]", 0)]
    assert gate.deferred is None
