"""The pump: one task per stream that takes what upstream sends through the gates into the log.

How it works: everything that one read brought becomes one append, and only when that is committed is more read; so the
socket's own buffer is the only queue, and a slow log slows upstream down. The log is what readers read; the pump never
talks to them. However it ends, the last record is ``final`` and the stream is closed with it, unless the process dies:
then another owner does that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from lockgate.errors import Cancelled, FencedOut, InternalError, LockgateError, OwnerGone, StoreError, UpstreamTruncated
from lockgate.gateway.channels import Channel
from lockgate.gateway.helper import Helper
from lockgate.gateway.plan import Plan
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Problem, Record, StreamEnd, encode_record
from lockgate.protocol.lifecycle import Ended, Finish, Outcome, fold_finish, may_be_clean, outcome, stream_outcome
from lockgate.store.base import StreamLog
from lockgate.upstream import base as up

T = TypeVar("T")

_log: Final = logging.getLogger("lockgate.pump")


class Pump:
    """Runs one stream from the request to its final record.

    Args:
        trace: Told of every piece of text as upstream sent it, before any gate; None keeps nothing.
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
        helper: Helper,
        trace: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self.stream_id = stream_id
        self._plan = plan
        self._provider = provider
        self._log = log
        self._meters = meters
        self._epoch = epoch
        self._helper = helper
        self._seq = 0
        self._trace = trace
        self._channels: dict[str, Channel] = {}
        self._finish: dict[int, str] = {}
        self._refusals: set[int] = set()
        self._failure: up.Failed | None = None
        self._told = up.Told()
        self._ended: Ended | None = None
        self._interruption: type[LockgateError] | None = None
        self._is_reading = False
        self._task: asyncio.Task[Any] | None = None
        self._violation = ""
        self.outcome: Outcome | None = None

    @property
    def failure(self) -> up.Failed | None:
        """What upstream did wrong, if it did."""
        return self._failure

    def interrupt(self, why: type[LockgateError]) -> None:
        """Stop as soon as no append is under way: upstream is closed and the stream ends honestly.

        ``why`` is ``Cancelled`` (a caller asked) or ``OwnerGone`` (this node is going down).
        """
        if self._interruption is None and self.outcome is None:
            self._interruption = why
            # Only while waiting for upstream: an append must never be left in doubt.
            if self._is_reading and self._task is not None:
                self._task.cancel()

    async def run(self) -> Outcome:
        """Pump until upstream ends, a gate halts, or somebody interrupts.

        Raises:
            FencedOut: another owner writes this stream now; nothing more was written here.
            StoreError: the log does not take any more.
        """
        self._task = asyncio.current_task()
        try:
            await self._pump()
        except (FencedOut, StoreError):
            raise
        except Exception:
            # A bug here must not leave readers waiting for ever: the stream is closed as failed, and the log says why.
            _log.exception("stream %s: the pump failed", self.stream_id)
            self._failure = up.Failed(InternalError.code, "an internal error ended this stream; see the gateway's log")
            self._ended = Ended.BROKEN
        finally:
            for channel in self._channels.values():
                channel.abandon()
        return await self._finish_stream()

    async def _pump(self) -> None:
        # Leaving the block closes the connection: at a halt that is what cancels the generation.
        async with contextlib.AsyncExitStack() as generation:
            batches = await self._from_upstream(generation.enter_async_context(self._provider.open(self._plan.body)))
            while self._ended is None:
                batch = await self._from_upstream(anext(batches)) if batches is not None else None
                if batch is not None:
                    await self._append(await self._take(batch, time.time()))
                if self._interruption is not None:
                    self._ended = Ended.CANCELLED

    async def _from_upstream(self, coming: Awaitable[T]) -> T | None:
        """Wait for upstream; None if somebody interrupted."""
        self._is_reading = True
        try:
            return await coming
        except asyncio.CancelledError:
            if self._interruption is None or self._task is None:
                raise
            self._task.uncancel()
            return None
        finally:
            self._is_reading = False

    # -- one read ----------------------------------------------------------------------------------------------

    async def _take(self, batch: list[up.UpstreamEvent], read_s: float) -> list[Record]:
        records: list[Record] = []
        for event in batch:
            match event:
                case up.Delta(channel=name, data=data):
                    records += await self._feed(name, data, read_s)
                    if self._ended is not None:
                        break  # halted: what else this read brought is not judged any more
                case up.ToolStarted(channel=name, call_id=call_id, name=tool):
                    self._channels[name] = Channel(name, self._plan, self._meters, tool=tool, call_id=call_id)
                case up.Refused(choice=choice):
                    self._refusals.add(choice)
                case up.Finished(choice=choice, reason=reason):
                    self._finish[choice] = reason
                case up.Told():
                    self._told = _merged(self._told, event)
                case up.Failed():
                    self._failure = self._failure or event
                case up.Ended(how=how):
                    self._ended = how
        return records

    async def _feed(self, name: str, data: bytes, read_s: float) -> list[Record]:
        if self._trace is not None:
            self._trace(name, data)
        channel = self._channel(name)
        records = await channel.judge(data, read_s, self._helper)
        if channel.state == "halted":
            self._violation = records[-1].errors[0].code
            self._ended = Ended.STOPPED
        return records

    def _channel(self, name: str) -> Channel:
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = Channel(name, self._plan, self._meters)
        return channel

    async def _append(self, records: list[Record], *, close: bool = False) -> None:
        if records:
            payloads = [encode_record(record) for record in records]
            await self._log.append(self.stream_id, payloads, epoch=self._epoch, seq=self._seq, close=close)
            self._seq += 1

    # -- the end -----------------------------------------------------------------------------------------------

    async def _finish_stream(self) -> Outcome:
        assert self._ended is not None
        records = self._close_channels(self._ended)
        records += self._failures()
        found = stream_outcome(one.outcome for one in self._channels.values() if one.outcome is not None)
        if self._interruption is OwnerGone:
            found = Outcome.FAILED
        elif found is Outcome.COMPLETE and self._plan.must_call and not any(c.is_tool for c in self._channels.values()):
            found = Outcome.INCOMPLETE
        records.append(self._final(found))
        await self._append(records, close=True)
        self.outcome = found
        return found

    def _close_channels(self, ended: Ended) -> list[Record]:
        if not self._channels or self._lacks_content():
            self._channel("content")
        records: list[Record] = []
        for channel in self._channels.values():
            facts = {
                "finish": fold_finish(self._finish.get(channel.choice)),
                "has_error": self._failure is not None,
                "has_refusal": channel.choice in self._refusals,
                "ended": ended,
            }
            clean = may_be_clean(**facts)  # type: ignore[arg-type]
            if clean and channel.is_tool and channel.is_blank:
                records += channel.feed(b"{}", time.time())  # a call without arguments is a call with none
            closed = channel.close(clean=clean, read_s=time.time())
            # Where the connection broke, or a caller cancelled, that is the reason; the text just ends where it ended.
            if self._failure is None and ended is not Ended.CANCELLED:
                records += closed
            channel.outcome = outcome(channel.state, **facts)  # type: ignore[arg-type]
            if channel.outcome is Outcome.COMPLETE and channel.is_blank:
                channel.outcome = Outcome.INCOMPLETE  # an empty answer is no answer
        return records

    def _lacks_content(self) -> bool:
        """Whether a document was asked for as content and neither it nor a tool call came instead."""
        is_called = any(channel.is_tool for channel in self._channels.values())
        return self._plan.content is not None and "content" not in self._channels and not is_called

    def _failures(self) -> list[Record]:
        problems = []
        sequence = sum(channel.chunks for channel in self._channels.values())
        if self._failure is not None:
            failed = self._failure
            problems.append(Problem(failed.code, sequence, failed.recoverable, "none", failed.message))
        elif self._ended is Ended.SILENT:
            message = "upstream ended with neither a finish_reason nor [DONE]"
            problems.append(Problem(UpstreamTruncated.code, sequence, True, "none", message))
        if self._interruption is not None:
            why = self._interruption
            message = "cancelled by a caller" if why is Cancelled else "the gateway that wrote this stream shut down"
            problems.append(Problem(why.code, sequence, why.recoverable, "none", message))
        return [Record("note", "", "", sequence, errors=problems)] if problems else []

    def _final(self, found: Outcome) -> Record:
        finish = next((self._finish[choice] for choice in sorted(self._finish)), None)
        ends = {name: channel.end() for name, channel in self._channels.items()}
        end = StreamEnd(
            state=str(found),
            reason=self._reason(found, finish),
            authority=self._authority() if found is Outcome.COMPLETE else "none",
            finish_reason=finish,
            model=self._told.model,
            provider=self._told.provider,
            upstream_id=self._told.upstream_id,
            usage=self._told.usage,
            channels=ends,
        )
        return Record("final", "", "", sum(one.chunks for one in ends.values()), final=end)

    def _authority(self) -> Any:
        judged = [channel.authority for channel in self._channels.values() if channel.schema is not None]
        # The weakest word of all channels is what can be said of the stream.
        return next((word for word in ("checks", "elements", "document") if word in judged), "passthrough")

    def _reason(self, found: Outcome, finish: str | None) -> str:
        if self._interruption is not None:
            return self._interruption.code
        if found is Outcome.HALTED:
            return self._violation or "schema_violation"
        if found is Outcome.FAILED and self._failure is not None:
            return self._failure.code
        if found is Outcome.REFUSED:
            return "refusal" if self._refusals else "content_filter"
        if found is Outcome.INCOMPLETE:
            return self._why_incomplete(finish)
        return finish or "done"

    def _why_incomplete(self, finish: str | None) -> str:
        if fold_finish(finish) is Finish.LENGTH:
            return "length"
        if all(channel.is_blank for channel in self._channels.values()):
            return "empty"
        if self._plan.must_call and not any(channel.is_tool for channel in self._channels.values()):
            return "no_tool_call"
        return "truncated"


def _merged(old: up.Told, new: up.Told) -> up.Told:
    """Facts come in several chunks; what is new wins, what is absent changes nothing."""
    return up.Told(
        new.upstream_id or old.upstream_id,
        new.model or old.model,
        new.provider or old.provider,
        new.usage if new.usage is not None else old.usage,
    )


def owner_gone_record(sequence: int) -> Record:
    """The final record of a stream whose owner died, written by whoever finds it."""
    message = "the gateway that wrote this stream died before it was finished"
    problem = Problem(OwnerGone.code, sequence, OwnerGone.recoverable, "none", message)
    end = StreamEnd(state=str(Outcome.FAILED), reason=OwnerGone.code, authority="none")
    return Record("final", "", "", sequence, errors=[problem], final=end)
