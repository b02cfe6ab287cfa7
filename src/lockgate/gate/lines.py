"""NDJSON: one JSON text a line, each judged by the schema, patched by itself or left out whole, and then let go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from lockgate.errors import Misuse
from lockgate.gate.base import DocumentGate, check_bytes, encoded, violated
from lockgate.gate.events import (
    Complaint,
    Completed,
    Element,
    Event,
    Expected,
    Patched,
    Release,
    Released,
    Skipped,
    State,
    Violated,
)
from lockgate.gate.scan import Violation


class LinesGate:
    """A gate for many documents, each on a line of its own. Blank lines are skipped.

    A line is an element: its path is ``/`` and its number, from 0, blank lines not counted. The limits are those of a
    line.

    Args:
        new_line: Makes the gate of one line, with the release that it is given.
        skips: Leave a line out that is not valid. It is held until it is judged, up to ``max_held_bytes``; a longer one
            is released as it comes, and then its violation halts.
        release: Other than ``prefix``: hold a line until it is whole.
    """

    def __init__(
        self, new_line: Callable[[Release], DocumentGate], *, skips: bool, max_held_bytes: int, release: Release
    ) -> None:
        self._make = new_line
        self._skips = skips
        self._max_held = max_held_bytes
        self._release: Release = "prefix" if release == "prefix" else "document"
        self._line: DocumentGate | None = None  # None while the line is blank
        self._held: bytearray | None = None  # text of a line that may still be left out
        self._kept: list[Event] = []  # released by the gate of such a line, and held here
        self._code = ""  # why a line is left out
        self._drops = False  # the rest of the line is left out
        self._lines = 0  # finished ones
        self._before = 0  # released bytes before the document in hand
        self._upstream_before = 0  # bytes of upstream before it
        self._upstream = 0  # bytes of upstream so far
        self._is_closed = False
        self._state: State = "open"

    @property
    def state(self) -> State:
        return self._state

    @property
    def held_bytes(self) -> int:
        if self._line is None:
            return 0
        return self._line.held_bytes if self._held is None else len(self._held)

    @property
    def released_bytes(self) -> int:
        return self._before + (0 if self._line is None or self._held is not None else self._line.released_bytes)

    @property
    def checkpoint(self) -> int:
        return self.released_bytes

    @property
    def authority(self) -> Literal["document", "elements", "checks"]:
        return "elements"

    def snapshot(self) -> Any:
        raise Misuse("snapshot needs the whole text; with framing='ndjson' finished lines are let go")

    @property
    def deferred(self) -> bytes | None:
        return None  # lines are judged one by one

    def settle(self, complaint: Complaint | None) -> list[Event]:
        raise Misuse("settle without a deferred document")

    def could_end(self) -> bool:
        if self._state != "open":
            return self._state == "complete"
        # Also while the rest of a line is left out.
        return self._lines > 0 if self._line is None else self._line.could_end()

    def expected(self) -> Expected:
        return (self._line or self._make("prefix")).expected() if self._state == "open" else Expected("end")

    def feed(self, data: bytes | str) -> list[Event]:
        if isinstance(data, str):
            data = encoded(data)
        check_bytes(data)
        if self._state == "halted":
            return []
        if self._is_closed:
            raise Misuse("feed after close: make a new gate from the schema")
        events: list[Event] = []
        *lines, rest = bytes(data).split(b"\n")
        for line in lines:
            self._take(line, events)
            self._end_line(events)
        self._take(rest, events)
        return _joined(events)

    def decide(self) -> list[Event]:
        events: list[Event] = []
        if self._state == "open" and not self._is_closed and self._line is not None:
            self._pass_on(self._line.decide(), events)
        return _joined(events)

    def restore(self, text: bytes) -> list[Event]:
        check_bytes(text)
        events: list[Event] = []
        *lines, rest = bytes(text).split(b"\n")
        for line in lines:
            self._restore_piece(line, events)
            self._end_line(events)
        self._restore_piece(rest, events)
        if self._state != "open" or self._drops:
            raise Misuse("restore takes text that a gate has released, and a line of this was refused")
        return [event for event in _joined(events) if isinstance(event, Released)]

    def close(self, *, clean: bool = True) -> list[Event]:
        is_first, self._is_closed = not self._is_closed and self._state == "open", True
        events: list[Event] = []
        if not is_first:
            return events
        if self._drops:
            self._end_drop(events)
        elif self._line is not None:
            self._close_line(self._line, events, clean=clean)
        if self._state == "open" and clean and self._lines:
            self._state = "complete"
            events.append(Completed(self.released_bytes))
        elif self._state == "open":
            self._state = "incomplete"
            message = "there was no line at all" if clean else "upstream broke off: more lines may have been to come"
            at = self.released_bytes
            events.append(Violated("truncated", at=at, upstream_at=self._upstream, message=message, action="none"))
        return _joined(events)

    def _close_line(self, line: DocumentGate, events: list[Event], *, clean: bool) -> None:
        """The text ended in a line, which may be whole."""
        closed = line.close(clean=clean)
        if line.state == "incomplete" and self._held is not None:
            # It is not wrong, so it is not left out either.
            self._release_held(events)
            line = self._line or line
            closed = line.close(clean=clean)
        self._pass_on(closed, events)
        if self._drops:
            self._end_drop(events)
        elif line.state == "complete":
            self._finish(events)
        elif line.state == "incomplete":
            self._state = "incomplete"

    # -- one line ------------------------------------------------------------------------------------------------

    def _take(self, piece: bytes, events: list[Event]) -> None:
        if self._state != "open":
            return
        if self._line is None and not self._drops:
            piece = self._skip_blank(piece, events)
            if piece:
                self._held = bytearray() if self._skips else None
                self._begin_line("document" if self._skips else self._release)
        if self._held is not None and len(self._held) + len(piece) > self._max_held:
            # Wherever the text is cut: whether it can be left out is known when so much of it has been judged.
            first = self._max_held + 1 - len(self._held)
            self._feed_line(piece[:first], events)
            piece = piece[first:]
        self._feed_line(piece, events)

    def _restore_piece(self, piece: bytes, events: list[Event]) -> None:
        """Text of a line that was released: it is not held, and the line cannot be left out any more."""
        if self._line is None:
            piece = self._skip_blank(piece, events)
            if piece:
                self._begin_line("prefix" if self._skips else self._release)
        if piece and self._line is not None:
            self._upstream += len(piece)
            self._pass_on(self._line.restore(piece), events)

    def _skip_blank(self, piece: bytes, events: list[Event]) -> bytes:
        """Release white space before a line; the rest is returned."""
        document = piece.lstrip(b" \t\r")
        self._blank(piece[: len(piece) - len(document)], events)
        return document

    def _begin_line(self, release: Release) -> None:
        self._upstream_before = self._upstream
        self._line = self._make(release)

    def _feed_line(self, piece: bytes, events: list[Event]) -> None:
        self._upstream += len(piece)
        if piece and self._line is not None:
            if self._held is not None:
                self._held += piece
            self._pass_on(self._line.feed(piece), events)
            self._stop_holding(events)

    def _blank(self, white: bytes, events: list[Event]) -> None:
        if white:
            events.append(Released(white, self._before))
            self._before += len(white)
            self._upstream += len(white)

    def _stop_holding(self, events: list[Event]) -> None:
        """A line that is too long to be held is released as it comes."""
        if self._held is not None and self._line is not None and len(self._held) > self._max_held:
            self._release_held(events)

    def _release_held(self, events: list[Event]) -> None:
        """The line in hand will not be left out: what is valid of it is released."""
        text, self._held, self._kept = bytes(self._held or b""), None, []
        self._line = self._make("prefix")
        self._pass_on(self._line.feed(text), events)

    def _end_line(self, events: list[Event]) -> None:
        if self._state != "open":
            return
        if self._drops:
            self._end_drop(events)
            return
        if self._line is not None:
            closed = self._line.close(clean=True)
            if self._line.state == "incomplete":
                self._break_off(closed, events)
            else:
                self._pass_on(closed, events)
                if self._line is not None and self._line.state == "complete":
                    self._finish(events)
            if self._drops:
                self._end_drop(events)
                return
        if self._state == "open":
            self._blank(b"\n", events)

    def _break_off(self, closed: list[Event], events: list[Event]) -> None:
        """The line ends inside its document."""
        if self._held is None:
            self._pass_on([event for event in closed if not _is_truncation(event)], events)
        violation = Violation("invalid_json", "the line ends inside its document; NDJSON has one document on each line")
        at = 0 if self._line is None or self._held is not None else self._line.released_bytes
        self._refuse(violated(violation, "", at, self._upstream - self._upstream_before), events)

    def _finish(self, events: list[Event]) -> None:
        """The line's document is whole and judged."""
        assert self._line is not None
        events += self._kept
        self._kept = []
        line = self._line
        events.append(Element(f"/{self._lines}", self._before, self._before + line.document_end, line.document_text))
        self._before += line.released_bytes
        self._lines += 1
        self._line = self._held = None

    def _refuse(self, event: Violated, events: list[Event]) -> None:
        """The line is not valid: leave it out, or halt."""
        if self._held is not None:
            events.append(self._placed(msgspec.structs.replace(event, action="skip", at=0)))  # nothing of it is out
            self._code = event.code
            self._drops, self._line, self._held, self._kept = True, None, None, []
            return
        events.append(self._placed(event))
        self._state = "halted"

    def _end_drop(self, events: list[Event]) -> None:
        self._drops = False
        events.append(Skipped(f"/{self._lines}", self._upstream_before, self._upstream, self._code))
        self._upstream += 1  # its line feed goes too

    def _pass_on(self, said: list[Event], events: list[Event]) -> None:
        """What the gate of a line said, as part of the whole text."""
        for event in said:
            match event:
                case Released(data=data, at=at):
                    # A line that may still be left out is held to its end, whatever its own gate says.
                    (events if self._held is None else self._kept).append(Released(data, at + self._before))
                case Violated(action="halt"):
                    self._refuse(event, events)
                case Violated(action="none"):
                    events.append(self._placed(event))
                    self._state = "incomplete"
                case Patched() | Violated():
                    events.append(self._placed(event))

    def _placed(self, event: Violated | Patched) -> Violated | Patched:
        return msgspec.structs.replace(
            event,
            path=f"/{self._lines}{event.path}",
            at=event.at + self._before,
            upstream_at=event.upstream_at + self._upstream_before,
        )


def _is_truncation(event: Event) -> bool:
    return isinstance(event, Violated) and event.code == "truncated" and event.action == "none"


def _joined(events: list[Event]) -> list[Event]:
    """What is released as one, and then the elements in it; a change or a violation stands where it belongs."""
    joined: list[Event] = []
    texts: list[Released] = []
    elements: list[Element] = []

    def flush() -> None:
        if texts:
            joined.append(Released(b"".join(text.data for text in texts), texts[0].at))
        joined.extend(elements)
        texts.clear()
        elements.clear()

    for event in events:
        match event:
            case Released():
                texts.append(event)
            case Element():
                elements.append(event)
            case _:
                flush()
                joined.append(event)
    flush()
    return joined
