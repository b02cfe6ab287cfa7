"""Numbers, judged while their digits arrive.

An exponent may still come, so while the mantissa is open only the sign, zero and the significant digits can decide.
Once the exponent's sign is known the value can only grow, or only shrink, with further digits; then bounds decide.
"""

from __future__ import annotations

import functools
import json
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any, Final

import jsonschema_rs

from lockgate.gate.scan import integer_of
from lockgate.gate.schema.mismatch import Mismatch
from lockgate.gate.schema.wording import LISTED, listed

NumberValue = int | float

#: Below this, all numbers are compared exactly.
_EXACT: Final = 2**63
#: So many significant digits tell every double apart from its neighbours.
_SURE_DIGITS: Final = 15
#: Listed values that are tried against the other keywords.
_MAX_TRIED: Final = 2_000
_CUT: Final = Context(prec=_SURE_DIGITS, rounding=ROUND_DOWN)
#: What lies this near to a double, as a part of it, is rounded to it.
_HALF_STEP: Final = Decimal(2) ** -53


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of what is allowed: ``schema_path`` is to blame for it."""

    limit: NumberValue
    is_exclusive: bool
    keyword: str
    schema_path: str

    @property
    def is_plain(self) -> bool:
        """Whether it compares exactly with every number."""
        return abs(self.limit) < _EXACT

    @property
    def must(self) -> str:
        """What a number must be."""
        words = {"minimum": "at least", "maximum": "at most"}
        return f"be {words.get(self.keyword) or ('more than' if 'Min' in self.keyword else 'less than')} {self.limit}"

    def allows_negative(self, *, is_nonzero: bool) -> bool:
        """Whether, as a lower bound, it leaves a number with a minus; zero, too, unless it is known not to be that."""
        return self.allows_from_above(0) and not (is_nonzero and self.limit >= 0)

    def allows_positive(self, *, is_nonzero: bool) -> bool:
        """The same of an upper bound, and a number without a minus."""
        return self.allows_from_below(0) and not (is_nonzero and self.limit <= 0)

    def allows_from_below(self, value: NumberValue) -> bool:
        if _is_mixed(value, self.limit):
            return _says("exclusiveMaximum" if self.is_exclusive else "maximum", self.limit, value)
        return value < self.limit if self.is_exclusive else value <= self.limit

    def allows_from_above(self, value: NumberValue) -> bool:
        if _is_mixed(value, self.limit):
            return _says("exclusiveMinimum" if self.is_exclusive else "minimum", self.limit, value)
        return value > self.limit if self.is_exclusive else value >= self.limit


def _is_mixed(value: NumberValue, limit: NumberValue) -> bool:
    """Whether these two are a double and an integer beyond 64 bits: the authority does not compare them exactly."""
    is_mixed = isinstance(value, float) is not isinstance(limit, float)
    return is_mixed and max(abs(value), abs(limit)) >= _EXACT and abs(value) != math.inf


def _says(keyword: str, limit: NumberValue | list[NumberValue], value: NumberValue) -> bool:
    """What the authority says of a number by one keyword."""
    return bool(_validator(json.dumps({keyword: limit})).is_valid(value))


@functools.lru_cache(maxsize=256)
def _validator(text: str) -> Any:
    """By the text of a schema: as keys, 2**63 and the double that is equal to it would be one."""
    return jsonschema_rs.Draft202012Validator(json.loads(text))


class AllowedNumbers:
    """The numbers that an enum or const allows.

    Args:
        values: Some numbers.
        schema_path: The keyword.

    Attributes:
        least: The least of them.
    """

    __slots__ = ("_digits", "_few", "_large", "least", "schema_path", "values")

    def __init__(self, values: Sequence[NumberValue], schema_path: str) -> None:
        self.values = frozenset(values)
        self._large = [value for value in values if abs(value) >= _EXACT]
        self.schema_path = schema_path
        self.least = min(values, default=0)
        self._few = [*values[:LISTED], *values[-1:]] if len(values) > LISTED else list(values)
        # First digits of those with each sign, in order: a digit that comes in costs no walk through all values.
        self._digits: dict[bool, list[str]] = {True: [], False: []}
        for value in values:
            if value:
                self._digits[value < 0] += _first_digits(value)
        for texts in self._digits.values():
            texts.sort()

    @property
    def are_positive(self) -> bool:
        """Whether none of them is zero or less."""
        return self.least > 0

    @property
    def must(self) -> str:
        """What a number must be."""
        few = [str(value) for value in self._few[:LISTED]]
        return f"be {', '.join(few)}, … ({len(self.values)} in all)" if len(self._few) > LISTED else f"be {listed(few)}"

    def may_become(self, digits: str, *, is_negative: bool) -> bool:
        """Whether a number that begins with these significant digits can be one of them."""
        texts = self._digits[is_negative]
        if len(digits) > _SURE_DIGITS:
            return bool(texts)  # several spellings stand for the same double; the end of the number decides
        at = bisect_left(texts, digits)
        return at < len(texts) and texts[at].startswith(digits)

    def has(self, value: NumberValue) -> bool:
        """Whether a finished number is one of them."""
        if abs(value) < _EXACT:
            return value in self.values
        return bool(self._large) and abs(value) != math.inf and _says("enum", self._large, value)


def _first_digits(value: NumberValue) -> set[str]:
    """The first digits of all spellings of a number: 0.3 may also be written as 0.29999999999999998."""
    if isinstance(value, int) and abs(value) < 10**_SURE_DIGITS:  # a short way, since there may be many
        whole = str(abs(value)).ljust(_SURE_DIGITS, "0")
        return {whole, str(int(whole) - 1).ljust(_SURE_DIGITS, "9")}
    exact = abs(Decimal(value))
    near = (exact * (1 - _HALF_STEP), exact, exact * (1 + _HALF_STEP), abs(Decimal(repr(value))))
    return {"".join(map(str, _CUT.plus(one).as_tuple().digits)).ljust(_SURE_DIGITS, "0") for one in near}


@dataclass(slots=True)
class NumberChecks:
    """What a number must be. Where several schemas apply, each end holds the strictest one.

    Attributes:
        integer: Schema path of the ``type`` that wants an integer; "" for any number.
        integer_by_spelling: The same for draft 4, where 1.0 is no integer.
        low, high: Bounds.
        values: Of each enum or const.
    """

    integer: str = ""
    integer_by_spelling: str = ""
    low: Bound | None = None
    high: Bound | None = None
    values: tuple[AllowedNumbers, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether every number is fine."""
        return not (self.integer or self.integer_by_spelling or self.low or self.high or self.values)

    def keep_possible_values(self) -> None:
        """Leave out listed values that bounds, other lists or ``type`` refuse."""
        if not self.values or len(self.values[0].values) > _MAX_TRIED:
            return
        first = self.values[0]
        if len(self.values) == 1 and self.is_only_listed:
            return
        left = [value for value in first.values if self.mismatch(json.dumps(value)) is None]
        if len(left) < len(first.values):
            self.values = (AllowedNumbers(left, first.schema_path),)

    @property
    def is_only_listed(self) -> bool:
        """Whether nothing but lists says what a number must be."""
        return not (self.integer or self.integer_by_spelling or self.low or self.high)

    def impossible(self) -> Mismatch | None:
        """Why no number can satisfy this, as far as that is plain."""
        low, high = self.low, self.high
        if any(not one.values for one in self.values):
            return Mismatch(self.values[0].schema_path, "be a listed value that all keywords allow, and there is none")
        if low is None or high is None or not (low.is_plain and high.is_plain):
            return None
        is_empty = low.limit == high.limit and (low.is_exclusive or high.is_exclusive)
        return Mismatch(low.schema_path, f"{low.must} and {high.must}") if low.limit > high.limit or is_empty else None

    def add_low(self, bound: Bound) -> None:
        old = self.low
        if old is None or (bound.limit, bound.is_exclusive) > (old.limit, old.is_exclusive):
            self.low = bound

    def add_high(self, bound: Bound) -> None:
        old = self.high
        if old is None or (bound.limit, not bound.is_exclusive) < (old.limit, not old.is_exclusive):
            self.high = bound

    def mismatch(self, text: str) -> Mismatch | None:
        """Schema path and sentence for a finished number that does not fit; None if it does.

        A number with a fraction or an exponent is compared as the double that it stands for, as the authority does.
        """
        is_plain = text.lstrip("-").isdigit()
        value: NumberValue = integer_of(text) if is_plain else float(text)
        shown = text[:40]
        if self.integer_by_spelling and not is_plain:
            return Mismatch(self.integer_by_spelling, "be an integer", f"not {shown}")
        if self.integer and not is_plain and not float(value).is_integer():
            return Mismatch(self.integer, "be an integer", f"not {shown}")
        if self.low is not None and not self.low.allows_from_above(value):
            return Mismatch(self.low.schema_path, self.low.must, f"not {shown}")
        if self.high is not None and not self.high.allows_from_below(value):
            return Mismatch(self.high.schema_path, self.high.must, f"not {shown}")
        for allowed in self.values:
            if not allowed.has(value):
                return Mismatch(allowed.schema_path, allowed.must, f"not {shown}")
        return None
