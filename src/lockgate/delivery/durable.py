"""The Durable Streams face, as far as native EventSource needs it, and the plain catch-up read.

How it works: the reader registers with the log, reads what is there, writes it in one send, and only then sleeps; it is
woken by a commit, by the heartbeat timer, or by its client's leaving. ASGI servers do not tell ``send`` that a client
has left, so each reader runs a watcher of its own. A slow reader waits in ``send`` and costs an offset; what it missed
meanwhile comes as one larger event.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lockgate.delivery.views import View
from lockgate.errors import BadRequest
from lockgate.observe.metrics import Meters
from lockgate.protocol.offsets import Offset, parse_offset
from lockgate.store.base import Page, StreamLog

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

#: Seconds that one write may block before the reader is given up; it resumes by offset.
STUCK_S: Final = 60.0

_STREAM_HEADERS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # nginx would collect the stream otherwise
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"cross-origin"),
]


@dataclass(frozen=True, slots=True)
class Pace:
    """How a reader is served: see ``config.Delivery`` for the meaning of each."""

    retry_ms: int
    heartbeat_s: float
    max_read_bytes: int


class Readers:
    """All readers of one process: counted, bounded, and within reach of whoever must drop them."""

    def __init__(self, meters: Meters, *, limit: int) -> None:
        self._meters = meters
        self._limit = limit
        self._open: dict[str, set[EventReader]] = {}
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        return self._count >= self._limit

    def add(self, reader: EventReader) -> None:
        self._open.setdefault(reader.stream_id, set()).add(reader)
        self._count += 1
        self._meters.reader_opened()

    def discard(self, reader: EventReader) -> None:
        mine = self._open[reader.stream_id]
        mine.discard(reader)
        if not mine:
            del self._open[reader.stream_id]
        self._count -= 1
        self._meters.reader_closed()

    def drop(self, stream_id: str) -> int:
        """Break off every reader of a stream, as a network would; answers how many there were."""
        readers = list(self._open.get(stream_id, ()))
        for reader in readers:
            reader.drop()
        return len(readers)


def where_to_start(log_tail: Offset, *, offset: str | None, last_event_id: str | None) -> Offset:
    """The offset that a request asks for: ``Last-Event-ID`` wins over ``?offset=``; ``now`` is the tail.

    Raises:
        BadRequest: a malformed offset.
    """
    written = last_event_id or offset or "-1"
    if written == "now":
        return log_tail
    try:
        return parse_offset(written)
    except ValueError as error:
        raise BadRequest(str(error)) from None


class EventReader:
    """One EventSource connection: ``run`` serves it until its client leaves or the stream is closed and read."""

    def __init__(
        self, log: StreamLog, stream_id: str, after: Offset, *, view: View, pace: Pace, meters: Meters, readers: Readers
    ) -> None:
        self.stream_id = stream_id
        self._log = log
        self._after = after
        self._view = view
        self._pace = pace
        self._meters = meters
        self._readers = readers
        self._news = asyncio.Event()
        self._is_gone = False
        self._is_dropped = False
        self._quiet_since_s = 0.0
        self._last_data_s = 0.0
        self._is_live = False  # whether everything before the next record was read

    def drop(self) -> None:
        """Break the connection off without a word."""
        self._is_dropped = True
        self._news.set()

    async def run(self, receive: Receive, send: Send, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Serve it."""
        self._readers.add(self)
        try:
            async with self._log.watch(self.stream_id) as news:
                self._news = news
                watcher = asyncio.create_task(self._watch(receive))
                try:
                    await self._serve(send, headers)
                finally:
                    watcher.cancel()
        finally:
            self._readers.discard(self)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._news.set()

    async def _serve(self, send: Send, headers: Iterable[tuple[bytes, bytes]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [*_STREAM_HEADERS, *headers]})
        # First bytes at once, so that the browser's `open` fires before the model's first token.
        await self._write(send, f"retry: {self._pace.retry_ms}\n: lockgate\n\n".encode())
        loop = asyncio.get_running_loop()
        heartbeat = loop.call_later(self._pace.heartbeat_s, self._wake)
        try:
            while not self._is_gone:
                self._news.clear()
                if self._is_dropped:
                    return  # without the end of the body: the server breaks the connection off
                page = await self._log.read(self.stream_id, self._after, max_bytes=self._pace.max_read_bytes)
                if page.entries:
                    await self._deliver(send, page)
                if page.is_closed and self._after.records == page.tail.records:
                    await self._finish(send, page)
                    return
                if page.entries:
                    continue
                self._is_live = True
                if time.monotonic() - self._quiet_since_s >= self._pace.heartbeat_s:
                    await self._write(send, b": beat\n\n")
                if heartbeat.when() <= loop.time():
                    heartbeat = loop.call_later(self._pace.heartbeat_s, self._wake)
                await self._news.wait()  # bounded by the heartbeat
        finally:
            heartbeat.cancel()

    def _wake(self) -> None:
        self._news.set()

    async def _write(self, send: Send, data: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(STUCK_S):
            await send({"type": "http.response.body", "body": data, "more_body": more})
        self._quiet_since_s = time.monotonic()

    async def _deliver(self, send: Send, page: Page) -> None:
        last = page.entries[-1]
        is_tail = last.offset == page.tail
        await self._write(send, encode_page(page, self._view))
        self._after = last.offset
        if self._is_live:
            self._measure(self._view.read_s(last.payload))
        self._is_live = is_tail

    def _measure(self, read_s: float) -> None:
        """Latency and gap, for a reader that had read everything before: replays say nothing about either."""
        now_s = self._quiet_since_s
        gap_s = now_s - self._last_data_s if self._last_data_s else None
        self._meters.delivered(latency_s=time.time() - read_s if read_s else None, gap_s=gap_s)
        self._last_data_s = now_s

    async def _finish(self, send: Send, page: Page) -> None:
        if not page.entries:  # else the closing control event went out with the last records
            await self._write(send, encode_control(page.tail, up_to_date=True, is_closed=True))
        await self._write(send, b"", more=False)


def encode_page(page: Page, view: View) -> bytes:
    """One ``data`` event with all entries, and the ``control`` event that follows it (Durable Streams 5.8)."""
    last = page.entries[-1].offset
    is_tail = last == page.tail
    body = b",".join([view.show(entry.payload) for entry in page.entries])
    control = encode_control(last, up_to_date=is_tail, is_closed=page.is_closed and is_tail)
    return b"id: %b\nevent: data\ndata:[%b]\n\n%b" % (str(last).encode(), body, control)


def encode_control(offset: Offset, *, up_to_date: bool, is_closed: bool) -> bytes:
    """Where the reader is, and whether anything can still come."""
    written = str(offset)
    up = ',"upToDate":true' if up_to_date else ""
    closed = ',"streamClosed":true' if is_closed else ""
    return f'id: {written}\nevent: control\ndata:{{"streamNextOffset":"{written}"{up}{closed}}}\n\n'.encode()


async def catch_up(log: StreamLog, stream_id: str, after: Offset, *, view: View, max_bytes: int) -> tuple[bytes, Page]:
    """What is there after an offset, as one JSON array.

    Raises:
        StoreError: as ``StreamLog.read``.
    """
    page = await log.read(stream_id, after, max_bytes=max_bytes)
    return b"[" + b",".join([view.show(entry.payload) for entry in page.entries]) + b"]", page
