"""Sets of texts that can tell whether a prefix may still become one of them: enum values, names of closed objects."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import islice

from lockgate.gate.schema.spellings import Spellings


class AllowedTexts:
    """A set of texts, sorted; a prefix is looked up in logarithmic time.

    Attributes:
        texts: All of them.
        schema_path: The keyword that allows no others.
    """

    __slots__ = ("_few", "_sorted", "_spellings", "schema_path", "texts")

    def __init__(self, texts: Iterable[str], schema_path: str) -> None:
        texts = list(texts)
        self.texts = frozenset(texts)
        self.schema_path = schema_path
        self._sorted = sorted(self.texts)
        self._few = tuple(islice(dict.fromkeys(texts), 12))
        self._spellings: Spellings | None = None

    def is_live(self, prefix: str) -> bool:
        """Whether some text begins with ``prefix``."""
        # Texts that begin with a prefix stand together, right where the prefix itself would stand.
        at = bisect_left(self._sorted, prefix)
        return at < len(self._sorted) and self._sorted[at].startswith(prefix)

    def beginning_with(self, prefix: str) -> Iterator[str]:
        """The texts that begin so, in order; finding the first costs the same among many as among few."""
        for at in range(bisect_left(self._sorted, prefix), len(self._sorted)):
            if not self._sorted[at].startswith(prefix):
                return
            yield self._sorted[at]

    def sample(self, count: int) -> tuple[str, ...]:
        """A few of the texts, as the schema has them in order; at most 12."""
        return self._few[:count]

    @property
    def spellings(self) -> Spellings:
        """The texts by all their spellings; made when it is first asked for."""
        if self._spellings is None:
            self._spellings = Spellings(self._sorted)
        return self._spellings

    def first_dead(self, before: str, text: str) -> int:
        """Index of the first character of ``text`` after which, behind ``before``, nothing is left; -1 for none."""
        if self.is_live(before + text):
            return -1
        return next(at for at in range(len(text)) if not self.is_live(before + text[: at + 1]))
