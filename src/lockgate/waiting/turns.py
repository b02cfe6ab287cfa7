"""Long work in small steps: in each round of the event loop one step of it is done, however many have such work."""

from __future__ import annotations

import asyncio
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
