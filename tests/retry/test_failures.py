"""Classes of failure: every combination of facts has one, and what nobody can mend is never retried."""

from __future__ import annotations

from itertools import product

import pytest

from lockgate.protocol.finish import Finish
from lockgate.protocol.lifecycle import Ended, outcome
from lockgate.retry.failures import (
    CALLER_KINDS,
    CALLER_STATUSES,
    RULES,
    Failure,
    FailureClass,
    failure_class,
    lesson_of,
)

REFUSED = Failure("upstream_refused", 400)
PASSING = Failure("upstream_refused", 503, recoverable=True)
ERRORS = [None, REFUSED, PASSING, Failure("upstream_timed_out", kind="content", recoverable=True)]


def test_every_combination_agrees_with_the_outcome() -> None:
    """No class for what is complete, one for everything else that we did not end ourselves (P3)."""
    for state, finish, failure, has_refusal, ended in product(
        ("complete", "incomplete", "halted"), Finish, ERRORS, (False, True), Ended
    ):
        found = failure_class(
            gate_state=state, finish=finish, failure=failure, has_refusal=has_refusal, ended=ended, has_text=True
        )
        result = outcome(state, finish, has_error=failure is not None, has_refusal=has_refusal, ended=ended)
        ends_well = result == "complete" or ended in (Ended.CANCELLED, Ended.ABORTED)
        assert (found is None) == ends_well, (state, finish, failure, has_refusal, ended)


@pytest.mark.parametrize(
    "failure, has_text, expected",
    [
        pytest.param(REFUSED, False, FailureClass.REFUSED, id="400"),
        pytest.param(Failure("upstream_refused", 401), False, FailureClass.REFUSED, id="401"),
        pytest.param(Failure("upstream_refused", 404), False, FailureClass.UNSUITED, id="404"),
        pytest.param(
            Failure("upstream_refused", 400, "context_length_exceeded"), False, FailureClass.UNSUITED, id="too long"
        ),
        pytest.param(
            Failure("upstream_refused", 403, "content_policy_violation"), False, FailureClass.POLICY, id="moderation"
        ),
        pytest.param(PASSING, False, FailureClass.UNAVAILABLE, id="503"),
        pytest.param(PASSING, True, FailureClass.BROKEN, id="503 in mid-stream"),
        pytest.param(
            Failure("upstream_timed_out", kind="content", recoverable=True), True, FailureClass.STALLED_CONTENT,
            id="comments only",
        ),
        pytest.param(
            Failure("upstream_timed_out", kind="bytes", recoverable=True), False, FailureClass.STALLED_BYTES,
            id="silence",
        ),
    ],
)  # fmt: skip
def test_errors(failure: Failure, has_text: bool, expected: FailureClass) -> None:
    found = failure_class(
        gate_state="incomplete",
        finish=Finish.NONE,
        failure=failure,
        has_refusal=False,
        ended=Ended.BROKEN,
        has_text=has_text,
    )
    assert found is expected


def test_a_limit_reached_is_a_limit_also_where_the_provider_calls_it_an_error() -> None:
    """Recorded (minimax-m2:free): finish_reason length twice, then an error 400 "Token limit reached"."""
    found = failure_class(
        gate_state="incomplete",
        finish=Finish.LENGTH,
        failure=Failure("upstream_failed", 400),
        has_refusal=False,
        ended=Ended.CLEAN,
        has_text=True,
    )
    assert found is FailureClass.TRUNCATED


@pytest.mark.parametrize("has_text", [False, True])
@pytest.mark.parametrize("recoverable", [False, True])
def test_what_the_request_caused_is_held_against_nobody(has_text: bool, recoverable: bool) -> None:
    """Schema, size, name of the model: before and within the stream, whatever the provider thinks of another try."""
    errors = [Failure("upstream_refused", status, None, recoverable) for status in CALLER_STATUSES]
    errors += [Failure(code, None, kind, recoverable) for kind in CALLER_KINDS for code in ("upstream_failed", "x")]
    errors += [Failure("upstream_failed", status, "?", recoverable) for status in CALLER_STATUSES]
    for error, finish in product(errors, Finish):
        found = failure_class(
            gate_state="incomplete",
            finish=finish,
            failure=error,
            has_refusal=False,
            ended=Ended.BROKEN,
            has_text=has_text,
        )
        assert lesson_of(found, error) != "failure", (error, finish)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529, None])
@pytest.mark.parametrize("has_text", [False, True])
def test_what_the_provider_caused_counts(status: int | None, has_text: bool) -> None:
    error = Failure("upstream_failed", status, "server_error", recoverable=True)
    found = failure_class(
        gate_state="incomplete",
        finish=Finish.NONE,
        failure=error,
        has_refusal=False,
        ended=Ended.BROKEN,
        has_text=has_text,
    )
    assert lesson_of(found, error) == "failure"
    # With a key of the caller's own, his rate is his.
    assert lesson_of(found, error, has_own_key=True) == ("none" if status == 429 else "failure")


def test_every_class_has_its_rule() -> None:
    assert set(RULES) == set(FailureClass)
    never = {one for one, rule in RULES.items() if rule.occasion is None}
    assert never == {FailureClass.REFUSED, FailureClass.UNSUITED, FailureClass.POLICY, FailureClass.UNPROVEN}
