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


class LogEntry(NamedTuple):
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

    entries: list[LogEntry]
    tail: Offset
    is_closed: bool


class Lifetime(NamedTuple):
    """How long a stream lives; without either, until somebody deletes it.

    Attributes:
        ttl_s: Sliding: so long after the last push, append or ``touch``, in seconds.
        expires_s: Absolute: until then, in seconds since 1970. In a ``Head``, when it expires as things stand.
    """

    ttl_s: float | None = None
    expires_s: float | None = None


class Producer(NamedTuple):
    """One push of an idempotent producer (Durable Streams 5.2.1).

    Attributes:
        id: Name that the producer gave itself.
        epoch: Which process of that name; a higher one fences the lower ones out.
        seq: Number of the push in this epoch, from 0 without gaps.
    """

    id: str
    epoch: int
    seq: int


class Pushed(NamedTuple):
    """The answer to a push.

    Attributes:
        is_new: False for a duplicate: it was committed before, and nothing has changed now.
        tail: Position after the last record.
        is_closed: Whether the stream is closed.
        producer: Of a push with a producer: the highest push of that name that was accepted.
    """

    is_new: bool
    tail: Offset
    is_closed: bool
    producer: Producer | None = None


class Head(NamedTuple):
    """A stream without its records.

    Attributes:
        meta: What ``create`` was given.
        tail: Position after the last record.
        epoch: Fencing number of the present owner.
        owner: Node that writes it; ``""`` if nobody owns it, and pushes write it.
        is_closed: Whether it is closed.
        created_s: Seconds since 1970.
        lifetime: Its sliding lifetime, if it has one, and when it will expire as things stand.
    """

    meta: bytes
    tail: Offset
    epoch: int
    owner: str
    is_closed: bool
    created_s: float
    lifetime: Lifetime = Lifetime()


class StreamLog(Protocol):
    """One append-only log per stream. Append before deliver: what is read is committed.

    Every method but ``open`` and ``shut`` raises ``StreamUnknown`` for a stream that does not exist. One whose
    lifetime has run out does not exist for any of them, although it takes room until ``expire``.
    """

    async def open(self) -> None:
        """Make ready. Call once, inside the event loop that will use the log."""
        ...

    async def shut(self) -> None:
        """Finish what was accepted and release everything. The log on disk stays."""
        ...

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
        """Create a stream, with its first payloads and closed if asked, as one atomic step.

        Args:
            owner: Node that appends to it; ``""`` for a stream that anybody pushes to.
            lifetime: Sliding or absolute, not both; None for no end.
            payloads: First records. They are no append: ``seq`` starts from 0 in any case.

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
            Misuse: nobody owns the stream; ``push`` to it.
        """
        ...

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
        """Append payloads to a stream that nobody owns, as one atomic step with all that is remembered of it.

        Returns only when it is committed. With a producer it is idempotent: the same push again, after whatever went
        wrong, is there once. Renews a sliding lifetime, unless it is a duplicate. The order of the checks is that of
        ``Raises``; a duplicate is found after the fencing, and answers before all that comes below it.

        Args:
            payloads: May be empty for a push that only closes.
            producer: Whose push this is, and which; None for one that is not idempotent.
            stream_seq: Must be greater, byte by byte, than the last one given.
            close: Close the stream in the same step. Closing a closed one alone is a duplicate.
            expect: Position that the first payload must come after.

        Raises:
            BadRequest: numbers that no producer has; nothing to write; a new epoch that does not start at 0.
            StoreError: the stream has an owner, who alone writes it.
            StreamClosed: it is closed, and not by this very push; ``tail`` says where.
            ProducerFenced: a higher epoch of this producer has pushed.
            ProducerGap: a push of this producer is missing before this one.
            TooManyProducers: the stream remembers as many producers as it can.
            SequenceConflict: ``stream_seq`` is not greater than the last one.
            TailMoved: ``expect`` is not the tail.
        """
        ...

    async def check_push(
        self,
        stream_id: str,
        *,
        producer: Producer | None = None,
        stream_seq: str | None = None,
        close: bool = False,
        has_payloads: bool = True,
    ) -> Pushed | None:
        """What ``push`` would answer now, without writing anything.

        Args:
            has_payloads: Whether the push would bring any; matters for closing a closed stream.

        Returns:
            None if it would append; the answer to a duplicate.

        Raises:
            As ``push``.
        """
        ...

    async def touch(self, stream_id: str) -> None:
        """Renew a sliding lifetime, if more than a tenth of it has passed since the last time; cheap otherwise."""
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
            StoreError: nobody owns it; there is nobody to fence out.
        """
        ...

    async def beat(self, owner: str, *, ttl_s: float) -> None:
        """Say that ``owner`` lives; the word holds for ``ttl_s`` seconds."""
        ...

    async def orphans(self, *, limit: int) -> list[str]:
        """Ids of open streams whose owner has not beaten in time, oldest first; never one that nobody owns."""
        ...

    async def expire(self, *, older_than_s: float, limit: int) -> int:
        """Delete streams that were closed longer ago than this, and all whose lifetime has run out.

        Those that should have gone first, first; answers how many.
        """
        ...

    async def delete(self, stream_id: str) -> None: ...

    def streams(self, *, limit: int) -> AsyncIterator[tuple[str, Head]]:
        """The newest streams first."""
        ...
