"""Two gateways whose log is in Redis: what one generates the other shows, and a node that is killed leaves no stream open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.nodes import Follower
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


async def test_another_node_ends_what_a_killed_one_left(server: RedisProcess, tmp_path: Path) -> None:
    """Readers at the other node see each record once, and an honest end; what was read is what the log has."""
    async with EndlessUpstream(0.05) as upstream, aiohttp.ClientSession() as session:
        nodes = nodes_on(server, tmp_path, upstream.base_url)
        async with running_all(*nodes):
            killed, other = nodes
            lost, kept = await make(session, killed, "lost"), await make(session, other, "kept")
            reading = asyncio.create_task(Follower(other.url + lost["urls"]["stream"]).read())
            for node, one in ((other, lost), (killed, kept)):
                await has_text(session, node, one, 10)
            killed.kill()
            found = await becomes(session, other, lost, "failed")
            assert found["final"]["reason"] == "owner_gone"
            reader = await reading
            assert reader.final["state"] == "failed"
            assert set(reader.text()) == {"x"}
            before = (await status(session, other, kept))["records"]
            await has_text(session, other, kept, before + 10)
            assert "Traceback" not in other.output()


async def test_streams_go_on_after_redis_was_killed(server: RedisProcess, tmp_path: Path) -> None:
    """kill -9 of Redis while two nodes generate: both streams go on, and readers at the other node miss nothing."""
    async with EndlessUpstream(0.05) as upstream, aiohttp.ClientSession() as session:
        nodes = nodes_on(server, tmp_path, upstream.base_url)
        async with running_all(*nodes):
            made = [await make(session, node, f"m{number}") for number, node in enumerate(nodes)]
            readers = [
                Follower(node.url + one["urls"]["stream"]) for node, one in zip(reversed(nodes), made, strict=True)
            ]
            reading = [asyncio.create_task(reader.read()) for reader in readers]
            for reader in readers:
                await reader.has(10)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            for reader in readers:
                await reader.has(len(reader.text()) + 20)
            for node, one in zip(nodes, made, strict=True):
                token = {"Authorization": f"Bearer {one['token']}"}
                async with session.post(node.url + one["urls"]["cancel"], json={}, headers=token) as answer:
                    assert answer.status == 202
            for task, reader in zip(reading, readers, strict=True):
                await task
                assert reader.final["state"] == "cancelled"
                assert set(reader.text()) == {"x"}, "text() checks that each record came once, in order"
            assert not any("Traceback" in node.output() for node in nodes)
