"""One thread that writes: groups, a bounded queue, and callers that give up."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from lockgate.errors import (
    FencedOut,
    StoreError,
    StreamClosed,
    StreamUnknown,
)
from lockgate.protocol.offsets import START, Offset
from lockgate.store.sqlite import log as sqlite
from lockgate.store.sqlite.log import SqliteLog
from tests.store.logs import follow, opened, rest, turns
from tests.store.sqlite.files import first_is_taken, locked, payloads_of

# -- one thread, many appends ---------------------------------------------------------------------------------------


async def test_what_waits_is_committed_together(path: Path) -> None:
    """While one transaction runs, everything else gathers for the next."""
    async with opened(SqliteLog(path)) as log:
        ids = [str(number) for number in range(200)]
        await asyncio.gather(*(log.create(one, b"", owner="a") for one in ids))
        with locked(path):
            first = asyncio.create_task(log.append(ids[0], [b"x"], epoch=1, seq=0))
            await turns(1)
            await first_is_taken(log)
            others = [asyncio.create_task(log.append(one, [b"x"], epoch=1, seq=0)) for one in ids[1:]]
            await turns(1)
            before = log.commits
        await asyncio.gather(first, *others)
        assert log.commits - before == 2


async def test_one_that_is_refused_does_not_fail_the_others(path: Path) -> None:
    """A zombie, a gap, a closed stream and a stranger in one transaction with good ones and repeats."""
    async with opened(SqliteLog(path)) as log:
        for one in ("good", "stolen", "closed"):
            await log.create(one, b"", owner="a")
        await log.take_over("stolen", owner="b")
        await log.append("closed", [], epoch=1, seq=0, close=True)
        with locked(path):
            before = log.commits
            asked = [
                log.append("good", [b"0"], epoch=1, seq=0),
                log.append("stolen", [b"zombie"], epoch=1, seq=0),
                log.append("good", [b"gap"], epoch=1, seq=7),
                log.append("good", [b"1"], epoch=1, seq=1),
                log.append("closed", [b"late"], epoch=1, seq=1),
                log.append("nobody", [b"x"], epoch=1, seq=0),
                log.append("good", [b"other"], epoch=1, seq=0),
                log.append("\udcff", [b"not text"], epoch=1, seq=0),
                log.append("stolen", [b"fine"], epoch=2, seq=0),
                log.take_over("good", owner="b"),
                log.append("good", [b"too late"], epoch=1, seq=2),
                log.append("good", [b"2"], epoch=2, seq=0, close=True),
                log.take_over("good", owner="c"),
            ]
            tasks = [asyncio.create_task(one) for one in [log.head("good"), *asked]]
            await turns(2)
        _, *got = await asyncio.gather(*tasks, return_exceptions=True)
        assert log.commits - before <= 2
        assert [one if isinstance(one, Offset | int) else type(one) for one in got] == [
            Offset(1, 1),
            FencedOut,
            StoreError,
            Offset(1, 2),
            StreamClosed,
            StreamUnknown,
            Offset(1, 1),
            StoreError,
            Offset(2, 1),
            2,
            FencedOut,
            Offset(2, 3),
            StreamClosed,
        ]
        assert payloads_of(await rest(log, "good")) == [b"0", b"1", b"2"]
        assert payloads_of(await rest(log, "stolen")) == [b"fine"]


async def test_the_queue_is_bounded_and_keeps_the_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the queue holds: the rest waits at the door, in order, and nothing is lost."""
    monkeypatch.setattr(sqlite, "MAX_QUEUED_BYTES", 5000)
    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"", owner="a")
        with pytest.raises(StoreError, match="is the most"):
            await log.append("s", [b"x" * 5000], epoch=1, seq=0)
        with locked(path):
            tasks = [asyncio.create_task(log.append("s", [b"%0500d" % n], epoch=1, seq=n)) for n in range(100)]
            await turns(5)
            assert log._queued_bytes < 5000 + 1012 + 1
            assert log._at_door > 80
        for n in range(100, 400):  # these come while those before them leave the door
            await asyncio.wait([tasks[n - 90]])
            tasks.append(asyncio.create_task(log.append("s", [b"%0500d" % n], epoch=1, seq=n)))
        assert await asyncio.gather(*tasks) == [Offset(1, n + 1) for n in range(400)]
        assert (log._queued_bytes, log._at_door) == (0, 0)


