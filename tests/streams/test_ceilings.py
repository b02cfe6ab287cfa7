"""No request gets more than a ceiling of the settings allows: it is refused, or lowered and said so."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import BadRequest
from lockgate.retry.backoff import BackoffPolicy
from lockgate.retry.policy import RetryPolicy
from lockgate.store.base import Lifetime
from lockgate.streams.ceilings import TOKEN_LIMITS, Ceilings, lifetime_within
from lockgate.streams.meta import StreamMeta
from lockgate.streams.options import StreamRequest, read_push_options, read_request
from lockgate.streams.plan import Defaults, Plan
from lockgate.streams.pushed_streams import asked_by
from tests.streams.plans import plan_of
from tests.streams.test_options import CHAT

T = TypeVar("T")


def made_or_refused(make: Callable[[], T]) -> tuple[T | None, str]:
    """What is made, or why not."""
    try:
        return make(), ""
    except BadRequest as error:
        return None, str(error)


NUMBERS = st.sampled_from([0, 1, 2, 3, 7, 99, 100, 1000, 10**6, 10**9])
TOKENS: st.SearchStrategy[Any] = NUMBERS | st.sampled_from([-1, 2.0, 2.5, 1e300, True, "9999", None, [], {}])


@st.composite
def settings(draw: st.DrawFn) -> Defaults:
    """As ``wiring`` makes them: what is usual is the most."""
    attempts, deadline_s, patches = draw(NUMBERS), draw(NUMBERS) + 0.5, draw(NUMBERS)
    tokens = draw(st.none() | NUMBERS.map(lambda number: number + 1))
    retry = RetryPolicy(BackoffPolicy(max_attempts=attempts, deadline_s=deadline_s), max_tokens=tokens)
    return Defaults(max_patches=patches, retry=retry, ceilings=Ceilings(attempts, deadline_s, tokens, patches, 100.0))


RETRY = st.booleans() | st.fixed_dictionaries(
    {},
    optional={
        "maxAttempts": NUMBERS,
        "deadline_s": NUMBERS,
        "max_tokens": NUMBERS,
        "steps": st.just(["tail"]),
        "restart": st.booleans(),
    },
)
SECTIONS = st.fixed_dictionaries({}, optional={"retry": RETRY, "max_patches": NUMBERS, "recovery": st.just("patch")})
LIMITS = st.dictionaries(st.sampled_from(TOKEN_LIMITS), TOKENS, max_size=3)


def check_ceilings(plan: Plan, ceilings: Ceilings) -> None:
    assert ceilings.max_attempts is not None
    assert ceilings.deadline_s is not None
    assert ceilings.max_patches is not None
    assert plan.retry.backoff.max_attempts <= ceilings.max_attempts
    assert plan.retry.backoff.deadline_s <= ceilings.deadline_s
    assert plan.judging.max_patches <= ceilings.max_patches


@given(settings(), SECTIONS, LIMITS)
def test_no_request_gets_a_plan_beyond_a_ceiling(defaults: Defaults, section: Any, limits: dict[str, Any]) -> None:
    ceilings = defaults.ceilings
    body = json.dumps({**CHAT, **limits, "lockgate": section}).encode()
    plan, refusal = made_or_refused(lambda: plan_of(read_request(body), defaults))
    if plan is None:
        assert "is more than this gateway allows" in refusal or "must be" in refusal
        return
    check_ceilings(plan, ceilings)
    if ceilings.max_tokens is None:
        assert plan.lowered == {}
        return
    assert plan.retry.max_tokens is not None
    assert plan.retry.max_tokens <= ceilings.max_tokens
    sent = {name: plan.body[name] for name in TOKEN_LIMITS if plan.body.get(name) is not None}
    assert sent, "an answer without a limit could be longer"
    assert all(1 <= number <= ceilings.max_tokens for number in sent.values())
    changed = {name: number for name, number in sent.items() if limits.get(name) != number}
    assert plan.lowered == changed


@given(settings(), SECTIONS)
def test_no_pushed_stream_gets_one_either(defaults: Defaults, section: Any) -> None:
    header = json.dumps({**section, "schema": True})
    plan, _ = made_or_refused(lambda: plan_of(StreamRequest(read_push_options(header), {}), defaults))
    if plan is not None:
        check_ceilings(plan, defaults.ceilings)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        pytest.param(
            {"retry": {"maxAttempts": 5}},
            "lockgate.retry.maxAttempts: 5 is more than this gateway allows, which is 4 (upstream.retry.maxAttempts, "
            "else delivery.retry.maxAttempts)",
            id="attempts",
        ),
        pytest.param(
            {"retry": {"deadline_s": 60.5}},
            "lockgate.retry.deadline_s: 60.5 is more than this gateway allows, which is 60 (upstream.retry.deadline_s)",
            id="deadline",
        ),
        pytest.param(
            {"retry": {"max_tokens": 101}},
            "lockgate.retry.max_tokens: 101 is more than this gateway allows, which is 100 (upstream.retry.max_tokens)",
            id="tokens",
        ),
        pytest.param(
            {"recovery": "patch", "max_patches": 31},
            "lockgate.max_patches: 31 is more than this gateway allows, which is 30 (validation.max_patches)",
            id="patches",
        ),
    ],
)
def test_the_refusal_has_the_number_and_the_setting(section: Any, says: str) -> None:
    ceilings = Ceilings(max_attempts=4, deadline_s=60.0, max_tokens=100, max_patches=30)
    with pytest.raises(BadRequest) as refused:
        plan_of(read_request(json.dumps({**CHAT, "lockgate": section}).encode()), Defaults(ceilings=ceilings))
    assert str(refused.value) == says


def test_within_the_ceilings_a_request_gets_what_it_asks_for() -> None:
    usual = RetryPolicy(BackoffPolicy(max_attempts=2, deadline_s=60), rungs=("residual",), max_tokens=100)
    defaults = Defaults(retry=usual, ceilings=Ceilings(2, 60, 100, 10, 100))

    def asked(**retry: Any) -> RetryPolicy:
        request = read_request(json.dumps({**CHAT, "lockgate": {"retry": retry}}).encode())
        return plan_of(request, defaults).retry

    assert asked() == usual
    assert asked(steps=["residual", "regenerate"]).rungs == ("residual",)
    assert asked(
        deadline_s=6, steps=[], max_tokens=10, maxAttempts=1, backoffStrategy="linear", restart=True
    ) == replace(
        usual,
        backoff=replace(usual.backoff, deadline_s=6, max_attempts=1, strategy="linear"),
        rungs=(),
        max_tokens=10,
        may_restart=True,
    )


_LIVES = st.floats(min_value=0.001, max_value=1e12)


@given(st.none() | _LIVES, st.none() | _LIVES, _LIVES, st.none() | _LIVES)
def test_no_stream_lives_longer_than_the_ceiling(
    ttl_s: float | None, left_s: float | None, usual_s: float, ceiling_s: float | None
) -> None:
    """One that is not used is gone at its end, whatever was asked; where nothing was asked, there is an end, too."""
    now_s = 1_800_000_000.0
    asked = Lifetime(ttl_s=ttl_s) if left_s is None else Lifetime(expires_s=now_s + left_s)
    found, refusal = made_or_refused(lambda: lifetime_within(asked, usual_s, ceiling_s, now_s))
    if found is None:
        assert ceiling_s is not None
        assert "store.max_ttl_s" in refusal
        return
    assert any(found)
    most_s = math.inf if ceiling_s is None else ceiling_s
    assert (found.ttl_s or 0) <= most_s
    assert (found.expires_s or 0) - now_s <= most_s
    if any(asked):
        assert found == asked


def test_a_stream_that_was_opened_keeps_what_it_was_given() -> None:
    """The settings of another node, or of a later day, do not change it."""
    options = read_push_options('{"schema": true, "recovery": "patch", "max_patches": 50000}')
    meta = StreamMeta("pushed", options=msgspec.Raw(msgspec.json.encode(options)))
    assert plan_of(*asked_by(meta)).judging.max_patches == 50_000
