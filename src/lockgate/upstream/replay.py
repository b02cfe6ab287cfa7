"""A provider that plays a recorded body: for tests, for demonstrations, and to look at one stream many times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from lockgate.protocol.sse import DEFAULT_MAX_EVENT_BYTES
from lockgate.upstream.base import UpstreamEvent
from lockgate.upstream.chat_stream import ChatStreamDecoder


class ReplayProvider:
    """Plays the same recorded body for each request.

    Args:
        recording: The body, whole or in the pieces in which it arrived. Each piece is one read.
        name: Name for metrics and records.
        chunks_per_s: Pace of the pieces; None plays them as fast as they are taken.
        sleep: Waits a number of seconds; a test hands in one that does not.
        max_event_bytes: Largest server-sent event.
    """

    def __init__(
        self,
        recording: bytes | Sequence[bytes],
        *,
        name: str = "replay",
        chunks_per_s: float | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES,
    ) -> None:
        self.name = name
        self.routes_models = True
        self.takes_authorization = False
        self._pieces = (recording,) if isinstance(recording, bytes) else tuple(recording)
        self._gap_s = 1 / chunks_per_s if chunks_per_s else None
        self._sleep = sleep
        self._max_event_bytes = max_event_bytes

    def serving(self, model: str) -> ReplayProvider:
        """Itself."""
        return self

    def open(self, body: Mapping[str, Any], authorization: str | None = None) -> _Playing:
        """Play the recording from its start, whatever ``body`` asks for."""
        return _Playing(self._play())

    async def close(self) -> None:
        """Nothing is held."""

    async def _play(self) -> AsyncGenerator[list[UpstreamEvent], None]:
        decoder = ChatStreamDecoder(self._max_event_bytes)
        for piece in self._pieces:
            # Without a pace, too, each piece is a read of its own, and others get their turn between two of them.
            await (asyncio.sleep(0) if self._gap_s is None else self._sleep(self._gap_s))
            if events := decoder.feed(piece):
                yield events
        yield decoder.close()


class _Playing:
    """One generation: the recording from its start."""

    def __init__(self, events: AsyncGenerator[list[UpstreamEvent], None]) -> None:
        self._events = events
        self._is_aborted = False

    async def __aenter__(self) -> AsyncIterator[list[UpstreamEvent]]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._events.aclose()

    def __aiter__(self) -> AsyncIterator[list[UpstreamEvent]]:
        return self

    async def __anext__(self) -> list[UpstreamEvent]:
        if self._is_aborted:
            raise StopAsyncIteration
        return await anext(self._events)

    def abort(self) -> None:
        """Stop playing. There is no connection to close."""
        self._is_aborted = True
