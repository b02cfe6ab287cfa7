"""Kills, terms and interrupts by the hundred, with four readers each: exact, with honest ends, and on time (P4)."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.crash.test_shutdown import DRAIN_S, PROMISED_S
from tests.gateway.nodes import Reader, UncheckedNode, Upstream, chunk, create, running

_WORDS = [f"word {number} é 😀 " for number in range(4000)]
_TEXT = "".join(_WORDS)
_ENDS = ("kill", "term", "interrupt")
#: Ends of the long form; LOCKGATE_ENDS makes it shorter for a first look.
_MANY = int(os.environ.get("LOCKGATE_ENDS", "900"))


def _play(_: dict[str, Any]) -> Any:
    yield from (chunk(word) for word in _WORDS)
    yield ...


async def _end(tmp_path: Path, count: int, seed: int) -> None:
    """End a node so many times in the middle of a stream, one way after the other, and start it again."""
    rng = random.Random(seed)
    took: dict[str, list[float]] = {way: [] for way in _ENDS}
    async with (
        Upstream(_play) as upstream,
        running(UncheckedNode(tmp_path, upstream.base_url, server__drain_s=DRAIN_S)) as node,
    ):
        for number in range(count):
            way = _ENDS[number % len(_ENDS)]
            url = node.url + (await create(node.url))["urls"]["stream"]
            readers = [Reader(url) for _ in range(4)]
            reading = [asyncio.create_task(reader.run()) for reader in readers]
            await readers[0].has(rng.randrange(1, len(_TEXT) // 2))
            begun_s = time.monotonic()
            if way == "kill":
                node.kill()
            else:
                node.signal(signal.SIGTERM if way == "term" else signal.SIGINT)
                assert await node.exited() == 0, node.output()
            took[way].append(time.monotonic() - begun_s)
            await node.start()
            await asyncio.gather(*reading)
            for reader in readers:
                assert _TEXT.startswith(reader.text()), f"seed {seed}, end {number}: each record once, in order"
                assert (reader.final["state"], reader.final["reason"]) == ("failed", "owner_gone")
            assert len({reader.text() for reader in readers}) == 1, "all readers end with the same text"
        assert "took too long" not in node.output()
        assert "Traceback" not in node.output(), node.output()
    for way, times in took.items():
        print(f"\n{len(times)} x {way}: longest {max(times):.2f} s (promised {DRAIN_S + PROMISED_S:g})")


async def test_a_few_ends(tmp_path: Path) -> None:
    """One of each kind."""
    await _end(tmp_path, len(_ENDS), seed=1)


@pytest.mark.acceptance
@pytest.mark.timeout(4 * 3600)
async def test_many_ends(tmp_path: Path) -> None:
    """The same, 900 of them."""
    await _end(tmp_path, _MANY, seed=2)
