"""What one more reader, and one more open stream, takes of the memory of a node (P5)."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.clients import allow_files, get, many, rss_bytes, worker_of
from tests.gateway.nodes import DEADLINE_S, Node, UncheckedNode, Upstream, chunk, create, running, schema_format

LIMIT_BYTES = 60_000
COUNT = 1000
_ROWS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"enum": ["a", "b"]}}},
        "required": ["name"],
    },
}


def waiting(_: dict[str, Any]) -> Iterator[Any]:
    """A model that says something, and then thinks for ever."""
    yield chunk('[{"name": "Ada Lovelace", "tags": ["a"]}, {"name": "Char')
    yield ...


async def _settled(pid: int) -> int:
    """Its memory, once it changes no more."""
    async with asyncio.timeout(DEADLINE_S):
        seen: list[int] = []
        while len(seen) < 10 or max(seen[-10:]) - min(seen[-10:]) > 256 * 1024:
            seen.append(rss_bytes(pid))
            await asyncio.sleep(0.3)  # between two looks
    return int(statistics.median(seen[-5:]))


async def _counts(node: Node, name: str, wanted: int) -> None:
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{node.url}/healthz") as response:
                if (await response.json())[name] >= wanted:
                    return
            await asyncio.sleep(0.05)  # between two questions


def _node(folder: Path, upstream: Upstream) -> Node:
    settings: dict[str, Any] = {
        "server__max_open_streams": 2 * COUNT,
        "quotas__caller_open_streams": 2 * COUNT,
        "delivery__heartbeat_s": 300,
    }
    return UncheckedNode(folder, upstream.base_url, **settings)


@pytest.mark.acceptance
@pytest.mark.timeout(900)
async def test_an_idle_reader(tmp_path: Path) -> None:
    """One that has read all and waits, as most do most of the time."""
    allow_files(2 * COUNT)
    async with Upstream(waiting) as upstream, running(_node(tmp_path, upstream)) as node:
        made = await create(node.url, response_format=schema_format(_ROWS))
        request = get(made["urls"]["stream"], "Accept: text/event-stream")
        worker = worker_of(node.pid)
        async with many(node.port, 50, request):
            await _counts(node, "open_readers", 50)
            before = await _settled(worker)
            async with many(node.port, COUNT, request):
                await _counts(node, "open_readers", COUNT + 50)
                each = (await _settled(worker) - before) / COUNT
    print(f"\n{each / 1000:.1f} kB for an idle reader ({COUNT} of them)")
    assert each <= LIMIT_BYTES


@pytest.mark.acceptance
@pytest.mark.timeout(900)
async def test_an_open_stream(tmp_path: Path) -> None:
    """One with a schema, some text, and an upstream that says nothing more for now."""
    allow_files(3 * COUNT)
    async with Upstream(waiting) as upstream, running(_node(tmp_path, upstream)) as node:
        worker = worker_of(node.pid)
        await _open(node, 50)
        await _counts(node, "open_streams", 50)
        before = await _settled(worker)
        await _open(node, COUNT)
        await _counts(node, "open_streams", COUNT + 50)
        each = (await _settled(worker) - before) / COUNT
    print(f"\n{each / 1000:.1f} kB for an open stream ({COUNT} of them)")
    assert each <= LIMIT_BYTES


async def _open(node: Node, count: int) -> None:
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "go"}]}
    body["response_format"] = schema_format(_ROWS)

    async def some(session: aiohttp.ClientSession) -> None:
        for _ in range(count // 10):
            async with session.post(f"{node.url}/v1/streams", json=body) as response:
                assert response.status == 201, await response.text()

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(some(session) for _ in range(10)))
