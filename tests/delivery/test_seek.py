"""Who comes back in the middle of a long text does not make others wait while it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from lockgate.delivery.notes import WithNotes
from lockgate.delivery.ropes import SharedTexts
from lockgate.delivery.seek import Seeker
from lockgate.delivery.views import SnapshotView, in_turns
from lockgate.gate.partial import PartialValue
from lockgate.protocol.envelope import Record, encode_record
from lockgate.protocol.offsets import START
from lockgate.store.memory import MemoryLog
from tests.delivery.test_views import sharing

BYTES = 200_000


def view_of() -> WithNotes:
    return WithNotes(
        SnapshotView(None, grow=PartialValue, share=sharing(SharedTexts()), pause_s=0, max_bytes=2**20, sides=False),
        channel=None,
        grow=PartialValue,
        created_s=0,
        silence_s=3,
        now=lambda: 0.0,
    )


@pytest.mark.parametrize("records", [1, 200])
async def test_others_get_turns_while_a_text_is_read(records: int) -> None:
    """Before what is shown and in it, be it one record or many; with the same items as without a pause."""
    length = BYTES // records
    log, text = MemoryLog(), ('["' + "x" * (length - 4) + '",')
    epoch = await log.create("s", b"{}", owner="test")
    made = [
        Record("delta", "content", "schema", number, text=text, start_byte=number * length) for number in range(records)
    ]
    await log.append("s", [encode_record(record) for record in made], epoch=epoch, seq=0)
    head, page, turns = await log.head("s"), await log.read("s", START, max_bytes=2**24), 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(another())
    came_back = view_of()
    await Seeker(log, "s", head).prepare(came_back, head.tail)
    assert turns >= BYTES // 8192
    turns = 0
    items = await in_turns(view_of().showing(page.entries))
    assert turns >= BYTES // 8192
    task.cancel()
    assert [bytes(item.data) for item in items] == [bytes(item.data) for item in view_of().show(page.entries)]
    assert bytes(came_back.show([])[0].data) == bytes(items[0].data)


async def test_many_that_read_take_one_turn_between_them() -> None:
    """Each is read to its end, and in no round of the event loop more than one goes on."""
    rounds, done = [0], 0

    def steps() -> Iterator[int]:
        nonlocal done
        for _ in range(20):
            yield 4096
            rounds[-1] += 1
        done += 1

    async def another() -> None:
        while True:
            rounds.append(0)
            await asyncio.sleep(0)

    task = asyncio.create_task(another())
    await asyncio.gather(*(in_turns(steps()) for _ in range(30)))
    task.cancel()
    assert done == 30
    assert sum(rounds) == 30 * 20
    assert max(rounds) == 1
