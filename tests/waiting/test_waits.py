"""Deadlines and waits: never early, never lost, and nothing is left when they are over."""

from __future__ import annotations

import asyncio
import gc
import math
import random
import weakref
from typing import Any

import pytest

from lockgate.waiting.limit import Limit
from lockgate.waiting.news import News
from lockgate.waiting.started import started
from lockgate.waiting.wheel import Alarm


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only when a test sets it forward."""

    now_s = 1000.0

    def time(self) -> float:
        return self.now_s


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": Loop}


async def later(seconds: float) -> None:
    """Let time pass, and everybody do what is due."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    loop.now_s += seconds
    for _ in range(6):
        await asyncio.sleep(0)


# -- alarms ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
async def test_alarms_ring_once_never_early_and_soon(seed: int) -> None:
    """Whatever is set, put off, brought forward, stopped and closed; seen from outside at every step."""
    rng = random.Random(seed)
    loop = asyncio.get_running_loop()
    due: dict[int, float] = {}
    rung: list[int] = []
    alarms = [Alarm(lambda number=number: rung.append(number)) for number in range(30)]  # type: ignore[misc]
    rings = 0
    for _ in range(200):
        for number in rng.sample(range(30), 5):
            match rng.randrange(4):
                case 0 | 1:
                    due[number] = loop.time() + rng.choice([0.0, 0.01, 0.1, 0.5, 3.0]) * rng.random()
                    alarms[number].at(due[number])
                case 2:
                    due.pop(number, None)
                    alarms[number].off()
                case _ if rng.random() < 0.05:
                    due.pop(number, None)
                    alarms[number].close()
                    alarms[number] = Alarm(lambda number=number: rung.append(number))  # type: ignore[misc]
        await later(rng.choice([0.0, 0.005, 0.05, 0.3]))
        for number in rung:
            assert due.pop(number) <= loop.time()
        rings += len(rung)
        rung.clear()
        assert all(due_s > loop.time() - 2 / 64 for due_s in due.values())
    assert rings > 50


async def test_an_alarm_that_is_put_off_sets_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    timers: list[object] = []
    alarm = Alarm(lambda: None)
    alarm.at(loop.time() + 5)
    monkeypatch.setattr(loop, "call_at", lambda *args: timers.append(args))
    for _ in range(100):
        alarm.at(loop.time() + 5)
    assert timers == []


async def test_many_alarms_at_one_moment_leave_others_their_turn() -> None:
    loop = asyncio.get_running_loop()
    rung: list[int] = []
    alarms = [Alarm(lambda: rung.append(1)) for _ in range(1200)]
    for alarm in alarms:
        alarm.at(loop.time() + 1)
    assert isinstance(loop, Loop)
    loop.now_s += 2
    turns = []
    while len(rung) < 1200:
        await asyncio.sleep(0)
        turns.append(len(rung))
    assert max(after - before for before, after in zip([0, *turns], turns, strict=False)) <= 500


async def test_a_closed_alarm_holds_nothing() -> None:
    class Owner:
        def ring(self) -> None: ...

    owner = Owner()
    alarm = Alarm(owner.ring)
    alarm.at(asyncio.get_running_loop().time() + 60)
    alarm.close()
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
    alarm.at(asyncio.get_running_loop().time())
    await later(1)


# -- news ------------------------------------------------------------------------------------------------------------


async def test_news_wake_and_time_wakes() -> None:
    news = News()
    waiting = asyncio.create_task(news.wait(5))
    await later(0)
    await later(4.9)
    assert not waiting.done()
    news.set()
    assert await waiting
    assert await news.wait(0)  # nobody waits while it is set
    news.clear()
    waiting = asyncio.create_task(news.wait(5))
    await later(0)
    await later(4.9)
    assert not waiting.done()
    await later(0.2)
    assert not await waiting
    forever = asyncio.create_task(news.wait())
    await later(0)
    await later(1e6)
    assert not forever.done()
    forever.cancel()
    with pytest.raises(asyncio.CancelledError):
        await forever
    again = asyncio.create_task(news.wait(5))  # a wait that was cancelled leaves nothing behind
    await later(0)
    news.set()
    assert await again
    news.close()


# -- limits ----------------------------------------------------------------------------------------------------------


async def test_a_limit_ends_the_wait_and_nothing_else() -> None:
    limit = Limit()

    async def works() -> str:
        with pytest.raises(TimeoutError):
            await limit.hold(asyncio.Event().wait(), 1)
        assert await limit.hold(asyncio.sleep(0, "in time"), 1) == "in time"
        await asyncio.Event().wait()
        return "never"

    task = asyncio.create_task(works())
    await later(0)
    await later(0.9)
    assert not task.done()
    for _ in range(4):
        await later(10)  # the wait without a limit goes on
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_cancels_at_the_same_moment_is_heard() -> None:
    limit = Limit()
    task = asyncio.create_task(limit.hold(asyncio.Event().wait(), 1))
    await later(0)
    limit.end_now()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limit_without_a_wait_can_end_nothing() -> None:
    limit = Limit()
    limit.end_now()
    assert await limit.hold(asyncio.sleep(0, 1), math.inf) == 1
    limit.close()


async def test_news_can_be_dealt_with_while_the_wait_goes_on() -> None:
    news, dealt = News(), list[bool]()
    answers = [True, True, False]

    def deal() -> bool:
        dealt.append(news.is_set())
        news.clear()
        return answers.pop(0)

    waiting = asyncio.ensure_future(news.wait(math.inf, deal))
    await later(0)
    for count in (1, 2):
        news.set()
        news.set()  # one turn brings it once
        await later(0)
        assert len(dealt) == count
        assert not waiting.done()
    news.set()
    await later(0)
    assert waiting.done()
    assert dealt == [True] * 3
    news.set()  # nobody waits: nothing to deal with, and the next wait does not wait
    assert await news.wait()
    news.close()


async def test_what_is_begun_is_over_or_can_be_awaited() -> None:
    async def at_once() -> None:
        pass

    gate = asyncio.get_running_loop().create_future()

    async def slow() -> int:
        await gate
        await asyncio.sleep(0)
        return 7

    def fails() -> Any:
        async def fail() -> None:
            raise OSError("gone")

        return fail()

    assert started(at_once()) is None
    rest = started(slow())
    assert rest is not None
    asyncio.get_running_loop().call_soon(gate.set_result, None)
    assert await rest == 7
    with pytest.raises(OSError, match="gone"):
        started(fails())
