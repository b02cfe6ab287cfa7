"""Plain calls at the end of a turn of the event loop: what many streams have to do, without a task or timer for each.

How it works: the first call of a turn asks the loop for one callback, and all that come until then are made in it, in
their order. After a few milliseconds the rest waits for the next turn, so that sockets and timers get theirs.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary, ref

#: What is done before others get their turn.
_LONGEST_S: Final = 0.005


class Turn:
    """The calls of one event loop."""

    __slots__ = ("__weakref__", "_calls", "_is_asked", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)  # what belongs to a loop must not keep it
        self._calls: deque[Callable[[], None]] = deque()
        self._is_asked = False

    def add(self, call: Callable[[], None]) -> None:
        """Make this call soon. It must not block; what it raises goes to the loop's handler of exceptions."""
        self._calls.append(call)
        if not self._is_asked:
            self._ask()

    def _ask(self) -> None:
        loop = self._loop()
        self._is_asked = loop is not None
        if loop is not None:
            loop.call_soon(self._run)

    def _run(self) -> None:
        calls, until_s = self._calls, time.monotonic() + _LONGEST_S
        try:
            while calls:
                try:
                    calls.popleft()()
                except Exception as error:
                    # Broad, because the calls are of many streams: one of them must not keep the others from theirs.
                    self._report(error)
                if time.monotonic() >= until_s:
                    break
        finally:
            # What was added meanwhile did not ask: there is never more than one callback, so one share of each turn.
            self._is_asked = False
            if calls:
                self._ask()

    def _report(self, error: Exception) -> None:
        loop = self._loop()
        if loop is not None:
            loop.call_exception_handler({"message": "a call at the end of a turn failed", "exception": error})


_TURNS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Turn]] = WeakKeyDictionary()


def turn_of_loop() -> Turn:
    """The one of the running loop."""
    loop = asyncio.get_running_loop()
    turn = _TURNS.get(loop)
    if turn is None:
        turn = _TURNS[loop] = Turn(loop)
    return turn
