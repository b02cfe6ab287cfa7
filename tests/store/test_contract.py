"""What every log promises, asked of each of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.errors import FencedOut, Misuse, OffsetGone, StoreError, StreamClosed, StreamExists, StreamUnknown
from lockgate.protocol.offsets import START, Offset, parse_offset
from lockgate.store.base import Lifetime, LogEntry, StreamLog
from tests.store.logs import KINDS, Clock, expire_all, follow, make, opened, rest, those_of, turns

Test = Callable[[StreamLog], Awaitable[None]]
NUMBERS = count(1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def log(kind: str, tmp_path: Path, clock: Clock) -> StreamLog:
    """A log that is not open yet."""
    return make(kind, tmp_path, clock)


# -- appending ---------------------------------------------------------------------------------------------------


async def test_offsets_count_the_records(log: StreamLog) -> None:
    """The offset of an append is the position after its last record; payloads come back byte for byte."""
    async with opened(log):
        assert await log.create("s", b"meta", owner="a") == 1
        assert await log.append("s", [b"one"], epoch=1, seq=0) == Offset(1, 1)
        assert await log.append("s", [b"", b"\x00\xff", b"two"], epoch=1, seq=1) == Offset(1, 4)
        assert await rest(log, "s") == [
            LogEntry(Offset(1, 1), b"one"),
            LogEntry(Offset(1, 2), b""),
            LogEntry(Offset(1, 3), b"\x00\xff"),
            LogEntry(Offset(1, 4), b"two"),
        ]


async def test_an_append_is_idempotent(log: StreamLog) -> None:
    """The same (epoch, seq) again changes nothing and answers the same offset, also after the close."""
    async with opened(log):
        await log.create("s", b"", owner="a")
        offsets = [await log.append("s", [b"x"] * (seq + 1), epoch=1, seq=seq, close=seq == 4) for seq in range(5)]
        again = [await log.append("s", [b"other"], epoch=1, seq=seq) for seq in range(5)]
        assert again == offsets
        assert len(await rest(log, "s")) == offsets[-1].records == 15
        await log.create("long", b"", owner="a")
        for seq in range(150):
            await log.append("long", [b"x"], epoch=1, seq=seq)
        assert await log.append("long", [b"x"], epoch=1, seq=148) == Offset(1, 149)


async def test_an_append_may_be_empty(log: StreamLog) -> None:
    """It counts as an append, moves nothing, and can close the stream."""
    async with opened(log):
        await log.create("s", b"", owner="a")
        assert await log.append("s", [], epoch=1, seq=0) == START
        assert await log.append("s", [b"x"], epoch=1, seq=1) == Offset(1, 1)
        assert await log.take_over("s", owner="b") == 2
        assert await log.append("s", [], epoch=2, seq=0) == Offset(1, 1)
        assert await log.append("s", [], epoch=2, seq=1, close=True) == Offset(1, 1)
        assert await log.append("s", [], epoch=2, seq=1, close=True) == Offset(1, 1)
        assert (await log.read("s", Offset(1, 1), max_bytes=1)).is_closed


async def test_what_is_refused_changes_nothing(log: StreamLog) -> None:
    async with opened(log):
        await log.create("s", b"", owner="a")
        await log.append("s", [b"x"], epoch=1, seq=0)
        with pytest.raises(StoreError, match=r"append 2 came, but 1 is next"):
            await log.append("s", [b"gap"], epoch=1, seq=2)
        with pytest.raises(Misuse):
            await log.append("s", [b"before"], epoch=1, seq=-1)
        for epoch in (0, 2):
            with pytest.raises(FencedOut):
                await log.append("s", [b"other epoch"], epoch=epoch, seq=1)
        assert await log.append("s", [b"y"], epoch=1, seq=1, close=True) == Offset(1, 2)
        with pytest.raises(StreamClosed):
            await log.append("s", [b"late"], epoch=1, seq=2)
        with pytest.raises(StreamClosed):
            await log.take_over("s", owner="b")
        assert [entry.payload for entry in await rest(log, "s")] == [b"x", b"y"]


async def test_taking_over_fences_the_owner_out(log: StreamLog) -> None:
    """The next epoch begins at seq 0, the count of records runs on, the old owner hears that it is out."""
    async with opened(log):
        await log.create("s", b"", owner="a")
        await log.append("s", [b"1", b"2"], epoch=1, seq=0)
        assert await log.take_over("s", owner="b") == 2
        for seq in (0, 1):  # a repeat, too: the zombie must stop
            with pytest.raises(FencedOut):
                await log.append("s", [b"zombie"], epoch=1, seq=seq)
        assert (await log.head("s")).tail == Offset(1, 2), "taking over writes no record"
        assert await log.append("s", [b"3"], epoch=2, seq=0) == Offset(2, 3)
        head = await log.head("s")
        assert (head.owner, head.epoch, head.tail) == ("b", 2, Offset(2, 3))
        assert [entry.payload for entry in await rest(log, "s")] == [b"1", b"2", b"3"]


async def test_epochs_run_out_before_offsets_stop_sorting(log: StreamLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.store.log_rules.MAX_EPOCH", 2)
    async with opened(log):
        await log.create("s", b"", owner="a")
        await log.take_over("s", owner="b")
        with pytest.raises(StoreError, match="taken over"):
            await log.take_over("s", owner="c")


# -- reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_bytes", [1, 7, 10_000])
async def test_reading_from_every_offset_gives_the_rest(log: StreamLog, max_bytes: int) -> None:
    """From the start, from every position between, inside an append of several, across epochs, and from the tail."""
    rng = random.Random(max_bytes)
    async with opened(log):
        await log.create("s", b"", owner="a")
        for epoch in (1, 2, 3):
            for seq in range(6):
                payloads = [rng.randbytes(rng.randrange(6)) for _ in range(rng.randrange(4))]
                await log.append("s", payloads, epoch=epoch, seq=seq)
            await log.take_over("s", owner="b")
        entries = await rest(log, "s")
        offsets = [START, *(entry.offset for entry in entries)]
        assert [str(offset) for offset in offsets] == sorted({str(offset) for offset in offsets})
        assert [parse_offset(str(offset)) for offset in offsets] == offsets
        for index, after in enumerate(offsets):
            assert await rest(log, "s", after, max_bytes=max_bytes) == entries[index:]


async def test_a_page_is_bounded(log: StreamLog) -> None:
    """At most ``max_bytes``, but one entry in any case; and a bounded number of empty ones."""
    async with opened(log):
        await log.create("s", b"", owner="a")
        await log.append("s", [b"12345", b"6", b"7", b"89"], epoch=1, seq=0)
        for max_bytes, count in ((0, 1), (1, 1), (5, 1), (6, 2), (8, 3), (9, 4)):
            page = await log.read("s", START, max_bytes=max_bytes)
            assert (len(page.entries), page.tail, page.is_closed) == (count, Offset(1, 4), False)
        await log.append("s", [b""] * 10_000, epoch=1, seq=1)
        assert len((await log.read("s", START, max_bytes=1 << 20)).entries) < 5000
        assert len(await rest(log, "s")) == 10_004


async def test_offsets_outside_the_log_are_gone(log: StreamLog) -> None:
    """Beyond the tail, of an epoch that never was, or beyond the end of its own epoch: never "up to date"."""
    wrote = {1: 3, 2: 0, 3: 2}  # epoch -> records; epoch 4 has not written yet
    async with opened(log):
        await log.create("s", b"", owner="a")
        for epoch, records in wrote.items():
            await log.append("s", [b"x"] * records, epoch=epoch, seq=0)
            await log.take_over("s", owner="b")
        entries = await rest(log, "s")
        for after in (Offset(epoch, records) for epoch in range(7) for records in range(8)):
            reached = sum(wrote.get(epoch, 0) for epoch in range(after.epoch + 1))
            if after.records <= reached and after.epoch <= 4:
                assert await rest(log, "s", after) == entries[after.records :], after
            else:
                with pytest.raises(OffsetGone) as gone:
                    await log.read("s", after, max_bytes=1)
                assert (gone.value.start, gone.value.tail) == (str(START), str(Offset(3, 5)))


async def test_an_offset_that_is_gone_does_not_freeze_the_log(log: StreamLog) -> None:
    """What is asked after the refusal sees what is committed after it."""
    async with opened(log):
        await log.create("s", b"", owner="a")
        for epoch in (1, 2):
            await log.append("s", [b"x", b"y"], epoch=epoch, seq=0)
            await log.append("s", [b"z"], epoch=epoch, seq=1)
            await log.take_over("s", owner="b")
        for seq in range(4):
            with pytest.raises(OffsetGone):
                await log.read("s", Offset(1, 4), max_bytes=99)
            await log.append("s", [b"x"], epoch=3, seq=seq)
            assert (await log.head("s")).tail == Offset(3, 7 + seq)


# -- streams and owners ------------------------------------------------------------------------------------------


async def test_head_says_what_create_was_given(log: StreamLog, clock: Clock) -> None:
    async with opened(log):
        await log.create("s", b"m\x00eta", owner="a")
        head = await log.head("s")
        assert head == (b"m\x00eta", START, 1, "a", False, clock.now_s, Lifetime())
        with pytest.raises(StreamExists):
            await log.create("s", b"", owner="b")
        await log.append("s", [b"x"], epoch=1, seq=0, close=True)
        head = await log.head("s")
        assert (head.tail, head.is_closed, head.owner) == (Offset(1, 1), True, "a")


async def _watch(log: StreamLog) -> None:
    async with log.watch("nobody"):
        pass


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda log: log.append("nobody", [b""], epoch=1, seq=0), id="append"),
        pytest.param(lambda log: log.read("nobody", START, max_bytes=1), id="read"),
        pytest.param(lambda log: log.head("nobody"), id="head"),
        pytest.param(lambda log: log.take_over("nobody", owner="a"), id="take_over"),
        pytest.param(lambda log: log.delete("nobody"), id="delete"),
        pytest.param(_watch, id="watch"),
    ],
)
@pytest.mark.parametrize("was_there", [False, True], ids=["never", "deleted"])
async def test_a_stream_that_is_not_there(log: StreamLog, ask: Test, was_there: bool) -> None:
    async with opened(log):
        if was_there:
            await log.create("nobody", b"", owner="a")
            await log.append("nobody", [b"x"], epoch=1, seq=0)
            await log.delete("nobody")
        with pytest.raises(StreamUnknown, match="nobody"):
            await ask(log)
        assert await log.create("nobody", b"", owner="a") == 1
        assert await rest(log, "nobody") == []


async def test_orphans_are_the_open_streams_of_silent_owners(log: StreamLog, clock: Clock) -> None:
    """Oldest first; who beats has none, however time passes; nor has who took one over; closed ones need none."""
    async with opened(log):
        for owner in "abc":
            log.beat(owner)
        for stream_id, owner in (("1", "a"), ("2", "b"), ("3", "a"), ("4", "a"), ("5", "never beat"), ("6", "c")):
            await log.create(stream_id, b"", owner=owner)
        await log.append("3", [], epoch=1, seq=0, close=True)
        assert await log.orphans(owner="b", limit=9) == ["5"]
        clock.now_s += 1e6
        for _ in range(2):
            log.beat("b")
        log.beat("c")
        assert await log.orphans(owner="b", limit=9) == ["5"], "no clock says that a node is gone"
        log.beat("b")
        log.beat("b")
        assert await log.orphans(owner="b", limit=9) == ["1", "4", "5"], "a did not beat while b did three times"
        assert await log.orphans(owner="b", limit=2) == ["1", "4"]
        assert await log.orphans(owner="a", limit=9) == ["5"], "who wrote nothing meanwhile accuses nobody"
        await log.take_over("1", owner="b")
        await log.delete("5")
        assert await log.orphans(owner="b", limit=9) == ["4"]
        log.beat("a")
        log.beat("b")
        assert await log.orphans(owner="b", limit=9) == [], "it came back"
        for _ in range(9):
            log.beat("a")
        assert set(await log.orphans(owner="a", limit=9)) == {"1", "2", "6"}, "never its own"


async def test_an_owner_that_was_forgotten_may_come_back(log: StreamLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.store.pulses.FORGOTTEN_BEATS", 5)
    async with opened(log):
        for owner in "ab":
            log.beat(owner)
        await log.create("s", b"", owner="a")
        for _ in range(9):
            log.beat("b")
        assert await log.orphans(owner="b", limit=9) == ["s"]
        log.beat("a")
        log.beat("b")
        assert await log.orphans(owner="b", limit=9) == []


async def test_owned_are_the_open_streams_of_an_owner(log: StreamLog) -> None:
    async with opened(log):
        for stream_id, owner in (("1", "a"), ("2", "b"), ("3", "a"), ("4", "")):
            await log.create(stream_id, b"", owner=owner)
        assert set(await log.owned("a")) == {"1", "3"}
        await log.take_over("1", owner="b")
        await log.append("3", [], epoch=1, seq=0, close=True)
        assert await log.owned("a") == []
        assert set(await log.owned("b")) == {"1", "2"}


async def test_who_owns_a_stream_hears_that_its_end_is_asked_for(log: StreamLog) -> None:
    """It stays asked for until it is closed or another owner has it; a closed stream is left alone."""
    async with opened(log):
        for stream_id, owner in (("1", "a"), ("2", "b"), ("3", "a")):
            await log.create(stream_id, b"", owner=owner)
        async with log.listen("a") as news:
            await log.ask_end("1")
            await news.wait()
            for _ in range(2):
                assert await log.asked("a") == ["1"]
            assert await log.asked("b") == []
            news.clear()
            await log.ask_end("3")
            await news.wait()
            assert set(await log.asked("a")) == {"1", "3"}
            await log.append("1", [b"end"], epoch=1, seq=0, close=True)
            await log.ask_end("1")
            await log.take_over("3", owner="b")
            assert await log.asked("a") == []
            assert await log.asked("b") == []
            with pytest.raises(StreamUnknown):
                await log.ask_end("nobody")


async def test_closed_streams_expire(log: StreamLog, clock: Clock) -> None:
    """Those that were closed first, first; an open stream never."""
    async with opened(log):
        for stream_id in ("a", "b", "c", "open"):
            await log.create(stream_id, b"", owner="x")
        for stream_id in ("b", "a", "c"):
            await log.append(stream_id, [b"end"], epoch=1, seq=0, close=True)
            clock.now_s += 10
        assert await log.expire(older_than_s=30.5, limit=9) == (0, True)
        assert await log.expire(older_than_s=20, limit=1) == (1, False)
        assert await those_of(log, "a", "b", "c", "open") == {"a", "c", "open"}
        clock.now_s += 1000
        assert await expire_all(log, older_than_s=20) == 2
        assert await those_of(log, "a", "b", "c", "open") == {"open"}


@pytest.mark.parametrize("step_s", [-3e9, -90_000, -5, 5, 90_000, 3e9])
async def test_a_wall_clock_that_is_set_changes_no_age(kind: str, tmp_path: Path, step_s: float) -> None:
    """Neither for closed streams, nor for sliding or absolute lifetimes, nor for who lives."""
    wall, steady = Clock(), Clock()
    log = make(kind, tmp_path, wall, steady)
    async with opened(log):
        log.beat("a")
        log.beat("b")
        await log.create("open", b"", owner="a")
        await log.create("closed", b"", owner="a", close=True)
        await log.create("ttl", b"", owner="", lifetime=Lifetime(ttl_s=100))
        await log.create("until", b"", owner="", lifetime=Lifetime(expires_s=wall.now_s + 100))
        wall.now_s += step_s
        steady.now_s += 99
        log.beat("b")
        assert await log.expire(older_than_s=100, limit=9) == (0, True)
        assert await log.orphans(owner="b", limit=9) == []
        assert await those_of(log, "open", "closed", "ttl", "until") == {"open", "closed", "ttl", "until"}
        steady.now_s += 2
        assert await those_of(log, "ttl", "until") == set()
        assert await expire_all(log, older_than_s=100) == 3


# -- news --------------------------------------------------------------------------------------------------------


async def test_news_come_with_every_commit_and_stay(log: StreamLog) -> None:
    async with opened(log):
        await log.create("s", b"", owner="a")
        await log.create("other", b"", owner="a")
        async with log.watch("s") as news, log.watch("s") as second:
            for seq in range(3):
                news.clear()
                await log.append("other", [b"x"], epoch=1, seq=seq)
                await log.append("s", [b"x"], epoch=1, seq=seq, close=seq == 2)
                assert news.is_set(), "before the append returns"
            assert second.is_set(), "and it stays set"
            news.clear()
            await log.delete("s")
            assert news.is_set()
            with pytest.raises(StreamUnknown):
                await log.read("s", Offset(1, 3), max_bytes=9)


async def test_live_readers_get_every_record_once_and_in_order(log: StreamLog) -> None:
    """Many readers that come at different times, one writer with appends of random sizes; no wake-up is missed."""
    rng = random.Random(1)
    async with opened(log):
        await log.create("s", b"", owner="a")
        written: list[bytes] = []

        async def write() -> None:
            for seq in range(150):
                payloads = [b"%d" % (len(written) + index) for index in range(rng.randrange(4))]
                await log.append("s", payloads, epoch=1, seq=seq, close=seq == 149)
                written.extend(payloads)
                await turns(rng.randrange(3))

        async def read(delay: int) -> list[LogEntry]:
            await turns(delay)
            return await follow(log, "s")

        reading = [asyncio.create_task(read(index * 20)) for index in range(20)]
        await write()
        for entries in await asyncio.gather(*reading):
            assert [entry.payload for entry in entries] == written
            assert [entry.offset.records for entry in entries] == list(range(1, len(written) + 1))


# -- a model -----------------------------------------------------------------------------------------------------


class Model:
    """The simplest thing that could be a log of one stream."""

    def __init__(self) -> None:
        self.epoch, self.is_closed = 1, False
        self.entries: list[LogEntry] = []
        self.answers: dict[tuple[int, int], Offset] = {}

    @property
    def tail(self) -> Offset:
        return self.entries[-1].offset if self.entries else START

    @property
    def next_seq(self) -> int:
        return sum(epoch == self.epoch for epoch, _ in self.answers)

    def append(self, payloads: list[bytes], epoch: int, seq: int, close: bool) -> Offset | type[StoreError]:
        if epoch != self.epoch:
            return FencedOut
        if (epoch, seq) in self.answers:
            return self.answers[epoch, seq]
        if self.is_closed:
            return StreamClosed
        if seq != self.next_seq:
            return StoreError
        for payload in payloads:
            self.entries.append(LogEntry(Offset(epoch, len(self.entries) + 1), payload))
        self.is_closed = close
        self.answers[epoch, seq] = self.tail
        return self.tail

    def read(self, after: Offset) -> list[LogEntry] | type[StoreError]:
        offsets = {entry.offset.records: entry.offset for entry in self.entries} | {0: START}
        written = offsets.get(after.records)
        if written is None or not written.epoch <= after.epoch <= self.epoch:
            return OffsetGone
        return self.entries[after.records :]

    def take_over(self) -> int | type[StoreError]:
        if self.is_closed:
            return StreamClosed
        self.epoch += 1
        return self.epoch


STEPS = st.lists(
    st.one_of(
        # Epoch and seq as distances from the right ones, so that most appends are good and many are repeats.
        st.tuples(
            st.just("append"),
            st.lists(st.binary(max_size=5), max_size=3),
            st.sampled_from([0] * 8 + [-1, 1]),
            st.sampled_from([0] * 6 + [-1, -2, 1]),
            st.sampled_from([False] * 15 + [True]),
        ),
        st.tuples(st.just("read"), st.integers(-1, 1), st.integers(-3, 1), st.integers(0, 12)),
        st.tuples(st.just("take_over")),
    ),
    max_size=25,
)


async def outcome(answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except StoreError as error:
        return type(error)


async def play(log: StreamLog, stream_id: str, steps: list[tuple[Any, ...]]) -> None:
    """Do the same to an empty stream and to the model; both answer the same."""
    model = Model()
    for step in steps:
        match step:
            case "append", payloads, epoch_by, seq_by, close:
                epoch, seq = model.epoch + epoch_by, max(0, model.next_seq + seq_by)
                got = await outcome(log.append(stream_id, payloads, epoch=epoch, seq=seq, close=close))
                expected = model.append(payloads, epoch, seq, close)
                # A repeat of an empty append is long forgotten: then the tail.
                assert got == expected or (got == model.tail and (epoch, seq) in model.answers)
            case "read", epoch_by, records_by, max_bytes:
                after = Offset(max(0, model.tail.epoch + epoch_by), max(0, model.tail.records + records_by))
                got = await outcome(rest(log, stream_id, after, max_bytes=max_bytes))
                assert got == model.read(after)
            case ("take_over",):
                assert await outcome(log.take_over(stream_id, owner="b")) == model.take_over()
        head = await log.head(stream_id)
        assert (head.tail, head.epoch, head.is_closed) == (model.tail, model.epoch, model.is_closed)
    assert await rest(log, stream_id) == model.entries


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, is_watched=st.booleans())
async def test_it_does_what_the_model_does(
    long_lived_log: StreamLog, steps: list[tuple[Any, ...]], is_watched: bool
) -> None:
    """Always in a new stream of one open log, half of the time with somebody watching it."""
    stream_id = f"stream {next(NUMBERS)}"
    await long_lived_log.create(stream_id, b"", owner="a")
    async with long_lived_log.watch(stream_id) if is_watched else nullcontext():
        await play(long_lived_log, stream_id, steps)


@pytest.mark.parametrize("seed", range(3))
async def test_interleaved_streams_do_not_meet(log: StreamLog, seed: int) -> None:
    """Many writers at once, each repeating appends and being taken over; every stream is as if alone."""

    async def write(rng: random.Random, stream_id: str) -> list[bytes]:
        epoch, expected = await log.create(stream_id, b"", owner="a"), list[bytes]()
        seq = 0
        for step in range(40):
            payloads = [f"{stream_id} {step} {index}".encode() for index in range(rng.randrange(3))]
            answers = await asyncio.gather(
                *(log.append(stream_id, payloads, epoch=epoch, seq=seq) for _ in range(rng.choice([1, 1, 1, 3])))
            )
            assert len(set(answers)) == 1
            expected += payloads
            seq += 1
            if rng.random() < 0.1:
                epoch, seq = await log.take_over(stream_id, owner="b"), 0
        await log.append(stream_id, [], epoch=epoch, seq=seq, close=True)
        return expected

    async with opened(log):
        ids = [f"s{number}" for number in range(12)]
        wrote = await asyncio.gather(*(write(random.Random(f"{seed} {one}"), one) for one in ids))
        for stream_id, expected in zip(ids, wrote, strict=True):
            entries = await follow(log, stream_id)
            assert [entry.payload for entry in entries] == expected
            assert [entry.offset.records for entry in entries] == list(range(1, len(expected) + 1))
            assert sorted(entry.offset for entry in entries) == [entry.offset for entry in entries]
