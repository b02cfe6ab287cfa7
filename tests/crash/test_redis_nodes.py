"""Two gateways whose log is in Redis: each shows what the other generates, and who is killed leaves no stream open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.nodes import Reader
from tests.gateway.two_nodes import EndlessUpstream, SharedNode, becomes, has_text, make, running_all, status
from tests.redis_server import RedisProcess, need_redis


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    need_redis()
    (tmp_path / "redis").mkdir()
    process = RedisProcess(tmp_path / "redis", appendonly="yes", appendfsync="always")
    process.start()
    yield process
    process.kill()


def nodes_on(server: RedisProcess, folder: Path, base_url: str) -> list[SharedNode]:
    store: dict[str, Any] = {"store__kind": "redis", "store__url": server.url}
    return [SharedNode(folder, name, base_url, **store) for name in "ab"]


async def test_neither_a_killed_redis_nor_a_killed_node_costs_a_record(server: RedisProcess, tmp_path: Path) -> None:
    """First Redis is killed: the streams of both nodes go on, without a restart of either. Then a node is killed: its
    stream comes to an honest end at the other one. Readers, each at the other node, see each record once.
    """
    async with EndlessUpstream(0.05) as upstream, aiohttp.ClientSession() as session:
        nodes = nodes_on(server, tmp_path, upstream.base_url)
        async with running_all(*nodes):
            killed, other = nodes
            lost, kept = await make(session, killed, "lost"), await make(session, other, "kept")
            readers = [Reader(other.url + lost["urls"]["stream"]), Reader(killed.url + kept["urls"]["stream"])]
            reading = [asyncio.create_task(reader.run()) for reader in readers]
            for reader in readers:
                await reader.has(10)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            for reader in readers:
                await reader.has(len(reader.text()) + 20)
            assert not any("Traceback" in node.output() for node in nodes)
            reading[1].cancel()
            killed.kill()
            found = await becomes(session, other, lost, "failed")
            assert found["final"]["reason"] == "owner_gone"
            assert (await reading[0]).final["state"] == "failed"
            for reader in readers:
                assert set(reader.text()) == {"x"}, "text() checks that each record came once, in order"
            before = (await status(session, other, kept))["records"]
            await has_text(session, other, kept, before + 10)
            assert "Traceback" not in other.output()
