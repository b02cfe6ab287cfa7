"""kill -9 of the writing process: what was answered is there, in order, once (P4)."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.errors import FencedOut
from lockgate.protocol.offsets import Offset
from lockgate.store.base import Producer
from lockgate.store.sqlite.log import SqliteLog
from tests.store.logs import PATIENCE_S, opened, rest

STREAMS = 8

# Writes to several streams at once and says of each append, once it is answered: stream, seq, records.
WRITER = """
import asyncio, os, random, sys
from pathlib import Path
from lockgate.store.sqlite.log import SqliteLog

async def write(log, stream):
    rng = random.Random(f"{sys.argv[2]} {stream}")
    await log.create(stream, b"", owner="writer")
    records = seq = 0
    while True:
        size = rng.choice([1, 1, 1, 2, 5])
        text = b"." * rng.choice([0, 30, 3000])
        payloads = [b"%s %d %s" % (stream.encode(), records + n + 1, text) for n in range(size)]
        offset = await log.append(stream, payloads, epoch=1, seq=seq)
        records += size
        assert offset.records == records
        os.write(1, f"{stream} {seq} {records}\\n".encode())
        seq += 1

async def main():
    log = SqliteLog(Path(sys.argv[1]))
    await log.open()
    await asyncio.gather(*(write(log, str(stream)) for stream in range(int(sys.argv[3]))))

asyncio.run(main())
"""


def acknowledged_until_killed(path: Path, seed: int) -> dict[str, tuple[int, int]]:
    """Let a process write, kill it after a seeded number of answers; what it said of each stream last."""
    answers = random.Random(seed).choice([1, 30, 300, 1000])
    last: dict[str, tuple[int, int]] = {}
    command = [sys.executable, "-c", WRITER, str(path), str(seed), str(STREAMS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for count, line in enumerate(writer.stdout):
            stream_id, seq, records = line.split()
            last[stream_id] = (int(seq), int(records))
            if count == answers:
                writer.kill()  # what it said until it was dead is still in the pipe, and counts
        assert writer.wait(PATIENCE_S) == -9
    return last


@pytest.mark.parametrize("seed", range(6))
async def test_what_was_answered_survives_a_kill(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "log.db"
    acknowledged = acknowledged_until_killed(path, seed)
    assert acknowledged
    async with opened(SqliteLog(path)) as log:
        assert len(await log.orphans(owner="x", limit=99)) >= len(acknowledged)
        for stream_id, (seq, records) in acknowledged.items():
            entries = await rest(log, stream_id)
            assert [entry.offset for entry in entries] == [Offset(1, n + 1) for n in range(len(entries))]
            for number, entry in enumerate(entries, 1):
                assert entry.payload.split(b" ")[:2] == [stream_id.encode(), b"%d" % number]
            assert records <= len(entries) <= records + 5, "at most the append on its way more than answered"
            head = await log.head(stream_id)
            assert (head.tail.records, head.is_closed) == (len(entries), False)
            assert await log.append(stream_id, [b"other"], epoch=1, seq=seq) == Offset(1, records)
            # And another node goes on from there.
            assert await log.take_over(stream_id, owner="next") == 2
            with pytest.raises(FencedOut):
                await log.append(stream_id, [b"x"], epoch=1, seq=seq + 1)
            end = await log.append(stream_id, [b"end"], epoch=2, seq=0, close=True)
            assert await rest(log, stream_id, entries[-1].offset) == [(end, b"end")]
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# One producer per stream, with the next (epoch, seq) of each from the command line: seq goes on where it was.
PRODUCER = """
import asyncio, os, random, sys
from pathlib import Path
from lockgate.store.base import Producer
from lockgate.store.sqlite.log import SqliteLog

async def produce(log, stream, first):
    rng = random.Random(f"{sys.argv[2]} {stream}")
    seq = first
    while True:
        payloads = [b"%d %d" % (seq, n) + b"." * rng.choice([0, 30, 3000]) for n in range(3)]
        pushed = await log.push(stream, payloads, producer=Producer("p", 0, seq))
        assert pushed.producer.seq == seq
        assert pushed.is_new or seq == first
        os.write(1, f"{stream} {seq}\\n".encode())
        seq += 1

async def main():
    log = SqliteLog(Path(sys.argv[1]))
    await log.open()
    await asyncio.gather(*(produce(log, str(one), int(first)) for one, first in enumerate(sys.argv[3:])))

asyncio.run(main())
"""


async def test_a_push_that_is_repeated_after_a_kill_is_there_once(tmp_path: Path) -> None:
    """Twelve processes, one after the other, each killed at a seeded answer; each repeats what was not answered."""
    path = tmp_path / "log.db"
    rng = random.Random(12)
    following = [0] * STREAMS
    async with opened(SqliteLog(path)) as log:
        for number in range(STREAMS):
            await log.create(str(number), b"", owner="")
    for kill in range(12):
        command = [sys.executable, "-c", PRODUCER, str(path), str(kill), *map(str, following)]
        answers = rng.choice([0, 10, 100, 400])
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as producer:
            assert producer.stdout is not None
            for count, line in enumerate(producer.stdout):
                number, seq = map(int, line.split())
                assert seq == following[number]
                following[number] += 1
                if count == answers:
                    producer.kill()
            assert producer.wait(PATIENCE_S) == -9
    async with opened(SqliteLog(path)) as log:
        for number, seq in enumerate(following):
            last = Producer("p", 0, seq)
            pushed = await log.push(str(number), [b"%d %d" % (seq, n) for n in range(3)], producer=last)
            assert pushed.producer == last
            got = [tuple(entry.payload.rstrip(b".").split()) for entry in await rest(log, str(number))]
            assert got == [(b"%d" % one, b"%d" % n) for one in range(seq + 1) for n in range(3)]
