"""The log in Redis: for gateways on several machines.

Who does the work:

- A step (an append, a push, a deletion ...) is judged here, by the rules that all logs share, against what Redis said
  of the stream last. One script then writes all that follows from it, if the stream has not changed since; if it has,
  the step is judged again. So the rules are written once, and no two nodes can write against the same state.
- ``committer.Committer`` sends the steps of all streams in one round trip, and what gathers meanwhile in the next.
- Every commit is published. ``audience.Audience`` hears of the streams that somebody here watches, over one
  connection. When that is lost, all that memory holds is forgotten, and when it is back all readers look again.
- A reader that keeps up is served from memory, as with SQLite, while the stream is surely heard.

All ages are counted by the clock of the log (``log_clock``), which Redis only keeps: its own clock may be set.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final

from lockgate.errors import StoreError, StoreFailing
from lockgate.protocol.offsets import Offset
from lockgate.store import log_rules
from lockgate.store.base import Expired, Head, Lifetime, Page, Producer, Pushed, Receipt
from lockgate.store.log_clock import LogClock
from lockgate.store.log_rules import PushRequest
from lockgate.store.pulses import Pulses
from lockgate.store.redis import listing, scripts
from lockgate.store.redis.audience import Audience
from lockgate.store.redis.committer import Committer, StreamStep, load
from lockgate.store.redis.draft import StreamDraft
from lockgate.store.redis.layout import VERSION, KeyLayout
from lockgate.store.redis.redis_server import RedisServer, check
from lockgate.store.redis.stored_stream import unpack
from lockgate.store.rows import PackedAppend, entries_after, is_at_tail
from lockgate.store.tail import MAX_PAGE_ENTRIES, cut
from lockgate.waiting.news import News

#: Most bytes that may wait to be committed, in all streams. Further steps wait; a larger one is refused.
MAX_QUEUED_BYTES: Final = 64 * 1024 * 1024
# Bytes that a step counts besides its payloads, so that empty ones are bounded, too.
_STEP_BYTES: Final = 256
# Between two tries of a live reader to read.
_AGAIN_S: Final = 0.1


class RedisLog:
    """``StreamLog`` in Redis 7 or newer, or Valkey.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py reads it.
        prefix: What all names of keys and channels begin with; gateways that share it share their streams.
        answer_s: How long to wait for an answer of Redis. What was asked may still happen; appending again with the
            same ``seq`` is safe.
        commit_s: While several streams are written, a round trip begins no sooner than this after the one before it.
        patience_s: How long a live reader waits for Redis to come back, an append for room in the queue, and ``shut``
            for the queue to empty.
        wall: Seconds since 1970: what the clock of a new log begins with.
        monotonic: Seconds that nobody sets.

    Raises:
        StoreError: ``url`` is none.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "lockgate",
        answer_s: float = 5.0,
        commit_s: float = 0.004,
        patience_s: float = 30.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = RedisServer(url, answer_s=answer_s)
        self._layout = KeyLayout(prefix)
        self._patience_s = patience_s
        self._wall = wall
        self._monotonic = monotonic
        self._now = LogClock(0.0)
        self._sender = secrets.token_hex(8)
        self._births = count(1)
        self._pulses: dict[str, Pulses] = {}
        self._at_door = 0
        self._is_open = False
        #: Why the log cannot be used; None while it can.
        self._trouble: str | None = "is not open"
        self._audience = Audience(self._server, self._sender)
        self._committer = Committer(
            self._server,
            self._layout,
            self._sender,
            every_s=commit_s,
            now=lambda: self._now(),
            publish=self._audience.publish,
        )

    @property
    def commits(self) -> int:
        """Round trips with steps so far."""
        return self._committer.commits

    # -- life ----------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._door = asyncio.Lock()
        try:
            await check(self._server)
            version, clock = self._layout.version, self._layout.clock
            questions = (("SET", version, VERSION, "NX"), ("GET", version), ("SET", clock, self._wall(), "NX"))
            answers = await self._server.ask([*questions, ("GET", clock)])
            for one in answers:
                if isinstance(one, StoreError):
                    raise one
            _, found, _, now_s = answers
            if found.decode() != VERSION:
                raise StoreError(
                    f"{self._server.name}: {version} is {found.decode()!r}, this lockgate knows {VERSION}; "
                    "use the one that made it"
                )
        except BaseException:
            await self._server.shut()
            raise
        self._now = LogClock(float(now_s), self._monotonic)
        self._committing = self._loop.create_task(self._committer.run(), name="redis committer")
        self._listening = self._loop.create_task(self._audience.subscriber.run(), name="redis subscriber")
        for task in (self._committing, self._listening):
            task.add_done_callback(self._ended)
        self._is_open, self._trouble = True, None

    async def shut(self) -> None:
        if not self._is_open:
            return
        self._is_open, self._trouble = False, "is shut"
        try:
            async with asyncio.timeout(self._patience_s):
                while self._committer.queued_bytes:
                    self._committer.room.clear()
                    await self._committer.room.wait()
        except TimeoutError:
            pass  # those who wait are told below
        for task in (self._committing, self._listening):
            task.cancel()
        await asyncio.wait([self._committing, self._listening])
        self._committer.fail_all(StoreFailing(f"{self._server.name}: did not answer in {self._patience_s} s"))
        self._audience.wake_all()
        await self._server.shut()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """One of our tasks has ended; unless it was cancelled, that is a bug, and everybody must learn it."""
        if task.cancelled() or (failure := task.exception()) is None:
            return
        self._trouble = f"stopped: {failure!r}; restart to go on, what was answered is safe"
        self._committer.fail_all(StoreError(f"{self._server.name}: the log {self._trouble}"))
        self._audience.wake_all()

    def _check(self) -> None:
        if self._trouble is not None:
            raise StoreError(f"{self._server.name}: the log {self._trouble}")

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
        wall_s, payloads = self._wall(), tuple(payloads)
        log_rules.begun(lifetime, self._now(), wall_s)  # refuses one that is wrong
        birth = f"{next(self._births):012d}-{self._sender}"

        def apply(draft: StreamDraft) -> int:
            return draft.create(meta, owner, lifetime, payloads, close, wall_s, birth)

        epoch: int = await self._do(stream_id, apply, payloads, len(meta))
        return epoch

    async def append(
        self, stream_id: str, payloads: Sequence[bytes], *, epoch: int, seq: int, close: bool = False
    ) -> Offset:
        payloads = tuple(payloads)  # the caller may change its list after it was cancelled
        end: Offset = await self._do(stream_id, lambda draft: draft.append(payloads, epoch, seq, close), payloads)
        return end

    def begin_append(
        self, stream_id: str, payloads: Sequence[bytes], *, epoch: int, seq: int, receipt: Receipt
    ) -> Offset | None:
        self._check()
        if self._is_full:
            raise StoreFailing(f"{self._server.name}: no room in the queue now")
        payloads = tuple(payloads)
        size = self._size(stream_id, payloads)
        step = StreamStep(
            self._layout.of(stream_id), lambda draft: draft.append(payloads, epoch, seq, False), receipt, size
        )
        self._committer.put(step)
        return None

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
        name = None if producer is None else producer.id
        pushed: Pushed = await self._do(
            stream_id, lambda draft: draft.push(payloads, push), payloads, log_rules.MAX_NAME_BYTES, name
        )
        return pushed

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
        draft = await self._draft(stream_id, producer)
        stored = draft.living()
        known = None if producer is None else draft.producers[producer.id]
        return log_rules.judge(stream_id, stored.state, stored.history(known), push)

    async def touch(self, stream_id: str) -> None:
        now_s = self._now()
        watched = self._audience.watched.get(stream_id)
        if watched is None or log_rules.is_over(watched.lifetime, now_s):
            lifetime = (await self._draft(stream_id)).living().state.lifetime
        else:
            lifetime = watched.lifetime
        if log_rules.renewed(lifetime, now_s, unless=log_rules.RENEW_SHARE) is not lifetime:
            await self._do(stream_id, StreamDraft.touch)
        elif watched is not None:
            watched.lifetime = lifetime

    async def take_over(self, stream_id: str, *, owner: str) -> int:
        epoch: int = await self._do(stream_id, lambda draft: draft.take_over(owner))
        return epoch

    async def ask_end(self, stream_id: str) -> None:
        await self._do(stream_id, lambda draft: draft.ask_end(self._layout.asked))

    async def notify(self, stream_id: str, notice: bytes) -> None:
        self._check()
        await self._server.ask_one(("PUBLISH", self._layout.notices, self._audience.notice(stream_id, notice)))

    def hear_notices(self, hear: Callable[[str, bytes], None]) -> None:
        self._audience.hear_notices(self._layout.notices, hear)

    async def delete(self, stream_id: str) -> None:
        await self._do(stream_id, StreamDraft.delete)

    async def expire(self, *, older_than_s: float, limit: int) -> Expired:
        self._check()
        due = await listing.due(self._server, self._layout, older_than_s, self._now(), limit + 1)
        steps = [self._do(stream_id, lambda draft: draft.expire(older_than_s)) for stream_id in due[:limit]]
        gone = await asyncio.gather(*steps)
        return Expired(sum(gone), len(due) <= limit)

    def beat(self, owner: str) -> None:
        self._check()
        pulses = self._pulses.setdefault(owner, Pulses(owner))
        forgotten = [word for pair in pulses.forgotten.items() for word in pair]
        keys = self._layout.beats, self._layout.clock
        now_s, counts = self._server.ask_now(scripts.BEAT, keys, owner, self._now(), *forgotten)
        names = [one.decode("utf-8", "surrogateescape") for one in counts[::2]]
        self._now.hear(float(now_s))
        pulses.hear(dict(zip(names, map(int, counts[1::2]), strict=True)))

    async def _do(
        self,
        stream_id: str,
        apply: Callable[[StreamDraft], Any],
        payloads: Sequence[bytes] = (),
        extra_bytes: int = 0,
        producer: str | None = None,
    ) -> Any:
        """Commit a step. Once it is in the queue, cancelling ends only the waiting."""
        self._check()
        keys, size = self._layout.of(stream_id), self._size(stream_id, payloads, extra_bytes)
        if self._is_full:
            await self._wait_for_room()
            self._check()
        done: asyncio.Future[Any] = self._loop.create_future()
        self._committer.put(StreamStep(keys, apply, done, size, producer))
        return await done

    @staticmethod
    def _size(stream_id: str, payloads: Sequence[bytes], extra_bytes: int = 0) -> int:
        size = sum(map(len, payloads)) + extra_bytes + _STEP_BYTES * (1 + len(payloads))
        if size > MAX_QUEUED_BYTES:
            raise StoreError(f"stream {stream_id}: a write of {size} bytes, but {MAX_QUEUED_BYTES} is the most")
        return size

    @property
    def _is_full(self) -> bool:
        return self._at_door > 0 or self._committer.queued_bytes >= MAX_QUEUED_BYTES

    async def _wait_for_room(self) -> None:
        self._at_door += 1
        try:
            async with asyncio.timeout(self._patience_s), self._door:
                while self._committer.queued_bytes >= MAX_QUEUED_BYTES and self._trouble is None:
                    self._committer.room.clear()
                    await self._committer.room.wait()
        except TimeoutError:
            sentence = f"{self._server.name}: no room in the queue for {self._patience_s} s; is Redis slow?"
            raise StoreFailing(sentence) from None
        finally:
            self._at_door -= 1

    # -- reading -------------------------------------------------------------------------------------------------

    async def read(self, stream_id: str, after: Offset, *, max_bytes: int) -> Page:
        self._check()
        page = self.read_now(stream_id, after, max_bytes=max_bytes)
        if page is not None:
            return page
        ends_s = self._loop.time() + self._patience_s
        while True:
            try:
                return await self._fetch(stream_id, after, max_bytes)
            except StoreFailing:
                # Who follows a stream waits for a Redis that starts anew; others hear at once that it is away.
                if stream_id not in self._audience.watched or self._loop.time() > ends_s or self._trouble is not None:
                    raise
            await asyncio.sleep(_AGAIN_S)

    def read_now(self, stream_id: str, after: Offset, *, max_bytes: int) -> Page | None:
        watched = self._audience.watched.get(stream_id)
        return watched.read(after, max_bytes, self._now) if watched is not None else None

    async def _fetch(self, stream_id: str, after: Offset, max_bytes: int) -> Page:
        keys = self._layout.of(stream_id)
        asked = scripts.READ.call((keys.state, keys.records), after.records, max_bytes, MAX_PAGE_ENTRIES)
        answer = await self._server.ask_one(asked)
        if not answer:
            raise log_rules.unknown(stream_id)
        packed, rows, is_all = answer
        state = unpack(packed).state
        if log_rules.is_over(state.lifetime, self._now()):
            raise log_rules.unknown(stream_id)
        if is_at_tail(stream_id, after, state):
            return Page([], state.tail, state.is_closed)
        entries = entries_after(map(_append_of, rows), stream_id, after, state, is_all=bool(is_all))
        return Page(cut(entries, max_bytes), state.tail, state.is_closed)

    async def head(self, stream_id: str) -> Head:
        self._check()
        packed, meta = await self._server.ask_one(("HMGET", self._layout.of(stream_id).state, "s", "m"))
        stored = None if packed is None else unpack(packed)
        if stored is None or log_rules.is_over(stored.state.lifetime, self._now()):
            raise log_rules.unknown(stream_id)
        return stored.head(meta)

    async def orphans(self, *, owner: str, limit: int) -> list[str]:
        self._check()
        silent = self._pulses[owner].silent if owner in self._pulses else frozenset()
        return await listing.orphans(self._server, self._layout, owner, silent, self._now(), limit)

    async def owned(self, owner: str) -> list[str]:
        self._check()
        return await listing.owned(self._server, self._layout, owner, self._now())

    async def asked(self, owner: str) -> list[str]:
        self._check()
        return await listing.asked(self._server, self._layout, owner, self._now())

    async def size_bytes(self) -> int:
        self._check()
        return sum(int(one or 0) for one in await listing.ask_all(self._server, self._layout, _size_question))

    async def _draft(self, stream_id: str, producer: Producer | None = None) -> StreamDraft:
        """A stream as it is now, to look at."""
        self._check()
        names = [] if producer is None else [producer.id]
        found = await load(self._server, self._layout, {stream_id: names})
        return StreamDraft(self._layout.of(stream_id), found[stream_id], self._now())

    # -- watching ------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def watch(self, stream_id: str) -> AsyncIterator[News]:
        self._check()
        async with self._audience.watching(self._layout.of(stream_id)) as (watched, news):
            if log_rules.is_over(watched.lifetime, self._now()):
                watched.know((await self._draft(stream_id)).living())
            yield news

    @asynccontextmanager
    async def listen(self, owner: str) -> AsyncIterator[asyncio.Event]:
        self._check()
        async with self._audience.listening(self._layout.asked(owner)) as event:
            yield event


def _size_question(part: Any) -> tuple[str, str]:
    return "GET", part.size


def _append_of(entry: tuple[bytes, list[bytes]]) -> PackedAppend:
    """An entry of a Redis Stream: its id, and the fields that ``draft`` wrote, in their order."""
    records, epoch = entry[0].split(b"-")
    _, _, _, sizes, _, body = entry[1]
    return int(records), int(epoch), sizes or None, body
