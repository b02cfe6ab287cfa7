"""The tables of the file behind ``SqliteLog``, how it is opened, and its errors as sentences.

``appends`` holds one row per append, in arrival order, with all its payloads in one body; ``appends_by_stream`` finds
one stream's rows. Measured with 200 interleaved streams, 300 bytes each, WAL, NORMAL, in microseconds per append and
KiB written per append, at 200 | 40 | 1 appends per transaction (medians of 3):

    table clustered by (stream, records)    47 | 48 | 57    17.1 | 18.0 | 23.2   (a page is torn open for every row)
    arrival order with the index             9 | 10 | 62     2.1 |  3.1 | 25.4
    arrival order without any index          6 |  8 | 50     0.7 |  1.5 | 17.0

So the index costs 3 us per append. An append of ten payloads costs 24 us, 2.4 us each: one row for all of them, one
index entry. Sparse marks and a chain through the rows would save most of the 3 us; but every catch-up read would need
both. The index is plain, and UNIQUE: no record can be there twice.

Version 2 added the tables that pushes and lifetimes need; streams without either take no room in them. A file of an
older version gets what it lacks when it is opened. What was written before stays as it is.

Version 3 counts beats, where version 2 had their wall-clock time in ``owners``, and has the clock of the log. The
appends of a deleted stream go bit by bit: ``garbage`` lists what is left, and no key is used again while it is there.

Version 4 added ``notices``, which processes send each other.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeVar

from lockgate.errors import StoreError, StoreFailing

Synchronous = Literal["NORMAL", "FULL"]

_T = TypeVar("_T")

#: "lgat": distinguishes our files from those of other programs (``PRAGMA application_id``).
APPLICATION_ID: Final = int.from_bytes(b"lgat")
VERSION: Final = 4

# heads is apart from streams because it changes with every append, and SQLite writes whole rows: meta may be large.
_VERSION_1: Final = (
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
_VERSION_2: Final = (
    "CREATE TABLE lifetimes (key INTEGER PRIMARY KEY, ttl_s REAL, expires_s REAL NOT NULL)",
    "CREATE INDEX lifetimes_by_end ON lifetimes (expires_s)",
    """CREATE TABLE producers (
        stream INTEGER NOT NULL,
        id TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (stream, id)) WITHOUT ROWID""",
    # For a stream without an owner: the last Stream-Seq as bytes, and the push that closed it.
    """CREATE TABLE pushes (
        key INTEGER PRIMARY KEY,
        stream_seq BLOB,
        producer TEXT,
        epoch INTEGER,
        seq INTEGER)""",
)
_VERSION_3: Final = (
    "DROP TABLE owners",
    "CREATE TABLE pulses (owner TEXT PRIMARY KEY, beats INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE clock (now_s REAL NOT NULL)",
    # expires_s counts by that clock; this is what was asked for, in seconds since 1970.
    "ALTER TABLE lifetimes ADD COLUMN wall_s REAL",
    # The streams whose owner is asked to end them.
    "CREATE TABLE asked (key INTEGER PRIMARY KEY)",
    "CREATE TABLE garbage (stream INTEGER PRIMARY KEY)",
)
_VERSION_4: Final = (
    # AUTOINCREMENT: a number that was heard never comes again, however many were deleted.
    """CREATE TABLE notices (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        sender TEXT NOT NULL,
        stream TEXT NOT NULL,
        notice BLOB NOT NULL)""",
)
#: What each version adds to the one before it.
_VERSIONS: Final = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)

#: Twice SQLite's own choice. Measured through the log with 200 streams, medians of 3: 13 us per append of 300 bytes,
#: against 20; 24 us per append of 3 KB, against 56.
PAGE_BYTES: Final = 8192

# Trying again is what is left to do for a lock; SQLite's own waiting backs off to 100 ms and is unfair between writers.
_LOCK_POLL_S: Final = 0.001

# The writer checkpoints only when this many pages have piled up; see SqliteLog, which has it done before.
_AUTOCHECKPOINT_PAGES: Final = 2000
_WAL_KEPT_BYTES: Final = 64 * 1024 * 1024


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
#: Files beside the log that belong to it: without them, what was committed last is lost.
_COMPANIONS: Final = ("", "-wal", "-shm")


def explain(path: Path, error: Exception) -> StoreError:
    """Say what went wrong: mostly SQLite's own words, with the name of the file and what to do."""
    if isinstance(error, StoreError):
        return error
    code = getattr(error, "sqlite_errorcode", 0)
    reason = _REASONS.get(code & 0xFF)  # the low byte is the primary code; the rest only makes it more exact
    if reason is None:
        return StoreFailing(f"{path}: {error!r}")
    return StoreFailing(f"{path}: {reason} ({getattr(error, 'sqlite_errorname', '')}: {error})")


