"""Work in steps, done at once or with the turns of others between them."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")

#: Work that yields between its steps and returns its result.
Steps: TypeAlias = Generator[None, None, T]


def at_once(steps: Steps[T]) -> T:
    """Do all steps."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


async def in_turns(steps: Steps[T]) -> T:
    """Do all steps, and let the other tasks of the event loop have their turn after each."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        await give_way()


async def give_way() -> None:
    """Let the other tasks of the event loop have their turn; under another library than asyncio it goes on at once."""
    import asyncio  # here, since whoever imports lockgate may have no use for it

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    await asyncio.sleep(0)
