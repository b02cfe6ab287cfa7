"""When to try again, and when to give up. Sans-I/O: the time and random numbers come in as arguments.

A wait is never shorter than ``Retry-After`` asks for. Where that is too long, the answer is to give up, and not to come
back early. Full jitter spreads clients that failed together over the whole wait. Of the usual ways it costs the
provider the fewest calls (M. Brooker, "Exponential Backoff and Jitter", 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

#: Draws a number from 0 to 1, like ``random.random``.
Rng = Callable[[], float]
#: How the wait grows from one attempt to the next.
Strategy: TypeAlias = Literal["linear", "exponential"]


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """How often to try again, and how long to wait before.

    Attributes:
        max_attempts: Attempts after the first; 0 never tries again.
        strategy: ``linear``: the longest wait grows by ``base_s`` each time; ``exponential``: it doubles.
        base_s: Longest wait before the first new attempt, in seconds.
        cap_s: Longest wait of all, in seconds. A provider that asks for more ends the attempts.
        deadline_s: Attempts begin only within so many seconds of the start.
    """

    max_attempts: int = 8
    strategy: Strategy = "exponential"
    base_s: float = 0.5
    cap_s: float = 30.0
    deadline_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not try again, for one of these reasons: ``attempts``, ``deadline``, ``retry_after``."""

    reason: Literal["attempts", "deadline", "retry_after"]


class Backoff:
    """The waits of one piece of work.

    Args:
        start_s: When the work began; ``deadline_s`` counts from here.
    """

    def __init__(self, policy: BackoffPolicy, *, start_s: float) -> None:
        self.policy = policy
        self.deadline_at_s = start_s + policy.deadline_s
        self.attempts = 0  # attempts after the first
        self._fruitless = 0

    def next(self, now_s: float, rng: Rng, retry_after_s: float | None = None) -> Wait | GiveUp:
        """Decide after a failure; a ``Wait`` counts as an attempt.

        Args:
            retry_after_s: What the provider asked to wait, if it did.
        """
        policy = self.policy
        if self.attempts >= policy.max_attempts:
            return GiveUp("attempts")
        seconds = rng() * self.longest_s()
        if retry_after_s is not None:
            if retry_after_s > policy.cap_s:
                return GiveUp("retry_after")
            # Each client a little later than asked, at its own moment: else all of them come back at the same time.
            seconds = retry_after_s + rng() * min(policy.base_s, policy.cap_s)
        if now_s + seconds >= self.deadline_at_s:
            return GiveUp("deadline")
        self.attempts += 1
        self._fruitless += 1
        return Wait(seconds)

    def longest_s(self) -> float:
        """The longest wait that can come next, without ``Retry-After``."""
        policy = self.policy
        if policy.strategy == "linear":
            return min(policy.cap_s, policy.base_s * (self._fruitless + 1))
        # 2.0 ** 1024 overflows; no cap is beyond 2 ** 64 times a base that is worth waiting for.
        return min(policy.cap_s, policy.base_s * 2.0 ** min(self._fruitless, 64))

    def progressed(self) -> None:
        """New text came: the next wait is short again. The attempts that were made still count."""
        self._fruitless = 0
