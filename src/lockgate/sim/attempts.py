"""Counts the attempts at one answer, so that faults can strike in the first of them only."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_MAX_KEYS: Final = 10_000


class Attempts:
    """Counts the requests of each key. Forgets the keys that were not used for longest.

    Args:
        max_keys: Most keys to remember.
    """

    def __init__(self, max_keys: int = _MAX_KEYS) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._max_keys = max_keys

    def next(self, key: str) -> int:
        """The number of this attempt, from 1."""
        number = self._counts.pop(key, 0) + 1
        self._counts[key] = number
        if len(self._counts) > self._max_keys:
            self._counts.popitem(last=False)
        return number
