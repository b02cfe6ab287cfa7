"""Face by view by drop: whatever a client switches between, it gets the log, exactly once and in order."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.gateway.followers import FACES, Follower, shown
from tests.gateway.nodes import (
    DEADLINE_S,
    Node,
    Reader,
    UncheckedNode,
    Upstream,
    answer,
    chunk,
    create,
    running,
    schema_format,
)

VIEWS = ("delta", "elements", "snapshot", "patch", "text")
ROWS = {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}}
SHORT_RUNS, LONG_RUNS = 60, 2000
SETTINGS: dict[str, Any] = {
    # Many small reads: a drop can fall between any two.
    "delivery__max_read_bytes": 1024,
    "delivery__snapshot_s": 0,
    "server__cors_origins": ["*"],
}


def document(seed: int) -> str:
    dice = random.Random(seed)
    rows = [{"a": "".join(dice.choices('xyé\n" 😀', k=dice.randrange(60)))} for _ in range(dice.randrange(1, 120))]
    return json.dumps(rows, ensure_ascii=dice.random() < 0.5, indent=dice.choice((None, 1)))


def scripted(body: dict[str, Any]) -> Any:
    """A document by its seed, in random deltas; some take a break in the middle, and some break off."""
    seed = int(body["model"])
    dice, text = random.Random(seed), document(seed)
    cuts = sorted(dice.sample(range(1, len(text)), min(len(text) - 1, dice.randrange(1, 200))))
    if seed % 5 == 4:
        half = text[: len(text) // 2]
        return [*(chunk(half[at : at + 7]) for at in range(0, len(half), 7)), None]
    return answer(text, cuts)


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    async with Upstream(scripted) as up, running(UncheckedNode(folder, up.base_url, **SETTINGS)) as process:
        yield process


async def made(node: Node, seed: int) -> str:
    body = await create(node.url, model=str(seed), response_format=schema_format(ROWS), lockgate={"elements": ""})
    return f"{node.url}{body['urls']['stream']}"


async def _follow(session: aiohttp.ClientSession, url: str, view: str, dice: random.Random) -> Follower:
    """Read to the end with drops at random, each time on a face that is chosen at random."""
    follower = Follower(session, f"{url}?view={view}")
    while not follower.is_over:
        await follower.read(dice.choice(FACES), steps=dice.choice((1, 2, 3, 5, 8, None)))
    return follower


async def _runs(node: Node, runs: range) -> None:
    """Some streams are read while they come, others when they are over; each run with a seed of its own."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(DEADLINE_S * 4):
        url, wanted = "", {}
        switches = 0
        for seed in runs:
            dice = random.Random(seed)
            view = VIEWS[seed % len(VIEWS)]
            if not url or seed % 8 == 0:
                url = await made(node, seed // 8)
                live = await asyncio.gather(*(_follow(session, url, one, dice) for one in VIEWS))
                await Reader(url).run()
                whole = [Follower(session, f"{url}?view={one}") for one in VIEWS]
                for one in whole:
                    await one.read("pages")
                wanted = {name: shown(name, one.items) for name, one in zip(VIEWS, whole, strict=True)}
                outcome = whole[0].outcome
                for name, one in zip(VIEWS, live, strict=True):
                    assert shown(name, one.items) == wanted[name], (seed, name, "live")
                    # A page that begins at the end has not seen the final record.
                    assert one.outcome in (outcome, ""), (seed, name)
            follower = await _follow(session, url, view, dice)
            switches += follower.connections - 1
            assert shown(view, follower.items) == wanted[view], (seed, view)
        assert switches > len(runs) // 3, "connections were dropped"


async def test_every_face_and_view_however_often_it_is_dropped(node: Node) -> None:
    await _runs(node, range(SHORT_RUNS))


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
async def test_two_thousand_runs(node: Node) -> None:
    await _runs(node, range(1000, 1000 + LONG_RUNS))


@pytest.mark.parametrize("face", FACES)
async def test_each_face_shows_each_view_whole(node: Node, face: str) -> None:
    """Without a drop; so none passes in the shadow of the others."""
    async with aiohttp.ClientSession() as session:
        url = await made(node, 3)
        await Reader(url).run()
        for view in VIEWS:
            follower, page = (Follower(session, f"{url}?view={view}") for _ in range(2))
            await follower.read(face)
            await page.read("pages")
            assert follower.outcome == "complete"
            assert shown(view, follower.items) == shown(view, page.items)
            assert follower.items
