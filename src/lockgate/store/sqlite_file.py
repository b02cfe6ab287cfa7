"""The file behind ``SqliteLog``: its tables, how it is opened, what is read from it, and its troubles in words.

Everything here is plain, blocking SQL on a connection that somebody else owns.

``appends`` holds one row per append, in arrival order, with all its payloads in one body; ``appends_by_stream`` finds
one stream's rows. Measured with 200 interleaved streams, 300 bytes each, WAL, NORMAL, in microseconds per append and
KiB written per append, at 200 | 40 | 1 appends per transaction (medians of 3):

    table clustered by (stream, records)    47 | 48 | 57    17.1 | 18.0 | 23.2   (a page is torn open for every row)
    arrival order with the index             9 | 10 | 62     2.1 |  3.1 | 25.4
    arrival order without any index          6 |  8 | 50     0.7 |  1.5 | 17.0

So the index costs 3 us per append. An append of ten payloads costs 24 us, 2.4 us each: one row for all of them, one
index entry. Sparse marks and a chain through the rows would save most of the 3 us; but every catch-up read would need
both. The index is plain, and UNIQUE: no record can be there twice.

The epoch of a record stands in its row, so the rows are the history of epochs: an offset is a position of the log
as long as the record it names was not written by a later epoch than the one it names.
"""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeVar

from lockgate.errors import StoreError, StreamExists
from lockgate.protocol.offsets import Offset
from lockgate.store.base import Entry, Head, Page
from lockgate.store.rules import State, gone, is_position, unknown
from lockgate.store.tail import cut

Synchronous = Literal["NORMAL", "FULL"]

_T = TypeVar("_T")

#: "lgat": tells our files from those of other programs (``PRAGMA application_id``).
APPLICATION_ID: Final = int.from_bytes(b"lgat")
VERSION: Final = 1

# heads is apart from streams because it changes with every append, and SQLite writes whole rows: meta may be large.
_SCHEMA: Final = (
    """CREATE TABLE streams (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        meta BLOB NOT NULL,
        owner TEXT NOT NULL,
        created_s REAL NOT NULL)""",
    """CREATE TABLE heads (
        key INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        next_seq INTEGER NOT NULL,
        tail_epoch INTEGER NOT NULL,
        records INTEGER NOT NULL,
        closed_s REAL)""",
    "CREATE INDEX open_heads ON heads (key) WHERE closed_s IS NULL",
    "CREATE INDEX closed_heads ON heads (closed_s) WHERE closed_s IS NOT NULL",
    # records counts up to and with this append, like an offset. sizes is NULL for one payload, else 4 bytes for each.
    """CREATE TABLE appends (
        key INTEGER PRIMARY KEY,
        stream INTEGER NOT NULL,
        records INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        sizes BLOB,
        body BLOB NOT NULL)""",
    "CREATE UNIQUE INDEX appends_by_stream ON appends (stream, records)",
    "CREATE TABLE owners (owner TEXT PRIMARY KEY, expires_s REAL NOT NULL) WITHOUT ROWID",
)

#: Twice SQLite's own choice. Measured through the log with 200 streams, medians of 3: 13 us per append of 300 bytes,
#: against 20; 24 us per append of 3 KB, against 56.
PAGE_BYTES: Final = 8192

# Trying again is what is left to do for a lock; SQLite's own waiting backs off to 100 ms and is unfair between writers.
_LOCK_POLL_S: Final = 0.001

# The writer checkpoints only when this many pages have piled up; see SqliteLog, which has it done before.
_AUTOCHECKPOINT_PAGES: Final = 2000
_WAL_KEPT_BYTES: Final = 64 * 1024 * 1024

# Appends looked at to find the offset of a repeat; more than any caller has on the way.
_REPEATS: Final = 64


# -- troubles ----------------------------------------------------------------------------------------------------


_REASONS: Final = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked; is a backup or a shell holding a transaction open?",
    sqlite3.SQLITE_FULL: "the disk is full; free some space, then the log goes on",
    sqlite3.SQLITE_CORRUPT: "it is damaged; put it aside and start with a new one, or restore it",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite file; choose another store.path",
    sqlite3.SQLITE_READONLY: "it cannot be written; check its owner and mode, and those of its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check its owner and mode, and those of its folder",
    sqlite3.SQLITE_IOERR: "the disk failed, or refused to write",
}


