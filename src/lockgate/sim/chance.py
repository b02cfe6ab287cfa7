"""Random choices that are the same on every machine.

Everything is drawn from ``random.Random.random`` seeded with a text: the only sequence that Python promises to keep
between its versions. ``choice``, ``shuffle`` and similar functions have no such promise, and ``hash`` differs between
processes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Seeded draws. Two objects with the same seed text draw the same values."""

    def __init__(self, seed: str) -> None:
        self._draw = random.Random(seed).random

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1."""
        return int(self._draw() * n)

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + self.below(high - low + 1)

    def tenths(self, low: int, high: int) -> float:
        """A number from low to high with one decimal. A quotient of integers rounds the same everywhere."""
        return self.between(low * 10, high * 10) / 10

    def cents(self, low: int, high: int) -> float:
        """A number from low to high with two decimals."""
        return self.between(low * 100, high * 100) / 100

    def happens(self, percent: int) -> bool:
        """True in this many of a hundred cases."""
        return self.below(100) < percent

    def pick(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[self.below(len(choices))]

    def several(self, choices: Sequence[T], n: int) -> list[T]:
        """n different ones, in the order drawn."""
        left = list(choices)
        return [left.pop(self.below(len(left))) for _ in range(min(n, len(left)))]

    def letters(self, alphabet: str, n: int) -> str:
        """n characters of an alphabet."""
        return "".join(self.pick(alphabet) for _ in range(n))
