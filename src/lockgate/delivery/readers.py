"""All readers of one process: they are counted and bounded, and can be disconnected."""

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
        came: Called with a stream that got another reader.
        emptied: Called with a stream whose last reader left.
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
        """Break the connection of every reader of a stream, as a network would; returns their number."""
        readers = list(self._open.get(stream_id, ()))
        for reader in readers:
            reader.drop()
        return len(readers)


class Reader:
    """One client that reads one stream. News, the leaving of the client, and ``drop`` wake it.

    ASGI servers do not tell ``send`` that a client has left, so each response that waits runs its own watcher.
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
        """Whether there is nobody left to serve."""
        return self._is_gone or self._is_dropped

    def drop(self) -> None:
        """Break the connection without sending anything more."""
        self._is_dropped = True
        self._news.set()

    @asynccontextmanager
    async def connected(self, receive: Receive) -> AsyncIterator[None]:
        """Count as a reader and listen for news while the block runs.

        Raises:
            StreamUnknown: there is no such stream, or it was deleted.
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
        """Wait for news, at most this long. Clear the event before reading, or you miss news."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass  # the caller checks what is due
