"""Readers who keep up are served from memory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lockgate.protocol.offsets import START, Offset
from lockgate.store.sqlite import file as sqlite_file
from lockgate.store.sqlite import log as sqlite
from lockgate.store.sqlite.log import SqliteLog
from tests.store.logs import follow, opened, rest
from tests.store.sqlite.files import payloads_of


async def test_a_reader_who_keeps_up_does_not_touch_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its registration on, and only as long as somebody watches."""
    reads = 0
    page = sqlite_file.page

    def counted(*args: Any) -> Any:
        nonlocal reads
        reads += 1
        return page(*args)

    monkeypatch.setattr(sqlite_file, "page", counted)
    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"", owner="a")
        await log.append("s", [b"early"], epoch=1, seq=0)
        async with log.watch("s"):
            assert len((await log.read("s", START, max_bytes=99)).entries) == 1
            assert reads == 1
            for seq in range(1, 500):
                await log.append("s", [b"x" * 100, b"y"], epoch=1, seq=seq, close=seq == 499)
                tail = await log.read("s", Offset(1, 2 * seq - 1), max_bytes=999)
                assert payloads_of(tail.entries) == [b"x" * 100, b"y"]
                half = await log.read("s", Offset(1, 2 * seq), max_bytes=999)
                assert payloads_of(half.entries) == [b"y"]
            assert tail.is_closed
            assert reads == 1
            held = log._watched["s"].tail
            assert held is not None
            assert held._size <= sqlite.TAIL_BYTES
            assert len(await rest(log, "s")) == 999, "older ones come from the file"
            assert reads > 1
        assert (log._watched, log._tails) == ({}, 0)


async def test_tails_in_memory_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams beyond the bound are read from the file, and nobody notices."""
    monkeypatch.setattr(sqlite, "MAX_TAILS", 2)
    monkeypatch.setattr(sqlite, "TAIL_BYTES", 2000)

    async def write(log: SqliteLog, stream_id: str) -> None:
        for seq in range(60):
            await log.append(stream_id, [b"%d" % seq * 20], epoch=1, seq=seq, close=seq == 59)
            assert log._tails <= 2

    async with opened(SqliteLog(path)) as log:
        ids = [str(number) for number in range(6)]
        for one in ids:
            await log.create(one, b"", owner="a")
        reading = [asyncio.create_task(follow(log, one)) for one in ids for _ in range(3)]
        await asyncio.gather(*(write(log, one) for one in ids))
        for entries in await asyncio.gather(*reading):
            assert payloads_of(entries) == [b"%d" % seq * 20 for seq in range(60)]
        assert (log._watched, log._tails) == ({}, 0)
