"""Ceilings: how much a request may ask for. What is above one is refused, with the number and the setting.

Only the token limits of the provider's own part of a request are lowered instead: programs that were written for the
provider send one with each request, and know nothing of this gateway. The answer says what was lowered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from msgspec import UnsetType

from lockgate.errors import BadRequest
from lockgate.protocol import header_names as names
from lockgate.store.base import Lifetime

N = TypeVar("N", int, float)

#: Members of a request that bound the tokens of its answer: OpenAI's two, then those of llama.cpp, TGI and others.
TOKEN_LIMITS: Final = ("max_completion_tokens", "max_tokens", "n_predict", "max_new_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The most that a request may ask for; None for no ceiling.

    Attributes:
        max_attempts: Attempts after the first (``upstream.retry.maxAttempts``, else ``delivery.retry.maxAttempts``).
        deadline_s: Life of a generation, in seconds (``upstream.retry.deadline_s``).
        max_tokens: Completion tokens of all attempts, and of each (``upstream.retry.max_tokens``).
        max_patches: Violations of a document that are patched (``validation.max_patches``).
        ttl_s: How long a pushed stream lives unused, in seconds (``store.max_ttl_s``).
    """

    max_attempts: int | None = None
    deadline_s: float | None = None
    max_tokens: int | None = None
    max_patches: int | None = None
    ttl_s: float | None = None


#: For what was decided when a stream was opened.
NO_CEILINGS: Final = Ceilings()


def allowed(asked: N | UnsetType, usual: N, ceiling: N | None, where: str, setting: str) -> N:
    """What a request asks for, or what is usual where it does not say.

    Raises:
        BadRequest: it is above the ceiling.
    """
    if isinstance(asked, UnsetType):
        return usual
    if ceiling is not None and asked > ceiling:
        raise BadRequest(f"{where}: {asked:g} is more than this gateway allows, which is {ceiling:g} ({setting})")
    return asked


def lower_token_limits(body: dict[str, Any], ceiling: int | None) -> dict[str, int]:
    """Bound the tokens of an answer, in place; a request that says nothing of them gets the ceiling itself.

    Returns:
        What was lowered, or added, by its name in the request.

    Raises:
        BadRequest: a limit that is no whole number, so that nobody knows what a provider makes of it.
    """
    if ceiling is None:
        return {}
    said = [name for name in TOKEN_LIMITS if body.get(name) is not None]
    lowered = (
        {name: ceiling for name in said if _tokens(name, body[name]) > ceiling} if said else {"max_tokens": ceiling}
    )
    body.update(lowered)
    return lowered


def _tokens(name: str, given: Any) -> float:
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number or given < 1 or given != given // 1:
        raise BadRequest(
            f"{name}: must be a whole number from 1, not {str(given)[:60]!r}, since tokens are bounded here"
        )
    return float(given)


def lifetime_within(asked: Lifetime, usual_s: float, ceiling_s: float | None, now_s: float) -> Lifetime:
    """How long a pushed stream lives. Without an end of its own, one that is pushed to no more would stay for ever.

    Args:
        usual_s: How long it may be unused where the request does not say.
        now_s: Seconds since 1970.

    Raises:
        BadRequest: longer than the ceiling.
    """
    if asked.expires_s is not None:
        allowed(asked.expires_s - now_s, 0.0, ceiling_s, f"{names.EXPIRES_AT}: the time until then, in seconds", _TTL)
        return asked
    if asked.ttl_s is not None:
        return Lifetime(ttl_s=allowed(asked.ttl_s, 0.0, ceiling_s, names.TTL, _TTL))
    return Lifetime(ttl_s=usual_s if ceiling_s is None else min(usual_s, ceiling_s))


def lasting_s(lifetime: Lifetime, now_s: float) -> float:
    """How long a stream with this lifetime lasts from its last use on, in seconds."""
    if lifetime.ttl_s is not None:
        return lifetime.ttl_s
    return math.inf if lifetime.expires_s is None else lifetime.expires_s - now_s


_TTL: Final = "store.max_ttl_s"
