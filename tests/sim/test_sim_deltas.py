"""Deltas: they join to the text, are as long as a model's, and come when they are due."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from lockgate.sim.deltas import cut
from lockgate.sim.documents import CATALOGUE
from lockgate.sim.pace import Pace


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_deltas_join_to_the_document(name: str) -> None:
    text = CATALOGUE[name].document(1, 20_000)
    deltas = cut(text, 1)
    assert "".join(deltas) == text
    assert {len(delta) for delta in deltas} <= set(range(1, 13))


def test_most_deltas_have_three_to_five_characters() -> None:
    lengths = Counter(len(delta) for delta in cut("x" * 100_000, 5))
    assert lengths[3] + lengths[4] + lengths[5] > 0.5 * lengths.total()
    assert {1, 12} < set(lengths)


def test_cuts_fall_inside_words() -> None:
    deltas = cut(CATALOGUE["products"].document(1, 20_000), 1)
    assert any(a[-1:].isalpha() and b[:1].isalpha() for a, b in pairwise(deltas))


def test_the_seed_decides_and_nothing_else() -> None:
    text = "a quick walk to the harbour and back again" * 20
    assert cut(text, 1) == cut(text, 1)
    assert cut(text, 1) != cut(text, 2)
    assert cut(text[:400], 1)[:-1] == cut(text, 1)[: len(cut(text[:400], 1)) - 1]
    assert cut("", 1) == []


class Clock:
    """Time that passes only in sleep, and there a little too long, as on a busy machine."""

    def __init__(self, late_s: float = 0.0) -> None:
        self.now_s = 1_000.0
        self.late_s = late_s
        self.naps: list[float] = []

    def now(self) -> float:
        return self.now_s

    async def sleep(self, s: float) -> None:
        self.naps.append(s)
        self.now_s += s + (self.late_s if s else 0.0)


async def test_pace_does_not_drift() -> None:
    """A thousand late wake-ups, and the last delta is still not later than one of them."""
    clock = Clock(late_s=0.004)
    pace = Pace(100, now=clock.now, sleep=clock.sleep)
    for index in range(1_001):
        await pace.wait(index)
        assert pace.due() >= index
    assert 1_010.0 <= clock.now_s <= 1_010.0041


def test_pace_counts_what_is_overdue() -> None:
    clock = Clock()
    pace = Pace(10, now=clock.now, sleep=clock.sleep)
    assert pace.due() == 1
    clock.now_s += 0.55
    assert pace.due() == 6


async def test_full_speed_waits_for_nothing_but_gives_way() -> None:
    clock = Clock()
    pace = Pace(0, now=clock.now, sleep=clock.sleep)
    await pace.wait(1_000_000)
    assert clock.naps == [0.0]
    assert pace.due() > 10**9
