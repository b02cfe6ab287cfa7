"""The clock of a log: all ages and lifetimes are counted by it, on every node.

It begins as the wall clock shows when the log is made. From then on it follows the monotonic clocks of the nodes that
beat, and stands still while none does. So a wall clock that is set, by a second or by a day, deletes nothing, and
neither does a machine that was off for a week.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class LogClock:
    """What one node knows of it. Any thread may ask.

    Args:
        now_s: What the log says.
        monotonic: Seconds that nobody sets; only differences count.
    """

    def __init__(self, now_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._anchor = now_s, monotonic()

    def __call__(self) -> float:
        """The time, in seconds; near those since 1970 on a machine that is seldom off."""
        now_s, since_s = self._anchor
        return now_s + (self._monotonic() - since_s)

    def hear(self, now_s: float) -> None:
        """Another node has got further: go on from there. This clock never goes back."""
        if now_s > self():
            self._anchor = now_s, self._monotonic()
