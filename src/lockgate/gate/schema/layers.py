"""Sets and values for a trial: what is small is copied, what is large is seen through a thin layer.

A trial reads a bounded number of bytes, so it must not cost more than a bounded copy.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableSet
from typing import Any, Final

#: Members or elements up to which a fork copies a container.
FORKED_WHOLE: Final = 64


class LayeredSet(MutableSet[str]):
    """A set and what a trial adds to it; the set itself stays as it is."""

    __slots__ = ("_added", "_base")

    def __init__(self, base: MutableSet[str]) -> None:
        self._base = base
        self._added: set[str] = set()

    def __contains__(self, name: object) -> bool:
        return name in self._base or name in self._added

    def __iter__(self) -> Iterator[str]:
        yield from self._base
        yield from self._added

    def __len__(self) -> int:
        return len(self._base) + len(self._added)

    def add(self, value: str) -> None:
        if value not in self._base:
            self._added.add(value)

    def discard(self, value: str) -> None:
        self._added.discard(value)


def forked_object(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """A copy of the value of an open object. A large one is left out: a trial does not wait for its judgement."""
    return value.copy() if value is not None and len(value) <= FORKED_WHOLE else None


def forked_array(value: list[Any] | None) -> list[Any] | None:
    """The same for an array."""
    return value.copy() if value is not None and len(value) <= FORKED_WHOLE else None
