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
    _ESCAPE,
    _HEX,
    _LOW_BACKSLASH,
    _LOW_U,
    _MINUS,
    _NAME_OR_CLOSE,
    _STRING,
    _VALUE,
    _VALUE_OR_CLOSE,
    NULL,
    STRING,
    Scanner,
    TextRun,
)
from lockgate.gate.schema.judge import Judge

#: A mark that is nowhere: nothing is held.
NOWHERE: Final = 1 << 62


class Reached(Exception):
    """A value ended where somebody wanted to know: ``end`` is the byte of the text after it."""

    def __init__(self, end: int) -> None:
        super().__init__(end)
        self.end = end


class TrackedScanner(Scanner):
    """See the module.

    Args:
        max_held: Bytes that may be held; what is marked further back counts as given up.

    Attributes:
        mark_at: Byte of the text to go back to; ``NOWHERE`` where going back was given up.
        stop_depth: Raise ``Reached`` when a value ends directly in so many containers; -1 for never.
    """

    __slots__ = (
        "_frames", "_mark_element_at", "_mark_key", "_mark_length", "_mark_run", "_mark_state", "_max_held", "_tracked",
        "mark_at", "stop_depth",
    )  # fmt: skip

    def __init__(self, judge: Judge, limits: Limits, max_held: int) -> None:
        super().__init__(judge, limits)
        self._tracked = judge
        self._max_held = max_held
        self._frames = judge.frames
        self.stop_depth = -1
        self.mark_at = 0
        self._mark_state = self._state  # inside a number: the mark stands before it
        self._mark_key: str | int | None = None  # of the last value that ended in the container in hand
        self._mark_run: TextRun | None = None
        self._mark_length = 0
        self._mark_element_at = -1

    def forget(self) -> None:
        """Give up going back: what is held may be released."""
        self.mark_at = NOWHERE

    def settle_here(self) -> None:
        """Nothing before this byte is held; between values one can go back to here."""
        self.forget()
        if self._state in (_AFTER, _END, _VALUE_OR_CLOSE, _NAME_OR_CLOSE) or not self.base:
            self.mark_at = self.base
            self._mark_state = self._state
            self._mark_key = self._frames[-1].key if self._frames else None

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
    def string_start(self) -> int:
        """Byte of the quote that opened the string in hand, between two pieces."""
        return self.base - self._length - 1

    def string_start_at(self, at: int, end: int) -> int:
        """The same at a fault: at byte ``at``, where characters that need no escape go on to byte ``end``."""
        return (end if self.unit_at < 0 else at + self._unit_length) - self._length - 1

    @property
    def _unit_length(self) -> int:
        """Bytes of the unfinished escape, the one at fault included."""
        if self._state == _HEX:
            return (8 if self._high else 2) + len(self._escape)
        return {_ESCAPE: 2, _LOW_BACKSLASH: 7, _LOW_U: 8}[self._state]

    @property
    def run(self) -> TextRun | None:
        """What watches the string in hand."""
        return self._run

    @property
    def has_number(self) -> bool:
        """Whether the mark stands before a number that has ended."""
        return _MINUS <= self._mark_state < _END

    @property
    def is_blank(self) -> bool:
        """Whether the mark stands before the closing quote of an empty string."""
        return self._mark_state == _STRING and not self._mark_length

    @property
    def is_first(self) -> bool:
        """Whether nothing of the innermost container stands before the mark."""
        return self._mark_state in (_VALUE, _VALUE_OR_CLOSE, _NAME_OR_CLOSE)

    @property
    def mark_element_at(self) -> int:
        """First byte of the element that the mark is in; -1 for none."""
        return self._mark_element_at if self.depth == self.watch_depth else self._tracked.element_at

    @property
    def is_between(self) -> bool:
        """Whether the mark stands between tokens, not before a closing quote."""
        return self._mark_state != _STRING

    # -- what is marked ------------------------------------------------------------------------------------------

    def _open(self, is_object: bool) -> None:
        Scanner._open(self, is_object)  # named, not super(): this runs for every value
        self.mark_at = self.base + self.blame + 1
        self._mark_state = self._state
        self._mark_key = None if is_object else -1
        self._mark_element_at = -1

    def _value_ended(self, end: int) -> None:
        # This runs for every value, so it does what the scanner does and notes what is needed to come back, no more.
        at, state, stack = self.base + end, self._state, self._stack
        if state == _STRING:
            self.mark_at = at - 1
            self._mark_state = state
            self._mark_run, self._mark_length = self._run, self._length
        if self.watches_values or len(stack) == self.watch_depth:
            self._mark_element_at = self._tracked.element_at if state == _STRING else -1
            self._sink.end_value(at)
        if stack:
            self._mark_key = self._frames[-1].key
            self._state = _AFTER
        else:
            self._sink.end_document(at)
            self._state = _END
        if state >= _MINUS and 0 <= at - self.mark_at <= self._max_held:
            self.mark_at = at - len(self._number)
            self._mark_state = state
        elif state != _STRING:
            self.mark_at = at
            self._mark_state = self._state
        if len(stack) == self.stop_depth:
            raise Reached(at)

    def mark_quote(self, at: int) -> None:
        """Mark the closing quote of a string value that may not end there: it was refused, and stands at ``at``."""
        self.mark_at = at
        self._mark_state = _STRING
        self._mark_run, self._mark_length = self._run, self._length
        self._mark_key = self._frames[-1].key if self._frames else None
        self._mark_element_at = self._tracked.element_at

    # -- going back ----------------------------------------------------------------------------------------------

    def rewind(self) -> int:
        """Go back to the mark; the text from there on was never heard. Returns the mark."""
        is_string, key, judge = self._mark_state == _STRING, self._mark_key, self._tracked
        if self.has_number and isinstance(key, int):
            key -= 1
        judge.come_back(key, STRING if is_string else NULL)
        if self.depth == self.watch_depth:
            judge.element_at = self._mark_element_at
        self.settle(self.mark_at, _VALUE if self.has_number else self._mark_state)
        if is_string:
            self._run, self._length = self._mark_run, self._mark_length
            judge.resume_string(self._mark_run)
        return self.mark_at

    def rewind_in_string(self, at: int, start: int, content: bytes | None) -> None:
        """Be inside the open string value, before byte ``at``.

        Args:
            start: Byte of its opening quote.
            content: What of the string stands before ``at``, if what watches it has to hear it again.
        """
        self.settle(at, _STRING)
        self._length = at - start - 1
        if content is None:
            return
        self._run, self._length = self._tracked.fresh_run(), 0
        self.base -= len(content)
        self.scan(content)
