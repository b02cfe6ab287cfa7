"""What is different between two schemas: as a tree of places, and as text.

The places are JSON pointers. Names in ``required``, and values of ``enum`` and of lists of types, have no order that
means anything, so they are compared as sets.

How it works: each value gets a number, made of the numbers of those inside it, and values that are equal have the same
one. So each value is looked at once, however deep it stands and whatever it is compared with. The text is left out
where it would take too many steps, which are counted.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Hashable, Iterator
from itertools import accumulate, islice
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

Json: TypeAlias = Any
_SETS: Final = ("required", "enum", "type")
#: Changes that are listed; more of them are another schema.
_MAX_CHANGES: Final = 1000
#: Characters of one schema, indented, that are compared as text: indents alone can be a hundred times what they indent.
_MAX_TEXT_CHARS: Final = 1024 * 1024
#: Pairs of lines that are looked at; ``difflib`` takes up to the third power of the lines that are alike.
_MAX_STEPS: Final = 4_000_000
_CONTEXT_LINES: Final = 3
#: What stands in place of the text.
LEFT_OUT: Final = "(The text is left out: the schemas are too long, or have too many lines that are alike.)"

#: The steps to a place, the last one first: a path is written out only where it is shown.
_Path: TypeAlias = "tuple[_Path, str] | None"


class SchemaChange(msgspec.Struct, frozen=True):
    """One place where two schemas differ.

    Attributes:
        path: JSON pointer.
        change: What happened there.
        before: What was there; null for what was added.
        after: What is there; null for what was removed.
    """

    path: str
    change: Literal["added", "removed", "changed"]
    before: Any
    after: Any


class SchemaDiff(NamedTuple):
    """What is different between two schemas.

    Attributes:
        changes: A list of ``SchemaChange``, as JSON.
        text: A unified diff, or ``LEFT_OUT``.
    """

    changes: bytes
    text: str


def difference(before: bytes, after: bytes, names: tuple[str, str]) -> SchemaDiff:
    """What is different between two schemas, given as JSON."""
    old, new = msgspec.json.decode(before), msgspec.json.decode(after)
    return SchemaDiff(msgspec.json.encode(changes(old, new)), text_diff(old, new, names))


# -- places ----------------------------------------------------------------------------------------------------------


def changes(before: Json, after: Json) -> list[SchemaChange]:
    """The places where two schemas differ, a thousand at most."""
    return list(islice(_changes(before, after, None, "", _Numbers()), _MAX_CHANGES))


class _Numbers:
    """Numbers of values: the same for those that are the same JSON, so true is not 1, and 1 is not 1.0.

    The values must live, unchanged, as long as this does.
    """

    def __init__(self) -> None:
        self._by_content: dict[Hashable, int] = {}
        self._by_identity: dict[int, int] = {}

    def of(self, value: Json) -> int:
        if not isinstance(value, dict | list):
            # As text also where it is a number: hashes of numbers can be foreseen, and chosen to be all the same.
            return self._number_of(value if isinstance(value, str) else (type(value), repr(value)))
        found = self._by_identity.get(id(value))
        if found is None:
            numbers = map(self.of, value.values() if isinstance(value, dict) else value)
            content = frozenset(zip(value, numbers, strict=True)) if isinstance(value, dict) else tuple(numbers)
            found = self._by_identity[id(value)] = self._number_of(content)
        return found

    def _number_of(self, content: Hashable) -> int:
        return self._by_content.setdefault(content, len(self._by_content))


def _changes(before: Json, after: Json, path: _Path, name: str, numbers: _Numbers) -> Iterator[SchemaChange]:
    if numbers.of(before) == numbers.of(after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for member in dict.fromkeys([*before, *after]):
            inner = path, member
            if member not in after:
                yield SchemaChange(_pointer(inner), "removed", before[member], None)
            elif member not in before:
                yield SchemaChange(_pointer(inner), "added", None, after[member])
            else:
                yield from _changes(before[member], after[member], inner, member, numbers)
    elif name in _SETS and isinstance(before, list) and isinstance(after, list):
        old, new = ({numbers.of(value) for value in values} for values in (before, after))
        for value in before:
            if numbers.of(value) not in new:
                yield SchemaChange(_pointer(path), "removed", value, None)
        for value in after:
            if numbers.of(value) not in old:
                yield SchemaChange(_pointer(path), "added", None, value)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for at, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _changes(one, other, (path, str(at)), "", numbers)
    else:
        yield SchemaChange(_pointer(path), "changed", before, after)


def _pointer(path: _Path) -> str:
    steps = []
    while path is not None:
        path, step = path
        steps.append("/" + step.replace("~", "~0").replace("/", "~1"))
    return "".join(reversed(steps))


# -- text ------------------------------------------------------------------------------------------------------------


class _TooMuch(Exception):
    """Comparing takes more steps than it may."""


class _Matcher(difflib.SequenceMatcher[str]):
    """Compares lines, and gives up beyond a number of steps.

    Attributes:
        steps: Pairs of lines that were looked at, at most.
        b2j: Of ``difflib``: where each line of the new text stands; without those that are too frequent.
    """

    b2j: dict[str, list[int]]

    def __init__(self, old: list[str], new: list[str]) -> None:
        super().__init__(None, old, new)
        self.steps = 0
        # Each line is compared with all that it equals, and those beside a match once more.
        self._up_to = [0, *accumulate(2 + len(self.b2j.get(line, ())) for line in old)]

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> difflib.Match:
        """As there.

        Raises:
            _TooMuch: it takes too many steps.
        """
        self.steps += self._up_to[-1 if ahi is None else ahi] - self._up_to[alo]
        if self.steps > _MAX_STEPS:
            raise _TooMuch
        return super().find_longest_match(alo, ahi, blo, bhi)


def text_diff(before: Json, after: Json, names: tuple[str, str]) -> str:
    """The two as indented JSON, as a unified diff; ``LEFT_OUT`` where that takes too much."""
    old, new = _lines(before), _lines(after)
    if old is None or new is None:
        return LEFT_OUT
    try:
        return "\n".join(_unified(_Matcher(old, new), old, new, names))
    except _TooMuch:
        return LEFT_OUT


def _lines(value: Json) -> list[str] | None:
    """The lines of a schema; None if they are too long."""
    pieces, chars = [], 0
    for piece in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
        chars += len(piece)
        if chars > _MAX_TEXT_CHARS:
            return None
        pieces.append(piece)
    return "".join(pieces).splitlines()


def _unified(matcher: _Matcher, old: list[str], new: list[str], names: tuple[str, str]) -> Iterator[str]:
    for number, group in enumerate(matcher.get_grouped_opcodes(_CONTEXT_LINES)):
        if number == 0:
            yield from (f"--- {names[0]}", f"+++ {names[1]}")
        (_, old_from, _, new_from, _), (_, _, old_to, _, new_to) = group[0], group[-1]
        yield f"@@ -{_range(old_from, old_to)} +{_range(new_from, new_to)} @@"
        for tag, old_at, old_end, new_at, new_end in group:
            if tag == "equal":
                yield from (f" {line}" for line in old[old_at:old_end])
                continue
            yield from (f"-{line}" for line in old[old_at:old_end])
            yield from (f"+{line}" for line in new[new_at:new_end])


def _range(start: int, end: int) -> str:
    """Lines, as a unified diff names them: an empty range begins behind the line before it."""
    length = end - start
    return f"{start + 1}" if length == 1 else f"{start + (length > 0)},{length}"
