"""One EventSource connection, driven through ASGI by hand: what it sends, when it waits, how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lockgate.delivery.event_stream import EventReader
from lockgate.delivery.forms import JsonForm
from lockgate.delivery.read_query import ReadQuery, offset_of
from lockgate.delivery.readers import Pacing, Readers
from lockgate.delivery.views import Item, RawView, TextView, View
from lockgate.errors import BadRequest
from lockgate.observe.metrics import Meters
from lockgate.protocol.offsets import START, Offset
from lockgate.protocol.sse import EventStreamDecoder, ServerSentEvent
from lockgate.store.memory import MemoryLog
from tests.delivery.streams import make


class Connection:
    """The server's side of one response: what was sent, a client that can be slow, and one that can leave."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.writes = 0
        self.is_ended = False
        self.flows = asyncio.Event()
        self.flows.set()
        self.changed = asyncio.Event()
        self._left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.flows.wait()
        if message["type"] == "http.response.body":
            self.sent += message["body"]
            self.writes += 1
            self.is_ended = not message["more_body"]
        self.changed.set()

    def leave(self) -> None:
        self._left.set()

    @property
    def events(self) -> list[ServerSentEvent]:
        return EventStreamDecoder().feed(bytes(self.sent))

    @property
    def items(self) -> list[Any]:
        return [item for event in self.events if event.event == "data" for item in json.loads(event.data)]

    async def has(self, wanted: bytes, times: int = 1) -> None:
        """Wait until that was sent."""
        while self.sent.count(wanted) < times:
            self.changed.clear()
            await self.changed.wait()


