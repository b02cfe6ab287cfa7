"""How a store keeps one append: its payloads in one piece, their lengths beside it, under the last one's number."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from lockgate.errors import StoreError
from lockgate.protocol.offsets import Offset
from lockgate.store.base import LogEntry
from lockgate.store.log_rules import StreamState, gone, is_position

#: Number of the last record of an append, its epoch, what ``pack_sizes`` made, and the payloads in one piece.
PackedAppend = tuple[int, int, bytes | None, bytes]

#: Number of the append that a stream is created with; those of the owner begin with 0.
FIRST_SEQ: Final = -1
#: Number of appends to search for the offset of a repeat; more than any caller has on the way.
REPEATS: Final = 64


def pack_sizes(payloads: Sequence[bytes]) -> bytes | None:
    """The lengths of the payloads of one append; None for a single one, whose length is that of the piece."""
    return None if len(payloads) == 1 else struct.pack(f"<{len(payloads)}I", *map(len, payloads))


def entries_after(
    rows: Iterable[PackedAppend], stream_id: str, after: Offset, state: StreamState, *, is_all: bool = True
) -> Iterator[LogEntry]:
    """Entries after a position.

    Args:
        rows: In order; the first one holds the record before the position, if there is one.
        state: Of the stream, at the same moment.
        is_all: Whether the rows go on to the tail.

    Raises:
        OffsetGone: it is no position of the log.
        StoreError: a row is missing.
    """
    needed = max(after.records, 1)  # the record that the next row must hold
    for records, epoch, sizes, body in rows:
        lengths = (len(body),) if sizes is None else struct.unpack(f"<{len(sizes) // 4}I", sizes)
        first = records - len(lengths) + 1
        if first > needed:
            is_all = True
            break
        if needed == after.records:
            check_position(stream_id, after, Offset(epoch, needed), state)
        start = 0
        for number, length in enumerate(lengths, first):
            if number > after.records:
                yield LogEntry(Offset(epoch, number), body[start : start + length])
            start += length
        needed = records + 1
    if is_all and needed <= state.tail.records:
        raise StoreError(f"stream {stream_id}: record {needed} of {state.tail.records} is missing; the log is damaged")


def is_at_tail(stream_id: str, after: Offset, state: StreamState) -> bool:
    """Whether a position is the tail: then there is nothing to read.

    Raises:
        OffsetGone: it is beyond the tail, or of an epoch that never was.
    """
    if after.records > state.tail.records or after.epoch > state.epoch:
        raise gone(stream_id, after, state.tail)
    if after.records < state.tail.records:
        return False
    check_position(stream_id, after, state.tail, state)
    return True


def check_position(stream_id: str, after: Offset, written: Offset, state: StreamState) -> None:
    """Check that an offset is a position of the log, of which ``written`` is the last record before it.

    Raises:
        OffsetGone: it is not.
    """
    if not is_position(after, written, state.epoch):
        raise gone(stream_id, after, state.tail)
