"""A pump without sockets: a provider that answers each request with what a test hands in, and a log in memory."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Attempt, Record, StreamEnd, decode_record
from lockgate.protocol.lifecycle import Ended as How
from lockgate.protocol.offsets import START
from lockgate.retry.backoff import BackoffPolicy
from lockgate.retry.breaker import Breakers
from lockgate.retry.capabilities import Capability
from lockgate.retry.policy import RetryPolicy
from lockgate.store.base import LogEntry
from lockgate.store.memory import MemoryLog
from lockgate.streams.backpressure import Backpressure
from lockgate.streams.plan import Defaults, Plan
from lockgate.streams.pump import Pump, Trace
from lockgate.upstream import base as up
from tests.streams.plans import read_plan

Answer = Iterable[up.UpstreamEvent]

#: Waits that no test feels.
QUICK = BackoffPolicy(max_attempts=8, base_s=0.001, cap_s=0.01, deadline_s=60)
ABLE = Capability("*", prefill="plain", tail="always")


class Scripted:
    """A provider that keeps the bodies it was sent and answers each with ``answer(body, number of this request)``."""

    routes_models = False
    takes_authorization = False

    def __init__(self, answer: Callable[[Mapping[str, Any], int], Answer], name: str = "scripted") -> None:
        self.name = name
        self.bodies: list[Mapping[str, Any]] = []
        self.aborted = 0
        self._answer = answer

    def serving(self, model: str) -> Scripted:
        return self

    def open(self, body: Mapping[str, Any], authorization: str | None = None) -> _Scene:
        self.bodies.append(body)
        return _Scene(self, self._answer(body, len(self.bodies)))

    async def close(self) -> None:
        pass


class _Scene:
    def __init__(self, provider: Scripted, events: Answer) -> None:
        self._provider = provider
        self._events = iter(events)
        self._is_over = False

    async def __aenter__(self) -> AsyncIterator[list[up.UpstreamEvent]]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True

    def __aiter__(self) -> AsyncIterator[list[up.UpstreamEvent]]:
        return self

    async def __anext__(self) -> list[up.UpstreamEvent]:
        await asyncio.sleep(0)
        event = None if self._is_over else next(self._events, None)
        if event is None:
            raise StopAsyncIteration
        return [event]

    def abort(self) -> None:
        self._provider.aborted += 1
        self._is_over = True


def text(data: str, channel: str = "content", cut: int = 7) -> list[up.UpstreamEvent]:
    """Deltas of a few characters."""
    return [up.Delta(channel, data[at : at + cut].encode()) for at in range(0, len(data), cut)]


def clean(data: str, channel: str = "content", *, finish: str = "stop") -> list[up.UpstreamEvent]:
    """A good answer."""
    return [*text(data, channel), up.Finished(0, finish), up.ConnectionEnded(How.CLEAN, has_done=True)]


def broken(data: str, channel: str = "content", **failed: Any) -> list[up.UpstreamEvent]:
    """An answer that breaks off."""
    facts: dict[str, Any] = {"code": "upstream_truncated", "message": "the connection broke off", "recoverable": True}
    facts |= failed
    return [*text(data, channel), up.Failed(**facts), up.ConnectionEnded(How.BROKEN)]


def refused(status: int, **more: Any) -> list[up.UpstreamEvent]:
    """An HTTP error."""
    recoverable = status in (408, 429) or status >= 500
    failed = up.Failed("upstream_refused", f"HTTP {status}", status=status, recoverable=recoverable, **more)
    return [failed, up.ConnectionEnded(How.BROKEN)]


def plan(schema: Any = None, retry: RetryPolicy | None = None, **body: Any) -> Plan:
    """A plan whose retries do not keep a test waiting."""
    body = {"model": "m", "messages": [{"role": "user", "content": "go"}], **body}
    if schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    return read_plan(json.dumps(body).encode(), Defaults(retry=retry or RetryPolicy(QUICK, capabilities=(ABLE,))))


class Story:
    """What the log says of a stream; checks what must hold of every log."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.texts: dict[str, bytes] = {}
        self.taken_back: dict[str, bytes] = {}
        sequences: dict[str, int] = {}
        for record in records:
            if record.kind == "restart":
                self.taken_back[record.channel] = self.texts.pop(record.channel)
            if record.kind == "delta":
                so_far = self.texts.get(record.channel, b"")
                assert record.start_byte == len(so_far), "no byte is lost, doubled or taken back"
                assert record.sequence == sequences.get(record.channel, 0), "chunks are counted without gaps"
                sequences[record.channel] = record.sequence + 1
                self.texts[record.channel] = so_far + record.text.encode()
        assert [record.kind for record in records].count("final") == 1
        assert records[-1].final is not None
        self.end: StreamEnd = records[-1].final

    @property
    def content(self) -> str:
        return self.texts.get("content", b"").decode()

    @property
    def begun(self) -> list[Attempt]:
        """The notes with which further attempts began."""
        return [record.attempt for record in self.records if record.attempt is not None]

    @property
    def steps(self) -> list[str]:
        return [attempt.step for attempt in self.begun]

    @property
    def errors(self) -> list[tuple[str, str]]:
        return [(error.code, error.action) for record in self.records for error in record.errors]


async def told(
    plan: Plan,
    provider: up.Provider,
    *,
    breakers: Breakers | None = None,
    meters: Meters | None = None,
    during: Callable[[Pump], Any] | None = None,
    rng: Callable[[], float] = random.random,
    trace: Trace | None = None,
    backpressure: Backpressure | None = None,
) -> Story:
    """Run a pump to its end; ``during`` is awaited beside it."""
    log = MemoryLog()
    await log.open()
    try:
        epoch = await log.create("s", b"", owner="test")
        pump = Pump(
            "s",
            plan,
            provider,
            log,
            meters or Meters(),
            epoch=epoch,
            breakers=breakers,
            rng=rng,
            trace=trace,
            backpressure=backpressure,
        )
        running = asyncio.create_task(pump.run())
        if during is not None:
            await during(pump)
        await running
        entries: list[LogEntry] = []
        while True:
            page = await log.read("s", entries[-1].offset if entries else START, max_bytes=2**20)
            if not page.entries:
                break
            entries += page.entries
        assert page.is_closed
        return Story([decode_record(entry.payload) for entry in entries])
    finally:
        await log.shut()
