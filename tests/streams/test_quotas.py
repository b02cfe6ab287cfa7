"""What one caller may have, and all together; what is known of callers stays bounded."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.config import Quotas
from lockgate.errors import Busy, QuotaReached
from lockgate.keys.caller import Caller
from lockgate.observe.metrics import Meters
from lockgate.streams.quotas import Holdings, QuotaBook, QuotaNumbers, RateLimit


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_the_settings_are_the_numbers() -> None:
    assert {field.name for field in fields(QuotaNumbers)} == set(Quotas.model_fields)


# -- the pace ------------------------------------------------------------------------------------------------------


@given(st.integers(1, 100_000), st.lists(st.floats(0, 30), min_size=1, max_size=300))
def test_nobody_gets_more_in_a_minute_than_two_minutes_worth(per_minute: int, pauses: list[float]) -> None:
    """A minute's worth at once, and what a minute brings; who waits as long as it is told is let in."""
    pace, now_s = RateLimit(per_minute), 0.0
    taken: list[float] = []
    for pause_s in pauses:
        now_s += pause_s
        wait_s = pace.wait_s("me", now_s)
        if wait_s > 0:
            assert wait_s <= 60 / per_minute * (1 + 1e-6)
            now_s += wait_s + 1e-6
            assert pace.wait_s("me", now_s) == 0
        taken.append(now_s)
        assert sum(at > now_s - 60 for at in taken) <= 2 * per_minute + 1


def test_who_asks_evenly_is_never_refused() -> None:
    pace = RateLimit(600)
    assert all(pace.wait_s("me", at / 10) == 0 for at in range(5000))


def test_so_many_in_a_row_as_in_a_minute() -> None:
    pace = RateLimit(20)
    assert [pace.wait_s("me", 0.0) for _ in range(20)] == [0.0] * 20
    assert pace.wait_s("me", 0.0) == pytest.approx(3)
    assert pace.wait_s("another", 0.0) == 0


@given(st.lists(st.integers(0, 40), max_size=300))
def test_the_callers_of_a_pace_are_bounded(callers: list[int]) -> None:
    pace = RateLimit(5, max_keys=7)
    for caller in callers:
        pace.wait_s(str(caller), 0.0)
    assert len(pace._due_s) <= 7


# -- what is held --------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.sampled_from(["keep", "back", "wait"]))))
def test_counts_are_what_is_held(steps: list[tuple[str, int, str]]) -> None:
    """Whoever gives back what, and how often; who holds nothing is forgotten."""
    clock = Clock()
    holdings = Holdings(clock)
    model: dict[int, tuple[str, float]] = {}
    for caller, key, step in steps:
        if step == "keep":
            is_new = holdings.keep(caller, key, lasts_s=key or math.inf)
            assert is_new == (key not in model)
            model[key] = model.get(key, (caller,))[0], clock.now_s + (key or math.inf)
        elif step == "back":
            holdings.give_back(key)
            model.pop(key, None)
        else:
            clock.now_s += 2
            holdings.has_room(caller, 0, 0)  # nothing fits: what has lasted goes
            model = {key: hold for key, hold in model.items() if hold[1] > clock.now_s}
        for one in "abc":
            assert holdings.of(one) == sum(hold[0] == one for hold in model.values())
        assert set(holdings._counts) == {hold[0] for hold in model.values()}
        assert len(holdings) == len(model)


def test_what_has_lasted_is_forgotten_without_a_quota() -> None:
    """Nobody gives back a stream that expired."""
    clock = Clock()
    holdings, most = Holdings(clock), 0
    for key in range(20_000):
        clock.now_s += 0.1
        holdings.keep(f"caller {key}", key, lasts_s=60)
        most = max(most, len(holdings))
    assert most <= 2 * 1024 + 600
    assert len(holdings._counts) == len(holdings)


def refusals(meters: Meters) -> dict[str, float]:
    found = re.findall(r'^lockgate_quota_refusals_total\{quota="(\w+)"\} (\S+)', meters.exposition().decode(), re.M)
    return {name: float(count) for name, count in found}


def test_one_caller_is_refused_and_another_is_not() -> None:
    meters, clock = Meters(), Clock()
    numbers = QuotaNumbers(
        caller_open_streams=2, caller_pushed_streams=2, caller_readers=2, caller_streams_per_minute=2
    )
    book = QuotaBook(meters, numbers, now=clock)
    for at in range(2):
        book.open_stream(Caller("a"))
        book.generate("a", f"g{at}")
        book.open_pushed("a", f"p{at}", 60)
        book.read("a", at)
    cases: list[tuple[Callable[[], object], str]] = [
        (
            lambda: book.open_stream(Caller("a")),
            "2 streams a minute are what one caller may open (quotas.caller_streams_per",
        ),
        (lambda: book.generate("a", "g"), "2 streams of this caller are open (quotas.caller_open_streams)"),
        (lambda: book.open_pushed("a", "p", 60), "2 streams that this caller pushes to are open (quotas.caller_pushed"),
        (lambda: book.read("a", "r"), "2 readers of this caller are connected (quotas.caller_readers)"),
    ]
    for refused, says in cases:
        with pytest.raises(QuotaReached) as error:
            refused()
        assert str(error.value).startswith(says)
        assert error.value.retry_after_s > 0
    assert refusals(meters) == {
        "caller_streams_per_minute": 1, "caller_open_streams": 1, "caller_pushed_streams": 1, "caller_readers": 1
    }  # fmt: skip
    book.open_stream(Caller("b"))
    book.generate("b", "g2")
    book.open_pushed("b", "p2", 60)
    book.read("b", "r")
    # What is given back, or has lasted, makes room.
    book.generations.give_back("g0")
    book.readers.give_back(0)
    clock.now_s += 61
    book.open_stream(Caller("a"))
    book.generate("a", "g")
    book.open_pushed("a", "p", 60)
    book.read("a", "r2")


def test_all_together_are_refused() -> None:
    meters = Meters()
    numbers = QuotaNumbers(pushed_streams=1, streams_per_minute=1, log_bytes=10, memory_bytes=10)
    book = QuotaBook(meters, numbers, now=Clock())
    book.open_stream(Caller("a"))
    book.open_pushed("a", "p", 60)
    with pytest.raises(Busy, match=r"quotas\.streams_per_minute"):
        book.open_stream(Caller("b"))
    with pytest.raises(Busy, match=r"quotas\.pushed_streams"):
        book.open_pushed("b", "q", 60)
    book.log_bytes = 10
    with pytest.raises(Busy, match=r"the log of streams takes 10 bytes, and 10 are allowed \(quotas\.log_bytes\)"):
        book.open_stream(Caller("b"))
    book.log_bytes, book.memory_bytes = 9, 10
    with pytest.raises(Busy, match=r"quotas\.memory_bytes"):
        book.refuse_if_full()
    assert refusals(meters) == {"streams_per_minute": 1, "pushed_streams": 1, "log_bytes": 1, "memory_bytes": 1}
