"""Runs of the fault matrix: one stream each, from the simulator through a pump to a log."""

from __future__ import annotations

import asyncio
import json
import random
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

from lockgate import Violated
from lockgate.retry.breaker import Breakers, Thresholds
from lockgate.retry.failures import Occasion
from lockgate.retry.json_tokens import open_string
from lockgate.retry.ladder import Step
from lockgate.retry.outline import outline_of
from lockgate.retry.policy import RUNGS, RetryPolicy
from lockgate.sim.documents import CATALOGUE
from lockgate.sim.server import SimOptions, serve
from lockgate.streams.plan import Defaults, Plan
from lockgate.upstream.openai_chat import OpenAIChatProvider
from lockgate.upstream.timers import Timers
from tests.retry.cases import schema
from tests.streams.plans import read_plan
from tests.streams.pumping import ABLE, QUICK, Story, told

MATRIX = tomllib.loads((Path(__file__).parent / "fault_matrix.toml").read_text("utf-8"))
AT_ONCE = 4


@dataclass(frozen=True)
class Cell:
    """One combination of the matrix, and one run of it."""

    fault: str
    manner: str
    step: str
    recovery: str
    number: int

    @property
    def seed(self) -> str:
        return f"{self.fault}/{self.manner}/{self.step}/{self.recovery}/{self.number}"

    @property
    def must_complete(self) -> bool:
        has_all_rungs = self.recovery == "halt" or self.step == "ladder"
        return has_all_rungs and not self.is_loose and self.manner in MATRIX["must_complete"][self.step]

    @property
    def is_loose(self) -> bool:
        return self.fault in MATRIX["loose"]


def cells(runs: int, *, faults: list[str] | None = None, recovery: tuple[str, ...] = ("halt",)) -> Iterator[Cell]:
    """All runs of some faults."""
    chosen = (faults or MATRIX["faults"], MATRIX["manners"], MATRIX["steps"], recovery, range(runs))
    return (Cell(*one) for one in product(*chosen))


@dataclass(frozen=True)
class Result:
    """What became of a run; ``wrong`` says what should not have."""

    cell: Cell
    state: str
    steps: tuple[str, ...]
    exception: str
    wrong: str
    why: str = ""


def _plan(cell: Cell, rng: random.Random, size_bytes: int) -> tuple[Plan, str]:
    kind = rng.choice(MATRIX["kinds"])
    seed = rng.randrange(50)
    sim: dict[str, Any] = {"seed": seed, "size_bytes": size_bytes, "rate": 0, "key": cell.seed, "fault_attempts": 1}
    sim["faults"] = [{"name": cell.fault, "at_bytes": rng.randrange(size_bytes)}]
    sim["manners"] = [] if cell.manner == "none" else [cell.manner]
    wanted = {"name": kind, "strict": True, "schema": CATALOGUE[kind].schema}
    body: dict[str, Any] = {
        "model": f"sim/{kind}",
        "messages": [{"role": "user", "content": "go"}],
        "response_format": {"type": "json_schema", "json_schema": wanted},
        "sim": sim,
        "lockgate": {"recovery": cell.recovery},
    }
    rungs = RUNGS if cell.step == "ladder" else tuple(rung for rung in RUNGS if rung == cell.step)
    retry = RetryPolicy(
        replace(QUICK, max_attempts=6), on=frozenset(get_args(Occasion)), rungs=rungs, capabilities=(ABLE,)
    )
    original = CATALOGUE[kind].document(seed, size_bytes)
    return read_plan(json.dumps(body).encode(), Defaults(retry=retry)), original


async def run(cell: Cell, provider: OpenAIChatProvider, size_bytes: int) -> Result:
    rng = random.Random(cell.seed)
    plan, original = _plan(cell, rng, size_bytes)
    breakers = Breakers(Thresholds(consecutive=1000, rate=1.0, window=1000))
    story = await told(plan, provider, breakers=breakers)
    steps = tuple(one.step for one in story.end.attempts)
    wrong = _wrong(cell, story, original, steps)
    why = "; ".join(filter(None, (one.message for one in story.end.attempts)))
    return Result(cell, story.end.state, steps, _exception(cell, story), wrong, why)


