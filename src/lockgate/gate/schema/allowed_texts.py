"""Sets of texts that can tell whether a prefix may still become one of them: enum values, names of closed objects."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from lockgate.gate.schema.spellings import Spellings

#: Taken texts that begin alike, up to which a free one is looked for: a character must not cost a walk through all.
_MAX_TAKEN: Final = 256


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

    @property
    def in_order(self) -> Sequence[str]:
        """All texts."""
        return self._sorted

    def sample(self, count: int) -> tuple[str, ...]:
        """A few of the texts, as the schema has them in order; at most 12."""
        return self._few[:count]

    @property
    def spellings(self) -> Spellings:
        """The texts by all their spellings; made when it is first asked for."""
        if self._spellings is None:
            self._spellings = Spellings(self._sorted)
        return self._spellings

    def is_free(self, prefix: str, taken: Collection[str]) -> bool:
        """Whether some text begins with ``prefix`` that is not taken; true, too, where very many begin so."""
        if not taken:
            return self.is_live(prefix)
        found = list(islice(self.beginning_with(prefix), _MAX_TAKEN))
        return len(found) == _MAX_TAKEN or any(text not in taken for text in found)

    def first_dead(self, before: str, text: str, taken: Collection[str] = ()) -> int:
        """Index of the first character of ``text`` after which, behind ``before``, nothing is left; -1 for none.

        Args:
            taken: Texts that do not count.
        """

        prefix, texts = before + text, self._sorted
        at = bisect_left(texts, prefix)
        if at < len(texts) and texts[at].startswith(prefix):
            first = texts[at]
            if not taken or first not in taken or self.is_free(prefix, taken):
                return -1
        return next(at for at in range(len(text)) if not self.is_free(before + text[: at + 1], taken))
