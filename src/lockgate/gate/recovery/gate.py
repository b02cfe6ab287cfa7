"""The gate that goes on after a fault. What halt mode lets pass, it passes on, byte for byte.

How it works: the scanner marks places that it can go back to, and what lies behind the mark is held. At a fault the
text goes back to the mark (inside a string: to the fault) and waits there until the rules have seen enough of what
follows. Each rule may propose edits; every edit is tried on a fork of scanner and judge, cheapest first, and the first
that takes the text past the fault is made. So a rule cannot break the schema, and cannot touch what was released.

Work is linear: a fault costs a bounded number of trials, each over a bounded window, and every fault lies further on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from lockgate.errors import Misuse
from lockgate.gate.authority import Authority, Complaint, parse, refuse
from lockgate.gate.events import Completed, Element, Event, Expected, Release, Released, Violated
from lockgate.gate.gate import _Base, expected_of, pointer_tokens, violated
from lockgate.gate.limits import Limits
from lockgate.gate.recovery.edits import Edit, Hesitate, Reader
from lockgate.gate.recovery.ledger import Ledger
from lockgate.gate.recovery.rule import Rule
from lockgate.gate.recovery.site import WHITE, Site, describe
from lockgate.gate.recovery.tracked import NOWHERE, Reached, TrackedScanner
from lockgate.gate.recovery.trial import passes, whole_characters
from lockgate.gate.scan import (
    _LOW_U,
    _STRING,
    ARRAY,
    KIND_OF_BYTE,
    OBJECT,
    PLAIN_RUN,
    STRING,
    Fault,
    character_start,
)
from lockgate.gate.schema.judge import Judge
from lockgate.gate.schema.places import Place, Places
from lockgate.gate.schema.strings import StringRun
from lockgate.gate.values import NOTHING, value_of

#: Bytes after a fault that rules are shown: first these, then, if a rule hesitates, more.
WINDOWS = (48, 1024)
#: A string that is longer is not judged again from its beginning.
_REHEARD = 4096
#: Longest piece that is worked on at once.
_SLICE = 4096
#: Edits at one place, without getting any further, after which it is given up. Closing a text is such a place.
_MAX_REPEATS = 600
#: Codes that another continuation cannot help.
FINAL = frozenset({
    "depth_limit", "document_limit", "string_limit", "number_limit", "members_limit", "whitespace_limit",
    "authority_disagreement", "pattern_undecided", "invalid_utf8",
})  # fmt: skip


class Trouble:
    """A fault that waits for its edit."""

    def __init__(self, fault: Fault, path: str, at: int, upstream_at: int, site: dict[str, Any]) -> None:
        self.fault = fault
        self.path = path
        self.at = at  # byte of the text
        self.upstream_at = upstream_at
        self.site = site
        self.look = 0  # index into WINDOWS


class _Closer:
    """Something to do when the value at a depth ends."""

    def __init__(self, rule: str, path: str, depth: int, after: int, bracket: bytes, *, swallows: bool) -> None:
        self.rule, self.path, self.depth, self.after = rule, path, depth, after
        self.bracket, self.swallows = bracket, swallows


class RecoveringGate(_Base):
    """The gate with recovery ``patch``.

    Args:
        places: The schema.
        authority: Judges the finished document.
        rules: What may be done, in the order that decides ties.
        elements: JSON pointer to the array whose elements are handed out.
        release: ``prefix``: at once; ``element``, ``document``: hold until the element, the document is whole.
        max_patches: Faults that are patched at most; the next one halts.
        max_held_bytes: Text that recovery holds at most; more halts, or is released and can no longer be changed.
        accept_truncated: Whether a text that ended early, and was closed here, may count as complete.
        defer_over_bytes: As in :class:`HaltGate`; only while text is fed, not when it is closed.
    """

    def __init__(
        self,
        places: Places,
        authority: Authority | None,
        limits: Limits,
        *,
        rules: Sequence[Rule],
        elements: str | None = None,
        release: Release = "prefix",
        max_patches: int = 10_000,
        max_held_bytes: int = 64 * 1024,
        accept_truncated: bool = False,
        defer_over_bytes: int | None = None,
    ) -> None:
        super().__init__()
        self._limits = limits
        self._places = places
        self._asks_authority = authority
        self._rules = rules
        self._release_mode = release
        self._max_patches = max_patches
        self._max_held = max_held_bytes
        self._accepts_truncated = accept_truncated
        self._judge = Judge(places.root, limits, self._ask_authority)
        self._scanner = self._make_scanner()
        self._text = bytearray()  # judged text that is still needed: for release, the authority, or to hear it again
        self._text_at = 0
        self._keeps_whole = elements is None
        self._pending = bytearray()  # to be judged
        self._raw = bytearray()  # behind the reader: not rewritten yet
        self._reader: Reader | None = None
        self._reader_rule = ""
        self._has_failed = False
        self._ledger = Ledger()
        self._trouble: Trouble | None = None
        self._closers: list[_Closer] = []
        self._is_closing = False
        self._patches = 0
        self._last_fault_at = -1
        self._repeats = 0
        self._is_quick = self._may_be_quick = release == "prefix" and elements is None
        self._quick_until = min(limits.max_document_bytes, limits.authority_max_bytes)
        self._was_truncated = False
        self._is_ending = False  # nothing more is fed
        self._finished: list[Element] = []
        self._asks = True
        self._asks_late = False
        self._defer_over_bytes = defer_over_bytes
        self.deferred: bytes | None = None  # a document that waits for ``settle``
        self._hands_out = elements is not None
        self.document_end = 0
        self.steps = 0  # bytes judged, trials included: what work is measured by
        if elements is not None:
            tokens = pointer_tokens(elements)
            self._judge.hand_out(tokens, lambda: self._scanner.position, self._element)
            self._scanner.watch_depth = len(tokens) + 1

    def _make_scanner(self) -> TrackedScanner:
        return TrackedScanner(self._judge, self._limits, self._max_held)

    # -- what callers use ------------------------------------------------------------------------------------------

    @property
    def held_bytes(self) -> int:
        reader = 0 if self._reader is None else self._reader.held
        return self._scanner.base - self._released + len(self._pending) + len(self._raw) + reader + len(self._tail)

    @property
    def authority(self) -> Literal["document", "elements", "checks"]:
        if self._hands_out:
            return "elements"
        return "document" if self._keeps_whole else "checks"

    def snapshot(self) -> Any:
        if not self._keeps_whole:
            raise Misuse("snapshot needs the whole text, which this gate does not keep (elements, or a long document)")
        value = value_of(bytes(self._text[: self._released]), self._limits)
        return None if value is NOTHING else value

    def expected(self) -> Expected:
        return expected_of(self._scanner, self._judge) if self._state == "open" else Expected("end")

    def feed(self, data: bytes) -> list[Event]:
        # The common case by a short way, as in halt mode: ASCII, no fault in hand, no limit in sight.
        if self._is_quick and type(data) is bytes and data.isascii():
            scanner, length = self._scanner, len(data)
            if 0 < length <= _SLICE and scanner.base + length < self._quick_until:
                self._text += data
                try:
                    scanner.scan(data)
                except (Fault, Reached) as found:
                    events: list[Event] = []
                    self._is_quick = False
                    self._stumble(found)
                    self._run(events, is_end=False)
                    return events
                at, end = self._released, scanner.base
                # What held_from says, without the call.
                state = scanner._state
                if _STRING <= state <= _LOW_U and not scanner._in_name:
                    upto = end if state == _STRING else scanner.unit_at
                else:
                    upto = scanner.mark_at
                    if end - upto > self._max_held or upto > end:
                        upto = min(self._forget(), end)
                if upto <= at:
                    return []
                self._released = upto
                if end - at == length:
                    return [Released(data if upto == end else data[: upto - end], at)]
                return [Released(bytes(self._text[at:upto]), at)]
        if not self._takes(data):
            return []
        if len(data) > _SLICE:  # what a fault moves about stays small
            return [
                event
                for start in range(0, len(data), _SLICE)
                for event in self.feed(bytes(data[start : start + _SLICE]))
            ]
        events = []
        good, bad = self._whole_characters(bytes(data))
        self._add(good)
        self._run(events, is_end=False)
        if bad and self._state == "open":
            self._refuse(bad, events)
        self._is_quick = self._may_be_quick and self._is_settled
        return events

    def _is_waiting(self) -> bool:
        return self.deferred is not None

    def settle(self, complaint: Complaint | None) -> list[Event]:
        """Go on after ``deferred`` was shown to the authority; as in :class:`HaltGate`."""
        if self.deferred is None:
            raise Misuse("settle without a deferred document")
        self.deferred = None
        self._scanner.stop_depth = self._closers[-1].depth if self._closers else -1
        events: list[Event] = []
        try:
            refuse(complaint, "")
        except Fault as fault:
            self._release_up_to(self.document_end - 1, events)
            self._state = "halted"
            events.append(violated(fault, "", self._released, self._ledger.upstream_of(self.document_end - 1)))
            self._drop()
            return events
        self._run(events, is_end=False)
        return events

    def restore(self, text: bytes) -> list[Event]:
        """Be where a gate was that has released this text: judge it, and release all of it, with nothing held.

        Args:
            text: What such a gate released next, cut anywhere; the first calls of a fresh gate, before any ``feed``.
        """
        good, bad = self._whole_characters(text)
        self._text += good
        self._asks = False  # if it is whole, the authority has seen it
        try:
            if bad:
                raise Fault("invalid_utf8", "it is not UTF-8")
            self._scanner.scan(good)
        except Fault as fault:
            raise Misuse(f"restore takes text that a gate has released, and this was refused: {fault}") from None
        self._asks = True
        self._scanner.settle_here()
        self._finished.clear()
        at, self._released = self._released, self._scanner.base
        self._ledger.restart(self._released)
        return [Released(good, at)] if good else []

    def decide(self) -> list[Event]:
        """No more of this text comes, though another may go on: what waits to see more is decided now.

        What is open stays open; only ``close`` closes it. Until then nothing may be fed.
        """
        self._is_quick = False
        self._is_ending = True
        events: list[Event] = []
        if self._state == "open" and not self._is_closed:
            if self._tail:
                self._cut_character()
            self._run(events, is_end=True, closes=False)
        return events

    def close(self, *, clean: bool = True) -> list[Event]:
        self._is_quick = False
        if not self._closes():
            return []
        self._is_ending = True
        events: list[Event] = []
        if clean:
            if self._tail:
                self._cut_character()
            self._run(events, is_end=True)
            if self._state == "open" and self._scanner.is_done:
                self._finish(events)
        if self._state != "open":
            return events
        is_whole = self._scanner.is_done and not self._tail
        if clean and is_whole and (self._accepts_truncated or not self._was_truncated):
            self._state = "complete"
            return [*events, Completed(self._released)]
        return [*events, *self._ends_early(clean)]

    def _cut_character(self) -> None:
        """The text ends inside a character: what there is of it goes, and the text is not complete."""
        held = len(self._pending) + len(self._raw) + (0 if self._reader is None else self._reader.held)
        at = self._scanner.base + held
        upstream_at, message = self._ledger.upstream_of(at), "the text ended inside a character"
        self._ledger.claim = Violated("truncated", at=at, upstream_at=upstream_at, message=message, action="patch")
        self._ledger.change("truncated", at, self._tail, b"")
        self._tail, self._was_truncated = b"", True

    # -- the text --------------------------------------------------------------------------------------------------

    @property
    def _is_settled(self) -> bool:
        return (
            self._state == "open" and self._trouble is None and self._reader is None and self.deferred is None
            and not self._pending and not self._tail and not self._text_at and not self._is_closing
        )  # fmt: skip

    def _add(self, good: bytes) -> None:
        if self._reader is None:
            self._pending += good
        else:
            self._raw += good

    def _run(self, events: list[Event], *, is_end: bool, closes: bool = True) -> None:
        """Judge what there is, as far as it goes."""
        while self._state == "open" and self.deferred is None:
            if self._reader is not None:
                self._read(events, is_end=is_end)
            if self._trouble is not None:
                if not self._recover(events, is_end=is_end):
                    break
            elif self._is_closing:
                if not self._end_closer(events, is_end=is_end):
                    break
            elif self._pending:
                self._scan(events)
            elif self._has_failed:
                self._fail(events)
            elif not self._goes_on_at_end(is_end=is_end, closes=closes):
                break
        self._let_out(events)

    def _goes_on_at_end(self, *, is_end: bool, closes: bool) -> bool:
        """At the end of the text a number ends too, and may be found wrong; and what is still open is a fault."""
        scanner = self._scanner
        if not is_end or scanner.is_done:
            return False
        try:
            scanner.finish()
        except Fault as fault:
            self._stumble(fault)
            return True
        except Reached:
            pass
        if scanner.is_done:
            return True
        if self._closers and scanner.may_end_number and scanner.depth == self._closers[-1].depth:
            self._put_behind(self._closers[-1])  # a number that was wrapped: the end of the text is its end
            return True
        if not closes:
            return False
        scanner.blame = 0
        self._stumble(Fault("truncated", "the text ended inside the document", path=""))
        return True

    def _scan(self, events: list[Event]) -> None:
        room = self._limits.max_document_bytes - self._scanner.base
        is_too_long = len(self._pending) > room and not self._hands_out
        piece = (
            bytes(self._pending)
            if not is_too_long
            else bytes(self._pending[: character_start(bytes(self._pending), room)])
        )
        del self._pending[: len(piece)]
        self._text += piece
        self.steps += len(piece)
        scanner = self._scanner
        try:
            scanner.scan(piece)
        except (Fault, Reached) as found:
            self._stumble(found)
            return
        if is_too_long:
            message = f"longer than {self._limits.max_document_bytes} bytes"
            self._give_up(Fault("document_limit", message, recoverable=False), scanner.base, events)

    def _forget(self) -> int:
        """Give up what would have to be held for too long. Returns where the held text begins now."""
        scanner = self._scanner
        while scanner.scanned - scanner.held_from > self._max_held:
            scanner.forget()
        return scanner.held_from

    def _cut_text(self, at: int) -> bytes:
        """Take the text from a byte on back."""
        taken = bytes(self._text[at - self._text_at :])
        del self._text[at - self._text_at :]
        return taken

    def _stumble(self, found: Fault | Reached) -> None:
        """The scanner stopped: for a value's end, or for a fault, which becomes trouble."""
        scanner = self._scanner
        if isinstance(found, Reached):
            self._pending[:0] = self._cut_text(found.end)
            scanner.base = found.end
            if self._closers and found.end > self._closers[-1].after:
                self._is_closing = True
            return
        at = scanner.unit_at if scanner.unit_at >= 0 else scanner.position
        if scanner.in_value_string and self._text[at - self._text_at : at - self._text_at + 1] == b'"':
            scanner.mark_quote(at)
        site = describe(found, scanner, self._judge, self._max_held)
        path = self._judge.path() if found.path is None else found.path
        trouble = self._trouble = Trouble(found, path, at, self._ledger.upstream_of(at), site)
        if not self._goes_back(found, at):
            self._pending[:0] = self._cut_text(at)
            trouble.look = -1
            scanner.base = at
        elif self._is_stuck(trouble.upstream_at):
            trouble.look = -1
        run = scanner.run
        if isinstance(run, StringRun) and scanner.in_value_string:
            trouble.site["text"] = run.text if run.keeps else None

    def _goes_back(self, fault: Fault, at: int) -> bool:
        """Go back to where an edit may begin; False where there is no such place."""
        scanner = self._scanner
        if fault.code in FINAL:
            return False
        if scanner.in_value_string and scanner.mark_at != at:
            return self._goes_back_into_string(fault, at)
        if at - scanner.mark_at > self._max_held or scanner.mark_at == NOWHERE:
            return False
        self._pending[:0] = self._cut_text(scanner.mark_at)
        scanner.rewind()
        self._finished = [one for one in self._finished if one.end <= scanner.base]
        return True

    def _goes_back_into_string(self, fault: Fault, at: int) -> bool:
        scanner = self._scanner
        end = PLAIN_RUN.match(self._text, at - self._text_at).end() + self._text_at  # type: ignore[union-attr]
        start, content = scanner.string_start_at(at, end), None
        if fault.code == "schema_violation":
            if at - start > _REHEARD:
                return False
            content = bytes(self._text[start + 1 - self._text_at : at - self._text_at])
            self.steps += len(content)
        self._pending[:0] = self._cut_text(at)
        scanner.rewind_in_string(at, start, content)
        return True

    # -- at a fault ------------------------------------------------------------------------------------------------

    def _recover(self, events: list[Event], *, is_end: bool) -> bool:
        """Find an edit. False: more text is needed first."""
        trouble = self._trouble
        assert trouble is not None
        if trouble.look < 0 or self._patches >= self._max_patches:
            self._halt(trouble, events)
            return True
        at = trouble.at - self._scanner.base
        while trouble.look < len(WINDOWS):
            size = min(WINDOWS[trouble.look], max(self._max_held - at, 0))
            is_all = is_end and self._reader is None and len(self._pending) - at <= size
            if len(self._pending) - at < size and not is_all:
                if self._has_failed:
                    break  # more will not come
                return False
            try:
                return self._choose(trouble, at, size, is_end=is_all, events=events)
            except Hesitate:
                trouble.look += 1
        self._halt(trouble, events)
        return True

    def _is_stuck(self, upstream_at: int) -> bool:
        """Whether edits were made here again and again, and the text gets no further."""
        self._repeats = self._repeats + 1 if upstream_at <= self._last_fault_at else 0
        self._last_fault_at = max(self._last_fault_at, upstream_at)
        return self._repeats > _MAX_REPEATS

    def _choose(self, trouble: Trouble, at: int, size: int, *, is_end: bool, events: list[Event]) -> bool:
        window = whole_characters(bytes(self._pending[: at + size]))
        is_last = trouble.look == len(WINDOWS) - 1
        site = Site(window=window, at=at, is_end=is_end, is_last_look=is_last, **trouble.site)
        proposals: list[tuple[int, int, Edit]] = []
        for order, rule in enumerate(self._rules):
            proposals += [(edit.cost, order, edit) for edit in rule.propose(site)]
        proposals.sort(key=lambda one: one[:2])
        for is_strict in (True, False):
            for _, order, edit in proposals:
                if self._reader is not None and edit.reader is not None:
                    continue  # the rest of the text is in a reader's hands already
                is_past, steps = passes(edit, site, self._scanner, self._judge, is_strict=is_strict)
                self.steps += steps
                if is_past:
                    self._make(self._rules[order].id, edit, trouble, events)
                    return True
        self._halt(trouble, events)
        return True

    def _make(self, rule: str, edit: Edit, trouble: Trouble, events: list[Event]) -> None:
        base = self._scanner.base
        self._patches += 1
        self._trouble = None
        self._ledger.forget_before(min(base, self._scanner.mark_at))
        self._ledger.path = trouble.path
        if trouble.fault.code != "truncated" or not self._was_truncated:
            claim = violated(trouble.fault, trouble.path, trouble.at, trouble.upstream_at)
            self._ledger.claim = msgspec.structs.replace(claim, action="patch")
        self._was_truncated |= trouble.fault.code == "truncated"
        shift = 0  # bytes that the changes so far have added
        for change in edit.changes:
            at = change.at + shift
            removed = bytes(self._pending[at : at + change.length])
            if removed == change.inserted:
                continue
            self._pending[at : at + change.length] = change.inserted
            self._ledger.change(rule, base + at, removed, change.inserted)
            shift += len(change.inserted) - change.length
        if edit.closer:
            depth = self._scanner.depth + (0 if edit.swallows else 1)
            after = base + edit.changes[-1].at
            self._closers.append(_Closer(rule, trouble.path, depth, after, edit.closer, swallows=edit.swallows))
            self._scanner.stop_depth = depth
        if edit.reader is not None:
            start = edit.end + shift
            self._raw = bytearray(self._pending[start:])
            del self._pending[start:]
            self._reader, self._reader_rule = edit.reader(), rule

    def _end_closer(self, events: list[Event], *, is_end: bool) -> bool:
        """The value that something waited for has ended. False: the next byte must be seen first."""
        closer = self._closers[-1]
        base = self._scanner.base
        self._ledger.path = closer.path
        found = next((at for at, byte in enumerate(self._pending) if byte not in WHITE), -1)
        if found < 0 and not is_end and len(self._pending) <= WINDOWS[0]:
            return False
        if closer.swallows:
            if found >= 0 and self._pending[found : found + 1] == closer.bracket:
                del self._pending[found]
                self._ledger.change(closer.rule, base + found, closer.bracket, b"")
            elif found >= 0 or not is_end:
                self._give_up(
                    Fault("invalid_json", "more than one element where one was unwrapped"), base + max(found, 0), events
                )
                return True
        elif closer.depth == 1 and found >= 0 and (more := self._begins_another(found, is_end=is_end)) is not False:
            # One document after the other, where an array of them must stand.
            if more is None:
                return False
            if self._pending[found : found + 1] != b",":
                self._pending[:0] = b","
                self._ledger.change(closer.rule, base, b"", b",")
            closer.after = base + 1
            self._is_closing = False
            return True
        else:
            self._put_behind(closer)
            return True
        self._end_closing()
        return True

    def _put_behind(self, closer: _Closer) -> None:
        base = self._scanner.base
        self._ledger.path = closer.path
        self._pending[:0] = closer.bracket
        self._ledger.change(closer.rule, base, b"", closer.bracket)
        self._end_closing()

    def _end_closing(self) -> None:
        self._is_closing = False
        self._closers.pop()
        self._scanner.stop_depth = self._closers[-1].depth if self._closers else -1

    def _begins_another(self, at: int, *, is_end: bool) -> bool | None:
        """Whether an element begins at a byte of what is to come, or behind a comma there; None: more must be seen."""
        if self._pending[at] == 0x2C:
            at = next((i for i in range(at + 1, len(self._pending)) if self._pending[i] not in WHITE), -1)
            if at < 0:
                return False if is_end or len(self._pending) > WINDOWS[0] else None
        return bool(KIND_OF_BYTE.get(self._pending[at], 0) & (ARRAY | OBJECT | STRING) & self._judge.next_kinds())

    # -- readers ---------------------------------------------------------------------------------------------------

    def _read(self, events: list[Event], *, is_end: bool) -> None:
        reader = self._reader
        assert reader is not None
        pieces, used = reader.read(bytes(self._raw), is_end=is_end)
        del self._raw[:used]
        for removed, inserted in pieces:
            at = self._scanner.base + len(self._pending)
            self._pending += inserted
            if removed != inserted:
                self._ledger.change(self._reader_rule, at, removed, inserted)
        if reader.is_over or (is_end and not reader.has_failed):
            self._pending += self._raw
            self._raw.clear()
            self._reader = None
        elif reader.has_failed:
            self._reader = None
            self._has_failed = True  # what stands before is judged first

    def _fail(self, events: list[Event]) -> None:
        """The reader did not find what it was made for, or had to hold too much: the fault stands."""
        self._release_up_to(self._scanner.scanned, events)
        events += (note.event for note in self._ledger.due(self._scanner.base, is_last=True))
        claim = self._ledger.claim
        self._ledger.claim = None
        self._state = "halted"
        if claim is None:
            upstream_at = self._ledger.upstream_of(self._scanner.base + len(self._pending))
            claim = Violated(
                "invalid_json", at=self._released, upstream_at=upstream_at, message="recovery would hold too much"
            )
        events.append(msgspec.structs.replace(claim, action="halt", at=self._released))
        self._drop()

    # -- release ---------------------------------------------------------------------------------------------------

    def _let_out(self, events: list[Event]) -> None:
        """Release what is judged and not held."""
        scanner = self._scanner
        upto = self._forget()
        if self._trouble is not None:
            upto = scanner.base
        if self._release_mode == "element" and upto == scanner.mark_at and scanner.mark_element_at >= 0:
            upto = scanner.mark_element_at  # its last quote may not be the one that was meant
        self._release_up_to(upto, events)
        self._ledger.forget_before(min(scanner.base, scanner.mark_at))

    @property
    def _is_document_whole(self) -> bool:
        """Whether the document has ended for good: a string at the root may go on behind its quote."""
        may_go_on = self._asks_late and not self._is_ending
        return self._scanner.is_done and self.deferred is None and not may_go_on

    def _release_up_to(self, upto: int, events: list[Event]) -> None:
        if self._release_mode == "document" and not self._is_document_whole:
            return
        if self.deferred is not None:
            upto = min(upto, self.document_end - 1)
        if self._release_mode == "element" and self._judge.element_at >= 0:
            upto = min(upto, self._judge.element_at)
        # Changes are told where they stand in the released text. A reader may be far ahead, or not, as the text is cut.
        for note in self._ledger.due(upto):
            self._release_text(note.at, events)
            events.append(note.event)
        self._release_text(upto, events)
        self._let_go()

    def _release_text(self, upto: int, events: list[Event]) -> None:
        if upto > self._released:
            start = self._released - self._text_at
            self._release(bytes(self._text[start : upto - self._text_at]), events)
        while self._finished and self._finished[0].end <= self._released:
            events.append(self._finished.pop(0))

    def _let_go(self) -> None:
        """Forget text that nobody needs any more."""
        if self._keeps_whole and len(self._text) > self._limits.authority_max_bytes:
            self._keeps_whole = False  # too long for the authority; our own checks decide
        if self._keeps_whole:
            return
        keep_from = self._released
        for element_at in (self._judge.element_at, self._scanner.mark_element_at):
            if self._hands_out and element_at >= 0:
                keep_from = min(keep_from, element_at)
        if self._scanner.in_value_string and self._released - self._scanner.string_start <= _REHEARD:
            keep_from = min(keep_from, self._scanner.string_start)
        if keep_from > self._text_at:
            del self._text[: keep_from - self._text_at]
            self._text_at = keep_from

    # -- the end ---------------------------------------------------------------------------------------------------

    def _finish(self, events: list[Event]) -> None:
        try:
            if self._asks_late:
                self._ask(self.document_end)
        except Fault as fault:
            self._give_up(fault, self.document_end, events)
            return
        self._release_up_to(self._scanner.base, events)

    def _ends_early(self, clean: bool) -> list[Event]:
        self._state = "incomplete"
        if clean and self._was_truncated:
            return []  # that was said already
        is_whole = self._scanner.is_done and self._trouble is None and self._reader is None
        message = (
            "the document is whole, but upstream broke off: it is not proven to be all"
            if is_whole
            else "upstream broke off inside the document"
        )
        if clean and self._tail:
            message = "the text ended inside a character"
        held = len(self._pending) + len(self._raw) + (0 if self._reader is None else self._reader.held)
        end = self._ledger.upstream_of(self._scanner.base + held) + len(self._tail)
        return [Violated("truncated", at=self._released, upstream_at=end, message=message, action="none")]

    def _halt(self, trouble: Trouble, events: list[Event]) -> None:
        """Give up: everything before the fault is released, as in halt mode."""
        clean = bytes(self._pending[: max(trouble.at - self._scanner.base, 0)])
        upstream_end = trouble.upstream_at + len(self._pending) - len(clean) + len(self._tail)
        self._trouble = None
        if clean:
            self._text += clean
            try:
                self._scanner.stop_depth = -1
                self._scanner.scan(clean)
            except Fault:
                pass  # the text went back into a string; what stands before the fault was heard once already
        if trouble.fault.code == "truncated" or self._was_truncated:
            self._release_up_to(self._scanner.scanned, events)
            events += (note.event for note in self._ledger.due(trouble.at, is_last=True))
            if not self._was_truncated:
                message = trouble.fault.message if self._scanner.base else "the text ended before a document began"
                events.append(
                    Violated("truncated", at=self._released, upstream_at=upstream_end, message=message, action="none")
                )
            self._state = "incomplete"
            self._drop()
            return
        self._state = "halted"
        upto = max(self._released, min(trouble.at, self._scanner.scanned))
        self._release_up_to(upto, events)
        events += (note.event for note in self._ledger.due(trouble.at, is_last=True))
        events.append(violated(trouble.fault, trouble.path, self._released, trouble.upstream_at))
        self._drop()

    def _give_up(self, fault: Fault, at: int, events: list[Event]) -> None:
        self._release_up_to(self._scanner.scanned, events)
        events += (note.event for note in self._ledger.due(at, is_last=True))
        self._state = "halted"
        events.append(violated(fault, self._judge.path(), self._released, self._ledger.upstream_of(at)))
        self._drop()

    def _refuse(self, bad: bytes, events: list[Event]) -> None:
        message = f"byte 0x{bad[0]:02x} and what follows is not UTF-8"
        at = self._scanner.base + len(self._pending)
        self._give_up(Fault("invalid_utf8", message), at, events)

    def _drop(self) -> None:
        self._pending.clear()
        self._raw.clear()
        self._tail = b""
        self._reader = None
        self._scanner.base = self._released

    # -- the authority ---------------------------------------------------------------------------------------------

    def _element(self, path: str, start: int, end: int, place: Place) -> None:
        if self._asks_authority is not None:
            value = parse(bytes(self._text[start - self._text_at : end - self._text_at]))
            for judgement in self._places.judgements(place):
                refuse(judgement.complaint(value), path)
        self._finished.append(Element(path, start, end))

    def _ask_authority(self, length: int) -> None:
        self.document_end = length
        # A string at the root may turn out to go on behind its quote; it is judged when the text is over.
        self._asks_late = not self._scanner.is_between
        if self._asks_late:
            return
        over = self._defer_over_bytes if not self._is_ending else None
        if over is not None and length > over and self._asks and self._asks_authority is not None and self._keeps_whole:
            self.deferred = bytes(self._text[:length])
            self._scanner.stop_depth = 0
        else:
            self._ask(length)

    def _ask(self, length: int) -> None:
        if self._asks_authority is not None and self._keeps_whole and self._asks:
            self._asks_authority.judge_text(bytes(self._text[:length]))
