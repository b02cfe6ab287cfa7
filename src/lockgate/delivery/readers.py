"""All readers of one process: counted, bounded, and within reach of whoever must drop them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lockgate.observe.metrics import Meters
from lockgate.store.base import StreamLog

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


#: Seconds that one write may block before the reader is given up; it resumes by offset.
STUCK_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Pacing:
    """How readers are served; ``config.Delivery`` says what each number means."""

    retry_ms: int
    heartbeat_s: float
    max_read_bytes: int


def _nobody_asks(_stream_id: str) -> None:
    pass


class Readers:
    """The readers of one process.

    Args:
        came: Told of a stream that has a reader more.
        emptied: Told of a stream whose last reader left.
    """

    def __init__(
        self,
        meters: Meters,
        *,
        limit: int,
        came: Callable[[str], None] = _nobody_asks,
        emptied: Callable[[str], None] = _nobody_asks,
    ) -> None:
        self._meters = meters
        self._limit = limit
        self._came = came
        self._emptied = emptied
        self._open: dict[str, set[Reader]] = {}
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        return self._count >= self._limit

    def add(self, reader: Reader) -> None:
        self._open.setdefault(reader.stream_id, set()).add(reader)
        self._count += 1
        self._meters.reader_opened()
        self._came(reader.stream_id)

    def discard(self, reader: Reader) -> None:
        mine = self._open[reader.stream_id]
        mine.discard(reader)
        if not mine:
            del self._open[reader.stream_id]
        self._count -= 1
        self._meters.reader_closed()
        if not mine:
            self._emptied(reader.stream_id)

    def drop(self, stream_id: str) -> int:
        """Break off every reader of a stream, as a network would; answers how many there were."""
        readers = list(self._open.get(stream_id, ()))
        for reader in readers:
            reader.drop()
        return len(readers)


class Reader:
    """One client at one stream: counted, woken by news, by its leaving, and by whoever drops it.

    ASGI servers do not tell ``send`` that a client has left, so each response that waits runs a watcher of its own.
    """

    def __init__(self, log: StreamLog, stream_id: str, readers: Readers) -> None:
        self.stream_id = stream_id
        self._log = log
        self._readers = readers
        self._news = asyncio.Event()
        self._is_gone = False
        self._is_dropped = False

    @property
    def is_over(self) -> bool:
        """Whether nobody is to be served any more."""
        return self._is_gone or self._is_dropped

    def drop(self) -> None:
        """Break the connection off without a word."""
        self._is_dropped = True
        self._news.set()

    @asynccontextmanager
    async def connected(self, receive: Receive) -> AsyncIterator[None]:
        """Count as a reader, and hear of news, for as long as the block lasts.

        Raises:
            StreamUnknown: there is no such stream, or it was deleted meanwhile.
        """
        self._readers.add(self)
        try:
            async with self._log.watch(self.stream_id) as self._news:
                if self._is_dropped:
                    self._news.set()
                watcher = asyncio.create_task(self._watch(receive))
                try:
                    yield
                finally:
                    watcher.cancel()
        finally:
            self._readers.discard(self)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._news.set()

    async def _wait(self, seconds: float) -> None:
        """Until there is news, or for so long. Clear the news before reading, or one is missed."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass  # the caller looks at what has become due
