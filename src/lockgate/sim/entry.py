"""One entry of the catalogue, and how a document grows to the size asked for.

A kind of document is a row of parts (products, days, people) in a frame, with some remarks. It takes as many parts as
fit into the size; the remarks fill the rest. So every size from about a kilobyte on comes out nearly exact, and a
longer document of the same seed begins with the same parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Final

from lockgate.sim.chance import Dice
from lockgate.sim.render import Style, ValuePlace, places, render
from lockgate.sim.schema_words import Json


@dataclass(frozen=True, slots=True)
class GrowableDocument:
    """A document that can grow: an endless row of parts, and a function that joins some of them with the remarks.

    ``whole`` draws nothing and changes no part, so it can be called again.
    """

    parts: Iterator[Json]
    whole: Callable[[Sequence[Json], str], Json]


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One kind of document.

    Attributes:
        name: Last part of the model's name, ``sim/<name>``.
        title: For people.
        description: One line.
        schema: JSON Schema 2020-12 that every document of this kind satisfies.
        default_bytes: Size if the request has none.
        style: How the text is written.
        grow: Makes a document from seeded dice.
        remarks: Sentences for the free text at the end, long and short ones.
    """

    name: str
    title: str
    description: str
    default_bytes: int
    schema: Json = field(repr=False, hash=False, compare=False)
    style: Style = field(repr=False)
    grow: Callable[[Dice], GrowableDocument] = field(repr=False)
    remarks: tuple[str, ...] = field(repr=False)

    def document(self, seed: int, size_bytes: int) -> str:
        """A document as JSON text, of about this many bytes of UTF-8. The same arguments give the same text."""
        return _document(self, seed, size_bytes)

    def value(self, seed: int, size_bytes: int) -> Json:
        """The same document as a fresh value, which the caller may change."""
        dice = Dice(f"{self.name}/{seed}")
        remarks = _Remarks(Dice(f"{self.name}/{seed}/remarks"), self.remarks, self.style)
        growth = self.grow(dice)
        parts, left = _fitting(growth, remarks.first, self.style, size_bytes)
        return growth.whole(parts, remarks.filling(left))

    def places(self, seed: int, size_bytes: int) -> list[ValuePlace]:
        """Where the scalars of the document stand, in the order of the text."""
        return places(self.value(seed, size_bytes), self.style)

    def style_of(self, _: int) -> Style:
        """How the text is written, whatever the seed."""
        return self.style

    def indented(self, line_end: str) -> CatalogueEntry:
        """The same kind, indented, with these line ends."""
        return replace(self, style=self.style.indented(line_end))


# Benchmarks ask for the same document hundreds of times. A document has at most 4 MiB.
@lru_cache(maxsize=16)
def _document(entry: CatalogueEntry, seed: int, size_bytes: int) -> str:
    return render(entry.value(seed, size_bytes), entry.style)


_MAX_GUESSES: Final = 12


def _fitting(growth: GrowableDocument, remarks: str, style: Style, size_bytes: int) -> tuple[list[Json], int]:
    """As many parts as fit, at least one, and the number of bytes left.

    The size grows nearly linearly with the number of parts, so the number is estimated from the mean size of a part.
    Three or four estimates are enough.
    """
    parts = list(islice(growth.parts, 1))

    def size(n: int) -> int:
        return len(render(growth.whole(parts[:n], remarks), style).encode())

    n, one = 1, size(1)
    now, mean = one, one
    for _ in range(_MAX_GUESSES):
        more = (size_bytes - now) // mean
        if now <= size_bytes and more <= 0:
            break
        n = max(1, n + (more or -1))
        parts.extend(islice(growth.parts, max(0, n - len(parts))))
        now = size(n)
        mean = max(1, (now - one) // (n - 1)) if n > 1 else one
    while now > size_bytes and n > 1:
        n -= 1
        now = size(n)
    return parts[:n], size_bytes - now


class _Remarks:
    """Sentences in a seeded order, enough to fill a number of bytes."""

    def __init__(self, dice: Dice, sentences: tuple[str, ...], style: Style) -> None:
        self._sentences = dice.several(sentences, len(sentences))
        self._style = style
        self.first = self._sentences[0]

    def filling(self, left: int) -> str:
        """The first sentence, and more while they fit or miss by less than half."""
        taken = [self.first]
        for sentence in self._sentences[1:]:
            cost = len(render(f" {sentence}", self._style).encode()) - len('""')
            if cost // 2 <= left:
                taken.append(sentence)
                left -= cost
        return " ".join(taken)
