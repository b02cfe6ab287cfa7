"""Remembers the last byte that a patch may begin at.

How it works: between tokens little changes, so a small note (a *mark*) made after each value is enough to get back
there. Text behind the mark is held; inside a string value nothing is held. The mark of a string stands before its
closing quote, since only what follows shows whether that quote was meant to close it; that of a number before the
number. Names, commas and colons lie behind the mark until the value behind them shows that they were right.
"""

from __future__ import annotations

from typing import Final

from lockgate.gate.base import KeptText
from lockgate.gate.grammar import (
    AFTER_MINUS,
    AT_ELEMENT_OR_CLOSE,
    AT_END,
    AT_NAME_OR_CLOSE,
    AT_VALUE,
    BETWEEN_VALUES,
    IN_STRING,
    NULL,
    STRING,
    ScanState,
)
from lockgate.gate.recovery.doubtful_end import bytes_behind_end
from lockgate.gate.recovery.edits import NOWHERE
from lockgate.gate.recovery.escapes import EscapeWatcher, is_behind_drive, may_be_backslash
from lockgate.gate.recovery.placeholder import PlaceholderWatcher
from lockgate.gate.scan import Scanner, TextWatcher
from lockgate.gate.schema.container_frames import FreeNames, has_strangers
from lockgate.gate.schema.judge import Judge

NO_ESCAPE: Final = -1
DECIDED: Final = -2
#: A string that is longer is not judged again from its beginning.
MAX_JUDGED_AGAIN: Final = 4096


