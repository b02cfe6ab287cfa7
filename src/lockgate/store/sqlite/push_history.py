"""What the file behind ``SqliteLog`` remembers about pushes, so that a repeat is recognised after any crash.

Plain, blocking SQL on a connection that the caller owns, like ``file``. It is written in the transaction that writes
the records.
"""

from __future__ import annotations

import sqlite3

from lockgate.store.base import Producer, Pushed
from lockgate.store.log_rules import PushHistory, PushRequest, judge, sequence_bytes
from lockgate.store.sqlite.file import living, snapshot


def load(database: sqlite3.Connection, key: int, producer: Producer | None) -> PushHistory:
    """What a stream remembers, as far as a push of this producer needs it."""
    row = database.execute("SELECT stream_seq, producer, epoch, seq FROM pushes WHERE key = ?", (key,)).fetchone()
    stream_seq, *closer = (None, None, None, None) if row is None else row
    pushes = PushHistory(stream_seq=stream_seq, closed_by=None if closer[0] is None else Producer(*closer))
    if producer is not None:
        pushes.known = _known(database, key, producer.id)
        if pushes.known is None:
            query = "SELECT count(*) FROM producers WHERE stream = ?"
            pushes.producers = database.execute(query, (key,)).fetchone()[0]
    return pushes


def _known(database: sqlite3.Connection, key: int, name: str) -> Producer | None:
    query = "SELECT id, epoch, seq FROM producers WHERE stream = ? AND id = ?"
    row = database.execute(query, (key, name)).fetchone()
    return None if row is None else Producer(*row)


def remember(database: sqlite3.Connection, key: int, push: PushRequest) -> None:
    """Store what the next pushes are judged with."""
    if push.producer is not None:
        database.execute("INSERT OR REPLACE INTO producers VALUES (?, ?, ?, ?)", (key, *push.producer))
    if push.stream_seq is not None:
        database.execute(
            "INSERT INTO pushes (key, stream_seq) VALUES (?, ?)"
            " ON CONFLICT (key) DO UPDATE SET stream_seq = excluded.stream_seq",
            (key, sequence_bytes(push.stream_seq)),
        )
    if push.close and push.producer is not None:
        database.execute(
            "INSERT INTO pushes (key, producer, epoch, seq) VALUES (?, ?, ?, ?) ON CONFLICT (key)"
            " DO UPDATE SET producer = excluded.producer, epoch = excluded.epoch, seq = excluded.seq",
            (key, *push.producer),
        )


def check_push(database: sqlite3.Connection, stream_id: str, push: PushRequest, now_s: float) -> Pushed | None:
    """As ``StreamLog.check_push``."""
    with snapshot(database):
        key, state = living(database, stream_id, now_s)
        return judge(stream_id, state, load(database, key, push.producer), push)
