"""The gate that goes on after a violation. What the halt gate lets pass, it lets pass too, byte for byte.

How it works: strategies mark bytes that the text can go back to, and what lies behind a mark is held. At a violation
the first strategy that knows a remedy takes the text back and changes how it goes on; where it gives up, the next one
is asked, and where none is left, the gate halts. Nothing that was released is ever changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from lockgate.gate.authority import Authority
from lockgate.gate.base import DocumentGate, encoded, not_utf8, violated
from lockgate.gate.events import Complaint, Completed, Event, Release, Released, Violated
from lockgate.gate.limits import Limits
from lockgate.gate.recovery.closers import Closers
from lockgate.gate.recovery.edits import NOWHERE
from lockgate.gate.recovery.strategy import JointMarks, PendingViolation, Strategy, StrategyMaker, StrategyMarks
from lockgate.gate.recovery.trial import closes_before_element
from lockgate.gate.recovery.workspace import Workspace
from lockgate.gate.scan import Reached, Violation, character_start
from lockgate.gate.schema.graph import SchemaGraph

#: Longest piece that is worked on at once.
_SLICE: Final = 4096


class RecoveringGate(DocumentGate):
    """A gate with recovery.

    Args:
        graph, authority, limits, elements, release: As in :class:`DocumentGate`.
        strategies: What is tried at a violation, in order.
        max_held_bytes: Text that recovery holds at most; more halts, or is released and can no longer be changed.
        accept_truncated: Whether a text that ended early, and was closed here, may count as complete.
        defer_over_bytes: As in :class:`DocumentGate`; only while text is fed, not when it is closed.
    """

    def __init__(
        self,
        graph: SchemaGraph,
        authority: Authority | None,
        limits: Limits,
        *,
        strategies: Sequence[StrategyMaker],
        elements: str | None = None,
        release: Release = "prefix",
        max_held_bytes: int = 64 * 1024,
        accept_truncated: bool = False,
        defer_over_bytes: int | None = None,
    ) -> None:
        super().__init__(
            graph, authority, limits, elements=elements, release=release, defer_over_bytes=defer_over_bytes
        )
        self._accepts_truncated = accept_truncated
        self._max_held = max_held_bytes
        ends = self._element_ends
        self._work = Workspace(self._scanner, self._judge, self._kept, self._finished, ends, max_held_bytes, limits)
        self._work.may_leave_out_element = self._may_leave_out_element
        self._closers = Closers(self._work)
        self._strategies: list[Strategy] = [make(self._work, self._closers) for make in strategies]
        marks = [strategy.marks for strategy in self._strategies]
        self._marks: StrategyMarks = marks[0] if len(marks) == 1 else JointMarks(marks)
        self._scanner.marks = self._marks
        self._violation: PendingViolation | None = None
        self._is_ending = False  # nothing more is fed
        self._broke_off = False  # and upstream had not come to its end
        self._meets_bytes = False  # that are no text: nothing behind them is judged
        self._asks_late = False

    # -- what callers use ------------------------------------------------------------------------------------------

    @property
    def held_bytes(self) -> int:
        return self._scanner.base - self._released + self._work.unjudged_bytes + len(self._tail)

    @property
    def steps(self) -> int:
        """Bytes judged, trials included: what work is measured by."""
        return self._work.steps

    def could_end(self) -> bool:
        return super().could_end() and (self._accepts_truncated or not self._work.was_truncated)

    def feed(self, data: Any) -> list[Event]:
        # The common case by a short way, as in the halt gate: ASCII, no violation in hand, no limit in sight.
        if self._is_quick and type(data) is bytes and data.isascii():
            scanner, length = self._scanner, len(data)
            if 0 < length <= _SLICE and scanner.base + length < self._quick_until:
                self._kept.data += data
                try:
                    scanner.scan(data)
                except (Violation, Reached) as found:
                    events: list[Event] = []
                    self._is_quick = False
                    self._stop(found)
                    self._run(events, is_end=False)
                    return events
                at, end = self._released, scanner.base
                upto = self._marks.held_at
                if upto > end:
                    upto = end if scanner.unit_at < 0 else scanner.unit_at
                elif end - upto > self._max_held:
                    upto = self._forget()
                if upto <= at:
                    return []
                self._released = upto
                if end - at == length:
                    return [Released(data if upto == end else data[: upto - end], at)]
                return [Released(self._kept.between(at, upto), at)]
        if isinstance(data, str):
            return self.feed(encoded(data))
        if not self._takes(data):
            return []
        if len(data) > _SLICE:  # what a violation moves about stays small
            return [
                event
                for start in range(0, len(data), _SLICE)
                for event in self.feed(bytes(data[start : start + _SLICE]))
            ]
        events = []
        good, bad = self._whole_characters(bytes(data))
        self._work.add(good)
        self._run(events, is_end=False)
        if bad and self._state == "open":
            # No text follows: what is in hand is decided by what there is, as it would be at the end.
            self._is_ending = self._meets_bytes = True
            self._run(events, is_end=True, closes=False)
        if bad and self._state == "open":
            self._work.end_skipping()
            at = self._scanner.base + self._work.unjudged_bytes
            self._give_up(Violation("invalid_utf8", not_utf8(bad)), at, events)
        self._is_quick = self._may_be_quick and self._is_settled
        return events

    def settle(self, complaint: Complaint | None) -> list[Event]:
        refused = self._end_deferral(complaint)
        self._closers.watch()
        events: list[Event] = []
        if refused is None:
            self._run(events, is_end=False)
            return events
        last_at = self.document_end - 1
        self._release_up_to(last_at, events)
        self._state = "halted"
        events.append(violated(refused, "", self._released, self._work.ledger.upstream_of(last_at)))
        self._drop()
        return events

    def restore(self, text: Any) -> list[Event]:
        events = super().restore(text)
        self._marks.settle_here()
        self._work.ledger.restart(self._released)
        return events

    def decide(self) -> list[Event]:
        self._is_quick = False
        self._is_ending = True
        events: list[Event] = []
        if self._state == "open" and not self._is_closed:
            self._run(events, is_end=True, closes=False)
        return events

    def close(self, *, clean: bool = True) -> list[Event]:
        self._is_quick = False
        if not self._closes():
            return []
        self._is_ending = True
        self._broke_off = not clean
        events: list[Event] = []
        self._run(events, is_end=True)
        if self._state == "open" and self._scanner.is_done:
            self._finish(events)
        if self._state != "open":
            return events
        is_whole = self._scanner.is_done and not self._tail
        if clean and is_whole and (self._accepts_truncated or not self._work.was_truncated):
            self._state = "complete"
            return [*events, Completed(self._released)]
        self._report_all(self._scanner.base, NOWHERE, events)
        return [*events, *self._ends_early()]

    def _end_character(self) -> None:
        """The text ends, and all before is judged; an unfinished character at its end may be left out."""
        if self._tail and any(strategy.end_character(self._tail) for strategy in self._strategies):
            self._tail = b""

    # -- the text --------------------------------------------------------------------------------------------------

    @property
    def _is_settled(self) -> bool:
        """Whether nothing is under way."""
        work = self._work
        return (
            self._state == "open" and self._violation is None and work.rewriter is None and self._deferred is None
            and not work.pending and not self._tail and not self._kept.at and not self._closers.is_due
            and work.ledger.is_empty
        )  # fmt: skip

    def _run(self, events: list[Event], *, is_end: bool, closes: bool = True) -> None:
        """Judge what there is, as far as it goes."""
        work = self._work
        while self._state == "open" and self._deferred is None:
            if work.rewriter is not None:
                work.read_on(is_end=is_end and not self._meets_bytes)
            if self._violation is not None:
                if not self._recover(self._violation, events, is_end=is_end):
                    break
            elif self._closers.is_due:
                if not self._close_bracket(events, is_end=is_end):
                    break
            elif work.pending:
                self._scan(events)
            elif work.has_failed:
                self._fail(events)
            elif not self._goes_on_at_end(is_end=is_end, closes=closes):
                break
        self._let_out(events)

    def _goes_on_at_end(self, *, is_end: bool, closes: bool) -> bool:
        """At the end of the text a number ends too, and may be found wrong; and what is still open is a violation."""
        if not is_end or (self._broke_off and not self._has_begun):
            return False  # nothing came yet, and nobody knows what was to come
        self._end_character()
        scanner = self._scanner
        if scanner.is_done:
            return False
        try:
            if not self._broke_off:  # then more digits were to come
                scanner.finish()
        except Violation as violation:
            self._stop(violation)
            return True
        except Reached:
            pass
        if scanner.is_done or self._closers.end_number():
            return True
        if not closes:
            return False
        scanner.blame = 0
        self._stop(Violation("truncated", f"{self._who_ended} inside the document", path=""))
        return True

    @property
    def _has_begun(self) -> bool:
        """Whether anything of the document came."""
        return self._scanner.depth > 0 or self._scanner.awaits != "value"

    def _scan(self, events: list[Event]) -> None:
        work, scanner = self._work, self._scanner
        room = self._limits.max_document_bytes - scanner.base
        piece = bytes(work.pending)
        is_too_long = len(piece) > room and not self._hands_out
        if is_too_long:
            piece = piece[: character_start(piece, room)]
        del work.pending[: len(piece)]
        self._kept.data += piece
        work.steps += len(piece)
        try:
            scanner.scan(piece)
        except (Violation, Reached) as found:
            self._stop(found)
            return
        if is_too_long:
            message = f"longer than {self._limits.max_document_bytes} bytes"
            self._give_up(Violation("document_limit", message, recoverable=False), scanner.base, events)

    def _stop(self, found: Violation | Reached) -> None:
        """The scanner stopped: for a value's end, or for a violation, and then each strategy is asked for a remedy."""
        work, scanner = self._work, self._scanner
        if isinstance(found, Reached):
            work.pending[:0] = self._kept.cut(found.end)
            scanner.base = found.end
            self._closers.reached(found.end)
            return
        at = work.stopped_at
        path = self._judge.path() if found.path is None else found.path
        pending = self._violation = PendingViolation(
            found, path, at, work.ledger.upstream_of(at), ends_number=scanner.awaits != "number"
        )
        for strategy in self._strategies:
            remedy = strategy.remedy(pending)
            if remedy is not None:
                pending.remedies.append(remedy)
        work.held_from = self._marks.mark_at
        if pending.remedies:
            self._go_back(pending)
        else:
            work.pending[:0] = self._kept.cut(at)
            scanner.base = at

    def _go_back(self, pending: PendingViolation) -> None:
        """Take the text back for the first remedy."""
        remedy = pending.remedies[0]
        remedy.go_back()
        for strategy in self._strategies:
            if strategy.marks is not remedy.marks:
                strategy.marks.went_back()

    def _recover(self, pending: PendingViolation, events: list[Event], *, is_end: bool) -> bool:
        """Try the remedies. False: more text is needed first."""
        while pending.remedies:
            answer = pending.remedies[0].resolve(is_end=is_end)
            if answer == "more":
                return False
            if answer == "done":
                self._violation = None
                return True
            del pending.remedies[0]
            self._return(pending)
            if pending.remedies:
                self._go_back(pending)
        if self._meets_bytes:
            return False  # they are the reason to halt
        self._halt(pending, events)
        return True

    def _return(self, pending: PendingViolation) -> None:
        """A remedy took the text back for nothing: judge it again up to the violation."""
        work = self._work
        work.judge_again(max(pending.at - work.scanner.base, 0), ends_number=pending.ends_number)
        self._closers.watch()

    def _close_bracket(self, events: list[Event], *, is_end: bool) -> bool:
        """A value has ended that a bracket waited for. False: the next byte must be seen first."""
        try:
            return self._closers.end(is_end=is_end) == "done"
        except Violation as violation:
            self._give_up(violation, self._scanner.position, events)
            return True

    # -- release ---------------------------------------------------------------------------------------------------

    def _forget(self) -> int:
        """Give up what would have to be held for too long. Returns where the held text begins now."""
        scanned, marks = self._scanner.scanned, self._marks
        while scanned - marks.held_at > self._max_held:
            marks.forget()
        return min(marks.held_at, scanned)

    def _let_out(self, events: list[Event]) -> None:
        """Release what is judged and not held."""
        base, marks = self._scanner.base, self._marks
        upto = self._forget()
        if self._release_mode == "element" and upto == marks.held_at and marks.element_at >= 0:
            # Its last quote may not be the one that was meant; and the comma before it belongs to it.
            before = marks.element_at
            upto = max((end for end in self._element_ends if end <= before), default=before)
        self._release_up_to(upto, events)
        self._work.ledger.forget_before(min(base, marks.held_at))

    @property
    def _is_document_whole(self) -> bool:
        """Whether the document has ended for good: its last quote or bracket may not be the one that was meant."""
        may_go_on = (self._asks_late or self._marks.doubts_end) and not self._is_ending
        return self._scanner.is_done and self._deferred is None and not may_go_on

    def _release_up_to(self, upto: int, events: list[Event]) -> None:
        if self._release_mode == "document" and not self._is_document_whole:
            return
        if self._deferred is not None:
            upto = min(upto, self.document_end - 1)
        if self._release_mode == "element" and (self._judge.element_at >= 0 or self._judge.is_between_elements):
            upto = min(upto, self._before_element)
        # A change is reported where it stands in the released text, wherever a rewriter is by now.
        for note in self._work.ledger.due(upto):
            self._release_text(note.at, events)
            events.append(note.event)
        self._release_text(upto, events)
        self._let_go()

    @property
    def _before_element(self) -> int:
        """Where the text ends that stands before the element in hand: its comma belongs to it."""
        before = self._element_ends[-1] if self._element_ends else self._judge.element_at
        return before if before >= 0 else self._released

    def _release_text(self, upto: int, events: list[Event]) -> None:
        if upto > self._released:
            self._release(self._kept.between(self._released, upto), events)
        while self._finished and self._finished[0].end <= self._released:
            events.append(self._finished.pop(0))

    def _let_go(self) -> None:
        if self._keeps_whole and self._is_too_long:
            self._keeps_whole = False  # our own checks decide
        if self._keeps_whole:
            return
        keep_from = min(self._released, self._marks.needed_from(self._released))
        for element_at in (self._judge.element_at, self._marks.element_at):
            if self._hands_out and element_at >= 0:
                keep_from = min(keep_from, element_at)
        self._kept.forget_before(keep_from)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _finish(self, events: list[Event]) -> None:
        """The document is whole, and its end is not in doubt any more."""
        try:
            if self._asks_late:
                self._ask(self.document_end, may_defer=False)
        except Violation as violation:
            self._give_up(violation, self.document_end, events)
            return
        self._release_up_to(self._scanner.base, events)

    @property
    def _who_ended(self) -> str:
        return "upstream broke off" if self._broke_off else "the text ended"

    def _ends_early(self) -> list[Event]:
        self._state = "incomplete"
        work = self._work
        if work.was_truncated:
            return []  # that was reported already
        if self._tail:
            message = f"{self._who_ended} inside a character"
        elif not self._has_begun:
            message = f"{self._who_ended} before a document began"
        else:
            message = "the document is whole, but upstream broke off: it is not proven to be all"
        end = work.ledger.upstream_of(self._scanner.base + work.unjudged_bytes) + len(self._tail)
        return [Violated("truncated", at=self._released, upstream_at=end, message=message, action="none")]

    def _halt(self, pending: PendingViolation, events: list[Event]) -> None:
        """Give up: everything before the violation is released, as by the halt gate."""
        work, scanner, violation = self._work, self._scanner, pending.violation
        self._violation = None
        may_close = violation.code == "truncated" and any(one.closes_early for one in self._strategies)
        if may_close and self._leave_out_element(pending, events):
            return
        if violation.code == "truncated" or work.was_truncated:
            self._report_all(scanner.scanned, NOWHERE, events)
            if not work.was_truncated:
                message = violation.message if self._has_begun else f"{self._who_ended} before a document began"
                at, end = self._released, pending.upstream_at + len(work.pending) + len(self._tail)
                events.append(Violated("truncated", at=at, upstream_at=end, message=message, action="none"))
            self._state = "incomplete"
        else:
            self._state = "halted"
            self._report_all(max(self._released, min(pending.at, scanner.scanned)), pending.at, events)
            events.append(violated(violation, pending.path, self._released, pending.upstream_at))
        self._drop()

    def _leave_out_element(self, pending: PendingViolation, events: list[Event]) -> bool:
        """The text ended inside an element of which nothing was released: close it before that element."""
        if not self._may_leave_out_element():
            return False
        work, at, brackets = self._work, self._before_element, self._brackets_of_elements
        half = self._kept.cut(at) + bytes(work.pending) + bytes(work.raw)
        if not work.was_truncated:
            claim = violated(pending.violation, pending.path, at, pending.upstream_at)
            work.ledger.claim = msgspec.structs.replace(claim, action="patch")
        work.ledger.change("truncated", at, half, brackets)
        self._kept.data += brackets
        work.was_truncated = True
        self._state = "incomplete"
        for note in work.ledger.due(at + len(brackets), is_last=True):
            self._release_text(note.at, events)
            events.append(note.event)
        self._release_text(at + len(brackets), events)
        self._drop()
        return True

    @property
    def _brackets_of_elements(self) -> bytes:
        """What closes the text behind an element that is handed out."""
        scanner = self._scanner
        return scanner.brackets[scanner.depth - scanner.watch_depth :]

    def _may_leave_out_element(self) -> bool:
        judge = self._judge
        if self._release_mode != "element" or judge.element_at < 0 or self._released > self._before_element:
            return False
        return closes_before_element(self._brackets_of_elements, self._scanner, judge)

    def _give_up(self, violation: Violation, at: int, events: list[Event]) -> None:
        """Halt for something that no strategy is asked about."""
        self._report_all(self._scanner.scanned, at, events)
        self._state = "halted"
        upstream_at = self._work.ledger.upstream_of(at)
        events.append(violated(violation, self._judge.path(), self._released, upstream_at))
        self._drop()

    def _fail(self, events: list[Event]) -> None:
        """A rewriter did not find what it was made for, or had to hold too much: the violation stands."""
        work = self._work
        self._report_all(self._scanner.scanned, self._scanner.base, events)
        claim, work.ledger.claim = work.ledger.claim, None
        self._state = "halted"
        if claim is None:
            upstream_at = work.ledger.upstream_of(self._scanner.base + len(work.pending))
            message = "recovery would hold too much"
            claim = Violated("invalid_json", at=self._released, upstream_at=upstream_at, message=message)
        events.append(msgspec.structs.replace(claim, action="halt", at=self._released))
        self._drop()

    def _report_all(self, upto: int, at: int, events: list[Event]) -> None:
        """Release the text up to a byte, and report what was done before another one: no more is released."""
        self._release_up_to(upto, events)
        events += (note.event for note in self._work.ledger.due(at, is_last=True))

    def _drop(self) -> None:
        self._tail = b""
        self._work.drop(self._released)

    # -- the authority -------------------------------------------------------------------------------------------

    def _end_document(self, length: int) -> None:
        self.document_end = length
        # A string at the root may turn out to go on behind its quote; it is judged when the text is over.
        self._asks_late = self._scanner.in_value_string and self._marks.doubts_quotes
        if self._asks_late:
            return
        self._ask(length, may_defer=not self._is_ending)
        if self._deferred is not None:
            self._scanner.stop_depth = 0
