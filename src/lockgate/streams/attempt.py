"""One attempt of a stream: what upstream said about it, and its result."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from lockgate.protocol.envelope import Answerer, Attempt
from lockgate.registry.agreement import VersionRefusal
from lockgate.retry.breaker import Permit
from lockgate.retry.failures import Failure, FailureClass, failure_class
from lockgate.retry.ladder import NextAttempt
from lockgate.upstream import base as up
from lockgate.upstream.facts import AnswerFacts

#: For estimates where upstream gives no count: bytes of a token in JSON, by the recorded streams.
BYTES_PER_TOKEN: Final = 4


@dataclass(slots=True)
class RunningAttempt(AnswerFacts):
    """The facts of one attempt, as they come in; those of its answer are named in ``AnswerFacts``.

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
        is_reported: Whether the breaker has its permit back.
        version: The version that upstream says its text is of; empty if it does not.
        refusal: Why the stream does not take text of that version; None if it does.
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
    told: up.Told = field(default_factory=up.Told)
    result: str = ""
    is_reported: bool = False
    version: str = ""
    refusal: VersionRefusal | None = None

    def note(self, event: up.UpstreamEvent) -> None:
        """Keep what an event says about the attempt; its text goes elsewhere."""
        if type(event) is up.Delta:  # nearly every event; it says nothing about the end
            count = len(event.data)
            self.text_bytes += count
            self.content_bytes += count
            return
        AnswerFacts.note(self, event)  # a class with slots is made anew, and super() would not know it
        match event:
            case up.Reasoned(data=data):
                self.text_bytes += len(data)
            case up.Told():
                self.told = merged(self.told, event)

    @property
    def answerer(self) -> Answerer:
        """Who answers it, as far as upstream said."""
        told = self.told
        return Answerer(told.upstream_id, told.model, told.provider, told.created, told.fingerprint, told.tier)

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


def merged(old: up.Told, new: up.Told) -> up.Told:
    """Facts come in several chunks: a new one replaces the old, an absent one changes nothing."""
    return up.Told(
        new.upstream_id or old.upstream_id,
        new.model or old.model,
        new.provider or old.provider,
        new.usage if new.usage is not None else old.usage,
        new.created or old.created,
        new.fingerprint or old.fingerprint,
        new.tier or old.tier,
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
