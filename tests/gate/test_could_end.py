"""Whether a text could end where it stands: asked before it is known how upstream ends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import lockgate
from lockgate import Gate, Schema
from lockgate.gate.events import Framing, Recovery
from tests.gate.runs import cut
from tests.gate.test_promises import COMPILED, damaged, documents

ANYTHING = lockgate.compile(True)
WHITE = ["", " ", "\n", " \t\n\r  "]

begun = st.builds(lambda text, length: text[:length], damaged() | documents(), st.integers(0, 60))
cuts = st.lists(st.integers(0, 80), max_size=6)
schemas = st.sampled_from([ANYTHING, COMPILED, lockgate.compile({"multipleOf": 2})])


def fed(gate: Gate, pieces: Iterable[bytes]) -> Gate:
    for piece in pieces:
        gate.feed(piece)
    return gate


@settings(max_examples=400, deadline=None)
@given(schemas, begun, cuts, st.sampled_from(WHITE), st.sampled_from(["json", "ndjson"]))
@example(ANYTHING, b'{"a": 1', [], " ", "json")
@example(ANYTHING, b"1", [], "\n", "json")
@example(ANYTHING, b"-", [], "", "json")
@example(ANYTHING, b"{}\n ", [], "", "ndjson")
@example(ANYTHING, b'{}\n{"a": 1', [], "", "ndjson")
@example(ANYTHING, b"\xc3", [], "", "json")
def test_it_could_end_where_closing_would_not_call_it_incomplete(
    schema: Schema, text: bytes, at: list[int], white: str, framing: Framing
) -> None:
    """In whatever pieces it came, and whatever white space stands before it."""
    gate = fed(schema.gate(framing=framing), [text])
    could_end = gate.could_end()
    for other in (cut(text, at), [white.encode(), *cut(text, at)], cut(white.encode() + text, at)):
        assert fed(schema.gate(framing=framing), other).could_end() == could_end
    was_open = gate.state == "open"
    gate.close()
    state = gate.state
    assert could_end == (was_open and state != "incomplete")
    assert gate.could_end() == (state == "complete")


@settings(max_examples=300, deadline=None)
@given(schemas, begun, cuts, st.sampled_from(["patch", "skip"]), st.sampled_from(["json", "ndjson"]), st.booleans())
def test_with_recovery_it_is_known_once_all_is_decided(
    schema: Schema, text: bytes, at: list[int], recovery: Recovery, framing: Framing, accepts: bool
) -> None:
    """What is complete when it is closed could end before that; nothing else is promised."""
    options: dict[str, Any] = {"framing": framing}
    if recovery == "patch":
        options["accept_truncated"] = accepts
    gate, other = (fed(schema.gate(recovery, **options), pieces) for pieces in ([text], cut(text, at)))
    gate.decide()
    other.decide()
    could_end = gate.could_end()
    assert other.could_end() == could_end
    gate.close()
    assert could_end or gate.state != "complete" or accepts


@settings(max_examples=200, deadline=None)
@given(documents(), cuts, st.sampled_from(WHITE), st.sampled_from(["patch", "skip"]))
def test_white_space_before_the_document_changes_nothing_with_recovery(
    text: bytes, at: list[int], white: str, recovery: Recovery
) -> None:
    begun = text[: sum(at) % (len(text) + 1)]
    gates = [fed(ANYTHING.gate(recovery), pieces) for pieces in ([begun], [white.encode(), *cut(begun, at)])]
    for gate in gates:
        gate.decide()
    assert gates[0].could_end() == gates[1].could_end()


@pytest.mark.parametrize(
    ("text", "could_end"),
    [
        pytest.param(b"", False, id="nothing"),
        pytest.param(b"\n \n", False, id="blank lines"),
        pytest.param(b"{}", True, id="a line without its end"),
        pytest.param(b"{}\n", True, id="a line"),
        pytest.param(b"{}\n  ", True, id="white space behind a line"),
        pytest.param(b"1\n2", True, id="numbers"),
        pytest.param(b'{"a": 1', False, id="inside a number of an object"),
        pytest.param(b'1\n{"a": 1', False, id="the same behind a number"),
    ],
)
@pytest.mark.parametrize("recovery", ["halt", "patch", "skip"])
def test_lines(recovery: Recovery, text: bytes, could_end: bool) -> None:
    gate = fed(ANYTHING.gate(recovery, framing="ndjson"), [text])
    gate.decide()
    assert gate.could_end() == could_end


def test_half_a_character_behind_a_document_is_no_end() -> None:
    for recovery in ("patch", "skip"):
        gate = ANYTHING.gate(recovery)
        gate.feed(b"{}\xc3")
        assert not gate.could_end()


def test_a_gate_without_a_schema_waits_for_whole_characters_only() -> None:
    gate = lockgate.passthrough()
    assert gate.could_end()
    gate.feed("é".encode()[:1])
    assert not gate.could_end()
    gate.feed("é".encode()[1:])
    assert gate.could_end()
