"""Readers that all lose their connection at once, and all come back at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.nodes import DONE, Node, Reader, Upstream, chunk, create, running

PIECE = "é😀 a piece of text that is not very long, "
PIECES = 1500


@pytest.mark.blocks_loop("all readers are of this process, and all are dropped at once")
@pytest.mark.parametrize(
    "count",
    [pytest.param(50, id="50"), pytest.param(1000, id="1000", marks=pytest.mark.acceptance)],
)
async def test_all_readers_reconnect_at_once(tmp_path: Path, count: int) -> None:
    last_s, _ = await reconnect(tmp_path, count)
    assert count < 1000 or last_s < 10


async def reconnect(tmp_path: Path, count: int, kind: type[Node] = Node) -> tuple[float, int]:
    """Each reads a stream of over 50 KB, is dropped in the middle with all others, and has every byte once.

    The second half comes at once, in the moment of the drop. Chunk by chunk it would be a race of the provider with the
    readers, all of this process: who is back before it is over is sent each of 750 chunks by itself, as are all others,
    and then the time says how fast chunks go out to many, and nothing of coming back.

    Args:
        kind: A node that compares its answers with the contract, or one that does not, where times matter.

    Returns:
        Seconds from the drop until the last reader had all, and how many bytes that is.
    """
    middle, rest = asyncio.Event(), asyncio.Event()
    text = PIECE * PIECES

    def play(_: dict[str, Any]) -> Iterator[Any]:
        yield from [chunk(PIECE)] * (PIECES // 2)
        middle.set()
        yield rest
        yield chunk(PIECE) * (PIECES - PIECES // 2)
        yield chunk(finish="stop") + DONE

    async with (
        Upstream(play) as upstream,
        running(kind(tmp_path, upstream.base_url)) as node,
        aiohttp.ClientSession() as session,
    ):
        made = await create(node.url)
        url = node.url + made["urls"]["stream"]
        await middle.wait()  # what is measured begins with the drop, and the first half need not be sent one by one
        readers = [Reader(url) for _ in range(count)]
        reading = [asyncio.create_task(reader.run(deadline_s=120)) for reader in readers]
        half = PIECES // 2 * len(PIECE.encode())
        await asyncio.gather(*(reader.has(half) for reader in readers))
        async with session.post(f"{node.url}/playground/api/drop", json={"id": made["id"]}) as response:
            assert (await response.json())["dropped"] == count
        dropped_s = time.monotonic()
        rest.set()
        done_s = []
        for task in asyncio.as_completed(reading):
            await task
            done_s.append(time.monotonic() - dropped_s)
        for reader in readers:
            assert reader.connections >= 2
            assert reader.text() == text
            assert reader.final["state"] == "complete"
    print(
        f"\n{count} readers, {len(text.encode())} bytes each: all exact; from the drop to the whole text "
        f"median {done_s[len(done_s) // 2]:.2f} s, last {done_s[-1]:.2f} s"
    )
    return done_s[-1], len(text.encode())
