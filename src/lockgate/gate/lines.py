"""NDJSON: one JSON text a line, each judged by the schema and then let go."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from lockgate.errors import Misuse
from lockgate.gate.authority import Authority
from lockgate.gate.events import Completed, Element, Event, Expected, Release, Released, State, Violated
from lockgate.gate.gate import HaltGate, check_bytes, violated
from lockgate.gate.limits import Limits
from lockgate.gate.scan import Fault
from lockgate.gate.schema.places import Places


class LinesGate:
    """A gate for many documents, each on a line of its own. Blank lines are skipped.

    A line is an element: its path is ``/`` and its number, from 0, blank lines not counted. The limits are those of a
    line. With ``release`` other than ``prefix`` a line is held until it is whole.
    """

    def __init__(self, places: Places, authority: Authority | None, limits: Limits, *, release: Release) -> None:
        self._places = places
        self._authority = authority
        self._limits = limits
        self._release: Release = "prefix" if release == "prefix" else "document"
        self._lines = 0  # finished ones
        self._before = 0  # bytes before the document in hand
        self._line: HaltGate | None = None  # None while the line is blank
        self._is_closed = False
        self._state: State = "open"

    @property
    def state(self) -> State:
        return self._state

    @property
    def held_bytes(self) -> int:
        return 0 if self._line is None else self._line.held_bytes

    @property
    def released_bytes(self) -> int:
        return self._before + (0 if self._line is None else self._line.released_bytes)

    @property
    def checkpoint(self) -> int:
        return self.released_bytes

    @property
    def authority(self) -> Literal["document", "elements", "checks"]:
        return "elements"

    def snapshot(self) -> Any:
        raise Misuse("snapshot needs the whole text; with framing='ndjson' finished lines are let go")

    def expected(self) -> Expected:
        line = self._line or self._new_line()
        return line.expected() if self._state == "open" else Expected("end")

    def feed(self, data: bytes) -> list[Event]:
        check_bytes(data)
        if self._state == "halted":
            return []
        if self._is_closed:
            raise Misuse("feed after close: make a new gate from the schema")
        at, released, events = self.released_bytes, bytearray(), list[Event]()
        *lines, rest = bytes(data).split(b"\n")
        for line in lines:
            self._take(line, released, events)
            self._end_line(released, events)
        self._take(rest, released, events)
        return [Released(bytes(released), at), *events] if released else events

    def close(self, *, clean: bool = True) -> list[Event]:
        if self._is_closed or self._state != "open":
            self._is_closed = True
            return []
        self._is_closed = True
        at, released, events = self.released_bytes, bytearray(), list[Event]()
        if self._line is not None:
            self._pass_on(self._line.close(clean=clean), released, events)
            if self._line.state == "complete":
                self._finish(events)
        if self._state == "open" and clean and self._lines:
            self._state = "complete"
            events.append(Completed(self.released_bytes))
        elif self._state == "open":
            self._state = "incomplete"
            message = "there was no line at all" if clean else "upstream broke off: more lines may have been to come"
            end = self.released_bytes
            events.append(Violated("truncated", at=end, upstream_at=end, message=message, action="none"))
        return [Released(bytes(released), at), *events] if released else events

    # -- one line ------------------------------------------------------------------------------------------------

    def _new_line(self) -> HaltGate:
        return HaltGate(self._places, self._authority, self._limits, release=self._release)

    def _take(self, piece: bytes, released: bytearray, events: list[Event]) -> None:
        if self._line is None:
            document = piece.lstrip(b" \t\r")
            blank = piece[: len(piece) - len(document)]
            released += blank
            self._before += len(blank)
            piece = document
        if piece and self._state == "open":
            if self._line is None:
                self._line = self._new_line()
            self._pass_on(self._line.feed(piece), released, events)

    def _end_line(self, released: bytearray, events: list[Event]) -> None:
        if self._state != "open":
            return
        if self._line is not None:
            closed = self._line.close(clean=True)
            if self._line.state == "incomplete":
                at = self.released_bytes
                message = "the line ends inside its document; NDJSON has one document on each line"
                fault = Fault("invalid_json", message)
                events.append(violated(fault, f"/{self._lines}", at, at))
                self._state = "halted"
                return
            self._pass_on(closed, released, events)
            if self._state != "open":
                return
            self._finish(events)
        released += b"\n"
        self._before += 1

    def _finish(self, events: list[Event]) -> None:
        """The line's document is whole and judged."""
        assert self._line is not None
        events.append(Element(f"/{self._lines}", self._before, self._before + self._line.document_end))
        self._before += self._line.released_bytes
        self._lines += 1
        self._line = None

    def _pass_on(self, said: list[Event], released: bytearray, events: list[Event]) -> None:
        """What the gate of a line said, as part of the whole text."""
        for event in said:
            match event:
                case Released(data=data):
                    released += data
                case Violated():
                    events.append(self._placed(event))
                    self._state = "incomplete" if event.action == "none" else "halted"

    def _placed(self, event: Violated) -> Violated:
        return msgspec.structs.replace(
            event,
            path=f"/{self._lines}{event.path}",
            at=event.at + self._before,
            upstream_at=event.upstream_at + self._before,
        )
