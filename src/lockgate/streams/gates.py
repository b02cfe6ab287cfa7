"""Gates as streams use them: a gate that never keeps the event loop for long, wherever its work is done.

``GateHere`` works in this process, in slices, with other streams between them; the authority judges long documents in a
worker. ``GateThere`` works in the process of its schema, where the system can stop it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, Protocol

from lockgate import Gate
from lockgate.errors import SchemaTooComplex
from lockgate.gate.compiled import SchemaSource
from lockgate.gate.events import Complaint, Event
from lockgate.waiting.rounds import my_turn
from lockgate.workers.jobs import GateView
from lockgate.workers.pool import HeavyWorker
from lockgate.workers.process import Worker, WorkerDied
from lockgate.workers.schema_ask import GateOptions

#: What is judged at once; more is done in turns. A byte takes up to 2 µs.
_SLICE_BYTES: Final = 2 * 1024
#: What a worker is sent at once.
_SENT_BYTES: Final = 64 * 1024

Judge = Callable[[bytes], Awaitable[Complaint | None]]


class StreamGate(Protocol):
    """See ``lockgate.Gate``; here what takes time is awaited."""

    @property
    def state(self) -> str: ...

    @property
    def authority(self) -> Literal["document", "elements", "checks"]: ...

    @property
    def held_bytes(self) -> int: ...

    def could_end(self) -> bool: ...

    @property
    def is_unsettled(self) -> bool:
        """Whether a document waits for the authority; see ``settle``."""
        ...

    async def feed(self, data: bytes) -> list[Event]: ...

    def feed_now(self, data: bytes) -> list[Event] | None:
        """``feed`` for little data, without waiting for anything; None, and nothing is done, where that cannot be."""
        ...

    def condition(self) -> tuple[str, int, bool]:
        """``state``, ``held_bytes`` and ``is_unsettled`` in one."""
        ...

    async def settle(self) -> list[Event]:
        """What comes of the document that ``feed_now`` left unsettled, if it did."""
        ...

    async def decide(self) -> list[Event]: ...

    async def restore(self, text: bytes) -> None: ...

    async def close(self, *, clean: bool) -> list[Event]: ...

    def rest(self, take: Callable[[], None]) -> None:
        """It is not used until ``wake``: where others need what it takes, ``take`` is called, which has to drop it."""
        ...

    def wake(self) -> None: ...

    def drop(self) -> None:
        """Nobody uses it any more."""
        ...


class GateHere:
    """A gate in this process.

    Args:
        judge: Shows a document to the authority, elsewhere.
    """

    def __init__(self, gate: Gate, judge: Judge) -> None:
        self._gate = gate
        self._judge = judge

    @property
    def state(self) -> str:
        return self._gate.state

    @property
    def authority(self) -> Literal["document", "elements", "checks"]:
        return self._gate.authority

    @property
    def held_bytes(self) -> int:
        return self._gate.held_bytes

    def could_end(self) -> bool:
        return self._gate.could_end()

    @property
    def is_unsettled(self) -> bool:
        return self._gate.deferred is not None

    async def feed(self, data: bytes) -> list[Event]:
        events = self.feed_now(data)
        if events is not None:
            return events if self._gate.deferred is None else events + await self.settle()
        events = []
        for start in range(0, len(data), _SLICE_BYTES):
            await my_turn()
            events += self._gate.feed(data[start : start + _SLICE_BYTES]) + await self.settle()
        return events

    def feed_now(self, data: bytes) -> list[Event] | None:
        return self._gate.feed(data) if len(data) <= _SLICE_BYTES else None

    def condition(self) -> tuple[str, int, bool]:
        gate = self._gate
        return gate.state, gate.held_bytes, gate.deferred is not None

    async def settle(self) -> list[Event]:
        if self._gate.deferred is None:
            return []
        return self._gate.settle(await self._judge(self._gate.deferred))

    async def decide(self) -> list[Event]:
        return self._gate.decide() + await self.settle()

    async def restore(self, text: bytes) -> None:
        for start in range(0, len(text), _SLICE_BYTES):
            await my_turn()
            self._gate.restore(text[start : start + _SLICE_BYTES])

    async def close(self, *, clean: bool) -> list[Event]:
        return self._gate.close(clean=clean)

    def rest(self, take: Callable[[], None]) -> None:
        """It takes nothing that others need."""

    def wake(self) -> None:
        """As ``rest``."""

    def drop(self) -> None:
        """Nothing is kept for it elsewhere."""


class JudgeLost(SchemaTooComplex):
    """The process that worked with a schema had to be ended in the middle of it."""

    def __init__(self, doing: str, died: WorkerDied) -> None:
        super(SchemaTooComplex, self).__init__(
            f"schema: too complex: {doing} {died} (workers.cpu_s, workers.memory_bytes)"
        )


class GateThere:
    """A gate in the process of its schema.

    Raises:
        JudgeLost: from whatever is awaited, once the process had to be ended.
        Busy: from the first call, when too many schemas have a process.
    """

    def __init__(
        self, heavy: Callable[[], HeavyWorker], source: SchemaSource, options: GateOptions, cpu_s: int
    ) -> None:
        self._heavy_of = heavy
        self._source = source
        self._options = options
        self._cpu_s = cpu_s
        self._heavy: HeavyWorker | None = None
        self._worker: Worker | None = None
        self._number = 0
        self._is_lost = False
        self._view = GateView("open", "document", 0, could_end=False)

    @property
    def state(self) -> str:
        return self._view.state

    @property
    def authority(self) -> Literal["document", "elements", "checks"]:
        return self._view.authority

    @property
    def held_bytes(self) -> int:
        return self._view.held_bytes

    def could_end(self) -> bool:
        return self._view.could_end

    @property
    def is_unsettled(self) -> bool:
        return False

    def feed_now(self, data: bytes) -> list[Event] | None:
        return None

    def condition(self) -> tuple[str, int, bool]:
        return self._view.state, self._view.held_bytes, False

    async def settle(self) -> list[Event]:
        return []

    async def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        for start in range(0, len(data), _SENT_BYTES):
            events += await self._ask("feed", data[start : start + _SENT_BYTES])
        return events

    async def decide(self) -> list[Event]:
        return await self._ask("decide")

    async def restore(self, text: bytes) -> None:
        for start in range(0, len(text), _SENT_BYTES):
            await self._ask("restore", text[start : start + _SENT_BYTES])

    async def close(self, *, clean: bool) -> list[Event]:
        return [] if self._is_lost else await self._ask("close", clean)

    async def _ask(self, name: str, *args: Any) -> list[Event]:
        try:
            worker = self._worker or await self._open()
            events, self._view = await worker.call(name, self._number, *args, cpu_s=self._cpu_s)
        except WorkerDied as died:
            self._is_lost = True
            raise JudgeLost("judging by it", died) from None
        found: list[Event] = events
        return found

    async def _open(self) -> Worker:
        heavy = self._heavy = self._heavy_of()
        self._number = heavy.new_number()
        worker = await heavy.worker()
        self._view = await worker.call("open_gate", self._source, self._number, self._options, cpu_s=self._cpu_s)
        self._worker = worker
        return worker

    def rest(self, take: Callable[[], None]) -> None:
        if self._heavy is not None:
            self._heavy.rest(self._number, take)

    def wake(self) -> None:
        if self._heavy is not None:
            self._heavy.wake(self._number)

    def drop(self) -> None:
        """Free what the process keeps for it."""
        if self._heavy is not None:
            self._heavy.drop(self._number)
            self._heavy = None
