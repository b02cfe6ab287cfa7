"""Whether, how often and by which rungs a stream goes on when an attempt fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from lockgate.retry.backoff import BackoffPolicy
from lockgate.retry.capabilities import Capability
from lockgate.retry.failures import Occasion

#: The rungs of the ladder, in the order in which they are tried. ``regenerate`` is the same request once more.
Rung: TypeAlias = Literal["prefill", "tail", "residual", "regenerate"]
RUNGS: Final[tuple[Rung, ...]] = get_args(Rung)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a stream goes on when an attempt fails.

    Attributes:
        backoff: Attempts, waits, deadline.
        on: On which occasions.
        rungs: Which rungs of the ladder may be tried.
        may_restart: Whether released text may be taken back, by a ``restart`` record.
        max_tokens: Most completion tokens of all attempts together; None for no limit.
        capabilities: What is known of models.
    """

    backoff: BackoffPolicy = field(default_factory=lambda: BackoffPolicy(max_attempts=0))
    on: frozenset[Occasion] = frozenset({"failure", "stall"})
    rungs: tuple[Rung, ...] = RUNGS
    may_restart: bool = False
    max_tokens: int | None = None
    capabilities: tuple[Capability, ...] = ()


#: One attempt, and no more.
NO_RETRY: Final = RetryPolicy()
