"""Begins something that is mostly over at once, without a task that waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any


class Rest:
    """What is left of something that was begun and does wait. It is to be awaited once."""

    __slots__ = ("_blocker", "_steps")

    def __init__(self, steps: Generator[Any, Any, Any], blocker: Any) -> None:
        self._steps = steps
        self._blocker = blocker

    def __await__(self) -> Generator[Any, Any, Any]:
        yield self._blocker  # who waits has not seen this yet
        return (yield from self._steps)


def started(coming: Awaitable[Any]) -> Rest | None:
    """Begin something, in the event loop; None: it is over, and nobody need wait.

    Raises:
        Exception: what it raises.
    """
    steps = coming.__await__()
    try:
        return Rest(steps, next(steps))
    except StopIteration:
        return None
