"""Every way in which a generation is stopped, seen from the provider's side: it notices, and what it cost is told."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from lockgate.errors import Code
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import StreamEnd, decode_record
from lockgate.protocol.offsets import START
from lockgate.sim.documents import CATALOGUE
from lockgate.sim.record import RequestRecord as Request
from lockgate.sim.record import RequestState
from lockgate.sim.server import SimOptions, Simulator, serve
from lockgate.store.base import Page
from lockgate.store.memory import MemoryLog
from lockgate.streams.meta import StreamMeta
from lockgate.streams.owner import StreamOwner
from lockgate.streams.plan import Plan
from lockgate.streams.tokens import new_stream_id
from lockgate.upstream.billing import billing_of
from lockgate.upstream.openai_chat import OpenAIChatProvider
from tests.streams.plans import read_plan

ABANDON_S = 0.05


@dataclass
class Site:
    """A node's streams, its log, and the simulated provider before it."""

    owner: StreamOwner
    log: MemoryLog
    sim: Simulator
    meters: Meters

    async def pages(self, stream_id: str) -> AsyncGenerator[Page, None]:
        """What the log has, and what comes."""
        after = START
        async with self.log.watch(stream_id) as news:
            while True:
                news.clear()
                page = await self.log.read(stream_id, after, max_bytes=10**7)
                if page.entries:
                    after = page.entries[-1].offset
                    yield page
                if page.is_closed and after.records == page.tail.records:
                    return
                await news.wait()

    async def end_of(self, stream_id: str) -> StreamEnd:
        """The final record, as soon as it is there."""
        async with contextlib.aclosing(self.pages(stream_id)) as pages:
            async for page in pages:
                final = decode_record(page.entries[-1].payload).final
                if final is not None:
                    return final
        raise AssertionError("a closed log ends with its final record")

    async def create(self, plan: Plan) -> str:
        """Start a stream; its id."""
        stream_id = new_stream_id()
        await self.owner.generate(stream_id, StreamMeta(), plan)
        return stream_id

    async def begun(self, stream_id: str) -> Request:
        """The provider's side of a stream, once something of it was released."""
        async with contextlib.aclosing(self.pages(stream_id)) as pages:
            await anext(pages)
        return self.sim.requests[-1]


@contextlib.asynccontextmanager
async def site(name: str = "openai") -> AsyncIterator[Site]:
    async with serve(SimOptions(port=0)) as sim:
        provider = OpenAIChatProvider(sim.base_url, name=name, api_key="sk-secret-of-this-test")
        meters, log = Meters(), MemoryLog()
        owner = StreamOwner(log, provider, meters, max_open=100, abandon_after_s=ABANDON_S)
        await owner.start()
        try:
            yield Site(owner, log, sim, meters)
        finally:
            await owner.drain(0)
            await owner.stop()


def asked(**sim: Any) -> Plan:
    """A long document, written slowly."""
    body = {
        "model": "sim/products",
        "messages": [{"role": "user", "content": "go"}],
        "max_tokens": 10_000,
        "user": "user_0123456789ABCDEF",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "products", "schema": CATALOGUE["products"].schema},
        },
        "sim": {"rate": 400, "size_bytes": 200_000, **sim},
    }
    return read_plan(json.dumps(body).encode())


async def by_caller(place: Site, stream_id: str) -> None:
    assert place.owner.interrupt(stream_id, Code.CANCELLED)


async def by_leaving(place: Site, stream_id: str) -> None:
    place.owner.reader_came(stream_id)
    place.owner.readers_left(stream_id)


async def by_shutdown(place: Site, _stream_id: str) -> None:
    await place.owner.drain(0)


async def by_deadline(place: Site, stream_id: str) -> None:
    place.owner._pumps[stream_id][0].interrupt(Code.DEADLINE_PASSED)  # as the timer does, but only now


async def by_itself(_place: Site, _stream_id: str) -> None:
    pass


#: name -> what is asked for, who stops it, the state, the reason.
CASES: dict[str, tuple[Plan, Callable[[Site, str], Awaitable[None]], str, str]] = {
    "violation": (asked(fault="wrong_type", at_bytes=1000), by_itself, "halted", "schema_violation"),
    "cancel": (asked(), by_caller, "cancelled", "cancelled"),
    "abandoned": (asked(), by_leaving, "cancelled", "abandoned"),
    "deadline": (asked(), by_deadline, "failed", "deadline_passed"),
    "shutdown": (asked(), by_shutdown, "failed", "owner_gone"),
}


