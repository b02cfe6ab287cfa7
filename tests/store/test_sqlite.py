"""What only the log in a file promises: groups, limits, several processes, and troubles in words."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lockgate.errors import (
    BadRequest,
    FencedOut,
    OffsetGone,
    ProducerGap,
    StoreError,
    StreamClosed,
    StreamUnknown,
    TailMoved,
)
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import Lifetime, Producer, Pushed
from lockgate.store.sqlite import file as sqlite_file
from lockgate.store.sqlite import log as sqlite
from lockgate.store.sqlite import tables as sqlite_schema
from lockgate.store.sqlite.log import SqliteLog
from tests.store.logs import PATIENCE_S, Clock, follow, rest, turns


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@contextlib.asynccontextmanager
async def opened(log: SqliteLog) -> AsyncIterator[SqliteLog]:
    await log.open()
    try:
        yield log
    finally:
        await log.shut()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """The file as another process locks it while it writes."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def until(is_so: Callable[[], object]) -> None:
    """Wait for a fact of another thread; the test's own timeout bounds it."""
    while not is_so():  # noqa: ASYNC110 - a thread sets no asyncio.Event
        await asyncio.sleep(0.001)


async def first_is_taken(log: SqliteLog) -> None:
    """Wait until the writer has taken everything that waited, so that what comes now is the next transaction."""
    await until(lambda: log._writer._queue.empty())


def payloads_of(entries: list[Any]) -> list[bytes]:
    return [entry.payload for entry in entries]


# -- the file ----------------------------------------------------------------------------------------------------


async def test_the_log_outlives_the_process(path: Path) -> None:
    """Records, epochs, owners, repeats: all there after a restart."""
    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"meta", owner="a")
        await log.append("s", [b"1", b"2"], epoch=1, seq=0)
        await log.take_over("s", owner="b")
        await log.append("s", [b"3"], epoch=2, seq=0)
    async with opened(SqliteLog(path)) as log:
        assert payloads_of(await rest(log, "s")) == [b"1", b"2", b"3"]
        assert await log.append("s", [b"3"], epoch=2, seq=0) == Offset(2, 3)
        assert await log.append("s", [b"4"], epoch=2, seq=1, close=True) == Offset(2, 4)
        with pytest.raises(OffsetGone):
            await log.read("s", Offset(1, 3), max_bytes=1)
        assert (await log.head("s"))[:5] == (b"meta", Offset(2, 4), 2, "b", True)


async def test_the_file_is_made_with_its_folder_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "log.db"
    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"", owner="a")
        for one in path.parent.iterdir():
            assert stat.S_IMODE(one.stat().st_mode) == 0o600, one
    assert [one.name for one in path.parent.iterdir()] == ["log.db"], "shutting leaves one file"


