"""The table of outcomes: total, and nothing that should not be is complete."""

from __future__ import annotations

from itertools import product

import pytest

from lockgate.protocol.finish import Finish
from lockgate.protocol.lifecycle import Ended, Outcome, may_be_clean, outcome, stream_outcome

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
    ],
)
def test_rows(facts: tuple[str, str, bool, bool, str], expected: str) -> None:
    state, finish, error, refusal, ended = facts
    assert outcome(state, Finish(finish), has_error=error, has_refusal=refusal, ended=Ended(ended)) == expected


def test_a_stream_is_as_bad_as_its_worst_channel() -> None:
    assert stream_outcome([Outcome.COMPLETE, Outcome.COMPLETE]) is Outcome.COMPLETE
    assert stream_outcome([Outcome.COMPLETE, Outcome.INCOMPLETE, Outcome.HALTED]) is Outcome.HALTED
    assert stream_outcome([]) is Outcome.INCOMPLETE


def test_a_gate_is_closed_clean_only_where_complete_is_possible() -> None:
    for _, finish, error, refusal, ended in EVERYTHING:
        possible = may_be_clean(finish, has_error=error, has_refusal=refusal, ended=ended)
        found = outcome("complete", finish, has_error=error, has_refusal=refusal, ended=ended)
        assert possible == (found is Outcome.COMPLETE)
