"""Notices from process to process through the file: ``StreamLog.notify``.

Rows are numbered and never numbered again. A process remembers the number that it has heard, and asks for what came
after it. Only the newest rows are kept: a process that does not look for a while misses some.
"""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

#: How many are kept. Processes look a hundred times a second while somebody reads what others write.
KEPT: Final = 1024


class Notice(NamedTuple):
    """One of them, as the file has it."""

    number: int
    sender: str
    stream_id: str
    notice: bytes


def put(database: sqlite3.Connection, sender: str, stream_id: str, notice: bytes) -> None:
    """Add one; the caller has begun a transaction."""
    query = "INSERT INTO notices (sender, stream, notice) VALUES (?, ?, ?)"
    number = database.execute(query, (sender, stream_id, notice)).lastrowid or 0
    database.execute("DELETE FROM notices WHERE number <= ?", (number - KEPT,))


def last(database: sqlite3.Connection) -> int:
    """The number of the newest; 0 if there was none."""
    row = database.execute("SELECT max(number) FROM notices").fetchone()
    return int(row[0] or 0)


def after(database: sqlite3.Connection, number: int) -> list[Notice]:
    """All that came after a number, in order."""
    query = "SELECT number, sender, stream, notice FROM notices WHERE number > ? ORDER BY number"
    return [Notice(*row) for row in database.execute(query, (number,))]
