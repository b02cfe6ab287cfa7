"""The channels of one stream: each a gate, a count of chunks, and the records that come out of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Literal

from lockgate import Completed, Element, Patched, Released, Schema, Skipped, Violated
from lockgate.errors import LockgateError
from lockgate.gate.gate import HaltGate
from lockgate.gate.recovery.gate import RecoveringGate
from lockgate.gateway.helper import Helper
from lockgate.gateway.plan import Plan
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import ChannelEnd, Problem, Record
from lockgate.protocol.lifecycle import Outcome

#: Characters of a change that a note shows.
_SHOWN: Final = 200


class Channel:
    """One document of a stream, on its way through its gate."""

    def __init__(
        self, name: str, plan: Plan, meters: Meters, *, tool: str | None = None, call_id: str | None = None
    ) -> None:
        self.name = name
        self.choice = int(name.split("/")[1]) if name.startswith("choice/") else 0
        self.is_tool = tool is not None
        self.schema: Schema | None = plan.schema_of(name, tool)
        self.outcome: Outcome | None = None
        self.upstream_bytes = 0
        #: Code of the violation that halted it.
        self.violation = ""
        self._gate = plan.gate_of(self.schema, is_tool=self.is_tool)
        self._schema_id = self.schema.id if self.schema is not None else ""
        self._tool = tool
        self._call_id = call_id
        self._meters = meters
        self._sequence = 0
        self._released_bytes = 0
        self._hash = hashlib.sha256()
        self._first_read_s = 0.0
        self._last_read_s = 0.0
        self._elements = 0
        self._held_bytes = 0
        self._is_told = False

    @property
    def state(self) -> str:
        return self._gate.state

    @property
    def authority(self) -> Literal["document", "elements", "checks"]:
        return self._gate.authority

    @property
    def chunks(self) -> int:
        return self._sequence

    @property
    def is_blank(self) -> bool:
        """Whether nothing came, so far, that a document could be made of."""
        return self.upstream_bytes == self._released_bytes == 0

    def feed(self, data: bytes, read_s: float) -> list[Record]:
        """Take what one read brought for this channel; the records are what may be delivered of it."""
        self.upstream_bytes += len(data)
        self._first_read_s = self._first_read_s or read_s
        self._meters.chunk_received(len(data))
        return self._records(self._gate.feed(data), read_s)

    async def judge(self, data: bytes, read_s: float, helper: Helper) -> list[Record]:
        """``feed``, and where the whole document must be shown to the authority, that too, in the helper process."""
        records = self.feed(data, read_s)
        if self.deferred is not None:
            assert self.schema is not None
            records += self.settle(await helper.complaint(self.schema, self.deferred), read_s)
        return records

    @property
    def deferred(self) -> bytes | None:
        """A whole document that must be shown to the authority, and ``settle`` called, before anything else."""
        return self._gate.deferred if isinstance(self._gate, HaltGate) else None

    def settle(self, complaint: tuple[str, str, str] | None, read_s: float) -> list[Record]:
        """The authority has spoken about ``deferred``."""
        assert isinstance(self._gate, HaltGate)
        return self._records(self._gate.settle(complaint), read_s)

    def close(self, *, clean: bool, read_s: float) -> list[Record]:
        """Upstream ended."""
        return self._records(self._gate.close(clean=clean), read_s)

    def problem(self, error: type[LockgateError], message: str, *, action: str = "none") -> Record:
        """A note that says what went wrong, outside the document."""
        fault = Problem(error.code, self._sequence, error.recoverable, action, message)
        return Record("note", self.name, self._schema_id, self._sequence, self._released_bytes, errors=[fault])

    def mark(self) -> Record:
        """A record that nobody is shown, to keep something that belongs to this place."""
        held_bytes = self._held_bytes
        return Record("note", self.name, self._schema_id, self._sequence, self._released_bytes, held_bytes=held_bytes)

    def replay(self, records: Iterable[Record]) -> None:
        """Bring a fresh channel to where these records, which are its own from the start, left another."""
        for record in records:
            text = record.pushed or record.text
            if text:
                self.upstream_bytes += len(text.encode())
                if isinstance(self._gate, RecoveringGate) and not record.pushed:
                    events = list[object](self._gate.restore(text.encode()))  # it is final, and was changed already
                else:
                    events = list[object](self._gate.feed(text.encode()))
                if self.deferred is not None:
                    assert isinstance(self._gate, HaltGate)
                    assert self.schema is not None
                    events += self._gate.settle(self.schema.complaint(self.deferred))
                self._recall(events)
            if record.kind == "delta":
                self._sequence = record.sequence + 1
        self._hold(self._gate.held_bytes)

    def _recall(self, events: Iterable[object]) -> None:
        for event in events:
            if isinstance(event, Released):
                self._released_bytes += len(event.data)
                self._hash.update(event.data)
            elif isinstance(event, Element):
                self._elements += 1

    def end(self) -> ChannelEnd:
        return ChannelEnd(
            outcome=str(self.outcome or Outcome.INCOMPLETE),
            chunks=self._sequence,
            released_bytes=self._released_bytes,
            upstream_bytes=self.upstream_bytes,
            sha256=self._hash.hexdigest(),
            schema=self._schema_id,
            tool=self._tool,
            tool_call_id=self._call_id,
        )

    def _records(self, events: Iterable[object], read_s: float) -> list[Record]:
        """What the log keeps of a gate's events: one record of the text, with the elements in it, and the errors."""
        records: list[Record] = []
        text: list[bytes] = []
        elements: list[Element] = []

        def flush() -> None:
            """Text and what is said of it stay in order: a change is told behind the text that it follows."""
            if text or elements:
                records.append(self._delta(b"".join(text), elements.copy(), read_s))
                text.clear()
                elements.clear()

        said: Violated | None = None  # with ``patch``: its first change comes next
        for event in events:
            match event:
                case Released(data=data):
                    text.append(data)
                case Element():
                    elements.append(event)
                case Patched(rule=rule):
                    self._meters.patched(rule)
                    if said is not None:
                        records.append(self._note(said, event))
                        said = None
                case Skipped(code=code):
                    self._meters.skipped(code)
                case Violated(action="patch"):
                    flush()
                    said = event
                case Violated():
                    flush()
                    records.append(self._note(event))
                    if event.action != "skip":
                        self._judged(event.code)
                    if event.action == "halt":
                        self.violation = event.code
                case Completed():
                    self._judged("")  # the final record says so, once the whole stream is over
        self._hold(self._gate.held_bytes if self._gate.state == "open" else 0)
        flush()
        return records

    def _judged(self, code: str) -> None:
        if not self._is_told:
            self._is_told = True
            self._meters.validated(code)
            self._meters.ingested(self.upstream_bytes, self._last_read_s - self._first_read_s)

    def _hold(self, held_bytes: int) -> None:
        self._meters.held(held_bytes - self._held_bytes)
        self._held_bytes = held_bytes

    def abandon(self) -> None:
        """Whatever becomes of the stream, nothing is held for it any more."""
        self._hold(0)

    def _delta(self, data: bytes, elements: list[Element], read_s: float) -> Record:
        record = Record(
            "delta",
            self.name,
            self._schema_id,
            self._sequence,
            self._released_bytes,
            data.decode(),
            ends=[element.end for element in elements],
            starts=[element.start for element in elements],
            first_element=self._elements if elements else 0,
            held_bytes=self._held_bytes,
            read_s=read_s,
        )
        self._sequence += 1
        self._elements += len(elements)
        self._released_bytes += len(data)
        self._hash.update(data)
        self._meters.chunk_released(len(data), read_s - self._last_read_s if self._last_read_s else None)
        self._last_read_s = read_s
        return record

    def _note(self, event: Violated, patch: Patched | None = None) -> Record:
        self._meters.violated(event.code, event.schema_path)
        problem = Problem(
            event.code,
            self._sequence,
            event.recoverable,
            event.action,
            event.message,
            path=event.path,
            schema_path=event.schema_path or None,
            at=event.at,
            upstream_at=event.upstream_at,
            rule=patch.rule if patch is not None else None,
            removed=_clip(patch.removed) if patch is not None else None,
            inserted=_clip(patch.inserted) if patch is not None else None,
        )
        return Record("note", self.name, self._schema_id, self._sequence, self._released_bytes, errors=[problem])


def _clip(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
