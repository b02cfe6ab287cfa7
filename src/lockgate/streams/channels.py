"""The channels of one stream: each has a gate, a join for another attempt, and the records that come of its text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, Protocol

from lockgate import Violated, passthrough
from lockgate.errors import Code
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Action, CallKind, ChannelEnd, Record, ToolCallStart
from lockgate.protocol.lifecycle import Outcome
from lockgate.streams.gates import GateHere, StreamGate
from lockgate.streams.plan import Judging, Plan
from lockgate.streams.record_maker import RecordMaker
from lockgate.streams.schemas import StreamSchema
from lockgate.upstream.base import ToolStarted

#: What the gate judges before its records are made.
_FED_BYTES: Final = 64 * 1024
#: A gate is rebuilt within this time, however long the text is.
_LIVE_S: Final = 60.0


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
        #: Whether it is the text of a call that takes any text, also none.
        self.is_free = tool in plan.free_tools
        self.schema: StreamSchema | None = plan.schema_of(name, tool)
        self._call_id = call_id
        self._plan = plan
        self._gate = self._new_gate()
        self._join: Join | None = None
        #: After ``feed_now``: whether its gate is open and owes nothing.
        self.goes_on = True
        #: Whether nothing but white space came so far.
        self.is_blank = True
        self._is_refused = False
        self._records = RecordMaker(name, self.schema.id if self.schema is not None else "", meters)

    def _new_gate(self) -> StreamGate:
        if self.schema is None:
            return GateHere(passthrough(), _nobody)
        return self.schema.gate(self._plan.options_of(is_tool=self.is_tool))

    # -- what is known of it -------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        return "halted" if self._is_refused else self._gate.state

    @property
    def authority(self) -> Literal["document", "elements", "checks"]:
        return self._gate.authority

    @property
    def judging(self) -> Judging:
        """How its stream is judged."""
        return self._plan.judging

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

    def call(self, started: ToolStarted, read_s: float) -> Record:
        """The record with which a tool call begins.

        Args:
            read_s: When it was read, in seconds since 1970.
        """
        kind: CallKind = "custom" if self.is_free else "function_call" if started.is_legacy else "function"
        return self._records.call(ToolCallStart(self.tool or "", self._call_id or "", started.index, kind), read_s)

    # -- text ----------------------------------------------------------------------------------------------------

    async def judge(self, data: bytes, read_s: float) -> list[Record]:
        """Take what one read brought for this channel; the records are what may be delivered of it."""
        join = self._join
        if join is not None:
            if join.is_joined:
                data = join.feed(data)
            else:  # what begins it may be tried on a rebuilt gate
                data = await asyncio.to_thread(join.feed, data)
            if not data:
                return []
        return await self.feed(data, read_s)

    async def feed(self, data: bytes, read_s: float) -> list[Record]:
        """The same, past what joins the answers of attempts."""
        if self.is_blank:
            self._came(data)
        self._records.came(len(data), read_s)
        if len(data) <= _FED_BYTES:
            return self._records_of(await self._gate.feed(data), read_s)
        records: list[Record] = []
        for start in range(0, len(data), _FED_BYTES):
            records += self._records_of(await self._gate.feed(data[start : start + _FED_BYTES]), read_s)
        return records

    def feed_now(self, data: bytes, read_s: float) -> list[Record] | None:
        """``judge`` without waiting for anything; None, and nothing is done, where that cannot be."""
        events = self._gate.feed_now(data) if self._join is None else None
        if events is None:
            return None
        if self.is_blank:
            self._came(data)
        self._records.came(len(data), read_s)
        state, held_bytes, is_unsettled = self._gate.condition()
        self.goes_on = state == "open" and not is_unsettled
        return self._records.make(events, read_s, held_bytes=held_bytes, is_open=state == "open")

    @property
    def is_unsettled(self) -> bool:
        """Whether a document waits for its authority; ``settle`` brings what comes of it."""
        return self._gate.is_unsettled

    async def settle(self, read_s: float) -> list[Record]:
        """What comes of the document that ``feed_now`` left unsettled."""
        return self._records_of(await self._gate.settle(), read_s)

    def _came(self, data: bytes) -> None:
        self.is_blank = self.is_blank and (not data or data.isspace())

    async def decide(self, read_s: float) -> list[Record]:
        """Upstream ended cleanly: a gate that waits to see more has seen all, and says what it makes of it.

        A violation that only this brings to light is one that another attempt may follow.
        """
        return self._records_of(await self._gate.decide(), read_s)

    async def close(self, *, clean: bool, read_s: float) -> list[Record]:
        """Upstream ended.

        Raises:
            JudgeLost: the process that judged had to be ended; called again, it is closed without a judgement.
        """
        if self._is_refused:
            return []  # why it ends is said; its gate knows nothing of that
        return self._records_of(await self._gate.close(clean=clean), read_s)

    def end(self, outcome: Outcome) -> ChannelEnd:
        """What the final record says of it."""
        return self._records.end(outcome, tool=self.tool, call_id=self._call_id)

    def rest(self, take: Callable[[], None]) -> None:
        """It is not used until ``wake``; ``take`` may be called meanwhile, and has to abandon it."""
        self._gate.rest(take)

    def wake(self) -> None:
        """It is used again."""
        self._gate.wake()

    def abandon(self) -> None:
        """The channel is not used any more: nothing is held for it."""
        self._records.hold(0)
        self._gate.drop()

    def _records_of(self, events: Sequence[object], read_s: float) -> list[Record]:
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
        self._gate.drop()
        self._is_refused = False
        gate = self._gate = self._new_gate()
        await gate.restore(released)
        self._join = join
        self._records.violation = ""
        self._records.hold(gate.held_bytes)

    async def end_join(self, read_s: float, *, is_clean: bool) -> list[Record]:
        """The answer of this attempt is over, or broke off: what was still held before the gate."""
        rest = b"" if self._join is None else await asyncio.to_thread(self._join.close, is_clean=is_clean)
        return await self.feed(rest, read_s) if rest else []

    async def restart(self) -> Record:
        """Take back what was released: what comes now is counted from byte 0."""
        record = self._records.restart()
        await self.rejoin(b"", None)
        return record

    def liveness(self, released: bytes) -> Callable[[bytes], bool]:
        """What tells whether a gate, rebuilt from the released text, takes some bytes without a violation.

        It is called in a thread, while the event loop goes on.
        """
        loop = asyncio.get_running_loop()
        # A gate that recovers would wait to see more.
        options = self._plan.plain_options_of(is_tool=self.is_tool)
        schema = self.schema

        def is_live(data: bytes) -> bool:
            if schema is None:
                return not any(isinstance(event, Violated) for event in passthrough().feed(data))
            return asyncio.run_coroutine_threadsafe(schema.is_live(options, released, data), loop).result(_LIVE_S)

        return is_live

    # -- chunks of another version ---------------------------------------------------------------------------------

    @property
    def takes_refused(self) -> bool:
        """Whether its gate has the last word on a chunk that was refused for its version.

        What cannot be mended is not, so that is what becomes of it where violations are patched.
        """
        return self.judging.recovery == "patch"

    def refuse(self, code: Code, message: str) -> Record:
        """A chunk is of a version that the stream does not take: the record that says so, and what is done about it.

        Where violations halt a stream, the channel is halted. Elsewhere it goes on.
        """
        recovery = self.judging.recovery
        action: Action = "none" if recovery == "patch" else recovery
        self._is_refused = action == "halt"
        return self._records.refuse(code, message, action)

    # -- pushes ----------------------------------------------------------------------------------------------------

    def mark(self) -> Record:
        """A record that no reader is shown: it keeps what was pushed here."""
        return self._records.mark()

    async def replay(self, records: Iterable[Record]) -> None:
        """Bring a new channel to the state that these records, all of its stream so far, left an earlier one in."""
        for record in records:
            text = (record.pushed or record.text).encode()
            if text:
                self._came(text)
                self._records.upstream_bytes += len(text)
                self._records.recall(await self._gate.feed(text))
            if record.kind == "delta":
                self._records.sequence = record.sequence + 1
        self._records.hold(self._gate.held_bytes)


async def _nobody(_text: bytes) -> None:
    """The authority of text without a schema."""
