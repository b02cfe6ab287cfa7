"""When to try again: bounded in attempts, in each wait and in all; never earlier than the provider asked for."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lockgate.retry.backoff import Backoff, BackoffPolicy, GiveUp, Wait

policies = st.builds(
    BackoffPolicy,
    max_attempts=st.integers(0, 12),
    strategy=st.sampled_from(["linear", "exponential"]),
    base_s=st.floats(0.001, 10),
    cap_s=st.floats(0.001, 60),
    deadline_s=st.floats(0.1, 600),
)
asked = st.lists(st.none() | st.floats(0, 100), min_size=20, max_size=20)


@given(policies, st.integers(), asked, st.lists(st.floats(0, 30), min_size=20, max_size=20))
def test_every_wait_is_bounded_and_so_is_their_number(
    policy: BackoffPolicy, seed: int, retry_after: list[float | None], work_s: list[float]
) -> None:
    """Whatever providers ask for and however long attempts take."""
    rng, now_s = random.Random(seed), 100.0
    backoff = Backoff(policy, start_s=now_s)
    waits = 0
    for wanted, took_s in zip(retry_after, work_s, strict=True):
        now_s += took_s
        found = backoff.next(now_s, rng.random, wanted)
        if isinstance(found, GiveUp):
            break
        waits += 1
        assert found.seconds >= (wanted or 0)
        assert found.seconds <= policy.cap_s + (min(policy.base_s, policy.cap_s) if wanted is not None else 0)
        now_s += found.seconds
        assert now_s < 100.0 + policy.deadline_s
    assert waits <= policy.max_attempts


@given(st.floats(0.001, 10), st.floats(0.001, 100))
def test_the_longest_wait_grows_as_named_up_to_the_cap(base_s: float, cap_s: float) -> None:
    """Linear: by the base each time. Exponential: twice as long each time."""
    growths: list[tuple[Any, Callable[[int], int]]] = [("linear", lambda n: n + 1), ("exponential", lambda n: 2**n)]
    for strategy, factor in growths:
        policy = BackoffPolicy(max_attempts=10, strategy=strategy, base_s=base_s, cap_s=cap_s)
        backoff = Backoff(policy, start_s=0)
        for n in range(10):
            assert backoff.next(0, lambda: 1.0) == Wait(min(cap_s, base_s * factor(n)))


def test_the_jitter_is_full() -> None:
    """The dice choose from the whole wait, so that clients that failed together come back apart."""
    waits = []
    for seed in range(500):
        found = Backoff(BackoffPolicy(base_s=1.0), start_s=0).next(0, random.Random(seed).random)
        assert isinstance(found, Wait)
        waits.append(found.seconds)
    assert min(waits) < 0.05
    assert max(waits) > 0.95
    assert 0.45 < sum(waits) / len(waits) < 0.55


def test_each_reason_to_give_up() -> None:
    assert Backoff(BackoffPolicy(max_attempts=0), start_s=0).next(0, lambda: 0.5) == GiveUp("attempts")
    assert Backoff(BackoffPolicy(deadline_s=10), start_s=0).next(10, lambda: 0.0) == GiveUp("deadline")
    assert Backoff(BackoffPolicy(deadline_s=10, cap_s=60), start_s=0).next(1, lambda: 0.0, 9.5) == GiveUp("deadline")
    assert Backoff(BackoffPolicy(cap_s=30), start_s=0).next(0, lambda: 0.0, 31) == GiveUp("retry_after")


def test_progress_shortens_the_wait_but_gives_no_attempt_back() -> None:
    backoff = Backoff(BackoffPolicy(max_attempts=4, base_s=1), start_s=0)
    for _ in range(3):
        backoff.next(0, lambda: 1.0)
    backoff.progressed()
    assert backoff.next(0, lambda: 1.0) == Wait(1.0)
    assert backoff.next(0, lambda: 1.0) == GiveUp("attempts")
