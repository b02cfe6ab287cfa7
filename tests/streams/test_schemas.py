"""Schemas of streams: weighed before anything is made of them, joined, remembered, and judged where it is safe."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from lockgate import Limits
from lockgate.errors import Busy, SchemaError, SchemaTooComplex
from lockgate.gate.compiled import SchemaSource
from lockgate.streams.gates import GateThere, JudgeLost
from lockgate.streams.schemas import SchemaHere, Schemas, SchemaThere, Unsatisfiable
from lockgate.workers.pool import WorkerLimits, WorkerPool
from lockgate.workers.process import WorkerDied
from lockgate.workers.schema_ask import GateOptions, SchemaAsk
from tests.workers.test_workers import ask, costly

ROWS = {
    "type": "object",
    "properties": {"rows": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}},
    "required": ["rows"],
}
#: Judged in a process of its own: nobody can say beforehand what an ``unevaluated…`` inside itself costs.
_TREE = {**ROWS, "$defs": {"n": {"properties": {"a": {"$ref": "#/$defs/n"}}, "unevaluatedProperties": False}}}
HEAVY = {**_TREE, "properties": {**ROWS["properties"], "tree": {"$ref": "#/$defs/n"}}}  # type: ignore[dict-item]


@asynccontextmanager
async def running(limits: WorkerLimits | None = None) -> AsyncIterator[tuple[Schemas, WorkerPool]]:
    workers = WorkerPool(limits or WorkerLimits(processes=1))
    schemas = Schemas(workers)
    try:
        yield schemas, workers
    finally:
        schemas.stop()
        await workers.stop()


class Counted:
    """A queue that counts what is asked of it."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self.asked: list[str] = []

    async def call(self, name: str, *args: Any, **options: Any) -> Any:
        self.asked.append(name)
        return await self._queue.call(name, *args, **options)

    async def stop(self) -> None:
        await self._queue.stop()


