"""When a commit may begin: at once for a stream that writes alone, and a little later for several."""

from __future__ import annotations

import asyncio
import time

import pytest

from lockgate.store.sqlite.writer_thread import Append, CommitPace

SLEPT: list[float] = []


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    SLEPT.clear()
    monkeypatch.setattr(time, "sleep", SLEPT.append)


async def append(stream_id: str) -> Append:
    return Append(stream_id, [b"x"], b"x", 1, 1, 0, None, asyncio.get_running_loop().create_future())


async def test_a_stream_that_writes_alone_never_waits() -> None:
    pace = CommitPace(10.0)
    for _ in range(5):
        job = await append("a")
        pace.gather(job)
        pace.begin([job])
    assert SLEPT == []


async def test_several_streams_share_commits_that_begin_apart() -> None:
    pace = CommitPace(10.0)
    pace.begin([await append("a")])
    pace.gather(await append("b"))
    assert len(SLEPT) == 1
    assert 9 < SLEPT[0] <= 10


async def test_nobody_waits_when_the_last_commit_is_long_ago() -> None:
    pace = CommitPace(0.0)
    pace.begin([await append("a")])
    pace.gather(await append("b"))
    assert SLEPT == []