class Writer:
    """Appends numbers to one stream."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self._seq = 0

    async def write(self, *numbers: int, close: bool = False) -> None:
        await self.write_text(*(json.dumps(number) for number in numbers), close=close)

    async def write_text(self, *texts: str, close: bool = False) -> None:
        payloads = [text.encode() for text in texts]
        await self.log.append("s", payloads, epoch=1, seq=self._seq, close=close)
        self._seq += 1


@asynccontextmanager
async def connected(
    after: Offset = START, *, heartbeat_s: float = 60.0, is_plain: bool = False, view: View | None = None
) -> AsyncIterator[tuple[Writer, Connection, Any]]:
    log = MemoryLog()
    await log.open()
    assert await log.create("s", b"", owner="test") == 1
    readers = Readers(Meters(), limit=10)
    pacing = Pacing(retry_ms=250, heartbeat_s=heartbeat_s, max_read_bytes=1000, stuck_s=60.0)
    connection = Connection()

    def reading() -> asyncio.Task[None]:
        meters = Meters()
        reader = EventReader(
            log,
            "s",
            after,
            view=view or RawView(),
            form=JsonForm(),
            pacing=pacing,
            meters=meters,
            readers=readers,
            is_plain=is_plain,
        )
        return asyncio.create_task(reader.run(connection.receive, connection.send))

    try:
        yield Writer(log), connection, (reading, readers)
    finally:
        await log.shut()


async def test_records_go_out_as_they_are_committed() -> None:
    """One data event and one control event a commit, each with its offset; the end is said and the body closed."""
    async with connected() as (writer, connection, (reading, readers)):
        task = reading()
        await connection.has(b"retry: 250\n")
        await connection.has(b"event: control")
        await writer.write(1)
        await connection.has(b"event: control", times=2)
        await writer.write(2, 3, close=True)
        await task
        assert connection.items == [1, 2, 3]
        assert connection.is_ended
        assert [(event.event, event.last_event_id) for event in connection.events] == [
            ("control", "0000_0000000000000000"),
            ("data", "0001_0000000000000001"),
            ("control", "0001_0000000000000001"),
            ("data", "0001_0000000000000003"),
            ("control", "0001_0000000000000003"),
        ]
        controls = [json.loads(event.data) for event in connection.events if event.event == "control"]
        assert [control.get("streamClosed") for control in controls] == [None, None, True]
        assert all(control["upToDate"] for control in controls)
        assert readers.count == 0


async def test_a_slow_reader_gets_what_it_missed_in_one_event() -> None:
    """While a write is blocked the log grows; then everything comes at once, bounded by max_read_bytes."""
    async with connected() as (writer, connection, (reading, _)):
        task = reading()
        await writer.write(0)
        await connection.has(b"data:[0]")
        connection.flows.clear()
        for number in range(1, 400):
            await writer.write(number)
        await writer.write(close=True)
        connection.flows.set()
        await task
        assert connection.items == list(range(400))
        assert connection.writes < 10


@pytest.mark.parametrize("is_plain", [False, True], ids=["named", "plain"])
async def test_line_ends_between_values_reach_the_reader(is_plain: bool) -> None:
    """An item may be spelled on several lines; an event has a data line for each of them."""
    texts = ['{\n  "a": 1,\n  "b": [2,\r\n 3]\r}', "[\n]"]
    async with connected(is_plain=is_plain) as (writer, connection, (reading, _)):
        task = reading()
        await writer.write_text(*texts, close=True)
        await task
        plain = [json.loads(event.data) for event in connection.events]
        assert (plain if is_plain else connection.items) == [json.loads(text) for text in texts]


async def test_a_plain_reader_stands_at_the_end_whatever_its_view_shows() -> None:
    """The text view does not show the final record: an EventSource must not come back for it for ever."""
    made = await make(1)
    connection = Connection()
    meters = Meters()
    reader = EventReader(
        made.log,
        "s",
        START,
        view=TextView("content"),
        form=JsonForm(),
        pacing=Pacing(retry_ms=250, heartbeat_s=60.0, max_read_bytes=1000, stuck_s=60.0),
        meters=meters,
        readers=Readers(meters, limit=10),
        is_plain=True,
    )
    await reader.run(connection.receive, connection.send)
    assert "".join(json.loads(event.data) for event in connection.events) == made.text("content")
    assert connection.events[-1].last_event_id != str(Offset(1, len(made.records)))
    assert bytes(connection.sent).endswith(b"\n\nid: %b\n\n" % str(Offset(1, len(made.records))).encode())
    decoder = EventStreamDecoder()
    decoder.feed(bytes(connection.sent))
    assert decoder.last_event_id == str(Offset(1, len(made.records)))


async def test_silence_is_filled_with_comments() -> None:
    async with connected(heartbeat_s=0.02) as (writer, connection, (reading, _)):
        task = reading()
        await connection.has(b": beat\n", times=3)
        await writer.write(1, close=True)
        await task
        assert connection.items == [1]


class Silent(RawView):
    """Shows something in silence, or nothing, and counts how often it is asked."""

    silence_s = 0.01

    def __init__(self, *items: Item) -> None:
        self.asked = 0
        self._items = items

    def while_silent(self) -> list[Item]:
        self.asked += 1
        return list(self._items)


@pytest.mark.parametrize("is_plain", [False, True], ids=["named", "plain"])
async def test_what_a_view_shows_in_silence_comes_again_and_again(is_plain: bool) -> None:
    """It moves no reader: what comes next has the next offset."""
    async with connected(is_plain=is_plain, view=Silent(Item(None, b'"silent"'))) as (writer, connection, (reading, _)):
        task = reading()
        await connection.has(b'"silent"', times=3)
        ids = {event.last_event_id for event in connection.events}
        assert ids == {"" if is_plain else "0000_0000000000000000"}
        await writer.write(1, close=True)
        await task
        assert connection.events[-1].last_event_id == "0001_0000000000000001"


async def test_a_view_with_nothing_to_show_in_silence_is_not_asked_all_the_time() -> None:
    """The heartbeat goes on, and the view is asked once for each time that is due."""
    view = Silent()
    async with connected(heartbeat_s=0.05, view=view) as (writer, connection, (reading, _)):
        task = reading()
        began_s = asyncio.get_running_loop().time()
        await connection.has(b": beat\n", times=3)
        took_s = asyncio.get_running_loop().time() - began_s
        assert 0 < view.asked <= took_s / view.silence_s + 3  # and with each heartbeat
        await writer.write(1, close=True)
        await task


async def test_a_client_that_leaves_ends_its_reader() -> None:
    """Also while nothing is sent: the reader watches for itself."""
    async with connected() as (writer, connection, (reading, readers)):
        task = reading()
        await writer.write(1)
        await connection.has(b"data:[1]")
        assert readers.count == 1
        connection.leave()
        await task
        assert readers.count == 0
        assert not connection.is_ended


async def test_a_cancelled_reader_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    async with connected() as (writer, connection, (reading, readers)):
        task = reading()
        await writer.write(1)
        await connection.has(b"data:[1]")
        task.cancel()
        await asyncio.wait([task])
        assert readers.count == 0
        assert asyncio.all_tasks() == before, "the watcher is gone too"


async def test_dropped_readers_break_off_without_an_end() -> None:
    async with connected() as (writer, connection, (reading, readers)):
        task = reading()
        await writer.write(1)
        await connection.has(b"data:[1]")
        assert readers.drop("s") == 1
        await task
        assert not connection.is_ended
        assert readers.drop("s") == 0


async def test_reading_starts_after_the_offset() -> None:
    async with connected(Offset(1, 2)) as (writer, connection, (reading, _)):
        await writer.write(1, 2, 3, 4, close=True)
        await reading()
        assert connection.items == [3, 4]


@pytest.mark.parametrize(
    ("offset", "last_event_id", "expected"),
    [
        pytest.param(None, None, START, id="from the start"),
        pytest.param("-1", None, START, id="from the start, in Durable Streams' words"),
        pytest.param("now", None, Offset(3, 9), id="from the tail"),
        pytest.param("0001_0000000000000004", None, Offset(1, 4), id="from an offset"),
        pytest.param("now", "0001_0000000000000004", Offset(1, 4), id="Last-Event-ID wins"),
        pytest.param("0001_0000000000000004", "", Offset(1, 4), id="an empty Last-Event-ID is none"),
    ],
)
def test_where_to_start(offset: str | None, last_event_id: str | None, expected: Offset) -> None:
    assert offset_of(ReadQuery(offset=offset, last_event_id=last_event_id), Offset(3, 9)) == expected


def test_a_malformed_offset_says_what_one_looks_like() -> None:
    with pytest.raises(BadRequest, match="0000_0000000000000000"):
        offset_of(ReadQuery(offset="yesterday"), START)


async def test_an_offset_of_a_later_owner_at_the_end_is_the_end() -> None:
    """A position can have two names after a takeover; both end a reader at a closed tail."""
    async with connected(Offset(2, 1)) as (writer, connection, (reading, _)):
        await writer.write(1)
        epoch = await writer.log.take_over("s", owner="other")
        await writer.log.append("s", [], epoch=epoch, seq=0, close=True)
        await reading()
        assert connection.items == []
        assert connection.is_ended
