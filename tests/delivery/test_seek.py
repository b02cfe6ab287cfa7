"""Who comes back in the middle of a long text does not make others wait while it is read."""

from __future__ import annotations

import asyncio

from lockgate.delivery.notes import WithNotes
from lockgate.delivery.seek import Seeker
from lockgate.delivery.views import SnapshotView
from lockgate.gate.partial import PartialValue
from lockgate.protocol.envelope import Record, encode_record
from lockgate.store.memory import MemoryLog

RECORD_BYTES, RECORDS = 1000, 200


async def test_others_get_turns_while_a_view_sees_what_was_before() -> None:
    log, text = MemoryLog(), ('["' + "x" * (RECORD_BYTES - 4) + '",').encode()[:RECORD_BYTES]
    epoch = await log.create("s", b"{}", owner="test")
    records = [
        Record("delta", "content", "schema", number, text=text.decode(), start_byte=number * RECORD_BYTES)
        for number in range(RECORDS)
    ]
    await log.append("s", [encode_record(record) for record in records], epoch=epoch, seq=0)
    view = WithNotes(
        SnapshotView(None, grow=PartialValue, pause_s=0, max_bytes=2**20, sides=False),
        channel=None,
        grow=PartialValue,
        created_s=0,
        silence_s=3,
        heard=lambda: None,
    )
    head, turns = await log.head("s"), 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(another())
    await Seeker(log, "s", head).prepare(view, head.tail)
    task.cancel()
    assert turns >= RECORDS * RECORD_BYTES // 8192
