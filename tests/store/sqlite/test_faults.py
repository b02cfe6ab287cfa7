"""Disk full, locked, read-only, deleted, replaced, damaged: nothing acknowledged is lost, no stream stays open."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from lockgate.errors import StoreFailing
from lockgate.observe.metrics import Meters
from lockgate.protocol.offsets import START
from lockgate.store.sqlite import file, tables
from lockgate.store.sqlite.log import SqliteLog
from lockgate.streams import keeper, owner, patient_writer
from lockgate.streams.owner import StreamOwner
from tests.store.faults import FAULTS, Fault, generate_through, moved_away, replaced
from tests.store.logs import opened, rest
from tests.streams.pumping import Scripted, clean

#: Appends of a run: one for each piece, and the end.
PIECES = 5
SENTENCES = {
    "full": "the disk is full",
    "read_only": "cannot be written",
    "locked": "another process keeps it locked",
    "moved_away": "was deleted or moved away",
    "replaced": "was replaced by another file",
    "wal_deleted": "log.db-wal: was deleted or moved away",
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_writer, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(patient_writer, "_LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr(keeper, "ROUND_S", 0.05)
    monkeypatch.setattr(owner, "BEAT_S", 0.05)


@pytest.mark.parametrize("at", range(PIECES + 1))
@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_that_passes_costs_nothing(path: Path, name: str, at: int) -> None:
    """At every append of a run: it waits, says why, and goes on without a restart."""
    run = await generate_through(path, FAULTS[name], at, pieces=PIECES)
    fits = name == "full" and at == PIECES  # the final record is short
    assert len(run.failures) >= 3 or fits
    assert all(SENTENCES[name] in sentence for sentence in run.failures), run.failures


@pytest.mark.parametrize("fault", [moved_away, replaced], ids=["moved away", "replaced"])
async def test_a_file_that_is_gone_is_made_by_nobody(path: Path, fault: Fault) -> None:
    """No write is acknowledged; what was there can be read on; no new file takes the old one's place."""
    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"", owner="a")
        await log.append("s", [b"x"], epoch=1, seq=0)
        cure = fault(log, path)
        size = path.stat().st_size if path.exists() else None
        for _ in range(3):
            with pytest.raises(StoreFailing, match="Put the same file back, or restart"):
                await log.append("s", [b"y"], epoch=1, seq=1)
            with pytest.raises(StoreFailing):
                log.beat("a")
            assert [entry.payload for entry in await rest(log, "s")] == [b"x"]
        assert (path.stat().st_size if path.exists() else None) == size
        cure()
        await log.append("s", [b"y"], epoch=1, seq=1)
    async with opened(SqliteLog(path)) as again:
        assert [entry.payload for entry in await rest(again, "s")] == [b"x", b"y"]


@pytest.mark.parametrize("name", FAULTS)
async def test_a_node_is_not_ready_and_says_why(path: Path, name: str) -> None:
    """And is ready again once it is over."""
    log = SqliteLog(path, busy_s=0.02)
    one = StreamOwner(log, Scripted(lambda _body, _number: clean("[1]")), Meters(), max_open=10)
    await one.start()
    try:
        assert one.why_not_ready == ""
        if name == "full":  # a beat needs no room: only what is long does not fit
            return
        cure = FAULTS[name](log, path)
        while SENTENCES[name] not in one.why_not_ready:
            await _a_moment()
        cure()
        while one.why_not_ready:
            await _a_moment()
    finally:
        await one.drain(0)
        await one.stop()


async def _a_moment() -> None:
    await asyncio.sleep(0.001)


def _pages_of(path: Path, table: str) -> list[int]:
    """Pages of the file that hold rows of a table."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        root = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    return [int(root)]


@pytest.mark.parametrize("table", ["appends", "appends_by_stream", "heads", "streams"])
async def test_a_damaged_page_is_an_error_with_its_name(path: Path, table: str) -> None:
    """While the log is in use: every read is right or an error, and so is every append."""
    async with opened(SqliteLog(path)) as log:
        await log.create("s", b"", owner="a")
        for seq in range(20):
            await log.append("s", [b"%02000d" % seq], epoch=1, seq=seq)
    page = _pages_of(path, table)[0]
    async with opened(SqliteLog(path)) as log:
        with path.open("r+b") as damaged:
            damaged.seek((page - 1) * tables.PAGE_BYTES)
            damaged.write(b"\xa5" * tables.PAGE_BYTES)
        for seq in range(20, 23):
            answer = await asyncio.gather(log.append("s", [b"%02000d" % seq], epoch=1, seq=seq), return_exceptions=True)
            if isinstance(answer[0], Exception):
                assert isinstance(answer[0], StoreFailing)
                assert "damaged" in str(answer[0])
                break
        with contextlib.suppress(StoreFailing):
            got = [entry.payload for entry in (await log.read("s", START, max_bytes=1 << 20)).entries]
            assert got == [b"%02000d" % number for number in range(len(got))]


async def test_one_damaged_stream_fails_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its appends fail; those that would have shared a transaction with them do not."""
    load = file.load

    def damaged(database: sqlite3.Connection, stream_id: str) -> object:
        if stream_id == "damaged":
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
        return load(database, stream_id)

    async with opened(SqliteLog(path)) as log:
        for stream_id in ("a", "damaged", "b"):
            await log.create(stream_id, b"", owner="x")
        monkeypatch.setattr(file, "load", damaged)
        log._writer._states.clear()
        answers = await asyncio.gather(
            *(log.append(stream_id, [b"x"], epoch=1, seq=0) for stream_id in ("a", "damaged", "b")),
            return_exceptions=True,
        )
        assert [isinstance(answer, StoreFailing) for answer in answers] == [False, True, False]
