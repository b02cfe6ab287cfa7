"""Brackets that a patch opened, or left out, and that are due when the value behind them ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lockgate.gate.events import Violated
from lockgate.gate.grammar import ARRAY, KIND_OF_BYTE, OBJECT, STRING, WHITE
from lockgate.gate.recovery.workspace import Workspace
from lockgate.gate.scan import Violation

#: Bytes behind the value that are looked at.
LOOK_BYTES = 48


@dataclass(slots=True)
class Closer:
    """A closing bracket that is due when a value ends directly in ``depth`` containers, behind byte ``after``.

    ``swallows``: it is left out where it stands, instead of being put there.
    """

    rule: str
    path: str
    depth: int
    after: int
    bracket: bytes
    swallows: bool


class Closers:
    """The brackets that are due in one text, outermost first.

    Attributes:
        is_due: The value that the innermost waits for has ended.
    """

    def __init__(self, work: Workspace) -> None:
        self._work = work
        self._closers: list[Closer] = []
        self.is_due = False

    @property
    def are_due(self) -> bool:
        """Whether a bracket was put or taken away whose partner is still to come."""
        return bool(self._closers)

    @property
    def last_after(self) -> int:
        """Byte behind which the value begins that the innermost waits for; -1 for none."""
        return self._closers[-1].after if self._closers else -1

    def add(self, closer: Closer) -> None:
        """One more, inside of all others."""
        self._closers.append(closer)
        self.watch()

    def watch(self) -> None:
        """Have the scanner stop where the innermost is due."""
        self._work.scanner.stop_depth = self._closers[-1].depth if self._closers else -1

    def forget_from(self, at: int) -> None:
        """The text went back to this byte: what was opened behind it is not open."""
        self._closers = [one for one in self._closers if one.after < at]
        self.watch()

    def reached(self, end: int) -> None:
        """A value ended before this byte, where the scanner was to stop."""
        if self._closers and end > self._closers[-1].after:
            self.is_due = True

    def end_number(self) -> bool:
        """The text ends with a number, which ends there too: whether it was waited for."""
        scanner = self._work.scanner
        if not self._closers or not scanner.may_end_number or scanner.depth != self._closers[-1].depth:
            return False
        self._put(self._closers[-1])
        return True

    def end(self, *, is_end: bool) -> Literal["done", "more"]:
        """The value has ended: put the bracket there, or leave it out.

        Raises:
            Violation: at the byte that the scanner is at, or ``blame`` bytes behind it.
        """
        work, closer = self._work, self._closers[-1]
        work.ledger.path = closer.path
        seen = work.pending[: LOOK_BYTES + 1]  # no more, however the text is cut
        found = next((at for at, byte in enumerate(seen) if byte not in WHITE), -1)
        if found < 0 and not is_end and len(work.pending) <= LOOK_BYTES:
            return "more"
        if closer.swallows:
            self._swallow(closer, found, is_end=is_end)
        elif closer.depth == 1 and found >= 0 and (more := self._begins_another(found, is_end=is_end)) is not False:
            # One document after the other, where an array of them must stand.
            if more is None:
                return "more"
            base = work.scanner.base
            if work.pending[found : found + 1] != b",":
                work.pending[:0] = b","
                work.ledger.change(closer.rule, base, b"", b",")
            closer.after = base + 1
            self.is_due = False
        else:
            self._put(closer)
        return "done"

    def _swallow(self, closer: Closer, found: int, *, is_end: bool) -> None:
        work = self._work
        base = work.scanner.base
        if found >= 0 and work.pending[found : found + 1] == closer.bracket:
            del work.pending[found]
            work.ledger.change(closer.rule, base + found, closer.bracket, b"")
        elif found >= 0 or not is_end:
            work.scanner.blame = max(found, 0)
            raise Violation("invalid_json", "more than one value where one was unwrapped")
        else:
            upstream_at, message = work.ledger.upstream_of(base), "the text ended before a bracket that must follow"
            event = Violated("truncated", at=base, upstream_at=upstream_at, message=message, action="patch")
            work.ledger.note(base, event)
            work.was_truncated = True
        self._end()

    def _put(self, closer: Closer) -> None:
        work = self._work
        work.ledger.path = closer.path
        work.pending[:0] = closer.bracket
        work.ledger.change(closer.rule, work.scanner.base, b"", closer.bracket)
        self._end()

    def _end(self) -> None:
        depth = self._closers.pop().depth
        self.watch()
        # The value ended for all that were opened around it.
        self.is_due = bool(self._closers) and self._closers[-1].depth == depth

    def _begins_another(self, at: int, *, is_end: bool) -> bool | None:
        """Whether an element begins at a byte of what is to come, or behind a comma there; None: more must be seen."""
        seen = self._work.pending[: LOOK_BYTES + 1]
        if seen[at] == 0x2C:
            at = next((i for i in range(at + 1, len(seen)) if seen[i] not in WHITE), -1)
            if at < 0:
                return False if is_end or len(seen) > LOOK_BYTES else None
        return bool(KIND_OF_BYTE.get(seen[at], 0) & (ARRAY | OBJECT | STRING) & self._work.judge.next_kinds())
