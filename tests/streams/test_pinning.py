"""Streams that name a registered schema: found when they are opened, and theirs from then on."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lockgate.errors import BadRequest, NotOffered, RegistryFailing, UnknownSchemaVersion
from lockgate.keys.caller import Caller
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Record, decode_record
from lockgate.protocol.offsets import START
from lockgate.registry.registry import RegistryOptions
from lockgate.retry.policy import NO_RETRY, RetryPolicy
from lockgate.store.base import Producer
from lockgate.store.memory import MemoryLog
from lockgate.streams.meta import decode_meta
from lockgate.streams.opening import Opening
from lockgate.streams.owner import StreamOwner
from lockgate.streams.plan import Defaults
from lockgate.streams.pushed_streams import Push, PushedStreams
from lockgate.upstream.base import Provider
from tests.registry.rigs import Rig, person, rig
from tests.registry.test_registry import Failing
from tests.streams.pumping import Scripted, clean

ME = Caller("me")
ANSWER = '{"name": "A"}'


class OneNode:
    """What one process has of streams, with registered schemas.

    Attributes:
        asked: Bodies that the provider was sent.
        answer: What it answers, or what gives that.
    """

    answer: Any = clean(ANSWER)

    def __init__(
        self,
        here: Rig,
        log: MemoryLog,
        *,
        has_registry: bool = True,
        retry: RetryPolicy = NO_RETRY,
        provider: Provider | None = None,
        **options: Any,
    ) -> None:
        registry = here.registry if has_registry else None
        self.log, self.asked = log, list[Any]()
        generating = here.registry.uses.running
        self.meters = Meters()
        self.owner = StreamOwner(
            log,
            provider or Scripted(self._answer),
            self.meters,
            max_open=10,
            generating=generating,
            registry=registry,
            **options,
        )
        self.pushed = PushedStreams(log, self.meters, here.schemas, registry)
        defaults = Defaults(retry=retry)
        self.opening = Opening(log, self.owner, self.pushed, here.schemas, defaults, registry=registry)

    def _answer(self, body: Any, _number: int) -> Any:
        self.asked.append(body)
        return self.answer() if callable(self.answer) else self.answer

    async def open(self, response_format: Any = None, **options: Any) -> tuple[str, str]:
        """Id of a new stream, and of its schema."""
        body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "go"}], "lockgate": options}
        if response_format is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": response_format}
        opened = await self.opening.open(ME, json.dumps(body).encode())
        return opened.stream_id, opened.meta.schema

    async def push(self, stream_id: str, text: str, *, close: bool = False, schema: str = "", seq: int = -1) -> None:
        producer = Producer("me", 0, seq) if seq >= 0 else None
        meta = decode_meta((await self.log.head(stream_id)).meta)
        await self.pushed.push(stream_id, meta, Push(text, close, producer, schema=schema))

    async def told(self, stream_id: str) -> tuple[str, str, set[str]]:
        """The text, how it ended, and the schemas of its chunks, once it is over."""
        records = await self.records(stream_id)
        final = records[-1].final
        assert final is not None
        return "".join(one.text for one in records), final.state, {one.schema for one in records if one.text}

    async def records(self, stream_id: str) -> list[Record]:
        """All of a stream, once it is over."""
        async with asyncio.timeout(60), self.log.watch(stream_id) as news:
            while True:
                news.clear()
                page = await self.log.read(stream_id, START, max_bytes=10**6)
                if page.is_closed:
                    break
                await news.wait()
        return [decode_record(entry.payload) for entry in page.entries]


@contextlib.asynccontextmanager
async def one_node(here: Rig, log: MemoryLog, **options: Any) -> AsyncIterator[OneNode]:
    node = OneNode(here, log, **options)
    try:
        yield node
    finally:
        await node.owner.drain(0)
        await node.owner.stop()


@pytest.mark.parametrize(
    ("response_format", "options"),
    [
        pytest.param(None, {"schema": "invoice@latest"}, id="lockgate.schema"),
        pytest.param({"name": "invoice@1"}, {}, id="the name of the response format"),
        pytest.param({"name": "invoice@1", "schema": person()}, {}, id="with the same schema beside it"),
    ],
)
async def test_a_generation_is_judged_by_the_version_that_it_names(response_format: Any, options: Any) -> None:
    """The provider is sent the schema itself, under a name that it takes."""
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log) as node:
        await here.add("invoice@1", person())
        stream_id, schema = await node.open(response_format, **options)
        assert schema == "invoice@1"
        assert await node.told(stream_id) == (ANSWER, "complete", {"invoice@1"})
        if response_format is not None:
            asked = node.asked[0]["response_format"]["json_schema"]
            assert (asked["name"], asked["schema"]) == ("invoice_1", person())


@pytest.mark.parametrize(
    ("response_format", "options", "error", "hint"),
    [
        pytest.param({"name": "invoice@7"}, {}, UnknownSchemaVersion, "there is 1", id="no such version"),
        pytest.param({"name": "invoice@x"}, {}, BadRequest, "json_schema.name: version", id="no version"),
        pytest.param({"name": "invoice@1", "schema": True}, {}, BadRequest, "not that of invoice@1", id="another one"),
        pytest.param({"name": "plain"}, {}, BadRequest, "schema: is missing", id="a name without a version"),
        pytest.param(None, {"schema": 5}, BadRequest, "name of a registered one", id="a number"),
    ],
)
async def test_what_names_nothing_is_refused(
    response_format: Any, options: Any, error: type[Exception], hint: str
) -> None:
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log) as node:
        await here.add("invoice@1", person())
        with pytest.raises(error, match=hint):
            await node.open(response_format, **options)
        assert not node.asked


async def test_without_a_registry_a_name_is_not_offered() -> None:
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log, has_registry=False) as node:
        with pytest.raises(NotOffered, match="schemaVersioning"):
            await node.open(schema="invoice@1")


@pytest.mark.parametrize("trouble", ["down", "slow"])
async def test_streams_that_have_their_schema_go_on_without_the_registry(trouble: str) -> None:
    """Also at a node that has just begun, and for producers who state the pinned version; new streams are refused."""
    log = Failing()
    async with rig(log, RegistryOptions(timeout_s=0.05)) as here:
        await here.add("invoice@1", person())
        async with one_node(here, log) as node:
            stream_id, _ = await node.open(schema="invoice@1", source="push")
            await node.push(stream_id, '{"name"')
            log.trouble = trouble
            await node.push(stream_id, ": ", schema="invoice@1")
            async with one_node(Rig.beside(here), log) as other:
                await other.push(stream_id, '"A"}', close=True, schema="invoice@1")
                assert await other.told(stream_id) == (ANSWER, "complete", {"invoice@1"})
                with pytest.raises(RegistryFailing, match="registry of schemas"):
                    await other.open(schema="invoice@1")
                inline, _ = await other.open(schema=person())
                assert (await other.told(inline))[1] == "complete"
