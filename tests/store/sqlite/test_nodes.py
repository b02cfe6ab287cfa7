"""Several nodes on one file."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import sys
from functools import partial
from pathlib import Path

import pytest

from lockgate.errors import (
    BadRequest,
    FencedOut,
    ProducerGap,
    StreamUnknown,
    TailMoved,
)
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import Lifetime, Producer, Pushed
from lockgate.store.sqlite import file as sqlite_file
from lockgate.store.sqlite import log as sqlite
from lockgate.store.sqlite import notices
from lockgate.store.sqlite import tables as sqlite_schema
from lockgate.store.sqlite.log import SqliteLog
from tests.store.logs import Clock, follow, notices_are_heard_by_others_who_watch, opened, rest, turns
from tests.store.sqlite.files import payloads_of, until


async def test_two_nodes_on_one_file_fence_each_other(path: Path) -> None:
    """Whoever took over last writes; the other is refused at once, whatever it remembers."""
    async with opened(SqliteLog(path)) as a, opened(SqliteLog(path)) as b:
        epoch, written = await a.create("s", b"", owner="a"), list[bytes]()
        reading = [asyncio.create_task(follow(log, "s")) for log in (a, b)]
        for turn in range(20):
            owner, zombie = (a, b) if turn % 2 else (b, a)
            old, epoch = epoch, await owner.take_over("s", owner=str(turn))
            for seq in range(3):
                written.append(b"%d %d" % (turn, seq))
                await owner.append("s", [written[-1]], epoch=epoch, seq=seq)
                with pytest.raises(FencedOut):
                    await zombie.append("s", [b"zombie"], epoch=old, seq=seq + 3)
        await owner.append("s", [], epoch=epoch, seq=3, close=True)
        for entries in await asyncio.gather(*reading):
            assert payloads_of(entries) == written
        assert await rest(a, "s") == await rest(b, "s")


async def test_both_nodes_may_write_with_the_same_epoch(path: Path) -> None:
    """Appends of one producer may arrive at any node; seq decides, and a repeat at the other node is known."""
    async with opened(SqliteLog(path)) as a, opened(SqliteLog(path)) as b:
        await a.create("s", b"", owner="a")
        reading = [asyncio.create_task(follow(log, "s")) for log in (a, b)]
        for seq in range(60):
            first, second = (a, b) if seq % 3 else (b, a)
            payload = b"%d" % seq
            assert await first.append("s", [payload], epoch=1, seq=seq, close=seq == 59) == Offset(1, seq + 1)
            assert await second.append("s", [payload], epoch=1, seq=seq, close=seq == 59) == Offset(1, seq + 1)
        for entries in await asyncio.gather(*reading):
            assert payloads_of(entries) == [b"%d" % seq for seq in range(60)]


@pytest.mark.parametrize("is_ours", [True, False], ids=["ours", "theirs"])
async def test_a_reader_hears_what_another_node_did(path: Path, is_ours: bool) -> None:
    """A record, a close without one, a deletion: each wakes a reader who had read everything, and is seen."""
    async with opened(SqliteLog(path)) as a, opened(SqliteLog(path)) as b:
        await a.create("s", b"", owner="a")
        async with a.watch("s") as news:
            for seq in range(3):  # so that the pace of looking is that of a stream of ours, or of theirs
                await (a if is_ours else b).append("s", [b"x"], epoch=1, seq=seq)
                await until(partial(lambda records: a._watched["s"].seen == records, seq + 1))
            assert a._foreign == (not is_ours)
            news.clear()
            await b.append("s", [b"y"], epoch=1, seq=3)
            await news.wait()
            assert payloads_of((await a.read("s", Offset(1, 3), max_bytes=9)).entries) == [b"y"]
            assert a._foreign == 1
            news.clear()
            await b.append("s", [], epoch=1, seq=4, close=True)
            await news.wait()
            assert (await a.read("s", Offset(1, 4), max_bytes=9)).is_closed
            assert a._foreign == 0
            news.clear()
            await b.delete("s")
            await news.wait()
            with pytest.raises(StreamUnknown):
                await a.read("s", START, max_bytes=1)


async def test_memory_serves_again_after_another_node_wrote(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What we keep begins anew at our next commit, with the right positions."""

    def refuse(*_: object) -> None:
        raise AssertionError("reads the file")

    async with opened(SqliteLog(path)) as a, opened(SqliteLog(path)) as b:
        await a.create("s", b"", owner="a")
        async with a.watch("s"):
            await a.append("s", [b"1"], epoch=1, seq=0)
            await b.append("s", [b"2"], epoch=1, seq=1)
            await a.append("s", [b"3"], epoch=1, seq=2)
            monkeypatch.setattr(sqlite_file, "page", refuse)
            page = await a.read("s", Offset(1, 2), max_bytes=9)
            assert page[:3] == ([(Offset(1, 3), b"3")], Offset(1, 3), False)


