"""The one thread that writes. It takes all jobs that wait, commits them in one transaction, and reports once.

While a transaction runs, jobs gather in the queue; the next transaction takes them all. So an idle log, or one that a
single stream writes, commits an append at once. While several streams write, a transaction waits until a few
milliseconds after the one before it, and shares the cost of a commit, and of waking the event loop, among more of them.

A job that is refused (fenced out, closed, a gap) is refused before it writes anything, so the other jobs of its
transaction do not notice. An error of SQLite (disk full, locked too long) fails the whole transaction, and nothing of
it is kept, in the file or here; the next transaction starts from the file.

The thread remembers states of streams between transactions. Other processes may write the same file. So each
transaction takes the file's write lock, looks at ``PRAGMA data_version``, and forgets all states if it has changed.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from lockgate.errors import LockgateError, Misuse, StoreError
from lockgate.protocol.offsets import Offset
from lockgate.store import log_rules
from lockgate.store.base import Lifetime, Pushed, Receipt
from lockgate.store.log_clock import LogClock
from lockgate.store.log_rules import FIRST_EPOCH, PushRequest, StreamState
from lockgate.store.rows import pack_sizes
from lockgate.store.sqlite import file, push_history, tables

# Most states to remember; a forgotten one is read again. More than the gateway writes at once.
_MAX_STATES: Final = 4096


@dataclass(slots=True, eq=False)
class Append:
    """One append on its way.

    Attributes:
        size: Its size in the queue, in bytes.
        closed_s: When it closes the stream, in seconds since 1970; None if it does not.
        before: Position before its records; set when it is committed, None if it was a repeat.
        lifetime: The new lifetime of the stream, if it has changed.
    """

    stream_id: str
    payloads: Sequence[bytes]
    body: bytes
    size: int
    epoch: int
    seq: int
    closed_s: float | None
    done: Receipt
    before: Offset | None = None
    lifetime: Lifetime | None = None


@dataclass(slots=True, eq=False)
class PushJob:
    """One push on its way; its attributes are those of ``Append``."""

    epoch: ClassVar[int] = FIRST_EPOCH

    stream_id: str
    payloads: Sequence[bytes]
    body: bytes
    size: int
    push: PushRequest
    closed_s: float | None
    done: asyncio.Future[Pushed]
    before: Offset | None = None
    lifetime: Lifetime | None = None


@dataclass(slots=True, eq=False)
class WriteCall:
    """Any other write: a function that runs inside a transaction, and checks before it writes.

    Attributes:
        stream_id: Stream whose state it changes; None if none.
        ends: Whether it ends a stream of this id, whose readers must learn it.
    """

    run: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]
    size: int
    stream_id: str | None
    ends: bool = False


@dataclass(slots=True, eq=False)
class BeatJob:
    """A beat. It needs no event loop: the writer itself hands over what it brought."""

    owner: str
    forgotten: Mapping[str, int]
    done: concurrent.futures.Future[file.Beat]


Job = Append | PushJob | WriteCall
#: Errors that may be of one stream alone, whose pages are damaged, or of a text that no longer fits on the disk.
_OF_ONE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL})
Outcome = tuple[Job | BeatJob, Any]  # a value for the future, or an exception


class WriterThread(threading.Thread):
    """The thread. It owns the connection that writes; others give it jobs by ``put``.

    Args:
        report: Called in this thread with the outcomes of one transaction, but for beats.
        hear: Called in this thread after another connection has committed.
        wall: Seconds since 1970: what the clock of a new log begins with.
        monotonic: Seconds that nobody sets.
        end: Called last in this thread, when it commits nothing more; with the exception, if there is one.
    """

    def __init__(
        self,
        path: Path,
        synchronous: tables.Synchronous,
        *,
        busy_s: float,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
        report: Callable[[list[tuple[Job, Any]]], None],
        hear: Callable[[], None],
        end: Callable[[BaseException | None], None],
    ) -> None:
        super().__init__(name=f"lockgate-log {path.name}", daemon=True)
        self._path = path
        self._synchronous = synchronous
        self._busy_s = busy_s
        self._wall = wall
        self._monotonic = monotonic
        self._files = tables.FileWatch(path)
        self._report = report
        self._hear = hear
        self._end = end
        self._queue: queue.SimpleQueue[Sequence[Job | BeatJob]] = queue.SimpleQueue()
        self._states: dict[str, tuple[int, StreamState]] = {}
        self._rows: list[file.StoredRow] = []
        self._touched: dict[int, StreamState] = {}
        self._closed: list[tuple[float, int]] = []
        self._renewed: dict[int, Lifetime] = {}
        self._version = 0
        self._database: sqlite3.Connection
        self._look_s: float | None = None
        self._is_stopping = False
        #: The clock of the log; known once it is open.
        self.clock = LogClock(0.0)

    # -- what others call ----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the file. Blocks; call it before ``start``, in any thread."""
        self._database = tables.prepare(self._path, self._synchronous, self._busy_s, self._wall())
        try:
            self._version = tables.patiently(lambda: file.data_version(self._database), self._busy_s)
            now_s = tables.patiently(lambda: file.clock(self._database), self._busy_s)
            self._files.check()
        except (sqlite3.Error, StoreError) as error:
            self._database.close()
            raise tables.explain(self._path, error) from None
        self.clock = LogClock(now_s, self._monotonic)

    def close(self) -> None:
        """Close the file of a thread that was not started."""
        self._database.close()

    def put(self, jobs: Sequence[Job | BeatJob]) -> None:
        """Commit these, in their order, if possible in one transaction."""
        self._queue.put(jobs)

    def look_every(self, look_s: float | None) -> None:
        """While there is nothing to write, look this often for commits of other processes; None: only when writing."""
        was_s, self._look_s = self._look_s, look_s
        if look_s is not None and (was_s is None or look_s < was_s):
            self._queue.put(())

    def stop(self) -> None:
        """End after committing all jobs that were put before."""
        self._is_stopping = True
        self._queue.put(())

    # -- the thread ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until stopped."""
        failure: BaseException | None = None
        try:
            self._work()
        except BaseException as error:
            # Broad, because those who wait for this thread must learn that it has ended, whatever the reason.
            failure = error
        try:
            self._database.close()
        finally:
            self._end(failure)

    def _work(self) -> None:
        while True:
            is_last = self._is_stopping  # read before the queue, which then has all jobs put before ``stop``
            jobs = [] if is_last else self._wait()
            jobs += self._waiting()
            if jobs:
                self._hand_over(self._commit(jobs))
            elif is_last:
                return
            else:
                self._look_idly()

    def _wait(self) -> list[Job | BeatJob]:
        try:
            return list(self._queue.get(timeout=self._look_s))
        except queue.Empty:
            return []

    def _waiting(self) -> list[Job | BeatJob]:
        """All jobs that wait; the owner bounds what it puts."""
        jobs: list[Job | BeatJob] = []
        try:
            while True:
                jobs += self._queue.get_nowait()
        except queue.Empty:
            return jobs

    def _look_idly(self) -> None:
        try:
            self._look()
        except sqlite3.Error:
            pass  # locked for a moment, or an error that the next commit will report

    def _look(self) -> None:
        version = file.data_version(self._database)
        if version != self._version:
            self._version = version
            self._states.clear()
            self._hear()

    def _hand_over(self, outcomes: list[Outcome]) -> None:
        for job, outcome in outcomes:
            if isinstance(job, BeatJob):
                if isinstance(outcome, Exception):
                    job.done.set_exception(outcome)
                else:
                    self.clock.hear(outcome.now_s)
                    job.done.set_result(outcome)
        others = [(job, outcome) for job, outcome in outcomes if not isinstance(job, BeatJob)]
        if others:
            self._report(others)

    def _commit(self, jobs: list[Job | BeatJob]) -> list[Outcome]:
        try:
            self._files.check()
            tables.patiently(lambda: self._database.execute("BEGIN IMMEDIATE"), self._busy_s)
            self._look()
            outcomes = [(job, self._outcome(job)) for job in jobs]
            self._flush()
            self._database.execute("COMMIT")
        except Exception as error:
            # Broad, because a transaction that fails for any reason must fail alone: the next one may go through.
            self._undo()
            if len(jobs) > 1 and getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_ONE:
                return [outcome for job in jobs for outcome in self._commit([job])]
            explained = tables.explain(self._path, error)
            return [(job, explained) for job in jobs]
        return self._kept(outcomes)

    def _kept(self, outcomes: list[Outcome]) -> list[Outcome]:
        """What was committed, if the file is still there: nothing is acknowledged that went to a deleted one."""
        try:
            self._files.check()
        except StoreError as error:
            self._states.clear()
            self._hear()  # if the file comes back, its readers must learn what is in it
            return [(job, error) for job, _ in outcomes]
        return outcomes

    def _outcome(self, job: Job | BeatJob) -> Any:
        try:
            if isinstance(job, Append):
                return self._append(job)
            if isinstance(job, PushJob):
                return self._push(job)
            return self._beat(job) if isinstance(job, BeatJob) else self._call(job)
        except sqlite3.Error:
            raise
        except Exception as error:
            # Broad, because an error in the arguments of one job concerns only its caller, and nothing is written yet.
            return (
                error if isinstance(error, LockgateError | Misuse) else StoreError(f"{self._path}: refused: {error!r}")
            )

    def _append(self, job: Append) -> Offset:
        key, state = self._state(job.stream_id)
        if state.lifetime is not log_rules.FOREVER:
            self._check_life(job.stream_id, state)
        if not state.admits(job.stream_id, epoch=job.epoch, seq=job.seq):
            self._flush()  # the first one may be in this very transaction
            return file.offset_of(self._database, key, job.epoch, job.seq) or state.tail
        self._add(job, key, state, job.seq)
        return state.tail

    def _push(self, job: PushJob) -> Pushed:
        key, state = self._state(job.stream_id)
        if state.lifetime is not log_rules.FOREVER:
            self._check_life(job.stream_id, state)
        remembered = push_history.load(self._database, key, job.push.producer)
        duplicate = log_rules.judge(job.stream_id, state, remembered, job.push)
        if duplicate is not None:
            return duplicate
        push_history.remember(self._database, key, job.push)
        self._add(job, key, state, state.next_seq)
        return Pushed(True, state.tail, state.is_closed, job.push.producer)

    def _add(self, job: Append | PushJob, key: int, state: StreamState, seq: int) -> None:
        """What was admitted becomes part of the stream at the next ``_flush``."""
        job.before = state.tail
        state.advance(len(job.payloads), close=job.closed_s is not None)
        if job.closed_s is not None:
            self._closed.append((job.closed_s, key))
        if job.payloads:
            sizes = pack_sizes(job.payloads)
            self._rows.append(file.StoredRow(key, state.tail.records, job.epoch, seq, sizes, job.body))
        self._touched[key] = state
        if state.lifetime is not log_rules.FOREVER and state.lifetime.ttl_s is not None:
            self._renewed[key] = state.lifetime = job.lifetime = log_rules.renewed(state.lifetime, self.clock())

    def _beat(self, job: BeatJob) -> file.Beat:
        return file.beat(self._database, job.owner, job.forgotten, self.clock())

    def _call(self, job: WriteCall) -> Any:
        self._flush()
        if job.stream_id is not None:
            self._states.pop(job.stream_id, None)  # what it changes is read again
        return job.run(self._database)

    def _check_life(self, stream_id: str, state: StreamState) -> None:
        if log_rules.is_over(state.lifetime, self.clock()):
            raise log_rules.unknown(stream_id)

    def _state(self, stream_id: str) -> tuple[int, StreamState]:
        known = self._states.get(stream_id)
        if known is None:
            if len(self._states) >= _MAX_STATES:
                self._flush()
                self._states.clear()
            known = self._states[stream_id] = file.load(self._database, stream_id)
        return known

    def _flush(self) -> None:
        if self._rows:
            file.insert_appends(self._database, self._rows)
            self._rows.clear()
        if self._touched:
            file.update_heads(self._database, self._touched)
            self._touched.clear()
        if self._closed:
            file.close_heads(self._database, self._closed)
            self._closed.clear()
        if self._renewed:
            file.renew_lifetimes(self._database, self._renewed)
            self._renewed.clear()

    def _undo(self) -> None:
        self._rows.clear()
        self._touched.clear()
        self._closed.clear()
        self._renewed.clear()
        self._states.clear()
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")
