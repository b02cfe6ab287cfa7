"""Numbers, judged digit by digit.

Values are compared in ``number_checks``, which is not compiled: to compiled code, a number that is an integer or a
double is a double, and an integer beyond 53 bits another one.
"""

from __future__ import annotations

import math
from typing import Final

from lockgate.gate.scan import TextWatcher, Violation
from lockgate.gate.schema.mismatch import Complain, Mismatch
from lockgate.gate.schema.number_checks import NumberChecks

_MANTISSA: Final = 0
_EXPONENT: Final = 1  # just after e
_UP: Final = 2  # e+ or a digit: the value grows with each further digit
_DOWN: Final = 3  # e-


class NumberWatcher(TextWatcher):
    """Follows one number, digit by digit."""

    __slots__ = ("_checks", "_complain", "_digits", "_is_negative", "_is_nonzero", "_mismatch", "_phase", "_text")

    def __init__(self, checks: NumberChecks, complain: Complain) -> None:
        self._checks = checks
        self._complain = complain
        self._phase = _MANTISSA
        self._is_negative = False
        self._is_nonzero = False
        self._digits = ""  # significant digits so far, for enum and const
        self._text = ""
        self._mismatch: Mismatch | None = None

    @property
    def checks(self) -> NumberChecks:
        """What the number must be."""
        return self._checks

    def take(self, text: str) -> int:
        for index, char in enumerate(text):
            self._text += char
            self._mismatch = self._judge(char)
            if self._mismatch is not None:
                return index
        return -1

    def violation(self) -> Violation:
        assert self._mismatch is not None
        return self._complain(self._mismatch)

    # -- one character -------------------------------------------------------------------------------------------

    def _judge(self, char: str) -> Mismatch | None:
        if self._phase != _MANTISSA:
            return self._judge_exponent(char)
        if char == "-":
            self._is_negative = True
            return self._judge_sign()
        if char == ".":
            return self._not_spelled_as_integer()
        if char in "eE":
            self._phase = _EXPONENT
            return self._not_spelled_as_integer() or self._judge_zero()
        is_news = len(self._text) == 1 or (char != "0" and not self._is_nonzero)
        self._is_nonzero |= char != "0"
        return (self._judge_sign() if is_news else None) or self._judge_digits(char)

    def _not_spelled_as_integer(self) -> Mismatch | None:
        path = self._checks.integer_by_spelling
        return Mismatch(path, "be an integer", "without a fraction or exponent in draft 4") if path else None

    def _judge_sign(self) -> Mismatch | None:
        """The sign is known; without a nonzero digit zero is still possible."""
        low, high = self._checks.low, self._checks.high
        if self._is_negative:
            if low is not None and not low.allows_negative(is_nonzero=self._is_nonzero):
                return Mismatch(low.schema_path, low.must, f"not {self._text[:40]}…")
            too_high = next((allowed for allowed in self._checks.values if allowed.are_positive), None)
            return (
                None if too_high is None else Mismatch(too_high.schema_path, too_high.must, f"not {self._text[:40]}…")
            )
        if high is not None and not high.allows_positive(is_nonzero=self._is_nonzero):
            return Mismatch(high.schema_path, high.must, f"not {self._text[:40]}…")
        return None

    def _judge_zero(self) -> Mismatch | None:
        """The mantissa is over: if it is zero, so is the number."""
        return None if self._is_nonzero else self._checks.mismatch("0")

    def _judge_digits(self, char: str) -> Mismatch | None:
        if not self._checks.values:
            return None
        if not self._is_nonzero:
            return None  # zeros: an exponent or later digits may make anything of it
        self._digits += char
        for allowed in self._checks.values:
            if not allowed.may_become(self._digits, is_negative=self._is_negative):
                return Mismatch(allowed.schema_path, allowed.must, f"not {self._text[:40]}…")
        return None

    # -- the exponent --------------------------------------------------------------------------------------------

    def _judge_exponent(self, char: str) -> Mismatch | None:
        if self._phase == _EXPONENT:
            self._phase = _DOWN if char == "-" else _UP
        if not self._is_nonzero or self._text[-1] in "+-":
            return None
        value = float(self._text)
        return self._judge_growing(value) if self._phase == _UP else self._judge_shrinking(value)

    def _judge_growing(self, value: float) -> Mismatch | None:
        """The magnitude is this or more."""
        low, high = self._checks.low, self._checks.high
        if value > 0 and high is not None and not high.allows_from_below(value):
            return Mismatch(high.schema_path, high.must, f"not {self._text[:40]}…")
        if value < 0 and low is not None and not low.allows_from_above(value):
            return Mismatch(low.schema_path, low.must, f"not {self._text[:40]}…")
        return None

    def _judge_shrinking(self, value: float) -> Mismatch | None:
        """The magnitude is this or less, and never zero."""
        if math.isinf(value):
            return None  # too large without its exponent: nothing is known yet
        low, high = self._checks.low, self._checks.high
        if value > 0 and low is not None and not low.allows_from_above(value):
            return Mismatch(low.schema_path, low.must, f"not {self._text[:40]}…")
        if value < 0 and high is not None and not high.allows_from_below(value):
            return Mismatch(high.schema_path, high.must, f"not {self._text[:40]}…")
        # Rounding could make an integer of something very near to one.
        if self._checks.integer and abs(value - round(value)) > abs(value) * 1e-15:
            return Mismatch(self._checks.integer, "be an integer", f"not {self._text[:40]}…")
        return None