async def test_own_commits_are_no_news(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single process never asks the file what others did: neither commits nor checkpoints look like others'.

    And the checkpoints come often enough for the WAL to begin at its front again.
    """
    heard = 0

    def hear(self: SqliteLog) -> None:
        nonlocal heard
        heard += 1

    monkeypatch.setattr(SqliteLog, "_hear", hear)
    monkeypatch.setattr(sqlite, "_CHECKPOINT_PAGES", 20)
    monkeypatch.setattr(sqlite_schema, "_AUTOCHECKPOINT_PAGES", 150)
    wal_pages: list[int] = []
    checkpoint = sqlite_file.checkpoint

    def recorded(database: sqlite3.Connection) -> int:
        wal_pages.append(checkpoint(database))
        return wal_pages[-1]

    monkeypatch.setattr(sqlite_file, "checkpoint", recorded)
    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"", owner="a")
        async with log.watch("s"):
            for seq in range(20_000):  # checkpoints run in a thread, which may have to wait for its turn
                await log.append("s", [b"x" * 5000], epoch=1, seq=seq)
                if seq >= 1500 and wal_pages != sorted(wal_pages):
                    break
        assert heard == 0
        assert wal_pages != sorted(wal_pages)


@pytest.mark.parametrize("seed", range(6))
async def test_pushes_through_two_nodes_lose_and_double_nothing(path: Path, seed: int) -> None:
    """Producers that send every push to random nodes, several times and some of them early; cancelled at random.

    Each push is there once, those of a producer in their order, and of the pushes that expect one tail one is written.
    """

    async def produce(logs: list[SqliteLog], name: str) -> None:
        rng = random.Random(f"{seed} {name}")
        epoch = seq = 0
        for number in range(25):
            producer, is_there = Producer(name, epoch, seq), False
            while not is_there:
                sending = [
                    asyncio.create_task(rng.choice(logs).push("s", [f"{name} {number}".encode()], producer=producer))
                    for _ in range(rng.choice([1, 1, 2, 3]))
                ]
                early = rng.choice(logs).push("s", [b"early"], producer=Producer(name, epoch, seq + 2))
                if rng.random() < 0.3:
                    await turns(rng.randrange(8))
                    rng.choice(sending).cancel()
                with pytest.raises(ProducerGap if epoch == 0 or seq else (ProducerGap, BadRequest)):
                    await early
                await asyncio.wait(sending)
                answers = [one.result() for one in sending if not one.cancelled()]
                is_there = any(one.producer == producer for one in answers)
                assert sum(one.is_new for one in answers) <= 1
            epoch, seq = (epoch + 1, 0) if rng.random() < 0.1 else (epoch, seq + 1)

    async def race(logs: list[SqliteLog]) -> int:
        """Writes what it read one after: a counter, without a lock."""
        wins = 0
        while wins < 10:
            for log in logs:
                tail = (await log.head("count")).tail
                pushing = [one.push("count", [b"%d" % tail.records], expect=tail) for one in logs for _ in range(2)]
                answers = await asyncio.gather(*pushing, return_exceptions=True)
                assert all(isinstance(one, Pushed | TailMoved) for one in answers)
                won = sum(isinstance(one, Pushed) for one in answers)
                assert won <= 1
                wins += won
        return wins

    async with opened(SqliteLog(path)) as a, opened(SqliteLog(path)) as b:
        for stream_id in ("s", "count"):
            await a.create(stream_id, b"", owner="")
        reading = [asyncio.create_task(follow(log, "s")) for log in (a, b)]
        names = [f"p{number}" for number in range(4)]
        racing = [asyncio.create_task(race(logs)) for logs in ([a, b], [b, a])]
        await asyncio.gather(*(produce([a, b], one) for one in names))
        wins = sum(await asyncio.gather(*racing))
        assert payloads_of(await rest(b, "count")) == [b"%d" % number for number in range(wins)]
        closing = Producer("p0", 99, 0)
        answers = await asyncio.gather(*(one.push("s", [], close=True, producer=closing) for one in (a, b)))
        assert sorted(one.is_new for one in answers) == [False, True]
        for entries in await asyncio.gather(*reading):
            assert [entry.offset.records for entry in entries] == list(range(1, 101))
            got = [payload.decode().split() for payload in payloads_of(entries)]
            for name in names:
                assert [int(number) for who, number in got if who == name] == list(range(25))


async def test_a_reader_hears_of_another_stream_of_the_same_id(path: Path) -> None:
    """Another node deletes a stream that we keep in memory, and makes a new one, shorter or as long."""
    async with opened(SqliteLog(path)) as a, opened(SqliteLog(path)) as b:
        await a.create("s", b"", owner="")
        async with a.watch("s") as news:
            for count in (3, 2, 1, 1, 0):
                await a.push("s", [b"ours"])
                assert a._watched["s"].tail is not None
                news.clear()
                await b.delete("s")
                await b.create("s", b"", owner="", payloads=[b"theirs"] * count)
                created_s = (await b.head("s")).created_s
                await until(partial(lambda at_s: sqlite_file.is_same(a._watched["s"].created_s, at_s), created_s))
                assert news.is_set()
                assert payloads_of(await rest(a, "s")) == [b"theirs"] * count


async def test_a_lifetime_that_another_node_renewed(path: Path) -> None:
    """What we remember of it may be over: then the file is asked, and not renewed for nothing."""
    clock = Clock()
    async with (
        opened(SqliteLog(path, wall=clock, monotonic=clock)) as a,
        opened(SqliteLog(path, wall=clock, monotonic=clock)) as b,
    ):
        await a.create("s", b"", owner="", lifetime=Lifetime(ttl_s=100))
        async with a.watch("s"):
            await a.push("s", [b"x"])
            clock.now_s += 60
            await b.touch("s")
            clock.now_s += 60
            assert payloads_of(await rest(a, "s")) == [b"x"]
            assert (await a.push("s", [b"y"])).is_new
            clock.now_s += 60
            await b.touch("s")
            clock.now_s += 45
            before = a.commits
            for _ in range(3):
                await a.touch("s")
            assert a.commits == before + 1
            assert (await b.head("s")).lifetime.expires_s == clock.now_s + 100
            clock.now_s += 9
            await a.touch("s")
            assert a.commits == before + 1, "less than a tenth has passed"


WRITER = """
import asyncio, sys
from pathlib import Path
from lockgate.store.base import Lifetime, Producer, Pushed
from lockgate.store.sqlite.log import SqliteLog

async def main():
    log = SqliteLog(Path(sys.argv[1]))
    await log.open()
    epoch = await log.take_over("s", owner="b")
    for seq, line in enumerate(sys.stdin):
        await log.append("s", [line.strip().encode()], epoch=epoch, seq=seq, close=line == "end\\n")
    await log.shut()

asyncio.run(main())
"""


async def test_another_process_wakes_our_readers(path: Path) -> None:
    """A real one. Each record is written only after the reader got the one before, so a missed wake-up would hang."""
    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"", owner="a")
        await log.append("s", [b"ours"], epoch=1, seq=0)
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", WRITER, str(path), stdin=asyncio.subprocess.PIPE
        )
        assert writer.stdin is not None
        got: list[bytes] = []
        after, count = START, 0
        async with log.watch("s") as news:
            while got[-1:] != [b"end"]:
                news.clear()
                page = await log.read("s", after, max_bytes=99)
                if not page.entries:
                    await news.wait()
                    continue
                got += payloads_of(page.entries)
                after = page.entries[-1].offset
                count += 1
                if got[-1] != b"end":
                    writer.stdin.write(b"%d\n" % count if count < 30 else b"end\n")
        assert got == [b"ours", *(b"%d" % number for number in range(1, 30)), b"end"]
        writer.stdin.close()
        assert await writer.wait() == 0


async def test_a_notice_is_heard_by_others_who_watch(path: Path) -> None:
    await notices_are_heard_by_others_who_watch(SqliteLog(path), SqliteLog(path))


async def test_only_the_newest_notices_are_kept(path: Path) -> None:
    """However many are sent, the file keeps a bounded number; those that were heard are not heard again."""
    with contextlib.closing(sqlite_schema.prepare(path, "NORMAL", 5.0, 0.0)) as database:
        for number in range(notices.KEPT + 5):
            notices.put(database, "a", "s", b"%d" % number)
        kept = notices.after(database, 0)
        assert [one.notice for one in kept] == [b"%d" % number for number in range(5, notices.KEPT + 5)]
        assert notices.after(database, notices.last(database)) == []
