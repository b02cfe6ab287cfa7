"""The circuit breaker as a stateful property: it is told of attempts at random, beside a model that is three lines."""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from lockgate.retry.breaker import Breaker, Breakers, BreakerState, Permit, Thresholds

LIMITS = Thresholds(consecutive=3, rate=0.5, window=8, open_s=10, max_open_s=60, probes=2, probe_s=30)


class BreakerMachine(RuleBasedStateMachine):
    """Attempts begin and end in any order while time passes."""

    permits = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(LIMITS)
        self.now_s = 0.0
        self.probes: dict[int, float] = {}

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 9.0, 10.0, 31.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(target=permits)
    def acquire(self) -> object:
        state = self.breaker.state(self.now_s)
        permit = self.breaker.acquire(self.now_s)
        if state is BreakerState.OPEN:
            assert permit is None, "an open breaker lets nobody through"
        if state is BreakerState.CLOSED:
            assert permit is not None, "a closed one lets everybody through"
            assert not permit.is_probe
        if permit is None:
            return multiple()
        if permit.is_probe:
            assert state is BreakerState.HALF_OPEN
            self.probes[permit.number] = self.now_s
            out = [since for since in self.probes.values() if self.now_s - since < LIMITS.probe_s]
            assert len(out) <= LIMITS.probes, "a dead provider costs at most its probes"
        return permit

    @rule(permit=consumes(permits))
    def succeed(self, permit: Permit) -> None:
        before = self.breaker.state(self.now_s)
        is_live = before is BreakerState.HALF_OPEN and permit.number in self.probes
        self.breaker.succeeded(permit, self.now_s)
        if is_live and permit.term == self.breaker._term - 1:
            assert self.breaker.state(self.now_s) is BreakerState.CLOSED, "the first good probe closes it"
        if before is BreakerState.OPEN:
            assert self.breaker.state(self.now_s) is BreakerState.OPEN, "news from before it opened close nothing"
        self._gone(permit)

    @rule(permit=consumes(permits))
    def fail(self, permit: Permit) -> None:
        before, openings = self.breaker.state(self.now_s), self.breaker.openings
        self.breaker.failed(permit, self.now_s)
        if before is BreakerState.OPEN:
            assert self.breaker.openings == openings, "what began before does not keep it open for longer"
        if self.breaker.openings > openings:
            assert 0 < self.breaker.retry_in_s(self.now_s) <= LIMITS.max_open_s
        self._gone(permit)

    @rule(permit=consumes(permits))
    def drop(self, permit: Permit) -> None:
        before = self.breaker.state(self.now_s)
        self.breaker.dropped(permit, self.now_s)
        assert self.breaker.state(self.now_s) is before
        self._gone(permit)

    @rule(target=permits, permit=consumes(permits))
    def answer(self, permit: Permit) -> Permit:
        before = self.breaker.state(self.now_s)
        is_probe = (
            before is BreakerState.HALF_OPEN and permit.number in self.probes and permit.term == self.breaker._term
        )
        later = self.breaker.answered(permit, self.now_s)
        assert self.breaker.state(self.now_s) is (BreakerState.CLOSED if is_probe else before)
        self._gone(permit)
        return later

    def _gone(self, permit: Permit) -> None:
        self.probes.pop(permit.number, None)

    @invariant()
    def an_open_breaker_says_until_when(self) -> None:
        is_open = self.breaker.state(self.now_s) is BreakerState.OPEN
        assert is_open == (self.breaker.retry_in_s(self.now_s) > 0)
        if self.breaker.state(self.now_s) is not BreakerState.HALF_OPEN:
            self.probes.clear()


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def failing(breaker: Breaker, now_s: float) -> bool:
    """One attempt at a dead provider; whether it was allowed."""
    permit = breaker.acquire(now_s)
    if permit is not None:
        breaker.failed(permit, now_s)
    return permit is not None


def test_a_dead_provider_costs_its_probes_and_no_more() -> None:
    """Asked every tenth of a second for an hour: five failures open it, then one probe each time, ever more rarely."""
    breaker = Breaker(Thresholds())
    asked = [second / 10 for second in range(36_000) if failing(breaker, second / 10)]
    assert len([at for at in asked if at < 10]) == 5
    waits = [later - earlier for earlier, later in itertools.pairwise(asked[4:])]
    assert [round(wait) for wait in waits[:6]] == [10, 20, 40, 80, 160, 300]
    assert len(asked) <= 5 + 6 + 3600 // 300


def test_recovery_is_seen_at_the_first_good_probe() -> None:
    breaker = Breaker(Thresholds())
    while failing(breaker, 0.0):
        pass
    probe = breaker.acquire(10.0)
    assert probe is not None
    assert probe.is_probe
    assert breaker.acquire(10.0) is None, "one probe at a time"
    breaker.succeeded(probe, 11.0)
    assert breaker.state(11.0) is BreakerState.CLOSED
    assert all(breaker.acquire(11.0) for _ in range(100))


def test_the_first_text_of_a_probe_is_enough() -> None:
    """A generation takes a minute; others need not wait for its end. If it breaks off, that still counts."""
    breaker = Breaker(Thresholds(consecutive=1))
    failing(breaker, 0.0)
    probe = breaker.acquire(10.0)
    assert probe is not None
    probe = breaker.answered(probe, 10.5)
    assert breaker.state(10.5) is BreakerState.CLOSED
    breaker.failed(probe, 20.0)
    assert breaker.state(20.0) is BreakerState.OPEN


def test_a_bad_rate_opens_it_too() -> None:
    """Every second attempt fails: never two in a row, and still not to be relied on."""
    breaker = Breaker(Thresholds(window=10))
    for n in range(10):
        permit = breaker.acquire(float(n))
        assert permit is not None
        (breaker.failed if n % 2 else breaker.succeeded)(permit, float(n))
    assert breaker.state(10.0) is BreakerState.OPEN


def test_a_probe_that_never_reports_is_forgotten() -> None:
    breaker = Breaker(Thresholds(consecutive=1, probe_s=60))
    failing(breaker, 0.0)
    lost = breaker.acquire(10.0)
    assert lost is not None
    assert breaker.acquire(69.0) is None
    assert breaker.acquire(70.0) is not None


def test_models_are_remembered_within_a_bound() -> None:
    """Names of models come from callers."""
    breakers = Breakers(Thresholds(consecutive=1), max_models=10)
    failing(breakers.of("p", "dead"), 0.0)
    for n in range(9):
        breakers.of("p", f"m{n}")
    assert list(breakers.states(0.0)) == [("p", "dead", BreakerState.OPEN)]
    assert breakers.of("p", "dead").state(0.0) is BreakerState.OPEN
    for n in range(100):
        breakers.of("p", f"n{n}")
    assert breakers.of("p", "dead").state(0.0) is BreakerState.OPEN, "made-up names do not close it"
    for n in range(100):
        failing(breakers.of("p", f"o{n}"), 0.0)
    assert len(list(breakers.states(0.0))) == 10
    assert breakers.of("p", "dead").state(0.0) is BreakerState.CLOSED
