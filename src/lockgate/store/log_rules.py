"""The rules that every log follows, without I/O: who may write, what a repeat is, how long a stream lives.

A ``StreamState`` decides about the next append of a stream, and together with ``PushHistory`` about the next push. A
store must read them, ask ``admits`` or ``judge``, write the records, and store them again, all in one atomic step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from lockgate.errors import (
    BadRequest,
    FencedOut,
    Misuse,
    OffsetGone,
    ProducerFenced,
    ProducerGap,
    SequenceConflict,
    StoreError,
    StreamClosed,
    StreamUnknown,
    TailMoved,
    TooManyProducers,
)
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import Lifetime, Producer, Pushed

#: Epoch of a stream until a node takes it over. A stream without an owner always has this one.
FIRST_EPOCH: Final = 1
#: Offsets have four digits for the epoch; with five they would no longer sort as text.
MAX_EPOCH: Final = 9999

#: Most producers that a stream remembers. To forget the oldest would let its repeats pass as new.
MAX_PRODUCERS: Final = 1000
#: Most bytes of a producer's name or a Stream-Seq, and the highest epoch and seq: a double still counts them exactly.
MAX_NAME_BYTES: Final = 1024
MAX_PRODUCER_NUMBER: Final = 2**53 - 1

#: Part of a sliding lifetime that must have passed before it is renewed, if renewing needs a separate write.
RENEW_SHARE: Final = 0.1

#: The lifetime of all streams without a lifetime of their own; one object, so that comparing is cheap.
FOREVER: Final = Lifetime()


# -- appends -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class StreamState:
    """The facts that decide about the next append of a stream.

    Attributes:
        owner: Node that writes it; empty if no node owns it and producers push to it.
        epoch: Fencing number of the present owner.
        next_seq: Number of appends that this epoch committed.
        tail: Position after the last record; its epoch is that of the owner that wrote the record.
        is_closed: Whether nothing more may be written.
        lifetime: Its lifetime at present.
    """

    owner: str
    epoch: int = FIRST_EPOCH
    next_seq: int = 0
    tail: Offset = START
    is_closed: bool = False
    lifetime: Lifetime = FOREVER

    def admits(self, stream_id: str, *, epoch: int, seq: int) -> bool:
        """Judge an append: True if it is new, False if it repeats one that was committed before.

        Raises:
            FencedOut, StreamClosed, StoreError, Misuse: as ``StreamLog.append`` says.
        """
        if not self.owner:
            raise Misuse(f"stream {stream_id} has no owner who could append; push to it")
        if epoch != self.epoch:
            raise FencedOut(
                f"stream {stream_id}: epoch {epoch} may not append, epoch {self.epoch} owns it now; "
                "stop writing and cancel the upstream call"
            )
        if seq < 0:
            raise Misuse(f"stream {stream_id}: append number {seq}; they count from 0")
        if seq < self.next_seq:
            return False  # also at a closed stream: the answer to the append that closed it may have been lost
        if self.is_closed:
            raise closed(stream_id, self.tail)
        if seq > self.next_seq:
            raise StoreError(f"stream {stream_id}: append {seq} came, but {self.next_seq} is next; nothing was written")
        return True

    def advance(self, records: int, *, close: bool) -> None:
        """Move on after an admitted append of this many records."""
        if records:
            self.tail = Offset(self.epoch, self.tail.records + records)
        self.next_seq += 1
        self.is_closed = close

    def begin(self, records: int, *, close: bool) -> None:
        """Begin with this many records, which do not count as an append, and closed if asked."""
        self.advance(records, close=close)
        self.next_seq = 0

    def fence(self, stream_id: str) -> int:
        """Begin the next epoch and return it.

        Raises:
            StreamClosed: it is closed.
            StoreError: it has no owner, or there are no more epochs.
        """
        if not self.owner:
            raise StoreError(f"stream {stream_id} has no owner to take it over from; push to it")
        if self.is_closed:
            raise StreamClosed(
                f"stream {stream_id} is closed at {self.tail}; there is nothing to take over", tail=self.tail
            )
        if self.epoch >= MAX_EPOCH:
            raise StoreError(f"stream {stream_id} was taken over {MAX_EPOCH - 1} times; an offset cannot count further")
        self.epoch += 1
        self.next_seq = 0
        return self.epoch


# -- pushes ------------------------------------------------------------------------------------------------------


class PushRequest(NamedTuple):
    """A push without its payloads; the attributes are the arguments of ``StreamLog.push``."""

    has_payloads: bool
    producer: Producer | None = None
    stream_seq: str | None = None
    close: bool = False
    expect: Offset | None = None


@dataclass(slots=True)
class PushHistory:
    """What a stream remembers about its pushes, as far as one push needs it.

    Attributes:
        known: The highest accepted push of the producer that pushes now; None if it is new, or the push has none.
        producers: Number of producers that the stream remembers; matters only while ``known`` is None.
        stream_seq: The last Stream-Seq, as bytes.
        closed_by: The push that closed the stream; None if it is open, or was closed without a producer.
    """

    known: Producer | None = None
    producers: int = 0
    stream_seq: bytes | None = None
    closed_by: Producer | None = None


def check(push: PushRequest) -> None:
    """Refuse a push that no stream could take.

    Raises:
        BadRequest: it writes nothing, or has numbers that no producer can have.
    """
    if not push.has_payloads and not push.close:
        raise BadRequest("a push without payloads that does not close the stream: send one or the other")
    if push.stream_seq is not None and len(sequence_bytes(push.stream_seq)) > MAX_NAME_BYTES:
        raise BadRequest(f"Stream-Seq {push.stream_seq[:64]!r}: send {MAX_NAME_BYTES} bytes at most")
    if push.producer is None:
        return
    name, *numbers = push.producer
    if not name.isprintable() or not 0 < len(name.encode()) <= MAX_NAME_BYTES:
        raise BadRequest(f"producer id {name[:64]!r}: send 1 to {MAX_NAME_BYTES} bytes of printable text")
    for what, number in zip(("epoch", "seq"), numbers, strict=True):
        if not 0 <= number <= MAX_PRODUCER_NUMBER:
            raise BadRequest(f"producer {name}: {what} {number}; send a whole number from 0 to {MAX_PRODUCER_NUMBER}")


def judge(stream_id: str, state: StreamState, pushes: PushHistory, push: PushRequest) -> Pushed | None:
    """Judge a push that passed ``check``: None if it must be written, otherwise the answer to a duplicate.

    Raises:
        StoreError, StreamClosed, ProducerFenced, ProducerGap, TooManyProducers, BadRequest, SequenceConflict,
        TailMoved: as ``StreamLog.push`` says.
    """
    if state.owner:
        raise StoreError(f"stream {stream_id} is written by {state.owner} alone; push to a stream of your own")
    if state.is_closed:
        return _judge_closed(stream_id, state, pushes, push)
    if push.producer is not None and _is_duplicate(stream_id, push.producer, pushes):
        return Pushed(False, state.tail, False, pushes.known)
    _check_place(stream_id, state, pushes, push)
    return None


def _judge_closed(stream_id: str, state: StreamState, pushes: PushHistory, push: PushRequest) -> Pushed:
    if push.producer is None:
        is_duplicate = push.close and not push.has_payloads
    else:
        is_duplicate = push.producer == pushes.closed_by  # the answer to it may have been lost
    if not is_duplicate:
        raise closed(stream_id, state.tail)
    return Pushed(False, state.tail, True, pushes.known)


def _is_duplicate(stream_id: str, producer: Producer, pushes: PushHistory) -> bool:
    """Spec: Durable Streams 5.2.1."""
    known, who = pushes.known, f"stream {stream_id}: producer {producer.id}"
    if known is None:
        if producer.seq:
            raise ProducerGap(
                f"{who} is new here, but came with push {producer.seq}", expected=0, received=producer.seq
            )
        if pushes.producers >= MAX_PRODUCERS:
            raise TooManyProducers(
                f"{who} is new, but the stream remembers {MAX_PRODUCERS} already; use one of them, or another stream",
                limit=MAX_PRODUCERS,
            )
        return False
    if producer.epoch < known.epoch:
        raise ProducerFenced(
            f"{who} has epoch {known.epoch} by now, {producer.epoch} may not push; stop, or claim a higher epoch",
            epoch=known.epoch,
        )
    if producer.epoch > known.epoch:
        if producer.seq:
            raise BadRequest(f"{who}: epoch {producer.epoch} is new and begins with seq 0, not {producer.seq}")
        return False
    if producer.seq > known.seq + 1:
        raise ProducerGap(
            f"{who}: push {producer.seq} came, but {known.seq + 1} is next; nothing was written",
            expected=known.seq + 1,
            received=producer.seq,
        )
    return producer.seq <= known.seq


def _check_place(stream_id: str, state: StreamState, pushes: PushHistory, push: PushRequest) -> None:
    """Check that the push comes at the position and in the order that it expects."""
    last = pushes.stream_seq
    if push.stream_seq is not None and last is not None and sequence_bytes(push.stream_seq) <= last:
        was = last.decode("utf-8", "surrogateescape")
        raise SequenceConflict(
            f"stream {stream_id}: Stream-Seq {push.stream_seq!r} is not greater than the last one, {was!r}",
            last=was,
            received=push.stream_seq,
        )
    if push.expect is not None and not _is_tail(push.expect, state):
        raise TailMoved(
            f"stream {stream_id} ends at {state.tail}, not at {push.expect} as expected; read on from there",
            tail=state.tail,
        )


def _is_tail(offset: Offset, state: StreamState) -> bool:
    return offset.records == state.tail.records and is_position(offset, state.tail, state.epoch)


def sequence_bytes(text: str) -> bytes:
    """The value of a header as bytes, in the order in which they came on the wire.

    Works for text decoded as Latin-1, and for UTF-8 whose invalid bytes were escaped.

    Raises:
        BadRequest: it cannot have come in a header.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise BadRequest(f"Stream-Seq {text[:64]!r}: is no text") from None