def _wrong(cell: Cell, story: Story, original: str, steps: tuple[Step | str, ...]) -> str:
    """What must never be: text lost, doubled or taken back; a false complete; an incomplete that must be complete."""
    text = story.content
    if story.taken_back:
        return "taken back"
    gate = schema(_kind(story)).gate()
    if any(isinstance(event, Violated) and event.action == "halt" for event in gate.feed(text.encode())):
        return "not even prefix-valid"
    gate.close()
    is_whole = gate.state == "complete"
    if story.end.state == "complete" and not is_whole:
        return "complete, but it is not"
    if story.end.state != "complete" and cell.must_complete and not _exception(cell, story):
        return f"{story.end.state} ({story.end.reason}), but must be complete"
    is_same = "residual" not in steps and cell.recovery == "halt" and not cell.is_loose
    if not is_same:
        return ""
    is_white = cell.manner == "whitespace"  # it shifts white space, also inside strings, where nobody can tell
    if story.end.state == "complete":
        given, wanted = (_without_white(one) if is_white else json.loads(one) for one in (text, original))
        return "" if given == wanted else "complete, but not the document"
    return "" if _without_white(original).startswith(_without_white(text)) else "not the beginning of the document"


def _kind(story: Story) -> str:
    schema_id = next(record.schema for record in story.records if record.schema)
    return str(next(kind for kind in MATRIX["kinds"] if schema(kind).id == schema_id))


def _exception(cell: Cell, story: Story) -> str:
    """Which exception of the file applies to a run that is not complete; empty for none."""
    if story.end.state == "complete":
        return ""
    if any(end.skips or end.patches for end in story.end.channels.values()):
        return "changed"
    if cell.step != "residual":
        return ""
    if any("cannot write a document" in one.message for one in story.end.attempts):
        return "unwritable"
    opened = outline_of(story.content.encode()).open
    if opened[:1] == b'"':
        return "after_quote" if re.search(r"[\"\\\x00-\x1f\x7f].{0,3}\Z", open_string(opened)) else ""
    return "open_number" if opened and opened[:1] in b"-0123456789" else ""


def _without_white(text: str) -> str:
    return re.sub(r"\s+|\\n", "", text)


async def run_all(chosen: list[Cell], size_bytes: int, *, stall_s: float) -> list[Result]:
    """The runs, a few at a time, over one simulator; so much silence counts as a stall."""
    slots = asyncio.Semaphore(AT_ONCE)
    async with serve(SimOptions(port=0)) as sim:
        provider = OpenAIChatProvider(sim.base_url, name="sim", timers=Timers(stall_s, stall_s, stall_s), connect_s=30)

        async def one(cell: Cell) -> Result:
            async with slots:
                return await run(cell, provider, size_bytes)

        try:
            return list(await asyncio.gather(*map(one, chosen)))
        finally:
            await provider.close()


def table(results: list[Result]) -> str:
    """Runs and how many were complete, by step and manner; what was wrong, run by run."""
    total, whole = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for result in results:
        key = result.cell.step, result.cell.manner
        total[key] += 1
        whole[key] += result.state == "complete"
    lines = [f"{'':<12}" + "".join(f"{manner:>16}" for manner in MATRIX["manners"])]
    for step in MATRIX["steps"]:
        row = (f"{whole[step, manner]}/{total[step, manner]}" for manner in MATRIX["manners"])
        lines.append(f"{step:<12}" + "".join(f"{one:>16}" for one in row))
    excepted = Counter(result.exception for result in results if result.exception)
    states = Counter(result.state for result in results)
    lines.append(f"{len(results)} runs: {dict(states)}; excepted, as the file says: {dict(excepted)}")
    lines += [
        f"WRONG {result.cell.seed}: {result.wrong} {result.steps} {result.why}" for result in results if result.wrong
    ]
    return "\n".join(lines)