async def test_requests_for_the_same_new_schema_wait_for_one_answer_which_is_remembered() -> None:
    async with running() as (schemas, workers):
        workers.schemas = counted = Counted(workers.schemas)  # type: ignore[assignment]
        first, *others = await asyncio.gather(*(schemas.find(ask(ROWS)) for _ in range(20)))
        assert all(one is first for one in others)
        assert await schemas.find(ask(ROWS)) is first
        for _ in range(2):
            with pytest.raises(SchemaError):
                await schemas.find(ask({"type": "nothing"}))
            with pytest.raises(Unsatisfiable):
                await schemas.find(ask({"allOf": [{"type": "string"}, {"type": "integer"}]}))
        assert counted.asked.count("weigh") == 3


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    async with running() as (schemas, _):
        waiting = [asyncio.create_task(schemas.find(ask(ROWS))) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        assert isinstance(await waiting[1], SchemaHere)


async def test_known_schemas_wait_for_no_new_one() -> None:
    """All workers are busy with what takes long; a schema that was seen before is there at once."""
    async with running(WorkerLimits(processes=1, cpu_s=60)) as (schemas, workers):
        known = await schemas.find(ask(ROWS))
        slow = asyncio.create_task(
            workers.schemas.call("complaint", ask(costly()).compile().source, json.dumps([1] * 400_000).encode())
        )
        new = asyncio.create_task(schemas.find(ask({"type": "array"})))
        await asyncio.sleep(0)
        found = schemas.find(ask(ROWS))
        with pytest.raises(StopIteration) as answer:
            found.send(None)  # it waits for nothing
        assert answer.value.value is known
        assert not new.done()
        slow.cancel()
        assert isinstance(await new, SchemaHere)


async def test_too_many_new_schemas_at_once_are_asked_to_come_back() -> None:
    async with running() as (schemas, _):
        asked = (schemas.find(ask({"const": number})) for number in range(400))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert any(isinstance(one, Busy) for one in answers)
        assert all(isinstance(one, SchemaHere | Busy) for one in answers)
        assert isinstance(await schemas.find(ask({"const": 399})), SchemaHere)  # that it was busy is not remembered


@pytest.fixture(scope="module")
def wide() -> SchemaAsk:
    """A schema of four megabytes; made outside the event loop, which it would block for long enough to fail."""
    return ask({"properties": {f"p{number}": {"type": "string", "title": "x" * 20} for number in range(45_000)}})


async def test_a_schema_that_takes_too_long_is_too_complex(wide: SchemaAsk) -> None:
    async with running(WorkerLimits(processes=1, cpu_s=1)) as (schemas, _):
        with pytest.raises(SchemaTooComplex, match="compiling it took more than 1 s of CPU time"):
            await schemas.find(wide)


# -- where gates are ---------------------------------------------------------------------------------------------------


def pieces(text: bytes, rng: random.Random) -> list[bytes]:
    cuts = sorted(rng.sample(range(1, len(text)), 4))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


TEXTS = [
    b'{"rows": [{"n": 1}, {"n": 2}]}',
    b'{"rows": [{"n": 1}, {"n": "x"}, {"n": 3}], "tree": {"a": {}}}',
    b'{"rows": [], "tree": {"a": {"b": 1}}}',
    b'{"rows": [{"n": 1}, {"n": ',
    b"{'rows': [{'n': 1},]}",
    b"nothing",
]


@pytest.mark.parametrize("recovery", ["halt", "skip", "patch"])
@pytest.mark.parametrize("elements", [None, "/rows"])
async def test_a_gate_elsewhere_says_what_one_here_says(recovery: Any, elements: str | None) -> None:
    rng = random.Random(f"{recovery} {elements}")
    options = GateOptions(recovery, elements=elements)
    async with running() as (schemas, workers):
        there = await schemas.find(ask(HEAVY))
        assert isinstance(there, SchemaThere)
        here = SchemaHere(ask(HEAVY).compile())
        assert (here.id, json.loads(here.text)) == (there.id, json.loads(there.text))
        for text in TEXTS:
            gates = [here.gate(options), there.gate(options)]
            for piece in pieces(text, rng):
                events = [await gate.feed(piece) for gate in gates]
                assert events[0] == events[1]
                seen = [(gate.state, gate.held_bytes, gate.authority) for gate in gates]
                assert seen[0] == seen[1]
                if gates[0].state == "open":
                    assert gates[0].could_end() == gates[1].could_end()
            clean = rng.random() < 0.5
            assert await gates[0].decide() == await gates[1].decide()
            assert await gates[0].close(clean=clean) == await gates[1].close(clean=clean)
            assert gates[0].state == gates[1].state
            for gate in gates:
                gate.drop()
        assert not workers.heavy(ask(HEAVY).key).gates
        assert await there.is_live(options, b'{"rows": [', b'{"n":') is await here.is_live(
            options, b'{"rows": [', b'{"n":'
        )


async def test_a_death_ends_the_gates_of_that_schema_only_and_the_next_one_works() -> None:
    async with running() as (schemas, workers):
        there = await schemas.find(ask(HEAVY))
        other = await schemas.find(ask({**HEAVY, "title": "another"}))
        gate, beside = there.gate(GateOptions()), other.gate(GateOptions())
        assert isinstance(gate, GateThere)
        await gate.feed(b'{"rows"')
        await beside.feed(b'{"rows"')
        await (await workers.heavy(ask(HEAVY).key).worker()).stop()
        with pytest.raises(JudgeLost):
            await gate.feed(b": []}")
        assert await gate.close(clean=True) == []
        assert gate.state == "open"  # and so never complete
        gate.drop()
        await beside.feed(b": []}")
        await beside.close(clean=True)
        assert beside.state == "complete"
        again = there.gate(GateOptions())
        await again.feed(b'{"rows": []}')
        await again.close(clean=True)
        assert again.state == "complete"


async def test_there_are_only_so_many_heavy_schemas_at_once_and_idle_ones_make_room() -> None:
    async with running(WorkerLimits(processes=1, heavy=2)) as (schemas, _):
        found = [await schemas.find(ask({**HEAVY, "title": str(number)})) for number in range(3)]
        gates = [one.gate(GateOptions()) for one in found]
        await gates[0].feed(b"{")
        await gates[1].feed(b"{")
        with pytest.raises(Busy, match=r"workers\.heavy"):
            await gates[2].feed(b"{")
        gates[0].drop()
        await found[2].gate(GateOptions()).feed(b"{")


async def test_a_heavy_schema_that_is_being_asked_makes_no_room() -> None:
    async with running(WorkerLimits(processes=1, heavy=1)) as (schemas, _):
        found = [await schemas.find(ask({**HEAVY, "title": str(number)})) for number in range(2)]
        asking = asyncio.create_task(found[0].is_live(GateOptions(), b"{", b'"rows": ['))
        await asyncio.sleep(0)
        with pytest.raises(Busy, match=r"workers\.heavy"):
            await found[1].refuse(GateOptions())
        assert await asking
        await found[1].refuse(GateOptions())


class Ended:
    """A queue whose processes are ended from outside, each time."""

    async def call(self, *_: Any, **__: Any) -> Any:
        raise WorkerDied("ended with status -9", "outside")


async def test_a_worker_that_is_ended_from_outside_is_held_against_no_schema() -> None:
    async with running() as (schemas, workers):
        queue, workers.schemas = workers.schemas, Ended()  # type: ignore[assignment]
        with pytest.raises(Busy, match="from outside"):
            await schemas.find(ask(ROWS))
        workers.schemas = queue
        assert isinstance(await schemas.find(ask(ROWS)), SchemaHere)


@pytest.mark.parametrize(
    ("schema", "is_light"),
    [
        (ROWS, True),
        (HEAVY, False),
        (costly(8), True),
        (costly(12), False),
        ({"description": "x" * 100_000}, False),
        ({"pattern": "^(a{0,100}b){0,100}$"}, True),
        ({"allOf": [{"pattern": f"^(a{{0,100}}{number}){{0,100}}$"} for number in range(4)]}, False),
    ],
)
def test_what_is_light(schema: Any, is_light: bool) -> None:
    assert ask(schema).compile().weight.is_light is is_light


def test_what_was_compiled_unchecked_is_weighed_all_the_same() -> None:
    light = ask({**ROWS, "title": "compiled unchecked"})
    SchemaSource(light.schema.decode(), 2020, formats=True, registry={}).compile()
    assert light.compile().weight.is_light


def test_a_key_tells_all_that_matters() -> None:
    one = SchemaAsk(b"{}")
    others = [replace(one, draft=7), replace(one, formats="false"), replace(one, limits=Limits(max_depth=9))]
    assert len({one.key, *(other.key for other in others)}) == 4
    assert replace(one).key == one.key
