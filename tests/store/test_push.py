"""What every log promises of pushes and lifetimes: the write side of Durable Streams 5.1 to 5.3."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.errors import (
    BadRequest,
    LockgateError,
    Misuse,
    ProducerFenced,
    ProducerGap,
    SequenceConflict,
    StoreError,
    StreamClosed,
    StreamExists,
    StreamUnknown,
    TailMoved,
    TooManyProducers,
)
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import Lifetime, Producer, Pushed, StreamLog
from tests.store.logs import KINDS, Clock, follow, make, opened, rest, those_of

Test = Callable[[StreamLog], Awaitable[object]]
NUMBERS = count(1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=KINDS)
def log(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> StreamLog:
    """A log that is not open yet."""
    return make(request.param, tmp_path, clock)


async def payloads(log: StreamLog, stream_id: str = "s") -> list[bytes]:
    return [entry.payload for entry in await rest(log, stream_id)]


# -- creating ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["", "a"], ids=["nobody's", "owned"])
@pytest.mark.parametrize("close", [False, True], ids=["open", "closed"])
async def test_a_stream_begins_with_payloads(log: StreamLog, owner: str, close: bool) -> None:
    """They are there with the stream, closed or not; and are no append: the owner's first one is number 0."""
    async with opened(log):
        assert await log.create("s", b"meta", owner=owner, payloads=[b"1", b"", b"3"], close=close) == 1
        head = await log.head("s")
        assert (head.tail, head.epoch, head.owner, head.is_closed) == (Offset(1, 3), 1, owner, close)
        page = await log.read("s", START, max_bytes=99)
        assert ([entry.payload for entry in page.entries], page.is_closed) == ([b"1", b"", b"3"], close)
        with pytest.raises(StreamExists):
            await log.create("s", b"", owner=owner, payloads=[b"other"])
        if close:
            with pytest.raises(StreamClosed) as refused:
                await (log.append("s", [b"4"], epoch=1, seq=0) if owner else log.push("s", [b"4"]))
            assert refused.value.tail == Offset(1, 3)
        elif owner:
            assert await log.append("s", [b"4"], epoch=1, seq=0) == Offset(1, 4)
            assert await log.append("s", [b"4"], epoch=1, seq=0) == Offset(1, 4)
        else:
            assert await log.push("s", [b"4"]) == Pushed(True, Offset(1, 4), False)
        assert await payloads(log) == [b"1", b"", b"3", b"4"][: 3 if close else 4]


async def test_who_writes_is_settled_at_the_creation(log: StreamLog, clock: Clock) -> None:
    """Pushes go to nobody's streams, appends to owned ones; and nobody's stream is nobody's orphan."""
    async with opened(log):
        await log.create("owned", b"", owner="node 7")
        await log.create("s", b"", owner="")
        for push in (log.push, log.check_push):
            with pytest.raises(StoreError, match="stream owned is written by node 7 alone"):
                await push("owned", *([[b"x"]] if push == log.push else []))
        with pytest.raises(Misuse, match="stream s has no owner"):
            await log.append("s", [b"x"], epoch=1, seq=0)
        with pytest.raises(StoreError, match="stream s has no owner"):
            await log.take_over("s", owner="b")
        assert await log.orphans(owner="x", limit=9) == ["owned"]
        assert await payloads(log) == await payloads(log, "owned") == []


# -- pushing -----------------------------------------------------------------------------------------------------


async def test_plain_pushes_follow_each_other(log: StreamLog) -> None:
    async with opened(log):
        await log.create("s", b"", owner="")
        assert await log.push("s", [b"1"]) == Pushed(True, Offset(1, 1), False)
        assert await log.push("s", [b"1", b"2"]) == Pushed(True, Offset(1, 3), False)
        assert await log.push("s", [b"end"], close=True) == Pushed(True, Offset(1, 4), True)
        assert await payloads(log) == [b"1", b"1", b"2", b"end"]
        assert (await log.head("s")).epoch == 1


