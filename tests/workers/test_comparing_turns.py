"""Comparisons of schemas take seconds each: they leave room for new schemas, and only so many wait."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from lockgate.errors import BadRequest, Busy, LockgateError
from lockgate.workers import pool
from lockgate.workers.pool import WorkerLimits, WorkerPool
from lockgate.workers.process import Cause, WorkerDied
from lockgate.workers.schema_ask import SchemaAsk
from lockgate.workers.schema_diff import SchemaDiff
from tests.registry.rigs import Rig, person, read_id, rig


@pytest.mark.parametrize(
    ("processes", "together"), [pytest.param(n, k, id=str(n)) for n, k in ((1, 1), (2, 1), (3, 1), (4, 2))]
)
async def test_comparisons_have_half_of_the_processes_at_most(processes: int, together: int) -> None:
    workers = WorkerPool(WorkerLimits(processes=processes))
    inside = 0

    async def compare() -> None:
        nonlocal inside
        async with workers.comparing():
            inside += 1
            assert inside <= together
            await asyncio.sleep(0)
            inside -= 1

    async with asyncio.timeout(20):
        await asyncio.gather(*(compare() for _ in range(20)))


async def test_only_so_many_wait_and_the_others_are_told() -> None:
    workers = WorkerPool(WorkerLimits(processes=2))
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        await stack.enter_async_context(workers.comparing())
        waiting = [asyncio.create_task(_compare(workers)) for _ in range(pool._MAX_COMPARISONS)]
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="comparisons of schemas"):
            await _compare(workers)
        await stack.aclose()
        await asyncio.gather(*waiting)
        await _compare(workers)


async def _compare(workers: WorkerPool) -> None:
    async with workers.comparing():
        pass


COMPARING = {"covers", "example", "difference"}


def counted(made: Rig, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the queue of new schemas is called for what, from now on."""
    found: Counter[str] = Counter()
    call = made.workers.schemas.call

    async def counting(name: str, *args: object, cpu_s: int | None = None) -> object:
        found[name] += 1
        return await call(name, *args, cpu_s=cpu_s)

    monkeypatch.setattr(made.workers.schemas, "call", counting)
    return found


@pytest.mark.parametrize("ask", ["check", "takes", "difference"])
async def test_whoever_compares_waits_for_a_turn_and_new_schemas_do_not(
    ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig() as made, asyncio.timeout(50):
        first = (await made.add("x@1", person())).version
        await made.registry.set_rule(first.identity, "none")
        second = (await made.add("x@2", person(more={}))).version
        await made.registry.set_rule(first.identity, "full")
        identity, number = read_id("x@3")
        asked: dict[str, Callable[[], Awaitable[object]]] = {
            "check": lambda: made.registry.check(identity, number, json.dumps(person(most={})).encode()),
            "takes": lambda: made.registry.takes(first, second),
            "difference": lambda: made.registry.difference(first, second),
        }
        called = counted(made, monkeypatch)
        async with made.workers.comparing():
            comparing = asyncio.ensure_future(asked[ask]())
            for number_of_new in range(5):
                await made.schemas.find(SchemaAsk(json.dumps({"maxItems": number_of_new}).encode()))
            assert not COMPARING & called.keys()
        assert await comparing
        assert COMPARING & called.keys()


async def test_the_same_comparison_is_made_once_for_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig() as made, asyncio.timeout(50):
        first = (await made.add("x@1", person())).version
        await made.registry.set_rule(first.identity, "none")
        second = (await made.add("x@2", person(more={}))).version
        called = counted(made, monkeypatch)
        found = await asyncio.gather(*(made.registry.takes(second, first) for _ in range(8)))
        assert len(set(found)) == 1
        assert called["covers"] == 1


@pytest.mark.parametrize(
    ("cause", "error"),
    [
        pytest.param("time", BadRequest, id="time"),
        pytest.param("memory", BadRequest, id="memory"),
        pytest.param("outside", Busy, id="outside"),
    ],
)
async def test_a_difference_that_takes_too_much_is_refused(
    cause: Cause, error: type[LockgateError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one is answered all the same."""
    async with rig() as made, asyncio.timeout(50):
        version = (await made.add("x@1", person())).version

        async def died(*_args: object, **_more: object) -> object:
            raise WorkerDied("ended", cause)

        with monkeypatch.context() as patched:
            patched.setattr(made.workers.schemas, "call", died)
            with pytest.raises(error):
                await made.registry.difference(version, version)
        assert await made.registry.difference(version, version) == SchemaDiff(b"[]", "")
