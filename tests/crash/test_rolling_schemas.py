"""A rolling update: producers go from v1 to v3 under load, on three nodes of one log, of which one is killed."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.nodes import Reader, running
from tests.gateway.test_schemas import NOWHERE, Client
from tests.gateway.two_nodes import SharedNode
from tests.redis_server import RedisProcess, need_redis
from tests.registry.rigs import person

VERSIONS = {
    1: person(),
    2: person(note={"type": "string"}),
    3: person(note={"type": "string"}, tags={"type": "array", "items": {"type": "string"}}),
}
DOCUMENTS = {
    1: {"name": "Ada"},
    2: {"name": "Ada", "note": "of v2"},
    3: {"name": "Ada", "note": "of v3", "tags": ["a", "b"]},
}
PIECES = 5


class Producer:
    """Writes one document in pieces, each to any node that lives; between two pieces its version may move on.

    Attributes:
        refused: Pieces that it sent under a version that the stream's does not take.
    """

    def __init__(
        self, number: int, clients: list[Client], current: list[int], rng: random.Random, moved: asyncio.Event
    ) -> None:
        # Every other one sees the next version come in the middle of its document.
        self._moved = moved if number % 2 else None
        self._id = f"producer-{number}"
        self._clients = clients
        self._current = current
        self._rng = rng
        self._seq = 0
        self.refused = 0
        self.pinned = 0
        self.made: Any = None

    async def ask(self, work: Any) -> Any:
        """Send it to one node after the other until one answers; a push that is repeated is stored once."""
        order = self._rng.sample(self._clients, len(self._clients))
        async with asyncio.timeout(120):
            while True:
                for client in order:
                    try:
                        status, answer = await work(client)
                    except aiohttp.ClientError:
                        continue
                    if status < 500:
                        return status, answer
                await asyncio.sleep(0.02)  # between two tries: a node that was killed says nothing

    async def run(self) -> None:
        self.pinned = self._current[0]
        status, self.made = await self.ask(lambda client: client.open(f"roll@{self.pinned}", recovery="skip"))
        assert status == 201, self.made
        text = json.dumps(DOCUMENTS[self.pinned])
        size = -(-len(text) // PIECES)
        for start in range(0, len(text), size):
            if self._moved is not None and start == 2 * size:
                await self._moved.wait()
            piece = text[start : start + size]
            stated = self._current[0]
            if stated > self.pinned:
                self.refused += 1
                await self._push(piece, stated)
            await self._push(piece, self.pinned if stated > self.pinned else stated)
        await self._push(" ", self.pinned, close=True)

    async def _push(self, piece: str, stated: int, *, close: bool = False) -> None:
        headers = {
            "Lockgate-Schema": f"roll@{stated}",
            "Producer-Id": self._id,
            "Producer-Epoch": "0",
            "Producer-Seq": str(self._seq),
        }
        if close:
            headers["Stream-Closed"] = "true"
        self._seq += 1
        status, answer = await self.ask(lambda client: client.push(self.made, piece, **headers))
        assert status in (200, 204), (status, answer)


async def refusals_counted(client: Client, session: aiohttp.ClientSession) -> int:
    async with session.get(f"{client.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    wanted = 'code="incompatible_schema_version"'
    found = [line for line in lines if line.startswith("lockgate_violations_total") and wanted in line]
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in found))


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Settings of the log that the nodes share."""
    if request.param == "sqlite":
        yield {}
        return
    need_redis()
    (tmp_path / "redis").mkdir()
    process = RedisProcess(tmp_path / "redis")
    process.start()
    yield {"store__kind": "redis", "store__url": process.url}
    process.kill()


async def roll(tmp_path: Path, store: dict[str, Any], streams_per_version: int, seed: int) -> str:
    rng = random.Random(seed)
    nodes = [SharedNode(tmp_path, f"node-{at}", NOWHERE, **store) for at in range(3)]
    current = [1]
    async with aiohttp.ClientSession() as session, running(nodes[0]), running(nodes[1]), running(nodes[2]):
        clients = [Client(session, node.url) for node in nodes]
        assert (await clients[0].register("roll@1", VERSIONS[1]))[0] == 201
        producers: list[Producer] = []
        tasks: list[asyncio.Task[None]] = []
        moved = asyncio.Event()
        for version in VERSIONS:
            if version > 1:
                assert (await clients[0].register(f"roll@{version}", VERSIONS[version]))[0] == 201
            current[0] = version
            moved.set()
            moved = asyncio.Event()
            begun = []
            for _ in range(streams_per_version):
                producer = Producer(len(producers), clients, current, random.Random(rng.random()), moved)
                producers.append(producer)
                begun.append(asyncio.create_task(producer.run()))
            tasks += begun
            await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
            if version == 2:
                nodes[2].kill()
        moved.set()
        await asyncio.gather(*tasks)
        in_log = 0
        for producer in producers:
            url = clients[0].url + producer.made["urls"]["stream"]
            reader = await Reader(f"{url}?schema=roll@{producer.pinned}").run()
            assert reader.final["state"] == "complete"
            assert json.loads(reader.text()) == DOCUMENTS[producer.pinned]
            shown = {one["meta"]["schema"] for one in reader.envelopes if one["meta"]["kind"] == "delta"}
            assert shown == {f"roll@{producer.pinned}"}
            found = [one for one in reader.errors if one["code"] == "incompatible_schema_version"]
            assert len(found) == producer.refused
            in_log += len(found)
            for version in VERSIONS:
                status, _ = await clients[1].ask("GET", f"{producer.made['urls']['stream']}?schema=roll@{version}")
                assert status == (200 if version >= producer.pinned else 406)
        counted = [await refusals_counted(client, session) for client in clients[:2]]
        assert sum(counted) <= in_log == sum(one.refused for one in producers)
        pinned = [sum(one.pinned == version for one in producers) for version in VERSIONS]
        assert in_log > 0
        return (
            f"{len(producers)} streams of v1, v2, v3: {pinned}; 0 lost, 0 wrongly accepted; {in_log} chunks refused, "
            f"all in the log, {sum(counted)} in the metrics of the two nodes that live"
        )


async def test_a_rolling_update_loses_nothing(tmp_path: Path, store: dict[str, Any]) -> None:
    print(await roll(tmp_path, store, 4, seed=1))


@pytest.mark.acceptance
@pytest.mark.timeout(900)
async def test_a_rolling_update_under_load(tmp_path: Path, store: dict[str, Any]) -> None:
    print("\n" + await roll(tmp_path, store, 100, seed=2))
