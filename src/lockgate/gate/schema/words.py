"""Sets of texts that can tell whether a prefix may still become one of them: enum values, names of closed objects."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable


class Words:
    """A set of texts, sorted; a prefix is looked up in logarithmic time."""

    __slots__ = ("_sorted", "words")

    def __init__(self, words: Iterable[str]) -> None:
        self.words = frozenset(words)
        self._sorted = sorted(self.words)

    def is_live(self, prefix: str) -> bool:
        """Whether some word begins with ``prefix``."""
        # Words that begin with a prefix stand together, right where the prefix itself would stand.
        at = bisect_left(self._sorted, prefix)
        return at < len(self._sorted) and self._sorted[at].startswith(prefix)
