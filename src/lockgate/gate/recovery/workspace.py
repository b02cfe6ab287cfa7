"""The text under recovery, and everything that a gate and its strategies know of it."""

from __future__ import annotations

from collections.abc import Callable

from lockgate.gate.base import KeptText
from lockgate.gate.events import Element
from lockgate.gate.limits import Limits
from lockgate.gate.recovery.edits import NOWHERE, Rewriter
from lockgate.gate.recovery.ledger import Ledger
from lockgate.gate.scan import Scanner, Violation
from lockgate.gate.schema.judge import Judge


class Workspace:
    """What a gate and its strategies work on, all of them on the same one.

    The text stands here in three parts, in order: ``kept`` was judged, ``pending`` is judged next, and ``raw`` is what
    a rewriter, where there is one, has not rewritten yet.

    Attributes:
        max_held: Bytes that recovery may hold.
        finished: Elements that are judged and not handed out yet.
        element_ends: Byte behind each of the last elements.
        when_rewritten: Called when the rewriter's token has ended, before what follows it is taken up.
        has_failed: The rewriter did not find what it was made for.
        was_truncated: The text ended early, and was ended here.
        steps: Bytes judged, trials included: what work is measured by.
        rewritten_to: Byte of the text that the last rewriter ended at.
        held_from: Byte that any strategy holds the text from, at the violation in hand.
        may_leave_out_element: Whether the document may end before the element in hand, of which nothing was released.
    """

    def __init__(
        self,
        scanner: Scanner,
        judge: Judge,
        kept: KeptText,
        finished: list[Element],
        element_ends: list[int],
        max_held: int,
        limits: Limits,
    ) -> None:
        self.scanner = scanner
        self.judge = judge
        self.kept = kept
        self.finished = finished
        self.element_ends = element_ends
        self.max_held = max_held
        self.limits = limits
        self.ledger = Ledger()
        self.pending = bytearray()
        self.raw = bytearray()
        self.rewriter: Rewriter | None = None
        self.rewriter_rule = ""
        self.when_rewritten: Callable[[], None] | None = None
        self.has_failed = False
        self.was_truncated = False
        self.steps = 0
        self.rewritten_to = 0
        self.held_from = NOWHERE
        self.may_leave_out_element: Callable[[], bool] = bool

    @property
    def unjudged_bytes(self) -> int:
        """Bytes fed that are not judged, or have to be judged again."""
        rewriter = 0 if self.rewriter is None else self.rewriter.held
        return len(self.pending) + len(self.raw) + rewriter

    @property
    def stopped_at(self) -> int:
        """Byte of the text that a violation belongs to. Half an escape is never released."""
        scanner = self.scanner
        return scanner.unit_at if scanner.unit_at >= 0 else scanner.position

    def byte_at(self, at: int) -> bytes:
        """The byte of the judged text; b"" behind its end."""
        return self.kept.between(at, at + 1)

    def add(self, data: bytes) -> None:
        """What upstream sent next."""
        if self.rewriter is None:
            self.pending += data
        else:
            self.raw += data

    def take_back(self, at: int) -> None:
        """The text from this byte on must be judged again; the scanner is brought there by who calls this."""
        self.pending[:0] = self.kept.cut(at)
        while self.finished and self.finished[-1].end > at:
            self.finished.pop()
        while self.element_ends and self.element_ends[-1] > at:
            self.element_ends.pop()

    def judge_again(self, length: int, *, ends_number: bool) -> None:
        """Judge bytes of what is pending that were judged before; nobody is told what ends among them.

        Args:
            ends_number: Whether what follows them had ended a number that they end with.
        """
        before = bytes(self.pending[:length])
        if not before:
            return
        del self.pending[:length]
        self.kept.data += before
        scanner = self.scanner
        stop_depth, scanner.stop_depth = scanner.stop_depth, -1
        try:
            scanner.scan(before)
            if ends_number:
                scanner.end_number()
        except Violation:
            pass  # the text went back into a string; what stands before the violation was judged once already
        scanner.stop_depth = stop_depth

    def rewrite(
        self, start: int, rewriter: Rewriter, *, rule: str, when_rewritten: Callable[[], None] | None = None
    ) -> None:
        """From byte ``start`` of what is pending on, a rewriter takes the text first."""
        self.raw = self.pending[start:]
        del self.pending[start:]
        self.rewriter, self.rewriter_rule, self.when_rewritten = rewriter, rule, when_rewritten

    def read_on(self, *, is_end: bool) -> None:
        """Let the rewriter take what has come."""
        rewriter = self.rewriter
        assert rewriter is not None
        pieces, used = rewriter.read(bytes(self.raw), is_end=is_end)
        del self.raw[:used]
        for removed, inserted in pieces:
            at = self.scanner.base + len(self.pending)
            self.pending += inserted
            if removed != inserted:
                self.ledger.change(self.rewriter_rule, at, removed, inserted)
        if rewriter.is_over or (is_end and not rewriter.has_failed):
            self.rewritten_to = self.scanner.base + len(self.pending)
            if self.when_rewritten is not None:
                self.when_rewritten()
            self.pending += self.raw
            self.raw.clear()
            self.rewriter = self.when_rewritten = None
        elif rewriter.has_failed:
            self.rewriter = self.when_rewritten = None
            self.has_failed = True  # what stands before is judged first

    def end_skipping(self) -> None:
        """Nothing that follows can be read: what is being left out ends here, and is told of."""
        if self.when_rewritten is not None:
            self.read_on(is_end=True)

    def drop(self, at: int) -> None:
        """The gate has halted, and has released the text up to this byte: nothing else of it is needed."""
        self.pending.clear()
        self.raw.clear()
        self.rewriter = self.when_rewritten = None
        self.scanner.base = at