# -- lifetimes ---------------------------------------------------------------------------------------------------


def begun(lifetime: Lifetime | None, now_s: float, wall_s: float) -> Lifetime:
    """The lifetime of a stream that is created now, by the clock of the log.

    Args:
        now_s: What that clock shows.
        wall_s: Seconds since 1970, which an absolute lifetime counts.

    Raises:
        Misuse: both a sliding and an absolute one, or no numbers.
    """
    if lifetime is None or lifetime == FOREVER:
        return FOREVER
    ttl_s, expires_s = lifetime
    if ttl_s is None and expires_s is not None and expires_s == expires_s:
        return Lifetime(None, now_s + (expires_s - wall_s))
    if ttl_s is None or expires_s is not None or not ttl_s >= 0:
        raise Misuse(f"{lifetime}: either ttl_s, not under 0, or expires_s")
    return Lifetime(ttl_s, now_s + ttl_s)


def is_over(lifetime: Lifetime, now_s: float) -> bool:
    return lifetime.expires_s is not None and lifetime.expires_s <= now_s


def renewed(lifetime: Lifetime, now_s: float, *, unless: float = 0.0) -> Lifetime:
    """A lifetime after somebody used the stream; the same object if it is not sliding, or was just renewed.

    Args:
        unless: Leave it unchanged if no more than this part of it has passed.
    """
    ttl_s, expires_s = lifetime
    if ttl_s is None or expires_s is None or now_s + ttl_s - expires_s <= unless * ttl_s:
        return lifetime
    return Lifetime(ttl_s, now_s + ttl_s)


# -- positions ---------------------------------------------------------------------------------------------------


def is_position(after: Offset, written: Offset, epoch: int) -> bool:
    """Whether an offset is a position of the log.

    It is beyond the end of its own epoch exactly if a later epoch wrote the record that it names.

    Args:
        after: The offset to check, whose count is not beyond the tail.
        written: The offset that the log gave to the record of that count.
        epoch: The newest epoch of the stream.
    """
    return written.epoch <= after.epoch <= epoch


def gone(stream_id: str, after: Offset, tail: Offset) -> OffsetGone:
    """The answer to an offset that is not a position of the log."""
    return OffsetGone(
        f"stream {stream_id} has no position {after}: it goes from {START} to {tail}; read from within",
        start=str(START),
        tail=str(tail),
    )


def unknown(stream_id: str) -> StreamUnknown:
    return StreamUnknown(f"there is no stream {stream_id}")


def closed(stream_id: str, tail: Offset) -> StreamClosed:
    return StreamClosed(f"stream {stream_id} is closed at {tail}; nothing can be appended", tail=tail)
