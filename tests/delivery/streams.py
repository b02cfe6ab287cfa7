"""Streams for tests of delivery: made by the gateway's own channels from seeded documents, in a log in memory.

What each view must show is worked out from the documents and the records alone, not by the views.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from typing import Any

from msgspec import to_builtins

from lockgate import compile
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Record, StreamEnd, encode_record
from lockgate.protocol.lifecycle import Outcome
from lockgate.store.memory import MemoryLog
from lockgate.streams.channels import Channel
from lockgate.streams.plan import Judging, Plan
from lockgate.streams.schemas import SchemaHere
from lockgate.streams.side_records import SideRecords
from lockgate.upstream.base import Reasoned, ToolStarted

ROWS = {"type": "object", "properties": {"rows": {"type": "array", "items": {"type": "object"}}}}


@dataclass
class Made:
    """A finished stream, and the records that are in it."""

    log: MemoryLog
    records: list[Record]

    def chunks(self, after: int, channel: str | None = None) -> list[tuple[str, int, str]]:
        """Texts after an offset, with channel and sequence."""
        return [
            (record.channel, record.sequence, record.text)
            for record in self.records[after:]
            if record.kind == "delta" and channel in (None, record.channel)
        ]

    def beside(self, after: int, *, sides: bool) -> list[tuple[str, str, Any]]:
        """Channel, kind and body of the calls, and of the side records where they are wanted."""
        bodies = {"call": lambda record: to_builtins(record.call), "side": lambda record: record.members}
        return [
            (record.channel, record.kind, bodies[record.kind](record))
            for record in self.records[after:]
            if record.kind == "call" or (sides and record.kind == "side")
        ]

    def text(self, channel: str, upto: int | None = None) -> str:
        """Released text of a channel in the first so many records."""
        return "".join(record.text for record in self.records[:upto] if record.channel == channel)

    def elements(self, after: int) -> list[tuple[int, Any]]:
        """Index and value of the elements that end after an offset."""
        done = len(self._rows(after))
        return list(enumerate(self._rows(None)))[done:]

    def _rows(self, upto: int | None) -> list[Any]:
        count = sum(len(record.ends) for record in self.records[:upto] if record.channel == "content")
        rows: list[Any] = json.loads(self.text("content")).get("rows", [])
        return rows[:count]


def document(rng: random.Random) -> str:
    """A document of rows, spelled in one of several ways."""
    rows = [_row(rng) for _ in range(rng.randrange(0, 12))]
    value: dict[str, Any] = {"before": rng.choice(["", "é😀\n", 12.5, None]), "rows": rows, "after": [1, 2, {}]}
    indent = rng.choice([None, 1, 2])
    return json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=indent)


def _row(rng: random.Random) -> dict[str, Any]:
    text = "".join(rng.choice('abc é😀\\"\n') for _ in range(rng.randrange(0, 60)))
    return {"id": rng.randrange(10**6), "text": text, "tags": ["x"] * rng.randrange(0, 3)}


async def make(seed: int) -> Made:
    """A stream of two channels in pieces of seeded sizes, closed and whole."""
    rng = random.Random(seed)
    plan = Plan(
        {}, content=SchemaHere(compile(ROWS)), any_json=SchemaHere(compile(True)), judging=Judging(elements="/rows")
    )
    meters = Meters()
    channels = [Channel("content", plan, meters), Channel("tool/0", plan, meters, tool="t", call_id="c")]
    texts = [document(rng).encode(), document(rng).encode()]
    sides = SideRecords()
    log, records, seq = MemoryLog(), list[Record](), 0
    epoch = await log.create("s", b"{}", owner="test")
    while any(texts):
        batch: list[Record] = []
        for number, channel in enumerate(channels):
            size = rng.randrange(0, rng.choice([2, 8, 40, 400]))
            piece, texts[number] = texts[number][:size], texts[number][size:]
            if piece and channel.is_tool and not channel.upstream_bytes:
                batch.append(channel.call(ToolStarted(channel.name, "", ""), time.time()))
            if rng.random() < 0.2:
                sides.add(channel.name, Reasoned(0, b"Let me see. "))
                batch += sides.take({channel.name: channel.chunks}, time.time())
            if piece:
                batch += await channel.feed(piece, time.time())
        if batch:
            records += batch
            await log.append("s", [encode_record(record) for record in batch], epoch=epoch, seq=seq)
            seq += 1
    last = [record for channel in channels for record in await channel.close(clean=True, read_s=0.0)]
    ends = {channel.name: channel.end(Outcome.COMPLETE) for channel in channels}
    last.append(Record("final", "", "", 0, final=StreamEnd(Outcome.COMPLETE, "stop", "document", channels=ends)))
    records += last
    await log.append("s", [encode_record(record) for record in last], epoch=epoch, seq=seq, close=True)
    return Made(log, records)
