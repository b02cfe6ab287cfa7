"""What a caller may choose about retries (``lockgate.retry``), on top of what the gateway's settings say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, get_args

from lockgate.errors import BadRequest
from lockgate.retry.backoff import Policy
from lockgate.retry.failures import Occasion

#: The rungs of the ladder, in the order in which they are tried. ``regenerate`` is the same request once more.
Rung = Literal["prefill", "tail", "residual", "regenerate"]
RUNGS: Final[tuple[Rung, ...]] = get_args(Rung)
OCCASIONS: Final[tuple[Occasion, ...]] = get_args(Occasion)
#: How a provider wants a text to be continued that ends the messages.
Prefill = Literal["no", "plain", "prefix", "partial", "continue_final_message"]
#: Whether a tail instruction may be sent: never, where the text ends between two values or names, or anywhere.
Tail = Literal["never", "between", "always"]
#: What a provider matches a schema's pattern with: the string as JSON writes it, with its escapes, or its value.
Patterns = Literal["written", "value"]


@dataclass(frozen=True, slots=True)
class Capability:
    """What the models of a pattern can do. Off unless somebody knows better.

    Attributes:
        pattern: Shell pattern over the model's name.
        prefill: ``plain``: a last message of the assistant is enough; the others name the mark that goes with it.
        tail: Inside an open string nothing can tell the model's remarks from its text: ``between`` keeps out of there.
        residual: Whether the provider keeps to a schema; the answer is checked in any case.
        patterns: By ``written`` the rest of an open string is asked for, which holds everywhere; but who matches values
            then writes it without quotes and line breaks.
    """

    pattern: str
    prefill: Prefill = "no"
    tail: Tail = "never"
    residual: bool = True
    patterns: Patterns = "written"


#: Of a model that no row names: the two rungs whose answers are checked value by value.
UNKNOWN: Final = Capability("*")


def capability_of(model: str, table: tuple[Capability, ...]) -> Capability:
    """The first row whose pattern fits."""
    return next((row for row in table if fnmatchcase(model.lower(), row.pattern.lower())), UNKNOWN)


@dataclass(frozen=True, slots=True)
class Retry:
    """How a stream goes on when an attempt fails.

    Attributes:
        policy: Attempts, waits, deadline.
        on: On which occasions.
        rungs: Which rungs of the ladder may be tried.
        may_restart: Whether released text may be taken back, by a ``restart`` record.
        max_tokens: Most completion tokens of all attempts together; None for no limit.
        capabilities: What is known of models.
    """

    policy: Policy = field(default_factory=lambda: Policy(max_attempts=0))
    on: frozenset[Occasion] = frozenset({"failure", "stall"})
    rungs: tuple[Rung, ...] = RUNGS
    may_restart: bool = False
    max_tokens: int | None = None
    capabilities: tuple[Capability, ...] = ()


#: One attempt, and no more.
NO_RETRY: Final = Retry()


def read_retry(given: Any, default: Retry) -> Retry:
    """What a request wants; ``false`` is the same as ``maxAttempts: 0``.

    Raises:
        BadRequest: an option that does not exist, or a value that it cannot have.
    """
    if given is None or given is True:
        return default
    if given is False:
        return replace(default, policy=replace(default.policy, max_attempts=0))
    if not isinstance(given, dict):
        raise BadRequest('lockgate.retry: must be an object like {"maxAttempts": 3}, or false')
    unknown = sorted(given.keys() - _RULES.keys())
    if unknown:
        raise BadRequest(f"lockgate.retry.{unknown[0]}: there is no such option; use {', '.join(sorted(_RULES))}")
    for name, value in given.items():
        allows, words = _RULES[name]
        if not allows(value):
            raise BadRequest(f"lockgate.retry.{name}: must be {words}, not {str(value)[:60]!r}")
    policy = replace(
        default.policy,
        max_attempts=given.get("maxAttempts", default.policy.max_attempts),
        strategy=given.get("backoffStrategy", default.policy.strategy),
        # A caller may be stricter than the operator, never more patient.
        deadline_s=min(default.policy.deadline_s, given.get("deadline_s", default.policy.deadline_s)),
    )
    rungs = tuple(rung for rung in default.rungs if rung in given.get("steps", RUNGS))
    limits = [limit for limit in (default.max_tokens, given.get("max_tokens")) if limit is not None]
    return replace(
        default,
        policy=policy,
        on=frozenset(given.get("on", default.on)),
        rungs=rungs,
        may_restart=given.get("restart", default.may_restart),
        max_tokens=min(limits) if limits else None,
    )


def _is_count(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _are_of(allowed: tuple[str, ...]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(one in allowed for one in value)


def _is_duration(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9


_RULES: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "maxAttempts": (_is_count(0, 100), "a whole number from 0 to 100"),
    "backoffStrategy": (lambda value: value in ("linear", "exponential"), "linear or exponential"),
    "on": (_are_of(OCCASIONS), f"a list of {', '.join(OCCASIONS)}"),
    "steps": (_are_of(RUNGS), f"a list of {', '.join(RUNGS)}"),
    "restart": (lambda value: isinstance(value, bool), "true or false"),
    "deadline_s": (_is_duration, "seconds, more than 0"),
    "max_tokens": (_is_count(1, 10**9), "a whole number, at least 1"),
}
