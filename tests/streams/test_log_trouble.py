"""What becomes of streams while the log fails, and of those that nobody writes any more."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest

from lockgate.errors import Code, FencedOut, StoreFailing, StreamUnknown
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Record, decode_record
from lockgate.protocol.offsets import START
from lockgate.store.base import StreamLog
from lockgate.store.memory import MemoryLog
from lockgate.streams import keeper, owner, patient_writer
from lockgate.streams.heart import Heart
from lockgate.streams.meta import StreamMeta
from lockgate.streams.owner import StreamOwner
from lockgate.streams.patient_writer import PatientWriter
from lockgate.upstream import base as up
from tests.streams.pumping import Scripted, clean, plan
from tests.streams.troubled import Trouble, TroubledLog


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that no test feels."""
    monkeypatch.setattr(patient_writer, "_FIRST_PAUSE_S", 0.0001)
    monkeypatch.setattr(patient_writer, "_LONGEST_PAUSE_S", 0.001)
    monkeypatch.setattr(keeper, "ROUND_S", 0.01)
    monkeypatch.setattr(owner, "BEAT_S", 0.01)


async def is_idle(one: StreamOwner) -> None:
    """Wait until it has no pump."""
    while one.open_count:  # noqa: ASYNC110 - a pump that ends sets no asyncio.Event
        await asyncio.sleep(0)


def one_number(_body: Mapping[str, Any], _number: int) -> Any:
    return clean("[1]")


@contextlib.asynccontextmanager
async def node(
    log: StreamLog, answer: Callable[[Mapping[str, Any], int], Any] = one_number, **options: Any
) -> AsyncIterator[StreamOwner]:
    one = StreamOwner(log, Scripted(answer), Meters(), max_open=10, **options)
    await one.start()
    try:
        yield one
    finally:
        await one.drain(0)
        await one.stop()


async def records_of(log: StreamLog, stream_id: str) -> list[Record]:
    """All records, once the stream is closed."""
    async with log.watch(stream_id) as news:
        while True:
            news.clear()
            page = await log.read(stream_id, START, max_bytes=1 << 30)
            if page.is_closed:
                return [decode_record(entry.payload) for entry in page.entries]
            await news.wait()


async def reason_of(log: StreamLog, stream_id: str) -> tuple[str, str]:
    final = (await records_of(log, stream_id))[-1].final
    assert final is not None
    return final.state, final.reason


# -- appends that fail -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
async def test_an_append_that_failed_is_there_once(seed: int) -> None:
    """Whether it failed before or after the commit, and however often."""
    rng = random.Random(seed)
    log = TroubledLog(lambda: rng.choice(("none", "before", "after")))
    epoch = await log.create("s", b"", owner="a")
    writer = PatientWriter(log, "s", epoch, 600)
    for number in range(30):
        await writer.append([b"%d" % number], close=number == 29)
    page = await log.read("s", START, max_bytes=1 << 20)
    assert [entry.payload for entry in page.entries] == [b"%d" % number for number in range(30)]
    assert page.is_closed


async def test_patience_ends_and_what_cannot_help_is_not_tried_again() -> None:
    log = TroubledLog(lambda: "before")
    epoch = await log.create("s", b"", owner="a")
    with pytest.raises(StoreFailing):
        await PatientWriter(log, "s", epoch, 0.01).append([b"x"])
    assert log.tries > 1
    log.trouble = lambda: "none"
    tries = log.tries
    await log.take_over("s", owner="b")
    with pytest.raises(FencedOut):
        await PatientWriter(log, "s", epoch, 600).append([b"x"])
    await log.delete("s")
    with pytest.raises(StreamUnknown):
        await PatientWriter(log, "s", epoch, 600).append([b"x"])
    assert log.tries == tries + 2


async def test_upstream_waits_while_the_log_fails_and_goes_on_with_it() -> None:
    """Nothing more is read; what waits is the log; then every record is there once."""
    trouble: Trouble = "none"
    taken: list[int] = []

    def pieces() -> Iterator[up.UpstreamEvent]:
        for number, event in enumerate(clean("[" + "1, " * 40 + "1]")):
            taken.append(number)
            yield event

    log = TroubledLog(lambda: trouble)
    async with node(log, lambda _body, _number: pieces()) as here:
        trouble = "before"
        await here.generate("s", StreamMeta(), plan({}))
        while log.tries < 5:
            log.tried.clear()
            await log.tried.wait()
        assert len(taken) == 1
        heard = here.heard("s")
        assert heard is not None
        assert heard[1] == "log"
        trouble = "none"
        records = await records_of(log, "s")
    assert "".join(record.text for record in records if record.kind == "delta") == "[" + "1, " * 40 + "1]"
    assert records[-1].final is not None
    assert records[-1].final.state == "complete"


@pytest.mark.parametrize("failing", range(8))
async def test_a_stream_that_was_given_up_is_ended_once_the_log_takes_it(
    failing: int, caplog: pytest.LogCaptureFixture
) -> None:
    """At whichever append it happened, the last one too; upstream is closed, and there is no traceback."""
    count = 0
    is_well = False

    def trouble() -> Trouble:
        nonlocal count
        count += 1
        return "before" if count > failing and not is_well else "none"

    log = TroubledLog(trouble)
    async with node(log, patience_s=0.01) as here:
        await here.generate("s", StreamMeta(), plan({}))
        await is_idle(here)
        assert (await log.head("s")).is_closed == (count <= failing)
        is_well = True
        assert await reason_of(log, "s") == (("complete", "stop") if count <= failing else ("failed", "log_failed"))
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_stream_that_was_made_without_a_word_is_ended() -> None:
    """The answer to ``create`` was lost: the log has a stream of ours that has no pump."""
    log = MemoryLog()
    async with node(log) as here:
        await log.create("s", b"", owner=here.name)
        assert await reason_of(log, "s") == ("failed", "log_failed")


