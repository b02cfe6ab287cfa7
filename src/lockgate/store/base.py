"""What a stream log is: append-only, fenced, and the only thing that readers read.

A log holds opaque payloads; what is in them is the business of ``protocol.envelope``. Positions are
``protocol.offsets.Offset``. All methods are coroutines of one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from lockgate.protocol.offsets import Offset


class Entry(NamedTuple):
    """One record with the position after it."""

    offset: Offset
    payload: bytes


class Page(NamedTuple):
    """What one read brought.

    Attributes:
        entries: In order, without gaps; at least one if there is any after the offset asked for.
        tail: Position after the last record of the log, at the time of reading.
        is_closed: Whether the stream is closed; then nothing ever comes after ``tail``.
    """

    entries: list[Entry]
    tail: Offset
    is_closed: bool


class Head(NamedTuple):
    """A stream without its records.

    Attributes:
        meta: What ``create`` was given.
        tail: Position after the last record.
        epoch: Fencing number of the present owner.
        owner: Node that writes it.
        is_closed: Whether it is closed.
        created_s: Seconds since 1970.
    """

    meta: bytes
    tail: Offset
    epoch: int
    owner: str
    is_closed: bool
    created_s: float


class StreamLog(Protocol):
    """One append-only log per stream. Append before deliver: what is read is committed.

    Every method but ``open`` and ``shut`` raises ``StreamUnknown`` for a stream that does not exist.
    """

    async def open(self) -> None:
        """Make ready. Call once, inside the event loop that will use the log."""
        ...

    async def shut(self) -> None:
        """Finish what was accepted and release everything. The log on disk stays."""
        ...

    async def create(self, stream_id: str, meta: bytes, *, owner: str) -> int:
        """Create an empty stream owned by ``owner``.

        Returns:
            Its first epoch, to append with.

        Raises:
            StreamExists: the id is taken.
        """
        ...

    async def append(
        self, stream_id: str, payloads: Sequence[bytes], *, epoch: int, seq: int, close: bool = False
    ) -> Offset:
        """Append payloads as one atomic step, and close the stream in the same step if asked.

        Returns only when it is committed. Idempotent by (epoch, seq): a ``seq`` that was committed already changes
        nothing and answers the offset that it got then, or the tail if that is no longer known.

        Args:
            epoch: The caller's fencing number.
            seq: Number of this append in this epoch, from 0 without gaps.

        Raises:
            FencedOut: the stream has another epoch now.
            StreamClosed: it is closed.
            StoreError: ``seq`` leaves a gap.
        """
        ...

    async def read(self, stream_id: str, after: Offset, *, max_bytes: int) -> Page:
        """Read what comes after an offset, up to ``max_bytes`` of payload (at least one entry if there is any).

        Raises:
            OffsetGone: ``after`` is before what is retained, beyond the tail, or beyond the end of its own epoch.
        """
        ...

    def watch(self, stream_id: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Register for news of a stream: the event is set after every commit and at the close.

        A reader registers first, then clears, then reads, then sleeps on the event; so no news is missed. The event
        stays set until the reader clears it. Needs no ``await`` between a commit and the event.
        """
        ...

    async def head(self, stream_id: str) -> Head: ...

    async def take_over(self, stream_id: str, *, owner: str) -> int:
        """Fence the present owner out and own the stream.

        Returns:
            The new epoch (one more than before), whose ``seq`` starts at 0.

        Raises:
            StreamClosed: there is nothing left to write.
        """
        ...

    async def beat(self, owner: str, *, ttl_s: float) -> None:
        """Say that ``owner`` lives; the word holds for ``ttl_s`` seconds."""
        ...

    async def orphans(self, *, limit: int) -> list[str]:
        """Ids of open streams whose owner has not beaten in time, oldest first."""
        ...

    async def expire(self, *, older_than_s: float, limit: int) -> int:
        """Delete streams that were closed longer ago than this, oldest first; answers how many."""
        ...

    async def delete(self, stream_id: str) -> None: ...

    def streams(self, *, limit: int) -> AsyncIterator[tuple[str, Head]]:
        """The newest streams first."""
        ...
