"""Closed streams are deleted at least as fast as they can be made, and who writes meanwhile hardly notices."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from lockgate.store.base import StreamLog
from lockgate.store.sqlite.log import SqliteLog
from tests.store.logs import opened

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

STREAMS = 2000
AT_ONCE = 50
TEXT = b"x" * 300


async def make(log: StreamLog, stream_id: str, appends: int) -> None:
    epoch = await log.create(stream_id, TEXT, owner="a")
    for seq in range(appends):
        await log.append(stream_id, [TEXT], epoch=epoch, seq=seq, close=seq == appends - 1)


async def expire(log: StreamLog) -> int:
    """As the keeper does it."""
    count, is_done = 0, False
    while not is_done:
        begun_s = time.monotonic()
        streams, is_done = await log.expire(older_than_s=0, limit=100)
        count += streams
        await asyncio.sleep(time.monotonic() - begun_s)
    return count


@pytest.mark.parametrize("appends", [2, 20, 200])
async def test_expiry_keeps_up(tmp_path: Path, appends: int) -> None:
    async with opened(SqliteLog(tmp_path / "log.db")) as log:
        begun_s = time.monotonic()
        for first in range(0, STREAMS, AT_ONCE):
            await asyncio.gather(*(make(log, str(number), appends) for number in range(first, first + AT_ONCE)))
        made = STREAMS / (time.monotonic() - begun_s)
        await log.create("live", b"", owner="a")
        expiring = asyncio.create_task(expire(log))
        took, begun_s, seq = list[float](), time.monotonic(), 0
        while not expiring.done():
            asked_s = time.monotonic()
            await log.append("live", [TEXT], epoch=1, seq=seq)
            took.append(time.monotonic() - asked_s)
            seq += 1
            await asyncio.sleep(0.002)  # a paced stream
        assert await expiring == STREAMS
        expired = STREAMS / (time.monotonic() - begun_s)
    took.sort()
    shown = [round(1000 * took[int(len(took) * share)], 1) for share in (0.5, 0.99)]
    print(f"\n{appends} appends each: {made:.0f} streams/s made, {expired:.0f}/s expired; append p50, p99 ms: {shown}")
    assert expired >= made or expired > 1000
