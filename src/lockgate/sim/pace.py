"""When each delta is due: delta k at start + k / rate. The schedule is absolute, so that delays do not add up."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

Now: TypeAlias = Callable[[], float]
Sleep: TypeAlias = Callable[[float], Awaitable[object]]


class Pace:
    """The schedule of one generation. It starts when the object is made.

    Args:
        rate: Deltas per second; 0 means that all deltas are due at once.
        now: Monotonic clock, in seconds.
        sleep: Waits for a number of seconds.
    """

    def __init__(self, rate: float, *, now: Now = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._rate = rate
        self._now = now
        self._sleep = sleep
        self._start = now()

    async def wait(self, index: int) -> None:
        """Wait until delta ``index`` is due. Lets other tasks run even if it is due already."""
        ahead_s = self._start + index / self._rate - self._now() if self._rate else 0.0
        await self._sleep(max(0.0, ahead_s))

    def due(self) -> int:
        """Number of deltas that are due by now."""
        if not self._rate:
            return sys.maxsize
        return int((self._now() - self._start) * self._rate) + 1