def other_program(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (x)")


def other_id(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA application_id = 7")


def newer(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA application_id = {sqlite_schema.APPLICATION_ID}")
        other.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        pytest.param(other_program, "is the database of another program; choose another", id="another program's"),
        pytest.param(other_id, "is the database of another program", id="another application_id"),
        pytest.param(newer, "has version 99, this lockgate knows 2", id="a newer version"),
        pytest.param(lambda path: path.write_bytes(b"hello" * 999), "is not an SQLite file", id="not a database"),
        pytest.param(Path.mkdir, "Is a directory", id="a folder"),
        pytest.param(lambda path: path.parent.rmdir() or path.parent.write_bytes(b""), "File exists", id="no folder"),
    ],
)
async def test_a_file_that_is_not_ours_is_refused_and_left_alone(
    tmp_path: Path, spoil: Callable[[Path], object], sentence: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "log.db"
    spoil(path)
    was = path.read_bytes() if path.is_file() else None
    log = SqliteLog(path)
    with pytest.raises(StoreError, match=sentence) as refused:
        await log.open()
    assert str(path) in str(refused.value)
    await log.shut()
    with pytest.raises(StoreError, match="is not open"):
        await log.head("s")
    assert was is None or path.read_bytes() == was


async def test_many_may_open_a_new_file_at_once(path: Path) -> None:
    logs = [SqliteLog(path) for _ in range(8)]
    await asyncio.gather(*(log.open() for log in logs))
    for number, log in enumerate(logs):
        await log.create(str(number), b"", owner="a")
    assert len([one async for one in logs[0].streams(limit=99)]) == 8
    for log in logs:
        await log.shut()


# The tables of version 1, as its lockgate made them.
VERSION_1 = """
CREATE TABLE streams (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, meta BLOB NOT NULL, owner TEXT NOT NULL, created_s REAL NOT NULL);
CREATE TABLE heads (
    key INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, next_seq INTEGER NOT NULL, tail_epoch INTEGER NOT NULL,
    records INTEGER NOT NULL, closed_s REAL);
CREATE INDEX open_heads ON heads (key) WHERE closed_s IS NULL;
CREATE INDEX closed_heads ON heads (closed_s) WHERE closed_s IS NOT NULL;
CREATE TABLE appends (
    key INTEGER PRIMARY KEY, stream INTEGER NOT NULL, records INTEGER NOT NULL, epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL, sizes BLOB, body BLOB NOT NULL);
CREATE UNIQUE INDEX appends_by_stream ON appends (stream, records);
CREATE TABLE owners (owner TEXT PRIMARY KEY, expires_s REAL NOT NULL) WITHOUT ROWID;
INSERT INTO streams VALUES (1, 'open', X'6D657461', 'a', 7.5), (2, 'closed', X'', 'a', 8.5);
INSERT INTO heads VALUES (1, 2, 1, 2, 3, NULL), (2, 1, 1, 1, 1, 99.5);
INSERT INTO appends VALUES (1, 1, 2, 1, 0, X'0100000001000000', X'6162'),
    (2, 2, 1, 1, 0, NULL, X'78'), (3, 1, 3, 2, 0, NULL, X'63');
INSERT INTO owners VALUES ('a', 5);
PRAGMA application_id = 1818714484;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""


@pytest.mark.parametrize("nodes", [1, 4])
async def test_a_file_of_version_1_is_brought_up_to_date(path: Path, nodes: int) -> None:
    """In place, once, whoever comes first; what was in it stays, and it takes pushes and lifetimes from then on."""
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(VERSION_1)
    logs = [SqliteLog(path) for _ in range(nodes)]
    await asyncio.gather(*(log.open() for log in logs))
    log, other = logs[0], logs[-1]
    head = await log.head("open")
    assert head == (b"meta", Offset(2, 3), 2, "a", False, 7.5, Lifetime())
    assert payloads_of(await rest(log, "open")) == [b"a", b"b", b"c"]
    assert await log.orphans(limit=9) == ["open"]
    assert await log.append("open", [b"c"], epoch=2, seq=0) == Offset(2, 3)
    assert await other.append("open", [b"d"], epoch=2, seq=1) == Offset(2, 4)
    await log.create("s", b"", owner="", lifetime=Lifetime(ttl_s=1e9))
    first = Producer("p", 0, 0)
    assert (await log.push("s", [b"1"], producer=first)).is_new
    assert not (await other.push("s", [b"1"], producer=first)).is_new
    assert await log.expire(older_than_s=9, limit=9) == 1
    assert {one async for one, _ in log.streams(limit=9)} == {"open", "s"}
    for one in logs:
        await one.shut()
    async with opened(SqliteLog(path)) as again:
        assert not (await again.push("s", [b"1"], producer=first)).is_new
        assert (await again.head("s")).lifetime.ttl_s == 1e9
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_stream_leaves_nothing_behind(path: Path) -> None:
    """In any table: the next stream may get its key."""
    async with opened(SqliteLog(path)) as log:
        for owner in ("", "a"):
            await log.create("s", b"", owner=owner, lifetime=Lifetime(ttl_s=9), payloads=[b"x"])
            if not owner:
                await log.push("s", [b"y"], stream_seq="1", producer=Producer("p", 0, 0), close=True)
            await log.delete("s")
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert {"producers", "pushes", "lifetimes", "appends"} <= set(tables)
        for table in tables:
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT * FROM appends WHERE stream = 1 AND records >= 5 ORDER BY records", "appends_by_stream"),
        ("SELECT * FROM appends WHERE stream = 1 ORDER BY records DESC LIMIT 64", "appends_by_stream"),
        ("SELECT * FROM heads WHERE closed_s IS NULL ORDER BY key LIMIT 9", "open_heads"),
        ("SELECT * FROM heads WHERE closed_s <= 5 ORDER BY closed_s LIMIT 9", "closed_heads"),
        ("SELECT * FROM lifetimes WHERE expires_s <= 5 ORDER BY expires_s LIMIT 9", "lifetimes_by_end"),
        ("SELECT * FROM producers WHERE stream = 1 AND id = 'p'", "PRIMARY KEY"),
    ],
)
async def test_questions_are_answered_by_an_index(path: Path, query: str, index: str) -> None:
    """Without sorting, so that neither a long stream nor many old ones make them slow."""
    async with opened(SqliteLog(path)):
        with contextlib.closing(sqlite_schema.connect(path)) as database:
            plan = " ".join(row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert index in plan
    assert "B-TREE" not in plan


# -- one thread, many appends ------------------------------------------------------------------------------------


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


# -- giving up ---------------------------------------------------------------------------------------------------


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
    for ask in (log.append("s", [b""], epoch=1, seq=50), log.read("s", START, max_bytes=1), log.beat("a", ttl_s=1)):
        with pytest.raises(StoreError, match="is shut"):
            await ask
    async with opened(SqliteLog(path)) as again:
        assert len(await rest(again, "s")) == 50


# -- troubles ----------------------------------------------------------------------------------------------------


async def test_a_lock_that_is_held_too_long_fails_and_passes(path: Path) -> None:
    async with opened(SqliteLog(path, busy_s=0.05)) as log:
        await log.create("s", b"", owner="a")
        with locked(path):
            with pytest.raises(StoreError, match=r"log\.db: another process keeps it locked"):
                await log.append("s", [b"x"], epoch=1, seq=0)
            assert payloads_of(await rest(log, "s")) == [], "reading goes on"
        assert await log.append("s", [b"x"], epoch=1, seq=0) == Offset(1, 1)


async def test_no_answer_for_too_long_is_an_error_and_the_append_may_still_happen(path: Path) -> None:
    async with opened(SqliteLog(path, patience_s=0.05)) as log:
        await log.create("s", b"", owner="a")
        with locked(path):
            for _ in range(2):
                with pytest.raises(StoreError, match=r"log\.db: no commit for 0\.05 s"):
                    await log.append("s", [b"x"], epoch=1, seq=0)
        assert await log.append("s", [b"x"], epoch=1, seq=0) == Offset(1, 1)
        assert payloads_of(await rest(log, "s")) == [b"x"]
        assert log._queued_bytes == 0


async def test_an_odd_error_fails_its_transaction_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"", owner="a")
        with monkeypatch.context() as patch:
            patch.setattr(sqlite_file, "insert_appends", lambda *_: bytearray(1 << 62))
            with pytest.raises(StoreError, match=r"log\.db: MemoryError"):
                await log.append("s", [b"x"], epoch=1, seq=0)
        assert await log.append("s", [b"y"], epoch=1, seq=0) == Offset(1, 1)
        assert payloads_of(await rest(log, "s")) == [b"y"]


class Killed(BaseException):
    """Something that no thread survives."""


async def test_a_dead_writer_leaves_nobody_waiting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Appends fail with its cause, readers wake up and hear it, and shutting still works."""

    def kill(*_: object) -> None:
        raise Killed

    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"", owner="a")
        await log.append("s", [b"x"], epoch=1, seq=0)
        async with log.watch("s") as news:
            with locked(path):
                tasks = [asyncio.create_task(log.append("s", [b"y"], epoch=1, seq=n)) for n in (1, 2, 3)]
                await turns(1)
                monkeypatch.setattr(sqlite_file, "insert_appends", kill)
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(result, StoreError)
                assert "stopped writing: Killed" in str(result)
            await news.wait()
            for ask in (log.append("s", [b"y"], epoch=1, seq=1), log.read("s", START, max_bytes=1)):
                with pytest.raises(StoreError, match=r"log\.db: the log stopped writing"):
                    await ask
    async with opened(SqliteLog(path)) as log:
        assert payloads_of(await rest(log, "s")) == [b"x"]


@pytest.mark.parametrize("page", range(1, 12))
async def test_a_damaged_file_is_an_error_with_its_name(path: Path, page: int) -> None:
    """No wrong records and no silence: every read is right or an error that names the file or the record."""
    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"", owner="a")
        for seq in range(30):
            await log.append("s", [b"%0300d" % seq], epoch=1, seq=seq)
    with path.open("r+b") as file:
        file.seek((page - 1) * sqlite_schema.PAGE_BYTES)
        file.write(b"\xa5" * sqlite_schema.PAGE_BYTES)
    log, sentence = SqliteLog(path), "damaged"
    try:
        await log.open()
        assert payloads_of(await rest(log, "s")) == [b"%0300d" % seq for seq in range(30)]
    except StoreError as error:
        sentence = str(error)
    finally:
        await log.shut()
    assert "damaged" in sentence or str(path) in sentence


