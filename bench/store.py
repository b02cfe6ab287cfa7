"""What does an append cost, and what a read?

Each row is one contender in a process of its own: a log, a number of streams that append at once, each waiting for its
append before the next, and chunks per append. Wall time is that of the whole process, with nothing else to do; CPU is
that of all its threads; loop CPU is what the event loop itself spends. Prints JSON.

The rows of redis need a server: a process of its own on this machine, with ``appendonly yes``; its CPU is not counted.

It cannot show what a busy event loop does to the writer thread (they share the interpreter's lock), nor a full cache:
everything fits into the page cache.

    python bench/store.py [--rounds 3] [--only sqlite-NORMAL]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import StreamLog
from lockgate.store.memory import MemoryLog
from lockgate.store.redis.log import RedisLog
from lockgate.store.sqlite.log import SqliteLog

LOGS = ("memory", "sqlite-NORMAL", "sqlite-FULL", "redis-everysec", "redis-always")
STREAMS = (1, 40, 200)
CHUNKS = (1, 10)
CHUNK_BYTES = 300
# Enough for a steady state, little enough for a slow disk.
APPENDS = {
    "memory": 20_000,
    "sqlite-NORMAL": 10_000,
    "sqlite-FULL": 3_000,
    "redis-everysec": 5_000,
    "redis-always": 3_000,
}
READS = 200


def make(log: str, folder: str) -> StreamLog:
    if log == "memory":
        return MemoryLog(max_bytes=1 << 30)
    if log.startswith("redis"):
        return RedisLog(f"unix://{folder}/redis.sock")
    return SqliteLog(Path(folder) / "log.db", "FULL" if log.endswith("FULL") else "NORMAL")


@contextlib.contextmanager
def serving(log: str, folder: str) -> Iterator[None]:
    """With a Redis in this folder, if the log needs one."""
    if not log.startswith("redis"):
        yield
        return
    options = ["--port", "0", "--unixsocket", f"{folder}/redis.sock", "--dir", folder, "--save", ""]
    options += ["--appendonly", "yes", "--appendfsync", log.partition("-")[2]]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        while not answers(f"{folder}/redis.sock"):
            time.sleep(0.01)
        yield
    finally:
        server.kill()
        server.wait()


def answers(path: str) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(b"PING\r\n")
        return client.recv(64).startswith(b"+PONG")
    return False


async def append_all(log: StreamLog, ids: list[str], chunks: int, appends: int) -> tuple[dict[str, float], int]:
    """Figures per append and per chunk; and how many appends each stream got."""
    payloads = [b"x" * CHUNK_BYTES] * chunks
    each = appends // len(ids)
    waits: list[float] = []

    async def pump(stream_id: str) -> None:
        for seq in range(each):
            began = time.perf_counter()
            await log.append(stream_id, payloads, epoch=1, seq=seq)
            waits.append(time.perf_counter() - began)

    commits = getattr(log, "commits", 0)
    wall, cpu, loop_cpu = time.perf_counter(), time.process_time(), time.thread_time()
    await asyncio.gather(*map(pump, ids))
    wall, cpu, loop_cpu = time.perf_counter() - wall, time.process_time() - cpu, time.thread_time() - loop_cpu
    count = len(waits)
    return {
        "wall us/append": wall / count * 1e6,
        "wall us/chunk": wall / count / chunks * 1e6,
        "cpu us/append": cpu / count * 1e6,
        "cpu us/chunk": cpu / count / chunks * 1e6,
        "loop cpu us/append": loop_cpu / count * 1e6,
        "appends/commit": count / max(1, getattr(log, "commits", count) - commits),
        "wait p50 ms": statistics.median(waits) * 1e3,
        "wait p99 ms": statistics.quantiles(waits, n=100)[98] * 1e3,
    }, each


async def timed(log: StreamLog, stream_id: str, after: Offset) -> tuple[float, int]:
    """Microseconds of one read, and the entries that it brought."""
    began = time.perf_counter()
    page = await log.read(stream_id, after, max_bytes=256 * 1024)
    return (time.perf_counter() - began) * 1e6, len(page.entries)


async def read_all(log: StreamLog, stream_id: str, chunks: int, each: int) -> dict[str, float]:
    """From the file: all of a stream, and one entry; then one entry as a live reader gets it."""
    records = each * chunks
    pages = [await timed(log, stream_id, START) for _ in range(READS // 4)]
    last = Offset(1, records - 1)
    one = [(await timed(log, stream_id, last))[0] for _ in range(READS)]
    live: list[float] = []
    async with log.watch(stream_id):
        for seq in range(each, each + READS):
            await log.append(stream_id, [b"x" * CHUNK_BYTES], epoch=1, seq=seq)
            records += 1
            live.append((await timed(log, stream_id, Offset(1, records - 1)))[0])
    return {
        "read page us/entry": statistics.median(us / count for us, count in pages),
        "read one us": statistics.median(one),
        "read live us": statistics.median(live),
    }


async def contend(kind: str, streams: int, chunks: int) -> dict[str, float]:
    with (
        tempfile.TemporaryDirectory(prefix="lockgate-bench-", dir=os.environ.get("BENCH_DIR")) as folder,
        serving(kind, folder),
    ):
        log = make(kind, folder)
        await log.open()
        try:
            ids = [f"stream-{number:030}" for number in range(streams)]
            for stream_id in ids:
                await log.create(stream_id, b"{}", owner="bench")
            figures, each = await append_all(log, ids, chunks, APPENDS[kind])
            return figures | await read_all(log, ids[0], chunks, each)
        finally:
            await log.shut()


def measure(kind: str, streams: int, chunks: int, rounds: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--contend", kind, str(streams), str(chunks)]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True, timeout=300).stdout) for _ in range(rounds)
    ]
    row: dict[str, Any] = {"log": kind, "streams": streams, "chunks per append": chunks}
    for name in runs[0]:
        values = [run[name] for run in runs]
        row[name] = {"median": round(statistics.median(values), 2), "spread": round(max(values) - min(values), 2)}
    return row


def commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=10)
    return found.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=LOGS)
    parser.add_argument("--contend", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contend:
        kind, streams, chunks = options.contend
        print(json.dumps(asyncio.run(contend(kind, int(streams), int(chunks)))))
        return
    report = {
        "question": "what does an append cost, and what a read?",
        "commit": commit(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "chunk bytes": CHUNK_BYTES,
        "rounds": options.rounds,
        "load at start": os.getloadavg()[0],
        "rows": [
            measure(kind, streams, chunks, options.rounds)
            for kind in LOGS
            if options.only in (None, kind) and (not kind.startswith("redis") or shutil.which("redis-server"))
            for streams in STREAMS
            for chunks in CHUNKS
        ],
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
