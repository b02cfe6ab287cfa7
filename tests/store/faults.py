"""Faults of the file behind a log, each with its cure, and a generation that runs through one of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lockgate.errors import StoreFailing
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import decode_record
from lockgate.protocol.lifecycle import Ended as How
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import Page
from lockgate.store.sqlite.log import SqliteLog
from lockgate.streams.meta import StreamMeta
from lockgate.streams.owner import StreamOwner
from lockgate.upstream import base as up
from lockgate.upstream.base import UpstreamEvent
from tests.store.logs import opened, rest
from tests.streams.pumping import Scripted, plan

#: Text of one append: a page of the file, so that a full disk is met at once.
PIECE: Final = "x" * 9000

Cure = Callable[[], object]
#: Makes a fault of a log at this path, and hands over what ends it.
Fault = Callable[[SqliteLog, Path], Cure]


def full(log: SqliteLog, _path: Path) -> Cure:
    """The file may not grow any more, as on a full disk."""
    database = log._writer._database
    database.execute("PRAGMA max_page_count = 1")  # that is: as many as it has
    return lambda: database.execute("PRAGMA max_page_count = 1000000")


def read_only(log: SqliteLog, _path: Path) -> Cure:
    database = log._writer._database
    database.execute("PRAGMA query_only = 1")
    return lambda: database.execute("PRAGMA query_only = 0")


def locked(_log: SqliteLog, path: Path) -> Cure:
    """Another process writes, and does not come to an end."""
    other = sqlite3.connect(path, isolation_level=None, timeout=60)
    other.execute("BEGIN IMMEDIATE")

    def let_go() -> None:
        other.execute("ROLLBACK")
        other.close()

    return let_go


def _names(path: Path) -> list[str]:
    return [f"{path}{suffix}" for suffix in ("", "-wal", "-shm")]


def moved_away(_log: SqliteLog, path: Path) -> Cure:
    for name in _names(path):
        os.rename(name, f"{name}.away")

    def put_back() -> None:
        for name in _names(path):
            os.rename(f"{name}.away", name)

    return put_back


def replaced(log: SqliteLog, path: Path) -> Cure:
    """Somebody deleted the file, and another process began a new one."""
    put_back = moved_away(log, path)
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (x)")

    def cure() -> None:
        for name in _names(path):
            Path(name).unlink(missing_ok=True)
        put_back()

    return cure


def wal_deleted(_log: SqliteLog, path: Path) -> Cure:
    os.rename(f"{path}-wal", f"{path}-wal.away")
    return lambda: os.rename(f"{path}-wal.away", f"{path}-wal")


FAULTS: Final[dict[str, Fault]] = {
    fault.__name__: fault for fault in (full, read_only, locked, moved_away, replaced, wal_deleted)
}


class FaultyLog(SqliteLog):
    """Meets a fault before one append of a stream.

    Args:
        at: The number of that append.
        tries: The fault ends when so many appends have failed.
        lasts_s: Or after so many seconds, if this is not 0.
    """

    def __init__(self, path: Path, fault: Fault, at: int, *, tries: int, lasts_s: float, busy_s: float) -> None:
        super().__init__(path, busy_s=busy_s)
        self._file = path
        self._fault = fault
        self._at = at
        self._tries = tries
        self._lasts_s = lasts_s
        self._cure: Cure | None = None
        self.count = 0
        self.failures: list[str] = []
        self.acknowledged: list[bytes] = []
        self.cured_s = 0.0
        self.recovered_s = 0.0

    async def append(
        self, stream_id: str, payloads: Sequence[bytes], *, epoch: int, seq: int, close: bool = False
    ) -> Offset:
        payloads = [*payloads]
        if self.count == self._at and self._cure is None and not self.cured_s:
            self._cure = self._fault(self, self._file)
            if self._lasts_s:
                asyncio.get_running_loop().call_later(self._lasts_s, self._end_fault)
        if not self._lasts_s and len(self.failures) >= self._tries:
            self._end_fault()
        try:
            end = await super().append(stream_id, payloads, epoch=epoch, seq=seq, close=close)
        except StoreFailing as error:
            self.failures.append(str(error))
            raise
        if self.cured_s and not self.recovered_s:
            self.recovered_s = time.monotonic()
        self.count += 1
        self.acknowledged += payloads
        return end

    def _end_fault(self) -> None:
        if self._cure is not None:
            self._cure()
            self._cure, self.cured_s = None, time.monotonic()


@dataclass
class Run:
    """What came of one generation.

    Attributes:
        failures: What each try was refused with.
        recovery_s: From the end of the fault until an append was taken.
    """

    failures: list[str]
    recovery_s: float


def answer_of(pieces: int) -> Iterator[UpstreamEvent]:
    for _ in range(pieces):
        yield up.Delta("content", PIECE.encode())
    yield up.Finished(0, "stop")
    yield up.ConnectionEnded(How.CLEAN, has_done=True)


async def closed(log: SqliteLog, stream_id: str) -> Page:
    """The page of a stream that holds all of it, once it is closed."""
    async with log.watch(stream_id) as news:
        while True:
            news.clear()
            page = await log.read(stream_id, START, max_bytes=1 << 30)
            if page.is_closed:
                return page
            await news.wait()


async def generate_through(
    path: Path,
    fault: Fault,
    at: int,
    *,
    pieces: int,
    tries: int = 3,
    lasts_s: float = 0.0,
    busy_s: float = 0.02,
    state: str = "complete",
) -> Run:
    """A generation that meets a fault at append number ``at``: nothing of it is lost or doubled, and it ends as told.

    The log is then opened anew, as after a restart: what was acknowledged is there.
    """

    def answer(_body: Mapping[str, Any], _number: int) -> Any:
        return answer_of(pieces)

    log = FaultyLog(path, fault, at, tries=tries, lasts_s=lasts_s, busy_s=busy_s)
    owner = StreamOwner(log, Scripted(answer), Meters(), max_open=10)
    await owner.start()
    try:
        await owner.generate("s", StreamMeta(), plan())
        page = await closed(log, "s")
        records = [decode_record(entry.payload) for entry in page.entries]
        assert records[-1].final is not None
        assert records[-1].final.state == state
        text = "".join(record.text for record in records)
        assert text == PIECE * (pieces if state == "complete" else len(text) // len(PIECE))
    finally:
        await owner.drain(0)
        await owner.stop()
    async with opened(SqliteLog(path)) as again:
        kept = [entry.payload for entry in await rest(again, "s")]
    # The keeper may be stopped before it hears that the end it wrote is there.
    assert kept[: len(log.acknowledged)] == log.acknowledged
    assert len(kept) - len(log.acknowledged) <= (state != "complete")
    return Run(log.failures, log.recovered_s - log.cured_s if log.cured_s else 0.0)
