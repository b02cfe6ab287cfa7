"""The rules that every log keeps, without any I/O: who may append, what a repeat is, which offsets are gone.

One ``State`` is the producer's side of one stream. Whatever stores it must read it, ask ``admits``, write the records
and store it again in one atomic step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lockgate.errors import FencedOut, Misuse, OffsetGone, StoreError, StreamClosed, StreamUnknown
from lockgate.protocol.offsets import START, Offset

#: Offsets are written with four digits of epoch; one more digit and they would no longer sort as text.
MAX_EPOCH: Final = 9999


@dataclass(slots=True)
class State:
    """What decides about the next append of a stream.

    Attributes:
        epoch: Fencing number of the present owner.
        next_seq: Number of appends that this epoch committed.
        tail: Position after the last record; its epoch is the one that wrote that record.
        is_closed: Whether nothing more may come.
    """

    epoch: int = 1
    next_seq: int = 0
    tail: Offset = START
    is_closed: bool = False

    def admits(self, stream_id: str, *, epoch: int, seq: int) -> bool:
        """Judge an append: True is a new one, False a repeat of one that is committed already.

        Raises:
            FencedOut, StreamClosed, StoreError: as ``StreamLog.append`` says.
        """
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
            raise StreamClosed(f"stream {stream_id} is closed at {self.tail}; nothing can be appended")
        if seq > self.next_seq:
            raise StoreError(f"stream {stream_id}: append {seq} came, but {self.next_seq} is next; nothing was written")
        return True

    def advance(self, records: int, *, close: bool) -> None:
        """Move on after an admitted append of that many records."""
        if records:
            self.tail = Offset(self.epoch, self.tail.records + records)
        self.next_seq += 1
        self.is_closed = close

    def fence(self, stream_id: str) -> int:
        """Begin the next epoch and return it.

        Raises:
            StreamClosed: there is nothing left to write.
            StoreError: epochs have run out.
        """
        if self.is_closed:
            raise StreamClosed(f"stream {stream_id} is closed at {self.tail}; there is nothing to take over")
        if self.epoch >= MAX_EPOCH:
            raise StoreError(f"stream {stream_id} was taken over {MAX_EPOCH - 1} times; an offset cannot count further")
        self.epoch += 1
        self.next_seq = 0
        return self.epoch


def is_position(after: Offset, written: Offset, epoch: int) -> bool:
    """Whether an offset is a position of the log.

    It is not beyond the end of its own epoch exactly if the record it names was not written by a later one.

    Args:
        after: The offset in question, whose count is not beyond the tail's.
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
