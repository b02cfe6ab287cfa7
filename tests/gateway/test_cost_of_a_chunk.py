"""What one chunk costs from the socket of upstream to the write to a reader: counted, not timed.

How it works: each chunk takes the whole way by itself, through a node in this process (``lockstep``).
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.gateway.lockstep import ROW, lockstep

#: Python calls of the node for each chunk, with the libraries in Python that it uses; a change that adds a twentieth
#: must say why.
CALLS: dict[str, int] = {"memory": 149, "sqlite": 157}
#: The same for each further reader of the stream.
CALLS_OF_A_READER = 27
TOLERANCE = 1.05
CHUNKS = 300


async def calls_of(work: Callable[[], Any]) -> Counter[str]:
    """Python calls of this thread while it runs, by file; those of the tests, and of their loop, are left out."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            calls[frame.f_code.co_filename] += 1

    sys.setprofile(count)
    try:
        await work()
    finally:
        sys.setprofile(None)
    outside = ("/tests/", "/json/", "/asyncio/", "/selectors.py", "loop_watch.py")
    return Counter({name: calls for name, calls in calls.items() if not any(one in name for one in outside)})


async def calls_per_chunk(store: dict[str, Any], readers: int) -> float:
    async with lockstep(store, readers) as steps:
        texts = [ROW[at : at + 12] for at in range(0, len(ROW), 12)] * (CHUNKS // 4)

        async def work() -> None:
            for text in texts:
                await steps.pass_on(text)

        calls = await calls_of(work)
        assert sum(count for name, count in calls.items() if "lockgate" in name) > 50 * len(texts), (
            "nothing was counted"
        )
        return calls.total() / len(texts)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_chunk_costs_no_more_calls_than_it_did(kind: str, tmp_path: Path) -> None:
    store = {"kind": "memory"} if kind == "memory" else {"path": str(tmp_path / "log.db")}
    found = await calls_per_chunk(store, 1)
    assert CALLS[kind] / TOLERANCE < found < CALLS[kind] * TOLERANCE, "cheaper? then write the new number here"


async def test_a_further_reader_of_a_stream_costs_little() -> None:
    """It neither reads a record again nor makes an event again: what one reader made is written by all."""
    one, ten = await calls_per_chunk({"kind": "memory"}, 1), await calls_per_chunk({"kind": "memory"}, 11)
    assert (ten - one) / 10 < CALLS_OF_A_READER * TOLERANCE


async def test_chunks_leave_nothing_for_the_collector() -> None:
    """What refers to itself in a circle is found only by the collector of garbage, which stops everybody meanwhile."""
    async with lockstep({"kind": "memory"}, 1) as steps:
        texts = [ROW[at : at + 12] for at in range(0, len(ROW), 12)] * 250
        gc.collect()
        gc.disable()
        try:
            for text in texts:
                await steps.pass_on(text)
            found = gc.collect()
        finally:
            gc.enable()
        assert len(texts) >= 1000
        assert found * 10_000 / len(texts) <= 100
