"""The channels of one stream: each has a gate, a join for another attempt, and the records that come of its text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, Literal, Protocol

from lockgate import Schema, Violated
from lockgate.gate.events import Complaint
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import ChannelEnd, Record, ToolCallStart
from lockgate.protocol.lifecycle import Outcome
from lockgate.streams.helper import Helper
from lockgate.streams.plan import Plan
from lockgate.streams.record_maker import RecordMaker

#: A gate is rebuilt in pieces of this size, so that other streams get their turn between them.
_SLICE_BYTES: Final = 32 * 1024
#: Above this, the first bytes of a continuation are tried on rebuilt gates in a thread.
_THREAD_OVER_BYTES: Final = 64 * 1024


class Join(Protocol):
    """Joins the answer of another attempt to the released text, before the gate; see ``retry``."""

    refused: str
    skipped_bytes: int

    @property
    def is_joined(self) -> bool: ...

    def feed(self, data: bytes) -> bytes: ...

    def close(self, *, is_clean: bool) -> bytes: ...


class Channel:
    """One document of a stream."""

    def __init__(
        self, name: str, plan: Plan, meters: Meters, *, tool: str | None = None, call_id: str | None = None
    ) -> None:
        self.name = name
        self.choice = int(name.split("/")[1]) if name.startswith("choice/") else 0
        self.is_tool = tool is not None
        #: Name of the tool, of a tool call.
        self.tool = tool
        self.schema: Schema | None = plan.schema_of(name, tool)
        self._call_id = call_id
        self._plan = plan
        self._gate = plan.gate_of(self.schema, is_tool=self.is_tool)
        self._join: Join | None = None
        #: Whether nothing but white space came so far.
        self.is_blank = True
        self._records = RecordMaker(name, self.schema.id if self.schema is not None else "", meters)

    # -- what is known of it -------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        return self._gate.state

    @property
    def authority(self) -> Literal["document", "elements", "checks"]:
        return self._gate.authority

    @property
    def chunks(self) -> int:
        return self._records.sequence

    @property
    def released_bytes(self) -> int:
        return self._records.released_bytes

    @property
    def upstream_bytes(self) -> int:
        return self._records.upstream_bytes

    @property
    def violation(self) -> str:
        """Code of the violation that halted it."""
        return self._records.violation

    @property
    def is_whole(self) -> bool:
        """Whether the text could end here, as far as its gate can tell before it is closed."""
        return (self.is_tool and self.is_blank) or self._gate.could_end()  # a call without arguments has none

    @property
    def deferred(self) -> bytes | None:
        """A whole document that must be shown to the authority, and ``settle`` called, before anything else."""
        return self._gate.deferred

    def call(self, index: int, read_s: float) -> Record:
        """The record with which a tool call begins.

        Args:
            index: Which call of its choice it is.
            read_s: When it was read, in seconds since 1970.
        """
        return self._records.call(ToolCallStart(self.tool or "", self._call_id or "", index), read_s)

    # -- text ----------------------------------------------------------------------------------------------------

    async def judge(self, data: bytes, read_s: float, helper: Helper) -> list[Record]:
        """``feed``, and where the whole document must be shown to the authority, that too, in the helper process."""
        join = self._join
        if join is not None:
            if not join.is_joined and self.released_bytes > _THREAD_OVER_BYTES:
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

    def feed(self, data: bytes, read_s: float) -> list[Record]:
        """Take what one read brought for this channel; the records are what may be delivered of it."""
        self._came(data)
        self._records.came(len(data), read_s)
        return self._records_of(self._gate.feed(data), read_s)

    def _came(self, data: bytes) -> None:
        self.is_blank = self.is_blank and (not data or data.isspace())

    def settle(self, complaint: Complaint | None, read_s: float) -> list[Record]:
        """The authority has judged ``deferred``."""
        return self._records_of(self._gate.settle(complaint), read_s)

    def decide(self, read_s: float) -> list[Record]:
        """Upstream ended cleanly: a gate that waits to see more has seen all, and says what it makes of it.

        A violation that only this brings to light is one that another attempt may follow.
        """
        return self._records_of(self._gate.decide(), read_s)

    def close(self, *, clean: bool, read_s: float) -> list[Record]:
        """Upstream ended."""
        return self._records_of(self._gate.close(clean=clean), read_s)

    def end(self, outcome: Outcome) -> ChannelEnd:
        """What the final record says of it."""
        return self._records.end(outcome, tool=self.tool, call_id=self._call_id)

    def abandon(self) -> None:
        """The channel is not used any more: nothing is held for it."""
        self._records.hold(0)

    def _records_of(self, events: Iterable[object], read_s: float) -> list[Record]:
        gate = self._gate
        return self._records.make(events, read_s, held_bytes=gate.held_bytes, is_open=gate.state == "open")

    # -- another attempt -----------------------------------------------------------------------------------------

    @property
    def unjoined(self) -> str:
        """Why the answer of this attempt does not continue the text; empty if it does, or if nothing is to be."""
        return self._join.refused if self._join is not None else ""

    @property
    def skipped_bytes(self) -> int:
        """Echo and preface that were taken off the answer of this attempt."""
        return self._join.skipped_bytes if self._join is not None else 0

    async def rejoin(self, released: bytes, join: Join | None) -> None:
        """Begin another attempt: a gate rebuilt from the released text, and what joins the answer to it."""
        gate = self._plan.gate_of(self.schema, is_tool=self.is_tool)
        for start in range(0, len(released), _SLICE_BYTES):
            gate.restore(released[start : start + _SLICE_BYTES])
            await asyncio.sleep(0)
        self._gate, self._join = gate, join
        self._records.violation = ""
        self._records.hold(gate.held_bytes)

    async def end_join(self, read_s: float, helper: Helper, *, is_clean: bool) -> list[Record]:
        """The answer of this attempt is over, or broke off: what was still held before the gate."""
        rest = self._join.close(is_clean=is_clean) if self._join is not None else b""
        return await self._judge(rest, read_s, helper) if rest else []

    async def restart(self) -> Record:
        """Take back what was released: what comes now is counted from byte 0."""
        record = self._records.restart()
        await self.rejoin(b"", None)
        return record

    def is_live(self, released: bytes, data: bytes) -> bool:
        """Whether a gate, rebuilt from the released text, takes these bytes without a violation."""
        # One that recovers would wait to see more.
        gate = self._plan.plain_gate_of(self.schema, is_tool=self.is_tool)
        gate.restore(released)
        return not any(isinstance(event, Violated) for event in gate.feed(data))

    # -- pushes ----------------------------------------------------------------------------------------------------

    def mark(self) -> Record:
        """A record that no reader is shown: it keeps what was pushed here."""
        return self._records.mark()

    def replay(self, records: Iterable[Record]) -> None:
        """Bring a new channel to the state that these records, all of its stream so far, left an earlier one in."""
        for record in records:
            text = (record.pushed or record.text).encode()
            if text:
                self._came(text)
                self._records.upstream_bytes += len(text)
                events = list[object](self._gate.feed(text))
                if self.deferred is not None:
                    assert self.schema is not None
                    events += self._gate.settle(self.schema.complaint(self.deferred))
                self._records.recall(events)
            if record.kind == "delta":
                self._records.sequence = record.sequence + 1
        self._records.hold(self._gate.held_bytes)
