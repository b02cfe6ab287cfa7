"""Streams, generations and pushes count for the registered version that they use: each once, while it is so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lockgate.errors import Busy, Code, StreamExists, TailMoved, UnknownSchemaVersion
from lockgate.registry.uses import VersionUse
from lockgate.store.base import Pushed
from lockgate.store.memory import MemoryLog
from lockgate.streams.opening import Wanted
from tests.registry.rigs import Rig, person, read_id, rig
from tests.streams.pumping import broken, clean
from tests.streams.test_pinning import ANSWER, ME, one_node

BODY = json.dumps({"lockgate": {"source": "push", "schema": "invoice@1"}}).encode()


def used(here: Rig, version_id: str = "invoice@1") -> VersionUse:
    return here.registry.uses.of(version_id)


def named(stream_id: str, text: str = "", schema: str = "") -> Wanted:
    options = json.dumps({"schema": "invoice@1"})
    return Wanted(
        stream_id, options, "application/json", body=json.dumps(text).encode() if text else b"", schema=schema
    )


async def test_each_way_to_open_a_stream_counts_once() -> None:
    """Asked for again, it is the same stream."""
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log) as node:
        await here.add("invoice@1", person())
        for _ in range(2):
            await node.opening.open(ME, BODY, key="once")
            await node.opening.open_named(ME, named("by-name"))
        assert used(here).streams == 2
        stream_id, _ = await node.open(schema="invoice@latest")
        await node.told(stream_id)
        assert used(here).streams == 3
        await node.open(schema=person(), source="push")
        assert used(here).streams == 3, "a schema that stands in the request is no version"


async def test_what_is_not_opened_is_not_counted() -> None:
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log) as node:
        await here.add("invoice@1", person())
        with pytest.raises(UnknownSchemaVersion):
            await node.open(schema="invoice@7")
        await node.owner.drain(0)
        with pytest.raises(Busy):
            await node.open(schema="invoice@1", source="push")
        assert used(here) == VersionUse()


@pytest.mark.parametrize("way", [clean, broken], ids=["complete", "broken off"])
async def test_a_generation_counts_while_it_runs(way: Any) -> None:
    log, seen = MemoryLog(), list[int]()

    def answer() -> Iterator[Any]:
        seen.append(used(here).running)
        yield from way(ANSWER)

    async with rig(log) as here, one_node(here, log) as node:
        await here.add("invoice@1", person())
        node.answer = answer()
        stream_id, _ = await node.open(schema="invoice@1")
        await node.told(stream_id)
        await node.owner.drain(60)
        assert (seen[0], used(here).running, used(here).streams) == (1, 0, 1)


async def test_pushes_count_for_the_version_that_they_state() -> None:
    """What says no version is no use of one; nor is a push that only closes."""
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log) as node:
        await here.add("invoice@1", person())
        await here.add("invoice@2", person(note={"type": "string"}))
        stream_id, _ = await node.open(schema="invoice@2", source="push", recovery="skip")
        for stated in ("invoice@2", "", "invoice@1", "invoice@7", "invoice@2.0.0"):
            await node.push(stream_id, " ", schema=stated)
        await node.push(stream_id, "", close=True, schema="invoice@2")
        assert (used(here, "invoice@2").accepted, used(here, "invoice@1").accepted) == (2, 1)
        assert here.registry.uses.unknown.refused == {Code.UNKNOWN_SCHEMA_VERSION: 1}
        other, _ = await node.open(schema="invoice@1", source="push")
        await node.push(other, "{", schema="invoice@2")
        assert used(here, "invoice@2").refused == {Code.INCOMPATIBLE_SCHEMA_VERSION: 1}


async def test_who_goes_on_with_a_retired_version_is_seen() -> None:
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log) as node:
        await here.add("invoice@1", person())
        await here.add("invoice@2", person(note={"type": "string"}))
        await here.registry.set_status(*read_id("invoice@1"), "retired")
        stream_id, _ = await node.open(schema="invoice@2", source="push")
        await node.push(stream_id, "{", schema="invoice@1")
        assert used(here).refused == {Code.UNKNOWN_SCHEMA_VERSION: 1}


async def test_the_first_push_counts_with_its_stream() -> None:
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log) as node:
        await here.add("invoice@1", person())
        for _ in range(2):
            await node.opening.open_named(ME, named("good", "{", schema="invoice@1"))
        await node.opening.open_named(ME, named("bad", "{", schema="invoice@7"))
        assert (used(here).streams, used(here).accepted) == (2, 1)
        assert here.registry.uses.unknown.refused == {Code.UNKNOWN_SCHEMA_VERSION: 1}


class Contested(MemoryLog):
    """Another node writes before each push, so many times."""

    contests = 0
    is_late = False

    async def create(self, stream_id: str, *args: Any, **options: Any) -> int:
        made = await super().create(stream_id, *args, **options)
        if stream_id == "race":
            raise StreamExists("the same request at another node was first")
        return made

    async def push(self, stream_id: str, payloads: Any, **options: Any) -> Pushed:
        if self.contests:
            self.contests -= 1
            raise TailMoved("somebody was first", tail=(0, 0))
        pushed = await super().push(stream_id, payloads, **options)
        return pushed._replace(is_new=not self.is_late)


async def test_a_push_counts_once_however_often_it_is_judged_or_sent() -> None:
    log = Contested()
    async with rig(log) as here, one_node(here, log) as node:
        await here.add("invoice@1", person())
        stream_id, _ = await node.open(schema="invoice@1", source="push")
        log.contests = 3
        for _ in range(2):
            await node.push(stream_id, "{", schema="invoice@1", seq=0)
        assert used(here).accepted == 1


async def test_a_stream_that_another_node_has_opened_is_not_counted_here() -> None:
    log = Contested()
    async with rig(log) as here, one_node(here, log) as node:
        await here.add("invoice@1", person())
        assert not (await node.opening.open_named(ME, named("race", "{", schema="invoice@1"))).is_new
        assert used(here) == VersionUse()


async def test_a_push_that_came_by_another_way_is_not_counted_here() -> None:
    """Its producer sent it to two nodes, and the other was first."""
    log = Contested()
    async with rig(log) as here, one_node(here, log) as node:
        await here.add("invoice@1", person())
        stream_id, _ = await node.open(schema="invoice@1", source="push")
        log.is_late = True
        await node.push(stream_id, "{", schema="invoice@1", seq=0)
        assert used(here).accepted == 0


async def test_a_push_that_is_not_written_is_not_counted() -> None:
    log = Contested()
    async with rig(log) as here, one_node(here, log) as node:
        await here.add("invoice@1", person())
        stream_id, _ = await node.open(schema="invoice@1", source="push")
        log.contests = 1000
        with pytest.raises(Busy):
            await node.push(stream_id, "{", schema="invoice@1")
        assert used(here).accepted == 0
