"""A bound for the time that a task waits for something else than news."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from typing import Any, TypeVar

from lockgate.waiting.wheel import Alarm

T = TypeVar("T")


class Limit:
    """Bounds one wait after the other; close it at the end.

    It is ``asyncio.timeout`` for waits that mostly do not wait: nothing is made for each of them.
    """

    __slots__ = ("_alarm", "_cancelled_before", "_task")

    def __init__(self) -> None:
        self._alarm = Alarm(self.end_now)
        self._task: asyncio.Task[Any] | None = None  # who waits
        self._cancelled_before: int | None = None  # how often, when the time had passed

    async def hold(self, coming: Awaitable[T], seconds: float) -> T:
        """Wait for something, at most so long (up to a 32nd of a second longer).

        Raises:
            TimeoutError: it took longer, and was cancelled.
        """
        task = self._task = asyncio.current_task()
        self._alarm.at(asyncio.get_running_loop().time() + seconds)
        try:
            return await coming
        except asyncio.CancelledError:
            # Somebody else may have cancelled the task at the same time, and that counts.
            before = self._cancelled_before
            if before is not None and task is not None and task.uncancel() <= before:
                raise TimeoutError from None
            raise
        finally:
            self._alarm.due_s = math.inf  # as ``off`` does
            self._task = self._cancelled_before = None

    def end_now(self) -> None:
        """The wait that is under way, if there is one, has taken too long."""
        if self._task is not None and self._cancelled_before is None:
            self._cancelled_before = self._task.cancelling()
            self._task.cancel()

    def close(self) -> None:
        """Nothing is held for it any longer."""
        self._alarm.close()