P = Producer
ONE, TWO = ("push", P("p", 3, 0)), ("push", P("p", 3, 1))


@pytest.mark.parametrize(
    ("before", "producer", "expected"),
    [
        pytest.param([], P("p", 0, 0), None, id="a new one"),
        pytest.param([], P("p", 7, 0), None, id="a new one of any epoch"),
        pytest.param([], P("p", 0, 1), (ProducerGap, {"expected": 0, "received": 1}), id="a new one not at 0"),
        pytest.param([ONE], P("p", 3, 1), None, id="the next"),
        pytest.param([ONE], P("p", 3, 0), P("p", 3, 0), id="the same"),
        pytest.param([ONE, TWO], P("p", 3, 0), P("p", 3, 1), id="an older one: the answer names the newest"),
        pytest.param([ONE], P("p", 3, 2), (ProducerGap, {"expected": 1, "received": 2}), id="a gap"),
        pytest.param([ONE, TWO], P("p", 4, 0), None, id="a higher epoch"),
        pytest.param([ONE, TWO], P("p", 4, 1), (BadRequest, {}), id="a higher epoch not at 0"),
        pytest.param([ONE], P("p", 2, 1), (ProducerFenced, {"epoch": 3}), id="a lower epoch"),
        pytest.param([ONE], P("p", 2, 0), (ProducerFenced, {"epoch": 3}), id="a lower epoch at 0"),
        pytest.param([ONE], P("q", 0, 0), None, id="another one"),
        pytest.param([ONE, ("push", None)], P("p", 3, 1), None, id="the next, after a plain push"),
        pytest.param([ONE, ("close", P("p", 3, 1))], P("p", 3, 1), P("p", 3, 1), id="the one that closed"),
        pytest.param([ONE, ("close", P("p", 3, 1))], P("p", 3, 0), (StreamClosed, {"tail": Offset(1, 2)}), id="closed"),
        pytest.param([ONE, ("close", P("p", 3, 1))], P("p", 4, 1), (StreamClosed, {}), id="closed, another epoch"),
        pytest.param([ONE, ("close", P("p", 3, 1))], P("p", 2, 9), (StreamClosed, {}), id="closed before fenced"),
        pytest.param([ONE, ("close", None)], P("p", 3, 1), (StreamClosed, {}), id="closed by a plain push"),
        pytest.param([], P("", 0, 0), (BadRequest, {}), id="no name"),
        pytest.param([], P("p\n", 0, 0), (BadRequest, {}), id="a control character"),
        pytest.param([], P("\udcff", 0, 0), (BadRequest, {}), id="no text"),
        pytest.param([], P("é" * 513, 0, 0), (BadRequest, {}), id="a long name"),
        pytest.param([], P("é" * 512, 2**53 - 1, 0), None, id="the longest name"),
        pytest.param([], P("p", -1, 0), (BadRequest, {}), id="a negative epoch"),
        pytest.param([], P("p", 0, 2**53), (BadRequest, {}), id="a number that is too high"),
    ],
)
async def test_a_producer_is_judged(
    log: StreamLog, before: list[tuple[str, Producer | None]], producer: Producer, expected: Any
) -> None:
    """New, a duplicate (then the newest push is named) or an error; ``check_push`` says the same before."""
    async with opened(log):
        await log.create("s", b"", owner="")
        for what, one in before:
            await log.push("s", [b"x"], producer=one, close=what == "close")
        was = await log.head("s")
        if isinstance(expected, tuple) and not isinstance(expected, Producer):
            kind, attributes = expected
            for ask in (
                log.check_push("s", producer=producer),
                log.push("s", [b"new"], producer=producer),
            ):
                with pytest.raises(LockgateError) as refused:
                    await ask
                assert type(refused.value) is kind
                assert {name: getattr(refused.value, name) for name in attributes} == attributes
        else:
            answer = Pushed(False, was.tail, was.is_closed, expected) if expected else None
            assert await log.check_push("s", producer=producer) == answer
            new = Pushed(True, Offset(1, len(before) + 1), False, producer)
            assert await log.push("s", [b"new"], producer=producer) == (answer or new)
            assert await log.push("s", [b"new"], producer=producer) == (answer or new._replace(is_new=False))
        records = len(before) + (expected is None)
        assert (await log.head("s")).tail.records == len(await payloads(log)) == records


