"""Remembers the elements of an open array, so that ``uniqueItems`` speaks at the end of the first one that comes twice.

Only what is equal beyond doubt is told here: texts, integers, literals, and containers of them. Fractions, and elements
that are large or deep, are left to the authority at the closing bracket.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

#: Values in one element, and containers around each, that are compared here: no byte may cost more than that.
_MAX_VALUES: Final = 1_000
_MAX_DEPTH: Final = 20


class UniqueElements:
    """The elements so far, by what makes them equal."""

    __slots__ = ("_first", "_keys")

    def __init__(self) -> None:
        self._keys: list[Hashable | None] = []
        self._first: dict[Hashable, int] = {}  # by key, the index of the element

    def fork(self) -> UniqueElements:
        twin = UniqueElements()
        twin._keys, twin._first = self._keys.copy(), self._first.copy()
        return twin

    def add(self, index: int, value: Any) -> int | None:
        """Take up an element; whatever came from this index on before is forgotten.

        Returns the index of an equal one before it.
        """
        while len(self._keys) > index:
            key = self._keys.pop()
            if key is not None and self._first[key] == len(self._keys):
                del self._first[key]
        key = _key_of(value)
        self._keys.append(key)
        return None if key is None else self._earlier(key, index)

    def _earlier(self, key: Hashable, index: int) -> int | None:
        first = self._first.setdefault(key, index)
        return first if first != index else None


def _key_of(value: Any) -> Hashable | None:
    """The same for equal values, and different for others; None where this is not told here."""
    left = [_MAX_VALUES]

    def key(value: Any, depth: int) -> Hashable | None:
        left[0] -= 1
        if isinstance(value, str | int | None):
            return type(value), value  # the type tells 1 from true
        if isinstance(value, float) or depth <= 0 or len(value) > left[0]:
            return None
        if isinstance(value, list):
            parts = [key(one, depth - 1) for one in value]
            return None if None in parts else (list, tuple(parts))
        members = {name: key(one, depth - 1) for name, one in value.items()}
        return None if None in members.values() else (dict, frozenset(members.items()))

    return key(value, _MAX_DEPTH)
