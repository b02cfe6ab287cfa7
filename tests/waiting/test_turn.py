"""Calls at the end of a turn: all are made, in their order, and nobody is kept waiting for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from lockgate.waiting.turn import turn_of_loop


def adds(order: list[object], name: object) -> Callable[[], None]:
    return lambda: order.append(name)


async def test_all_that_a_turn_brings_goes_together_in_its_order() -> None:
    turn, order = turn_of_loop(), list[object]()
    assert turn_of_loop() is turn
    turn.add(adds(order, 1))
    turn.add(lambda: turn.add(adds(order, 3)))  # what comes meanwhile, too
    turn.add(adds(order, 2))
    asyncio.get_running_loop().call_soon(order.append, "the next callback")
    assert order == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == [1, 2, 3, "the next callback"]


async def test_others_get_their_turn_between_long_ones() -> None:
    turn, order = turn_of_loop(), list[object]()

    def long() -> None:
        end_s = time.monotonic() + 0.006
        while time.monotonic() < end_s:
            pass
        order.append("long")

    for _ in range(3):
        turn.add(long)
    for _ in range(6):
        await asyncio.sleep(0)
        order.append("other")
    assert order.count("long") == 3
    for at, name in enumerate(order[:-1]):
        assert name == "other" or order[at + 1] == "other", order


async def test_what_adds_itself_again_takes_one_share_of_each_turn() -> None:
    turn, rounds = turn_of_loop(), [0]

    def long() -> None:
        end_s = time.monotonic() + 0.006
        while time.monotonic() < end_s:
            pass
        rounds[-1] += 1
        if len(rounds) < 8:
            turn.add(long)

    turn.add(long)
    for _ in range(8):
        await asyncio.sleep(0)
        rounds.append(0)
    assert max(rounds) == 1, rounds


async def test_one_that_fails_keeps_the_others_from_nothing() -> None:
    turn, order, told = turn_of_loop(), list[object](), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))

    def fail() -> None:
        raise ValueError("mine")

    turn.add(fail)
    turn.add(adds(order, 1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asyncio.get_running_loop().set_exception_handler(None)
    assert order == [1]
    assert [str(error) for error in told] == ["mine"]
