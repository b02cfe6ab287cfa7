"""One attempt of a stream: what upstream said about it, and its result."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from lockgate.protocol.envelope import Answerer, Attempt
from lockgate.protocol.finish import Finish, fold_finish, worst_finish
from lockgate.protocol.lifecycle import Ended
from lockgate.retry.breaker import Permit
from lockgate.retry.failures import Failure, FailureClass, failure_class
from lockgate.retry.ladder import NextAttempt
from lockgate.upstream import base as up

#: For estimates where upstream gives no count: bytes of a token in JSON, by the recorded streams.
BYTES_PER_TOKEN: Final = 4
#: Longest part of a refusal that is shown.
_MAX_REFUSAL_CHARS: Final = 1000
#: White space waits up to this length: that of a gate's longest run.
_MAX_SPACE_BYTES: Final = 2048
_BAD: Final = (Finish.LENGTH, Finish.FILTERED, Finish.CANCELLED, Finish.ERROR)


@dataclass(slots=True)
class RunningAttempt:
    """The facts of one attempt, as they come in.

    Attributes:
        number: From 1.
        asked: Its step, model and wait.
        at: Released bytes, of all channels, when it began.
        reason: Class of the failure before it; empty for the first.
        permit: What the breaker gave; None if the breaker was open.
        target: The channel that the answer's content continues; None if channels are as they are named.
        unjoined: Why its answer does not continue what was released; empty if it does.
        is_heard: Whether the breaker knows that it answers.
        text_bytes: Text that came, reasoning included.
        finish: The worst finish reason of each choice that has one.
        called: Choices that called a tool.
        refusals: What each choice that refused said, up to a bound.
        spaces: White space that came before anything else of a content channel, and waits.
        begun: Content channels of which anything else came.
        is_reported: Whether the breaker has its permit back.
    """

    number: int
    asked: NextAttempt
    at: int
    reason: str = ""
    permit: Permit | None = None
    target: str | None = None
    unjoined: str = ""
    is_heard: bool = False
    text_bytes: int = 0
    content_bytes: int = 0
    released_bytes: int = 0
    skipped_bytes: int = 0
    finish: dict[int, str] = field(default_factory=dict)
    called: set[int] = field(default_factory=set)
    refusals: dict[int, str] = field(default_factory=dict)
    failure: up.Failed | None = None
    told: up.Told = field(default_factory=up.Told)
    ended: Ended | None = None
    result: str = ""
    spaces: dict[str, bytes] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    is_reported: bool = False

    def note(self, event: up.UpstreamEvent) -> None:
        """Keep what an event says about the attempt; its text goes elsewhere."""
        match event:
            case up.Delta(data=data):
                self.text_bytes += len(data)
                self.content_bytes += len(data)
            case up.Reasoned(data=data):
                self.text_bytes += len(data)
            case up.Refused(choice=choice, data=data):
                said = self.refusals.get(choice, "") + data.decode(errors="replace")
                self.refusals[choice] = said[:_MAX_REFUSAL_CHARS]
            case up.ToolStarted(channel=channel):
                self.called.add(choice_of(channel))
            case up.Finished(choice=choice, reason=reason, native_reason=native):
                self.finish[choice] = _worse(self.finish.get(choice), reason)
                # What the provider itself said, where it says more: stop, but natively MALFORMED_FUNCTION_CALL.
                if fold_finish(native) in _BAD:
                    self.finish[choice] = _worse(self.finish[choice], native or "")
            case up.Told():
                self.told = merged(self.told, event)
            case up.Failed():
                self.failure = self.failure or event
            case up.ConnectionEnded(how=how):
                self.ended = how

    @property
    def answerer(self) -> Answerer:
        """Who answers it, as far as upstream said."""
        told = self.told
        return Answerer(told.upstream_id, told.model, told.provider, told.created)

    def after_space(self, channel: str, data: bytes) -> bytes:
        """What may go to a channel now: white space before all content waits, for beside a tool call it is nothing."""
        if channel in self.begun or not channel.endswith("content"):
            return data
        data = self.spaces.pop(channel, b"") + data
        if data.isspace() and len(data) <= _MAX_SPACE_BYTES:
            self.spaces[channel] = data
            return b""
        self.begun.add(channel)
        return data

    def take_spaces(self) -> dict[str, bytes]:
        """What still waits at the end, of choices that called nothing."""
        found = {name: data for name, data in self.spaces.items() if choice_of(name) not in self.called}
        self.spaces = {}
        return found

    @property
    def tokens(self) -> int:
        """Completion tokens, estimated where upstream gave no count."""
        told = (self.told.usage or {}).get("completion_tokens")
        if isinstance(told, int) and not isinstance(told, bool) and told >= 0:
            return told
        return math.ceil(self.text_bytes / BYTES_PER_TOKEN)

    @property
    def is_estimate(self) -> bool:
        return not isinstance((self.told.usage or {}).get("completion_tokens"), int)

    @property
    def has_answered(self) -> bool:
        """Whether anything came that the model wrote."""
        return self.text_bytes > 0

    def failed_as(self, gate_state: str, *, has_text: bool) -> FailureClass | None:
        """The class of its failure; None if it did not fail."""
        assert self.ended is not None
        if self.unjoined:
            return FailureClass.UNJOINED
        failed = self.failure
        if failed is not None and self._is_rung_refused(failed):
            self.unjoined = failed.message
            return FailureClass.UNJOINED
        # A continuation that broke the schema before any new text does not fit, whatever the model meant.
        if gate_state == "halted" and self.is_rung and self.released_bytes == 0:
            return FailureClass.UNJOINED
        return failure_class(
            gate_state=gate_state,
            finish=self.worst_finish,
            failure=self.error,
            has_refusal=bool(self.refusals),
            ended=self.ended,
            has_text=has_text,
        )

    @property
    def error(self) -> Failure | None:
        """The first error, as far as its class depends on it."""
        failed = self.failure
        return Failure(failed.code, failed.status, failed.kind, failed.recoverable) if failed is not None else None

    def _is_rung_refused(self, failed: up.Failed) -> bool:
        """Whether the provider took the request itself, but does not take this way of going on."""
        return self.asked.step in ("prefill", "tail", "residual") and failed.status in (400, 404, 422, 501)

    @property
    def is_rung(self) -> bool:
        """Whether it continues or repeats text that was released."""
        return self.asked.step not in ("first", "retry", "restart")

    def finish_of(self, choice: int) -> Finish:
        """What the finish reason of one choice comes to; that of a call which never came says nothing."""
        found = fold_finish(self.finish.get(choice))
        return Finish.NONE if found is Finish.TOOL_CALLS and choice not in self.called else found

    @property
    def worst_finish(self) -> Finish:
        """Of all choices; one without any makes an end that nothing proves."""
        return worst_finish(map(self.finish_of, self.finish))

    def told_of(self) -> Attempt:
        """What the log says of it: at its beginning, or with its result."""
        return Attempt(
            number=self.number,
            step=self.asked.step,
            model=self.asked.model,
            at=self.at,
            reason=self.reason,
            wait_s=round(self.asked.wait_s, 3),
            result=self.result,
            message=self._message(),
            released_bytes=self.released_bytes,
            skipped_bytes=self.skipped_bytes,
            tokens=self.tokens,
            is_estimate=self.is_estimate and self.text_bytes > 0,
        )

    def _message(self) -> str:
        return self.unjoined or (self.failure.message if self.failure is not None else "")


def choice_of(channel: str) -> int:
    """Number of the choice that a channel belongs to."""
    return int(channel.split("/")[1]) if channel.startswith("choice/") else 0


def content_of(choice: int) -> str:
    """Name of the channel of a choice's content."""
    return f"choice/{choice}/content" if choice else "content"


def _worse(old: str | None, new: str) -> str:
    """The worse of two finish reasons of one choice; of equal ones the later."""
    return old if old and worst_finish((fold_finish(old), fold_finish(new))) is not fold_finish(new) else new


def merged(old: up.Told, new: up.Told) -> up.Told:
    """Facts come in several chunks: a new one replaces the old, an absent one changes nothing."""
    return up.Told(
        new.upstream_id or old.upstream_id,
        new.model or old.model,
        new.provider or old.provider,
        new.usage if new.usage is not None else old.usage,
        new.created or old.created,
    )


def summed(usages: Iterable[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Usage of several attempts: numbers summed, everything else as it came last."""
    total: dict[str, Any] | None = None
    for usage in usages:
        if usage is not None:
            total = dict(usage) if total is None else _added(total, usage)
    return total


def _added(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return one | {name: _sum(one.get(name), value) for name, value in other.items()}


def _sum(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return _added(one, other)
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other))
    return one + other if numbers else one if other is None else other
