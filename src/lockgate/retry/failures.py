"""What can go wrong with an attempt to generate, as one table: whether trying again can help, and where.

A class is found from the facts of the attempt by :func:`failure_class`; everything that follows from it (retry, another
model, the circuit breaker) stands in :data:`RULES`, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from lockgate.errors import Code, Lesson
from lockgate.protocol.finish import Finish, proves_end
from lockgate.protocol.lifecycle import Ended


class FailureClass(StrEnum):
    """Kinds of failure, by what can be done about them."""

    REFUSED = "refused"
    UNSUITED = "unsuited"
    UNAVAILABLE = "unavailable"
    BROKEN = "broken"
    STALLED_BYTES = "stalled_bytes"
    STALLED_CONTENT = "stalled_content"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    POLICY = "policy"
    UNPROVEN = "unproven"
    VIOLATION = "violation"
    UNJOINED = "unjoined"


#: Groups of classes that a caller can switch retries on for (``retry.on``).
Occasion = Literal["failure", "stall", "length", "violation"]


@dataclass(frozen=True, slots=True)
class FailureRule:
    """What follows from a class of failure.

    Attributes:
        occasion: The group that ``retry.on`` must name; None: never retried.
        may_change_model: Whether the next model of the request's list may be asked instead.
        breaker: What the circuit breaker learns, unless the request was at fault (``lesson_of``). Where a class is that
            of certain codes, it is what their rows say.
        means: For people.
    """

    occasion: Occasion | None
    may_change_model: bool
    breaker: Lesson
    means: str


def _lesson(code: Code) -> Lesson:
    assert code.breaker is not None
    return code.breaker


# fmt: off
RULES: Final[dict[FailureClass, FailureRule]] = {
    FailureClass.REFUSED: FailureRule(
        None, False, "none",
        "The request, its key or its credit is at fault (400, 401, 402, 403, 413, 422): asking again cannot help."),
    FailureClass.UNSUITED: FailureRule(
        None, True, "none",
        "This model cannot do it (404, context too long): never asked again, but another model of the request's list "
        "may be."),
    FailureClass.UNAVAILABLE: FailureRule(
        "failure", True, _lesson(Code.UPSTREAM_UNREACHABLE),
        "Nothing came: no connection, 408, 425, 429, 5xx, an overloaded provider, an error object or an end before the "
        "first byte."),
    FailureClass.BROKEN: FailureRule(
        "failure", True, _lesson(Code.UPSTREAM_TRUNCATED),
        "It failed, or ended, in the middle of the text."),
    FailureClass.STALLED_BYTES: FailureRule(
        "stall", True, _lesson(Code.UPSTREAM_TIMED_OUT),
        "No byte for upstream.idle_bytes_s."),
    FailureClass.STALLED_CONTENT: FailureRule(
        "stall", True, _lesson(Code.UPSTREAM_TIMED_OUT),
        "Bytes (comments) at most, but no answer for upstream.first_token_s, or no content or reasoning for "
        "upstream.idle_content_s."),
    FailureClass.EMPTY: FailureRule(
        "failure", True, "success",
        "The answer came to a clean end and is empty: asked again twice at most."),
    FailureClass.TRUNCATED: FailureRule(
        "length", False, "success",
        "The model reached its token limit (finish_reason length)."),
    FailureClass.POLICY: FailureRule(
        None, False, "success",
        "The model refused, or a filter stopped it."),
    FailureClass.UNPROVEN: FailureRule(
        None, False, "success",
        "The answer came to an end, but nothing proves that it is whole: no finish reason, or one that no table "
        "knows."),
    FailureClass.VIOLATION: FailureRule(
        "violation", True, "success",
        "The text broke the schema, and recovery did not get past it."),
    FailureClass.UNJOINED: FailureRule(
        "failure", True, _lesson(Code.CONTINUATION_REFUSED),
        "An answer that was to continue released text does not fit it: the next rung."),
}
# fmt: on

#: Words of ``error_type`` and of other providers' ``type`` and ``code`` that say: this was about what was asked for.
_POLICY_KINDS: Final = frozenset({"content_policy_violation", "refusal", "content_filter", "content_policy"})
#: Statuses that stay what they are in the middle of a stream: key, credit, permission.
_REFUSALS: Final = frozenset({401, 402, 403})
#: Words that say: another model could do it.
_MODEL_KINDS: Final = frozenset(
    {
        "context_length_exceeded",
        "max_tokens_exceeded",
        "model_decommissioned",
        "model_not_found",
        "not_found",
        "not_found_error",
        "token_limit_exceeded",
        "too_many_prompt_tokens",
    }
)


#: Statuses and words that say: it was the request, whoever else this model serves well. Also in the middle of a stream,
#: and where the provider calls it worth another try.
CALLER_STATUSES: Final = frozenset({400, 401, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 416, 422, 431})
CALLER_KINDS: Final = _MODEL_KINDS | {
    "bad_request",
    "bad_request_error",
    "invalid_json_schema",
    "invalid_prompt",
    "invalid_request",
    "invalid_request_error",
    "invalid_schema",
    "json_validate_failed",
    "payload_too_large",
    "request_too_large",
    "string_above_max_length",
    "tool_use_failed",
    "unprocessable_entity",
    "unsupported_parameter",
    "unsupported_value",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that came, or a connection that failed, as far as its class depends on it.

    Attributes:
        code: A code of ``lockgate.errors``.
        status: HTTP status, of the answer or inside the error object.
        kind: The provider's own word; for ``upstream_timed_out`` which timer ran out: ``bytes`` or ``content``.
        recoverable: Whether trying again can help, as status and words say.
    """

    code: str
    status: int | None = None
    kind: str | None = None
    recoverable: bool = False


