"""Streams that producers push: through the same gate as what a provider sends, from any node.

How it works: the stream's gate judges a push. What it releases is committed in one step with the producer's state, on
condition that nobody else has written since. The gate lives in the process that the pushes come to. If another node has
written meanwhile, or this one was restarted, a new gate is fed what was pushed so far, which the log has. No state of a
gate is stored. So a gate that nobody pushes to may be dropped at any time, and is where a heavy schema needs its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import msgspec

from lockgate import Limits
from lockgate.errors import BadRequest, Busy, Code, TailMoved
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Problem, Record, StreamEnd, decode_record, encode_record
from lockgate.protocol.finish import Finish
from lockgate.protocol.lifecycle import Ended, Outcome, outcome
from lockgate.protocol.offsets import START, Offset
from lockgate.registry.registry import SchemaRegistry
from lockgate.store.base import Producer, Pushed, StreamLog
from lockgate.streams.channels import Channel
from lockgate.streams.checking import check
from lockgate.streams.meta import StreamMeta
from lockgate.streams.options import StreamOptions, StreamRequest
from lockgate.streams.pinning import pinned_plan
from lockgate.streams.plan import Defaults, Plan, plan_for
from lockgate.streams.schemas import Schemas
from lockgate.streams.stated_version import StatedVersion, judge_stated

#: Gates kept between pushes; the gate of a stream that comes back later is rebuilt.
_MAX_GATES: Final = 256
#: How often a push is judged again because another node wrote first.
_TRIES: Final = 16
_PAGE_BYTES: Final = 256 * 1024


@dataclass(slots=True, eq=False)
class _Gated:
    """A pushed stream on this node: its gate, and how much of the log the gate has seen."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    channel: Channel | None = None
    tail: Offset = START

    def lose_gate(self) -> None:
        """The next push gets a new one."""
        if self.channel is not None:
            self.channel.abandon()
        self.channel = None

    @contextlib.contextmanager
    def awake(self) -> Iterator[None]:
        """While somebody pushes, nobody else may have what the gate takes."""
        if self.channel is not None:
            self.channel.wake()
        try:
            yield
        finally:
            if self.channel is not None:
                self.channel.rest(self.lose_gate)


@dataclass(frozen=True, slots=True)
class Push:
    """One POST of a producer.

    Attributes:
        text: What is pushed; empty for a push that only closes.
        close: Whether the text is over.
        schema: Version of a registered schema that it is written by, like ``invoice@2``; ``""`` if nobody says so.
    """

    text: str
    close: bool = False
    producer: Producer | None = None
    stream_seq: str | None = None
    schema: str = ""


@dataclass(frozen=True, slots=True)
class PushVerdict:
    """The answer to a push: what the log says, and the violation that ended the stream, if one did."""

    pushed: Pushed
    problem: Problem | None = None


class JudgedPush(NamedTuple):
    """The records that a push becomes.

    Attributes:
        version: None if its producer states none, or nobody asks for it.
    """

    records: list[Record]
    version: StatedVersion | None = None


