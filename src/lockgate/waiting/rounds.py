"""Long work in small steps: in each round of the event loop one step of it is done, however many have such work."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final
from weakref import WeakKeyDictionary

#: One at a time of those with long work, per event loop.
_TURNSTILES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = WeakKeyDictionary()


async def my_turn() -> None:
    """Wait, in order, for a round of the event loop in which nobody else does a step of long work.

    A step should take a few milliseconds. Without this, a round takes as long as the steps of all together.
    """
    async with _TURNSTILES.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        await asyncio.sleep(0)


class Rounds:
    """Lets a few pass in each round of the event loop; who waits, in the order in which they came.

    Args:
        each: How many; up to twice as many where some have waited.
    """

    def __init__(self, each: int) -> None:
        self._each = each
        self._left = each
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def pass_one(self) -> None:
        """Go on at once, or in the round in which it is one's turn."""
        loop = asyncio.get_running_loop()
        if self._left == self._each:  # the first of this round
            loop.call_soon(self._next_round, loop)
        if self._left and not self._waiting:
            self._left -= 1
            return
        future = loop.create_future()
        self._waiting.append(future)
        await future

    def _next_round(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = self._each
        while self._waiting and self._left:
            future = self._waiting.popleft()
            if not future.done():  # it may have been cancelled
                future.set_result(None)
                self._left -= 1
        if self._left < self._each:
            loop.call_soon(self._next_round, loop)
