"""Views: a resumed one equals an uninterrupted one, from every offset, whatever was dropped in between (P4)."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any, get_args

import jsonpatch
import pytest

from lockgate.delivery.json_patch import PatchView
from lockgate.delivery.notes import WithNotes
from lockgate.delivery.ropes import SharedText, SharedTexts
from lockgate.delivery.seek import Seeker
from lockgate.delivery.views import DeltaView, ElementsView, Item, SnapshotView, TextView, View
from lockgate.gate.limits import Limits
from lockgate.gate.operations import Operations
from lockgate.gate.partial import PartialValue
from lockgate.gate.values import NOTHING, value_of
from lockgate.protocol.envelope import ChannelEnd, Record, StreamEnd, WaitingFor, encode_record
from lockgate.protocol.lifecycle import Outcome
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import LogEntry
from tests.delivery.streams import Made, make

VIEWS = ("delta", "elements", "snapshot", "patch", "text")


def sharing(texts: SharedTexts) -> Callable[[str, int], SharedText]:
    return lambda channel, restarts: texts.of((channel, restarts))


def view_of(name: str, *, notes: bool, sides: bool = False, texts: SharedTexts | None = None) -> View:
    share = sharing(texts or SharedTexts())
    view: View
    match name:
        case "delta":
            view = DeltaView(sides=sides)
        case "elements":
            view = ElementsView("content", sides=sides)
        case "snapshot":
            view = SnapshotView(None, grow=PartialValue, share=share, pause_s=0.0, max_bytes=2**20, sides=sides)
        case "patch":
            view = PatchView(None, follow=Operations, share=share, max_bytes=2**20, sides=sides)
        case _:
            view = TextView("content")
    if not notes:
        return view
    return WithNotes(view, channel=None, grow=PartialValue, created_s=0.0, silence_s=3.0)


class Reader:
    """Reads pages of random sizes, and loses its connection at random: within a page, or after it."""

    def __init__(
        self,
        made: Made,
        name: str,
        rng: random.Random,
        *,
        drops: int,
        notes: bool,
        sides: bool,
        texts: SharedTexts | None = None,
    ) -> None:
        self._made = made
        self._name = name
        self._rng = rng
        self._drops = drops
        self._notes = notes
        self._sides = sides
        self._texts = texts
        self.items: list[Any] = []

    async def read(self, after: Offset) -> list[Any]:
        position: Offset | None = after
        while position is not None:
            position = await self._connection(position)
        return self.items

    async def _connection(self, after: Offset) -> Offset | None:
        """One connection; answers where to go on, or None at the end."""
        log, rng = self._made.log, self._rng
        head = await log.head("s")
        view = view_of(self._name, notes=self._notes, sides=self._sides, texts=self._texts)
        await Seeker(log, "s", head).prepare(view, after)
        while True:
            page = await log.read("s", after, max_bytes=rng.choice([1, 100, 1000, 10**6]))
            await asyncio.sleep(0)  # a log in memory never waits, one on a disk does
            if not page.entries:
                return None
            items = view.show(page.entries)
            if self._drops and rng.random() < 0.3:
                self._drops -= 1
                if rng.random() < 0.5:  # the whole page arrived: a named event is one
                    self._take(items)
                    return page.entries[-1].offset
                return self._take_some(items, after)
            self._take(items)
            after = page.entries[-1].offset

    def _take_some(self, items: list[Item], after: Offset) -> Offset:
        """Only some events of a page arrived: plain events have an id each, and one without keeps the last."""
        arrived = items[: self._rng.randrange(len(items) + 1)]
        self._take(arrived)
        return next((item.offset for item in reversed(arrived) if item.offset is not None), after)

    def _take(self, items: list[Item]) -> None:
        self.items += [json.loads(bytes(item.data)) for item in items]


def check(made: Made, name: str, after: int, items: list[Any], *, sides: bool) -> None:
    """Everything that is after the offset, once, in order; worked out from the records."""
    if name == "text":
        before = made.text("content", after)
        assert before + "".join(items) == made.text("content")
        return
    shown = [item for item in items if not (item["meta"]["kind"] == "note" and "errors" not in item)]
    beside = [item for item in shown if item["meta"]["kind"] in ("call", "side")]
    only = "content" if name == "elements" else None
    wanted = [one for one in made.beside(after, sides=sides) if only in (None, one[0])]
    assert [(one["meta"]["channel"], one["meta"]["kind"], one["data"][0]) for one in beside] == wanted
    shown = [item for item in shown if item not in beside]
    assert [item["meta"]["kind"] for item in shown].count("final") == 1
    assert shown[-1]["meta"]["kind"] == "final"
    match name:
        case "delta":
            assert _chunks(shown) == made.chunks(after)
        case "elements":
            assert _elements(shown) == made.elements(after)
        case "snapshot":
            _check_snapshots(made, after, shown)
        case "patch":
            _check_patches(made, after, shown)


def _chunks(items: list[Any]) -> list[tuple[str, int, str]]:
    found = []
    at: dict[str, int] = {}
    for item in items[:-1]:
        meta = item["meta"]
        assert meta["at"] == at.setdefault(meta["channel"], meta["at"]), "bytes without gaps"
        for count, text in enumerate(item["data"]):
            found.append((meta["channel"], meta["sequence"] + count, text))
            at[meta["channel"]] += len(text.encode())
    return found


def _elements(items: list[Any]) -> list[tuple[int, Any]]:
    found = []
    for item in items[:-1]:
        assert item["meta"]["kind"] == "element"
        found += list(enumerate(item["data"], item["meta"]["sequence"]))
    return found


def _check_snapshots(made: Made, after: int, items: list[Any]) -> None:
    """Each is the value of the text that it says, none goes back, and the last of a channel that grew is the whole."""
    last: dict[str, int] = {}
    for item in items[:-1]:
        channel, at = item["meta"]["channel"], item["meta"]["at"]
        prefix = made.text(channel).encode()[:at]
        assert item["data"][0] == value_of(prefix, Limits())
        assert at >= last.get(channel, 0)
        last[channel] = at
    for channel in ("content", "tool/0"):
        assert value_of(made.text(channel).encode()[: last[channel]], Limits()) == json.loads(made.text(channel))


def _check_patches(made: Made, after: int, items: list[Any]) -> None:
    """To who has the value as of the offset, each makes it the value of the text that it says; the last, the whole."""
    for channel in ("content", "tool/0"):
        value = value_of(made.text(channel, after).encode(), Limits())
        at = len(made.text(channel, after).encode())
        for item in items[:-1]:
            if item["meta"]["channel"] == channel:
                assert item["meta"]["kind"] == "patch"
                assert item["meta"]["at"] >= at
                at = item["meta"]["at"]
                value = jsonpatch.apply_patch(None if value is NOTHING else value, item["data"])
        assert value == json.loads(made.text(channel))


async def resume_everywhere(name: str, seed: int) -> int:
    """One stream, read from every offset with random drops, page sizes and notes; answers how many readings."""
    made = await make(seed)
    for after in range(len(made.records) + 1):
        rng = random.Random(f"{seed}/{after}")
        notes, sides = (name != "text" and rng.random() < 0.3 for _ in range(2))
        reader = Reader(made, name, rng, drops=rng.randrange(4), notes=notes, sides=sides)
        items = await reader.read(Offset(1, after) if after else START)
        if after < len(made.records):
            check(made, name, after, items, sides=sides)
        else:
            assert items == []
    return len(made.records) + 1


@pytest.mark.blocks_loop("measures memory of many readers in one step")
async def test_many_readers_of_snapshots_hold_one_text() -> None:
    """At different places of it, coming and going; each is shown what it would be shown alone, and nothing is left."""
    for seed in range(12):
        made, rng, texts = await make(seed), random.Random(seed), SharedTexts()
        places = [rng.randrange(len(made.records)) for _ in range(6)]
        readers = [
            Reader(made, "snapshot", random.Random(place), drops=2, notes=False, sides=False, texts=texts)
            for place in places
        ]
        most = 0

        async def count(texts: SharedTexts = texts) -> None:
            nonlocal most
            while True:
                most = max(most, texts.count)
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        shown = await asyncio.gather(
            *(reader.read(Offset(1, place) if place else START) for reader, place in zip(readers, places, strict=True))
        )
        counting.cancel()
        for place, items in zip(places, shown, strict=True):
            check(made, "snapshot", place, items, sides=False)
        assert 0 < most <= 2, "content and one tool"
        assert texts.count == 0


@pytest.mark.parametrize("name", VIEWS)
async def test_resumed_equals_uninterrupted_from_every_offset(name: str) -> None:
    """Some seeds; make acceptance runs a thousand."""
    for seed in range(12):
        await resume_everywhere(name, seed)


async def test_places_said_by_chunk_element_and_byte() -> None:
    """Each leads to where the same thing said by offset leads; what does not exist is gone, never "up to date"."""
    from lockgate.errors import OffsetGone

    for seed in range(20):
        made = await make(seed)
        head = await made.log.head("s")
        seeker = Seeker(made.log, "s", head)
        for channel in ("content", "tool/0"):
            await asyncio.sleep(0)
            chunks = made.chunks(0, channel)
            for number in range(len(chunks) + 1):
                after = await seeker.chunk(channel, number)
                assert made.chunks(after.records, channel) == chunks[number:]
            with pytest.raises(OffsetGone):
                await seeker.chunk(channel, len(chunks) + 1)
            text = made.text(channel).encode()
            for at in range(0, len(text) + 1, 7):
                after, skip = await seeker.byte(channel, at)
                rest = "".join(text for _, _, text in made.chunks(after.records, channel)).encode()
                assert rest[skip:] == text[at:]
            with pytest.raises(OffsetGone):
                await seeker.byte(channel, len(text) + 1)
        elements = made.elements(0)
        for index in range(len(elements) + 1):
            view = ElementsView("content", first=index)
            after = await seeker.element("content", index)
            await seeker.prepare(view, after)
            page = await made.log.read("s", after, max_bytes=2**30)
            items = [json.loads(bytes(item.data)) for item in view.show(page.entries)]
            assert _elements(items) == elements[index:]
        with pytest.raises(OffsetGone):
            await seeker.element("content", len(elements) + 1)


async def test_an_element_is_found_without_reading_the_whole_log() -> None:
    """Preparing the elements view reads back to the element before, however long the log is."""
    made = await make(3)
    reads = 0
    original = made.log.read

    async def counting(stream_id: str, after: Offset, *, max_bytes: int) -> Any:
        nonlocal reads
        page = await original(stream_id, after, max_bytes=max_bytes)
        reads += len(page.entries)
        return page

    made.log.read = counting  # type: ignore[method-assign]
    head = await made.log.head("s")
    view = ElementsView("content")
    last_end = max(number for number, record in enumerate(made.records, 1) if record.ends)
    assert head.tail.records > last_end
    await Seeker(made.log, "s", head).prepare(view, Offset(1, last_end))
    assert reads <= 64


async def test_notes_tell_how_judging_goes_on() -> None:
    """State, path, members done, elements, bytes held, progress, health; at the end the outcome."""
    made = await make(5)
    now = [0.0]
    view = WithNotes(
        DeltaView(),
        channel=None,
        grow=PartialValue,
        created_s=0.0,
        silence_s=3.0,
        now=lambda: now[0],
    )
    notes = []
    for number, record in enumerate(made.records):
        now[0] = record.read_s or now[0]
        page = await made.log.read("s", Offset(1, number) if number else START, max_bytes=1)
        items = [json.loads(bytes(item.data)) for item in view.show(page.entries)]
        notes += [item for item in items if item["meta"]["kind"] == "note"]
    for note in notes:
        said = note["data"][0]
        assert said["progress"]["released_bytes"] <= len(made.text(note["meta"]["channel"]).encode())
    last = {note["meta"]["channel"]: note["data"][0] for note in notes}
    rows = len(made.elements(0))
    assert last["content"]["members_done"] == ["before", "rows", "after"]
    assert last["content"].get("elements_done", 0) == rows
    assert (last["content"]["state"], last["content"]["health"]["upstream"]) == ("complete", "ended")
    first = next(note["data"][0] for note in notes if note["meta"]["channel"] == "content")
    assert (first["state"], first["health"]["upstream"]) == ("open", "flowing")


def silence(view: WithNotes) -> list[dict[str, Any]]:
    """What is told in silence, without an offset and of the whole stream."""
    items = view.while_silent()
    assert all(item.offset is None for item in items)
    notes = [json.loads(bytes(item.data)) for item in items]
    assert all((note["meta"]["kind"], note["meta"]["channel"]) == ("note", "") for note in notes)
    return [one for note in notes for one in note["data"]]


async def test_silence_is_told_from_what_the_log_shows() -> None:
    """From the creation on, and after each text; also to a reader that is shown only another channel."""
    made, now = await make(5), [100.0]
    view = WithNotes(
        DeltaView("tool/0"), channel="tool/0", grow=None, created_s=90.0, silence_s=3.0, now=lambda: now[0]
    )
    assert silence(view) == [{"silent_s": 10.0, "waiting_for": "first token"}]
    content = next(record for record in made.records if record.channel == "content" and record.kind == "delta")
    now[0] = content.read_s + 2.9
    payload = encode_record(content)
    view.show([LogEntry(Offset(1, 1), payload)])
    assert silence(view) == []
    now[0] = content.read_s + 12.04
    assert silence(view) == [{"silent_s": 12.0, "waiting_for": "next token"}]


async def test_what_the_generating_node_knows_is_told_before_what_the_log_shows() -> None:
    """Text that is held is in no record, and a model that reasons is not silent."""
    heard: list[tuple[float, WaitingFor] | None] = [(99.0, "next token")]
    view = WithNotes(
        DeltaView(),
        channel=None,
        grow=None,
        created_s=0.0,
        silence_s=3.0,
        heard=lambda: heard[0],
        now=lambda: 100.0,
    )
    assert silence(view) == []
    for waiting_for in get_args(WaitingFor):
        heard[0] = (80.0, waiting_for)
        assert silence(view) == [{"silent_s": 20.0, "waiting_for": waiting_for}]
    heard[0] = None
    assert silence(view) == [{"silent_s": 100.0, "waiting_for": "first token"}]


def patched(view: PatchView, records: list[Record]) -> list[tuple[str, Any]]:
    """Kind of each item, and of a patch its operations, of records that are read one by one."""
    found = []
    for number, record in enumerate(records, 1):
        for item in view.show([LogEntry(Offset(1, number), encode_record(record))]):
            shown = json.loads(bytes(item.data))
            found.append((shown["meta"]["kind"], shown["data"]))
    return found


def _text(schema: str, *texts: str) -> list[Record]:
    return [Record("delta", "content", schema, number, 0, text) for number, text in enumerate(texts)]


def _final(outcome: Outcome) -> Record:
    ends = {"content": ChannelEnd(outcome, 1, 1, 1, "")}
    return Record("final", "", "", 0, final=StreamEnd(outcome, "stop", "none", channels=ends))


def test_patches_of_text_without_a_schema_are_of_a_string() -> None:
    """And the rest of it is shown when the stream is over, however little that is."""
    view = view_of("patch", notes=False)
    assert isinstance(view, PatchView)
    *shown, (kind, _) = patched(view, [*_text("", 'a "b"\n', "x" * 30, "y"), _final(Outcome.INCOMPLETE)])
    assert kind == "final"
    values = [operations[0]["value"] for _, operations in shown]
    assert values == ['a "b"\n', 'a "b"\n' + "x" * 30, 'a "b"\n' + "x" * 30 + "y"]


def test_patches_begin_anew_after_a_restart_and_end_with_a_number_at_the_root() -> None:
    view = view_of("patch", notes=False)
    assert isinstance(view, PatchView)
    records = [*_text("s", "[1, 2"), Record("restart", "content", "s", 1), *_text("s", "12"), _final(Outcome.COMPLETE)]
    assert [one for one in patched(view, records) if one[0] != "final"] == [
        ("patch", [{"op": "add", "path": "", "value": [1]}]),
        ("restart", []),
        ("patch", [{"op": "add", "path": "", "value": 12}]),
    ]


def test_a_text_that_is_too_long_has_no_more_patches() -> None:
    view = PatchView(None, follow=Operations, share=sharing(SharedTexts()), max_bytes=10)
    shown = patched(view, [*_text("s", "[1, 2, 3", ", 4]"), _final(Outcome.COMPLETE)])
    assert [kind for kind, _ in shown] == ["patch", "final"]
