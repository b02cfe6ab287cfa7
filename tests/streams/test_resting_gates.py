"""The gate of a pushed stream that nobody pushes to takes no place from those that are used."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lockgate.errors import Busy, StreamUnknown
from lockgate.protocol.lifecycle import Outcome
from lockgate.streams.pushed_streams import Push
from tests.streams.test_opening import Node, node
from tests.streams.test_schemas import HEAVY

PLACES = 2


async def begun(here: Node, title: str) -> str:
    """A pushed stream with a heavy schema of its own, in the middle of its document."""
    stream_id = await here.post(schema={**HEAVY, "title": title})
    await said(here, stream_id, '{"rows": [{"n": 1}')
    return stream_id


async def said(here: Node, stream_id: str, text: str, **more: Any) -> None:
    verdict = await here.pushed.push(stream_id, await here.meta(stream_id), Push(text, **more))
    assert verdict.problem is None


async def test_another_heavy_schema_is_judged_beside_as_many_idle_streams_as_there_are_places() -> None:
    """And an idle one is judged right when it is pushed to again: it goes on where it was."""
    async with node(heavy=PLACES) as here:
        idle = [await begun(here, str(number)) for number in range(PLACES)]
        await here.push(await here.post(schema={**HEAVY, "title": "one more"}), '{"rows": [{"n": 2}]}')
        await said(here, idle[0], ', {"n": 3}]')
        await said(here, idle[0], "}", close=True)
        assert await here.told(idle[0]) == ('{"rows": [{"n": 1}, {"n": 3}]}', Outcome.COMPLETE)
        refused = await here.pushed.push(idle[1], await here.meta(idle[1]), Push(', {"n": "x'))
        assert refused.problem is not None
        assert (await here.told(idle[1]))[1] == Outcome.HALTED


async def test_the_one_that_was_pushed_to_least_recently_makes_room() -> None:
    async with node(heavy=PLACES) as here:
        first, second = [await begun(here, str(number)) for number in range(PLACES)]
        await said(here, first, ', {"n": 2}')
        await begun(here, "one more")
        gated = here.pushed._gated
        assert gated[first].channel is not None
        assert gated[second].channel is None


async def test_a_gate_that_is_being_pushed_to_makes_no_room() -> None:
    async with node(heavy=1) as here:
        busy = await begun(here, "busy")
        other = await here.post(schema=HEAVY)  # it was looked at, in a queue of its own
        before = await here.meta(other)
        pushing = asyncio.create_task(said(here, busy, ", " + '{"n": 1}, ' * 20_000 + '{"n": 2}'))
        await asyncio.sleep(0)
        with pytest.raises(Busy, match=r"workers\.heavy"):
            await here.pushed.push(other, before, Push('{"rows"'))
        await pushing
        await said(here, other, '{"rows"')


@pytest.mark.parametrize("way", ["deleted", "another node wrote first", "evicted"])
async def test_a_gate_that_is_not_kept_any_more_takes_no_place(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with node(heavy=1) as here:
        stream_id = await begun(here, "first")
        if way == "deleted":
            await here.log.delete(stream_id)
            here.pushed.forget(stream_id)
            with pytest.raises(StreamUnknown):
                await here.log.head(stream_id)
        elif way == "evicted":
            monkeypatch.setattr("lockgate.streams.pushed_streams._MAX_GATES", 1)
            await said(here, await here.post(schema={"type": "array"}), "[")
        else:
            async with node(log=here.log) as there:
                await said(there, stream_id, ", ")
            await said(here, stream_id, '{"n": 2}')
        await here.push(await here.post(schema={**HEAVY, "title": "another"}), '{"rows": []}')
        assert len(here.workers._heavy) == 1
        assert not next(iter(here.workers._heavy.values())).gates
