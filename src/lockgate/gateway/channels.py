"""The channels of one stream: each a gate, a count of chunks, and the records that come out of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from lockgate import Completed, Released, Schema, Violated
from lockgate.errors import LockgateError
from lockgate.gate.gate import HaltGate
from lockgate.gateway.plan import Plan
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import ChannelEnd, Problem, Record
from lockgate.protocol.lifecycle import Outcome


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
        self._gate = plan.gate_of(self.schema)
        self._schema_id = self.schema.id if self.schema is not None else ""
        self._tool = tool
        self._call_id = call_id
        self._meters = meters
        self._sequence = 0
        self._released_bytes = 0
        self._hash = hashlib.sha256()
        self._last_read_s = 0.0

    @property
    def state(self) -> str:
        return self._gate.state

    @property
    def authority(self) -> str:
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
        return self._records(self._gate.feed(data), read_s)

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
        records = []
        for event in events:
            match event:
                case Released(data=data):
                    records.append(self._delta(data, read_s))
                case Violated():
                    records.append(self._note(event))
                case Completed():
                    pass  # the final record says so, once the whole stream is over
        return records

    def _delta(self, data: bytes, read_s: float) -> Record:
        record = Record(
            "delta", self.name, self._schema_id, self._sequence, self._released_bytes, data.decode(), read_s=read_s
        )
        self._sequence += 1
        self._released_bytes += len(data)
        self._hash.update(data)
        self._meters.chunk_released(len(data), read_s - self._last_read_s if self._last_read_s else None)
        self._last_read_s = read_s
        return record

    def _note(self, event: Violated) -> Record:
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
        )
        return Record("note", self.name, self._schema_id, self._sequence, self._released_bytes, errors=[problem])
