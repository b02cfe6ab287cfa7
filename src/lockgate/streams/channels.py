"""The channels of one stream: each a gate, a count of chunks, and the records that come out of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from typing import Final, Literal, Protocol

from msgspec.structs import replace

from lockgate import Completed, Element, Patched, Released, Schema, Skipped, Violated
from lockgate.errors import Code
from lockgate.gate.gate import HaltGate
from lockgate.gate.lines import LinesGate
from lockgate.gate.recovery.gate import RecoveringGate
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Action, ChannelEnd, Problem, Record
from lockgate.protocol.lifecycle import Outcome
from lockgate.streams.helper import Helper
from lockgate.streams.plan import Plan

#: So much text is fed to a gate that is rebuilt before other streams get their turn.
_SLICE_BYTES: Final = 32 * 1024
#: Above this, the first bytes of a continuation are tried on rebuilt gates in a thread.
_THREAD_OVER_BYTES: Final = 64 * 1024


_CanDefer = HaltGate | RecoveringGate

#: Characters of a change that its entry shows.
_SHOWN: Final = 200


class Join(Protocol):
    """What stands between another attempt's answer and the gate; see ``retry``."""

    refused: str
    skipped_bytes: int

    @property
    def is_joined(self) -> bool: ...

    def feed(self, data: bytes) -> bytes: ...

    def close(self, *, is_clean: bool) -> bytes: ...


