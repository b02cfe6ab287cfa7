"""What one task waits for, again and again: news or a deadline."""

from __future__ import annotations

import asyncio
import math

from lockgate.waiting.wheel import Alarm


class News:
    """Set and cleared like an ``asyncio.Event``, but for one task that waits, and its waits may have an end.

    Close it when nobody waits for it any more.
    """

    __slots__ = ("_alarm", "_is_set", "_waiter")

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None
        self._alarm: Alarm | None = None

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """There is news: who waits goes on, and who comes does not wait."""
        self._is_set = True
        self._wake()

    def clear(self) -> None:
        self._is_set = False

    async def wait(self, seconds: float = math.inf) -> bool:
        """Wait until it is set, or so many seconds.

        Returns:
            Whether it is set.
        """
        if self._is_set:
            return True
        assert self._waiter is None, "two tasks wait for the same news"
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        if seconds < math.inf:
            if self._alarm is None:
                self._alarm = Alarm(self._wake)
            self._alarm.at(loop.time() + seconds)
        try:
            await waiter
        finally:
            self._waiter = None
            if self._alarm is not None:
                self._alarm.due_s = math.inf  # as ``off`` does
        return self._is_set

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def close(self) -> None:
        """Nothing is held for it any longer."""
        if self._alarm is not None:
            self._alarm.close()
            self._alarm = None
