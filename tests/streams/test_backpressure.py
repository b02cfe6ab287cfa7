"""Backpressure on upstream: while every reader lags, the pump reads slower, and nothing of the answer changes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

from lockgate.errors import Code
from lockgate.observe.metrics import Meters
from lockgate.protocol.offsets import START, Offset
from lockgate.streams.backpressure import Backpressure
from lockgate.streams.pump import Pump
from lockgate.upstream import base as up
from tests.streams.pumping import Scripted, Story, clean, plan, told

OVER = 20_000
TEXT = "x" * 100_000
DELTA_BYTES = 500
#: A record is a little longer than its text; and one more piece may be under way.
MOST_DELTAS = OVER // DELTA_BYTES + 1
#: As long as no test takes.
FOR_EVER = 3_600.0


class Readers:
    """How far they are, in records."""

    def __init__(self) -> None:
        self.foremost: Offset | None = START
        self.asked = asyncio.Event()

    def __call__(self) -> Offset | None:
        self.asked.set()
        return self.foremost


class Answer:
    """Counts what is read of it."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self, _body: Any, _number: int) -> Iterator[up.UpstreamEvent]:
        deltas = [up.Delta("content", TEXT[at : at + DELTA_BYTES].encode()) for at in range(0, len(TEXT), DELTA_BYTES)]
        for delta in deltas:
            self.read += 1
            yield delta
        yield from clean("")


async def story(
    readers: Readers,
    answer: Answer,
    during: Callable[[Pump], Any],
    *,
    pause_s: float = FOR_EVER,
    meters: Meters | None = None,
) -> Story:
    meters = meters or Meters()
    pressure = Backpressure("s", meters, over_bytes=OVER, foremost=readers, pause_s=pause_s)
    return await told(plan(), Scripted(answer), meters=meters, during=during, backpressure=pressure)


async def paused(pump: Pump) -> None:
    async with asyncio.timeout(30):
        while pump.heard[1] != "readers":  # noqa: ASYNC110  (there is no event for what is looked at)
            await asyncio.sleep(0)


async def test_upstream_waits_while_every_reader_lags() -> None:
    readers, answer, meters = Readers(), Answer(), Meters()

    async def during(pump: Pump) -> None:
        for _ in range(3):
            await paused(pump)
            before = answer.read
            for _ in range(3):  # it looks again and again, and reads nothing
                readers.asked.clear()
                await readers.asked.wait()
            assert answer.read == before
            lag = before - (readers.foremost.records if readers.foremost else 0)
            assert 0.5 * OVER / DELTA_BYTES < lag <= MOST_DELTAS
            readers.foremost = Offset(1, before)
            async with asyncio.timeout(30):
                while answer.read == before:  # noqa: ASYNC110
                    await asyncio.sleep(0)
        readers.foremost = Offset(1, 10**9)

    told = await story(readers, answer, during, meters=meters)
    assert (told.content, told.end.state) == (TEXT, "complete")
    waited_s = re.search(rb"^lockgate_upstream_paused_seconds_total (\S+)$", meters.exposition(), re.MULTILINE)
    assert waited_s is not None
    assert float(waited_s[1]) > 0.1, "nine looks"


async def test_nobody_who_reads_holds_nothing_up() -> None:
    readers, answer = Readers(), Answer()
    readers.foremost = None

    async def during(_pump: Pump) -> None:
        pass

    assert (await story(readers, answer, during)).end.state == "complete"


async def test_upstream_goes_on_when_the_last_reader_leaves() -> None:
    readers, answer = Readers(), Answer()

    async def during(pump: Pump) -> None:
        await paused(pump)
        readers.foremost = None

    assert (await story(readers, answer, during)).content == TEXT


async def test_each_pause_has_an_end() -> None:
    """A reader that never comes on holds an answer up, and not for ever."""
    readers, answer = Readers(), Answer()

    async def during(pump: Pump) -> None:
        await paused(pump)

    assert (await story(readers, answer, during, pause_s=0.001)).content == TEXT


async def test_a_stream_that_waits_for_readers_can_be_cancelled() -> None:
    readers, answer = Readers(), Answer()

    async def during(pump: Pump) -> None:
        await paused(pump)
        pump.interrupt(Code.CANCELLED)

    told = await story(readers, answer, during)
    assert told.end.state == "cancelled"
    assert TEXT.startswith(told.content)
    assert answer.read <= MOST_DELTAS