class PatchMarks:
    """See the module. A ``StrategyMarks``.

    Args:
        kept: The text.
        max_held: Bytes that may be held.

    Attributes:
        mark_at: Byte of the text to go back to; ``NOWHERE`` inside a string, or where going back was given up.
        string_bytes: Bytes of the string whose closing quote the mark stands before.
        bytes_behind_end: Bytes before that quote that are held, too: the string may have ended before them.
        has_bracket: Whether the mark stands before the bracket that closed the document.
        escape_at: Byte of the backslash of the first escape of the string in hand, while it may not be meant as one;
            ``NO_ESCAPE`` if there was none yet, ``DECIDED`` if it was meant.
        mended_escape_at: Byte of an escape that was put there, and says nothing.
        holds_member: Whether a string value is open that may be a placeholder: the mark stands before its member.
    """

    doubts_quotes = True

    def __init__(self, scanner: Scanner, judge: Judge, kept: KeptText, max_held: int) -> None:
        self._kept = kept
        self._scanner = scanner
        self._judge = judge
        self._max_held = max_held
        self._frames = judge.frames
        self._watches_elements = scanner.watch_depth >= 0
        self.mark_at = 0
        self._state: ScanState = scanner.state  # inside a number: the mark stands before it
        self._key: str | int | None = None  # of the last value that ended in the container in hand
        self._watcher: TextWatcher | None = None
        self.string_bytes = 0
        self.bytes_behind_end = 0
        self._branches = judge.branches
        self._element_at = -1
        self._root = judge.frames[0] if judge.frames else None
        self.has_bracket = False
        self.holds_member = False
        self.escape_at = NO_ESCAPE
        self.mended_escape_at = -1

    # -- what the scanner tells ------------------------------------------------------------------------------------

    def value_begun(self, kind: int) -> None:
        if kind == STRING:
            self.escape_at = NO_ESCAPE
            if not self._holds_member():
                self.mark_at, self.bytes_behind_end = NOWHERE, 0

    def _holds_member(self) -> bool:
        """Whether the string that begins may turn out to be none: an optional member with a placeholder in it."""
        scanner = self._scanner
        watcher = scanner.watcher
        if watcher is None or self.mark_at == NOWHERE:
            return False
        if not scanner.is_in_object or not self._judge.may_leave_out_in(scanner.depth):
            return False
        self.holds_member = True
        scanner.watcher = PlaceholderWatcher(watcher, self._let_member_go)
        return True

    def _let_member_go(self, watcher: TextWatcher) -> None:
        self._scanner.watcher = watcher
        self.mark_at, self.bytes_behind_end, self.holds_member = NOWHERE, 0, False

    def escape_ended(self, at: int, letter: int) -> None:
        if self.escape_at != NO_ESCAPE or at == self.mended_escape_at:
            return
        self.escape_at = DECIDED
        if not may_be_backslash(letter) or self.mark_at != NOWHERE:
            return
        start = at + 1 - self._scanner.string_bytes
        if at - start > MAX_JUDGED_AGAIN:
            return
        self.escape_at = self.mark_at = at
        is_path = is_behind_drive(self._kept.between(max(start, at - 3), at))
        self._scanner.watcher = EscapeWatcher(letter, self._judge.watcher, self._let_escape_go, is_path=is_path)

    def _let_escape_go(self, watcher: TextWatcher | None) -> None:
        self._scanner.watcher = watcher
        self.mark_at, self.escape_at = NOWHERE, DECIDED

    def container_opened(self, at: int) -> None:
        self.mark_at, self.bytes_behind_end = at, 0
        if len(self._frames) == 1:
            self._root = self._frames[0]
        self._state = self._scanner.state
        self._key = None if self._state == AT_NAME_OR_CLOSE else -1
        self._branches = self._judge.branches
        self._element_at = -1

    def value_ended(self, at: int, state: ScanState) -> None:
        scanner, judge = self._scanner, self._judge
        if self._frames:
            self._key = self._frames[-1].key
        self._branches = judge.branches
        self.bytes_behind_end = 0
        if state == IN_STRING:
            self._branches = judge.branches_in_string
            self.mark_at = at - 1
            self._state = IN_STRING
            self._watcher, self.string_bytes = self._judge.watcher, scanner.string_bytes
            self.bytes_behind_end = self.bytes_behind_end_at(at - 1, self.string_bytes)
            self.holds_member = False
        elif state >= AFTER_MINUS and 0 <= at - self.mark_at <= self._max_held:
            self.mark_at = at - len(scanner.number)
            self._state = state
            self._branches = judge.branches_before
        elif scanner.state == AT_END and state < IN_STRING:
            self.mark_at, self._state, self.has_bracket = at - 1, state, True
            self._branches = judge.branches_before
        else:
            self.mark_at = at
            self._state = scanner.state
        if self._watches_elements:
            is_element = state == IN_STRING and scanner.depth == scanner.watch_depth
            self._element_at = self._judge.ended_element_at if is_element else -1

    # -- what is marked ------------------------------------------------------------------------------------------

    @property
    def is_between(self) -> bool:
        """Whether the mark stands between tokens, not before a closing quote."""
        return self._state != IN_STRING

    @property
    def has_quote(self) -> bool:
        """Whether the mark stands before the closing quote of a string value."""
        return self.mark_at != NOWHERE and self._state == IN_STRING

    @property
    def has_number(self) -> bool:
        """Whether the mark stands before a number that has ended."""
        return AFTER_MINUS <= self._state < AT_END

    @property
    def is_blank(self) -> bool:
        """Whether the mark stands before the closing quote of an empty string."""
        return self._state == IN_STRING and not self.string_bytes

    @property
    def is_first(self) -> bool:
        """Whether nothing of the innermost container stands before the mark."""
        return self._state in (AT_VALUE, AT_ELEMENT_OR_CLOSE, AT_NAME_OR_CLOSE)

    @property
    def doubts_end(self) -> bool:
        return self.has_bracket

    @property
    def held_at(self) -> int:
        scanner = self._scanner
        if self.mark_at != NOWHERE or not scanner.in_value_string or scanner.unit_at >= 0:
            return self.mark_at - self.bytes_behind_end
        behind = self.bytes_behind_end_at(scanner.base, scanner.string_bytes)
        return scanner.base - behind if behind else NOWHERE

    def bytes_behind_end_at(self, at: int, string_bytes: int) -> int:
        """Bytes before byte ``at`` of a string value before which it may have ended; of it stand so many there."""
        kept, scanner = self._kept, self._scanner
        start = at - string_bytes
        if not string_bytes or string_bytes > MAX_JUDGED_AGAIN or start < kept.at or not scanner.depth:
            return 0
        may_lack = scanner.is_in_object and bool(self._judge.names_in_hand())
        behind = bytes_behind_end(kept.data, start - kept.at, at - kept.at, may_lack=may_lack)
        return behind if behind <= self._max_held else 0

    @property
    def element_at(self) -> int:
        scanner = self._scanner
        return self._element_at if scanner.depth == scanner.watch_depth else self._judge.element_at

    def needed_from(self, released: int) -> int:
        scanner = self._scanner
        if released <= self._max_held:
            return 0  # what follows the document may be the same once more
        if scanner.in_value_string and released - scanner.string_start <= MAX_JUDGED_AGAIN:
            return scanner.string_start
        return self.mark_at - self.string_bytes - 1 if self.bytes_behind_end else NOWHERE

    def root_names(self) -> FreeNames:
        """Names that the document knows, and does not have; where it has ended."""
        return FreeNames.of(self._root) if self.has_bracket else FreeNames()

    def has_strangers(self) -> bool:
        """Whether the document, which has ended, has names that it does not know, though it knows some."""
        return self.has_bracket and has_strangers(self._root)

    # -- marking -------------------------------------------------------------------------------------------------

    def mark_quote(self, at: int) -> None:
        """Mark the closing quote of a string value that may not end there: it was refused, and stands at ``at``."""
        self.mark_at, self.bytes_behind_end = at, 0
        self._state = IN_STRING
        self._watcher, self.string_bytes = self._judge.watcher, self._scanner.string_bytes
        self.holds_member = False
        self._key = self._frames[-1].key if self._frames else None
        self._branches = self._judge.branches_in_string
        self._element_at = self._judge.element_at

    def forget(self) -> None:
        if self.bytes_behind_end:
            self.bytes_behind_end = 0
        else:
            self.mark_at, self.has_bracket, self.holds_member = NOWHERE, False, False

    def settle_here(self) -> None:
        scanner = self._scanner
        self.bytes_behind_end = 0
        self.forget()
        if scanner.state in BETWEEN_VALUES or not scanner.base:
            self.mark_at = scanner.base
            self._state = scanner.state
            self._key = self._frames[-1].key if self._frames else None
            self._branches = self._judge.branches
            self._element_at = -1

    def went_back(self) -> None:
        if self.mark_at >= self._scanner.base:
            self.settle_here()

    # -- going back ----------------------------------------------------------------------------------------------

    def rewind(self) -> None:
        """Go back to the mark, as if the text from there on had never come."""
        self.holds_member, self.bytes_behind_end = False, 0
        if self.has_bracket:
            self._reopen()
            return
        scanner, judge, key = self._scanner, self._judge, self._key
        is_string = self._state == IN_STRING
        if self.has_number and isinstance(key, int):
            key -= 1
        judge.come_back(key, STRING if is_string else NULL, self._branches)
        if scanner.depth == scanner.watch_depth:
            judge.element_at = self._element_at
        if is_string:
            scanner.go_into_string(self.mark_at, self._watcher, self.string_bytes)
            judge.resume_string(self._watcher)
            self.mark_at = NOWHERE
        else:
            scanner.go_to(self.mark_at, AT_VALUE if self.has_number else self._state)

    def _reopen(self) -> None:
        """Be in the document again, before its closing bracket."""
        scanner, judge = self._scanner, self._judge
        assert self._root is not None
        self.has_bracket = False
        judge.reopen(self._root)
        self._key = self._root.key
        judge.come_back(self._key, NULL, self._branches)
        scanner.reopen(is_object=isinstance(self._key, str | None))
        scanner.go_to(self.mark_at, self._state)

    def rewind_in_string(self, at: int, start: int, content: bytes | None) -> None:
        """Be inside the open string value, before byte ``at``.

        Args:
            start: Byte of its opening quote.
            content: What of the string stands before ``at``, if what follows it must take it again.
        """
        scanner = self._scanner
        self.mark_at, self.bytes_behind_end, self.holds_member = NOWHERE, 0, False
        if self.escape_at >= 0:
            self.escape_at = DECIDED
        scanner.go_into_string(at, self._judge.watcher, at - start - 1)
        if content is not None:
            scanner.go_into_string(at - len(content), self._judge.fresh_watcher(), 0)
            scanner.scan(content)
