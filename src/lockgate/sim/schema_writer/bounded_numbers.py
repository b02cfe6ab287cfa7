"""Numbers within bounds and steps. Uses fractions, so that a step of 0.01 is exact."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, gcd, lcm
from typing import Final

from lockgate.sim.chance import Dice
from lockgate.sim.schema_writer.unwritable import Contradiction

#: How wide the range is where the schema leaves it open.
_WIDTH: Final = 1_000


def draw(dice: Dice, bounds: dict[str, float], steps: list[float], *, is_whole: bool) -> int | float:
    """A number.

    Args:
        bounds: Those of ``minimum``, ``exclusiveMinimum``, ``maximum`` and ``exclusiveMaximum`` that the schema has.
        steps: All ``multipleOf`` that apply.
        is_whole: Whether the number must be whole.

    Raises:
        Contradiction: there is none.
    """
    low, is_low_out = _bound(bounds, "minimum", "exclusiveMinimum", max)
    high, is_high_out = _bound(bounds, "maximum", "exclusiveMaximum", min)
    step = _step(steps, is_whole)
    low, high = _range(low, high, step)
    if not is_whole and not steps:
        # Two decimals look right; a narrow range needs more.
        step = Fraction(1, 100)
        while (high - low) / step < 4 and high > low and step.denominator < 10**15:
            step /= 10
        step = step if high > low else Fraction(1)
        if low == high:
            return _number(low, is_whole=False)
    first, last = ceil(low / step), floor(high / step)
    first += first * step == low and is_low_out
    last -= last * step == high and is_high_out
    if first > last:
        raise Contradiction(f"no number from {float(low)} to {float(high)} in steps of {float(step)}")
    return _number(dice.between(first, min(last, first + 2**50)) * step, is_whole=is_whole)


def _bound(bounds: dict[str, float], plain: str, exclusive: str, tighter: object) -> tuple[Fraction | None, bool]:
    there = [(Fraction(str(bounds[name])), name == exclusive) for name in (plain, exclusive) if name in bounds]
    if not there:
        return None, False
    values = [value for value, _ in there]
    edge = max(values) if tighter is max else min(values)
    return edge, any(is_out for value, is_out in there if value == edge)


def _step(steps: list[float], is_whole: bool) -> Fraction:
    parts = [Fraction(str(one)) for one in steps if one > 0] + ([Fraction(1)] if is_whole or not steps else [])
    top, bottom = 1, 0
    for part in parts:
        top, bottom = lcm(top, part.numerator), gcd(bottom, part.denominator)
    return Fraction(top, bottom or 1)


def _range(low: Fraction | None, high: Fraction | None, step: Fraction) -> tuple[Fraction, Fraction]:
    width = max(Fraction(_WIDTH), step * 50)
    if low is None and high is None:
        return Fraction(0), width
    if low is None:
        assert high is not None
        return (Fraction(0) if high > 10 else high - width), high
    if high is None:
        return low, low + width
    return low, high


def _number(value: Fraction, *, is_whole: bool) -> int | float:
    if value.denominator == 1 and (is_whole or abs(value) >= 2**53):
        return int(value)
    return float(value)
