"""Line ends inside a document break no event: every view, named and plain, with LF, CRLF and CR, at any cuts.

``tests/peers/test_indented.py`` reads the same through clients that others wrote.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lockgate import compile
from lockgate.delivery.event_stream import EventReader
from lockgate.delivery.forms import JsonForm
from lockgate.delivery.readers import Pacing, Readers
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Record, StreamEnd, encode_record
from lockgate.protocol.lifecycle import Outcome
from lockgate.protocol.offsets import START
from lockgate.protocol.sse import EventStreamDecoder
from lockgate.store.memory import MemoryLog
from lockgate.streams.channels import Channel
from lockgate.streams.plan import Judging, Plan
from lockgate.streams.schemas import SchemaHere
from tests.delivery.streams import ROWS
from tests.delivery.test_events import Connection
from tests.delivery.test_views import VIEWS, view_of

# Escaped line ends stay inside strings; the others stand between tokens. U+2028 and U+0085 end no line of an event.
VALUE = {"rows": [{"text": "a\r\nb\n\r", "empty": []}, {"text": "\u2028\u0085 é", "deep": [[1], {"a": {}}]}]}
LINE_ENDS = {"lf": "\n", "crlf": "\r\n", "cr": "\r", "empty lines": "\n\n", "mixed": "\r\r\n\n"}


async def logged(text: str, seed: int) -> MemoryLog:
    """A finished stream with this text, in records of seeded sizes."""
    rng = random.Random(seed)
    plan = Plan(
        {}, content=SchemaHere(compile(ROWS)), any_json=SchemaHere(compile(True)), judging=Judging(elements="/rows")
    )
    channel = Channel("content", plan, Meters())
    log = MemoryLog()
    epoch = await log.create("s", b"{}", owner="test")
    records: list[Record] = []
    for piece in pieces(text.encode(), rng):
        records += await channel.feed(piece, time.time())
    records += await channel.close(clean=True, read_s=0.0)
    ends = {"content": channel.end(Outcome.COMPLETE)}
    records.append(Record("final", "", "", 0, final=StreamEnd(Outcome.COMPLETE, "stop", "document", channels=ends)))
    await log.append("s", [encode_record(record) for record in records], epoch=epoch, seq=0, close=True)
    return log


def pieces(data: bytes, rng: random.Random) -> Iterator[bytes]:
    while data:
        size = rng.randrange(1, 12)
        yield data[:size]
        data = data[size:]


async def read(log: MemoryLog, view: str, *, is_plain: bool, max_read_bytes: int) -> list[Any]:
    """All items, by a decoder that gets the bytes in pieces."""
    connection, meters = Connection(), Meters()
    reader = EventReader(
        log,
        "s",
        START,
        view=view_of(view, notes=False),
        form=JsonForm(),
        pacing=Pacing(retry_ms=250, heartbeat_s=60.0, max_read_bytes=max_read_bytes, stuck_s=60.0),
        meters=meters,
        readers=Readers(meters, limit=10),
        is_plain=is_plain,
    )
    await reader.run(connection.receive, connection.send)
    decoder = EventStreamDecoder()
    events = [event for piece in pieces(bytes(connection.sent), random.Random(1)) for event in decoder.feed(piece)]
    if is_plain:
        assert {event.event for event in events} == {"message"}
        return [json.loads(event.data) for event in events]
    return [item for event in events if event.event == "data" for item in json.loads(event.data)]


@pytest.mark.parametrize("line_end", LINE_ENDS.values(), ids=list(LINE_ENDS))
@pytest.mark.parametrize("is_plain", [False, True], ids=["named", "plain"])
@pytest.mark.parametrize("view", VIEWS)
async def test_every_view_shows_the_document_whatever_ends_its_lines(view: str, is_plain: bool, line_end: str) -> None:
    text = json.dumps(VALUE, indent=2, ensure_ascii=False).replace("\n", line_end)
    for seed, max_read_bytes in ((1, 1), (2, 300), (3, 10**6)):
        log = await logged(text, seed)
        items = await read(log, view, is_plain=is_plain, max_read_bytes=max_read_bytes)
        if view == "text":
            assert "".join(items) == text
            continue
        assert items.pop()["data"][0]["state"] == "complete"
        shown = [value for item in items for value in item["data"]]
        match view:
            case "delta":
                assert "".join(shown) == text
            case "elements":
                assert shown == VALUE["rows"]
            case "snapshot":
                assert shown[-1] == VALUE
