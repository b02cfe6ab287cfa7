"""What is known of a stream, for people and programs that do not read it."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from lockgate.protocol.envelope import StreamEnd, decode_record
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import Head, StreamLog
from lockgate.streams.meta import decode_meta


async def status_of(log: StreamLog, stream_id: str) -> dict[str, Any]:
    """State, offset and, once the stream is over, its final record, as JSON values.

    Raises:
        StreamUnknown: there is no such stream.
    """
    head = await log.head(stream_id)
    meta = decode_meta(head.meta)
    end = await _end_of(log, stream_id, head) if meta.kind != "raw" else None
    without_end = "closed" if head.is_closed else "open"  # a raw stream has records of its own kind
    return {
        "id": stream_id,
        "state": end.state if end is not None else without_end,
        "model": meta.model,
        "schema": meta.schema,
        "records": head.tail.records,
        "offset": str(head.tail),
        "epoch": head.epoch,
        "closed": head.is_closed,
        "created": head.created_s,
        "age_s": round(time.time() - head.created_s, 3),
        "final": msgspec.to_builtins(end) if end is not None else None,
    }


async def _end_of(log: StreamLog, stream_id: str, head: Head) -> StreamEnd | None:
    if not head.is_closed or head.tail.records == 0:
        return None
    before = Offset(head.tail.epoch, head.tail.records - 1) if head.tail.records > 1 else START
    page = await log.read(stream_id, before, max_bytes=1)
    return decode_record(page.entries[-1].payload).final
