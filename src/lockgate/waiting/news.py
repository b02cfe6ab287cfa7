"""What one task waits for, again and again: news or a deadline."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from lockgate.waiting.turn import Turn, turn_of_loop
from lockgate.waiting.wheel import Alarm


class News:
    """Set and cleared like an ``asyncio.Event``, but for one task that waits, and its waits may have an end.

    Close it when nobody waits for it any more.
    """

    __slots__ = ("_alarm", "_deal", "_is_set", "_turn", "_waiter")

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None
        self._alarm: Alarm | None = None
        self._deal: Callable[[], bool] | None = None
        self._turn: Turn | None = None  # set while the news are to be dealt with at its end

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """There is news: who waits goes on, and who comes does not wait."""
        self._is_set = True
        if self._deal is None:
            self._wake()
        elif self._turn is None:
            self._turn = turn_of_loop()
            self._turn.add(self._tell)

    def _tell(self) -> None:
        """Have the news dealt with, or wake who waits."""
        self._turn = None
        if self._deal is None or not self._deal():
            self._wake()

    def clear(self) -> None:
        self._is_set = False

    async def wait(self, seconds: float = math.inf, deal: Callable[[], bool] | None = None) -> bool:
        """Wait until it is set, or so many seconds.

        Args:
            deal: Called at the end of a turn of the loop that brings news: it does what is to be done about them, and
                the wait goes on. False: the wait ends. It must not raise.

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
        self._deal = deal
        try:
            await waiter
        finally:
            self._waiter = self._deal = None
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