def explain(path: Path, error: Exception) -> StoreError:
    """Say what went wrong, mostly what SQLite said, with the file's name and what to do."""
    code = getattr(error, "sqlite_errorcode", 0)
    reason = _REASONS.get(code & 0xFF)  # the low byte is the primary code, the rest only says more exactly
    if reason is None:
        return StoreError(f"{path}: {error!r}")
    return StoreError(f"{path}: {reason} ({getattr(error, 'sqlite_errorname', '')}: {error})")


def patiently(attempt: Callable[[], _T], busy_s: float) -> _T:
    """Run something that may find the file locked, and try again for ``busy_s`` seconds."""
    until = time.monotonic() + busy_s
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_LOCK_POLL_S)


# -- opening -----------------------------------------------------------------------------------------------------


def connect(path: Path) -> sqlite3.Connection:
    """A connection that begins its transactions itself and may move between threads, one at a time."""
    return sqlite3.connect(path.absolute(), timeout=0, isolation_level=None, check_same_thread=False)


def prepare(path: Path, synchronous: Synchronous, busy_s: float) -> sqlite3.Connection:
    """Open the file for writing; make it, and its folder, if it is missing.

    Raises:
        StoreError: it is not ours, cannot be used, or stays locked.
    """
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        # Before SQLite does it with everybody's permission: the log holds what people asked and were answered.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; choose another store.path, or check owner and mode") from None
    database = connect(path)
    try:
        _pragma(database, f"page_size = {PAGE_BYTES}")  # counts for a new file only
        patiently(lambda: _make_ours(database, path), busy_s)
        mode = patiently(lambda: _pragma(database, "journal_mode = WAL"), busy_s)
        if mode != "wal":
            raise StoreError(f"{path}: its file system has no shared memory (journal mode {mode}); use a local disk")
        _pragma(database, f"synchronous = {synchronous}")
        _pragma(database, f"wal_autocheckpoint = {_AUTOCHECKPOINT_PAGES}")
        _pragma(database, f"journal_size_limit = {_WAL_KEPT_BYTES}")
    except sqlite3.Error as error:
        database.close()
        raise explain(path, error) from None
    except BaseException:
        database.close()
        raise
    return database


def _pragma(database: sqlite3.Connection, pragma: str) -> object:
    row = database.execute(f"PRAGMA {pragma}").fetchone()
    return row[0] if row else None


def _make_ours(database: sqlite3.Connection, path: Path) -> None:
    """Check whose file it is, in a transaction: of two processes that find it empty, one makes the tables."""
    if _pragma(database, "application_id") == APPLICATION_ID and _pragma(database, "user_version") == VERSION:
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        found, version = _pragma(database, "application_id"), _pragma(database, "user_version")
        if found == APPLICATION_ID and version == VERSION:
            return
        if found == APPLICATION_ID:
            raise StoreError(f"{path}: has version {version}, this lockgate knows {VERSION}; use the one that made it")
        if found or version or database.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise StoreError(f"{path}: is the database of another program; choose another store.path")
        for statement in _SCHEMA:
            database.execute(statement)
        _pragma(database, f"application_id = {APPLICATION_ID}")
        _pragma(database, f"user_version = {VERSION}")
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")


# -- writing; the caller has begun a transaction -----------------------------------------------------------------


class Row(NamedTuple):
    """One append as it is stored."""

    stream: int
    records: int
    epoch: int
    seq: int
    sizes: bytes | None
    body: bytes


def pack_sizes(payloads: Sequence[bytes]) -> bytes | None:
    return None if len(payloads) == 1 else struct.pack(f"<{len(payloads)}I", *map(len, payloads))


def load(database: sqlite3.Connection, stream_id: str) -> tuple[int, State]:
    """Key and state of a stream.

    Raises:
        StreamUnknown: there is none.
    """
    row = database.execute(
        "SELECT key, owner, epoch, next_seq, tail_epoch, records, closed_s"
        " FROM streams JOIN heads USING (key) WHERE id = ?",
        (stream_id,),
    ).fetchone()
    if row is None:
        raise unknown(stream_id)
    key, owner, epoch, next_seq, tail_epoch, records, closed_s = row
    return key, State(owner, epoch, next_seq, Offset(tail_epoch, records), closed_s is not None)


def insert_appends(database: sqlite3.Connection, rows: Iterable[Row]) -> None:
    database.executemany(
        "INSERT INTO appends (stream, records, epoch, seq, sizes, body) VALUES (?, ?, ?, ?, ?, ?)", rows
    )


