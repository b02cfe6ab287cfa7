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
from lockgate.gate.events import Complaint, Recovery
from tests.gate.runs import Run, cut, judge

SCHEMA = lockgate.compile({"type": "array", "items": {"type": ["integer", "string"]}})


def run_deferred(pieces: Iterable[bytes], complaint: Complaint | None = None) -> tuple[Run, int]:
    """Feed a gate that defers everything, settling as soon as it asks; and how often it asked."""
    gate, released, violations, asked = SCHEMA.gate(defer_over_bytes=0), bytearray(), list[Violated](), 0
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
    found, _ = run_deferred([b"[1, 2] "], Complaint("schema_violation", "/items", "no"))
    assert (found.released, found.state) == (b"[1, 2", "halted")
    assert [(one.code, one.upstream_at) for one in found.violations] == [("authority_disagreement", 5)]


def test_nothing_else_is_done_before_it_is_settled() -> None:
    gate = SCHEMA.gate(defer_over_bytes=0)
    gate.feed(b"[]")
    with pytest.raises(Misuse, match="settle"):
        gate.feed(b" ")
    with pytest.raises(Misuse, match="settle"):
        gate.close()
    assert gate.settle(None) == [Released(b"]", 1)]
    with pytest.raises(Misuse, match="without"):
        gate.settle(None)


def test_short_documents_are_not_deferred() -> None:
    gate = SCHEMA.gate(defer_over_bytes=10)
    assert gate.feed(b"[1,2,3,4]") == [Released(b"[1,2,3,4]", 0)]
    assert gate.deferred is None


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["patch", "skip"]),
    st.lists(st.integers(-99, 99) | st.sampled_from(["", "é", "xyz", None]), max_size=6),
    st.sampled_from(["", " \n", " x", "[1]", "\\", "é", "]", "\n```"]),
    st.sampled_from([",", " ", ",,"]),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_with_recovery_too(recovery: Recovery, values: list[Any], tail: str, comma: str, at: list[int]) -> None:
    """Same released bytes, events and state as a gate that asks by itself."""
    text = ("[" + comma.join(json.dumps(value, ensure_ascii=False) for value in values) + "]" + tail).encode()
    plain, deferring = SCHEMA.gate(recovery, elements=None), SCHEMA.gate(recovery, defer_over_bytes=0)
    wanted, found = list[Any](), list[Any]()
    for piece in cut(text, at):
        wanted += plain.feed(piece)
        found += deferring.feed(piece)
        if deferring.deferred is not None:
            assert deferring.held_bytes >= 1, "the closing byte is held"
            found += deferring.settle(SCHEMA.complaint(deferring.deferred))
    wanted += plain.close()
    found += deferring.close()
    assert deferring.state == plain.state
    assert _text(found) == _text(wanted)
    assert [one for one in found if not isinstance(one, Released)] == [
        one for one in wanted if not isinstance(one, Released)
    ]


def _text(events: list[Any]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Released))


@pytest.mark.parametrize("recovery", ["halt", "patch", "skip"])
def test_a_document_that_ends_in_a_string_is_deferred_too(recovery: Recovery) -> None:
    """Only a string that is the whole document may turn out to go on behind its quote."""
    gate = SCHEMA.gate(recovery, defer_over_bytes=0)
    gate.feed(b'[1, "x"]')
    assert gate.deferred == b'[1, "x"]'


@pytest.mark.parametrize("recovery", ["patch", "skip"])
def test_what_the_authority_refuses_is_not_released_with_recovery(recovery: Recovery) -> None:
    gate = SCHEMA.gate(recovery, defer_over_bytes=0)
    events: list[Any] = gate.feed(b"[1, 2] x")
    with pytest.raises(Misuse, match="settle"):
        gate.feed(b" ")
    events += gate.settle(Complaint("schema_violation", "/items", "no"))
    assert (_text(events), gate.state) == (b"[1, 2", "halted")
    said = events[-1]
    assert isinstance(said, Violated)
    assert (said.code, said.upstream_at, said.at) == ("authority_disagreement", 5, 5)
