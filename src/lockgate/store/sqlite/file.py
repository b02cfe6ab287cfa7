"""Reads and writes the file behind ``SqliteLog``; ``tables`` describes its tables.

Everything here is plain, blocking SQL on a connection that the caller owns.

The row of a record has its epoch, so the rows are the history of epochs: an offset is a position of the log unless a
later epoch than the one in the offset wrote the record that it names.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from lockgate.errors import StreamExists
from lockgate.protocol.offsets import Offset
from lockgate.store.base import Head, Lifetime, Page
from lockgate.store.log_rules import FOREVER, RENEW_SHARE, StreamState, is_over, renewed, unknown
from lockgate.store.rows import FIRST_SEQ, REPEATS, entries_after, is_at_tail, pack_sizes
from lockgate.store.tail import cut

# Rows of deleted streams that go in one statement: about a millisecond.
_SWEPT_AT_ONCE: Final = 50


# -- writing; the caller has begun a transaction -----------------------------------------------------------------


class StoredRow(NamedTuple):
    """One append, as the file has it."""

    stream: int
    records: int
    epoch: int
    seq: int
    sizes: bytes | None
    body: bytes


def load(database: sqlite3.Connection, stream_id: str) -> tuple[int, StreamState]:
    """Key and state of a stream, even if its lifetime is over.

    Raises:
        StreamUnknown: there is none.
    """
    row = database.execute(
        "SELECT key, owner, epoch, next_seq, tail_epoch, records, closed_s, ttl_s, expires_s"
        " FROM streams JOIN heads USING (key) LEFT JOIN lifetimes USING (key) WHERE id = ?",
        (stream_id,),
    ).fetchone()
    if row is None:
        raise unknown(stream_id)
    key, owner, epoch, next_seq, tail_epoch, records, closed_s, ttl_s, expires_s = row
    tail, lifetime = Offset(tail_epoch, records), _lifetime(ttl_s, expires_s)
    return key, StreamState(owner, epoch, next_seq, tail, closed_s is not None, lifetime)


def living(database: sqlite3.Connection, stream_id: str, now_s: float) -> tuple[int, StreamState]:
    """Key and state of a stream.

    Raises:
        StreamUnknown: there is none, or its lifetime is over.
    """
    key, state = load(database, stream_id)
    if is_over(state.lifetime, now_s):
        raise unknown(stream_id)
    return key, state


def _lifetime(ttl_s: float | None, expires_s: float | None) -> Lifetime:
    return FOREVER if expires_s is None else Lifetime(ttl_s, expires_s)


def lifetime(database: sqlite3.Connection, stream_id: str, now_s: float) -> tuple[float, Lifetime]:
    """When a stream was created, in seconds since 1970, and its lifetime by the clock of the log."""
    _, state = living(database, stream_id, now_s)
    row = database.execute("SELECT created_s FROM streams WHERE id = ?", (stream_id,)).fetchone()
    if row is None:
        raise unknown(stream_id)
    return row[0], state.lifetime


def insert_appends(database: sqlite3.Connection, rows: Iterable[StoredRow]) -> None:
    database.executemany(
        "INSERT INTO appends (stream, records, epoch, seq, sizes, body) VALUES (?, ?, ?, ?, ?, ?)", rows
    )


def update_heads(database: sqlite3.Connection, states: dict[int, StreamState]) -> None:
    database.executemany(
        "UPDATE heads SET next_seq = ?, tail_epoch = ?, records = ? WHERE key = ?",
        [(state.next_seq, *state.tail, key) for key, state in states.items()],
    )


def close_heads(database: sqlite3.Connection, closed: Sequence[tuple[float, int]]) -> None:
    """Time and key of each. Separate from the rest, because writing closed_s makes SQLite rewrite two indexes."""
    database.executemany("UPDATE heads SET closed_s = ? WHERE key = ?", closed)
    database.executemany("DELETE FROM asked WHERE key = ?", [(key,) for _, key in closed])


def renew_lifetimes(database: sqlite3.Connection, lifetimes: dict[int, Lifetime]) -> None:
    database.executemany(
        "UPDATE lifetimes SET expires_s = ? WHERE key = ?", [(one.expires_s, key) for key, one in lifetimes.items()]
    )


def offset_of(database: sqlite3.Connection, key: int, epoch: int, seq: int) -> Offset | None:
    """Offset that an append got; None if it is too old or had no payloads."""
    row = database.execute(
        "SELECT records FROM (SELECT * FROM appends WHERE stream = ? ORDER BY records DESC LIMIT ?)"
        " WHERE epoch = ? AND seq = ?",
        (key, REPEATS, epoch, seq),
    ).fetchone()
    return None if row is None else Offset(epoch, row[0])


class Times(NamedTuple):
    """When a stream is created.

    Attributes:
        now_s: By the clock of the log.
        wall_s: In seconds since 1970.
        ends_s: When it ends, in seconds since 1970; None without an absolute lifetime.
    """

    now_s: float
    wall_s: float
    ends_s: float | None


# A key whose appends are not all gone is not used again.
_NEW: Final = """INSERT INTO streams (key, id, meta, owner, created_s) VALUES (
    1 + max(coalesce((SELECT max(key) FROM streams), 0), coalesce((SELECT max(stream) FROM garbage), 0)), ?, ?, ?, ?)
    ON CONFLICT (id) DO NOTHING"""


def create(
    database: sqlite3.Connection,
    stream_id: str,
    meta: bytes,
    state: StreamState,
    payloads: Sequence[bytes],
    times: Times,
) -> int:
    """As ``StreamLog.create``: the stream begins in this state, with these payloads."""
    now_s, wall_s, ends_s = times
    made = database.execute(_NEW, (stream_id, meta, state.owner, wall_s))
    if not made.rowcount:
        key, there = load(database, stream_id)
        if not is_over(there.lifetime, now_s):
            raise StreamExists(f"stream {stream_id} exists already")
        _delete(database, key)
        made = database.execute(_NEW, (stream_id, meta, state.owner, wall_s))
    key, closed_s = made.lastrowid or 0, now_s if state.is_closed else None
    database.execute(
        "INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?)", (key, state.epoch, state.next_seq, *state.tail, closed_s)
    )
    if state.lifetime.expires_s is not None:
        database.execute("INSERT INTO lifetimes VALUES (?, ?, ?, ?)", (key, *state.lifetime, ends_s))
    if payloads:
        row = StoredRow(key, state.tail.records, state.epoch, FIRST_SEQ, pack_sizes(payloads), b"".join(payloads))
        insert_appends(database, [row])
    return state.epoch


def take_over(database: sqlite3.Connection, stream_id: str, owner: str, now_s: float) -> int:
    """As ``StreamLog.take_over``."""
    key, state = living(database, stream_id, now_s)
    epoch = state.fence(stream_id)
    database.execute("UPDATE heads SET epoch = ?, next_seq = 0 WHERE key = ?", (epoch, key))
    database.execute("UPDATE streams SET owner = ? WHERE key = ?", (owner, key))
    database.execute("DELETE FROM asked WHERE key = ?", (key,))
    return epoch


def touch(database: sqlite3.Connection, stream_id: str, now_s: float) -> Lifetime:
    """As ``StreamLog.touch``; returns the lifetime afterwards."""
    key, state = living(database, stream_id, now_s)
    lifetime = renewed(state.lifetime, now_s, unless=RENEW_SHARE)
    if lifetime is not state.lifetime:
        renew_lifetimes(database, {key: lifetime})
    return lifetime


def delete(database: sqlite3.Connection, stream_id: str, now_s: float) -> None:
    """As ``StreamLog.delete``."""
    key, _ = living(database, stream_id, now_s)
    _delete(database, key)


class Swept(NamedTuple):
    """What one step deleted.

    Attributes:
        stream_ids: The streams.
        rows: How many appends of streams that were deleted before.
    """

    stream_ids: list[str]
    rows: int


def expire(database: sqlite3.Connection, until_s: float, now_s: float, limit: int, budget_s: float) -> Swept:
    """Delete streams that were closed by ``until_s``, or whose lifetime is over, and what deleted ones left behind.

    Args:
        budget_s: Begin nothing more after so many seconds.

    Returns:
        What went.
    """
    ends_s = time.monotonic() + budget_s
    gone: list[str] = []
    for key, stream_id in _expired(database, until_s, now_s, limit):
        _delete(database, key)
        gone.append(stream_id)
        if time.monotonic() > ends_s:
            break
    return Swept(gone, _sweep(database, ends_s))


def _expired(database: sqlite3.Connection, until_s: float, now_s: float, limit: int) -> list[tuple[int, str]]:
    """Those that expired first, first. Takes ``limit`` of each kind by its index, then the first of both."""
    rows = database.execute(
        """WITH due AS (
               SELECT * FROM (
                   SELECT key, closed_s + ?2 - ?1 AS due_s FROM heads WHERE closed_s <= ?1 ORDER BY closed_s LIMIT ?3)
               UNION ALL
               SELECT * FROM (
                   SELECT key, expires_s FROM lifetimes WHERE expires_s <= ?2 ORDER BY expires_s LIMIT ?3))
           SELECT key, id FROM due JOIN streams USING (key) GROUP BY key ORDER BY min(due_s) LIMIT ?3""",
        (until_s, now_s, limit),
    )
    return rows.fetchall()


def _sweep(database: sqlite3.Connection, ends_s: float) -> int:
    """Delete appends of deleted streams; the number of rows."""
    count = 0
    while time.monotonic() < ends_s:
        row = database.execute("SELECT stream FROM garbage LIMIT 1").fetchone()
        if row is None:
            break
        gone = _delete_appends(database, row[0])
        if gone < _SWEPT_AT_ONCE:
            database.execute("DELETE FROM garbage WHERE stream = ?", row)
        count += gone + 1
    return count


def _delete_appends(database: sqlite3.Connection, key: int) -> int:
    """Delete some appends of a stream, or the last ones; their number."""
    delete = "DELETE FROM appends WHERE key IN (SELECT key FROM appends WHERE stream = ? LIMIT ?)"
    return database.execute(delete, (key, _SWEPT_AT_ONCE)).rowcount


def is_due(database: sqlite3.Connection, until_s: float, now_s: float) -> bool:
    """Whether ``expire`` has anything to do."""
    row = database.execute(
        "SELECT EXISTS (SELECT 1 FROM heads WHERE closed_s <= ?)"
        " OR EXISTS (SELECT 1 FROM lifetimes WHERE expires_s <= ?) OR EXISTS (SELECT 1 FROM garbage)",
        (until_s, now_s),
    ).fetchone()
    return bool(row[0])


_DELETIONS: Final = (
    "DELETE FROM pushes WHERE key = ?",
    "DELETE FROM lifetimes WHERE key = ?",
    "DELETE FROM asked WHERE key = ?",
    "DELETE FROM heads WHERE key = ?",
    "DELETE FROM streams WHERE key = ?",
)


def _delete(database: sqlite3.Connection, key: int) -> None:
    """The stream is gone at once. A long text takes as long to delete as it took to write: that is done bit by bit."""
    if _delete_appends(database, key) == _SWEPT_AT_ONCE:
        database.execute("INSERT INTO garbage VALUES (?)", (key,))
    database.execute("DELETE FROM producers WHERE stream = ?", (key,))
    for delete in _DELETIONS:
        database.execute(delete, (key,))


class Beat(NamedTuple):
    """What the log says of its nodes.

    Attributes:
        now_s: The clock of the log.
        counts: How often each node has beaten.
    """

    now_s: float
    counts: dict[str, int]


def beat(database: sqlite3.Connection, owner: str, forgotten: Mapping[str, int], now_s: float) -> Beat:
    """As ``StreamLog.beat``; the clock of the log goes on to ``now_s``, and never back.

    Args:
        forgotten: Nodes to forget, if they still have these counts.
    """
    database.execute("UPDATE clock SET now_s = max(now_s, ?)", (now_s,))
    database.execute("INSERT INTO pulses VALUES (?, 1) ON CONFLICT (owner) DO UPDATE SET beats = beats + 1", (owner,))
    if forgotten:
        database.executemany("DELETE FROM pulses WHERE owner = ? AND beats = ?", [*forgotten.items()])
    counts = dict(database.execute("SELECT owner, beats FROM pulses").fetchall())
    return Beat(clock(database), counts)


def ask_end(database: sqlite3.Connection, stream_id: str, now_s: float) -> None:
    """As ``StreamLog.ask_end``."""
    key, state = living(database, stream_id, now_s)
    if not state.is_closed:
        database.execute("INSERT OR IGNORE INTO asked VALUES (?)", (key,))


# -- reading; each in a snapshot of its own ----------------------------------------------------------------------


@contextmanager
def snapshot(database: sqlite3.Connection) -> Iterator[None]:
    """Several reads of the same moment."""
    database.execute("BEGIN")
    try:
        yield
    finally:
        if database.in_transaction:  # some errors end the transaction
            database.execute("ROLLBACK")


def page(database: sqlite3.Connection, stream_id: str, after: Offset, max_bytes: int, now_s: float) -> Page:
    """As ``StreamLog.read``."""
    with snapshot(database):
        key, state = living(database, stream_id, now_s)
        if is_at_tail(stream_id, after, state):
            return Page([], state.tail, state.is_closed)
        # The first row has the record that ``after`` names: its epoch says whether there is such a position.
        query = "SELECT records, epoch, sizes, body FROM appends WHERE stream = ? AND records >= ? ORDER BY records"
        # Close it in any case: an unfinished statement keeps the snapshot, and the next read would get old data.
        with closing(database.execute(query, (key, after.records))) as rows:
            return Page(cut(entries_after(rows, stream_id, after, state), max_bytes), state.tail, state.is_closed)


_HEAD: Final = (
    "SELECT id, meta, tail_epoch, records, epoch, owner, closed_s, created_s, ttl_s, coalesce(wall_s, expires_s), key"
    " FROM streams JOIN heads USING (key) LEFT JOIN lifetimes USING (key)"
    " WHERE (lifetimes.expires_s IS NULL OR lifetimes.expires_s > ?) AND"
)

_HeadRow = tuple[str, bytes, int, int, int, str, float | None, float, float | None, float | None, int]


def _head(row: _HeadRow) -> tuple[str, Head]:
    stream_id, meta, tail_epoch, records, epoch, owner, closed_s, created_s, ttl_s, expires_s, _ = row
    tail, lifetime = Offset(tail_epoch, records), _lifetime(ttl_s, expires_s)
    return stream_id, Head(meta, tail, epoch, owner, closed_s is not None, created_s, lifetime)


def head(database: sqlite3.Connection, stream_id: str, now_s: float) -> Head:
    """As ``StreamLog.head``."""
    row = database.execute(f"{_HEAD} id = ?", (now_s, stream_id)).fetchone()
    if row is None:
        raise unknown(stream_id)
    return _head(row)[1]


# Open streams with an owner, whose lifetime is not over. CROSS JOIN keeps the order of the tables: SQLite would look at
# all streams, and most of them are closed (100,000: 44 ms, against 3).
_OPEN: Final = (
    "SELECT id FROM heads CROSS JOIN streams USING (key) LEFT JOIN lifetimes USING (key)"
    " WHERE closed_s IS NULL AND owner <> '' AND (expires_s IS NULL OR expires_s > ?)"
)

_ASKED: Final = (
    "SELECT id FROM asked CROSS JOIN heads USING (key) CROSS JOIN streams USING (key) LEFT JOIN lifetimes USING (key)"
    " WHERE closed_s IS NULL AND (expires_s IS NULL OR expires_s > ?) AND owner = ?"
)


def _ids(rows: sqlite3.Cursor) -> list[str]:
    return [stream_id for (stream_id,) in rows]


def orphans(database: sqlite3.Connection, owner: str, silent: Iterable[str], now_s: float, limit: int) -> list[str]:
    """As ``StreamLog.orphans``."""
    gone = " AND owner <> ? AND (owner IN (SELECT value FROM json_each(?)) OR owner NOT IN (SELECT owner FROM pulses))"
    query = _OPEN + gone + " ORDER BY heads.key LIMIT ?"
    return _ids(database.execute(query, (now_s, owner, json.dumps([*silent]), limit)))


def owned(database: sqlite3.Connection, owner: str, now_s: float) -> list[str]:
    """As ``StreamLog.owned``."""
    return _ids(database.execute(_OPEN + " AND owner = ?", (now_s, owner)))


def asked(database: sqlite3.Connection, owner: str, now_s: float) -> list[str]:
    """As ``StreamLog.asked``."""
    return _ids(database.execute(_ASKED, (now_s, owner)))


def asked_owners(database: sqlite3.Connection) -> set[str]:
    """Owners that are asked to end a stream."""
    return {owner for (owner,) in database.execute("SELECT owner FROM asked CROSS JOIN streams USING (key)")}


def clock(database: sqlite3.Connection) -> float:
    """The clock of the log."""
    now_s: float = database.execute("SELECT now_s FROM clock").fetchone()[0]
    return now_s


class Seen(NamedTuple):
    """How far a reader knows a stream; ``created_s`` is 0 if nothing is known."""

    stream_id: str
    created_s: float
    records: int
    is_closed: bool


def is_same(created_s: float, other_s: float) -> bool:
    """Whether two streams with one id are the same: JSON may lose the last bit of a time."""
    return abs(created_s - other_s) < 1e-6


def news(database: sqlite3.Connection, known: Sequence[Seen]) -> list[Seen]:
    """The known streams that grew, were closed, were replaced, or are gone (then 0, with -1 records)."""
    rows = database.execute(
        """WITH known AS (
               SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS created_s,
                      json_extract(value, '$[2]') AS seen, json_extract(value, '$[3]') AS is_closed
               FROM json_each(?))
           SELECT known.id, coalesce(streams.created_s, 0), coalesce(records, -1),
                  heads.key IS NULL OR closed_s IS NOT NULL
           FROM known LEFT JOIN streams USING (id) LEFT JOIN heads USING (key)
           WHERE heads.key IS NULL OR records > known.seen OR (closed_s IS NOT NULL) > known.is_closed
              OR abs(streams.created_s - known.created_s) >= 1e-6""",
        (json.dumps(known),),
    )
    return [Seen(stream_id, created_s, records, bool(is_closed)) for stream_id, created_s, records, is_closed in rows]


def data_version(database: sqlite3.Connection) -> int:
    """A number that changes when another connection commits, in this process or another, and never by our own."""
    version: int = database.execute("PRAGMA data_version").fetchone()[0]
    return version


def checkpoint(database: sqlite3.Connection) -> int:
    """Copy the WAL into the file as far as possible without waiting; returns its length in pages."""
    _, pages, _ = database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(pages)


def size_bytes(database: sqlite3.Connection, path: Path) -> int:
    """Bytes of the pages in use, and of the WAL. The file itself does not shrink; its free pages are used again."""
    pages, free, size = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in _PAGE_COUNTS)
    wal = path.with_name(f"{path.name}-wal")
    return int((pages - free) * size) + (wal.stat().st_size if wal.exists() else 0)


_PAGE_COUNTS: Final = ("page_count", "freelist_count", "page_size")
