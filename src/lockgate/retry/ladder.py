"""Which rung comes next. Sans-I/O: time and dice come in as arguments, and nothing here knows of gates or requests.

How it works: for each model of the request's list the rungs are tried from the top. A rung that was answered without
new text is not tried again for that model. After new text, every rung may be tried again. A provider that did not
answer at all is asked again; if the list has other models, they are asked first. When no rung of any model is left, the
last step is a restart, if the caller allowed it. Attempts, waits, deadline and tokens are always bounded. When every
breaker is open, a stream with released text waits for one, and a new stream ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from lockgate.retry.backoff import Backoff, GiveUp, Rng
from lockgate.retry.breaker import Breaker, BreakerState
from lockgate.retry.capabilities import Capability, capability_of
from lockgate.retry.failures import RULES, FailureClass
from lockgate.retry.policy import RetryPolicy, Rung

#: What an attempt is: the first one; the same request again, with nothing to continue; a rung; or a new text.
Step = Literal["first", "retry", "prefill", "tail", "residual", "regenerate", "restart"]
#: How often one model may answer a step without success. The same question may get a better answer the second time.
_TRIES: Final[dict[Step, int]] = {"retry": 2, "regenerate": 2}
#: How often an answer that is well made and empty is asked for again.
_MAX_EMPTY: Final = 2


@dataclass(frozen=True, slots=True)
class Position:
    """Where the released text stands, as far as the choice of a rung depends on it.

    Attributes:
        has_text: Whether anything was released.
        is_single: Whether one channel alone is to be continued; else only the whole answer can come again.
        is_content: Whether that channel is content; tool-call arguments cannot be prefilled anywhere.
        is_in_string: Whether the text ends inside a string or name.
        has_residual: Whether a residual schema for what is missing can be made.
    """

    has_text: bool = False
    is_single: bool = True
    is_content: bool = True
    is_in_string: bool = False
    has_residual: bool = False


@dataclass(frozen=True, slots=True)
class NextAttempt:
    """The next attempt."""

    step: Step
    model: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class NoAttempt:
    """No further attempt, and why: ``final`` (this failure is never retried), ``not_asked`` (not on this occasion),
    ``attempts``, ``deadline``, ``retry_after``, ``tokens``, ``breaker``, or ``exhausted`` (no rung is left)."""

    reason: str


class StepChoice(NamedTuple):
    """What to ask, and of which model."""

    step: Step
    model: str


class Ladder:
    """The attempts of one stream, from the first on.

    Args:
        breaker_of: The circuit breaker of a model, at the provider that is asked for it.
    """

    def __init__(
        self, retry: RetryPolicy, models: tuple[str, ...], breaker_of: Callable[[str], Breaker], *, start_s: float
    ):
        self._retry = retry
        self._models = models
        self._breaker_of = breaker_of
        self._backoff = Backoff(retry.backoff, start_s=start_s)
        self._spent = Counter[tuple[str, Step]]()
        self._silent = Counter[str]()  # attempts of each model in a row that were not answered
        self._unsuited: set[str] = set()
        self._has_restarted = False
        self._empty = 0  # answers that were well made and empty
        self.tokens = 0
        self.step: Step = "first"
        self.model = models[0]

    @property
    def attempts(self) -> int:
        """Attempts after the first."""
        return self._backoff.attempts

    def first(self, now_s: float) -> NextAttempt | NoAttempt:
        """The first attempt: of the first model whose breaker is not open."""
        for model in self._models:
            if self._is_askable(model, now_s):
                self.model = model
                return NextAttempt("first", model, 0.0)
        return NoAttempt("breaker")

    def next(
        self,
        failure: FailureClass,
        position: Position,
        now_s: float,
        rng: Rng,
        *,
        gained: bool,
        answered: bool,
        tokens: int,
        retry_after_s: float | None = None,
    ) -> NextAttempt | NoAttempt:
        """Decide after an attempt that failed.

        Args:
            gained: Whether it brought text that was released.
            answered: Whether it brought any text.
            tokens: What it cost.
        """
        self.tokens += tokens
        self._learn(failure, gained=gained, answered=answered)
        self._empty += failure is FailureClass.EMPTY
        if self._empty > _MAX_EMPTY:
            return NoAttempt("exhausted")
        rule = RULES[failure]
        may_change = rule.may_change_model and len(self._models) > 1
        # A rung that failed is no new occasion: the caller named the one that the rung was tried for.
        is_rung = self.step not in ("first", "retry") and not gained
        if rule.occasion is None and not (failure is FailureClass.UNSUITED and may_change):
            return NoAttempt("final")
        if rule.occasion is not None and rule.occasion not in self._retry.on and not is_rung:
            return NoAttempt("not_asked")
        if self._retry.max_tokens is not None and self.tokens >= self._retry.max_tokens:
            return NoAttempt("tokens")
        chosen = self._choose(position, now_s, may_change=may_change)
        if isinstance(chosen, NoAttempt):
            return chosen
        return self._wait(chosen, now_s, rng, retry_after_s)

    def _learn(self, failure: FailureClass, *, gained: bool, answered: bool) -> None:
        if gained:
            self._spent.clear()
            self._silent.clear()
            self._backoff.progressed()
        elif answered or failure is FailureClass.UNJOINED:
            self._spent[self.model, self.step] += 1
        if failure is FailureClass.UNSUITED:
            self._unsuited.add(self.model)
        self._silent[self.model] = 0 if answered else self._silent[self.model] + 1

    def _wait(
        self, chosen: tuple[Step, str], now_s: float, rng: Rng, retry_after_s: float | None
    ) -> NextAttempt | NoAttempt:
        step, model = chosen
        if model != self.model:
            retry_after_s = None  # the wait was asked for by another model's provider
        wait = self._backoff.next(now_s, rng, retry_after_s)
        if isinstance(wait, GiveUp):
            return NoAttempt(wait.reason)
        is_fresh = model != self.model and not self._silent[model]
        self.step, self.model = step, model
        self._has_restarted = self._has_restarted or step == "restart"
        return NextAttempt(step, model, 0.0 if is_fresh else wait.seconds)

    # -- choosing ----------------------------------------------------------------------------------------------

    def _choose(self, position: Position, now_s: float, *, may_change: bool) -> StepChoice | NoAttempt:
        """The next rung of this model or, where it does not answer or has none left, of another one."""
        order = self._models if may_change else [self.model]
        # Models that answer go first; among them the caller's order counts.
        order = sorted(order, key=lambda model: self._silent[model])
        held_back: StepChoice | None = None
        for model in order:
            step = self._rung(model, position)
            if step is None or model in self._unsuited:
                continue
            if self._is_askable(model, now_s):
                return StepChoice(step, model)
            held_back = held_back or StepChoice(step, model)
        if held_back is not None:
            return held_back if position.has_text else NoAttempt("breaker")
        if self._retry.may_restart and not self._has_restarted and position.has_text:
            return StepChoice("restart", self.model)
        return NoAttempt("exhausted")

    def _rung(self, model: str, position: Position) -> Step | None:
        if not position.has_text:
            return "retry" if self._is_left(model, "retry") else None
        capability = capability_of(model, self._retry.capabilities)
        fitting = (rung for rung in self._retry.rungs if _fits(rung, capability, position))
        return next((rung for rung in fitting if self._is_left(model, rung)), None)

    def _is_left(self, model: str, step: Step) -> bool:
        return self._spent[model, step] < _TRIES.get(step, 1)

    def _is_askable(self, model: str, now_s: float) -> bool:
        return self._breaker_of(model).state(now_s) is not BreakerState.OPEN


def _fits(rung: Rung, capability: Capability, position: Position) -> bool:
    match rung:
        case "prefill":
            return capability.prefill != "no" and position.is_single and position.is_content
        case "tail":
            is_allowed = capability.tail == "always" or (capability.tail == "between" and not position.is_in_string)
            return is_allowed and position.is_single and position.is_content
        case "residual":
            return capability.residual and position.is_single and position.has_residual
    return True


def models_of(body: dict[str, object]) -> tuple[str, ...]:
    """The request's models in order, each once: ``model``, then ``models``."""
    more = body.get("models")
    names = [body["model"], *(more if isinstance(more, list) else [])]
    return tuple(dict.fromkeys(str(name) for name in names if isinstance(name, str) and name))
