"""Registered schemas: immutable, the same at all nodes, compared with their neighbours before they are taken."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from lockgate.errors import (
    BadRequest,
    IncompatibleSchemaVersion,
    RegistryFailing,
    SchemaVersionTaken,
    StoreFailing,
    UnknownSchemaVersion,
)
from lockgate.registry.registry import RegistryOptions
from lockgate.registry.versions import parse_version
from lockgate.store.base import Page
from lockgate.store.memory import MemoryLog
from lockgate.workers.schema_ask import SchemaAsk
from tests.redis_server import need_redis
from tests.registry.rigs import INVOICE, person, read_id, rig
from tests.store.logs import make, opened

NOTE = {"note": {"type": "string"}}
FREE = RegistryOptions("none")


async def test_a_version_never_changes() -> None:
    """The same content again is no conflict, however it is written; another one is, and says what is there."""
    async with rig() as here:
        first = await here.add("invoice@1", person())
        again = await here.registry.add(INVOICE, parse_version("1"), json.dumps(person(), indent=4).encode())
        assert (first.is_new, again.is_new, again.version) == (True, False, first.version)
        with pytest.raises(SchemaVersionTaken, match=f"sha256:{first.version.sha256}") as taken:
            await here.add("invoice@1", person(**NOTE))
        assert taken.value.sha256 == first.version.sha256
        assert json.loads((await here.registry.find("invoice@1")).text) == person()


async def test_all_nodes_know_a_version_at_once() -> None:
    async with rig() as here:
        other = here.node()
        with pytest.raises(UnknownSchemaVersion, match="there is no schema invoice"):
            await other.find("invoice@1")
        await here.add("invoice@1", person())
        assert (await other.find("invoice@1")).id == "invoice@1"


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
async def test_of_a_race_one_wins(kind: str, tmp_path: Path) -> None:
    """20 nodes register one version at once, each with a content of its own: 19 are told the winner's hash.

    Each has the log open for itself, as processes have it, but for the one in memory.
    """
    if kind == "redis":
        need_redis()
    async with contextlib.AsyncExitStack() as stack:
        log = await stack.enter_async_context(opened(make(kind, tmp_path)))
        here = await stack.enter_async_context(rig(log))
        others = [] if kind == "memory" else [make(kind, tmp_path) for _ in range(19)]
        for other in others:
            await stack.enter_async_context(opened(other))
        nodes = [here.node(other) for other in [log, *(others or [log] * 19)]]
        version = parse_version("1")
        contents = [json.dumps(person(**{f"member_{at}": {}})).encode() for at in range(20)]
        answers = await asyncio.gather(
            *(node.add(INVOICE, version, text) for node, text in zip(nodes, contents, strict=True)),
            return_exceptions=True,
        )
        winners = [one for one in answers if not isinstance(one, BaseException)]
        losers = [one for one in answers if isinstance(one, SchemaVersionTaken)]
        assert (len(winners), len(losers)) == (1, 19)
        assert {loser.sha256 for loser in losers} == {winners[0].version.sha256}
        assert {(await node.find("invoice@1")).sha256 for node in nodes} == {winners[0].version.sha256}


async def test_names_mean_the_best_version_that_is_in_use() -> None:
    """The highest active one; else the highest deprecated one; never a retired one."""
    async with rig(options=FREE) as here:
        for version in ("1.0.0", "1.1.0", "2.0.0"):
            await here.add(f"invoice@{version}", person(**{f"of_{version}": {}}))

        async def best(versions: str) -> str:
            return (await here.registry.find(f"invoice@{versions}")).id

        assert [await best(one) for one in ("latest", "^1", "1.0", ">=1 <3")] == [
            *("invoice@2.0.0", "invoice@1.1.0", "invoice@1.0.0", "invoice@2.0.0")
        ]
        await here.registry.set_status(INVOICE, parse_version("2.0.0"), "deprecated")
        assert await best("latest") == "invoice@1.1.0"
        assert await best("2") == "invoice@2.0.0"
        await here.registry.set_status(INVOICE, parse_version("2.0.0"), "retired")
        with pytest.raises(UnknownSchemaVersion, match=r"is retired.*there is 1.0.0, 1.1.0"):
            await best("2")


@pytest.mark.parametrize(
    ("rule", "before", "after", "refused"),
    [
        pytest.param("backward", person(), person(**NOTE), "", id="backward: an optional member more"),
        pytest.param("backward", person(**NOTE), person(), "does not take all", id="backward: a member less"),
        pytest.param("forward", person(), person(**NOTE), "does not take all", id="forward: an optional member more"),
        pytest.param("forward", person(**NOTE), person(), "", id="forward: a member less"),
        pytest.param("full", person(), person(**NOTE), "does not take all", id="full: an optional member more"),
        pytest.param("full", person(), {**person(), "title": "A person"}, "", id="full: a title"),
        pytest.param("none", person(), {"type": "array"}, "", id="none: anything"),
    ],
)
async def test_the_rule_of_a_name_holds(rule: Any, before: Any, after: Any, refused: str) -> None:
    """A refusal shows a document."""
    async with rig() as here:
        await here.registry.set_rule(INVOICE, rule)
        await here.add("invoice@1", before)
        if not refused:
            assert (await here.add("invoice@2", after)).is_new
            return
        with pytest.raises(IncompatibleSchemaVersion, match=f'{refused}.*for example {{"name"'):
            await here.add("invoice@2", after)


async def test_a_transitive_rule_looks_at_all_versions() -> None:
    """1 to 2 and 2 to 3 may each be allowed where 1 to 3 is not, once 2 is not looked at."""
    first, third = person(**NOTE), person()
    async with rig() as here:
        await here.registry.set_rule(INVOICE, "none")
        await here.add("invoice@1", first)
        await here.add("invoice@2", third)
        await here.registry.set_rule(INVOICE, "backward")
        assert (await here.add("invoice@3", {**third, "title": "3"})).is_new
        await here.registry.set_rule(INVOICE, "backward_transitive")
        with pytest.raises(IncompatibleSchemaVersion, match="invoice@4 does not take all that invoice@1 takes"):
            await here.add("invoice@4", {**third, "title": "4"})
        await here.registry.set_status(INVOICE, parse_version("1"), "retired")
        assert (await here.add("invoice@4", {**third, "title": "4"})).is_new, "retired versions do not count"


async def test_a_version_between_two_is_held_to_both() -> None:
    async with rig() as here:
        await here.add("invoice@1.0.0", person())
        await here.add("invoice@2.0.0", person(**NOTE))
        with pytest.raises(IncompatibleSchemaVersion, match=r"invoice@2\.0\.0 does not take all that invoice@1\.5\.0"):
            await here.add("invoice@1.5.0", person(other={}))


@pytest.mark.parametrize(
    ("version_id", "schema", "hint"),
    [
        pytest.param("invoice@2", False, "no document can satisfy", id="nothing satisfies it"),
        pytest.param("invoice@2", {"type": "text"}, "cannot be registered", id="no schema"),
        pytest.param("invoice@2", [1], "a schema is a JSON object", id="an array"),
        pytest.param("invoice@1.0.0", person(), "are counts, like 1", id="another way to count"),
        pytest.param("invoice@2", {"$ref": "lockgate:money@^1"}, "must be a count", id="a reference to a range"),
        pytest.param("invoice@2", {"$ref": "lockgate:money"}, "must name one version", id="a reference to no version"),
        pytest.param("invoice@2", {"$ref": "https://example.com/x"}, "cannot be registered", id="outside"),
    ],
)
async def test_what_cannot_be_registered_is_refused(version_id: str, schema: Any, hint: str) -> None:
    async with rig(options=FREE) as here:
        await here.add("invoice@1", person())
        with pytest.raises(BadRequest, match=hint):
            await here.add(version_id, schema)


async def test_schemas_refer_to_each_other_through_the_registry() -> None:
    """What a schema needs comes with it; a reference to what is not there is refused."""
    async with rig() as here:
        invoice = {"type": "object", "properties": {"sum": {"$ref": "lockgate:money@1"}}, "required": ["sum"]}
        with pytest.raises(UnknownSchemaVersion, match="there is no schema money"):
            await here.add("invoice@1", invoice)
        await here.add("money@1", {"type": "integer", "minimum": 0})
        await here.add("invoice@1", invoice)
        found = await here.registry.find("invoice@1")
        assert json.loads(found.text) == invoice, "as it was registered"
        document = here.registry.document(found)
        schema = await here.schemas.find(SchemaAsk(document))
        assert json.loads(schema.text)["$defs"]["lockgate:money@1"]["minimum"] == 0
        narrow = {**invoice, "properties": {"sum": {"type": "integer", "minimum": 5}}}
        with pytest.raises(IncompatibleSchemaVersion, match=r"for example \{.sum.: [0-4]}"):
            await here.add("invoice@2", narrow)


class Failing(MemoryLog):
    """A log that does not answer for the registry once it is told so."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble = ""

    async def read(self, stream_id: str, *args: Any, **options: Any) -> Page:
        if self.trouble and stream_id.startswith("lockgate/"):
            if self.trouble == "slow":
                await asyncio.Event().wait()
            raise StoreFailing("the disk is full")
        return await super().read(stream_id, *args, **options)


@pytest.mark.parametrize(
    ("trouble", "hint"),
    [pytest.param("down", "the disk is full", id="down"), pytest.param("slow", "for 0.05 s", id="slow")],
)
async def test_a_registry_that_does_not_answer_says_so(trouble: str, hint: str) -> None:
    log = Failing()
    async with rig(log, RegistryOptions(timeout_s=0.05)) as here:
        await here.add("invoice@1", person())
        log.trouble = trouble
        other = here.node()
        for action in (other.find("invoice@1"), other.add(*read_id("invoice@2"), b"{}")):
            with pytest.raises(RegistryFailing, match=hint):
                await action
        log.trouble = ""
        assert (await other.find("invoice@1")).id == "invoice@1"
