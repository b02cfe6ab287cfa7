"""Locks, damage, a full disk and a dead writer, in words."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.errors import (
    StoreError,
)
from lockgate.protocol.offsets import START, Offset
from lockgate.store.sqlite import file as sqlite_file
from lockgate.store.sqlite import tables as sqlite_schema
from lockgate.store.sqlite.log import SqliteLog
from tests.store.logs import PATIENCE_S, opened, rest, turns
from tests.store.sqlite.files import locked, payloads_of


async def test_a_lock_that_is_held_too_long_fails_and_passes(path: Path) -> None:
    async with opened(SqliteLog(path, busy_s=0.05)) as log:
        await log.create("s", b"", owner="a")
        with locked(path):
            with pytest.raises(StoreError, match=r"log\.db: another process keeps it locked"):
                await log.append("s", [b"x"], epoch=1, seq=0)
            assert payloads_of(await rest(log, "s")) == [], "reading goes on"
        assert await log.append("s", [b"x"], epoch=1, seq=0) == Offset(1, 1)


async def test_no_answer_for_too_long_is_an_error_and_the_append_may_still_happen(path: Path) -> None:
    async with opened(SqliteLog(path, patience_s=0.5)) as log:
        await log.create("s", b"", owner="a")
        with locked(path):
            for _ in range(2):
                with pytest.raises(StoreError, match=r"log\.db: no commit for 0\.5 s"):
                    await log.append("s", [b"x"], epoch=1, seq=0)
        end = None
        while end is None:  # a busy machine may not commit within the log's patience; to ask again is safe
            with contextlib.suppress(StoreError):
                end = await log.append("s", [b"x"], epoch=1, seq=0)
        assert end == Offset(1, 1)
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
