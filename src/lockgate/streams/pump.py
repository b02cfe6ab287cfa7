"""The pump: one task per stream that takes what upstream sends through the gates into the log.

How it works: everything that one read brought becomes one append. More is read only when that is committed, so the
socket's own buffer is the only queue, and a slow log slows upstream down. Readers read the log; the pump never talks to
them. When an attempt fails, the ladder chooses the next one: the released text is read back from the log, the gates are
rebuilt from it, and the new answer is joined to it. The last record is always ``final``, and the stream is closed with
it. When the process dies, another owner writes that record.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from lockgate.errors import Busy, Code, RegistryFailing, StoreError
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Answerer, Problem, Record, WaitingFor, decode_record, encode_record
from lockgate.protocol.finish import Finish
from lockgate.protocol.lifecycle import Ended, Outcome
from lockgate.protocol.offsets import START
from lockgate.registry.registry import SchemaRegistry
from lockgate.retry.breaker import Breaker, Breakers, Permit
from lockgate.retry.failures import RULES, FailureClass, lesson_of
from lockgate.retry.ladder import Ladder, NextAttempt, NoAttempt, models_of
from lockgate.store.base import StreamLog
from lockgate.streams.attempt import RunningAttempt
from lockgate.streams.backpressure import Backpressure
from lockgate.streams.channels import Channel
from lockgate.streams.ending import Ending
from lockgate.streams.gates import JudgeLost
from lockgate.streams.patient_writer import PatientWriter
from lockgate.streams.plan import Plan
from lockgate.streams.released_text import ReleasedText
from lockgate.streams.side_records import SideRecords
from lockgate.streams.stated_version import judge_stated
from lockgate.streams.stretch import Stretch
from lockgate.upstream import base as up
from lockgate.upstream.facts import content_of

T = TypeVar("T")
Trace = Callable[[str, int, bytes], None]

_log: Final = logging.getLogger("lockgate.pump")

#: Records that are read back at once when a stream goes on.
_READ_BACK_BYTES: Final = 1024 * 1024
#: Kinds of records that upstream brings; the others are about the stream.
_BROUGHT: Final = frozenset({"delta", "call", "side"})
_THREAD_OVER_BYTES: Final = 64 * 1024
#: Attempts that ask for the whole answer, and results that the same seed would bring again.
_WHOLE_ANSWERS: Final = frozenset({"first", "retry", "regenerate", "restart"})
_OF_THE_ANSWER: Final = frozenset({FailureClass.VIOLATION, FailureClass.TRUNCATED, FailureClass.UNJOINED})
#: How often a stream that waits for a breaker looks again.
_LOOK_AGAIN_S: Final = 0.1


class Pump:
    """Runs one stream from the request to its final record.

    Args:
        breakers: The circuit breakers of this node; None makes new ones.
        patience_s: How long an append is tried again that the log does not take, and a question that the registry does
            not answer; upstream waits meanwhile.
        registry: The registered schemas; None where what upstream says of versions is ignored.
        trace: Called with every piece of text as upstream sent it, before any gate: its channel, the number of the
            attempt, the text.
        rng: Random numbers for back-off.
        backpressure: What makes it read slower while its readers lag; None: nothing does.
    """

    def __init__(
        self,
        stream_id: str,
        plan: Plan,
        provider: up.Provider,
        log: StreamLog,
        meters: Meters,
        *,
        epoch: int,
        breakers: Breakers | None = None,
        patience_s: float = 60.0,
        trace: Trace | None = None,
        rng: Callable[[], float] = random.random,
        registry: SchemaRegistry | None = None,
        backpressure: Backpressure | None = None,
    ) -> None:
        self.stream_id = stream_id
        self._plan = plan
        self._provider = provider
        self._log = log
        self._meters = meters
        self._backpressure = backpressure
        appended = backpressure.appended if backpressure is not None else None
        self._writer = PatientWriter(log, stream_id, epoch, patience_s, appended)
        self._patience_s = patience_s
        self._registry = registry
        self._breakers = breakers or Breakers()
        self._trace = trace
        self._rng = rng
        self._channels: dict[str, Channel] = {}
        self._sides = SideRecords()
        self._runs: list[RunningAttempt] = []
        self._told: up.Told | None = None  # what was looked at last, to say who answers
        self._answerer = Answerer()  # what the log says of that
        self._ladder = Ladder(plan.retry, models_of(plan.body), self._breaker_of, start_s=time.monotonic())
        self._released_text: ReleasedText | None = None
        self._halts: list[Record] = []  # notes of a halt, until it is decided what to do about it
        self._generation: up.Generation | None = None
        self._interruption: Code | None = None
        self._has_closed_early = False
        self._is_waiting = False
        self._stretch: Stretch | None = None
        self._task: asyncio.Task[Any] | None = None
        self.outcome: Outcome | None = None
        self._heard_s = time.time()

    @property
    def abandon_after_s(self) -> float | None:
        """It is abandoned so long after its last reader left; None: as its owner has it."""
        return self._plan.abandon_after_s

    @property
    def heard(self) -> tuple[float, WaitingFor]:
        """Since when the stream waits, in seconds since 1970, and for what: more of upstream, the log, or readers."""
        if self._writer.stuck_since_s is not None:
            return self._writer.stuck_since_s, "log"
        if self._backpressure is not None and self._backpressure.paused_since_s is not None:
            return self._backpressure.paused_since_s, "readers"
        return self._heard_s, "next token" if any(run.is_heard for run in self._runs) else "first token"

    @property
    def failure(self) -> up.Failed | None:
        """What upstream did wrong in the last attempt, if it did."""
        return self._run.failure if self._runs else None

    @property
    def _run(self) -> RunningAttempt:
        return self._runs[-1]

    def interrupt(self, why: Code) -> None:
        """Close upstream now, and end the stream as soon as no append is under way.

        ``why`` is ``CANCELLED`` (a caller asked), ``ABANDONED`` (nobody reads any more), ``DEADLINE_PASSED``, or
        ``OWNER_GONE`` (this node is going down).
        """
        if self._interruption is None and self.outcome is None:
            self._interruption = why
            if self._generation is not None:
                self._has_closed_early = True
                self._generation.abort()
            # Only while waiting for upstream: nobody would know whether a cancelled append was committed.
            is_appending = self._stretch is not None and self._stretch.is_appending
            if self._is_waiting and not is_appending and self._task is not None:
                self._task.cancel()

    async def run(self) -> Outcome:
        """Pump until upstream ends and no attempt is left, a gate halts, or somebody interrupts.

        Raises:
            FencedOut: another owner writes this stream now; nothing more was written here.
            StoreError: the log did not take an append for ``patience_s``, or the stream is gone.
        """
        self._task = asyncio.current_task()
        try:
            await self._run_to_its_end()
            return await self._finish_stream()
        finally:
            for channel in self._channels.values():
                channel.abandon()

    async def _run_to_its_end(self) -> None:
        deadline_s = self._plan.retry.backoff.deadline_s
        deadline = asyncio.get_running_loop().call_later(deadline_s, self.interrupt, Code.DEADLINE_PASSED)
        try:
            await self._pump()
        except StoreError:
            raise
        except (JudgeLost, Busy, RegistryFailing) as error:
            self._fail(error.code, str(error))
        except Exception:
            # A bug here must not leave readers waiting for ever: the stream is closed as failed, and the log says why.
            _log.exception("stream %s: the pump failed", self.stream_id)
            self._fail(Code.INTERNAL_ERROR, "an internal error ended this stream; see the log")
        finally:
            self._give_back()
            deadline.cancel()

    def _fail(self, code: Code, message: str) -> None:
        """Whatever attempt runs failed for a reason that no other attempt would change."""
        if not self._runs:
            self._begin(NextAttempt("first", self._ladder.model, 0.0), "", None)
        self._run.failure = up.Failed(code, message)
        self._run.ended = Ended.BROKEN

    # -- attempts ----------------------------------------------------------------------------------------------

    async def _pump(self) -> None:
        """Attempt after attempt, until one is good or no further one may be made."""
        asked = self._ladder.first(time.monotonic())
        reason = ""
        while True:
            if isinstance(asked, NoAttempt):
                self._begin(NextAttempt("first", self._ladder.model, 0.0), "", None)
                self._refuse_by_breaker()
                return
            await self._attempt(asked, reason)
            failed = await self._end_attempt()
            if failed is None or self._interruption is not None:
                return
            asked, reason = await self._go_on(failed), failed
            if isinstance(asked, NoAttempt):
                return
            if self._interruption is None:  # it may have come while the note was written
                await self._interruptible(asyncio.sleep(asked.wait_s))
            if self._interruption is not None:
                self._begin(asked, reason, None)
                self._run.ended, self._run.result = Ended.CANCELLED, "cancelled"
                return

    def _begin(self, asked: NextAttempt, reason: str, permit: Permit | None) -> RunningAttempt:
        at = sum(channel.released_bytes for channel in self._channels.values())
        run = RunningAttempt(len(self._runs) + 1, asked, at, reason, permit)
        self._runs.append(run)
        self._has_closed_early = False
        self._halts = []
        return run

    def _refuse_by_breaker(self) -> None:
        seconds = self._breaker_of(self._run.asked.model).retry_in_s(time.monotonic())
        name = self._provider.serving(self._run.asked.model).name
        message = f"{name} failed repeatedly with {self._run.asked.model}: not asked for a while"
        self._run.failure = up.Failed(Code.CIRCUIT_OPEN, message, recoverable=True, retry_after_s=seconds)
        self._run.ended = Ended.BROKEN

    async def _attempt(self, asked: NextAttempt, reason: str) -> None:
        """One attempt, until it has ended; upstream is closed when this returns."""
        run = self._begin(asked, reason, await self._permission(asked))
        if run.permit is None:
            if self._interruption is not None:
                run.ended = Ended.CANCELLED
            else:
                self._refuse_by_breaker()
            return
        body = await self._prepare(run)
        self._generation = self._provider.serving(asked.model).open(body, self._plan.authorization)
        last: list[Record] = []
        async with self._generation as batches:
            while run.ended is None and self._interruption is None:
                if self._backpressure is not None and self._backpressure.is_wanted:
                    await self._interruptible(self._backpressure.pause())
                    if self._interruption is not None:
                        break
                batch = await self._next(batches)
                if batch is None:
                    break
                read_s = time.time()
                if batch:
                    self._heard_s = read_s
                last = await self._take(batch, read_s)
                if run.ended is None:
                    await self._append(last)
                    last = await self._flow(run)
            # Leaving the block closes the connection: before anything is written about it.
            if run.ended is Ended.STOPPED or self._interruption is not None:
                self._has_closed_early = True
        self._generation = None
        if run.ended is None:
            run.ended = Ended.CANCELLED if self._interruption is not None else Ended.BROKEN
        await self._append_all_but_halts(last)

    async def _next(self, batches: AsyncIterator[list[up.UpstreamEvent]]) -> list[up.UpstreamEvent] | None:
        """What upstream brings next; None at its end, or if somebody interrupted."""
        try:
            return await self._interruptible(batches.__anext__())
        except StopAsyncIteration:
            return None

    async def _flow(self, run: RunningAttempt) -> list[Record]:
        """Take what comes by the short way, while only text comes; what a halting read brought, as ``_take`` has it."""
        generation, is_plain = self._generation, run.is_heard and run.target is None and run.told is self._told
        is_plain = is_plain and run.refusal is None and self._trace is None and self._sides.is_empty
        if not (is_plain and isinstance(generation, up.Flowing)):
            return []
        stretch = self._stretch = Stretch(
            run, self._channels, self._writer, is_held_up=self._is_held_up, heard=self._hear_at
        )
        try:
            if stretch.begin(generation):
                await self._interruptible(stretch.over)
        finally:
            stretch.stop()
            self._stretch = None
        run.released_bytes += stretch.released_bytes
        records = stretch.rest
        if stretch.unsettled is not None:
            records = records + await stretch.unsettled.settle(stretch.read_s)
            if stretch.unsettled.state == "halted":
                run.ended = Ended.STOPPED
        if run.ended is None:
            await self._append(records)
            return []
        return records

    def _is_held_up(self) -> bool:
        if self._interruption is not None:
            return True
        return self._backpressure is not None and self._backpressure.is_wanted

    def _hear_at(self, read_s: float) -> None:
        self._heard_s = read_s

    def _breaker_of(self, model: str) -> Breaker:
        return self._breakers.of(self._provider.serving(model).name, model)

    async def _permission(self, asked: NextAttempt) -> Permit | None:
        """The breaker's permit for an attempt. A stream with released text waits for it; a new one does not."""
        breaker = self._breaker_of(asked.model)
        patience_s = self._plan.retry.backoff.cap_s if any(self._has_text()) else 0.0
        until_s = time.monotonic() + patience_s
        while True:
            now_s = time.monotonic()
            permit = breaker.acquire(now_s)
            if permit is not None or now_s >= until_s or self._interruption is not None:
                return permit
            # Several streams can wait for the same probe: each looks again at its own moment.
            pause_s = max(_LOOK_AGAIN_S, breaker.retry_in_s(now_s)) + self._rng() * _LOOK_AGAIN_S
            await self._interruptible(asyncio.sleep(min(pause_s, until_s - now_s)))

    def _has_text(self) -> Iterator[bool]:
        return (channel.released_bytes > 0 for channel in self._channels.values())

    async def _interruptible(self, coming: Awaitable[T]) -> T | None:
        """Wait for upstream, or for time to pass; None if somebody interrupted."""
        self._is_waiting = True
        try:
            return await coming
        except asyncio.CancelledError:
            if self._interruption is None or self._task is None:
                raise
            self._task.uncancel()
            return None
        finally:
            self._is_waiting = False

    async def _prepare(self, run: RunningAttempt) -> dict[str, Any]:
        """What to send; channels are made ready to take what comes for it."""
        step, model = run.asked.step, run.asked.model
        body = self._plan.body | {"model": model}
        if len(models_of(body)) > 1 and not self._provider.serving(model).routes_models:
            body = {name: value for name, value in body.items() if name not in ("models", "route")}
        if step == "first":
            return body
        if step in _WHOLE_ANSWERS and isinstance(body.get("seed"), int):
            # With the same seed a model answers the same, which is wanted only after a broken connection.
            before = (one for one in self._runs[:-1] if one.asked.step in _WHOLE_ANSWERS)
            body["seed"] += sum(one.result in _OF_THE_ANSWER for one in before)
        if step == "retry":
            # Nothing was released, so the new answer is free; calls that were announced come again.
            self._channels = {name: one for name, one in self._channels.items() if not one.is_tool}
            for channel in self._channels.values():
                await channel.rejoin(b"", None)
            return body
        if step == "restart":
            await self._append([await channel.restart() for channel in self._channels.values()])
            return body
        assert self._released_text is not None  # a rung was chosen by it
        body, run.target = await self._released_text.prepare(step, body, self._plan.retry)
        self._released_text = None  # it holds the text
        return body

    # -- one read ----------------------------------------------------------------------------------------------

    async def _take(self, batch: list[up.UpstreamEvent], read_s: float) -> list[Record]:
        records: list[Record] = []
        run = self._run
        for event in batch:
            run.note(event)
            if type(event) is up.Delta:  # nearly every event
                if not run.is_heard:
                    self._hear(run)
                if data := run.after_space(event.channel, event.data):
                    if not self._sides.is_empty:
                        records += self._take_sides(read_s)
                    records += await self._feed(run, event.channel, data, read_s)
                if run.ended is not None:
                    break  # halted: what else this read brought is not judged any more
                continue
            match event:
                case up.Reasoned(choice=choice) | up.Refused(choice=choice):
                    self._add_side(content_of(choice), event)
                case up.Side(channel=name):
                    self._add_side(name, event)
                case up.Stated(version=version) if version != run.version:
                    await self._hear_version(run, version)
                case up.ConnectionEnded(skipped=skipped):
                    self._meters.upstream_passed_over(skipped)
                    for name, data in run.take_spaces().items():
                        records += await self._feed(run, name, data, read_s)
                case up.ToolStarted(channel=name, call_id=call_id, name=tool) if run.target is None:
                    known = self._channels.get(name)
                    if known is None:
                        made = Channel(name, self._plan, self._meters, tool=tool, call_id=call_id)
                        self._channels[name] = made
                        records += [*self._take_sides(read_s), made.call(event, read_s)]
                    elif known.tool != tool:
                        self._give_up(f"{name} calls {tool!r} this time, not {known.tool!r}")
        return records if self._sides.is_empty else records + self._take_sides(read_s)

    def _add_side(self, channel: str, event: up.Reasoned | up.Refused | up.Side) -> None:
        """Keep what stands beside the text; a rung writes the text of one channel under the name of content."""
        target = self._run.target
        self._sides.add(target if target is not None and channel == "content" else channel, event)

    def _take_sides(self, read_s: float) -> list[Record]:
        return self._sides.take({name: channel.chunks for name, channel in self._channels.items()}, read_s)

    def _hear(self, run: RunningAttempt) -> None:
        """The first text came: that is enough for the breaker, which need not wait for the last byte."""
        run.is_heard = True
        if run.permit is not None:
            breaker = self._breaker_of(run.asked.model)
            run.permit = breaker.answered(run.permit, time.monotonic())

    async def _hear_version(self, run: RunningAttempt, version: str) -> None:
        """Upstream says by which version it writes from here on."""
        run.version, run.refusal = version, None
        until_s = time.monotonic() + self._patience_s
        while self._interruption is None:
            judging = judge_stated(version, self._plan.content, self._plan.judging, self._registry)
            try:
                judged = await self._interruptible(judging)
            except (RegistryFailing, Busy):
                if time.monotonic() >= until_s:
                    raise
                await self._interruptible(asyncio.sleep(_LOOK_AGAIN_S))
            else:
                run.refusal = judged.refusal if judged is not None else None
                if judged is not None and self._registry is not None:
                    self._registry.uses.stated(version, run.refusal.code if run.refusal is not None else None)
                return

    async def _feed(self, run: RunningAttempt, name: str, data: bytes, read_s: float) -> list[Record]:
        if run.target is not None:
            if name != "content":
                return []  # a rung asks for text alone
            name = run.target
        if self._trace is not None:
            self._trace(name, run.number, data)
        channel = self._channels.get(name) or self._channel(name)
        records: list[Record] = []
        if run.refusal is not None and not channel.is_tool:  # a version is that of the document, and not of a call
            records.append(channel.refuse(*run.refusal))
            if channel.state == "halted":
                run.ended = Ended.STOPPED
            if not channel.takes_refused:
                return records
        before = channel.released_bytes
        records += await channel.judge(data, read_s)
        run.released_bytes += channel.released_bytes - before
        if channel.state == "halted":
            run.ended = Ended.STOPPED
        elif channel.unjoined:
            self._give_up(channel.unjoined)
        return records

    def _give_up(self, why: str) -> None:
        """The answer does not continue what was released: there is no use in reading on."""
        self._run.unjoined = why
        self._run.ended = Ended.STOPPED

    def _channel(self, name: str) -> Channel:
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = Channel(name, self._plan, self._meters)
        return channel

    async def _append(self, records: list[Record], *, close: bool = False) -> None:
        if records:
            if self._run.told is not self._told:
                records = self._introduced(records)
            payloads = [encode_record(record) for record in records]
            await self._writer.append(payloads, close=close)

    def _introduced(self, records: list[Record]) -> list[Record]:
        """The records; who answers is said on the first that upstream brought, once it is known."""
        told = self._run.told
        at = next((at for at, record in enumerate(records) if record.kind in _BROUGHT), None)
        if at is None:
            return records
        self._told = told
        if (answerer := self._run.answerer) in (Answerer(), self._answerer):
            return records
        self._answerer = answerer
        return [*records[:at], replace(records[at], answerer=answerer), *records[at + 1 :]]

    async def _append_all_but_halts(self, records: list[Record]) -> None:
        """What a halting read brought; the note of the halt waits until it is known what is done about it."""
        self._halts = [record for record in records if any(error.action == "halt" for error in record.errors)]
        await self._append([record for record in records if record not in self._halts])

    # -- between attempts --------------------------------------------------------------------------------------

    async def _end_attempt(self) -> FailureClass | None:
        """What the attempt came to; the breaker learns of it."""
        run = self._run
        assert run.ended is not None
        records: list[Record] = []
        is_clean = run.failure is None and run.ended is Ended.CLEAN and run.worst_finish is not Finish.LENGTH
        for channel in self._channels.values():
            before = channel.released_bytes
            if run.ended is not Ended.CANCELLED and not run.unjoined:
                records += await channel.end_join(time.time(), is_clean=is_clean)
                if is_clean and not run.refusals and run.worst_finish is not Finish.FILTERED:
                    records += await channel.decide(time.time())
            run.released_bytes += channel.released_bytes - before
            run.skipped_bytes += channel.skipped_bytes
            # An answer that broke off failed for that, and not for what it said.
            if is_clean:
                run.unjoined = run.unjoined or channel.unjoined
        if records:
            await self._append_all_but_halts(records)
        # Images or sound are an answer of their own, where no document is asked for.
        is_shown = bool(run.shown) and self._plan.content is None
        failed = run.failed_as(self._gates(is_shown=is_shown), has_text=run.content_bytes > 0 or is_shown)
        run.result = failed or ("ok" if run.ended is not Ended.CANCELLED else "cancelled")
        self._report(run, failed)
        self._meters.attempt_ended(run.asked.step, run.result)
        return failed

    def _gates(self, *, is_shown: bool) -> str:
        """The worst state that the gates of this attempt would have, were they closed now.

        Args:
            is_shown: Whether it needs no text.
        """
        if any(channel.state == "halted" for channel in self._channels.values()):
            return "halted"
        written = [channel for channel in self._channels.values() if channel.is_tool or not channel.is_blank]
        are_whole = all(channel.is_whole for channel in written)
        return "complete" if (written or is_shown) and are_whole else "incomplete"

    def _report(self, run: RunningAttempt, failed: FailureClass | None) -> None:
        if run.permit is None:
            return
        breaker = self._breaker_of(run.asked.model)
        learns = lesson_of(failed, run.error, has_own_key=self._plan.authorization is not None)
        if run.ended is Ended.CANCELLED:
            learns = "success" if run.has_answered else "none"
        tell = {
            "failure": breaker.failed,
            "success": breaker.succeeded,
            "none": breaker.dropped,
        }[learns]
        run.is_reported = True
        tell(run.permit, time.monotonic())

    def _give_back(self) -> None:
        """However it ended: a breaker must not wait for the report of an attempt that is over."""
        for run in self._runs:
            if run.permit is not None and not run.is_reported:
                run.is_reported = True
                self._breaker_of(run.asked.model).dropped(run.permit, time.monotonic())

    async def _go_on(self, failed: FailureClass) -> NextAttempt | NoAttempt:
        """Choose the next attempt, and write down why there is one."""
        run = self._run
        if RULES[failed].occasion is None and len(models_of(self._plan.body)) == 1:
            return NoAttempt("final")
        if self._ladder.attempts >= self._plan.retry.backoff.max_attempts:
            return NoAttempt("attempts")  # before the log is read back for nothing
        self._released_text = await self._reached()
        asked = self._ladder.next(
            failed,
            self._released_text.position,
            time.monotonic(),
            self._rng,
            gained=run.released_bytes > 0,
            answered=run.has_answered,
            tokens=run.tokens,
            retry_after_s=run.failure.retry_after_s if run.failure is not None else None,
        )
        if isinstance(asked, NextAttempt):
            _log.info(
                "stream %s: attempt %d %s (%s); %s in %.2f s", self.stream_id, run.number, failed,
                run.told_of().message, asked.step, asked.wait_s,
            )  # fmt: skip
            await self._append(self._retry_records(asked, failed))
        return asked

    async def _reached(self) -> ReleasedText:
        texts = await self._released()
        is_long = sum(map(len, texts.values())) > _THREAD_OVER_BYTES
        if is_long:  # reading a megabyte takes half a second: other streams go on meanwhile
            return await asyncio.to_thread(ReleasedText, self._plan, self._channels, texts)
        return ReleasedText(self._plan, self._channels, texts)

    def _retry_records(self, asked: NextAttempt, failed: FailureClass) -> list[Record]:
        """The violation that is retried, and the note with which the next attempt begins."""
        halts = [
            replace(record, errors=[replace(error, action="retry") for error in record.errors])
            for record in self._halts
        ]
        at = sum(channel.released_bytes for channel in self._channels.values())
        begun = RunningAttempt(len(self._runs) + 1, asked, at, failed).told_of()
        sequence = sum(channel.chunks for channel in self._channels.values())
        errors = [] if halts else [self._why(failed, sequence)]
        return [*halts, Record("note", "", "", sequence, errors=errors, attempt=begun)]

    def _why(self, failed: FailureClass, sequence: int) -> Problem:
        run = self._run
        if run.unjoined:
            return Problem(Code.CONTINUATION_REFUSED, sequence, True, "retry", run.unjoined)
        if run.failure is not None:
            return Problem(run.failure.code, sequence, run.failure.recoverable, "retry", run.failure.message)
        message = "the token limit was reached" if failed is FailureClass.TRUNCATED else "upstream ended too early"
        return Problem(Code.UPSTREAM_TRUNCATED, sequence, True, "retry", message)

    async def _released(self) -> dict[str, bytes]:
        """The released text of each channel, as the log has it."""
        texts: dict[str, list[str]] = {}
        after = START
        while True:
            page = await self._log.read(self.stream_id, after, max_bytes=_READ_BACK_BYTES)
            for entry in page.entries:
                record = decode_record(entry.payload)
                if record.kind == "restart":
                    texts[record.channel] = []
                elif record.kind == "delta":
                    texts.setdefault(record.channel, []).append(record.text)
                after = entry.offset
            if not page.entries or after.records >= page.tail.records:
                return {name: "".join(text).encode() for name, text in texts.items()}

    async def _finish_stream(self) -> Outcome:
        name = self._provider.serving(self._run.asked.model).name
        ending = Ending(self._plan, self._channels, self._runs, self._interruption, name, self._has_closed_early)
        if ending.lacks_content:
            self._channel("content")
        records, found = await ending.records(self._halts)
        if records[-1].final is not None and records[-1].final.stopped is not None:
            self._meters.upstream_stopped(self._interruption or "violation")
        await self._append(records, close=True)
        self.outcome = found
        return found
