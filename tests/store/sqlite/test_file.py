"""The file: what outlives the process, who may open it, and what an older version becomes."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.errors import (
    OffsetGone,
    StoreError,
)
from lockgate.protocol.offsets import Offset
from lockgate.store.base import Lifetime, Producer
from lockgate.store.sqlite import file as sqlite_file
from lockgate.store.sqlite import tables as sqlite_schema
from lockgate.store.sqlite.log import SqliteLog
from tests.store.logs import opened, rest, those_of
from tests.store.sqlite.files import payloads_of


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
        pytest.param(newer, "has version 99, this lockgate knows 4", id="a newer version"),
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
    assert len(await those_of(logs[0], *map(str, range(8)))) == 8
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
    assert await log.orphans(owner="x", limit=9) == ["open"]
    assert await log.append("open", [b"c"], epoch=2, seq=0) == Offset(2, 3)
    assert await other.append("open", [b"d"], epoch=2, seq=1) == Offset(2, 4)
    await log.create("s", b"", owner="", lifetime=Lifetime(ttl_s=1e9))
    first = Producer("p", 0, 0)
    assert (await log.push("s", [b"1"], producer=first)).is_new
    assert not (await other.push("s", [b"1"], producer=first)).is_new
    assert (await log.expire(older_than_s=9, limit=9)).streams == 1
    assert await those_of(log, "open", "closed", "s") == {"open", "s"}
    for one in logs:
        await one.shut()
    async with opened(SqliteLog(path)) as again:
        assert not (await again.push("s", [b"1"], producer=first)).is_new
        assert (await again.head("s")).lifetime.ttl_s == 1e9
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (4,)
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
        for table in {*tables} - {"clock"}:
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
        (f"{sqlite_file._OPEN.replace('?', '0')} AND owner = 'a'", "open_heads"),
        (f"{sqlite_file._ASKED.replace('?', '0')}", "SCAN asked"),
    ],
)
async def test_questions_are_answered_by_an_index(path: Path, query: str, index: str) -> None:
    """Without sorting, so that neither a long stream nor many old ones make them slow."""
    async with opened(SqliteLog(path)):
        with contextlib.closing(sqlite_schema.connect(path)) as database:
            plan = " ".join(row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert index in plan
    assert "B-TREE" not in plan


async def test_a_long_stream_goes_bit_by_bit(path: Path) -> None:
    """It is gone at once, its id can be used at once, its key only when nothing of it is left."""
    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"", owner="a")
        for seq in range(500):
            await log.append("s", [b"old"], epoch=1, seq=seq)
        await log.delete("s")
        await log.create("s", b"", owner="a")
        await log.append("s", [b"new"], epoch=1, seq=0)
        assert payloads_of(await rest(log, "s")) == [b"new"]
        while not (await log.expire(older_than_s=1e9, limit=9)).is_done:
            assert payloads_of(await rest(log, "s")) == [b"new"]
        assert payloads_of(await rest(log, "s")) == [b"new"]
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM appends").fetchone() == (1,)
        assert database.execute("SELECT count(*) FROM garbage").fetchone() == (0,)
