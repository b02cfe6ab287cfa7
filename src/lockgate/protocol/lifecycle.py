"""How a stream ended: one table from four facts to one outcome.

The facts of a channel are the state of its gate after ``close``, the last ``finish_reason`` that upstream gave, whether
an error object or a refusal came, and how the connection ended. A stream is complete when all of its channels are.
``[DONE]`` alone proves nothing: vLLM and OpenRouter send it after errors, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

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
    CANCELLED = "cancelled"  # we closed it because a caller asked
    STOPPED = "stopped"  # we closed it because the gate halted


# The first row whose conditions all hold decides; "*" holds always. The order is the rule: what a caller did goes
# before what upstream did, a violation before a failure, and nothing that failed can be complete.
#     gate state            finish             error or refusal   ended             -> outcome
_ROWS: Final[tuple[tuple[str, str, str, str, Outcome], ...]] = (
    ("*", "*", "*", Ended.CANCELLED, Outcome.CANCELLED),
    ("halted", "*", "*", "*", Outcome.HALTED),
    ("*", "*", "error", "*", Outcome.FAILED),
    ("*", "*", "*", Ended.BROKEN, Outcome.FAILED),
    ("*", Finish.ERROR, "*", "*", Outcome.FAILED),
    ("*", Finish.CANCELLED, "*", "*", Outcome.FAILED),
    ("*", "*", "refusal", "*", Outcome.REFUSED),
    ("*", Finish.FILTERED, "*", "*", Outcome.REFUSED),
    ("*", Finish.LENGTH, "*", "*", Outcome.INCOMPLETE),
    ("*", "*", "*", Ended.SILENT, Outcome.INCOMPLETE),
    ("*", Finish.UNKNOWN, "*", "*", Outcome.INCOMPLETE),
    ("*", Finish.NONE, "*", "*", Outcome.INCOMPLETE),
    ("complete", "*", "none", Ended.CLEAN, Outcome.COMPLETE),
    ("*", "*", "*", "*", Outcome.INCOMPLETE),
)


def outcome(gate_state: str, finish: Finish, *, has_error: bool, has_refusal: bool, ended: Ended) -> Outcome:
    """Decide what became of one channel. Total: every combination has exactly one outcome."""
    trouble = "error" if has_error else "refusal" if has_refusal else "none"
    facts = (gate_state, finish, trouble, ended)
    for *conditions, result in _ROWS:
        if all(want in ("*", fact) for want, fact in zip(conditions, facts, strict=True)):
            return result
    raise AssertionError("the last row holds always")


# From good to bad; a stream is as bad as its worst channel.
_ORDER: Final = (
    Outcome.COMPLETE,
    Outcome.INCOMPLETE,
    Outcome.REFUSED,
    Outcome.FAILED,
    Outcome.HALTED,
    Outcome.CANCELLED,
)


def stream_outcome(channels: Iterable[Outcome]) -> Outcome:
    """Outcome of a stream: its worst channel's. A stream without any channel is incomplete."""
    worst = max((_ORDER.index(one) for one in channels), default=_ORDER.index(Outcome.INCOMPLETE))
    return _ORDER[worst]


def may_be_clean(finish: Finish, *, has_error: bool, has_refusal: bool, ended: Ended) -> bool:
    """Whether a gate may be closed as ended cleanly, that is, whether ``complete`` is still possible at all."""
    return outcome("complete", finish, has_error=has_error, has_refusal=has_refusal, ended=ended) is Outcome.COMPLETE
