"""How a stream ended: one table from the facts to one outcome, for every stream, whoever writes its text.

The facts of a channel are the state of its gate after ``close``, whether anything came for it, the last
``finish_reason`` that upstream gave, whether an error object or a refusal came, and how the connection ended. A stream
is complete when all of its channels are, and no tool call is missing that was required.
``[DONE]`` alone proves nothing: vLLM and OpenRouter send it after errors, too.

A producer that closes a pushed stream says that its text is over, which is what ``finish_reason: stop`` says. A stream
whose owner died has the facts that are known of it: its gates are open, and it was aborted.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from lockgate.protocol.finish import Finish


class Outcome(StrEnum):
    """What became of a stream. Only ``complete`` promises a whole, valid document."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    HALTED = "halted"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class Ended(StrEnum):
    """How the upstream connection ended."""

    CLEAN = "clean"  # [DONE] came, or a finish_reason and then a clean end of the body
    SILENT = "silent"  # a clean end of the body with neither finish_reason nor [DONE]
    BROKEN = "broken"  # connection lost, stalled, or never made
    CANCELLED = "cancelled"  # we closed it because a caller asked, or nobody reads any more
    ABORTED = "aborted"  # we closed it because its time was over or its node shut down, or the node died
    STOPPED = "stopped"  # we closed it because the gate halted


class OutcomeRule(NamedTuple):
    """One row of the table: it decides where all of its conditions hold; None holds always.

    Attributes:
        gate: State of the gate; ``blank`` is a complete one that nothing came for.
        came: ``error``, ``refusal``, or ``none`` of them.
        why: One sentence for people.
    """

    outcome: Outcome
    why: str
    gate: Literal["complete", "blank", "halted"] | None = None
    finish: Finish | None = None
    came: Literal["error", "refusal", "none"] | None = None
    ended: Ended | None = None

    def holds(self, facts: tuple[str, Finish, str, Ended]) -> bool:
        """Whether all conditions hold."""
        conditions = (self.gate, self.finish, self.came, self.ended)
        return all(want is None or want == fact for want, fact in zip(conditions, facts, strict=True))


#: The first row that holds decides. The order is the rule: what a caller did goes before what upstream did, a violation
#: before a failure, and nothing that failed can be complete.
OUTCOMES: Final[tuple[OutcomeRule, ...]] = (
    OutcomeRule(Outcome.CANCELLED, "A caller cancelled it, or nobody reads any more.", ended=Ended.CANCELLED),
    OutcomeRule(Outcome.FAILED, "Its time was over, or its node shut down or died.", ended=Ended.ABORTED),
    OutcomeRule(Outcome.HALTED, "The text broke the schema, or is not JSON.", gate="halted"),
    OutcomeRule(Outcome.FAILED, "An error came, whatever came with it.", came="error"),
    OutcomeRule(Outcome.FAILED, "The connection broke, also after the document.", ended=Ended.BROKEN),
    OutcomeRule(Outcome.FAILED, "Upstream says that it failed.", finish=Finish.ERROR),
    OutcomeRule(Outcome.FAILED, "Upstream says that it broke the answer off.", finish=Finish.CANCELLED),
    OutcomeRule(Outcome.REFUSED, "The model refused.", came="refusal"),
    OutcomeRule(Outcome.REFUSED, "A filter of the provider stopped it.", finish=Finish.FILTERED),
    OutcomeRule(Outcome.INCOMPLETE, "The token limit was reached, whatever came.", finish=Finish.LENGTH),
    OutcomeRule(Outcome.INCOMPLETE, "Nothing said that the text was over.", ended=Ended.SILENT),
    OutcomeRule(Outcome.INCOMPLETE, "No finish reason came: [DONE] alone proves nothing.", finish=Finish.NONE),
    OutcomeRule(Outcome.INCOMPLETE, "A word that no table knows proves nothing.", finish=Finish.UNKNOWN),
    OutcomeRule(Outcome.INCOMPLETE, "An empty answer is no answer.", gate="blank"),
    OutcomeRule(Outcome.COMPLETE, "The document is whole and proven.", gate="complete", came="none", ended=Ended.CLEAN),
    OutcomeRule(Outcome.INCOMPLETE, "The text ended before its document did."),
)


def outcome(
    gate_state: str, finish: Finish, *, has_error: bool, has_refusal: bool, ended: Ended, is_blank: bool = False
) -> Outcome:
    """Decide what became of one channel. Total: every combination has exactly one outcome.

    Args:
        is_blank: Whether nothing came that a document could be made of.
    """
    came = "error" if has_error else "refusal" if has_refusal else "none"
    gate = "blank" if is_blank and gate_state == "complete" else gate_state
    return next(rule.outcome for rule in OUTCOMES if rule.holds((gate, finish, came, ended)))


# From good to bad; a stream is as bad as its worst channel.
_ORDER: Final = (
    Outcome.COMPLETE,
    Outcome.INCOMPLETE,
    Outcome.REFUSED,
    Outcome.FAILED,
    Outcome.HALTED,
    Outcome.CANCELLED,
)


def stream_outcome(channels: Iterable[Outcome], *, lacks_call: bool = False) -> Outcome:
    """Outcome of a stream: its worst channel's. A stream without any channel is incomplete.

    Args:
        lacks_call: Whether the request required a tool call and none came: then it is incomplete at best.
    """
    found = [*channels] or [Outcome.INCOMPLETE]
    return max(found + [Outcome.INCOMPLETE] * lacks_call, key=_ORDER.index)


def may_be_clean(finish: Finish, *, has_error: bool, has_refusal: bool, ended: Ended) -> bool:
    """Whether a gate may be closed as ended cleanly, that is, whether ``complete`` is still possible at all."""
    return outcome("complete", finish, has_error=has_error, has_refusal=has_refusal, ended=ended) is Outcome.COMPLETE