def update_heads(database: sqlite3.Connection, states: dict[int, State]) -> None:
    database.executemany(
        "UPDATE heads SET next_seq = ?, tail_epoch = ?, records = ? WHERE key = ?",
        [(state.next_seq, *state.tail, key) for key, state in states.items()],
    )


def close_heads(database: sqlite3.Connection, closed: Sequence[tuple[float, int]]) -> None:
    """Time and key of each. Apart from the rest, since naming closed_s makes SQLite rewrite two indexes."""
    database.executemany("UPDATE heads SET closed_s = ? WHERE key = ?", closed)


def offset_of(database: sqlite3.Connection, key: int, epoch: int, seq: int) -> Offset | None:
    """Offset that an append got; None if it was long ago or had no payloads."""
    row = database.execute(
        "SELECT records FROM (SELECT * FROM appends WHERE stream = ? ORDER BY records DESC LIMIT ?)"
        " WHERE epoch = ? AND seq = ?",
        (key, _REPEATS, epoch, seq),
    ).fetchone()
    return None if row is None else Offset(epoch, row[0])


def create(database: sqlite3.Connection, stream_id: str, meta: bytes, owner: str, created_s: float) -> int:
    """As ``StreamLog.create``."""
    made = database.execute(
        "INSERT INTO streams (id, meta, owner, created_s) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (stream_id, meta, owner, created_s),
    )
    if not made.rowcount:
        raise StreamExists(f"stream {stream_id} exists already")
    state = State(owner)
    database.execute(
        "INSERT INTO heads VALUES (?, ?, ?, ?, ?, NULL)", (made.lastrowid, state.epoch, state.next_seq, *state.tail)
    )
    return state.epoch


def take_over(database: sqlite3.Connection, stream_id: str, owner: str) -> int:
    """As ``StreamLog.take_over``."""
    key, state = load(database, stream_id)
    epoch = state.fence(stream_id)
    database.execute("UPDATE heads SET epoch = ?, next_seq = 0 WHERE key = ?", (epoch, key))
    database.execute("UPDATE streams SET owner = ? WHERE key = ?", (owner, key))
    return epoch


def delete(database: sqlite3.Connection, stream_id: str) -> None:
    """As ``StreamLog.delete``."""
    key, _ = load(database, stream_id)
    _delete(database, key)


def expire(database: sqlite3.Connection, stream_id: str, until_s: float) -> None:
    """Delete a stream if it was closed then; another process may have been quicker.

    Raises:
        StreamUnknown: it was deleted, or is another one of the same id.
    """
    key, _ = load(database, stream_id)
    if database.execute("SELECT 1 FROM heads WHERE key = ? AND closed_s <= ?", (key, until_s)).fetchone() is None:
        raise unknown(stream_id)
    _delete(database, key)


def _delete(database: sqlite3.Connection, key: int) -> None:
    database.execute("DELETE FROM appends WHERE stream = ?", (key,))
    database.execute("DELETE FROM heads WHERE key = ?", (key,))
    database.execute("DELETE FROM streams WHERE key = ?", (key,))


def beat(database: sqlite3.Connection, owner: str, expires_s: float, now_s: float) -> None:
    """As ``StreamLog.beat``; an owner whose word has run out is the same as one that never gave it."""
    database.execute("DELETE FROM owners WHERE expires_s <= ?", (now_s,))
    database.execute("INSERT OR REPLACE INTO owners VALUES (?, ?)", (owner, expires_s))


# -- reading; each in a snapshot of its own ----------------------------------------------------------------------


def page(database: sqlite3.Connection, stream_id: str, after: Offset, max_bytes: int) -> Page:
    """As ``StreamLog.read``."""
    database.execute("BEGIN")
    try:
        key, state = load(database, stream_id)
        if after.records > state.tail.records or after.epoch > state.epoch:
            raise gone(stream_id, after, state.tail)
        if after.records == state.tail.records:
            _check_position(stream_id, after, state.tail, state)
            return Page([], state.tail, state.is_closed)
        # The row of the record that ``after`` names comes along: its epoch says whether there was such a position.
        query = "SELECT records, epoch, sizes, body FROM appends WHERE stream = ? AND records >= ? ORDER BY records"
        # Closed in any case: a statement that is not at its end holds the snapshot, and the next read would get it.
        with closing(database.execute(query, (key, after.records))) as rows:
            return Page(cut(_newer(rows, stream_id, after, state), max_bytes), state.tail, state.is_closed)
    finally:
        if database.in_transaction:  # some errors end it by themselves
            database.execute("ROLLBACK")


