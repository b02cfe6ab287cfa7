"""The gate with recovery ``halt``: a violation ends the text."""

from __future__ import annotations

from typing import Any, NamedTuple

from lockgate.gate.base import DocumentGate, encoded, not_utf8, violated
from lockgate.gate.events import Complaint, Completed, Event, Released
from lockgate.gate.scan import Violation, character_start


class _Behind(NamedTuple):
    """What is wrong behind a document that is deferred, and the byte that it is at."""

    violation: Violation
    upstream_at: int


class HaltGate(DocumentGate):
    """The released text is the upstream text up to the violation, byte for byte. Arguments: :class:`DocumentGate`."""

    _behind_deferred: _Behind | None = None

    def feed(self, data: Any) -> list[Event]:
        # The common case by a short way: ASCII, nothing held, nothing to hold, no limit in sight. It does what the long
        # way does; a test feeds both.
        if self._is_quick and type(data) is bytes and data.isascii():
            scanner = self._scanner
            if scanner.base + len(data) < self._quick_until:
                self._kept.data += data
                try:
                    scanner.scan(data)
                except Violation as violation:
                    return self._halt_at(violation, data)
                at = self._released
                if scanner.unit_at < 0 and self._is_quick:
                    self._released = at + len(data)
                    return [Released(data, at)] if data else []
                events = list[Event]()
                self._release_piece(self._releasable(scanner.scanned), data, events)
                self._is_quick = False
                return events
        if isinstance(data, str):
            return self.feed(encoded(data))
        if not self._takes(data):
            return []
        events = []
        good, bad = self._whole_characters(bytes(data))
        try:
            self._scan(good, events)
            self._refuse(bad)
        except Violation as violation:
            self._release_up_to(self._releasable(self._violation_at()), events)  # a number may have ended only there
            self._halt(violation, events)
        self._is_quick = self._may_be_quick and self._state == "open" and not self._held and not self._tail
        return events

    def settle(self, complaint: Complaint | None) -> list[Event]:
        refused = self._end_deferral(complaint)
        events: list[Event] = []
        behind = self._behind_deferred
        if refused is not None:
            self._violate(refused, self.document_end - 1, events)
            self._held = bytearray()
        elif behind is None:
            self._release_up_to(self._scanner.scanned, events)
        else:
            self._release_up_to(behind.upstream_at, events)
            self._violate(behind.violation, behind.upstream_at, events)
            self._held = bytearray()
        return events

    def close(self, *, clean: bool = True) -> list[Event]:
        self._is_quick = False
        if not self._closes():
            return []
        events: list[Event] = []
        if clean:
            try:
                self._scanner.finish()
            except Violation as violation:
                self._violate(violation, self._scanner.base, events)
                return events
            self._release_up_to(self._scanner.base, events)
        if clean and self._scanner.is_done:
            self._state = "complete"
            return [*events, Completed(self._released)]
        return [*events, *self._truncated(self._why_incomplete(clean))]

    def _why_incomplete(self, clean: bool) -> str:
        if self._scanner.is_done:
            return "the document is whole, but upstream broke off: it is not proven to be all"
        if self._scanner.base + len(self._tail) == 0:
            return "the text ended before a document began"
        return "the text ended inside the document" if clean else "upstream broke off inside the document"

    # -- one piece ---------------------------------------------------------------------------------------------

    def _scan(self, data: bytes, events: list[Event]) -> None:
        room = self._limits.max_document_bytes - self._scanner.base
        piece = data if len(data) <= room or self._hands_out else data[: character_start(data, room)]
        self._keep(piece)
        if self._held or self._release_mode != "prefix":
            self._held += piece
        try:
            self._scanner.scan(piece)
        except Violation:
            self._release_piece(self._releasable(self._violation_at()), piece, events)
            raise
        self._release_piece(self._releasable(self._scanner.scanned), piece, events)
        if len(piece) < len(data):
            if data[len(piece)] >= 0x80 and not self._scanner.in_string:
                self._scanner.scan(data[len(piece) : len(piece) + 1])  # wrong here, whatever the limit
            self._scanner.blame = 0
            message = f"longer than {self._limits.max_document_bytes} bytes"
            raise Violation("document_limit", message, recoverable=False)

    def _keep(self, piece: bytes) -> None:
        """Keep the text for whoever must see it whole: the document, or the element in hand."""
        if (self._keeps_whole or self._hands_out) and not self._scanner.is_done:
            self._kept.data += piece

    def _let_go(self) -> None:
        kept = self._kept
        if self._hands_out:  # only the element in hand is needed
            begun = self._judge.element_at
            kept.forget_before(begun if begun >= 0 else kept.at + len(kept.data))
        elif not self._keeps_whole or self._is_too_long:
            self._keeps_whole = False  # our own checks decide
            kept.data.clear()

    def _releasable(self, upto: int) -> int:
        """How much of the text before ``upto``, which is judged, may be released now."""
        if self._release_mode == "document" and (not self._scanner.is_done or self._deferred is not None):
            return 0
        if self._deferred is not None:
            return min(upto, self.document_end - 1)
        if self._release_mode == "element" and self._judge.element_at >= 0:
            return min(upto, self._judge.element_at)
        return upto

    def _release_piece(self, upto: int, piece: bytes, events: list[Event]) -> None:
        if not self._held and self._release_mode == "prefix":
            if upto - self._released >= len(piece):
                self._release(piece, events)
            else:
                self._held += piece
        self._release_up_to(upto, events)
        self._let_go()

    def _release_up_to(self, upto: int, events: list[Event]) -> None:
        count = upto - self._released
        if self._held and count > 0:
            self._release(bytes(self._held[:count]), events)
            del self._held[:count]
        while self._finished and self._finished[0].end <= self._released:
            events.append(self._finished.pop(0))

    def _refuse(self, bad: bytes) -> None:
        """Bytes that are no character, or the beginning of one where none outside ASCII can stand."""
        if (bad or self._tail) and not self._scanner.in_string:
            self._scanner.scan((bad or self._tail)[:1])  # says what is wrong here
        if bad:
            self._scanner.blame = 0
            raise Violation("invalid_utf8", not_utf8(bad))

    # -- violations ----------------------------------------------------------------------------------------------

    def _halt_at(self, violation: Violation, data: bytes) -> list[Event]:
        events: list[Event] = []
        self._release_piece(self._releasable(self._violation_at()), data, events)
        self._halt(violation, events)
        self._is_quick = False
        return events

    def _violation_at(self) -> int:
        """Where the scanner stopped, counted from the start of the text. Half an escape is never released."""
        scanner = self._scanner
        return scanner.unit_at if scanner.unit_at >= 0 else scanner.position

    def _halt(self, violation: Violation, events: list[Event]) -> None:
        if self._deferred is not None:
            self._behind_deferred = _Behind(violation, self._violation_at())
            self._tail = b""
            return
        self._violate(violation, self._violation_at(), events)
        self._held, self._tail = bytearray(), b""

    def _violate(self, violation: Violation, upstream_at: int, events: list[Event]) -> None:
        path = self._judge.path() if violation.path is None else violation.path
        self._state = "halted"
        events.append(violated(violation, path, self._released, upstream_at))

    def _end_document(self, length: int) -> None:
        self.document_end = length
        self._ask(length, may_defer=True)