async def test_closing_alone_may_be_repeated(log: StreamLog) -> None:
    """A plain close of a closed stream is a duplicate; with payloads, or of a producer, it is not."""
    async with opened(log):
        await log.create("s", b"", owner="", payloads=[b"1"])
        with pytest.raises(BadRequest):
            await log.push("s", [])
        assert await log.check_push("s", close=True, has_payloads=False) is None
        assert await log.push("s", [], close=True) == Pushed(True, Offset(1, 1), True)
        for _ in range(2):
            assert await log.push("s", [], close=True) == Pushed(False, Offset(1, 1), True)
            assert await log.check_push("s", close=True, has_payloads=False) == Pushed(False, Offset(1, 1), True)
        for ask in (
            log.push("s", [b"2"], close=True),
            log.push("s", [b"2"]),
            log.push("s", [], close=True, producer=P("p", 0, 0)),
            log.check_push("s", close=True),
            log.check_push("s", close=True, has_payloads=False, producer=P("p", 0, 0)),
        ):
            with pytest.raises(StreamClosed) as refused:
                await ask
            assert refused.value.tail == Offset(1, 1)
        await log.create("p", b"", owner="")
        closing = P("p", 0, 0)
        assert await log.push("p", [], close=True, producer=closing) == Pushed(True, START, True, closing)
        assert await log.push("p", [], close=True, producer=closing) == Pushed(False, START, True, closing)
        assert await log.push("p", [], close=True) == Pushed(False, START, True)


async def test_stream_seq_must_grow(log: StreamLog) -> None:
    """Byte by byte, whoever pushes; a duplicate is found before; what is refused leaves it as it was."""
    async with opened(log):
        await log.create("s", b"", owner="")
        await log.push("s", [b"1"], stream_seq="")
        await log.push("s", [b"2"], stream_seq="10", producer=P("p", 0, 0))
        await log.push("s", [b"3"], stream_seq="9", producer=P("p", 0, 1))
        assert not (await log.push("s", [b"-"], stream_seq="10", producer=P("p", 0, 0))).is_new
        for late in ("9", "10", "", "8z"):
            for ask in (log.push("s", [b"-"], stream_seq=late), log.check_push("s", stream_seq=late)):
                with pytest.raises(SequenceConflict) as refused:
                    await ask
                assert (refused.value.last, refused.value.received) == ("9", late)
        await log.push("s", [b"4"])
        with pytest.raises(ProducerGap):
            await log.push("s", [b"-"], stream_seq="zz", producer=P("p", 0, 9))
        for later in ("9\x00", "é", "\uffff", "\U00010000", "\udcff"):  # the last is a byte that is no UTF-8
            await log.push("s", [later.encode("utf-8", "surrogateescape")], stream_seq=later)
        assert len(await payloads(log)) == 9


async def test_a_push_may_expect_the_tail(log: StreamLog) -> None:
    """What is checked against one state of the stream is written to that state, or not at all."""
    async with opened(log):
        await log.create("s", b"", owner="")
        assert (await log.push("s", [b"1"], expect=START, producer=P("p", 0, 0))).is_new
        for wrong in (START, Offset(1, 0), Offset(0, 1), Offset(2, 1), Offset(1, 2)):
            with pytest.raises(TailMoved) as refused:
                await log.push("s", [b"-"], expect=wrong, producer=P("p", 0, 1))
            assert refused.value.tail == Offset(1, 1)
        assert not (await log.push("s", [b"-"], expect=START, producer=P("p", 0, 0))).is_new
        assert (await log.push("s", [b"2"], expect=Offset(1, 1), producer=P("p", 0, 1))).tail == Offset(1, 2)
        answers = await asyncio.gather(
            *(log.push("s", [b"3"], expect=Offset(1, 2)) for _ in range(5)), return_exceptions=True
        )
        assert sorted(type(one).__name__ for one in answers) == ["Pushed"] + ["TailMoved"] * 4
        assert await payloads(log) == [b"1", b"2", b"3"]