def _newer(rows: sqlite3.Cursor, stream_id: str, after: Offset, state: State) -> Iterator[Entry]:
    """Entries after a position, from rows that begin with the one that holds the record before it."""
    needed = max(after.records, 1)  # the record that the next row must hold
    for records, epoch, sizes, body in rows:
        lengths = (len(body),) if sizes is None else struct.unpack(f"<{len(sizes) // 4}I", sizes)
        first = records - len(lengths) + 1
        if first > needed:
            break
        if needed == after.records:
            _check_position(stream_id, after, Offset(epoch, needed), state)
        start = 0
        for number, length in enumerate(lengths, first):
            if number > after.records:
                yield Entry(Offset(epoch, number), body[start : start + length])
            start += length
        needed = records + 1
    if needed <= state.tail.records:
        raise StoreError(f"stream {stream_id}: record {needed} of {state.tail.records} is missing; the file is damaged")


def _check_position(stream_id: str, after: Offset, written: Offset, state: State) -> None:
    if not is_position(after, written, state.epoch):
        raise gone(stream_id, after, state.tail)


_HEAD: Final = (
    "SELECT id, meta, tail_epoch, records, epoch, owner, closed_s, created_s, key FROM streams JOIN heads USING (key)"
)


def _head(row: tuple[str, bytes, int, int, int, str, float | None, float, int]) -> tuple[str, Head]:
    stream_id, meta, tail_epoch, records, epoch, owner, closed_s, created_s, _ = row
    return stream_id, Head(meta, Offset(tail_epoch, records), epoch, owner, closed_s is not None, created_s)


def head(database: sqlite3.Connection, stream_id: str) -> Head:
    """As ``StreamLog.head``."""
    row = database.execute(f"{_HEAD} WHERE id = ?", (stream_id,)).fetchone()
    if row is None:
        raise unknown(stream_id)
    return _head(row)[1]


def heads(database: sqlite3.Connection, before: int, limit: int) -> tuple[list[tuple[str, Head]], int]:
    """Up to ``limit`` streams with a key under ``before``, newest first, and the key to go on before."""
    rows = database.execute(f"{_HEAD} WHERE key < ? ORDER BY key DESC LIMIT ?", (before, limit)).fetchall()
    return [_head(row) for row in rows], rows[-1][-1] if rows else 0


def orphans(database: sqlite3.Connection, now_s: float, limit: int) -> list[str]:
    """As ``StreamLog.orphans``."""
    rows = database.execute(
        "SELECT id FROM heads JOIN streams USING (key) LEFT JOIN owners USING (owner)"
        " WHERE closed_s IS NULL AND coalesce(expires_s, ?1) <= ?1 ORDER BY heads.key LIMIT ?2",
        (now_s, limit),
    )
    return [stream_id for (stream_id,) in rows]


def expired(database: sqlite3.Connection, until_s: float, limit: int) -> list[str]:
    """Streams that were closed then, oldest first."""
    rows = database.execute(
        "SELECT id FROM heads JOIN streams USING (key) WHERE closed_s <= ? ORDER BY closed_s LIMIT ?", (until_s, limit)
    )
    return [stream_id for (stream_id,) in rows]


class Seen(NamedTuple):
    """How far somebody knows a stream."""

    stream_id: str
    records: int
    is_closed: bool


def news(database: sqlite3.Connection, known: Sequence[Seen]) -> list[Seen]:
    """Those of the known streams that went on, were closed, or are gone (then with -1 records)."""
    rows = database.execute(
        """WITH known AS (
               SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS seen,
                      json_extract(value, '$[2]') AS is_closed
               FROM json_each(?))
           SELECT known.id, coalesce(records, -1), heads.key IS NULL OR closed_s IS NOT NULL
           FROM known LEFT JOIN streams USING (id) LEFT JOIN heads USING (key)
           WHERE heads.key IS NULL OR records > known.seen OR (closed_s IS NOT NULL) > known.is_closed""",
        (json.dumps(known),),
    )
    return [Seen(stream_id, records, bool(is_closed)) for stream_id, records, is_closed in rows]


def data_version(database: sqlite3.Connection) -> int:
    """A number that changes when any other connection commits, in this process or another, and never by our own."""
    version: int = database.execute("PRAGMA data_version").fetchone()[0]
    return version


def checkpoint(database: sqlite3.Connection) -> int:
    """Copy the WAL into the file as far as that goes without waiting for anybody; answers its length in pages."""
    _, pages, _ = database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(pages)