class PushedStreams:
    """The streams with a gate that producers push to.

    Args:
        registry: The registered schemas; None where what producers say of versions is ignored.
    """

    def __init__(
        self, log: StreamLog, meters: Meters, schemas: Schemas, registry: SchemaRegistry | None = None
    ) -> None:
        self._registry = registry
        self._log = log
        self._meters = meters
        self._schemas = schemas
        self._gated: OrderedDict[str, _Gated] = OrderedDict()

    async def judge_first(self, plan: Plan, push: Push) -> JudgedPush:
        """A stream's first push, which is to be committed together with the stream itself; then ``count`` it."""
        if not push.text and not push.close:
            return JudgedPush([])
        channel = Channel("content", plan, self._meters)
        try:
            return await self._judge(channel, push)
        finally:
            channel.abandon()

    async def push(self, stream_id: str, meta: StreamMeta, push: Push) -> PushVerdict:
        """Judge a push and commit what may be released of it.

        Raises:
            As ``StreamLog.push``; Busy: other nodes push to the same stream without pause.
        """
        gated = self._of(stream_id)
        async with gated.lock:
            with gated.awake():
                for _ in range(_TRIES):
                    try:
                        return await self._try(stream_id, meta, push, gated)
                    except TailMoved:
                        gated.lose_gate()
                    except BaseException:
                        gated.lose_gate()  # it may have seen what was never committed
                        raise
        raise Busy(f"stream {stream_id}: others push to it without pause; push again")

    def count(self, judged: JudgedPush) -> None:
        """A push is in the log: the version that it states was used."""
        if judged.version is not None and self._registry is not None:
            text, refusal = judged.version
            self._registry.uses.stated(text, refusal.code if refusal is not None else None)

    def forget(self, stream_id: str) -> None:
        """The stream was deleted."""
        gated = self._gated.pop(stream_id, None)
        if gated is not None and not gated.lock.locked():
            gated.lose_gate()

    def _of(self, stream_id: str) -> _Gated:
        gated = self._gated.setdefault(stream_id, _Gated())
        self._gated.move_to_end(stream_id)
        while len(self._gated) > _MAX_GATES and not next(iter(self._gated.values())).lock.locked():
            self._gated.popitem(last=False)[1].lose_gate()
        return gated

    async def _try(self, stream_id: str, meta: StreamMeta, push: Push, gated: _Gated) -> PushVerdict:
        known = await self._log.check_push(
            stream_id,
            producer=push.producer,
            stream_seq=push.stream_seq,
            close=push.close,
            has_payloads=bool(push.text),
        )
        if known is not None:
            return PushVerdict(known)
        channel = await self._channel(stream_id, meta, gated)
        judged = await self._judge(channel, push)
        records = judged.records
        pushed = await self._log.push(
            stream_id,
            [encode_record(record) for record in records],
            producer=push.producer,
            stream_seq=push.stream_seq,
            close=records[-1].final is not None,
            expect=gated.tail,
        )
        gated.tail = pushed.tail
        if not pushed.is_new or pushed.is_closed:
            gated.lose_gate()
        if not pushed.is_new:
            return PushVerdict(pushed)
        self.count(judged)
        return PushVerdict(pushed, problem_of(records))

    async def _judge(self, channel: Channel, push: Push) -> JudgedPush:
        said = push.schema if push.text else ""
        version = await judge_stated(said, channel.schema, channel.judging, self._registry)
        refusal = version.refusal if version is not None else None
        if refusal is None:
            return JudgedPush(await self._judge_text(channel, push), version)
        note = channel.refuse(refusal.code, refusal.message)
        if channel.state == "halted":
            return JudgedPush([note, _final(channel)], version)
        if not channel.takes_refused:
            push = replace(push, text="")
        return JudgedPush([note, *await self._judge_text(channel, push)], version)

    async def _judge_text(self, channel: Channel, push: Push) -> list[Record]:
        read_s = time.time()
        records = await channel.judge(push.text.encode(), read_s) if push.text else []
        released = "".join(record.text for record in records)
        if push.text and released != push.text and channel.state == "open":
            first = records[0] if records else channel.mark()
            records = [msgspec.structs.replace(first, pushed=push.text), *records[1:]]
        is_halted = channel.state == "halted"
        if push.close and not is_halted:
            records += await channel.close(clean=True, read_s=read_s)
        if push.close or is_halted:
            records.append(_final(channel))
        return records

    async def _channel(self, stream_id: str, meta: StreamMeta, gated: _Gated) -> Channel:
        """The stream's gate, up to date with its log."""
        head = await self._log.head(stream_id)
        if gated.channel is None or gated.tail != head.tail:
            gated.lose_gate()
            gated.channel = Channel("content", await self._plan_of(meta), self._meters)
            gated.tail = START
            while gated.tail.records < head.tail.records:
                page = await self._log.read(stream_id, gated.tail, max_bytes=_PAGE_BYTES)
                await gated.channel.replay([decode_record(entry.payload) for entry in page.entries])
                gated.tail = page.entries[-1].offset
        return gated.channel

    async def _plan_of(self, meta: StreamMeta) -> Plan:
        # Under the name that it had when it was opened, whatever the registry has by now.
        return pinned_plan(await plan_for(*asked_by(meta), self._schemas), meta.schema)


def asked_by(meta: StreamMeta) -> tuple[StreamRequest, Defaults]:
    """What a stream was opened with: all of it is kept with the stream, so its plan is the same anywhere."""
    options = check(StreamOptions, {**msgspec.json.decode(meta.options), "source": "push"}, "lockgate")
    return StreamRequest(options, {}), Defaults(limits=meta.limits or Limits())


def problem_of(records: Sequence[Record]) -> Problem | None:
    """What ended the stream; where nothing did, the first thing that was wrong with a push."""
    found = [problem for record in records for problem in record.errors]
    return next((problem for problem in found if problem.action == "halt"), found[0] if found else None)


def _final(channel: Channel) -> Record:
    """The last record."""
    state = channel.state
    ended = Ended.STOPPED if state == "halted" else Ended.CLEAN
    found = outcome(state, Finish.STOP, has_error=False, has_refusal=False, ended=ended, is_blank=channel.is_blank)
    end = channel.end(found)
    body = StreamEnd(
        state=found,
        reason=_reason(channel, found),
        authority=channel.authority if found is Outcome.COMPLETE else "none",
        channels={channel.name: end},
    )
    return Record("final", "", "", end.chunks, final=body)


def _reason(channel: Channel, found: Outcome) -> str:
    if found is Outcome.COMPLETE:
        return "done"
    return channel.violation or ("empty" if channel.is_blank else Code.TRUNCATED)


def texts_of(body: bytes) -> str:
    """The text of a push: a JSON string, or an array of strings, which are texts in a row; nothing of an empty body.

    Raises:
        BadRequest: anything else.
    """
    if not body:
        return ""
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise BadRequest("the body is nested too deep") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise BadRequest('a gated stream takes text: push a JSON string, or an array of strings, like ["{\\"name\\":"]')
    return "".join(texts)


def is_json(content_type: str) -> bool:
    """Whether it is ``application/json``, whatever its parameters."""
    return plain_type(content_type) == "application/json"


def plain_type(content_type: str) -> str:
    """A content type without its parameters, to be compared."""
    return content_type.partition(";")[0].strip().lower()


def messages_of(body: bytes, content_type: str) -> Sequence[bytes]:
    """The messages of a push to a raw stream: one, or in JSON mode each element of an array (Durable Streams 9.1).

    Raises:
        BadRequest: the stream is one of JSON, and this is not JSON.
    """
    if not body:
        return ()
    if not is_json(content_type):
        return (body,)
    try:
        value = msgspec.json.decode(body)  # all of it is checked here; Raw alone would let some faults pass
        raws = msgspec.json.decode(body, type=list[msgspec.Raw]) if isinstance(value, list) else [body]
        # Each on one line.
        return [msgspec.json.format(bytes(raw), indent=-1) for raw in raws]
    except RecursionError:
        raise BadRequest("the body is nested too deep") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
