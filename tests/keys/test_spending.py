"""What keys use is counted once, by all nodes of a log, and budgets go by it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import pytest

from lockgate.errors import BadRequest, QuotaReached, StoreFailing
from lockgate.keys.caller import Caller
from lockgate.keys.spending import DAYS, KeyUse, Spending, use_of
from lockgate.store.memory import MemoryLog

DAY_S = 86_400.0
NOON_S = 20_000 * DAY_S + DAY_S / 2


class Clock:
    def __init__(self) -> None:
        self.now_s = NOON_S

    def __call__(self) -> float:
        return self.now_s


async def test_nodes_add_up_to_the_same_sum() -> None:
    """Every stream counts once, whichever node had it, however they write and read in between."""
    log, clock, rng = MemoryLog(), Clock(), random.Random(7)
    await log.open()
    usage: dict[str, Mapping[str, Any]] = {}

    async def usage_of(stream_id: str) -> Mapping[str, Any]:
        return usage[stream_id]

    nodes = [Spending(log, usage_of, now=clock) for _ in range(3)]
    wanted: dict[str, KeyUse] = {}
    for number in range(200):
        node, name, stream_id = rng.choice(nodes), rng.choice("ab"), f"s{number}"
        usage[stream_id] = {"total_tokens": rng.randint(0, 50), "cost": rng.choice([0, 0.25, 0.5])}
        node.opened(Caller("q", name), stream_id)
        node.ended(stream_id)
        node.ended("of nobody")
        wanted.setdefault(name, KeyUse()).add(
            KeyUse(1, usage[stream_id]["total_tokens"], float(usage[stream_id]["cost"]))
        )
        if rng.random() < 0.3:
            with pytest.raises(QuotaReached), node.asking(Caller("q", name)):
                raise QuotaReached("some", 1.0)
            wanted[name].refused += 1
        with pytest.raises(BadRequest), node.asking(Caller("q", name)):
            raise BadRequest("a mistake is no refusal")
        if rng.random() < 0.3:
            await rng.choice(nodes)._write_down()
    for node in nodes:
        await node._write_down()
    for node in nodes:
        assert await node.of_days() == wanted


async def test_a_budget_holds_for_a_day() -> None:
    log, clock = MemoryLog(), Clock()
    await log.open()

    async def usage_of(stream_id: str) -> Mapping[str, Any]:
        return {"cost": 0.6}

    here, there = (Spending(log, usage_of, now=clock) for _ in range(2))
    caller = Caller("q", "a", budget_usd=1.0)
    for number in range(2):
        await here.check(caller)
        here.opened(caller, f"s{number}")
        here.ended(f"s{number}")
        await here._write_down()
    for node in (here, there):
        with pytest.raises(QuotaReached, match=r"has spent 1\.2000 USD of 1 a day") as refused:
            await node.check(caller)
        assert refused.value.retry_after_s == DAY_S / 2
        await node.check(Caller("q", "a"))  # a key without a budget
    clock.now_s += DAY_S
    await here.check(caller)
    assert (await here.of_days(1)).get("a", KeyUse()) == KeyUse()
    assert (await here.of_days(2))["a"].streams == 2
    clock.now_s += DAYS * DAY_S
    assert (await here.of_days(DAYS)).get("a") is None


async def test_what_the_log_does_not_take_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    log, clock = MemoryLog(), Clock()
    await log.open()
    spending = Spending(log, now=clock)
    spending.pushed(Caller("q", "a"))
    push = log.push

    async def failing(*_: Any, **__: Any) -> Any:
        raise StoreFailing("not now")

    monkeypatch.setattr(log, "push", failing)
    with pytest.raises(StoreFailing):
        await spending._write_down()
    monkeypatch.setattr(log, "push", push)
    spending.pushed(Caller("q", "a"))
    await spending._write_down()
    assert (await Spending(log, now=clock).of_days())["a"] == KeyUse(streams=2)


async def test_the_task_writes_and_what_is_left_is_written_at_the_end() -> None:
    log, clock = MemoryLog(), Clock()
    await log.open()
    spending = Spending(log, now=clock)
    spending.start()
    spending.pushed(Caller("q", "a"))
    spending.pushed(Caller("q"))  # without a key, nothing is counted
    async with asyncio.timeout(30):
        while "a" not in await Spending(log, now=clock).of_days():  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # between two questions
    spending.pushed(Caller("q", "a"))
    await spending.stop()
    assert await Spending(log, now=clock).of_days() == {"a": KeyUse(streams=2)}


@pytest.mark.parametrize(
    ("usage", "tokens", "cost"),
    [
        ({"total_tokens": 7, "prompt_tokens": 3, "cost": 0.5}, 7, 0.5),
        ({"prompt_tokens": 3, "completion_tokens": 4}, 7, 0.0),
        ({}, 0, 0.0),
        ({"total_tokens": "7", "cost": "1"}, 0, 0.0),
        ({"total_tokens": True, "cost": -1}, 0, 0.0),
        ({"total_tokens": float("nan"), "cost": float("inf")}, 0, 0.0),
        ({"total_tokens": 10**30, "cost": 1e300}, 0, 0.0),
    ],
    ids=["all", "parts", "none", "texts", "no numbers", "no end", "beyond all"],
)
def test_what_upstream_says_of_usage(usage: dict[str, Any], tokens: int, cost: float) -> None:
    assert use_of(usage) == KeyUse(tokens=tokens, cost_usd=cost)
