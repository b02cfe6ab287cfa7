"""A scanner that remembers the last place it can go back to.

How it works: between tokens little changes, so a small note (a *mark*) made after each token is enough to get back
there. Text behind the mark is held; inside a string value nothing is held. The mark of a string stands before its
closing quote, since only what follows shows whether that quote was meant to close it.

Numbers, literals, names, commas and colons lie behind the mark until the next token shows that they were right.
"""

from __future__ import annotations

from typing import Final

from lockgate.gate.limits import Limits
from lockgate.gate.scan import _NAME_OR_CLOSE, _STRING, _VALUE, _VALUE_OR_CLOSE, Scanner, TextRun
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
        mark_at: Byte of the text to go back to; ``NOWHERE`` inside a string value, and where going back was given up.
        string_at: First byte of the string value in hand, or -1.
        stop_depth: Raise ``Reached`` when a value ends directly in so many containers; -1 for never.
    """

    __slots__ = (
        "_is_after_scalar", "_is_close", "_mark_length", "_mark_run", "_mark_stand", "_mark_state", "_mark_string_at",
        "_tracked", "mark_at", "stop_depth", "string_at",
    )  # fmt: skip

    def __init__(self, judge: Judge, limits: Limits) -> None:
        super().__init__(judge, limits)
        self._tracked = judge
        self.stop_depth = -1
        self.string_at = -1
        self._mark_run: TextRun | None = None
        self._mark_length = 0
        self._mark_string_at = -1
        self._is_close = self._is_after_scalar = False
        self._mark(0)

    def _mark(self, at: int) -> None:
        self.mark_at = at
        self._mark_state = self._state
        self._mark_stand: Stand = self._tracked.stand()

    def forget(self) -> None:
        """Give up going back: what is held may be released."""
        self.mark_at = NOWHERE

    @property
    def in_value_string(self) -> bool:
        """Whether a string value is open."""
        return self.string_at >= 0

    @property
    def run(self) -> TextRun | None:
        """What watches the string in hand."""
        return self._run

    @property
    def is_first(self) -> bool:
        """Whether nothing of the innermost container stands before the mark."""
        return self._mark_state in (_VALUE, _VALUE_OR_CLOSE, _NAME_OR_CLOSE)

    @property
    def mark_element_at(self) -> int:
        """First byte of the element that the mark is in; -1 for none."""
        return self._mark_stand.element_at

    @property
    def is_between(self) -> bool:
        """Whether the mark stands between tokens, not before a closing quote."""
        return self._mark_state != _STRING

    # -- what is marked ------------------------------------------------------------------------------------------

    def _value(self, data: bytes, i: int, n: int) -> int:
        end = super()._value(data, i, n)
        if self._state == _STRING:
            self.mark_at = NOWHERE
            self.string_at = self.base + i
        return end

    def _open(self, is_object: bool) -> None:
        super()._open(is_object)
        self._mark(self.base + self.blame + 1)

    def _value_ended(self, end: int) -> None:
        super()._value_ended(end)
        if self.string_at >= 0:
            self.string_at = -1
        elif self._is_close:
            self._is_close = False
            self._mark(self.base + end)
        else:
            self._is_after_scalar = True
        if len(self._stack) == self.stop_depth:
            raise Reached(self.base + end)

    def _close(self, i: int) -> int:
        self._is_close = True
        return super()._close(i)

    def _after(self, data: bytes, i: int, n: int) -> int:
        if self._is_after_scalar and data[i] == 0x2C:
            self._is_after_scalar = False
            self._mark(self.base + i)
        return super()._after(data, i, n)

    def _end_string(self, i: int) -> None:
        if not self._in_name:
            self._mark(self.base + i)
            self._mark_run, self._mark_length, self._mark_string_at = self._run, self._length, self.string_at
        super()._end_string(i)

    # -- going back ----------------------------------------------------------------------------------------------

    def rewind(self) -> int:
        """Go back to the mark; the text from there on was never heard. Returns the mark."""
        self._tracked.rewind(self._mark_stand)
        self.settle(self.mark_at, self._mark_state)
        at = self.mark_at
        if self._mark_state == _STRING:
            self.string_at, self.mark_at = self._mark_string_at, NOWHERE
            self._run, self._length = self._mark_run, self._mark_length
            self._tracked.resume_string(self._mark_run)
        else:
            self.string_at = -1
        return at

    def rewind_in_string(self, at: int, content: bytes | None) -> None:
        """Be inside the open string value, before byte ``at``.

        Args:
            content: What of the string stands before that byte, if what watches it has to hear it again.
        """
        self.settle(at, _STRING)
        if content is None:
            return
        self._run, self._length = self._tracked.fresh_run(), 0
        self.base -= len(content)
        self.scan(content)

    def settle(self, base: int, state: int) -> None:
        super().settle(base, state)
        self._is_close = self._is_after_scalar = False
