"""The strategy ``skip``: the smallest value that may be missing, and that holds the violation, is left out.

How it works: an optional member that is a scalar or an object, and an element of the declared array, are held from the
comma before them until they are judged. At a violation the text goes back to before the innermost of them, the end of
the broken value is found by its brackets and strings alone, and the text goes on behind it.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from lockgate.gate.base import violated
from lockgate.gate.events import Skipped
from lockgate.gate.grammar import (
    ARRAY,
    AT_ELEMENT_OR_CLOSE,
    AT_NAME_OR_CLOSE,
    AT_VALUE,
    BETWEEN_VALUES,
    WHITE,
    ScanState,
)
from lockgate.gate.recovery.closers import Closers
from lockgate.gate.recovery.edits import NOWHERE
from lockgate.gate.recovery.rewriters import Skimmed
from lockgate.gate.recovery.strategy import FINAL, Answer, PendingViolation, Remedy
from lockgate.gate.recovery.workspace import Workspace
from lockgate.gate.scan import Scanner, Violation
from lockgate.gate.schema.judge import Judge
from lockgate.gate.schema.judge_state import JudgePosition


class Start(NamedTuple):
    """Where a value that may be left out begins: before its comma."""

    at: int
    state: ScanState
    is_in_object: bool
    is_first: bool
    position: JudgePosition

    @property
    def depth(self) -> int:
        """Containers around it."""
        return self.position.depth


class SkipMarks:
    """Remembers where each value begins that may still be left out. A ``StrategyMarks``.

    Attributes:
        mark_at: Where the held text begins; ``NOWHERE`` if nothing is held.
        starts: Of the open values that may be left out, outermost first.
        between: Where the next value would begin, once one has ended or a container has opened.
    """

    doubts_end = doubts_quotes = False
    element_at = -1  # no element is open where a value begins that may be left out

    def __init__(self, scanner: Scanner, judge: Judge) -> None:
        self._scanner = scanner
        self._judge = judge
        self.mark_at = 0
        self.starts: list[Start] = []
        self.between: Start | None = None
        self._note(0, is_first=True)

    def _note(self, at: int, *, is_first: bool) -> None:
        scanner = self._scanner
        self.between = Start(at, scanner.state, scanner.is_in_object, is_first, self._judge.position())
        self.mark_at = self.starts[0].at if self.starts else at

    def _find_mark(self) -> None:
        first = self.starts[0] if self.starts else self.between
        self.mark_at = NOWHERE if first is None else first.at

    # -- what the scanner tells ------------------------------------------------------------------------------------

    def value_begun(self, kind: int) -> None:
        scanner, start = self._scanner, self.between
        is_droppable_kind = kind != ARRAY or not scanner.is_in_object
        if start is not None and is_droppable_kind and self._judge.may_leave_out_in(scanner.depth):
            self.starts.append(start)
        self.between = None
        self._find_mark()

    def container_opened(self, at: int) -> None:
        self._note(at, is_first=True)

    def escape_ended(self, at: int, letter: int) -> None:
        pass

    def value_ended(self, at: int, state: ScanState) -> None:
        if self.starts and self.starts[-1].depth == self._scanner.depth:
            self.starts.pop()
        self._note(at, is_first=False)

    # -- what is held ----------------------------------------------------------------------------------------------

    @property
    def held_at(self) -> int:
        return self.mark_at

    def needed_from(self, released: int) -> int:
        return NOWHERE

    def forget(self) -> None:
        if self.starts:
            self.starts.pop(0)
        else:
            self.between = None
        self._find_mark()

    def forget_before(self, at: int) -> None:
        """Give up every value that begins before this byte: in whatever pieces the text came, it was too long."""
        self.starts = [one for one in self.starts if one.at >= at]
        if self.between is not None and self.between.at < at:
            self.between = None
        self._find_mark()

    def settle_here(self) -> None:
        scanner = self._scanner
        self.starts = []
        self.between = None
        if scanner.state in BETWEEN_VALUES or not scanner.base:
            is_first = scanner.state in (AT_VALUE, AT_ELEMENT_OR_CLOSE, AT_NAME_OR_CLOSE)
            self._note(scanner.base, is_first=is_first)
        self._find_mark()

    def went_back(self) -> None:
        scanner = self._scanner
        begun = [one for one in self.starts if one.at >= scanner.base]
        if begun:  # the value that has begun since is still to come
            self.between = begun[0]
            self.starts = self.starts[: -len(begun)]
        elif self.between is not None and self.between.at > scanner.base:
            self.between = None
        self._find_mark()

    def rewind(self, start: Start) -> None:
        """Be where this value had not begun."""
        scanner = self._scanner
        self._judge.rewind(start.position)
        scanner.leave_containers(start.depth, is_in_object=start.is_in_object)
        scanner.go_to(start.at, start.state)
        self.starts = [one for one in self.starts if one.at < start.at]
        self.between = start
        self._find_mark()


class SkipStrategy:
    """See the module. A ``Strategy``."""

    def __init__(self, work: Workspace, closers: Closers) -> None:
        self.marks = SkipMarks(work.scanner, work.judge)
        self._work = work
        self._closers = closers

    @property
    def closes_early(self) -> bool:
        return False

    def end_character(self, tail: bytes) -> bool:
        return False  # nothing is changed by skip: the tail stays, and the text is not complete

    def remedy(self, pending: PendingViolation) -> Remedy | None:
        violation, marks = pending.violation, self.marks
        start = self._droppable(violation, pending.at)
        if start is None:
            return None
        is_begun = violation.schema_path or violation.code == "duplicate_member"
        path = pending.path if start is marks.between and is_begun else self._work.judge.path_in(start.depth)
        return _Skip(self._work, self._closers, marks, pending, start, path)

    def _droppable(self, violation: Violation, at: int) -> Start | None:
        """Where the smallest value begins that holds the violation and may be left out."""
        marks = self.marks
        marks.forget_before(at - self._work.max_held)
        if violation.code in FINAL or violation.code == "truncated":
            return None
        if marks.between is not None and self._may_leave_out_next(violation, self._work.byte_at(at)):
            return marks.between
        return marks.starts[-1] if marks.starts else None

    def _may_leave_out_next(self, violation: Violation, byte: bytes) -> bool:
        """Whether the violation is in a value that has just begun, or in its name."""
        scanner, judge = self._work.scanner, self._work.judge
        awaits = scanner.awaits
        if byte == b"," and awaits == "comma" and violation.schema_path:
            return scanner.is_in_object or judge.may_leave_out()  # one too many: it follows this comma
        if byte in (b"", b"}", b"]", b","):
            return False
        if awaits in ("name text", "name", "name or }"):
            return True
        if awaits == "colon" or (awaits == "value" and scanner.is_in_object):
            return judge.may_leave_out()
        if awaits in ("value", "element or ]") and scanner.depth:
            return judge.may_leave_out(has_begun=bool(violation.schema_path))
        return False


class _Skip:
    """One value that is left out. A ``Remedy``."""

    def __init__(
        self, work: Workspace, closers: Closers, marks: SkipMarks, pending: PendingViolation, start: Start, path: str
    ) -> None:
        self.marks = marks
        self._work = work
        self._closers = closers
        self._pending = pending
        self._start = start
        self._path = path

    def go_back(self) -> None:
        self._work.take_back(self._start.at)
        self.marks.rewind(self._start)
        self._closers.forget_from(self._start.at)

    def resolve(self, *, is_end: bool) -> Answer:
        work, pending = self._work, self._pending
        base = work.scanner.base
        # Text that a patch still rewrites is waited for, but not for long: the value's end may be behind it.
        end = work.rewritten_to if work.rewriter is None else base + len(work.pending)
        if work.has_failed or end - base > work.max_held:
            return "no"
        if work.rewriter is not None:
            return "more"
        comma = 0
        if not self._start.is_first:
            comma = next(index for index, byte in enumerate(work.pending) if byte not in WHITE) + 1
        white = len(work.pending) - comma - len(work.pending[comma:].lstrip(WHITE))
        skimmed = Skimmed(with_comma=self._start.is_first)
        value_at = base + comma  # byte of the text, as it was, that follows its comma
        work.rewrite(comma, skimmed, rule="skip", when_rewritten=lambda: self._leave_out(skimmed, value_at))
        del work.pending[max(comma - 1, 0) :]
        at = base + len(work.pending)
        said = violated(pending.violation, pending.path, at, pending.upstream_at)
        work.ledger.gather(at, value_at + white, msgspec.structs.replace(said, action="skip"))
        return "done"

    def _leave_out(self, skimmed: Skimmed, value_at: int) -> None:
        """The end of the value is known."""
        work, ledger = self._work, self._work.ledger
        at = work.scanner.base + len(work.pending)
        first, last = value_at + skimmed.start, value_at + skimmed.end
        if first == last and not self._start.is_first:  # nothing stands behind its comma, which goes
            first, last = value_at - 1, value_at
        start, end = ledger.upstream_of(first), ledger.upstream_of(last)
        ledger.leave_out(at, value_at + skimmed.start, value_at + skimmed.end, value_at + skimmed.taken)
        ledger.note(at, Skipped(self._path, start, end, self._pending.violation.code))