async def stopped(case: str) -> tuple[StreamEnd, Request, str]:
    """One stream that is stopped: its final record, the provider's record, the metrics."""
    plan, stop, _, _ = CASES[case]
    async with site() as place:
        stream_id = await place.create(plan)
        request = await place.begun(stream_id)
        await stop(place, stream_id)
        end = await place.end_of(stream_id)
        await request.ended.wait()
        return end, request, place.meters.exposition().decode()


@pytest.mark.parametrize("case", CASES)
async def test_the_provider_sees_it_and_the_log_says_what_it_cost(case: str) -> None:
    _, _, state, reason = CASES[case]
    end, request, metrics = await stopped(case)
    assert (end.state, end.reason) == (state, reason)
    assert request.state is RequestState.LEFT
    assert request.sent_bytes < request.total_bytes / 2, "it was stopped, not read to its end"
    assert end.stopped is not None
    assert end.stopped.billing == "stops"
    assert 0 < end.stopped.tokens_spent < 10_000
    assert end.stopped.is_estimate, "usage comes at the end, which never came"
    assert end.stopped.tokens_saved_at_most == 10_000 - end.stopped.tokens_spent
    label = "violation" if case == "violation" else reason
    assert f'lockgate_upstream_stopped_total{{reason="{label}"}} 1.0' in metrics


async def test_a_reader_who_comes_back_in_time_keeps_it_alive() -> None:
    async with site() as place:
        stream_id = await place.create(asked(size_bytes=3000, rate=4000))
        place.owner.readers_left(stream_id)
        place.owner.reader_came(stream_id)
        assert (await place.end_of(stream_id)).state == "complete"


async def test_where_the_bill_goes_on_that_is_said() -> None:
    for name, billing in (
        ("Google AI Studio", "continues"), ("Groq", "continues"), ("Mistral", "continues"), ("OpenAI", "stops"),
        ("Anthropic", "stops"), ("somebody", "unknown"), (None, "unknown"),
    ):  # fmt: skip
        assert billing_of(name) == billing
    async with site("groq") as place:
        stream_id = await place.create(asked())
        await place.begun(stream_id)
        place.owner.interrupt(stream_id, Code.CANCELLED)
        end = await place.end_of(stream_id)
    assert end.stopped is not None
    # Who answered goes before the name in the settings.
    assert (end.provider, end.stopped.billing) == ("Simulator", "stops")


async def test_neither_key_nor_user_stand_in_the_log() -> None:
    async with site() as place:
        stream_id = await place.create(asked(fault="error_event", at_bytes=500))
        await place.end_of(stream_id)
        page = await place.log.read(stream_id, START, max_bytes=10**7)
        head = await place.log.head(stream_id)
        everything = head.meta + b"".join(entry.payload for entry in page.entries)
    assert b"upstream_failed" in everything
    for secret in (b"sk-secret-of-this-test", b"user_0123456789ABCDEF", b"user_id"):
        assert secret not in everything


@pytest.mark.acceptance
async def test_how_long_it_takes() -> None:
    """From the decision to the provider's side of the connection: 50 ms at the most, by the simulator's clock."""

    async def one(case: str) -> float:
        plan, stop, _, _ = CASES[case]
        async with site() as place:
            stream_id = await place.create(plan)
            request = await place.begun(stream_id)
            decided: list[float] = []
            pump = place.owner._pumps[stream_id][0]
            interrupt, give_end = pump.interrupt, pump._append_all_but_halts

            def noted(why: Any) -> None:
                decided.append(time.monotonic())
                interrupt(why)

            async def noted_halt(records: Any) -> None:
                decided.append(time.monotonic())
                await give_end(records)

            pump.interrupt = noted  # type: ignore[method-assign]
            if case == "violation":
                pump._append_all_but_halts = noted_halt  # type: ignore[method-assign]
            await stop(place, stream_id)
            await request.ended.wait()
            assert request.ended_s is not None
            return request.ended_s - decided[0] if decided else 0.0

    print()
    for case in CASES:
        took = sorted([await one(case) * 1000 for _ in range(50)])
        print(f"{case}: median {took[25]:.2f} ms, longest {took[-1]:.2f} ms of 50")
        assert took[-1] < 50