def patiently(attempt: Callable[[], _T], busy_s: float) -> _T:
    """Run a function that may find the file locked; try again for ``busy_s`` seconds."""
    until = time.monotonic() + busy_s
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_LOCK_POLL_S)


class FileWatch:
    """Whether the files that are open are still those under the log's name.

    SQLite goes on writing to a file that was deleted, and all of that is gone with the process.
    """

    def __init__(self, path: Path) -> None:
        self._names = [f"{path.absolute()}{suffix}" for suffix in _COMPANIONS]
        self._seen: dict[str, tuple[int, int]] = {}

    def check(self) -> None:
        """Look at all of them; three system calls.

        Raises:
            StoreFailing: one was deleted, moved away or replaced.
        """
        for name in self._names:
            try:
                found = os.stat(name)
                identity = found.st_dev, found.st_ino
            except FileNotFoundError:
                identity = None
            except OSError as error:
                raise StoreFailing(f"{name}: {error.strerror}") from None
            known = self._seen.get(name)
            if known is None:
                if identity is not None:
                    self._seen[name] = identity  # SQLite makes the companions when it needs them
            elif identity != known:
                what = "was deleted or moved away" if identity is None else "was replaced by another file"
                raise StoreFailing(
                    f"{name}: {what} while it was in use; nothing more is written, so that nothing is lost unseen. Put "
                    "the same file back, or restart to begin with what is there"
                )


# -- opening -----------------------------------------------------------------------------------------------------


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose user begins transactions. It may move between threads, one at a time. It makes no file."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)


def prepare(path: Path, synchronous: Synchronous, busy_s: float, now_s: float) -> sqlite3.Connection:
    """Open the file for writing; create it and its folder if they are missing.

    Args:
        now_s: What the clock of a new log shows first.

    Raises:
        StoreError: it is not ours, cannot be used, or stays locked.
    """
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        # Before SQLite does it with permissions for everybody: the log holds what people asked and got.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; choose another store.path, or check owner and mode") from None
    database = connect(path)
    try:
        _pragma(database, f"page_size = {PAGE_BYTES}")  # matters only for a new file
        patiently(lambda: _make_ours(database, path, now_s), busy_s)
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


def _make_ours(database: sqlite3.Connection, path: Path, now_s: float) -> None:
    """Check whose file it is, in a transaction: if two processes find it empty, one of them makes the tables."""
    if _version(database, path) == VERSION:
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        for statements in _VERSIONS[_version(database, path) :]:
            for statement in statements:
                database.execute(statement)
        database.execute("INSERT INTO clock SELECT ? WHERE NOT EXISTS (SELECT 1 FROM clock)", (now_s,))
        _pragma(database, f"application_id = {APPLICATION_ID}")
        _pragma(database, f"user_version = {VERSION}")
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")


def _version(database: sqlite3.Connection, path: Path) -> int:
    """Version of our file, 0 of an empty one."""
    found, version = _pragma(database, "application_id"), _pragma(database, "user_version")
    if found == APPLICATION_ID:
        if isinstance(version, int) and 0 < version <= VERSION:
            return version
        raise StoreError(f"{path}: has version {version}, this lockgate knows {VERSION}; use the one that made it")
    if found or version or database.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise StoreError(f"{path}: is the database of another program; choose another store.path")
    return 0