# -- giving up ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_taken", [True, False], ids=["being written", "still waiting"])
async def test_a_cancelled_append_commits_or_not(path: Path, is_taken: bool) -> None:
    """Here it does, since it had been accepted; and appending it again answers its offset."""
    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"", owner="a")
        async with log.watch("s") as news:
            with locked(path):
                if not is_taken:
                    other = asyncio.create_task(log.create("other", b"", owner="a"))
                    await turns(1)
                    await first_is_taken(log)
                task = asyncio.create_task(log.append("s", [b"x"], epoch=1, seq=0))
                await turns(1)
                if is_taken:
                    await first_is_taken(log)
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
            await news.wait()
        if not is_taken:
            await other
        assert await log.append("s", [b"x"], epoch=1, seq=0) == Offset(1, 1)
        assert await log.append("s", [b"y"], epoch=1, seq=1) == Offset(1, 2)
        assert payloads_of(await rest(log, "s")) == [b"x", b"y"]


@pytest.mark.parametrize("seed", range(4))
async def test_cancelling_at_any_moment_loses_and_doubles_nothing(
    path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each append is cancelled at random moments and tried again with the same seq until it is answered."""
    if seed % 2:
        monkeypatch.setattr(sqlite, "MAX_QUEUED_BYTES", 2000)  # cancelled at the door, too

    async def write(log: SqliteLog, stream_id: str) -> None:
        rng = random.Random(f"{seed} {stream_id}")
        await log.create(stream_id, b"", owner="a")
        for seq in range(50):
            offset = None
            while offset is None:
                task = asyncio.create_task(log.append(stream_id, [b"%d" % seq], epoch=1, seq=seq, close=seq == 49))
                if rng.random() < 0.7:
                    await turns(rng.randrange(8))
                    task.cancel()
                await asyncio.wait([task])
                offset = None if task.cancelled() else task.result()
            assert offset == Offset(1, seq + 1)

    async with opened(SqliteLog(path)) as log:
        ids = [str(number) for number in range(10)]
        await asyncio.gather(*(write(log, one) for one in ids))
        for one in ids:
            assert payloads_of(await follow(log, one)) == [b"%d" % seq for seq in range(50)]
        assert (log._queued_bytes, log._at_door, log._under_way) == (0, 0, set())


async def test_shutting_commits_what_was_accepted(path: Path) -> None:
    """Also while the file is locked for a moment; afterwards nothing hangs and everything is refused."""
    log = SqliteLog(path)
    await log.open()
    await log.create("s", b"", owner="a")
    async with log.watch("s") as news:
        with locked(path):
            tasks = [asyncio.create_task(log.append("s", [b"0"], epoch=1, seq=0))]
            await turns(1)
            await first_is_taken(log)
            tasks += [asyncio.create_task(log.append("s", [b"%d" % n], epoch=1, seq=n)) for n in range(1, 50)]
            await turns(1)
            shutting = asyncio.create_task(log.shut())
            await turns(5)
        await shutting
        assert await asyncio.gather(*tasks) == [Offset(1, n + 1) for n in range(50)]
        assert news.is_set(), "readers wake up and find out"
    await log.shut()
    for ask in (log.append("s", [b""], epoch=1, seq=50), log.read("s", START, max_bytes=1)):
        with pytest.raises(StoreError, match="is shut"):
            await ask
    with pytest.raises(StoreError, match="is shut"):
        log.beat("a")
    async with opened(SqliteLog(path)) as again:
        assert len(await rest(again, "s")) == 50