async def test_a_stream_that_cannot_be_ended_keeps_no_other_from_it(caplog: pytest.LogCaptureFixture) -> None:
    class Damaged(MemoryLog):
        async def take_over(self, stream_id: str, *, owner: str) -> int:
            if stream_id == "damaged":
                raise StoreFailing("page 7 is damaged")
            return await super().take_over(stream_id, owner=owner)

    log = Damaged()
    async with node(log) as here:
        for stream_id in ("damaged", "well", "orphan"):
            await log.create(stream_id, b"", owner=here.name if stream_id != "orphan" else "gone")
        assert await reason_of(log, "well") == ("failed", "log_failed")
        assert await reason_of(log, "orphan") == ("failed", "owner_gone")
        await log.create("later", b"", owner="gone")
        assert await reason_of(log, "later") == ("failed", "owner_gone")
    told = [record.getMessage() for record in caplog.records if "page 7" in record.getMessage()]
    assert told == ["stream damaged: cannot be ended: page 7 is damaged"]


async def test_a_stream_that_is_hard_to_end_is_taken_over_once() -> None:
    """Epochs are counted with four digits; a disk that is full for a day must not use them up."""
    log = TroubledLog(lambda: "before")
    async with node(log) as here:
        await log.create("orphan", b"", owner="gone")
        await log.create("stray", b"", owner=here.name)
        while log.tries < 20:
            log.tried.clear()
            await log.tried.wait()
        log.trouble = lambda: "none"
        assert await reason_of(log, "orphan") == ("failed", "owner_gone")
        assert await reason_of(log, "stray") == ("failed", "log_failed")
        assert [(await log.head(stream_id)).epoch for stream_id in ("orphan", "stray")] == [2, 2]


# -- who was fenced out ------------------------------------------------------------------------------------------


def hanging(_body: Mapping[str, Any], _number: int) -> Iterator[up.UpstreamEvent]:
    yield up.Delta("content", b"[1")
    while True:
        yield up.Delta("content", b"")


@pytest.mark.parametrize("how", ["taken over", "deleted"])
async def test_who_was_fenced_out_says_so_once(how: str, caplog: pytest.LogCaptureFixture) -> None:
    """Also if nothing comes from upstream that would be appended; the node lives on."""
    caplog.set_level(logging.WARNING)
    log = MemoryLog()
    async with node(log, hanging) as here:
        await here.generate("s", StreamMeta(), plan({}))
        async with log.watch("s") as news:
            await news.wait()  # from now on nothing comes that would be appended
        if how == "deleted":
            await log.delete("s")
        else:
            epoch = await log.take_over("s", owner="b")
            await log.append("s", [], epoch=epoch, seq=0, close=True)
        await is_idle(here)
        assert here._provider.aborted == 1  # type: ignore[attr-defined]
        assert [record.getMessage() for record in caplog.records] == [
            "stream s: was ended or deleted elsewhere; upstream is closed"
        ]
        assert not caplog.records[0].exc_info
        here._provider._answer = lambda _body, _number: clean("[1]")  # type: ignore[attr-defined]
        await here.generate("next", StreamMeta(), plan({}))
        assert await reason_of(log, "next") == ("complete", "stop")


# -- requests from other nodes -----------------------------------------------------------------------------------


async def test_another_node_ends_a_stream() -> None:
    """Whoever asks: the generation is closed where it runs, and who asked learns when it is over."""
    log = MemoryLog()
    async with node(log, hanging) as there, node(log) as here:
        await there.generate("s", StreamMeta(), plan({}))
        assert await here.end("s")
        assert await reason_of(log, "s") == ("cancelled", "cancelled")
        assert there._provider.aborted == 1  # type: ignore[attr-defined]
        assert await here.end("s"), "it is over already"


async def test_an_owner_that_does_not_answer_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "END_S", 0.01)
    log = MemoryLog()
    async with node(log) as here:
        log.beat("stopped")
        await log.create("s", b"", owner="stopped")
        log.beat = lambda owner: None  # type: ignore[method-assign]  # so that nobody is gone
        assert not await here.end("s")
        assert await log.asked("stopped") == ["s"], "it will find that when it goes on"


# -- the heart ---------------------------------------------------------------------------------------------------


def test_a_busy_loop_does_not_stop_the_heart() -> None:
    """It beats while this thread, in which an event loop would run, does nothing but wait."""
    beats = threading.Semaphore(0)
    heart = Heart(beats.release, 0.001)
    heart.start()
    try:
        for _ in range(20):
            assert beats.acquire(timeout=300)
    finally:
        heart.stop(300)
    assert not any(thread.name == "lockgate-heart" for thread in threading.enumerate())


def test_the_heart_says_each_trouble_once_and_that_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    answers = iter([None, "disk full", "disk full", "locked", None, None])
    is_over = threading.Event()

    def beat() -> None:
        trouble = next(answers, "over")
        if trouble == "over":
            is_over.set()
        elif trouble is not None:
            raise StoreFailing(trouble)

    heart = Heart(beat, 0.0001)
    heart.start()
    assert is_over.wait(300)
    heart.stop(300)
    assert heart.trouble == ""
    assert heart.silent_s is not None
    assert [record.getMessage() for record in caplog.records] == [
        "the log of streams takes no writes: disk full",
        "the log of streams takes no writes: locked",
        "the log of streams takes writes again",
    ]


def test_codes_of_the_ends_are_of_streams() -> None:
    assert {Code.LOG_FAILED.about, Code.OWNER_GONE.about} == {"stream"}
