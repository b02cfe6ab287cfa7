"""A log in memory: for tests, and for ``store.kind = "memory"``. Gone with the process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from lockgate.errors import StoreError, StreamExists
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import Head, Page
from lockgate.store.rules import State, gone, unknown
from lockgate.store.tail import Tail

# What an append costs beside its payload: objects, pointers, the offset kept for repeats.
_APPEND_BYTES: Final = 256


def _whole_log() -> Tail:
    log = Tail(START, max_bytes=None)
    log.epoch = State().epoch
    return log


@dataclass(slots=True)
class _Stream:
    meta: bytes
    owner: str
    created_s: float
    state: State = field(default_factory=State)
    log: Tail = field(default_factory=_whole_log)
    closed_s: float = 0.0
    #: Offset after each append of the present epoch, for repeats.
    offsets: list[Offset] = field(default_factory=list)
    used_bytes: int = 0
    events: set[asyncio.Event] = field(default_factory=set)

    def head(self) -> Head:
        state = self.state
        return Head(self.meta, state.tail, state.epoch, self.owner, state.is_closed, self.created_s)

    def wake(self) -> None:
        for event in self.events:
            event.set()


class MemoryLog:
    """``StreamLog`` without a disk.

    Args:
        max_bytes: Bound of everything kept; an append that would pass it is refused. Nothing is ever dropped.
        now: Seconds since 1970.
    """

    def __init__(self, *, max_bytes: int = 256 * 1024 * 1024, now: Callable[[], float] = time.time) -> None:
        self._streams: dict[str, _Stream] = {}
        self._expires_s: dict[str, float] = {}
        self._max_bytes = max_bytes
        self._used_bytes = 0
        self._now = now

    async def open(self) -> None:
        """Nothing to make ready."""

    async def shut(self) -> None:
        for stream in self._streams.values():
            stream.wake()

    def _stream(self, stream_id: str) -> _Stream:
        stream = self._streams.get(stream_id)
        if stream is None:
            raise unknown(stream_id)
        return stream

    async def create(self, stream_id: str, meta: bytes, *, owner: str) -> int:
        if stream_id in self._streams:
            raise StreamExists(f"stream {stream_id} exists already")
        self._charge(len(meta) + _APPEND_BYTES)
        stream = _Stream(meta, owner, self._now(), used_bytes=len(meta) + _APPEND_BYTES)
        self._streams[stream_id] = stream
        return stream.state.epoch

    async def append(
        self, stream_id: str, payloads: Sequence[bytes], *, epoch: int, seq: int, close: bool = False
    ) -> Offset:
        stream = self._stream(stream_id)
        if not stream.state.admits(stream_id, epoch=epoch, seq=seq):
            return stream.offsets[seq]
        size = sum(map(len, payloads)) + _APPEND_BYTES * (1 + len(payloads))
        self._charge(size)
        stream.used_bytes += size
        stream.log.extend(payloads, epoch=epoch, close=close)
        stream.state.advance(len(payloads), close=close)
        stream.offsets.append(stream.state.tail)
        if close:
            stream.closed_s = self._now()
        stream.wake()
        return stream.state.tail

    def _charge(self, size: int) -> None:
        if self._used_bytes + size > self._max_bytes:
            raise StoreError(f"the memory log is full: {size} bytes more would pass {self._max_bytes}; use sqlite")
        self._used_bytes += size

    async def read(self, stream_id: str, after: Offset, *, max_bytes: int) -> Page:
        stream = self._stream(stream_id)
        page = stream.log.read(after, max_bytes)
        if page is None:
            raise gone(stream_id, after, stream.state.tail)
        return page

    @asynccontextmanager
    async def watch(self, stream_id: str) -> AsyncIterator[asyncio.Event]:
        stream = self._stream(stream_id)
        event = asyncio.Event()
        stream.events.add(event)
        try:
            yield event
        finally:
            stream.events.discard(event)

    async def head(self, stream_id: str) -> Head:
        return self._stream(stream_id).head()

    async def take_over(self, stream_id: str, *, owner: str) -> int:
        stream = self._stream(stream_id)
        epoch = stream.state.fence(stream_id)
        stream.owner = owner
        stream.log.epoch = epoch
        stream.offsets.clear()
        return epoch

    async def beat(self, owner: str, *, ttl_s: float) -> None:
        now_s = self._now()
        self._expires_s = {one: until_s for one, until_s in self._expires_s.items() if until_s > now_s}
        self._expires_s[owner] = now_s + ttl_s

    async def orphans(self, *, limit: int) -> list[str]:
        now_s = self._now()
        found = (
            stream_id
            for stream_id, stream in self._streams.items()
            if not stream.state.is_closed and self._expires_s.get(stream.owner, now_s) <= now_s
        )
        return list(islice(found, limit))

    async def expire(self, *, older_than_s: float, limit: int) -> int:
        until_s = self._now() - older_than_s
        closed = [
            (stream.closed_s, stream_id)
            for stream_id, stream in self._streams.items()
            if stream.state.is_closed and stream.closed_s <= until_s
        ]
        expired = sorted(closed)[:limit]
        for _, stream_id in expired:
            await self.delete(stream_id)
        return len(expired)

    async def delete(self, stream_id: str) -> None:
        stream = self._stream(stream_id)
        del self._streams[stream_id]
        self._used_bytes -= stream.used_bytes
        stream.wake()

    async def streams(self, *, limit: int) -> AsyncIterator[tuple[str, Head]]:
        for stream_id in list(reversed(self._streams))[:limit]:
            if (stream := self._streams.get(stream_id)) is not None:
                yield stream_id, stream.head()
