"""What a stream log is: append-only, fenced, and the only thing that readers read.

A log holds payloads and does not look into them; ``protocol.envelope`` knows what they are. Positions are
``protocol.offsets.Offset``. All methods are coroutines of one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

from lockgate.protocol.offsets import Offset
from lockgate.waiting.news import News


class LogEntry(NamedTuple):
    """One record, and the position after it."""

    offset: Offset
    payload: bytes


class Page(NamedTuple):
    """The result of one read.

    Attributes:
        entries: In order, without gaps; at least one if there is any after the offset asked for.
        tail: Position after the last record of the log, at the time of reading.
        is_closed: Whether the stream is closed. If so, nothing comes after ``tail``.
        shared: Where several readers get this very page: what one of them made of it, for the others. The log does not
            look into it. None where nobody else gets it.
    """

    entries: list[LogEntry]
    tail: Offset
    is_closed: bool
    shared: dict[Hashable, Any] | None = None


class Lifetime(NamedTuple):
    """How long a stream lives. Without either value, it lives until somebody deletes it.

    Attributes:
        ttl_s: Sliding: this many seconds after the last push, append or ``touch``.
        expires_s: Absolute: until this time, in seconds since 1970. In a ``Head``: when it expires if nobody uses it;
            by the clock of the log (``log_clock``) for a sliding one.
    """

    ttl_s: float | None = None
    expires_s: float | None = None


class Producer(NamedTuple):
    """One push of an idempotent producer (Durable Streams 5.2.1).

    Attributes:
        id: Name that the producer gave itself.
        epoch: Number of the process that uses the name. A higher one fences out all lower ones.
        seq: Number of the push in this epoch, from 0 without gaps.
    """

    id: str
    epoch: int
    seq: int


class Pushed(NamedTuple):
    """The answer to a push.

    Attributes:
        is_new: False for a duplicate: it was committed before, and nothing changed.
        tail: Position after the last record.
        is_closed: Whether the stream is closed.
        producer: For a push with a producer: the highest push of that name that was accepted.
    """

    is_new: bool
    tail: Offset
    is_closed: bool
    producer: Producer | None = None


class Head(NamedTuple):
    """A stream without its records.

    Attributes:
        meta: The ``meta`` that ``create`` got.
        tail: Position after the last record.
        epoch: Fencing number of the present owner.
        owner: Node that writes it; ``""`` if no node owns it and producers push to it.
        is_closed: Whether it is closed.
        created_s: When it was created, in seconds since 1970.
        lifetime: Its sliding lifetime, if it has one, and when it expires if nobody uses it.
    """

    meta: bytes
    tail: Offset
    epoch: int
    owner: str
    is_closed: bool
    created_s: float
    lifetime: Lifetime = Lifetime()


class Expired(NamedTuple):
    """What ``expire`` did.

    Attributes:
        streams: How many streams it deleted.
        is_done: Whether nothing is left that is due.
    """

    streams: int
    is_done: bool


class Receipt(Protocol):
    """Learns what became of an append; an ``asyncio.Future`` is one. It must not raise."""

    def done(self) -> bool:
        """Whether nobody wants to know any more."""
        ...

    def set_result(self, result: Offset, /) -> None:
        """It is committed, and ends there."""
        ...

    def set_exception(self, exception: Exception, /) -> None:
        """It is refused, or nobody knows whether it is committed."""
        ...


class StreamLog(Protocol):
    """One append-only log per stream. Append before deliver: only committed records can be read.

    Every method but ``open`` and ``shut`` raises ``StreamUnknown`` for a stream that does not exist. A stream whose
    lifetime is over does not exist for any of them, although it takes space until ``expire``. All ages and lifetimes
    are counted by the clock of the log (``log_clock``), which no change of a wall clock moves.
    """

    async def open(self) -> None:
        """Prepare the log. Call this once, inside the event loop that will use it."""
        ...

    async def shut(self) -> None:
        """Finish what was accepted, and release all resources. The log on disk stays."""
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
        """Create a stream as one atomic step, with its first payloads, and closed if asked.

        Args:
            owner: Node that appends to it; ``""`` for a stream that anybody pushes to.
            lifetime: Sliding or absolute, not both; None for no end.
            payloads: First records. They do not count as an append: ``seq`` starts at 0 in any case.

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

        Returns only after the commit. Idempotent by (epoch, seq): a ``seq`` that was committed before changes nothing
        and returns the offset that it got then, or the tail if that offset is no longer known.

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

    def begin_append(
        self, stream_id: str, payloads: Sequence[bytes], *, epoch: int, seq: int, receipt: Receipt
    ) -> Offset | None:
        """``append`` for who does not wait for it: a plain call.

        Args:
            receipt: Gets the result in the event loop, where this returns None.

        Returns:
            The result, where it is committed already.

        Raises:
            StoreError: as ``append``; and ``StoreFailing`` where there is no room for it now. ``append`` waits for it.
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
        """Append payloads to a stream without an owner, in one atomic step with the state of its producers.

        Returns only after the commit. With a producer it is idempotent: a push that is repeated after any failure is
        stored once. Renews a sliding lifetime, unless the push is a duplicate. The checks are made in the order of
        ``Raises``; a duplicate is recognised after the fencing, and before the checks below it.

        Args:
            payloads: May be empty for a push that only closes.
            producer: The producer and the number of this push; None for a push that is not idempotent.
            stream_seq: Must be greater than the last one, compared byte by byte.
            close: Close the stream in the same step. Only closing a closed stream is a duplicate.
            expect: Position that the first payload must follow.

        Raises:
            BadRequest: numbers that no producer has; nothing to write; a new epoch that does not start at 0.
            StoreError: the stream has an owner, and only the owner writes it.
            StreamClosed: another push closed it; ``tail`` says where.
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
            has_payloads: Whether the push would have payloads; this matters for closing a closed stream.

        Returns:
            None if it would append; the answer to a duplicate.

        Raises:
            As ``push``.
        """
        ...

    async def touch(self, stream_id: str) -> None:
        """Renew a sliding lifetime, if more than a tenth of it has passed since the last time; otherwise do nothing."""
        ...

    async def read(self, stream_id: str, after: Offset, *, max_bytes: int) -> Page:
        """Read what comes after an offset, up to ``max_bytes`` of payload (at least one entry if there is any).

        Raises:
            OffsetGone: ``after`` is before what is retained, beyond the tail, or beyond the end of its own epoch.
        """
        ...

    def read_now(self, stream_id: str, after: Offset, *, max_bytes: int) -> Page | None:
        """``read`` by a plain call, where the answer is in memory; None: ``read`` knows it, or what to raise."""
        ...

    def watch(self, stream_id: str) -> AbstractAsyncContextManager[News]:
        """Register for news of a stream: the event is set after every commit, and when the stream is closed.

        A reader registers first, then clears the event, reads, and waits for the event. So it misses nothing. The event
        stays set until the reader clears it. There is no ``await`` between a commit and the event.
        """
        ...

    async def head(self, stream_id: str) -> Head: ...

    async def take_over(self, stream_id: str, *, owner: str) -> int:
        """Fence out the present owner, and own the stream.

        Returns:
            The new epoch (one more than before), whose ``seq`` starts at 0.

        Raises:
            StreamClosed: it is closed.
            StoreError: it has no owner.
        """
        ...

    def beat(self, owner: str) -> None:
        """Record that ``owner`` is alive, and hear who else is. For a thread of its own: it blocks until the commit.

        Raises:
            StoreError: the log takes no writes.
        """
        ...

    async def orphans(self, *, owner: str, limit: int) -> list[str]:
        """Ids of open streams of others who are gone, oldest first; never of a stream without an owner.

        Gone is who never beat, or did not while ``owner`` did three times (``pulses``).
        """
        ...

    async def owned(self, owner: str) -> list[str]:
        """Ids of the open streams of an owner."""
        ...

    async def ask_end(self, stream_id: str) -> None:
        """Ask the owner of a stream to end it, wherever it runs. A stream that is closed is left alone."""
        ...

    def listen(self, owner: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Register for ``asked``: the event is set when the end of a stream of ``owner`` was asked for."""
        ...

    async def asked(self, owner: str) -> list[str]:
        """Ids of the open streams of an owner whose end was asked for. They stay in this list until they are closed."""
        ...

    async def notify(self, stream_id: str, notice: bytes) -> None:
        """Send a notice to the other processes that have readers of a stream (``watch``).

        It is no record: nobody keeps it for who comes later, it may come late, and where many come at once some may be
        lost. Whether there is such a stream is not looked up.

        Raises:
            StoreFailing: the log takes nothing now.
        """
        ...

    def hear_notices(self, hear: Callable[[str, bytes], None]) -> None:
        """Have a function called in the event loop with the stream and the notice, of those that others send.

        Call this before ``open``. The function must not raise.
        """
        ...

    async def expire(self, *, older_than_s: float, limit: int) -> Expired:
        """Delete streams that were closed longer ago than this, and all whose lifetime is over, in one short step.

        Deletes those that expired first, first. It may stop before ``limit`` streams, so that nobody who writes waits.
        """
        ...

    async def delete(self, stream_id: str) -> None: ...

    async def size_bytes(self) -> int:
        """What all streams together take where the log is; space that was freed and can be used again is not in it."""
        ...