class Channel:
    """One document of a stream, on its way through its gate."""

    def __init__(
        self, name: str, plan: Plan, meters: Meters, *, tool: str | None = None, call_id: str | None = None
    ) -> None:
        self.name = name
        self.choice = int(name.split("/")[1]) if name.startswith("choice/") else 0
        self.is_tool = tool is not None
        self.schema: Schema | None = plan.schema_of(name, tool)
        self.upstream_bytes = 0
        #: Code of the violation that halted it.
        self.violation = ""
        self._plan = plan
        self._gate = plan.gate_of(self.schema, is_tool=self.is_tool)
        self._join: Join | None = None
        self._again = b""  # text that a rebuilt gate will release once more
        self._is_torn = False
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
        self._has_ink = False  # whether anything but white space came
        self._is_told = False
        self._patches = self._skips = 0
        self._claim: Problem | None = None  # a violation that recovery gets past
        self._last_code: str = Code.INVALID_JSON
        self._ends_line = False
        self._is_bare_number = False  # the document itself is a number, which only the end of the text can end

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
        """Whether nothing but white space came so far."""
        return not self._has_ink

    def feed(self, data: bytes, read_s: float) -> list[Record]:
        """Take what one read brought for this channel; the records are what may be delivered of it."""
        self.upstream_bytes += len(data)
        self._has_ink = self._has_ink or not data.isspace()
        self._first_read_s = self._first_read_s or read_s
        self._meters.chunk_received(len(data))
        return self._records(self._gate.feed(data), read_s)

    # -- another attempt ---------------------------------------------------------------------------------------

    @property
    def tool(self) -> str | None:
        """Name of the tool, of a tool call."""
        return self._tool

    @property
    def released_bytes(self) -> int:
        return self._released_bytes

    def is_whole(self, *, is_clean: bool) -> bool:
        """Whether the text could end here, as far as its gate can tell before it is closed.

        Args:
            is_clean: Whether upstream ended it by itself.
        """
        if self._gate.state != "open":
            return self._gate.state != "halted"
        if self.schema is None:
            return self._gate.held_bytes == 0
        if self.is_tool and self.is_blank:
            return True  # a call without arguments is a call with none
        if self._plan.judging.framing == "ndjson" and not self.is_tool and self._ends_line:
            return self._gate.held_bytes == 0
        if isinstance(self._gate, LinesGate) and self._plan.judging.recovery != "halt" and self._gate.held_bytes:
            return is_clean  # it waits to see more before it decides: nothing more comes, or another attempt
        awaits = self._gate.expected().awaits
        return awaits == "end" or (awaits == "number" and self._is_bare_number)

    @property
    def unjoined(self) -> str:
        """Why the answer of this attempt does not continue the text; empty if it does, or if nothing is to be."""
        if self._is_torn:
            return "the rebuilt gate decided otherwise about text that was released"
        return self._join.refused if self._join is not None else ""

    @property
    def skipped_bytes(self) -> int:
        """Echo and preface that were taken off the answer of this attempt."""
        return self._join.skipped_bytes if self._join is not None else 0

    async def rejoin(self, released: bytes, join: Join | None) -> None:
        """Begin another attempt: a gate rebuilt from the released text, and what joins the answer to it."""
        gate = self._plan.gate_of(self.schema, is_tool=self.is_tool)
        for start in range(0, len(released), _SLICE_BYTES):
            piece = released[start : start + _SLICE_BYTES]
            if isinstance(gate, RecoveringGate):
                gate.restore(piece)  # it is final, and was changed already
            else:
                gate.feed(piece)
            await asyncio.sleep(0)
        if isinstance(gate, _CanDefer) and gate.deferred is not None:
            gate.settle(None)  # it was released, so the authority had nothing against it
        self._gate, self._join = gate, join
        # What a gate that recovers holds back until it has seen more; it was released already.
        self._again, self._is_torn = released[gate.released_bytes :], False
        self.violation = ""
        self._hold(gate.held_bytes)

    def is_live(self, released: bytes, data: bytes) -> bool:
        """Whether a gate, rebuilt from the released text, takes these bytes without a violation."""
        # One that recovers would hesitate to speak.
        gate = self._plan.plain_gate_of(self.schema, is_tool=self.is_tool)
        gate.feed(released)
        if isinstance(gate, _CanDefer) and gate.deferred is not None:
            gate.settle(None)
        return not any(isinstance(event, Violated) for event in gate.feed(data))

    async def restart(self) -> Record:
        """Take back what was released: what comes now is counted from byte 0."""
        record = Record("restart", self.name, self._schema_id, self._sequence)
        self._released_bytes = self._elements = 0
        self._hash = hashlib.sha256()
        await self.rejoin(b"", None)
        return record

    async def end_join(self, read_s: float, helper: Helper, *, is_clean: bool) -> list[Record]:
        """The answer of this attempt is over, or broke off: what was still held before the gate."""
        rest = self._join.close(is_clean=is_clean) if self._join is not None else b""
        return await self._judge(rest, read_s, helper) if rest else []

    def decide(self, read_s: float) -> list[Record]:
        """Upstream ended cleanly: a gate that waits to see more has seen all, and says what it makes of it.

        A violation that only this brings to light is one that another attempt may follow.
        """
        return self._records(self._gate.decide(), read_s) if isinstance(self._gate, RecoveringGate) else []

    async def judge(self, data: bytes, read_s: float, helper: Helper) -> list[Record]:
        """``feed``, and where the whole document must be shown to the authority, that too, in the helper process."""
        join = self._join
        if join is not None:
            if not join.is_joined and self._released_bytes > _THREAD_OVER_BYTES:
                data = await asyncio.to_thread(join.feed, data)
            else:
                data = join.feed(data)
            if not data:
                return []
        return await self._judge(data, read_s, helper)

    async def _judge(self, data: bytes, read_s: float, helper: Helper) -> list[Record]:
        records = self.feed(data, read_s)
        if self.deferred is not None:
            assert self.schema is not None
            records += self.settle(await helper.complaint(self.schema, self.deferred), read_s)
        return records

    @property
    def deferred(self) -> bytes | None:
        """A whole document that must be shown to the authority, and ``settle`` called, before anything else."""
        return self._gate.deferred if isinstance(self._gate, _CanDefer) else None

    def settle(self, complaint: tuple[str, str, str] | None, read_s: float) -> list[Record]:
        """The authority has spoken about ``deferred``."""
        assert isinstance(self._gate, _CanDefer)
        return self._records(self._gate.settle(complaint), read_s)

    def close(self, *, clean: bool, read_s: float) -> list[Record]:
        """Upstream ended."""
        return self._records(self._gate.close(clean=clean), read_s)

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
                self._has_ink = self._has_ink or not text.isspace()
                events = list[object](self._gate.feed(text.encode()))
                if self.deferred is not None:
                    assert isinstance(self._gate, _CanDefer)
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

    def end(self, outcome: Outcome) -> ChannelEnd:
        """What the final record says of it."""
        return ChannelEnd(
            outcome=outcome,
            chunks=self._sequence,
            released_bytes=self._released_bytes,
            upstream_bytes=self.upstream_bytes,
            sha256=self._hash.hexdigest(),
            schema=self._schema_id,
            tool=self._tool,
            tool_call_id=self._call_id,
            patches=self._patches,
            skips=self._skips,
        )

    def _records(self, events: Iterable[object], read_s: float) -> list[Record]:
        """What the log keeps of a gate's events: one record of the text, with the elements in it, then the errors."""
        text: list[bytes] = []
        elements: list[Element] = []
        others: list[object] = []
        for event in events:
            match event:
                case Released(data=data):
                    text.append(self._only_new(data) if self._again else data)
                case Element():
                    elements.append(event)
                case _:
                    others.append(event)
        self._hold(self._gate.held_bytes if self._gate.state == "open" else 0)
        records = [self._delta(b"".join(text), elements, read_s)] if any(text) or elements else []
        return records + self._notes(others)

    def _notes(self, events: list[object]) -> list[Record]:
        """Of what recovery did, which went on, one note; of what ends a document one of its own."""
        changes: list[Problem] = []
        notes: list[Record] = []
        for event in events:
            match event:
                case Violated(action="patch" | "skip"):
                    self._claim = self._problem(event)  # told with what is done about it, which may take a while
                case Violated():
                    notes.append(self._note([self._problem(event)]))
                    self._judged(event.code)
                    if event.action == "halt":
                        self.violation = event.code
                case Patched() | Skipped():
                    changes.append(self._change(event))
                case Completed():
                    self._judged("")  # the final record says so, once the whole stream is over
        if self._claim is not None and self._gate.state != "open":
            changes.append(self._claim)  # the text ended before it was known what to do
            self._claim = None
        return [self._note(changes), *notes] if changes else notes

    def _change(self, event: Patched | Skipped) -> Problem:
        """What was done about a violation; where one patch makes several changes, the others have an entry each."""
        action: Action = "patch" if isinstance(event, Patched) else "skip"
        claim, self._claim = self._claim, None
        if claim is None:
            claim = Problem(self._last_code, self._sequence, True, action, "changed with the one before", event.path)
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

    def _only_new(self, data: bytes) -> bytes:
        """Without what was released before the gate was rebuilt; nothing at all if it is not the same."""
        count = min(len(data), len(self._again))
        if self._is_torn or data[:count] != self._again[:count]:
            self._is_torn = True
            return b""
        self._again = self._again[count:]
        return data[count:]

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
        if self._released_bytes == 0:
            self._is_bare_number = data.lstrip()[:1] in b"-0123456789"
        self._ends_line = data.endswith(b"\n")
        self._sequence += 1
        self._elements += len(elements)
        self._released_bytes += len(data)
        self._hash.update(data)
        self._meters.chunk_released(len(data), read_s - self._last_read_s if self._last_read_s else None)
        self._last_read_s = read_s
        return record

    def _note(self, problems: list[Problem]) -> Record:
        return Record("note", self.name, self._schema_id, self._sequence, self._released_bytes, errors=problems)

    def _problem(self, event: Violated) -> Problem:
        self._meters.violated(event.code, event.schema_path)
        return Problem(
            event.code,
            self._sequence,
            event.recoverable,
            event.action,
            event.message,
            path=event.path,
            schema_path=event.schema_path or None,
            at=event.at,
            upstream_at=event.upstream_at,
        )


def _clipped(data: bytes) -> str:
    text = data.decode(errors="replace")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
