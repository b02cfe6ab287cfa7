"""All readers of one process: they are counted and bounded, and can be disconnected."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lockgate.delivery.ropes import Data, Pieces
from lockgate.errors import BodyTooSlow
from lockgate.observe.metrics import Meters
from lockgate.protocol.offsets import Offset
from lockgate.store.base import StreamLog
from lockgate.waiting.limit import Limit
from lockgate.waiting.news import News
from lockgate.waiting.started import Rest, started

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


#: Most that one event of a live reader takes from the log: a reader that does not read holds the whole event.
MAX_EVENT_BYTES: Final = 32 * 1024
#: One write to the server, which holds several of them until the kernel takes them.
_PIECE_BYTES: Final = 8 * 1024
#: What a reader that does not read may hold for as long as it is not given up, and how long it may hold more.
_HELD_BYTES: Final = 128 * 1024
_HELD_S: Final = 2.0


def pieces_of(data: Data) -> bytes | Pieces:
    """Data as it is written: what is short, at once."""
    return data if isinstance(data, bytes) and len(data) <= _PIECE_BYTES else Pieces(data, _PIECE_BYTES)


class ReaderStuck(Exception):
    """The client takes nothing. It is given up, and resumes by offset."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """How readers are served; ``config.Delivery`` says what each number means."""

    retry_ms: int
    heartbeat_s: float
    max_read_bytes: int
    stuck_s: float
    window_bytes: int = 256 * 1024
    slow_s: float = 15.0


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
        self._is_retiring = False

    @property
    def count(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        return self._count >= self._limit

    def add(self, reader: Reader) -> None:
        self._open.setdefault(reader.stream_id, set()).add(reader)
        self._count += 1
        if self._is_retiring:
            reader.retire()
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

    def foremost(self, stream_id: str) -> Offset | None:
        """How far the reader of a stream is that is furthest; None if nobody reads it here."""
        return max((reader.position for reader in self._open.get(stream_id, ())), default=None)

    def acknowledge(self, stream_id: str, name: str, offset: Offset | None, credit_bytes: int | None) -> int:
        """Tell the readers of a stream that have this name how far they are; returns their number.

        No name is the name of nobody: who gave himself none is not spoken for by others.
        """
        named = [reader for reader in self._open.get(stream_id, ()) if name and reader.name == name]
        for reader in named:
            reader.acknowledge(offset, credit_bytes)
        return len(named)

    def drop(self, stream_id: str) -> int:
        """Break the connection of every reader of a stream, as a network would; returns their number."""
        readers = list(self._open.get(stream_id, ()))
        for reader in readers:
            reader.drop()
        return len(readers)

    def retire(self) -> None:
        """Let every reader, and who still comes, have what is in the log and then no more: the node goes down."""
        self._is_retiring = True
        for readers in self._open.values():
            for reader in readers:
                reader.retire()


class Reader:
    """One client that reads one stream. News, the leaving of the client, and ``drop`` wake it.

    ASGI servers do not tell ``send`` that a client has left, so each response that waits runs its own watcher.

    Attributes:
        name: What it calls itself; None if nothing.
    """

    name: str | None = None

    def __init__(
        self, log: StreamLog, stream_id: str, after: Offset, readers: Readers, *, stuck_s: float = math.inf
    ) -> None:
        self._stuck_s = stuck_s
        self.stream_id = stream_id
        self._log = log
        self._after = after  # what it has read
        self._readers = readers
        self._news = News()
        self._limit: Limit | None = None  # of the writes
        self._is_gone = False
        self._is_dropped = False
        self._is_retiring = False

    @property
    def position(self) -> Offset:
        """What its client has been sent, or says that it has."""
        return self._after

    @property
    def is_over(self) -> bool:
        """Whether there is nobody left to serve."""
        return self._is_gone or self._is_dropped

    def drop(self) -> None:
        """Break the connection without sending anything more."""
        self._is_dropped = True
        self._news.set()

    def retire(self) -> None:
        """Break the connection where it would wait for more."""
        self._is_retiring = True
        self._news.set()

    def acknowledge(self, offset: Offset | None, credit_bytes: int | None) -> None:
        """The client has all up to a position, and takes so much beyond it. Faces without a window do not care."""

    @asynccontextmanager
    async def connected(self, receive: Receive) -> AsyncIterator[None]:
        """Count as a reader and listen for news while the block runs.

        Raises:
            StreamUnknown: there is no such stream, or it was deleted.
        """
        self._readers.add(self)
        try:
            async with self._log.watch(self.stream_id) as self._news:
                if self._is_dropped or self._is_retiring:
                    self._news.set()
                watcher = asyncio.create_task(self._watch(receive))
                try:
                    yield
                finally:
                    watcher.cancel()
                    await asyncio.wait([watcher])
        finally:
            if self._limit is not None:
                self._limit.close()
                self._limit = None
            self._readers.discard(self)

    async def _watch(self, receive: Receive) -> None:
        with suppress(BodyTooSlow):  # who reads has no body to send
            while (await receive())["type"] != "http.disconnect":
                pass
        self._is_gone = True
        self._news.set()

    def _has_all(self, after: Offset, tail: Offset) -> bool:
        """Whether a reader has all: it read to the end of the log, and nothing came since the news were cleared."""
        return after == tail and not self._news.is_set()

    async def _wait(self, seconds: float, deal: Callable[[], bool] | None = None) -> None:
        """Wait for more than the log has, at most this long. Clear the event before reading, or you miss news.

        Args:
            deal: As ``News.wait`` has it.
        """
        if self._is_retiring:
            self.drop()
        await self._news.wait(seconds, deal)

    async def _write(self, send: Send, pieces: bytes | Pieces, *, kept_bytes: int = 0) -> None:
        """Write a part of the body. A client that reads slowly holds it, and nobody else waits.

        Args:
            pieces: See ``pieces_of``. Nobody else should hold what they are made of.
            kept_bytes: What the reader keeps beside them.

        Raises:
            ReaderStuck: the client takes nothing.
        """
        if isinstance(pieces, bytes):
            await self._write_piece(send, pieces, len(pieces) + kept_bytes)
            return
        for piece in pieces:
            await self._write_piece(send, piece, pieces.held_bytes + kept_bytes)

    async def _write_piece(self, send: Send, piece: bytes, held_bytes: int) -> None:
        rest = started(send({"type": "http.response.body", "body": piece, "more_body": True}))
        if rest is not None:
            await self._sent(rest, held_bytes)

    async def _sent(self, rest: Rest, held_bytes: int) -> None:
        """Wait until the client takes what was begun.

        Raises:
            ReaderStuck: it takes nothing.
        """
        limit = self._limit
        if limit is None:
            limit = self._limit = Limit()
        limit_s = min(self._stuck_s, _HELD_S) if held_bytes > _HELD_BYTES else self._stuck_s
        try:
            await limit.hold(rest, limit_s)
        except TimeoutError:
            raise ReaderStuck from None

    async def _end(self, send: Send) -> None:
        """End the body."""
        await send({"type": "http.response.body", "body": b"", "more_body": False})
