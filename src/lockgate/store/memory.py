"""A log in memory: for tests, and for ``store.kind = "memory"``. It ends with the process."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from lockgate.errors import StoreFailing, StreamExists
from lockgate.protocol.offsets import START, Offset
from lockgate.store import log_rules
from lockgate.store.base import Expired, Head, Lifetime, Page, Producer, Pushed, Receipt
from lockgate.store.log_clock import LogClock
from lockgate.store.log_rules import FIRST_EPOCH, PushHistory, PushRequest, StreamState, gone, unknown
from lockgate.store.pulses import Pulses
from lockgate.store.tail import Tail
from lockgate.waiting.news import News

# Bytes of an append besides its payload: objects, pointers, the offset that is kept for repeats.
_APPEND_BYTES: Final = 256
# Most bytes that a producer takes.
_PRODUCER_BYTES: Final = 256 + log_rules.MAX_NAME_BYTES


def _size(payloads: Sequence[bytes]) -> int:
    return sum(map(len, payloads)) + _APPEND_BYTES * (1 + len(payloads))


def _whole_log() -> Tail:
    log = Tail(START, max_bytes=None)
    log.epoch = FIRST_EPOCH
    return log


@dataclass(slots=True)
class _Stream:
    meta: bytes
    created_s: float
    state: StreamState
    log: Tail = field(default_factory=_whole_log)
    closed_s: float = 0.0
    #: When it ends, in seconds since 1970, for an absolute lifetime.
    expires_s: float | None = None
    is_asked: bool = False
    #: Offset after each append of the present epoch, for repeats.
    offsets: list[Offset] = field(default_factory=list)
    #: State of the producers: see ``PushHistory``.
    producers: dict[str, Producer] = field(default_factory=dict)
    stream_seq: bytes | None = None
    closed_by: Producer | None = None
    used_bytes: int = 0

    def head(self) -> Head:
        state = self.state
        lifetime = state.lifetime if self.expires_s is None else Lifetime(None, self.expires_s)
        return Head(self.meta, state.tail, state.epoch, state.owner, state.is_closed, self.created_s, lifetime)

    def judge(self, stream_id: str, push: PushRequest) -> Pushed | None:
        known = self.producers.get(push.producer.id) if push.producer is not None else None
        pushes = PushHistory(known, len(self.producers), self.stream_seq, self.closed_by)
        return log_rules.judge(stream_id, self.state, pushes, push)

    def remember(self, push: PushRequest) -> None:
        if push.producer is not None:
            self.producers[push.producer.id] = push.producer
        if push.stream_seq is not None:
            self.stream_seq = log_rules.sequence_bytes(push.stream_seq)
        if push.close:
            self.closed_by = push.producer

    def due_s(self, closed_for_s: float) -> float:
        """When it should go, by the clock of the log."""
        closed_s = self.closed_s + closed_for_s if self.state.is_closed else math.inf
        expires_s = self.state.lifetime.expires_s
        return closed_s if expires_s is None else min(closed_s, expires_s)


class MemoryLog:
    """``StreamLog`` without a disk.

    Args:
        max_bytes: Most bytes to keep. An append that would exceed it is refused. Nothing is ever dropped.
        wall: Seconds since 1970.
        monotonic: Seconds that nobody sets.
    """

    def __init__(
        self,
        *,
        max_bytes: int = 256 * 1024 * 1024,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._streams: dict[str, _Stream] = {}
        #: By id and apart, so that readers of an expired stream hear of the next one of its id.
        self._events: dict[str, set[News]] = {}
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._beats: dict[str, int] = {}
        self._pulses: dict[str, Pulses] = {}
        self._max_bytes = max_bytes
        self._used_bytes = 0
        self._wall = wall
        self._now = LogClock(wall(), monotonic)

    async def open(self) -> None:
        """Nothing to make ready."""

    async def shut(self) -> None:
        for stream_id in self._events:
            self._wake(stream_id)

    def _wake(self, stream_id: str) -> None:
        for event in self._events.get(stream_id, ()):
            event.set()

    def _stream(self, stream_id: str) -> _Stream:
        stream = self._streams.get(stream_id)
        if stream is None or self._is_over(stream):
            raise unknown(stream_id)
        return stream

    def _is_over(self, stream: _Stream) -> bool:
        lifetime = stream.state.lifetime
        return lifetime.expires_s is not None and log_rules.is_over(lifetime, self._now())

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
        now_s, wall_s = self._now(), self._wall()
        state = StreamState(owner, lifetime=log_rules.begun(lifetime, now_s, wall_s))
        if (there := self._streams.get(stream_id)) is not None:
            if not self._is_over(there):
                raise StreamExists(f"stream {stream_id} exists already")
            self._delete(stream_id)
        state.begin(len(payloads), close=close)
        stream = _Stream(meta, wall_s, state, closed_s=now_s)
        if lifetime is not None and lifetime.ttl_s is None:
            stream.expires_s = lifetime.expires_s
        self._charge(stream, len(meta) + _size(payloads))
        stream.log.extend(payloads, epoch=state.epoch, close=close)
        self._streams[stream_id] = stream
        return state.epoch

    async def append(
        self, stream_id: str, payloads: Sequence[bytes], *, epoch: int, seq: int, close: bool = False
    ) -> Offset:
        return self._append(stream_id, payloads, epoch=epoch, seq=seq, close=close)

    def begin_append(
        self, stream_id: str, payloads: Sequence[bytes], *, epoch: int, seq: int, receipt: Receipt
    ) -> Offset | None:
        return self._append(stream_id, payloads, epoch=epoch, seq=seq, close=False)

    def _append(self, stream_id: str, payloads: Sequence[bytes], *, epoch: int, seq: int, close: bool) -> Offset:
        stream = self._stream(stream_id)
        state = stream.state
        if not state.admits(stream_id, epoch=epoch, seq=seq):
            return stream.offsets[seq]
        self._charge(stream, _size(payloads))
        self._extend(stream_id, stream, payloads, close=close)
        stream.offsets.append(state.tail)
        return state.tail

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
        push = PushRequest(bool(payloads), producer, stream_seq, close, expect)
        log_rules.check(push)
        stream = self._stream(stream_id)
        if (duplicate := stream.judge(stream_id, push)) is not None:
            return duplicate
        is_new_producer = producer is not None and producer.id not in stream.producers
        self._charge(stream, _size(payloads) + is_new_producer * _PRODUCER_BYTES)
        self._extend(stream_id, stream, payloads, close=close)
        stream.remember(push)
        return Pushed(True, stream.state.tail, close, producer)

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
        return self._stream(stream_id).judge(stream_id, push)

    async def touch(self, stream_id: str) -> None:
        state = self._stream(stream_id).state
        state.lifetime = log_rules.renewed(state.lifetime, self._now(), unless=log_rules.RENEW_SHARE)

    def _extend(self, stream_id: str, stream: _Stream, payloads: Sequence[bytes], *, close: bool) -> None:
        state = stream.state
        stream.log.extend(payloads, epoch=state.epoch, close=close)
        state.advance(len(payloads), close=close)
        if close:
            stream.closed_s = self._now()
        if state.lifetime.ttl_s is not None:
            state.lifetime = log_rules.renewed(state.lifetime, self._now())
        self._wake(stream_id)

    def _charge(self, stream: _Stream, size: int) -> None:
        if self._used_bytes + size > self._max_bytes:
            raise StoreFailing(f"the memory log is full: {size} bytes more would pass {self._max_bytes}; use sqlite")
        self._used_bytes += size
        stream.used_bytes += size

    async def read(self, stream_id: str, after: Offset, *, max_bytes: int) -> Page:
        page = self.read_now(stream_id, after, max_bytes=max_bytes)
        if page is None:
            raise gone(stream_id, after, self._stream(stream_id).state.tail)
        return page

    def read_now(self, stream_id: str, after: Offset, *, max_bytes: int) -> Page | None:
        stream = self._streams.get(stream_id)
        if stream is None or self._is_over(stream):
            return None
        return stream.log.read(after, max_bytes, is_shared=len(self._events.get(stream_id, ())) > 1)

    @asynccontextmanager
    async def watch(self, stream_id: str) -> AsyncIterator[News]:
        self._stream(stream_id)
        event = News()
        events = self._events.setdefault(stream_id, set())
        events.add(event)
        try:
            yield event
        finally:
            event.close()
            events.discard(event)
            if not events:
                del self._events[stream_id]

    async def head(self, stream_id: str) -> Head:
        return self._stream(stream_id).head()

    async def take_over(self, stream_id: str, *, owner: str) -> int:
        stream = self._stream(stream_id)
        epoch = stream.state.fence(stream_id)
        stream.state.owner = owner
        stream.log.epoch = epoch
        stream.offsets.clear()
        stream.is_asked = False
        return epoch

    def beat(self, owner: str) -> None:
        self._beats[owner] = self._beats.get(owner, 0) + 1
        pulses = self._pulses.setdefault(owner, Pulses(owner))
        for other, count in pulses.forgotten.items():
            if self._beats.get(other) == count:
                del self._beats[other]
        pulses.hear(self._beats.copy())

    async def orphans(self, *, owner: str, limit: int) -> list[str]:
        silent = self._pulses[owner].silent if owner in self._pulses else frozenset()
        found = (
            stream_id
            for stream_id, stream in self._open_streams()
            if stream.state.owner not in ("", owner)
            and (stream.state.owner in silent or stream.state.owner not in self._beats)
        )
        return list(islice(found, limit))

    def _open_streams(self) -> Iterator[tuple[str, _Stream]]:
        for stream_id, stream in self._streams.items():
            if not stream.state.is_closed and not self._is_over(stream):
                yield stream_id, stream

    async def owned(self, owner: str) -> list[str]:
        return [stream_id for stream_id, stream in self._open_streams() if stream.state.owner == owner]

    async def ask_end(self, stream_id: str) -> None:
        stream = self._stream(stream_id)
        stream.is_asked = not stream.state.is_closed
        for event in self._listeners.get(stream.state.owner, ()):
            event.set()

    @asynccontextmanager
    async def listen(self, owner: str) -> AsyncIterator[asyncio.Event]:
        event = asyncio.Event()
        self._listeners.setdefault(owner, set()).add(event)
        try:
            yield event
        finally:
            self._listeners[owner].discard(event)

    async def asked(self, owner: str) -> list[str]:
        return [
            stream_id for stream_id, stream in self._open_streams() if stream.is_asked and stream.state.owner == owner
        ]

    async def notify(self, stream_id: str, notice: bytes) -> None:
        """There is no other process."""

    def hear_notices(self, hear: Callable[[str, bytes], None]) -> None:
        """There is nobody to hear."""

    async def expire(self, *, older_than_s: float, limit: int) -> Expired:
        now_s = self._now()
        due = sorted((stream.due_s(older_than_s), stream_id) for stream_id, stream in self._streams.items())
        expired = [stream_id for due_s, stream_id in due if due_s <= now_s]
        for stream_id in expired[:limit]:
            self._delete(stream_id)
        return Expired(len(expired[:limit]), len(expired) <= limit)

    async def delete(self, stream_id: str) -> None:
        self._stream(stream_id)
        self._delete(stream_id)

    async def size_bytes(self) -> int:
        return self._used_bytes

    def _delete(self, stream_id: str) -> None:
        stream = self._streams.pop(stream_id)
        self._used_bytes -= stream.used_bytes
        self._wake(stream_id)
