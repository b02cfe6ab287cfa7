"""Schemas as streams use them. Nothing is made of a schema here before a worker has weighed it.

A light one is compiled in this process, too, and judged by here. A heavy one stays in a process of its own. What was
found out is remembered, a refusal too, so callers whose schema is known never wait; callers who bring the same new one
wait for the same answer.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, Protocol

from lockgate import Schema, Violated
from lockgate.errors import Busy, Misuse, SchemaError
from lockgate.gate.compiled import SchemaSource
from lockgate.gate.events import Complaint
from lockgate.streams.gates import GateHere, GateThere, JudgeLost, StreamGate
from lockgate.workers.jobs import Weighed
from lockgate.workers.pool import WorkerPool
from lockgate.workers.process import WorkerDied
from lockgate.workers.schema_ask import GateOptions, SchemaAsk

#: Documents longer than this are judged in a worker; sending them there costs about 1 ms. Divided by what each value
#: costs.
OVER_BYTES: Final = 256 * 1024
_USUAL_LOOKS: Final = 8
#: Schemas that are remembered, and about how many bytes they take: what is compiled of a text takes some fifty times
#: as much as the text.
_KNOWN: Final = 512
_KNOWN_BYTES: Final = 256 * 1024 * 1024
_COMPILED_FACTOR: Final = 50
#: Longer ones are compiled in a thread: a kilobyte takes up to 2 ms.
_THREAD_OVER_BYTES: Final = 4 * 1024
_SATISFIABLE_CPU_S: Final = 2


class StreamSchema(Protocol):
    """A schema that streams are judged by.

    Attributes:
        id: As ``Schema.id``.
        text: Its JSON text.
    """

    id: str
    text: str

    def gate(self, options: GateOptions) -> StreamGate:
        """A gate for one document.

        Raises:
            Misuse: options that exclude each other; where its work is done elsewhere, only ``refuse`` says so.
        """
        ...

    async def refuse(self, options: GateOptions) -> None:
        """Find out whether there is such a gate.

        Raises:
            Misuse: options that exclude each other.
        """
        ...

    async def is_live(self, options: GateOptions, released: bytes, data: bytes) -> bool:
        """Whether a gate that has released a text takes these bytes without a violation."""
        ...


class SchemaHere:
    """A light schema.

    Args:
        workers: Where long documents are judged; None: in a thread.
        looks: As ``Weighed.looks``.
    """

    def __init__(self, schema: Schema, workers: WorkerPool | None = None, looks: int = 1) -> None:
        self._schema = schema
        self._source = schema.source
        self._workers = workers
        self._over_bytes = OVER_BYTES * _USUAL_LOOKS // max(_USUAL_LOOKS, looks)
        self.id = schema.id
        self.text = self._source.schema

    def gate(self, options: GateOptions) -> StreamGate:
        return GateHere(options.gate_of(self._schema, defer_over_bytes=self._over_bytes), self._complaint)

    async def refuse(self, options: GateOptions) -> None:
        self.gate(options)

    async def is_live(self, options: GateOptions, released: bytes, data: bytes) -> bool:
        gate = options.gate_of(self._schema, defer_over_bytes=self._over_bytes)
        here = GateHere(gate, self._complaint)
        await here.restore(released)
        return not any(isinstance(event, Violated) for event in await here.feed(data))

    async def _complaint(self, text: bytes) -> Complaint | None:
        if self._workers is None:
            return await asyncio.to_thread(self._schema.complaint, text)
        try:
            found: Complaint | None = await self._workers.documents.call("complaint", self._source, text)
        except WorkerDied as died:
            raise JudgeLost("judging by it", died) from None
        return found


class SchemaThere:
    """A heavy schema: judged by in a process of its own.

    Args:
        key: Names it among the heavy ones.
    """

    def __init__(self, weighed: Weighed, workers: WorkerPool, key: bytes) -> None:
        self._source = weighed.source
        self._workers = workers
        self._key = key
        self.id = weighed.id
        self.text = weighed.source.schema

    def gate(self, options: GateOptions) -> StreamGate:
        return GateThere(lambda: self._workers.heavy(self._key), self._source, options, self._workers.limits.cpu_s)

    async def refuse(self, options: GateOptions) -> None:
        await self._ask("try_gate", options)

    async def is_live(self, options: GateOptions, released: bytes, data: bytes) -> bool:
        found: bool = await self._ask("is_live", options, released, data)
        return found

    async def _ask(self, name: str, *args: Any) -> Any:
        try:
            return await self._workers.heavy(self._key).call(name, self._source, *args)
        except WorkerDied as died:
            raise JudgeLost("judging by it", died) from None


class Unsatisfiable(SchemaError):
    """A schema that no document can satisfy: it would cost a generation, and halt it."""


class _Known(NamedTuple):
    answer: StreamSchema | Exception
    size: int  # bytes


class Schemas:
    """The schemas that one node knows."""

    def __init__(self, workers: WorkerPool) -> None:
        self._workers = workers
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._known_bytes = 0
        self._coming: dict[bytes, asyncio.Task[StreamSchema]] = {}
        # One thread: two of them would compile no faster, and take more turns from the event loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="compile")

    async def find(self, ask: SchemaAsk) -> StreamSchema:
        """The schema, weighed by a worker if nobody has brought it before.

        Raises:
            SchemaError: it cannot be compiled. ``SchemaTooComplex``: it took more than a limit allows.
                ``Unsatisfiable``: no document can satisfy it.
            Misuse: a mode that a format does not have.
            Busy: too many new schemas wait already.
        """
        found = self._known.get(ask.key)
        if found is None:
            coming = self._coming.get(ask.key)
            if coming is None:
                coming = self._coming[ask.key] = asyncio.create_task(self._new(ask), name="weigh a schema")
                coming.add_done_callback(lambda _: self._coming.pop(ask.key, None))
            # Who stops waiting takes nothing from the others.
            return await asyncio.shield(coming)
        self._known.move_to_end(ask.key)
        if isinstance(found.answer, Exception):
            raise found.answer.with_traceback(None)
        return found.answer

    async def _new(self, ask: SchemaAsk) -> StreamSchema:
        try:
            found: StreamSchema = await self._weighed(ask)
        except (SchemaError, Misuse) as error:
            self._remember(ask, error)
            raise
        self._remember(ask, found)
        return found

    async def _weighed(self, ask: SchemaAsk) -> StreamSchema:
        try:
            weighed: Weighed = await self._workers.schemas.call("weigh", ask)
        except WorkerDied as died:
            if died.cause == "outside":  # it says nothing of the schema, so it must not be remembered
                raise Busy("the process that looks at new schemas was ended from outside: try again") from None
            raise JudgeLost("compiling it", died) from None
        if await self._satisfiability(weighed.source) == "no":
            raise Unsatisfiable("no document can satisfy this schema")
        if not weighed.is_light:
            return SchemaThere(weighed, self._workers, ask.key)
        if len(ask.schema) > _THREAD_OVER_BYTES:
            loop = asyncio.get_running_loop()
            schema = await loop.run_in_executor(self._thread, _compiled, weighed.source)
        else:
            schema = _compiled(weighed.source)
        return SchemaHere(schema, self._workers, weighed.looks)

    async def _satisfiability(self, source: SchemaSource) -> str:
        try:
            answer: str = await self._workers.schemas.call("satisfiability", source, cpu_s=_SATISFIABLE_CPU_S)
        except WorkerDied:
            return "unknown"
        return answer

    def _remember(self, ask: SchemaAsk, answer: StreamSchema | Exception) -> None:
        size = len(ask.schema) * (_COMPILED_FACTOR if isinstance(answer, SchemaHere) else 1)
        self._known[ask.key] = _Known(answer, size)
        self._known_bytes += size
        while len(self._known) > _KNOWN or (len(self._known) > 1 and self._known_bytes > _KNOWN_BYTES):
            _, oldest = self._known.popitem(last=False)
            self._known_bytes -= oldest.size

    def stop(self) -> None:
        """Wait for nothing any more."""
        for task in self._coming.values():
            task.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)


def _compiled(source: SchemaSource) -> Schema:
    schema = source.compile()
    schema.prepare()
    return schema
