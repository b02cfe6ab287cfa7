"""A scanner that remembers the last place it can go back to.

How it works: between tokens little changes, so a small note (a *mark*) made after each value is enough to get back
there. Text behind the mark is held; inside a string value nothing is held. The mark of a string stands before its
closing quote, since only what follows shows whether that quote was meant to close it; that of a number before the
number. Names, commas and colons lie behind the mark until the value behind them shows that they were right.
"""

from __future__ import annotations

from typing import Final

from lockgate.gate.limits import Limits
from lockgate.gate.scan import (
    _AFTER,
    _END,
    _LITERAL_REST,
    _LOW_U,
    _NAME_OR_CLOSE,
    _STRING,
    _VALUE,
    _VALUE_OR_CLOSE,
    Scanner,
    TextRun,
)
from lockgate.gate.schema.judge import Judge, Stand

#: A mark that is nowhere: nothing is held.
NOWHERE: Final = 1 << 62


class Reached(Exception):
    """A value ended where somebody wanted to know: ``end`` is the byte of the text after it."""

    def __init__(self, end: int) -> None:
        super().__init__(end)
        self.end = end


class TrackedScanner(Scanner):
    """See the module.

    Attributes:
        mark_at: Byte of the text to go back to; ``NOWHERE`` where going back was given up.
        string_at: Byte of the open string's quote, where it was gone back into; -1: it stands right behind the mark.
        has_number: Whether the mark stands before a number that has ended.
        stop_depth: Raise ``Reached`` when a value ends directly in so many containers; -1 for never.
    """

    __slots__ = (
        "_mark_length", "_mark_run", "_mark_stand", "_mark_state", "_tracked", "has_number", "mark_at", "stop_depth",
        "string_at",
    )  # fmt: skip

    def __init__(self, judge: Judge, limits: Limits) -> None:
        super().__init__(judge, limits)
        self._tracked = judge
        self.stop_depth = -1
        self._mark_run: TextRun | None = None
        self._mark_length = 0
        self.string_at = -1
        self._mark(0)

    def _mark(self, at: int) -> None:
        self.mark_at = at
        self._mark_state = self._state
        self._mark_stand: Stand = self._tracked.stand()
        self.string_at = -1
        self.has_number = False

    def forget(self) -> None:
        """Give up going back: what is held may be released."""
        self.mark_at = NOWHERE

    @property
    def in_value_string(self) -> bool:
        """Whether a string value is open."""
        return _STRING <= self._state <= _LOW_U and not self._in_name

    @property
    def held_from(self) -> int:
        """Byte that the held text begins at; beyond what was scanned, or at its end, if nothing is held."""
        if _STRING <= self._state <= _LOW_U and not self._in_name:
            return self.unit_at if self.unit_at >= 0 else self.base
        return self.mark_at if self.mark_at <= self.base else self.scanned

    @property
    def string_mark(self) -> int:
        """Byte at or before the beginning of the open string: only what is held stands between; -1 if unknown."""
        if self.string_at >= 0:
            return self.string_at
        return self.mark_at if self.mark_at != NOWHERE else -1

    @property
    def run(self) -> TextRun | None:
        """What watches the string in hand."""
        return self._run

    @property
    def is_first(self) -> bool:
        """Whether nothing of the innermost container stands before the mark."""
        return not self.has_number and self._mark_state in (_VALUE, _VALUE_OR_CLOSE, _NAME_OR_CLOSE)

    @property
    def mark_element_at(self) -> int:
        """First byte of the element that the mark is in; -1 for none."""
        return self._mark_stand[6]

    @property
    def is_between(self) -> bool:
        """Whether the mark stands between tokens, not before a closing quote."""
        return self._mark_state != _STRING

    # -- what is marked ------------------------------------------------------------------------------------------

    def _open(self, is_object: bool) -> None:
        Scanner._open(self, is_object)  # named, not super(): this runs for every value
        self._mark(self.base + self.blame + 1)

    def _close(self, i: int) -> int:
        try:
            Scanner._close(self, i)
        except Reached:
            self._mark(self.base + i + 1)
            raise
        self._mark(self.base + i + 1)
        return i + 1

    def _end_string(self, i: int) -> None:
        if not self._in_name:
            self._mark(self.base + i)
            self._mark_run, self._mark_length = self._run, self._length
        Scanner._end_string(self, i)

    def _end_number(self, i: int) -> int:
        start = self.base + i - len(self._number)
        try:
            Scanner._end_number(self, i)
        except Reached:
            self._mark_number(start)
            raise
        self._mark_number(start)
        return i

    def _mark_number(self, start: int) -> None:
        self.mark_at = start
        self._mark_state = _VALUE
        self._mark_stand = self._tracked.stand_before()
        self.string_at = -1
        self.has_number = True

    def _literal_rest(self, data: bytes, i: int, n: int) -> int:
        try:
            end = Scanner._literal_rest(self, data, i, n)
        except Reached as reached:
            self._mark(reached.end)
            raise
        if self._state != _LITERAL_REST:
            self._mark(self.base + end)
        return end

    def _value_ended(self, end: int) -> None:
        if self.watches_values or len(self._stack) == self.watch_depth:
            self._sink.end_value(self.base + end)
        if self._stack:
            self._state = _AFTER
        else:
            self._sink.end_document(self.base + end)
            self._state = _END
        if len(self._stack) == self.stop_depth:
            raise Reached(self.base + end)

    # -- going back ----------------------------------------------------------------------------------------------

    def rewind(self) -> int:
        """Go back to the mark; the text from there on was never heard. Returns the mark."""
        self._tracked.rewind(self._mark_stand)
        self.settle(self.mark_at, self._mark_state)
        if self._mark_state == _STRING:
            self._run, self._length = self._mark_run, self._mark_length
            self._tracked.resume_string(self._mark_run)
        return self.mark_at

    def rewind_in_string(self, at: int, start: int, content: bytes | None) -> None:
        """Be inside the open string value, before byte ``at``.

        Args:
            start: Byte of its opening quote; -1 if unknown.
            content: What of the string stands before ``at``, if what watches it has to hear it again.
        """
        self.settle(at, _STRING)
        self.string_at = start
        if content is None:
            return
        self._run, self._length = self._tracked.fresh_run(), 0
        self.base -= len(content)
        self.scan(content)
