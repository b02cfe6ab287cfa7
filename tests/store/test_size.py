"""What a log takes: it grows with what is kept, and what was deleted is not in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.store.base import StreamLog
from tests.store.logs import KINDS, make, opened


@pytest.mark.parametrize("kind", KINDS)
async def test_the_size_is_that_of_what_is_kept(tmp_path: Path, kind: str) -> None:
    """And, of SQLite, of the WAL, whose length hangs on when a checkpoint finds nobody reading."""
    piece, wal = b"x" * 1024 * 1024, tmp_path / "log.db-wal"

    async def kept_bytes(log: StreamLog) -> int:
        size = await log.size_bytes()
        return size - (wal.stat().st_size if wal.exists() else 0)

    async with opened(make(kind, tmp_path)) as log:
        empty = await kept_bytes(log)
        for _ in range(6):
            await log.create("s", b"meta", owner="")
            for _ in range(4):
                await log.push("s", [piece])
            assert 4 * len(piece) <= await kept_bytes(log) - empty <= 5 * len(piece), "what was deleted counts no more"
            await log.delete("s")
        assert await kept_bytes(log) <= empty + 64 * 1024
