r"""Sets of characters: sorted, disjoint, inclusive ranges of code points, surrogates never among them.

The named sets are those of ``jsonschema-rs``, since it has the last word: ``\d`` and ``\w`` are ASCII, ``\s`` is that
of ECMA-262, and ``.`` leaves out the line feed alone, where ECMA-262 leaves out three more line terminators. What a
Unicode property holds depends on the Unicode version, and Python's is not that of the authority, so the authority is
asked.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, Final

import jsonschema_rs

Ranges = tuple[tuple[int, int], ...]

_SURROGATES: Final = (0xD800, 0xDFFF)
_LAST: Final = 0x10FFFF
_BEYOND: Final = _LAST + 1


def union(*sets: Iterable[tuple[int, int]]) -> Ranges:
    """All characters of some sets; the ranges may come in any order and overlap."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(part for ranges in sets for one in ranges for part in _outside_surrogates(*one)):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _outside_surrogates(low: int, high: int) -> Iterator[tuple[int, int]]:
    first, last = _SURROGATES
    if low < first:
        yield low, min(high, first - 1)
    if high > last:
        yield max(low, last + 1), high


def complement(ranges: Ranges) -> Ranges:
    """Every character that is not in the set."""
    gaps: list[tuple[int, int]] = []
    start = 0
    for low, high in ranges:
        if start < low:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= _LAST:
        gaps.append((start, _LAST))
    return union(gaps)


def single(code: int) -> Ranges:
    """One character."""
    return ((code, code),)


ALL: Final = complement(())
DOT: Final = complement(single(0x0A))
DIGIT: Final[Ranges] = ((0x30, 0x39),)
WORD: Final[Ranges] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: Final[Ranges] = (
    (0x09, 0x0D),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
)


def boundary_word() -> Ranges:
    r"""What ``\b`` takes for a letter of a word: that of Unicode (UTS 18, annex C), though ``\w`` is ASCII."""
    ranges = unicode_class(r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}")
    assert ranges is not None
    return ranges


@lru_cache(maxsize=256)
def unicode_class(source: str) -> Ranges | None:
    """The characters that ``[source]`` stands for in ``jsonschema-rs``, or None if it does not know.

    Found by halving: a stretch of code points is all inside, all outside, or is cut in two. This takes 15 to 50 ms,
    once per process.
    """
    try:
        is_inside, is_outside = _all_match(f"[{source}]"), _all_match(f"[^{source}]")
    except jsonschema_rs.ValidationError:
        return None
    characters = _every_character()
    found: list[tuple[int, int]] = []
    stack = [(0, len(characters))]
    while stack:
        start, end = stack.pop()
        stretch = characters[start:end]
        if is_outside(stretch):
            continue
        if is_inside(stretch):
            # A stretch may span the gap of the surrogates; ``union`` takes them out again.
            found.append((ord(stretch[0]), ord(stretch[-1])))
            continue
        middle = (start + end) // 2
        stack += ((start, middle), (middle, end))
    return union(found)


def _all_match(item: str) -> Any:
    options = jsonschema_rs.RegexOptions()
    return jsonschema_rs.validator_for({"pattern": f"^{item}*$"}, offline=True, pattern_options=options).is_valid


@cache
def _every_character() -> str:
    codes = array("I", range(_BEYOND))
    assert codes.itemsize == 4
    del codes[_SURROGATES[0] : _SURROGATES[1] + 1]
    return codes.tobytes().decode("utf-32-le" if array("H", [1]).tobytes()[0] else "utf-32-be")


def partition(sets: Sequence[Ranges], max_cells: int) -> tuple[list[int], list[int], list[int]] | None:
    """Cut the code points into classes that none of the sets tells apart.

    Returns:
        Where each stretch of one class begins, its class, and per class the sets that hold it, as bits. Classes are
        numbered as they come, so those of ASCII come first. None when the table, stretches by sets, would pass
        ``max_cells``.
    """
    flips: dict[int, int] = {0: 0}
    for index, ranges in enumerate(sets):
        bit = 1 << index
        for low, high in ranges:
            flips[low] = flips.get(low, 0) ^ bit
            flips[high + 1] = flips.get(high + 1, 0) ^ bit
        if len(flips) * len(sets) > max_cells:
            return None
    starts = sorted(flips)
    kind_of: dict[int, int] = {}
    kinds: list[int] = []
    inside = 0
    for start in starts:
        inside ^= flips[start]
        kinds.append(kind_of.setdefault(inside, len(kind_of)))
    return starts, kinds, list(kind_of)