#: What a provider says of a key: unknown, without credit, not allowed, too busy.
_KEY_STATUSES: Final = frozenset({401, 402, 403, 429})


def failure_class(
    *,
    gate_state: str,
    finish: Finish,
    failure: Failure | None,
    has_refusal: bool,
    ended: Ended,
    has_text: bool,
) -> FailureClass | None:
    """Class of what went wrong with one attempt; None if nothing did, or if we ended it ourselves.

    Args:
        gate_state: Worst state that its gates have when they are closed; ``incomplete`` if there was no text at all.
        finish: The last finish reason, folded.
        failure: The first error, if one came.
        has_refusal: Whether a refusal came.
        ended: How the connection ended.
        has_text: Whether any text came in this attempt.
    """
    if ended in (Ended.CANCELLED, Ended.ABORTED):
        return None
    if has_refusal or finish is Finish.FILTERED or (failure is not None and failure.kind in _POLICY_KINDS):
        return FailureClass.POLICY
    if gate_state == "halted":
        return FailureClass.VIOLATION
    if finish is Finish.LENGTH:  # before errors: a recorded stream reached its limit and then called that an error
        return FailureClass.TRUNCATED
    if failure is not None:
        return _class_of_error(failure, has_text)
    is_good = finish not in (Finish.ERROR, Finish.CANCELLED) and ended is Ended.CLEAN
    if is_good and not has_text and gate_state != "complete":
        return FailureClass.EMPTY
    if is_good and finish is Finish.UNKNOWN:
        return FailureClass.UNPROVEN
    if not is_good or gate_state != "complete":
        return FailureClass.BROKEN if has_text else FailureClass.UNAVAILABLE
    # An answer is an answer: asking again would buy it a second time.
    return None if proves_end(finish, has_call=True) else FailureClass.UNPROVEN


def lesson_of(failed: FailureClass | None, failure: Failure | None, *, has_own_key: bool = False) -> Lesson:
    """What the circuit breaker learns of an attempt; None for one that did not fail.

    What the caller's own request caused is never held against the model: it answers others.

    Args:
        has_own_key: Whether the caller sent the provider a key of his own: what is wrong with that is his, too.
    """
    if failed is None:
        return "success"
    learns = RULES[failed].breaker
    if learns == "failure" and failure is not None:
        is_of_caller = failure.status in CALLER_STATUSES or failure.kind in CALLER_KINDS
        is_of_caller = is_of_caller or (has_own_key and failure.status in _KEY_STATUSES)
        return "none" if is_of_caller else learns
    return learns


def _class_of_error(failure: Failure, has_text: bool) -> FailureClass:
    if failure.code == Code.UPSTREAM_TIMED_OUT:
        return FailureClass.STALLED_CONTENT if failure.kind != "bytes" else FailureClass.STALLED_BYTES
    if has_text and failure.code == Code.UPSTREAM_FAILED and failure.status not in _REFUSALS:
        return FailureClass.BROKEN  # the request was good enough for the text that came
    if not failure.recoverable:
        is_about_model = failure.status == 404 or failure.kind in _MODEL_KINDS
        return FailureClass.UNSUITED if is_about_model else FailureClass.REFUSED
    return FailureClass.BROKEN if has_text else FailureClass.UNAVAILABLE
