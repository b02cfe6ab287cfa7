"""Append before deliver: whatever a commit does, no reader is ever shown what the file does not have."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest

from lockgate.errors import StoreFailing
from lockgate.store.sqlite.log import SqliteLog
from lockgate.store.sqlite.writer_thread import Append
from tests.gateway.lockstep import ROW, lockstep

Fate = Literal["slow", "refused", "unanswered"]

FATES: tuple[Fate, ...] = ("slow", "refused", "unanswered")
PIECES = [ROW[at : at + 12] for at in range(0, len(ROW), 12)]
#: A place is the number of an append after the first chunks of the stream.
PLACES = len(PIECES) + 1


class Hindrance:
    """Does something to appends of a log, and looks at what the file has.

    ``slow``: the commit takes a while. ``refused``: nothing is written. ``unanswered``: it is written, and nobody is
    told. The last two happen several times: a repeat may meet the same.
    """

    def __init__(self, log: SqliteLog, path: Path, fate: Fate) -> None:
        self._path = path
        self._fate = fate
        self._before = self._times = self.happened = 0
        self._commit = log._writer._commit
        self._hear = log._writer._hear
        log._writer._commit = self._hindered  # type: ignore[method-assign]

    def arm(self, place: int, times: int) -> None:
        """Let it happen so often, after so many appends."""
        self._before, self._times, self.happened = place, times, 0

    def _hindered(self, jobs: list[Any]) -> list[Any]:
        is_due = any(isinstance(job, Append) for job in jobs) and self.happened < self._times
        if not is_due or self._before:
            self._before -= is_due
            return self._commit(jobs)
        self.happened += 1
        if self._fate == "slow":
            time.sleep(0.01)  # the disk does
            return self._commit(jobs)
        if self._fate == "unanswered":
            self._commit(jobs)
            self._hear()  # whatever the reason, the log makes its readers look again
        return [(job, StoreFailing(self._fate)) for job in jobs]

    def records(self, stream_id: str) -> int:
        """How many the file has, as anybody else sees it."""
        with closing(sqlite3.connect(self._path)) as database:
            row = database.execute(
                "SELECT records FROM heads JOIN streams USING (key) WHERE id = ?", (stream_id,)
            ).fetchone()
        return int(row[0])


@pytest.mark.parametrize("fate", FATES)
async def test_a_reader_has_nothing_that_the_file_does_not_have(fate: Fate, tmp_path: Path) -> None:
    """At every place: the text is whole and in order, each record once, and every offset told was in the file."""
    path = tmp_path / "log.db"
    async with lockstep({"path": str(path)}, 1) as steps:
        assert steps.gateway is not None
        log = steps.gateway.log
        assert isinstance(log, SqliteLog)
        hindrance = Hindrance(log, path, fate)
        shown = bytearray()
        offsets: list[int] = []

        def look(part: bytes) -> None:
            shown.extend(part)
            for found in re.findall(rb"id:\s?\d{4}_(\d{16})", part):
                assert int(found) <= hindrance.records(steps.stream_id), "it was shown before it was committed"
                offsets.append(int(found))

        steps.on_part = look
        sent: list[str] = []
        for times in (1, 2):
            for place in range(PLACES):
                hindrance.arm(place, times)
                for piece in PIECES * 2:
                    await steps.pass_on(piece)
                    sent.append(piece)
                assert hindrance.happened == times
        assert offsets == sorted(offsets)
        chunks = re.findall(rb'"sequence":(\d+).*?"data":\[(".*?")\]\}', shown)
        numbers = [int(number) for number, _ in chunks]
        assert numbers == list(range(numbers[0], numbers[0] + len(sent))), "each chunk is shown once, in order"
        assert [json.loads(text) for _, text in chunks] == sent
