"""``delivery.pause_upstream_over_bytes``: a provider waits while every reader of its answer lags, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.clients import rss_bytes, worker_of
from tests.gateway.nodes import DEADLINE_S, DONE, Node, Reader, UncheckedNode, Upstream, chunk, create, running

OVER_BYTES = 256 * 1024
PIECE = "x" * 16_000
#: What kernels and clients keep between provider and gateway: their buffers grow as they like.
BUFFERS_BYTES = 10_000_000
SETTINGS: dict[str, Any] = {
    "delivery__pause_upstream_over_bytes": OVER_BYTES, "delivery__slow_s": 300, "delivery__silence_s": 0.1,
    "delivery__window_bytes": 512 * 1024,
}  # fmt: skip


class Long:
    """An upstream with a long answer, which counts what it was asked for."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.given = 0

    def play(self, _body: dict[str, Any]) -> Iterator[bytes]:
        while self.given < self.size:
            self.given += len(PIECE)
            yield chunk(PIECE)
        yield chunk(finish="stop") + DONE

    async def rests(self) -> int:
        """Wait until nothing more is asked for; what was by then."""
        seen = [-1]
        async with asyncio.timeout(DEADLINE_S):
            while len(seen) < 20 or len({*seen[-20:]}) > 1:
                seen.append(self.given)
                await asyncio.sleep(0.05)  # between two looks
        return self.given


class NamedReader:
    """Reads lines by a name, and acknowledges when it is told to."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.envelopes: list[dict[str, Any]] = []
        self.offset = ""
        self.got = asyncio.Event()

    async def run(self) -> None:
        headers = {"Accept": "application/x-ndjson"}
        async with self._session.get(f"{self._url}?reader=r&notes=1", headers=headers) as response:
            async for line in response.content:
                if line.strip():
                    frame = json.loads(line)
                    self.offset = frame.get("o", self.offset)
                    self.envelopes += [frame["m"]] if "m" in frame else []
                    self.got.set()

    async def acknowledge(self) -> None:
        async with self._session.post(f"{self._url}/ack", json={"reader": "r", "ack": self.offset}) as response:
            assert response.status in (200, 404), await response.text()  # 404: the reader is gone, for it has all

    @property
    def notes(self) -> list[dict[str, Any]]:
        return [one["data"][0] for one in self.envelopes if one["meta"]["kind"] == "note"]

    async def told(self, waiting_for: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not any(note.get("waiting_for") == waiting_for for note in self.notes):
                self.got.clear()
                await self.got.wait()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(read_bufsize=2**21) as client:
        yield client


async def test_a_provider_waits_for_who_reads(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """Until the reader acknowledges; it is told why nothing comes, and the answer is the same."""
    long = Long(32_000_000)
    async with Upstream(long.play) as up, running(Node(tmp_path, up.base_url, **SETTINGS)) as node:
        url = f"{node.url}{(await create(node.url))['urls']['stream']}"
        reader = NamedReader(session, url)
        reading = asyncio.create_task(reader.run())
        await reader.told("readers")
        given = await long.rests()
        assert given < BUFFERS_BYTES, "it read on, though its reader lags"
        async with session.get(f"{node.url}/metrics") as response:
            assert "lockgate_upstream_paused_seconds_total" in await response.text()
        while not reading.done():
            reader.got.clear()
            await reader.acknowledge()
            await asyncio.wait([reading, asyncio.ensure_future(reader.got.wait())], return_when=asyncio.FIRST_COMPLETED)
        await reading
        assert reader.envelopes[-1]["data"][0]["state"] == "complete"
        assert (
            sum(len(text) for one in reader.envelopes if one["meta"]["kind"] == "delta" for text in one["data"])
            == long.size
        )


async def test_a_reader_that_keeps_up_is_enough(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    long = Long(8_000_000)
    async with Upstream(long.play) as up, running(Node(tmp_path, up.base_url, **SETTINGS)) as node:
        url = f"{node.url}{(await create(node.url))['urls']['stream']}"
        slow = asyncio.create_task(NamedReader(session, url).run())
        quick = await Reader(url).run()
        assert quick.final["state"] == "complete"
        slow.cancel()
        await asyncio.wait([slow])


@pytest.mark.acceptance
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_memory_while_a_provider_sends_much(tmp_path: Path, session: aiohttp.ClientSession, kind: str) -> None:
    """100 MB, and a reader that acknowledges nothing: what the node holds is what it may lag, and buffers."""
    long = Long(100_000_000)
    settings = SETTINGS | {"store__kind": kind}
    async with Upstream(long.play) as up, running(UncheckedNode(tmp_path, up.base_url, **settings)) as node:
        before = rss_bytes(worker_of(node.pid))
        reader = NamedReader(session, f"{node.url}{(await create(node.url))['urls']['stream']}")
        reading = asyncio.create_task(reader.run())
        await reader.told("readers")
        given = await long.rests()
        grown = rss_bytes(worker_of(node.pid)) - before
        print(
            f"\n{kind}: of 100 MB the provider could send {given / 1e6:.1f}, and the node grew by {grown / 1e6:.1f} MB"
        )
        assert given < BUFFERS_BYTES
        assert grown < 20_000_000
        reading.cancel()
        await asyncio.wait([reading])
