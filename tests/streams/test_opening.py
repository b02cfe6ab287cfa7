"""One way in: whoever opens a stream, and however, the same checks, defaults and refusals hold."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from lockgate import Limits
from lockgate.errors import BadRequest, Busy, Conflict, Forbidden
from lockgate.keys.caller import Caller
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Record, decode_record
from lockgate.protocol.offsets import START
from lockgate.store.memory import MemoryLog
from lockgate.streams.meta import StreamMeta, decode_meta
from lockgate.streams.opening import Found, Opening, Wanted
from lockgate.streams.owner import StreamOwner
from lockgate.streams.plan import Defaults
from lockgate.streams.pushed_streams import Push, PushedStreams
from lockgate.streams.schemas import Schemas
from lockgate.streams.tokens import check_token, hash_of, new_token
from lockgate.workers.pool import WorkerLimits, WorkerPool
from tests.streams.pumping import Scripted, clean

NUMBERS = {"type": "array", "items": {"type": "integer"}}
ME = Caller("me")
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "go"}]}


@dataclass
class Node:
    """What one process has of streams, on a log that several may share."""

    log: MemoryLog
    owner: StreamOwner
    pushed: PushedStreams
    opening: Opening
    workers: WorkerPool

    async def post(self, **options: Any) -> str:
        """Open a stream as ``POST /v1/streams`` does, to push to it."""
        body = {"lockgate": {"source": "push", **options}}
        return (await self.opening.open(ME, json.dumps(body).encode())).stream_id

    async def put(self, text: str = "", *, name: str = "by-name", close: bool = False, **options: Any) -> Found:
        """Open a stream as ``PUT`` does."""
        body = json.dumps(text).encode() if text else b""
        wanted = Wanted(name, json.dumps(options), "application/json", body=body, close=close)
        return await self.opening.open_named(ME, wanted)

    async def generate(self, **options: Any) -> str:
        """Open a stream that the provider writes."""
        return (await self.opening.open(ME, json.dumps({**CHAT, "lockgate": options}).encode())).stream_id

    async def meta(self, stream_id: str) -> StreamMeta:
        return decode_meta((await self.log.head(stream_id)).meta)

    async def push(self, stream_id: str, text: str) -> None:
        """The whole text, and its end."""
        await self.pushed.push(stream_id, await self.meta(stream_id), Push(text, close=True))

    async def records(self, stream_id: str) -> list[Record]:
        page = await self.log.read(stream_id, START, max_bytes=10**6)
        return [decode_record(entry.payload) for entry in page.entries]

    async def told(self, stream_id: str) -> tuple[str, str]:
        """The released text and what became of the stream."""
        records = await self.records(stream_id)
        final = records[-1].final
        return "".join(record.text for record in records), final.state if final is not None else "open"


@contextlib.asynccontextmanager
async def node(
    defaults: Defaults | None = None, log: MemoryLog | None = None, *, heavy: int = 4
) -> AsyncIterator[Node]:
    log, meters = log or MemoryLog(), Meters()
    owner = StreamOwner(log, Scripted(lambda _body, _number: clean("[1]")), meters, max_open=10)
    workers = WorkerPool(WorkerLimits(processes=1, heavy=heavy))
    schemas = Schemas(workers)
    pushed = PushedStreams(log, meters, schemas)
    try:
        yield Node(log, owner, pushed, Opening(log, owner, pushed, schemas, defaults or Defaults()), workers)
    finally:
        schemas.stop()
        await workers.stop()
        await owner.drain(0)
        await owner.stop()


#: Each way to open a stream with options of lockgate's own.
WAYS = pytest.mark.parametrize("way", [Node.post, Node.put, Node.generate], ids=["post", "put", "generate"])


async def test_the_settings_hold_for_both_kinds_of_pushed_streams() -> None:
    """A doubled comma is patched where the settings say so, whichever way the stream was opened."""
    async with node(Defaults(recovery="patch")) as here:
        posted = await here.post(schema=NUMBERS)
        await here.put(schema=NUMBERS)
        for stream_id in (posted, "by-name"):
            await here.push(stream_id, "[1,,2]")
        assert await here.told(posted) == await here.told("by-name") == ("[1,2]", "complete")


@WAYS
async def test_a_schema_that_nothing_satisfies_is_refused(way: Any) -> None:
    async with node() as here:
        with pytest.raises(BadRequest, match="no document can satisfy this schema"):
            await way(here, schema=False)


@WAYS
async def test_a_node_that_drains_takes_no_new_stream(way: Any) -> None:
    async with node() as here:
        await here.owner.drain(0)
        with pytest.raises(Busy, match="shutting down"):
            await way(here, schema=NUMBERS)


async def test_a_node_that_drains_takes_no_raw_stream() -> None:
    async with node(Defaults(takes_raw=True)) as here:
        await here.owner.drain(0)
        with pytest.raises(Busy, match="shutting down"):
            await here.opening.open_named(ME, Wanted("raw", content_type="text/plain", body=b"x"))


async def test_what_is_there_is_found_while_a_node_drains() -> None:
    """Asking again for a stream begins nothing."""
    async with node() as here:
        await here.put(schema=NUMBERS)
        await here.owner.drain(0)
        assert not (await here.put(schema=NUMBERS)).is_new


@WAYS
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"keep_upstream": True}, "keeps no copies"),
        ({"elements": "/a", "framing": "ndjson"}, "leave elements out"),
        ({"lossy": ["cut"]}, "recovery='patch' only"),
        ({"recovery": "hope"}, "lockgate.recovery: must be one of"),
        ({"schema": {"type": "nothing"}}, "lockgate.schema: "),
    ],
    ids=["copies", "exclusive", "lossy", "value", "schema"],
)
async def test_options_are_checked_alike(way: Any, options: dict[str, Any], says: str) -> None:
    async with node() as here:
        with pytest.raises(BadRequest, match=says):
            await way(here, **({"schema": NUMBERS} | options))


async def test_streams_without_a_gate_are_taken_only_where_the_settings_say_so() -> None:
    raw = Wanted("raw", content_type="application/json", body=b'[{"a": 1}, 2]', close=True)
    async with node() as here:
        with pytest.raises(Forbidden, match=r"delivery\.raw_streams"):
            await here.opening.open_named(ME, raw)
    async with node(Defaults(takes_raw=True)) as here:
        found = await here.opening.open_named(ME, raw)
        assert (found.head.tail.records, found.head.is_closed, found.meta.kind) == (2, True, "raw")


async def test_what_was_decided_is_kept_with_the_stream() -> None:
    """Another node, with other settings, goes on with the gate that the stream was opened with."""
    log, settings = MemoryLog(), Defaults(limits=Limits(max_depth=1), recovery="patch", is_partial=False)
    async with node(settings, log) as first, node(Defaults(), log) as second:
        posted = await first.post(schema=True)
        await first.put(schema=True)
        for stream_id in (posted, "by-name"):
            await first.pushed.push(stream_id, await first.meta(stream_id), Push("[1,"))
            assert await first.told(stream_id) == ("", "open"), "held until the document is whole"
            await second.push(stream_id, ",2]")
            assert await second.told(stream_id) == ("[1,2]", "complete")
        deep = await first.post(schema=True)
        await second.push(deep, "[[1]]")
        assert (await second.told(deep))[1] == "halted"


async def test_the_first_push_is_committed_with_the_stream() -> None:
    """A second PUT after a lost answer finds the stream with its text; it is pushed neither never nor twice."""
    async with node() as here:
        first = await here.put("[1, 2]", close=True, schema=NUMBERS)
        again = await here.put("[1, 2]", close=True, schema=NUMBERS)
        assert (first.is_new, again.is_new, again.head.tail) == (True, False, first.head.tail)
        assert await here.told("by-name") == ("[1, 2]", "complete")


async def test_a_first_push_that_breaks_the_schema_ends_the_stream() -> None:
    async with node() as here:
        found = await here.put('["a"]', schema=NUMBERS)
        assert found.problem is not None
        assert (found.problem.code, found.head.is_closed) == ("schema_violation", True)
        assert await here.told("by-name") == ("[", "halted")


async def test_a_first_push_is_the_beginning_of_the_text() -> None:
    """A later push goes on, also inside an escape and where text was held."""
    async with node(Defaults(is_partial=False)) as here:
        await here.put('["\\', schema=True)
        await here.push("by-name", 'u00e9"]')
        assert await here.told("by-name") == ('["\\u00e9"]', "complete")


async def test_a_name_that_is_taken_is_found_or_refused() -> None:
    async with node() as here:
        await here.put(schema=NUMBERS)
        for options in ({"schema": True}, {"schema": NUMBERS, "recovery": "skip"}):
            with pytest.raises(Conflict, match="by-name exists"):
                await here.put(**options)


async def test_what_is_pushed_by_name_has_the_type_of_json() -> None:
    async with node() as here:
        with pytest.raises(BadRequest, match="content-type must be application/json"):
            await here.opening.open_named(ME, Wanted("s", '{"schema": true}', "text/plain"))


async def test_whoever_posts_gets_a_token_and_whoever_puts_needs_none() -> None:
    async with node() as here:
        for body in ({"lockgate": {"source": "push", "schema": True}}, CHAT):
            opened = await here.opening.open(ME, json.dumps(body).encode())
            kept = (await here.meta(opened.stream_id)).token_sha256
            check_token(opened.token, kept)
            assert opened.token not in kept
        assert (await here.put(schema=True)).meta.token_sha256 == ""


def test_a_token_opens_its_own_stream_alone() -> None:
    mine, other = new_token(), new_token()
    check_token(mine, hash_of(mine))
    for token in (other, "", hash_of(mine)):
        with pytest.raises(Forbidden, match="Authorization: Bearer"):
            check_token(token, hash_of(mine))
    check_token("", hash_of(""))


async def test_a_generation_follows_the_settings() -> None:
    async with node() as here:
        stream_id = await here.generate(schema=NUMBERS)
        meta = await here.meta(stream_id)
        assert (meta.kind, meta.model, bytes(meta.options), meta.limits) == ("pulled", "m", b"{}", None)
