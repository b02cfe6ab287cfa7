"""From the events of a gate to the records of one channel, with the counts that go into them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from lockgate import Completed, Element, Patched, Released, Skipped, Violated
from lockgate.errors import Code
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Action, ChannelEnd, Problem, Record, ToolCallStart
from lockgate.protocol.lifecycle import Outcome

#: Characters of a change that its entry shows.
_SHOWN: Final = 200
#: A record holds the text of at most so many bytes: a reader is sent whole records, and holds what it does not take.
MAX_TEXT_BYTES: Final = 16 * 1024


class RecordMaker:
    """Makes the records of one channel.

    Attributes:
        sequence: Number of the next chunk.
        released_bytes: Text of the channel that was released.
        upstream_bytes: Text of the channel that came.
        violation: Code of the violation that halted it.
    """

    def __init__(self, channel: str, schema_id: str, meters: Meters) -> None:
        self.sequence = 0
        self.released_bytes = 0
        self.upstream_bytes = 0
        self.violation = ""
        self._channel = channel
        self._schema_id = schema_id
        self._meters = meters
        self._hash = hashlib.sha256()
        self._first_read_s = 0.0
        self._last_read_s = 0.0
        self._elements = 0
        self._held_bytes = 0
        self._has_verdict = False
        self._patches = self._skips = 0
        self._claim: Problem | None = None  # a violation that recovery gets past
        self._last_code: str = Code.INVALID_JSON

    def came(self, count: int, read_s: float) -> None:
        """So many bytes came from upstream."""
        self.upstream_bytes += count
        self._first_read_s = self._first_read_s or read_s
        self._meters.chunk_received(count)

    def hold(self, held_bytes: int) -> None:
        """So many bytes are held now."""
        if held_bytes != self._held_bytes:
            self._meters.held(held_bytes - self._held_bytes)
            self._held_bytes = held_bytes

    def make(self, events: Sequence[object], read_s: float, *, held_bytes: int, is_open: bool) -> list[Record]:
        """What the log keeps of a gate's events: the text, with the elements in it, then the errors.

        Args:
            held_bytes: What the gate holds after these events.
            is_open: Whether the gate takes more.
        """
        if len(events) == 1 and type(events[0]) is Released and len(events[0].data) <= MAX_TEXT_BYTES:
            # Nearly every read: what comes below for it.
            if held_bytes != self._held_bytes or not is_open:
                self.hold(held_bytes if is_open else 0)
            return [self._delta(events[0].data, [], read_s)] if events[0].data else []
        text: list[bytes] = []
        elements: list[Element] = []
        others: list[object] = []
        for event in events:
            match event:
                case Released(data=data):
                    text.append(data)
                case Element():
                    elements.append(event)
                case _:
                    others.append(event)
        self.hold(held_bytes if is_open else 0)
        records = self._deltas(b"".join(text), elements, read_s)
        return records + self._notes(others, is_open=is_open)

    def recall(self, events: Iterable[object]) -> None:
        """Count events whose records are in the log already."""
        for event in events:
            if isinstance(event, Released):
                self.released_bytes += len(event.data)
                self._hash.update(event.data)
            elif isinstance(event, Element):
                self._elements += 1

    def restart(self) -> Record:
        """Take back what was released: what comes now is counted from byte 0."""
        self.released_bytes = self._elements = 0
        self._hash = hashlib.sha256()
        return Record("restart", self._channel, self._schema_id, self.sequence)

    def call(self, start: ToolCallStart, read_s: float) -> Record:
        """A tool call begins."""
        return Record("call", self._channel, self._schema_id, self.sequence, call=start, read_s=read_s)

    def refuse(self, code: Code, message: str, action: Action) -> Record:
        """A chunk was refused before it was judged."""
        self._meters.violated(code, "")
        if action == "halt":
            self.violation = code
        elif action == "skip":
            self._skips += 1
            self._meters.skipped(code)
        return self._note([Problem(code, self.sequence, bool(code.recoverable), action, message)])

    def mark(self) -> Record:
        """A record that no reader is shown: it keeps what was pushed here."""
        return replace(self._note([]), held_bytes=self._held_bytes)

    def end(self, outcome: Outcome, *, tool: str | None, call_id: str | None) -> ChannelEnd:
        """What the final record says of the channel."""
        return ChannelEnd(
            outcome=outcome,
            chunks=self.sequence,
            released_bytes=self.released_bytes,
            upstream_bytes=self.upstream_bytes,
            sha256=self._hash.hexdigest(),
            schema=self._schema_id,
            tool=tool,
            tool_call_id=call_id,
            patches=self._patches,
            skips=self._skips,
        )

    # -- deltas --------------------------------------------------------------------------------------------------

    def _deltas(self, data: bytes, elements: list[Element], read_s: float) -> list[Record]:
        """One record, or several for a long text: each with the elements that end in it."""
        if len(data) <= MAX_TEXT_BYTES:
            return [self._delta(data, elements, read_s)] if data or elements else []
        records = []
        for piece in _pieces(data):
            end = self.released_bytes + len(piece)
            count = next((number for number, element in enumerate(elements) if element.end > end), len(elements))
            records.append(self._delta(piece, elements[:count], read_s))
            elements = elements[count:]
        return records

    def _delta(self, data: bytes, elements: list[Element], read_s: float) -> Record:
        channel, schema, at = self._channel, self._schema_id, self.released_bytes
        record = Record(
            "delta", channel, schema, self.sequence, at, data.decode(), held_bytes=self._held_bytes, read_s=read_s
        )
        if elements:
            ends, starts = [element.end for element in elements], [element.start for element in elements]
            record = replace(record, ends=ends, starts=starts, first_element=self._elements)
        self.sequence += 1
        self._elements += len(elements)
        self.released_bytes += len(data)
        self._hash.update(data)
        self._meters.chunk_released(len(data), read_s - self._last_read_s if self._last_read_s else None)
        self._last_read_s = read_s
        return record

    # -- notes ---------------------------------------------------------------------------------------------------

    def _notes(self, events: list[object], *, is_open: bool) -> list[Record]:
        """One note for all that recovery did, and one for each violation that ends the document."""
        changes: list[Problem] = []
        notes: list[Record] = []
        for event in events:
            match event:
                case Violated(action="patch" | "skip"):
                    # Written with what is done about it, which may come with a later read.
                    self._claim = self._problem(event)
                case Violated():
                    notes.append(self._note([self._problem(event)]))
                    self._count_verdict(event.code)
                    if event.action == "halt":
                        self.violation = event.code
                case Patched() | Skipped():
                    changes.append(self._change(event))
                case Completed():
                    self._count_verdict("")  # the final record says so, once the whole stream is over
        if self._claim is not None and not is_open:
            changes.append(self._claim)  # the text ended before it was known what to do
            self._claim = None
        return [self._note(changes), *notes] if changes else notes

    def _change(self, event: Patched | Skipped) -> Problem:
        """What was done about a violation; where one patch makes several changes, the others have an entry each."""
        action: Action = "patch" if isinstance(event, Patched) else "skip"
        claim, self._claim = self._claim, None
        if claim is None:
            claim = Problem(self._last_code, self.sequence, True, action, "changed with the one before", event.path)
        self._last_code = claim.code
        if isinstance(event, Skipped):
            self._skips += 1
            self._meters.skipped(event.code)
            return replace(claim, upstream_at=event.upstream_at, upstream_end=event.upstream_end)
        self._patches += 1
        self._meters.patched(event.rule)
        return replace(
            claim,
            rule=event.rule,
            at=event.at,
            upstream_at=event.upstream_at,
            removed=_clipped(event.removed),
            inserted=_clipped(event.inserted),
        )

    def _problem(self, event: Violated) -> Problem:
        self._meters.violated(event.code, event.schema_path)
        return Problem(
            event.code,
            self.sequence,
            event.recoverable,
            event.action,
            event.message,
            path=event.path,
            schema_path=event.schema_path or None,
            at=event.at,
            upstream_at=event.upstream_at,
            hint=event.hint if event.action != "patch" else None,
        )

    def _note(self, problems: list[Problem]) -> Record:
        return Record("note", self._channel, self._schema_id, self.sequence, self.released_bytes, errors=problems)

    def _count_verdict(self, code: str) -> None:
        if not self._has_verdict:
            self._has_verdict = True
            self._meters.validated(code)
            self._meters.ingested(self.upstream_bytes, self._last_read_s - self._first_read_s)


def _pieces(data: bytes) -> Iterator[bytes]:
    """A long text in pieces of whole characters."""
    start = 0
    while start < len(data):
        end = min(start + MAX_TEXT_BYTES, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # in the middle of a character
            end -= 1
        yield data[start:end]
        start = end


def _clipped(data: bytes) -> str:
    text = data.decode(errors="replace")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