async def test_a_record_that_is_missing_is_not_stepped_over(path: Path) -> None:
    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"", owner="a")
        for seq in range(9):
            await log.append("s", [b"%d" % seq, b"x"], epoch=1, seq=seq)
        for lost, after in ((10, START), (10, Offset(1, 9)), (10, Offset(1, 10)), (18, START), (18, Offset(1, 16))):
            with contextlib.closing(sqlite3.connect(path)) as other:
                other.execute("BEGIN")
                row = other.execute("SELECT * FROM appends WHERE records = ?", (lost,)).fetchone()
                other.execute("DELETE FROM appends WHERE records = ?", (lost,))
                other.commit()
                with pytest.raises(StoreError, match=r"record \d+ of 18 is missing"):
                    await rest(log, "s", after)
                other.execute("INSERT INTO appends VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                other.commit()
        assert len(await rest(log, "s")) == 18


FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
from lockgate.errors import StoreError
from lockgate.protocol.offsets import START
from lockgate.store.base import Lifetime, Producer, Pushed
from lockgate.store.sqlite.log import SqliteLog

async def main():
    log = SqliteLog(Path(sys.argv[1]))
    await log.open()
    await log.create("s", b"", owner="a")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    seq = 0
    try:
        while True:
            await log.append("s", [b"%010d" % seq * 1000], epoch=1, seq=seq)
            seq += 1
    except StoreError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await log.append("s", [b"%010d" % seq * 1000], epoch=1, seq=seq)
    page = await log.read("s", START, max_bytes=1 << 30)
    assert [entry.payload for entry in page.entries] == [b"%010d" % n * 1000 for n in range(seq + 1)]
    print(seq)
    await log.shut()

asyncio.run(main())
"""


def test_a_full_disk_is_an_error_and_passes(path: Path) -> None:
    """What was answered stays, the failed append is not there, and after the cure the same append goes through."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL_DISK, str(path)], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    sentence, count = done.stdout.splitlines()
    assert str(path) in sentence
    assert "disk" in sentence
    assert int(count) > 3


# -- memory ------------------------------------------------------------------------------------------------------


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


# -- several nodes -----------------------------------------------------------------------------------------------


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
            assert page == ([(Offset(1, 3), b"3")], Offset(1, 3), False)


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
            for seq in range(1500):
                await log.append("s", [b"x" * 5000], epoch=1, seq=seq)
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
    async with opened(SqliteLog(path, now=clock)) as a, opened(SqliteLog(path, now=clock)) as b:
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
