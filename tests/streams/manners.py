"""Runs of what upstreams really do: one stream each, from the simulator through a pump to a log, requests counted."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lockgate.retry.policy import RetryPolicy
from lockgate.sim.coats import COATS
from lockgate.sim.documents import CATALOGUE
from lockgate.sim.faults import PIECES, WRAPPINGS
from lockgate.sim.packing import PACKERS
from lockgate.sim.server import SimOptions, Simulator, serve
from lockgate.streams.plan import Defaults
from lockgate.upstream.openai_chat import OpenAIChatProvider
from lockgate.upstream.timers import Timers
from tests.streams.plans import read_plan
from tests.streams.pumping import QUICK, told

KIND = "poll"
SIZE_BYTES = 1500
#: Limits of silence: shorter after the first token than before it.
TIMERS = Timers(first_token_s=120, idle_bytes_s=8, idle_content_s=8)
SILENT_S = 9.0
AT_ONCE = 24


@dataclass(frozen=True)
class Run:
    """One stream: what goes wrong, and what must come of it."""

    fault: dict[str, Any]
    is_whole: bool  # complete, after one request; else never complete
    is_retried: bool = False  # whether another request may follow
    as_tool: bool = False

    @property
    def name(self) -> str:
        return json.dumps(self.fault)


@dataclass
class Came:
    """What came of it."""

    run: Run
    state: str
    requests: int
    messages: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> str:
        if self.run.is_whole:
            return "" if (self.state, self.requests) == ("complete", 1) else f"{self.state}, {self.requests} requests"
        if self.state == "complete" and self.requests == 1:
            return "complete, and it is not"
        return "" if self.run.is_retried or self.requests == 1 else f"{self.requests} requests"


def runs(places: int, rng: random.Random) -> Iterator[Run]:
    """All manners; those that strike at a byte, at so many bytes each."""

    def at() -> int:
        return rng.randrange(SIZE_BYTES * 2)  # also behind the end of the document

    for coat in COATS:
        for _ in range(places):
            yield Run({"name": "coated_error", "coat": coat, "at_bytes": at()}, is_whole=False, is_retried=True)
    words = ["tide_turned", "FINISH_REASON_OTHER", "max_tokens", "SAFETY", "abort", "insufficient_system_resource"]
    for word in words:
        is_error = word in ("FINISH_REASON_OTHER", "abort", "insufficient_system_resource")
        for _ in range(places):
            yield Run({"name": "finish_word", "word": word, "at_bytes": at()}, is_whole=False, is_retried=is_error)
    for _ in range(places):
        yield Run({"name": "length_then_stop", "at_bytes": at()}, is_whole=False)
    for name in ("finish_open", "finish_comments", "finish_reset", "odd_events", "junk_after", "mislabelled"):
        for as_tool in (False, True):
            yield Run({"name": name}, is_whole=True, as_tool=as_tool)
    yield Run({"name": "silent_start", "delay_s": SILENT_S}, is_whole=True)
    yield Run({"name": "slow_headers", "delay_s": SILENT_S}, is_whole=True)
    for form in WRAPPINGS:
        yield Run({"name": "wrapped", "form": form}, is_whole=True)
    for form in PIECES:
        yield Run({"name": "call_pieces", "form": form}, is_whole=True, as_tool=True)
    for encoding in PACKERS:
        yield Run({"name": "encoded", "encoding": encoding}, is_whole=True)


async def run(number: int, one: Run, sim: Simulator, provider: OpenAIChatProvider) -> Came:
    """One stream; the simulator says how often it was asked."""
    key = f"manners/{number}"
    schema = CATALOGUE[KIND].schema
    asked = {
        "key": key,
        "seed": number % 7,
        "size_bytes": SIZE_BYTES,
        "rate": 0,
        "faults": [one.fault],
        "fault_attempts": 1,
    }
    body: dict[str, Any] = {"model": f"sim/{KIND}", "messages": [{"role": "user", "content": "go"}], "sim": asked}
    if one.as_tool:
        body["tools"] = [{"type": "function", "function": {"name": "take_poll", "parameters": schema}}]
        body["tool_choice"] = "required"
    else:
        wanted = {"name": KIND, "strict": True, "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    retry = RetryPolicy(QUICK, rungs=("regenerate",))
    story = await told(read_plan(json.dumps(body).encode(), Defaults(retry=retry)), provider)
    requests = [record for record in sim.requests if record.key == key]
    messages = [error.message for record in story.records for error in record.errors]
    return Came(one, story.end.state, len(requests), messages)


async def run_all(chosen: list[Run]) -> list[Came]:
    """The runs, some at a time, over one simulator."""
    slots = asyncio.Semaphore(AT_ONCE)
    options = SimOptions(port=0, kept_requests=10 * len(chosen))
    async with serve(options) as sim:
        provider = OpenAIChatProvider(sim.base_url, name="sim", timers=TIMERS)

        async def one(number: int, run_: Run) -> Came:
            async with slots:
                return await run(number, run_, sim, provider)

        try:
            return list(await asyncio.gather(*(one(number, run_) for number, run_ in enumerate(chosen))))
        finally:
            await provider.close()
