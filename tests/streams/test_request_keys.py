"""A request that is sent again under the same key opens no second stream, at any node of the log."""

from __future__ import annotations

import asyncio
import json

import pytest

from lockgate.errors import BadRequest, KeyReused
from lockgate.store.memory import MemoryLog
from lockgate.streams.meta import encode_meta
from lockgate.streams.opening import Opened
from lockgate.streams.plan import Defaults
from lockgate.streams.tokens import check_token
from tests.streams.test_opening import CHAT, ME, Node, node

BODY = json.dumps(CHAT).encode()
PUSHED = json.dumps({"lockgate": {"source": "push", "schema": True}}).encode()
OTHER = json.dumps({**CHAT, "temperature": 1}).encode()

BODIES = pytest.mark.parametrize("body", [BODY, PUSHED], ids=["generated", "pushed"])


def same(one: Opened, other: Opened) -> bool:
    """Whether they say the same of the same stream."""
    told = [(o.stream_id, encode_meta(o.meta), o.token, o.created_s, o.keeps_upstream) for o in (one, other)]
    return told[0] == told[1]


@BODIES
async def test_the_same_key_and_body_get_the_same_stream(body: bytes) -> None:
    """With the same token, which writes to it."""
    async with node() as here:
        first = await here.opening.open(ME, body, "order-17")
        again = await here.opening.open(ME, body, "order-17")
        assert (first.is_new, again.is_new) == (True, False)
        assert same(first, again)
        check_token(again.token, (await here.meta(first.stream_id)).token_sha256)


@BODIES
async def test_another_node_of_the_log_knows_the_key(body: bytes) -> None:
    log = MemoryLog()
    async with node(log=log) as here, node(log=log) as there:
        first = await here.opening.open(ME, body, "k")
        again = await there.opening.open(ME, body, "k")
        assert same(first, again)
        assert again.is_new is False


@BODIES
async def test_of_many_at_once_one_opens_the_stream(body: bytes) -> None:
    log = MemoryLog()
    async with node(log=log) as here, node(log=log) as there:
        asking = [one.opening.open(ME, body, "k") for one in (here, there) * 10]
        opened = await asyncio.gather(*asking)
        assert sum(one.is_new for one in opened) == 1
        assert len({one.stream_id for one in opened}) == 1
        assert all(same(one, opened[0]) for one in opened)


async def test_another_body_is_refused_while_the_stream_is_there() -> None:
    """Also one that means the same: what counts is the bytes."""
    async with node() as here:
        first = await here.opening.open(ME, BODY, "k")
        for body in (OTHER, BODY + b" ", PUSHED):
            with pytest.raises(KeyReused, match="sent before with another body"):
                await here.opening.open(ME, body, "k")
        assert (await here.opening.open(ME, BODY, "k")).stream_id == first.stream_id
        await here.owner.end(first.stream_id)
        await here.log.delete(first.stream_id)
        anew = await here.opening.open(ME, OTHER, "k")
        assert anew.is_new
        assert anew.token != first.token


async def test_an_expired_stream_frees_its_key() -> None:
    now_s = 1_000.0
    log = MemoryLog(wall=lambda: now_s, monotonic=lambda: now_s)
    async with node(Defaults(retain_s=60), log) as here:
        first = await here.opening.open(ME, PUSHED, "k")
        now_s += 61
        again = await here.opening.open(ME, PUSHED, "k")
        assert (again.is_new, again.created_s) == (True, first.created_s + 61)


async def test_a_request_that_is_refused_uses_no_key() -> None:
    async with node() as here:
        with pytest.raises(BadRequest):
            await here.opening.open(ME, b'{"model": "m"}', "k")
        assert (await here.opening.open(ME, BODY, "k")).is_new


async def test_a_node_that_drains_still_knows_what_it_opened() -> None:
    async with node() as here:
        first = await here.opening.open(ME, BODY, "k")
        await here.owner.drain(0)
        assert same(await here.opening.open(ME, BODY, "k"), first)


async def test_who_knows_a_key_cannot_make_the_id_of_its_stream() -> None:
    """Ids depend on a secret of the log, and so do tokens; keys and requests without one are apart."""
    ids = set()
    for _ in range(2):
        async with node() as here:
            opened = [await here.opening.open(ME, BODY, key) for key in ("k", "l", None, None)]
            ids |= {text for one in opened for text in (one.stream_id, one.token)}
    assert len(ids) == 16


async def test_without_a_key_nothing_of_the_body_is_kept() -> None:
    async with node() as here:
        opened = await here.opening.open(ME, BODY)
        assert (await here.meta(opened.stream_id)).body_sha256 == ""


async def test_a_stream_that_may_be_made_anew_has_a_given_id() -> None:
    """Such an answer must not be kept by a cache: the next stream of that id may say something else."""

    async def is_given(here: Node, stream_id: str) -> bool:
        return (await here.meta(stream_id)).has_given_id

    async with node() as here:
        assert await is_given(here, (await here.opening.open(ME, BODY, "k")).stream_id)
        await here.put(schema=True)
        assert await is_given(here, "by-name")
        assert not await is_given(here, (await here.opening.open(ME, BODY)).stream_id)
