"""What is known of a stream, for people and programs that do not read it."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec

from lockgate.protocol.envelope import StreamEnd, decode_record
from lockgate.protocol.lifecycle import Outcome
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import Head, StreamLog
from lockgate.streams.meta import decode_meta


class StreamStatus(msgspec.Struct, frozen=True):
    """What is known of a stream.

    Attributes:
        id: Its id.
        state: ``open``, or what became of it; ``closed`` for a raw stream, which nobody judges.
        model: The model that was asked; ``""`` for a pushed stream.
        schema: ``name@version``, or ``inline@sha256:...``; ``""`` where the content is not judged.
        records: How many records its log has.
        offset: Offset of the tail.
        epoch: How many nodes have owned it.
        closed: Whether nothing can come any more.
        created: When it was made, in seconds since 1970.
        age_s: Seconds since then.
        final: How it ended; null while it is open, and of a raw stream.
    """

    id: str
    state: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["open", *Outcome, "closed"]})]
    model: str
    schema: str
    records: int
    offset: str
    epoch: int
    closed: bool
    created: float
    age_s: float
    final: StreamEnd | None


async def status_of(log: StreamLog, stream_id: str) -> StreamStatus:
    """State, offset and, once the stream is over, its final record.

    Raises:
        StreamUnknown: there is no such stream.
    """
    head = await log.head(stream_id)
    meta = decode_meta(head.meta)
    end = await _end_of(log, stream_id, head) if meta.kind != "raw" else None
    without_end = "closed" if head.is_closed else "open"  # a raw stream has records of its own kind
    return StreamStatus(
        id=stream_id,
        state=end.state if end is not None else without_end,
        model=meta.model,
        schema=meta.schema,
        records=head.tail.records,
        offset=str(head.tail),
        epoch=head.epoch,
        closed=head.is_closed,
        created=head.created_s,
        age_s=round(time.time() - head.created_s, 3),
        final=end,
    )


async def _end_of(log: StreamLog, stream_id: str, head: Head) -> StreamEnd | None:
    if not head.is_closed or head.tail.records == 0:
        return None
    before = Offset(head.tail.epoch, head.tail.records - 1) if head.tail.records > 1 else START
    page = await log.read(stream_id, before, max_bytes=1)
    return decode_record(page.entries[-1].payload).final
