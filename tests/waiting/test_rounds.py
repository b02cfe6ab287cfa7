"""Turns: however many wait, a round of the event loop has a bounded part of their work, and nobody is passed by."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from lockgate.waiting.rounds import Rounds, my_turn


class RoundCount:
    """Counts the rounds of the event loop while it is entered."""

    def __init__(self) -> None:
        self.number = 0
        self._is_on = False

    def __enter__(self) -> RoundCount:
        self._is_on = True
        self._next()
        return self

    def _next(self) -> None:
        if self._is_on:
            self.number += 1
            asyncio.get_running_loop().call_soon(self._next)

    def __exit__(self, *_: object) -> None:
        self._is_on = False


async def test_one_step_of_long_work_is_done_in_a_round() -> None:
    steps: list[tuple[int, int]] = []

    async def work(who: int) -> None:
        for _ in range(5):
            await my_turn()
            steps.append((rounds.number, who))

    with RoundCount() as rounds:
        await asyncio.gather(*(work(who) for who in range(7)))
    assert len(steps) == 35
    assert max(Counter(number for number, _ in steps).values()) == 1
    assert [who for _, who in steps] == [*range(7)] * 5


@pytest.mark.parametrize("seed", range(20))
async def test_a_few_pass_in_each_round_and_nobody_waits_for_those_behind(seed: int) -> None:
    rng = random.Random(seed)
    each, count = rng.randint(1, 5), rng.randint(1, 60)
    passing, passed = Rounds(each), list[tuple[int, int]]()
    cancelled: set[int] = set()

    async def come(who: int) -> None:
        came = rounds.number
        await passing.pass_one()
        passed.append((rounds.number, who))
        assert rounds.number - came <= who // each + 2

    with RoundCount() as rounds:
        tasks = []
        for who in range(count):
            tasks.append(asyncio.create_task(come(who)))
            if rng.random() < 0.1:
                await asyncio.sleep(0)
            if rng.random() < 0.2:
                one = rng.randrange(len(tasks))
                if tasks[one].cancel():
                    cancelled.add(one)
        await asyncio.wait(tasks)
    assert {who for _, who in passed} >= set(range(count)) - cancelled
    assert not any(task.exception() for task in tasks if not task.cancelled())
    # Who waited passes in the round after the one that let it pass, and so beside those of that round.
    assert max(Counter(number for number, _ in passed).values(), default=0) <= 2 * each


async def test_who_comes_alone_waits_for_nothing() -> None:
    passing = Rounds(2)
    coming = passing.pass_one()
    with pytest.raises(StopIteration):
        coming.send(None)
