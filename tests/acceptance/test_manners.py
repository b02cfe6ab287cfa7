"""All manners of upstreams at random bytes: 1,000 runs and more, with figures."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.streams.manners import run_all, runs

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]
RUNS = 1000


async def test_a_thousand_runs() -> None:
    chosen = list(runs(40, random.Random("a thousand manners")))
    assert len(chosen) >= RUNS
    came = await run_all(chosen)
    wrong = [f"{one.run.name}: {one.wrong}" for one in came if one.wrong]
    states = Counter(f"{one.state} after {one.requests}" for one in came)
    print(f"\n{len(came)} runs: {dict(states)}; wrong: {len(wrong)}")
    assert wrong == []
