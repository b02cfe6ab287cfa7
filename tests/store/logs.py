"""What the tests of the logs share: opening one, and reading one to its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from lockgate.errors import StreamUnknown
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import LogEntry, StreamLog
from lockgate.store.memory import MemoryLog
from lockgate.store.redis.log import RedisLog
from lockgate.store.sqlite.log import SqliteLog
from tests.redis_server import shared

Log = TypeVar("Log", bound=StreamLog)
KINDS = ("memory", "sqlite", "redis")
PATIENCE_S = 300.0

Opener = Callable[[], AbstractAsyncContextManager[StreamLog]]


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def make(kind: str, folder: Path, clock: Clock | None = None, monotonic: Clock | None = None) -> StreamLog:
    wall = clock or Clock()
    steady = monotonic or wall
    if kind == "memory":
        return MemoryLog(wall=wall, monotonic=steady)
    if kind == "redis":
        # By its prefix, so that each folder has a log of its own.
        return RedisLog(shared.url(), prefix=str(folder), answer_s=PATIENCE_S, wall=wall, monotonic=steady)
    return SqliteLog(folder / "log.db", wall=wall, monotonic=steady)


@asynccontextmanager
async def opened(log: Log) -> AsyncIterator[Log]:
    await log.open()
    try:
        yield log
    finally:
        await log.shut()


async def those_of(log: StreamLog, *stream_ids: str) -> set[str]:
    """The streams among these that exist."""
    found = set()
    for stream_id in stream_ids:
        with contextlib.suppress(StreamUnknown):
            await log.head(stream_id)
            found.add(stream_id)
    return found


async def expire_all(log: StreamLog, *, older_than_s: float) -> int:
    """Delete all that is due, step by step; the number of streams."""
    count, is_done = 0, False
    while not is_done:
        streams, is_done = await log.expire(older_than_s=older_than_s, limit=9)
        count += streams
    return count


async def rest(log: StreamLog, stream_id: str, after: Offset = START, *, max_bytes: int = 1 << 20) -> list[LogEntry]:
    """Everything after an offset, page by page."""
    entries: list[LogEntry] = []
    while True:
        page = await log.read(stream_id, after, max_bytes=max_bytes)
        entries += page.entries
        if not page.entries:
            assert after == page.tail or page.tail.records == after.records
            return entries
        after = page.entries[-1].offset


async def follow(log: StreamLog, stream_id: str, after: Offset = START) -> list[LogEntry]:
    """A live reader: register, clear, read, sleep, until the stream is closed."""
    entries: list[LogEntry] = []
    async with log.watch(stream_id) as news:
        while True:
            news.clear()
            page = await log.read(stream_id, after, max_bytes=10_000)
            if page.entries:
                entries += page.entries
                after = page.entries[-1].offset
            elif page.is_closed:
                return entries
            else:
                await news.wait()


async def turns(count: int) -> None:
    """Let other tasks go on, that many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def notices_are_heard_by_others_who_watch(a: StreamLog, b: StreamLog) -> None:
    """In order, and not by who sent it; of streams that nobody watches there, nothing is heard."""
    heard: list[tuple[str, bytes]] = []
    last = asyncio.Event()

    def hear(stream_id: str, notice: bytes) -> None:
        heard.append((stream_id, notice))
        if notice == b"last":
            last.set()

    a.hear_notices(lambda *notice: pytest.fail(f"it sent {notice} itself"))
    b.hear_notices(hear)
    async with opened(a), opened(b):
        for stream_id in ("s", "ü %", "other"):
            await a.create(stream_id, b"", owner="a")
        async with a.watch("s"), b.watch("s"), b.watch("ü %"):
            for notice in (b"1", b"\x00 2\xff"):
                await a.notify("s", notice)
            await a.notify("other", b"nobody watches it")
            await a.notify("ü %", b"last")
            await asyncio.wait_for(last.wait(), PATIENCE_S)
    assert heard == [("s", b"1"), ("s", b"\x00 2\xff"), ("ü %", b"last")]
