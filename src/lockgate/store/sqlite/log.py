"""The log in one SQLite file: survives the process, and may be shared by several on one machine.

Who does the work:

- Appends and all other writes go to one writer thread (``writer``), which commits whatever waits in one
  transaction and wakes the event loop once for all of it. The event loop never waits for the disk.
- A reader that keeps up is served from memory: while somebody watches a stream, a short ``Tail`` keeps what this
  process commits to it. If nobody watches, nothing is kept.
- Anything older is read from the file by a small pool of threads. Measured for 10 and 400 entries: 104 us and 1.1 ms,
  against 32 us and 1.0 ms in the event loop itself; but with the file out of the page cache 23 ms, which no other
  stream should wait for. (While the loop is busy for 300 us at a time, 400 entries take 32 ms: a thread gives way.)

Streams that another process writes: while anybody watches one, the idle writer looks every 10 ms whether another
process has committed (2 % of a core here, mostly the price of waking up); if so, ``_relay`` asks the file which of the
watched streams went on, and wakes their readers. While all watched streams are our own, it looks less often: somebody
may have taken one over. The requests to end a stream (``ask_end``), and notices, are heard in the same way.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from lockgate.errors import StoreError, StoreFailing
from lockgate.protocol.offsets import Offset
from lockgate.store import log_rules
from lockgate.store.base import Expired, Head, Lifetime, Page, Producer, Pushed, Receipt
from lockgate.store.log_rules import PushRequest, StreamState
from lockgate.store.pulses import Pulses
from lockgate.store.sqlite import file, notices, push_history, tables
from lockgate.store.sqlite.commit_pace import CommitPace
from lockgate.store.sqlite.connections import ReadPool
from lockgate.store.sqlite.watched_rows import WatchedRows
from lockgate.store.sqlite.writer_thread import Append, BeatJob, Job, PushJob, WriteCall, WriterThread
from lockgate.store.tail import Tail
from lockgate.waiting.news import News

_T = TypeVar("_T")
_P = ParamSpec("_P")

#: Most bytes that may wait for the writer, in all streams. Further appends wait; a larger append is refused.
MAX_QUEUED_BYTES: Final = 64 * 1024 * 1024
# One step of expiry takes at most about so long: a commit that waits behind it is not noticed.
_EXPIRY_STEP_S: Final = 0.002
# Bytes that a write counts besides its payloads, so that empty writes are bounded, too.
_JOB_BYTES: Final = 256

#: Freshly committed entries kept in memory per watched stream, and for how many streams at most (64 MiB in all).
TAIL_BYTES: Final = 64 * 1024
MAX_TAILS: Final = 1024

#: How often to look for commits of other processes while their streams are watched, and while only our own are.
LOOK_S: Final = 0.01
LOOK_SELDOM_S: Final = 0.1

# A checkpoint after about this many pages (4 MiB), by a reader thread, so that appends do not wait for its fsync.
# Measured with 40 streams and 2000 appends/s, three rounds: p99 of an append 0.9 to 1.8 ms, against 4.8 to 6.1 ms when
# the writer does it after as many, as SQLite would by itself.
_CHECKPOINT_PAGES: Final = 500


def _size(stream_id: str, length: int, payloads: int) -> int:
    """The size in the queue of a write with this many bytes in this many payloads.

    Raises:
        StoreError: more than the queue can ever hold.
    """
    size = length + _JOB_BYTES * (1 + payloads)
    if size > MAX_QUEUED_BYTES:
        raise StoreError(f"stream {stream_id}: a write of {size} bytes, but {MAX_QUEUED_BYTES} is the most")
    return size


class SqliteLog:
    """``StreamLog`` in a file.

    Args:
        path: The file; created if it is missing, with its folder.
        synchronous: ``NORMAL`` survives kill -9 of this process, ``FULL`` also a power cut.
        busy_s: How long to wait while another process has the file locked.
        commit_s: While several streams are written, a commit begins no sooner than this after the one before it.
        patience_s: How long to wait for the disk before giving up on an answer. What was asked may still happen;
            appending again with the same ``seq`` is safe.
        wall: Seconds since 1970.
        monotonic: Seconds that nobody sets.
    """

    def __init__(
        self,
        path: Path,
        synchronous: tables.Synchronous = "NORMAL",
        *,
        busy_s: float = 5.0,
        commit_s: float = 0.004,
        patience_s: float = 30.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._patience_s = patience_s
        self._wall = wall
        self._is_open = False
        #: Why the log cannot be used; None while it can.
        self._trouble: str | None = "is not open"
        self._writer = WriterThread(
            path,
            synchronous,
            busy_s=busy_s,
            wall=wall,
            monotonic=monotonic,
            report=partial(self._tell_loop, self._settle),
            hear=partial(self._tell_loop, self._hear),
            end=partial(self._tell_loop, self._end),
        )
        self._pace = CommitPace(commit_s, self._writer.put)
        self._pulses: dict[str, Pulses] = {}
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._sender = secrets.token_hex(8)
        self._hear_notice: Callable[[str, bytes], None] | None = None
        self._noticed = 0
        self._under_way: set[Job] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._queued_bytes = 0
        self._at_door = 0
        self._watched: dict[str, WatchedRows] = {}
        self._tails = 0
        self._foreign = 0
        self._readers = ReadPool(path, busy_s=busy_s, patience_s=patience_s)
        self._pages = 0
        self._is_checkpointing = False
        #: Transactions so far.
        self.commits = 0

    # -- life ----------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._door, self._room, self._elsewhere = asyncio.Lock(), asyncio.Event(), asyncio.Event()
        await asyncio.to_thread(self._writer.open)  # waits at most busy_s for locks
        try:
            await asyncio.to_thread(self._readers.start)
        except sqlite3.Error as error:
            self._writer.close()
            raise tables.explain(self._path, error) from None
        self._writer.start()
        self._is_open, self._trouble = True, None
        self._noticed = await self._fetch(notices.last)
        self._relaying = self._loop.create_task(self._relay(), name=f"relay {self._path.name}")

    async def shut(self) -> None:
        if not self._is_open:
            return
        self._is_open, self._trouble = False, "is shut"
        self._relaying.cancel()
        self._pace.begin()
        self._writer.stop()
        done, _ = await asyncio.wait([self._ended], timeout=self._patience_s)
        if not done:
            self._fail_all(f"{self._path}: did not finish in {self._patience_s} s; does the disk hang?")
        self._wake_all()
        await asyncio.to_thread(self._readers.stop)

    def _wake_all(self) -> None:
        """Wake all readers, so that they learn that the log has ended."""
        for watched in self._watched.values():
            watched.tell(-1, is_closed=False)

    def _now(self) -> float:
        """The clock of the log."""
        return self._writer.clock()

    def _check(self) -> None:
        if self._trouble is not None:
            raise StoreError(f"{self._path}: the log {self._trouble}")

    def _tell_loop(self, function: Callable[..., object], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            self._writer.stop()  # the loop was closed without ``shut``; so nobody waits for an answer

    def _end(self, failure: BaseException | None) -> None:
        """Note that the writer thread has ended."""
        if failure is not None:
            self._trouble = f"stopped writing: {failure!r}; restart to go on, what was answered is safe"
            self._fail_all(f"{self._path}: the log {self._trouble}")
            self._wake_all()
        self._ended.set_result(None)

    # -- writing -------------------------------------------------------------------------------------------------

    async def create(
        self,
        stream_id: str,
        meta: bytes,
        *,
        owner: str,
        lifetime: Lifetime | None = None,
        payloads: Sequence[bytes] = (),
        close: bool = False,
    ) -> int:
        self._check()
        now_s, wall_s = self._now(), self._wall()
        payloads = tuple(payloads)
        state = StreamState(owner, lifetime=log_rules.begun(lifetime, now_s, wall_s))
        ends_s = lifetime.expires_s if lifetime is not None and lifetime.ttl_s is None else None
        times = file.Times(now_s, wall_s, ends_s)
        state.begin(len(payloads), close=close)
        size = _size(stream_id, len(meta) + sum(map(len, payloads)), len(payloads))
        # It may end an older stream of this id whose lifetime is over.
        epoch = await self._call(
            file.create, stream_id, meta, state, payloads, times, size=size, about=stream_id, ends=True
        )
        if (watched := self._watched.get(stream_id)) is not None:
            watched.lifetime = state.lifetime
        return epoch

    async def append(
        self, stream_id: str, payloads: Sequence[bytes], *, epoch: int, seq: int, close: bool = False
    ) -> Offset:
        closed_s = self._now() if close else None
        done: asyncio.Future[Offset] = self._future()
        await self._put(self._append_job(stream_id, payloads, epoch, seq, closed_s, done))
        return await done

    def begin_append(
        self, stream_id: str, payloads: Sequence[bytes], *, epoch: int, seq: int, receipt: Receipt
    ) -> Offset | None:
        self._check()
        if self._is_full:
            raise StoreFailing(f"{self._path}: no room in the queue now")
        self._queue(self._append_job(stream_id, payloads, epoch, seq, None, receipt))
        return None

    def _append_job(
        self, stream_id: str, payloads: Sequence[bytes], epoch: int, seq: int, closed_s: float | None, done: Receipt
    ) -> Append:
        payloads = tuple(payloads)  # the caller may change its list after it was cancelled
        body = payloads[0] if len(payloads) == 1 else b"".join(payloads)
        size = _size(stream_id, len(body), len(payloads))
        return Append(stream_id, payloads, body, size, epoch, seq, closed_s, done)

    async def push(
        self,
        stream_id: str,
        payloads: Sequence[bytes],
        *,
        producer: Producer | None = None,
        stream_seq: str | None = None,
        close: bool = False,
        expect: Offset | None = None,
    ) -> Pushed:
        payloads = tuple(payloads)
        push = PushRequest(bool(payloads), producer, stream_seq, close, expect)
        log_rules.check(push)
        body = b"".join(payloads)
        size = _size(stream_id, len(body) + log_rules.MAX_NAME_BYTES, len(payloads))
        closed_s = self._now() if close else None
        job = PushJob(stream_id, payloads, body, size, push, closed_s, self._future())
        await self._put(job)
        return await job.done

    async def check_push(
        self,
        stream_id: str,
        *,
        producer: Producer | None = None,
        stream_seq: str | None = None,
        close: bool = False,
        has_payloads: bool = True,
    ) -> Pushed | None:
        push = PushRequest(has_payloads, producer, stream_seq, close)
        log_rules.check(push)
        return await self._fetch(push_history.check_push, stream_id, push, self._now())

    async def touch(self, stream_id: str) -> None:
        now_s = self._now()
        watched = self._watched.get(stream_id)
        if watched is None or log_rules.is_over(watched.lifetime, now_s):
            _, lifetime = await self._fetch(file.lifetime, stream_id, now_s)
        else:
            lifetime = watched.lifetime
        if log_rules.renewed(lifetime, now_s, unless=log_rules.RENEW_SHARE) is not lifetime:
            lifetime = await self._call(file.touch, stream_id, now_s, about=stream_id)
        if watched is not None:
            watched.lifetime = lifetime

    async def take_over(self, stream_id: str, *, owner: str) -> int:
        return await self._call(file.take_over, stream_id, owner, self._now(), about=stream_id)

    def beat(self, owner: str) -> None:
        self._check()
        pulses = self._pulses.setdefault(owner, Pulses(owner))
        done: concurrent.futures.Future[file.Beat] = concurrent.futures.Future()
        self._writer.put([BeatJob(owner, pulses.forgotten, done)])
        try:
            pulses.hear(done.result(self._patience_s).counts)
        except TimeoutError:
            raise StoreFailing(self._no_commit) from None

    async def ask_end(self, stream_id: str) -> None:
        await self._call(file.ask_end, stream_id, self._now())
        self._elsewhere.set()  # the owner may be here

    async def notify(self, stream_id: str, notice: bytes) -> None:
        await self._call(notices.put, self._sender, stream_id, notice)

    def hear_notices(self, hear: Callable[[str, bytes], None]) -> None:
        self._hear_notice = hear

    async def delete(self, stream_id: str) -> None:
        await self._call(file.delete, stream_id, self._now(), about=stream_id, ends=True)

    async def expire(self, *, older_than_s: float, limit: int) -> Expired:
        now_s = self._now()
        until_s = now_s - older_than_s
        # Look in the file first: this is called all the time, and there is seldom anything to write.
        if not await self._fetch(file.is_due, until_s, now_s):
            return Expired(0, True)
        gone = await self._call(file.expire, until_s, now_s, limit, _EXPIRY_STEP_S)
        self._pages += len(gone.stream_ids) + gone.rows
        for stream_id in gone.stream_ids:
            self._end_watched(stream_id)
        return Expired(len(gone.stream_ids), not await self._fetch(file.is_due, until_s, now_s))

    def _future(self) -> asyncio.Future[Any]:
        self._check()
        return self._loop.create_future()

    async def _call(
        self,
        write: Callable[..., _T],
        *args: object,
        size: int = _JOB_BYTES,
        about: str | None = None,
        ends: bool = False,
    ) -> _T:
        job = WriteCall(lambda database: write(database, *args), self._future(), size, about, ends)
        await self._put(job)
        result: _T = await job.done
        return result

    async def _put(self, job: Job) -> None:
        """Give a job to the writer, in the order of calls. After that, cancelling ends only the waiting."""
        if self._is_full:
            await self._wait_for_room()
            self._check()
        self._queue(job)

    @property
    def _is_full(self) -> bool:
        return self._at_door > 0 or self._queued_bytes >= MAX_QUEUED_BYTES

    def _queue(self, job: Job) -> None:
        self._queued_bytes += job.size
        self._under_way.add(job)
        if self._alarm is None:
            self._alarm = self._loop.call_later(self._patience_s, self._give_up)
        self._pace.add(job)

    async def _wait_for_room(self) -> None:
        self._at_door += 1
        try:
            async with asyncio.timeout(self._patience_s), self._door:
                while self._queued_bytes >= MAX_QUEUED_BYTES and self._trouble is None:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            raise StoreFailing(
                f"{self._path}: no room in the queue for {self._patience_s} s; is the disk slow?"
            ) from None
        finally:
            self._at_door -= 1

    def _settle(self, outcomes: list[tuple[Job, Any]]) -> None:
        """One transaction is over."""
        self.commits += 1
        for job, outcome in outcomes:
            self._under_way.discard(job)
            self._queued_bytes -= job.size
            done = job.done
            if isinstance(outcome, Exception):
                if not done.done():
                    done.set_exception(outcome)
                continue
            self._publish(job)
            if not done.done():  # cancelled, or given up
                done.set_result(outcome)
        self._room.set()
        self._set_alarm()
        self._pace.settled()
        if self._pages >= _CHECKPOINT_PAGES and not self._is_checkpointing and self._trouble is None:
            self._checkpoint()

    def _publish(self, job: Job) -> None:
        """Make committed entries visible to readers."""
        if isinstance(job, WriteCall):
            if job.ends:
                self._end_watched(job.stream_id or "")
            return
        if job.before is None:
            return
        self._pages += 2 + len(job.body) // tables.PAGE_BYTES
        watched = self._watched.get(job.stream_id)
        if watched is None:
            return
        is_closed = job.closed_s is not None
        if watched.tail is None or watched.tail.end != job.before:
            self._drop_tail(watched)
            if self._tails < MAX_TAILS:
                watched.tail = Tail(job.before, max_bytes=TAIL_BYTES)
                self._tails += 1
        if watched.tail is not None:
            watched.tail.extend(job.payloads, epoch=job.epoch, close=is_closed)
        if job.lifetime is not None:
            watched.lifetime = job.lifetime
        if not watched.is_ours:
            self._set_ours(watched, True)
        watched.tell(job.before.records + len(job.payloads), is_closed=is_closed)

    def _end_watched(self, stream_id: str) -> None:
        if (watched := self._watched.get(stream_id)) is not None:
            self._drop_tail(watched)
            self._set_ours(watched, True)
            watched.end()

    def _checkpoint(self) -> None:
        self._is_checkpointing = True
        work = self._readers.begin(file.checkpoint)
        work.add_done_callback(self._checkpointed)

    def _checkpointed(self, work: asyncio.Future[int]) -> None:
        # Counted from its end, so that the writer's own, which starts the WAL from the front again, finds a gap.
        self._pages, self._is_checkpointing = 0, False
        work.exception()  # the writer's own checkpoint will meet the same error and report it

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_later(self._patience_s, self._give_up) if self._under_way else None

    def _give_up(self) -> None:
        self._fail_all(self._no_commit, StoreFailing)

    @property
    def _no_commit(self) -> str:
        return f"{self._path}: no commit for {self._patience_s} s; does the disk hang?"

    def _fail_all(self, sentence: str, kind: type[StoreError] = StoreError) -> None:
        for job in self._under_way:
            if not job.done.done():
                job.done.set_exception(kind(sentence))
        self._under_way.clear()
        self._set_alarm()
        self._room.set()

    # -- reading -------------------------------------------------------------------------------------------------

    async def read(self, stream_id: str, after: Offset, *, max_bytes: int) -> Page:
        page = self.read_now(stream_id, after, max_bytes=max_bytes)
        # If memory does not have it, only the file can answer: another process may be further.
        return page if page is not None else await self._fetch(file.page, stream_id, after, max_bytes, self._now())

    def read_now(self, stream_id: str, after: Offset, *, max_bytes: int) -> Page | None:
        watched = self._watched.get(stream_id)
        return watched.read(after, max_bytes, self._now) if watched is not None else None

    async def head(self, stream_id: str) -> Head:
        return await self._fetch(file.head, stream_id, self._now())

    async def orphans(self, *, owner: str, limit: int) -> list[str]:
        silent = self._pulses[owner].silent if owner in self._pulses else ()
        return await self._fetch(file.orphans, owner, silent, self._now(), limit)

    async def owned(self, owner: str) -> list[str]:
        return await self._fetch(file.owned, owner, self._now())

    async def asked(self, owner: str) -> list[str]:
        return await self._fetch(file.asked, owner, self._now())

    async def size_bytes(self) -> int:
        return await self._fetch(file.size_bytes, self._path)

    async def _fetch(
        self, read: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        self._check()
        return await self._readers.ask(read, *args, **kwargs)

    # -- watching ------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def watch(self, stream_id: str) -> AsyncIterator[News]:
        self._check()
        event = News()
        watched = self._watched.get(stream_id)
        if watched is None:
            watched = self._watched[stream_id] = WatchedRows()
            self._foreign += 1
            self._look()
        watched.events.add(event)
        try:
            if log_rules.is_over(watched.lifetime, self._now()):
                found = await self._fetch(file.lifetime, stream_id, self._now())
                watched.created_s, watched.lifetime = found
            yield event
        finally:
            event.close()
            watched.events.discard(event)
            if not watched.events and self._watched.get(stream_id) is watched:
                del self._watched[stream_id]
                self._drop_tail(watched)
                self._set_ours(watched, True)
                self._look()

    @asynccontextmanager
    async def listen(self, owner: str) -> AsyncIterator[asyncio.Event]:
        self._check()
        event = asyncio.Event()
        self._listeners.setdefault(owner, set()).add(event)
        self._look()
        try:
            yield event
        finally:
            self._listeners[owner].discard(event)
            if not self._listeners[owner]:
                del self._listeners[owner]
            self._look()

    def _drop_tail(self, watched: WatchedRows) -> None:
        if watched.tail is not None:
            watched.tail = None
            self._tails -= 1

    def _set_ours(self, watched: WatchedRows, is_ours: bool) -> None:
        if watched.is_ours != is_ours:
            watched.is_ours = is_ours
            self._foreign += -1 if is_ours else 1
            self._look()

    def _look(self) -> None:
        is_hearing = self._watched or self._listeners
        self._writer.look_every(LOOK_S if self._foreign else LOOK_SELDOM_S if is_hearing else None)

    def _hear(self) -> None:
        """Another process, or another connection of this process, has committed."""
        self._elsewhere.set()

    async def _relay(self) -> None:
        """Wake the readers of streams that others wrote; not more often than the idle writer looks."""
        while True:
            await self._elsewhere.wait()
            self._elsewhere.clear()
            known = [
                file.Seen(stream_id, one.created_s, one.seen, one.is_closed) for stream_id, one in self._watched.items()
            ]
            try:
                news = await self._fetch(file.news, known) if known else []
                if known and self._hear_notice is not None:
                    self._tell_notices(await self._fetch(notices.after, self._noticed), self._hear_notice)
                owners = await self._fetch(file.asked_owners) if self._listeners else set()
            except StoreError:
                self._elsewhere.set()  # ask again
                news, owners = [], set()
            for owner in owners & self._listeners.keys():
                for event in self._listeners[owner]:
                    event.set()
            for seen in news:
                if (watched := self._watched.get(seen.stream_id)) is not None:
                    self._heard(watched, seen)
            await asyncio.sleep(LOOK_S)

    def _tell_notices(self, found: list[notices.Notice], hear: Callable[[str, bytes], None]) -> None:
        for one in found:
            self._noticed = one.number
            if one.sender != self._sender and one.stream_id in self._watched:
                hear(one.stream_id, one.notice)

    def _heard(self, watched: WatchedRows, seen: file.Seen) -> None:
        if not file.is_same(watched.created_s, seen.created_s):
            self._drop_tail(watched)
            watched.end()
            watched.created_s = seen.created_s
        self._set_ours(watched, seen.is_closed)
        watched.tell(seen.records, is_closed=seen.is_closed)
