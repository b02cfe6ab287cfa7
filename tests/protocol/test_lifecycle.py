"""The table of outcomes: total, and nothing that should not be is complete."""

from __future__ import annotations

import ast
from itertools import product
from pathlib import Path

import pytest

import lockgate
from lockgate.protocol.finish import Finish
from lockgate.protocol.lifecycle import (
    OUTCOMES,
    Ended,
    Outcome,
    may_be_clean,
    outcome,
    stream_outcome,
)

SOURCE = Path(lockgate.__file__).parent

STATES = ("open", "complete", "incomplete", "halted")
EVERYTHING = list(product(STATES, Finish, (True, False), (True, False), Ended))


def test_every_combination_has_an_outcome_and_few_are_complete() -> None:
    """Complete needs all of: a complete gate, a clean end, no error, no refusal, and no limit hit (P3)."""
    for state, finish, error, refusal, ended in EVERYTHING:
        found = outcome(state, finish, has_error=error, has_refusal=refusal, ended=ended)
        should = (
            state == "complete"
            and finish in (Finish.STOP, Finish.TOOL_CALLS)
            and not error
            and not refusal
            and ended in (Ended.CLEAN, Ended.STOPPED)
        )
        # STOPPED comes only with a halted gate; the table still must not call it complete.
        assert (found is Outcome.COMPLETE) == (should and ended is Ended.CLEAN), (state, finish, error, refusal, ended)
        assert (found is Outcome.CANCELLED) == (ended is Ended.CANCELLED)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(("complete", "stop", False, False, "clean"), "complete", id="the good case"),
        pytest.param(("complete", "length", False, False, "clean"), "incomplete", id="length is never complete"),
        pytest.param(("complete", "stop", True, False, "clean"), "failed", id="an error beside a finish reason"),
        pytest.param(("complete", "none", False, False, "silent"), "incomplete", id="no finish reason, no [DONE]"),
        pytest.param(("complete", "stop", False, False, "broken"), "failed", id="connection lost after the document"),
        pytest.param(("halted", "stop", False, False, "stopped"), "halted", id="violation"),
        pytest.param(("halted", "stop", True, False, "broken"), "halted", id="violation before a failure"),
        pytest.param(("incomplete", "stop", False, True, "clean"), "refused", id="refusal"),
        pytest.param(("incomplete", "content_filter", False, False, "clean"), "refused", id="content filter"),
        pytest.param(("incomplete", "stop", False, False, "clean"), "incomplete", id="truncated without a word"),
        pytest.param(("open", "none", False, False, "cancelled"), "cancelled", id="cancelled"),
        pytest.param(("complete", "error", False, False, "clean"), "failed", id="finish_reason error"),
        pytest.param(("complete", "cancelled", False, False, "clean"), "failed", id="finish_reason cancelled"),
        pytest.param(("complete", "none", False, False, "clean"), "incomplete", id="[DONE] alone proves nothing"),
        pytest.param(("complete", "unknown", False, False, "clean"), "incomplete", id="a word that nobody knows"),
        pytest.param(("complete", "stop", False, False, "aborted"), "failed", id="deadline, shutdown"),
        pytest.param(("open", "none", False, False, "aborted"), "failed", id="its owner died"),
    ],
)
def test_rows(facts: tuple[str, str, bool, bool, str], expected: str) -> None:
    state, finish, error, refusal, ended = facts
    assert outcome(state, Finish(finish), has_error=error, has_refusal=refusal, ended=Ended(ended)) == expected


def test_an_empty_answer_is_no_answer() -> None:
    """Nothing came: what would be complete is not, and everything else stays what it is."""
    for state, finish, error, refusal, ended in EVERYTHING:
        found = outcome(state, finish, has_error=error, has_refusal=refusal, ended=ended)
        blank = outcome(state, finish, has_error=error, has_refusal=refusal, ended=ended, is_blank=True)
        assert blank is (Outcome.INCOMPLETE if found is Outcome.COMPLETE else found)


def test_every_rule_decides_something() -> None:
    """No row of the table is dead, and the last one holds always."""
    decided = set()
    for gate, finish, came, ended in product((*STATES, "blank"), Finish, ("error", "refusal", "none"), Ended):
        decided.add(next(rule for rule in OUTCOMES if rule.holds((gate, finish, came, ended))))
    assert decided == set(OUTCOMES)
    assert OUTCOMES[-1].holds(("anything", Finish.NONE, "none", Ended.SILENT))


@pytest.mark.parametrize("found", Outcome)
def test_a_required_call_that_is_missing_leaves_a_stream_incomplete_at_best(found: Outcome) -> None:
    expected = Outcome.INCOMPLETE if found is Outcome.COMPLETE else found
    assert stream_outcome([found], lacks_call=True) is expected


def test_nobody_else_writes_an_outcome() -> None:
    """Outside the table a name of an outcome is only compared with, or chooses a word that goes with it."""
    writers = []
    for path in sorted(SOURCE.rglob("*.py")):
        if path.name == "lifecycle.py":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        compared = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]
        allowed = {id(part) for node in compared for part in ast.walk(node)}
        writers += [
            f"{path.relative_to(SOURCE)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "Outcome"
            and id(node) not in allowed
        ]
    assert writers == []


def test_a_stream_is_as_bad_as_its_worst_channel() -> None:
    assert stream_outcome([Outcome.COMPLETE, Outcome.COMPLETE]) is Outcome.COMPLETE
    assert stream_outcome([Outcome.COMPLETE, Outcome.INCOMPLETE, Outcome.HALTED]) is Outcome.HALTED
    assert stream_outcome([]) is Outcome.INCOMPLETE


def test_a_gate_is_closed_clean_only_where_complete_is_possible() -> None:
    for _, finish, error, refusal, ended in EVERYTHING:
        possible = may_be_clean(finish, has_error=error, has_refusal=refusal, ended=ended)
        found = outcome("complete", finish, has_error=error, has_refusal=refusal, ended=ended)
        assert possible == (found is Outcome.COMPLETE)
