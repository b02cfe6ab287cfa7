"""All readers of one process: counted, bounded, and within reach of whoever must drop them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol, TypeAlias

from lockgate.observe.metrics import Meters

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class Droppable(Protocol):
    """A reader as far as this list needs it."""

    stream_id: str

    def drop(self) -> None:
        """Break the connection off without a word."""
        ...


class Readers:
    """The readers of one process."""

    def __init__(self, meters: Meters, *, limit: int) -> None:
        self._meters = meters
        self._limit = limit
        self._open: dict[str, set[Droppable]] = {}
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        return self._count >= self._limit

    def of(self, stream_id: str) -> int:
        """How many readers a stream has now."""
        return len(self._open.get(stream_id, ()))

    def add(self, reader: Droppable) -> None:
        self._open.setdefault(reader.stream_id, set()).add(reader)
        self._count += 1
        self._meters.reader_opened()

    def discard(self, reader: Droppable) -> None:
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


class Client:
    """The other end of one response: whether it is still there.

    ASGI servers do not tell ``send`` that a client has left, so each response that waits runs a watcher of its own.
    """

    def __init__(self) -> None:
        self.is_gone = False
        self._wake: Callable[[], None] = lambda: None
        self._watcher: asyncio.Task[None] | None = None

    def watch(self, receive: Receive, wake: Callable[[], None]) -> None:
        """Begin to watch; ``wake`` is called when the client has left."""
        self._wake = wake
        self._watcher = asyncio.create_task(self._run(receive))

    def unwatch(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()

    async def _run(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.is_gone = True
        self._wake()
