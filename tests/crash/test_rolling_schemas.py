"""A rolling update: producers go from v1 to v3 under load, on three nodes of one log, of which one is killed.

For each version there are consumers who understand that one, and read while it is written.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
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
        judged: By the address of the node that answered: those of them that were new there.
        repeated: Those that the log had already, from a node that was killed before it answered.
        consumer: Understands the version of its stream, and reads it from the beginning on.
    """

    consumer: asyncio.Task[Reader]

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
        self.judged = Counter[str]()
        self.repeated = 0
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
                        return client.url, status, answer
                await asyncio.sleep(0.02)  # between two tries: a node that was killed says nothing

    async def run(self) -> None:
        self.pinned = self._current[0]
        _, status, self.made = await self.ask(lambda client: client.open(f"roll@{self.pinned}", recovery="skip"))
        assert status == 201, self.made
        self.consumer = asyncio.create_task(self._consumer().run())
        text = json.dumps(DOCUMENTS[self.pinned])
        size = -(-len(text) // PIECES)
        for start in range(0, len(text), size):
            if self._moved is not None and start == 2 * size:
                await self._moved.wait()
            piece = text[start : start + size]
            stated = self._current[0]
            if stated > self.pinned:
                self.refused += 1
                node, is_new = await self._push(piece, stated)
                self.judged[node] += is_new
                self.repeated += not is_new
            await self._push(piece, self.pinned if stated > self.pinned else stated)
        await self._push(" ", self.pinned, close=True)

    def _consumer(self) -> Consumer:
        path = f"{self.made['urls']['stream']}?schema=roll@{self.pinned}"
        urls = [client.url + path for client in self._clients]
        return Consumer(self._rng.sample(urls, len(urls)))

    async def _push(self, piece: str, stated: int, *, close: bool = False) -> tuple[str, bool]:
        """The address of the node that answered, and whether the piece was new to the log."""
        headers = {
            "Lockgate-Schema": f"roll@{stated}",
            "Producer-Id": self._id,
            "Producer-Epoch": "0",
            "Producer-Seq": str(self._seq),
        }
        if close:
            headers["Stream-Closed"] = "true"
        self._seq += 1
        url, status, answer = await self.ask(lambda client: client.push(self.made, piece, **headers))
        assert status in (200, 204), (status, answer)
        return url, status == 200


class Consumer(Reader):
    """Reads to the end, at one node after the other until one answers."""

    def __init__(self, urls: list[str]) -> None:
        super().__init__(urls[0])
        self._urls = cycle(urls)

    async def _connection(self, session: aiohttp.ClientSession, drops: list[int]) -> None:
        self._url = next(self._urls)
        await super()._connection(session, drops)


def refusals_in(metrics: str, name: str) -> int:
    """What a metric counts of chunks that were refused for their version."""
    line = rf'^{name}{{[^}}]*code="incompatible_schema_version"[^}}]*}} (\S+)$'
    return int(sum(float(value) for value in re.findall(line, metrics, re.MULTILINE)))


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
            later = await Reader(f"{url}?schema=roll@{producer.pinned}").run()
            for reader in (await producer.consumer, later):
                assert reader.final["state"] == "complete"
                assert json.loads(reader.text()) == DOCUMENTS[producer.pinned]
                shown = {one["meta"]["schema"] for one in reader.envelopes if one["meta"]["kind"] == "delta"}
                assert shown == {f"roll@{producer.pinned}"}
                codes = [one["code"] for one in reader.errors]
                assert codes == ["incompatible_schema_version"] * producer.refused
            in_log += producer.refused
            for version in VERSIONS:
                status, _ = await clients[1].ask("GET", f"{producer.made['urls']['stream']}?schema=roll@{version}")
                assert status == (200 if version >= producer.pinned else 406)
        # Each is in the log once. A node that lives has counted those that it judged; so had the one that was killed,
        # and of some it could not say so any more: their producers were told that the log has them.
        judged = sum((one.judged for one in producers), Counter[str]())
        for client in clients[:2]:
            metrics = await client.metrics()
            for name in ("lockgate_violations_total", "lockgate_schema_pushes_total"):
                assert refusals_in(metrics, name) == judged[client.url], (client.url, name)
        repeated = sum(one.repeated for one in producers)
        assert judged.total() + repeated == in_log
        assert in_log > 0
        pinned = [sum(one.pinned == version for one in producers) for version in VERSIONS]
        moved_on = sum(one.consumer.result().connections > 1 for one in producers)
        alive = sum(judged[client.url] for client in clients[:2])
        return (
            f"{len(producers)} streams of v1, v2, v3: {pinned}, each read live by a consumer of that version, "
            f"{moved_on} of which had to change their node; 0 lost, 0 wrongly accepted; {in_log} chunks refused, all "
            f"in the log: {alive} counted in the metrics of the two nodes that live, {in_log - alive} judged by the "
            f"killed one, which could not answer {repeated} of them"
        )


async def test_a_rolling_update_loses_nothing(tmp_path: Path, store: dict[str, Any]) -> None:
    print(await roll(tmp_path, store, 4, seed=1))


@pytest.mark.acceptance
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [2, 3, 4, 5, 6])
async def test_a_rolling_update_under_load(tmp_path: Path, store: dict[str, Any], seed: int) -> None:
    print("\n" + await roll(tmp_path, store, 100, seed=seed))
