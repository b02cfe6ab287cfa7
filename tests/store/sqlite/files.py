"""What the tests of the log in a file share."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lockgate.store.sqlite.log import SqliteLog


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
    await until(lambda: log._pace._timer is None and log._writer._queue.empty())


def payloads_of(entries: list[Any]) -> list[bytes]:
    return [entry.payload for entry in entries]
