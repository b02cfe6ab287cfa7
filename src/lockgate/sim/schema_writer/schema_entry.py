"""What ``sim/schema`` writes: one schema of a caller as a kind of document."""

from __future__ import annotations

import copy
import hashlib
from functools import cached_property
from itertools import islice
from typing import Any, Final

import msgspec

from lockgate.sim.chance import Dice
from lockgate.sim.render import COMPACT, PRETTY, SPACED, Style, ValuePlace, places, render
from lockgate.sim.schema_words import Json
from lockgate.sim.schema_writer.flat import Heights
from lockgate.sim.schema_writer.part_validator import PartValidator
from lockgate.sim.schema_writer.schema_references import SchemaReferences
from lockgate.sim.schema_writer.unwritable import Contradiction, Exhausted, Unwritable
from lockgate.sim.schema_writer.writer import Mood, Writer

DEFAULT_BYTES: Final = 1_500
_STYLES: Final = (COMPACT, SPACED, SPACED, PRETTY)
_MOODS: Final = (
    *(Mood(), Mood(), Mood(optional=50), Mood(), Mood(optional=100)),
    *(Mood(optional=10), Mood(optional=0, is_brief=True), Mood(optional=30, suggested=90), Mood(optional=0)),
    *(Mood(optional=50, suggested=0), Mood(optional=0, suggested=0, is_brief=True), Mood(optional=100, suggested=60)),
)
#: Levels that a document may have; more only where the schema demands it.
_LEVELS: Final = (10, 20, 40)
_WORK: Final = 60_000
#: After this many exhausted draws, further draws would be exhausted, too.
_MAX_EXHAUSTED: Final = 3
_MAX_PRUNES: Final = 12


class SchemaEntry:
    """Looks like a catalogue entry, but writes for any schema.

    Args:
        schema: The caller's; an object or a boolean.
        line_end: Every document is indented, with these line ends; None leaves it to the seed.

    Attributes: as those of ``entry.CatalogueEntry``.
    """

    name: Final = "schema"
    title: Final = "Any schema"
    description: Final = "A document for the JSON Schema that the request brings, drawn by seed."
    default_bytes: Final = DEFAULT_BYTES

    def __init__(self, schema: Json, *, line_end: str | None = None) -> None:
        self.schema = schema
        self._line_end = line_end
        self._last: tuple[tuple[int, int], Json] | None = None

    def document(self, seed: int, size_bytes: int) -> str:
        """A document as JSON text, of about this many bytes if the schema allows that.

        Raises:
            Unwritable: no valid document was found; says why.
        """
        return render(self._value(seed, size_bytes), self.style_of(seed))

    def value(self, seed: int, size_bytes: int) -> Json:
        """The same document as a fresh value, which the caller may change."""
        return copy.deepcopy(self._value(seed, size_bytes))

    def places(self, seed: int, size_bytes: int) -> list[ValuePlace]:
        """Where the scalars of the document are, in the order of the text."""
        return places(self._value(seed, size_bytes), self.style_of(seed))

    def style_of(self, seed: int) -> Style:
        """How the text of a seed is written."""
        style = Dice(f"schema/{self._digest}/{seed}/style").pick(_STYLES)
        return style if self._line_end is None else style.indented(self._line_end)

    def indented(self, line_end: str) -> SchemaEntry:
        """The same, indented, with these line ends."""
        return SchemaEntry(self.schema, line_end=line_end)

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self.schema)).hexdigest()[:16]

    def _value(self, seed: int, size_bytes: int) -> Json:
        # A request asks several times for the same one: for the text, and for what a fault does to it.
        if self._last is None or self._last[0] != (seed, size_bytes):
            self._last = (seed, size_bytes), self._drawn(seed, size_bytes)
        return self._last[1]

    def _drawn(self, seed: int, size_bytes: int) -> Json:
        references = SchemaReferences(self.schema)
        try:
            judge = PartValidator(references)
            return self._first_valid(references, judge, seed, size_bytes)
        except Unwritable as error:
            raise Unwritable(f"cannot write a document for this schema: {error}") from None
        except RecursionError:
            raise Unwritable("cannot write a document for this schema: it is nested too deeply") from None

    def _first_valid(self, references: SchemaReferences, judge: PartValidator, seed: int, size_bytes: int) -> Json:
        heights = Heights(references)
        levels = self._levels(heights)
        reason, n_exhausted = "no draw was valid", 0
        for index, mood in enumerate(_MOODS):
            dice = Dice(f"schema/{self._digest}/{seed}/{index}")
            want = 0 if mood.is_brief else size_bytes
            writer = Writer(
                *(references, judge, heights),
                dice=dice,
                style=self.style_of(seed),
                mood=mood,
                levels=levels,
                work=_WORK + want // 2,
            )
            try:
                value = writer.document(self.schema, want)
            except Contradiction as error:
                reason = str(error)
                continue
            except Exhausted as error:
                # Try a shorter document: it is better than none.
                reason, n_exhausted, size_bytes = str(error), n_exhausted + 1, size_bytes // 4
                if n_exhausted >= _MAX_EXHAUSTED:
                    break
                continue
            if _is_valid_after_pruning(value, judge.whole):
                return value
            found = next(judge.whole.iter_errors(value))
            reason = f"the best draw was not valid: {str(found.message)[:200]}"
        raise Unwritable(reason)

    def _levels(self, heights: Heights) -> int:
        try:
            return next((n for n in _LEVELS if heights.fits(self.schema, n - 2)), _LEVELS[-1])
        except Exhausted:
            return _LEVELS[-1]


def _is_valid_after_pruning(value: Json, validator: Any) -> bool:
    """Whether a value is valid after its invalid members and elements were removed."""
    for _ in range(_MAX_PRUNES):
        if validator.is_valid(value):
            return True
        if not isinstance(value, dict | list):
            return False
        paths = {tuple(error.instance_path) for error in islice(validator.iter_errors(value), 200)}
        if not paths or () in paths:
            return False
        for path in sorted(paths, key=lambda path: [str(step).zfill(9) for step in path], reverse=True):
            _take_out(value, path)
    return bool(validator.is_valid(value))


def _take_out(value: Json, path: tuple[str | int, ...]) -> None:
    """Delete the value at a path, if it is still there."""
    for step in path[:-1]:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return
    try:
        del value[path[-1]]
    except (KeyError, IndexError, TypeError):
        pass  # it went with another one