async def test_producers_are_bounded(log: StreamLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused, those that are known go on, and other streams do not notice."""
    monkeypatch.setattr("lockgate.store.log_rules.MAX_PRODUCERS", 20)
    async with opened(log):
        for stream_id in ("s", "other"):
            await log.create(stream_id, b"", owner="")
        answers = await asyncio.gather(
            *(log.push("s", [b"x"], producer=P(str(number), 0, 0)) for number in range(25)), return_exceptions=True
        )
        refused = [one for one in answers if isinstance(one, TooManyProducers)]
        assert [one.limit for one in refused] == [20] * 5
        assert (await log.push("s", [b"y"], producer=P("0", 0, 1))).is_new
        assert (await log.push("s", [b"y"])).is_new
        assert (await log.push("other", [b"x"], producer=P("24", 0, 0))).is_new
        await log.delete("s")
        await log.create("s", b"", owner="")
        assert (await log.push("s", [b"x"], producer=P("24", 0, 0))).is_new, "forgotten with the stream"


async def test_a_push_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its size with everything that it brings; the stream goes on."""
    monkeypatch.setattr("lockgate.store.sqlite.log.MAX_QUEUED_BYTES", 5000)
    async with opened(make("sqlite", tmp_path)) as log:
        await log.create("s", b"", owner="")
        for ask in (log.push("s", [b"x" * 5000]), log.create("large", b"", owner="", payloads=[b"x"] * 20)):
            with pytest.raises(StoreError, match="5000 is the most"):
                await ask
        pushed = await asyncio.gather(*(log.push("s", [b"%03000d" % number]) for number in range(20)))
        assert [one.tail.records for one in pushed] == list(range(1, 21))


# -- news --------------------------------------------------------------------------------------------------------


async def test_readers_hear_of_pushes_closes_and_the_end(log: StreamLog, clock: Clock) -> None:
    async with opened(log):
        await log.create("s", b"", owner="", lifetime=Lifetime(ttl_s=60))
        async with log.watch("s") as news:
            for step in (
                log.push("s", [b"1"], producer=P("p", 0, 0)),
                log.push("s", [b"2"]),
                log.push("s", [], close=True),
            ):
                news.clear()
                await step
                assert news.is_set(), "before the push returns"
            assert (await log.read("s", Offset(1, 1), max_bytes=9)).is_closed
            news.clear()
            clock.now_s += 60
            with pytest.raises(StreamUnknown):
                await log.read("s", Offset(1, 1), max_bytes=9)
            assert await log.expire(older_than_s=999, limit=9) == (1, True)
            assert news.is_set()
        for stream_id, end in (("a", log.delete("a")), ("b", log.create("b", b"", owner="", payloads=[b"new"]))):
            await log.create(stream_id, b"", owner="", payloads=[b"old"], lifetime=Lifetime(clock.now_s + 60, None))
            async with log.watch(stream_id) as news:
                if stream_id == "b":
                    clock.now_s *= 2.1  # its id is free by then
                news.clear()
                await end
                assert news.is_set()
                if stream_id == "b":
                    assert await payloads(log, "b") == [b"new"]
                    news.clear()
                    await log.push("b", [b"more"])
                    assert news.is_set()
                    assert await payloads(log, "b") == [b"new", b"more"]


async def test_live_readers_get_every_push_once(log: StreamLog) -> None:
    """Several producers at once, each repeating pushes; a reader sees each push once, those of one in their order."""

    async def produce(name: str) -> None:
        for seq in range(30):
            push = [log.push("s", [f"{name} {seq}".encode()], producer=P(name, 1, seq)) for _ in range(1 + seq % 3)]
            answers = await asyncio.gather(*push)
            assert sum(one.is_new for one in answers) == 1

    async with opened(log):
        await log.create("s", b"", owner="")
        reading = [asyncio.create_task(follow(log, "s")) for _ in range(5)]
        names = [f"p{number}" for number in range(6)]
        await asyncio.gather(*map(produce, names))
        await log.push("s", [], close=True)
        for entries in await asyncio.gather(*reading):
            got = [entry.payload.decode().split() for entry in entries]
            assert [entry.offset.records for entry in entries] == list(range(1, len(got) + 1))
            for name in names:
                assert [int(seq) for who, seq in got if who == name] == list(range(30))
            assert len(got) == 180


# -- lifetimes ---------------------------------------------------------------------------------------------------


async def _watch(log: StreamLog) -> None:
    async with log.watch("s"):
        pass


@pytest.mark.parametrize("is_closed", [False, True], ids=["open", "closed"])
@pytest.mark.parametrize("kind", ["ttl_s", "expires_s"])
@pytest.mark.parametrize("is_watched", [False, True], ids=["alone", "watched"])
@pytest.mark.parametrize("owner", ["", "a"], ids=["nobody's", "owned"])
async def test_an_expired_stream_is_unknown(
    log: StreamLog, clock: Clock, is_closed: bool, kind: str, is_watched: bool, owner: str
) -> None:
    """To every call, from that very second on; and its id is free."""
    asks: list[Test] = [
        lambda log: log.push("s", [b"x"]),
        lambda log: log.push("s", [], close=True),
        lambda log: log.push("s", [b"x"], producer=P("p", 0, 0)),
        lambda log: log.check_push("s", producer=P("p", 0, 0)),
        lambda log: log.touch("s"),
        lambda log: log.append("s", [b"x"], epoch=1, seq=0),
        lambda log: log.read("s", START, max_bytes=9),
        lambda log: log.read("s", Offset(1, 2), max_bytes=9),
        lambda log: log.head("s"),
        lambda log: log.take_over("s", owner="b"),
        lambda log: log.delete("s"),
        _watch,
    ]
    lifetime = Lifetime(ttl_s=10) if kind == "ttl_s" else Lifetime(expires_s=clock.now_s + 10)
    async with opened(log):
        await log.create("s", b"", owner=owner, lifetime=lifetime, payloads=[b"1"])
        await log.create("stays", b"", owner=owner, lifetime=Lifetime(expires_s=math.inf))
        ends_s = clock.now_s + 10
        assert (await log.head("s")).lifetime == Lifetime(lifetime.ttl_s, ends_s)

        async def expire() -> None:
            if owner:
                await log.append("s", [b"2"], epoch=1, seq=0, close=is_closed)
            else:
                await log.push("s", [b"2"], producer=P("p", 0, 0), close=is_closed)
            clock.now_s = ends_s - 0.001
            assert (await log.read("s", Offset(1, 1), max_bytes=9)).entries[0].payload == b"2"
            assert (await log.expire(older_than_s=1000, limit=9)).streams == 0
            clock.now_s = ends_s
            for ask in asks:
                with pytest.raises(StreamUnknown):
                    await ask(log)

        if is_watched:
            async with log.watch("s"):
                await expire()
        else:
            await expire()
        assert await log.orphans(owner="x", limit=9) == (["stays"] if owner else [])
        assert await those_of(log, "s", "stays") == {"stays"}
        await log.create("s", b"new", owner="")
        assert (await log.head("s"))[:2] == (b"new", START)
        assert (await log.head("s")).lifetime == Lifetime()
        assert (await log.push("s", [b"x"], producer=P("p", 0, 0))).is_new, "producers went with the old one"
        assert await payloads(log) == [b"x"]
        assert (await log.expire(older_than_s=1000, limit=9)).streams == 0


async def test_a_sliding_lifetime_is_renewed(log: StreamLog, clock: Clock) -> None:
    """By every push that writes; by a touch once a tenth has passed; not by a duplicate, a check, a head or a read."""

    async def ends_in(seconds: float) -> None:
        assert (await log.head("s")).lifetime == Lifetime(100, clock.now_s + seconds)

    async with opened(log):
        await log.create("s", b"", owner="", lifetime=Lifetime(ttl_s=100))
        clock.now_s += 10
        await log.touch("s")
        await ends_in(90)
        clock.now_s += 1
        await log.touch("s")
        await ends_in(100)
        clock.now_s += 5
        await log.push("s", [b"x"], producer=P("p", 0, 0))
        await ends_in(100)
        clock.now_s += 5
        await log.push("s", [b"x"], producer=P("p", 0, 0))
        await log.check_push("s", producer=P("p", 0, 1))
        await rest(log, "s")
        await ends_in(95)
        async with log.watch("s"):
            await log.push("s", [b"x"])
            for _ in range(20):
                clock.now_s += 50
                await log.touch("s")
                await ends_in(100)
                assert len(await payloads(log)) == 2
            clock.now_s += 99
            await log.push("s", [], close=True)
            clock.now_s += 99
            assert (await log.read("s", Offset(1, 2), max_bytes=9)).is_closed
        clock.now_s -= 150  # a clock that was set back shortens nothing
        await log.touch("s")
        await ends_in(151)


async def test_other_lifetimes_are_left_alone(log: StreamLog, clock: Clock) -> None:
    async with opened(log):
        ends_s = clock.now_s + 50
        await log.create("s", b"", owner="", lifetime=Lifetime(expires_s=ends_s))
        await log.create("forever", b"", owner="", lifetime=Lifetime())
        clock.now_s += 40
        for stream_id, lifetime in (("s", Lifetime(None, ends_s)), ("forever", Lifetime())):
            await log.touch(stream_id)
            await log.push(stream_id, [b"x"])
            assert (await log.head(stream_id)).lifetime == lifetime
        for wrong in (Lifetime(1, 1), Lifetime(-1), Lifetime(math.nan), Lifetime(None, math.nan)):
            with pytest.raises(Misuse):
                await log.create("wrong", b"", owner="", lifetime=wrong)


async def test_expiring_takes_what_should_have_gone_first(log: StreamLog, clock: Clock) -> None:
    """Closed ones after their time, run-out ones whether closed or not, in the order of when they should go."""
    streams: dict[str, tuple[Lifetime | None, bool]] = {
        "open": (None, False),
        "runs out at 55": (Lifetime(expires_s=clock.now_s + 55), False),
        "runs out at 40": (Lifetime(expires_s=clock.now_s + 40), False),
        "closed, goes at 30": (None, True),
        "closed, runs out at 20": (Lifetime(ttl_s=20), True),
        "runs out at 10": (Lifetime(ttl_s=10), False),
        "closed, lives longer, goes at 30": (Lifetime(expires_s=clock.now_s + 999), True),
    }
    async with opened(log), contextlib.AsyncExitStack() as stack:
        news = {}
        for stream_id, (lifetime, close) in streams.items():
            await log.create(stream_id, b"", owner="", lifetime=lifetime, close=close)
            news[stream_id] = await stack.enter_async_context(log.watch(stream_id))
        clock.now_s += 50
        gone: list[str] = []
        while (await log.expire(older_than_s=30, limit=1)).streams:
            gone += [stream_id for stream_id, event in news.items() if event.is_set() and stream_id not in gone]
        assert [stream_id.rpartition(" ")[2] for stream_id in gone] == ["10", "20", "30", "30", "40"]
        assert await those_of(log, *streams) == {"open", "runs out at 55"}


# -- a model -----------------------------------------------------------------------------------------------------


class Model:
    """The rules once more, as plainly as they can be said: a dictionary, and the order of the questions."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.producers: dict[str, tuple[int, int]] = {}
        self.stream_seq: str | None = None
        self.is_closed = False
        self.closed_by: Producer | None = None

    @property
    def tail(self) -> Offset:
        return Offset(1, len(self.records)) if self.records else START

    def push(
        self, payloads: list[bytes], producer: Producer | None, seq: str | None, close: bool, expect: Offset | None
    ) -> Any:
        if not payloads and not close:
            return BadRequest
        last = self.producers.get(producer.id) if producer else None
        again = Pushed(False, self.tail, self.is_closed, Producer(producer.id, *last) if producer and last else None)
        if self.is_closed:
            same = producer == self.closed_by if producer else close and not payloads
            return again if same else StreamClosed
        if producer:
            if last is None or producer.epoch > last[0]:
                if producer.seq != 0:
                    return BadRequest if last else ProducerGap
            elif producer.epoch < last[0]:
                return ProducerFenced
            elif producer.seq <= last[1]:
                return again
            elif producer.seq > last[1] + 1:
                return ProducerGap
        if seq is not None and self.stream_seq is not None and seq <= self.stream_seq:
            return SequenceConflict
        if expect is not None and expect != self.tail:
            return TailMoved
        self.records += payloads
        if producer:
            self.producers[producer.id] = producer.epoch, producer.seq
        self.stream_seq = self.stream_seq if seq is None else seq
        self.is_closed, self.closed_by = close, producer if close else None
        return Pushed(True, self.tail, close, producer)


PUSHES = st.lists(
    st.tuples(
        st.lists(st.binary(max_size=3), max_size=2),
        # Name, and epoch and seq as distances from the last push of that name, so that most are good or repeats.
        st.none() | st.tuples(st.sampled_from("pq"), st.sampled_from([0] * 8 + [-1, 1]), st.integers(-1, 2)),
        st.sampled_from([None] * 6 + ["a", "b", "c"]),
        st.sampled_from([False] * 12 + [True]),
        st.sampled_from([None] * 4 + [0, 0, 0, -1, 1]),
    ),
    max_size=30,
)


async def outcome(answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except LockgateError as error:
        return type(error)


async def play(log: StreamLog, stream_id: str, steps: list[tuple[Any, ...]]) -> None:
    """Do the same to an empty stream and to the model; ``check_push`` foretells each, as far as it is asked."""
    model = Model()
    for payloads_, who, stream_seq, close, expect_by in steps:
        producer = None
        if who is not None:
            name, epoch_by, seq_by = who
            epoch, seq = model.producers.get(name, (1, -1))
            seq = -1 if epoch_by > 0 else seq
            producer = Producer(name, max(0, epoch + epoch_by), max(0, seq + seq_by))
        expect = None if expect_by is None else Offset(1, max(0, len(model.records) + expect_by))
        expect = START if expect == (1, 0) else expect
        asked = {"producer": producer, "stream_seq": stream_seq, "close": close}
        foretold = await outcome(log.check_push(stream_id, **asked, has_payloads=bool(payloads_)))
        got = await outcome(log.push(stream_id, payloads_, **asked, expect=expect))
        assert got == model.push(payloads_, producer, stream_seq, close, expect)
        if foretold is None:
            assert got is TailMoved or (isinstance(got, Pushed) and got.is_new)
        else:
            assert foretold == got
        head = await log.head(stream_id)
        assert (head.tail, head.is_closed) == (model.tail, model.is_closed)
    assert await payloads(log, stream_id) == model.records


@settings(max_examples=200, deadline=None)
@given(steps=PUSHES)
async def test_it_does_what_the_model_does(long_lived_log: StreamLog, steps: list[tuple[Any, ...]]) -> None:
    """Always in a new stream of one open log."""
    stream_id = f"stream {next(NUMBERS)}"
    await long_lived_log.create(stream_id, b"", owner="")
    await play(long_lived_log, stream_id, steps)
