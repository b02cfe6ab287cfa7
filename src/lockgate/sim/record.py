"""What the simulator remembers about a request, so that a test can see a cancellation from the provider's side."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lockgate.sim.continuation import Kind, Manner
from lockgate.sim.faults import Fault


class RequestState(StrEnum):
    """How far a request is. The first two are open, the others final."""

    SENDING = "sending"
    STALLING = "stalling"  # sends nothing more, waits for the client to leave
    COMPLETE = "complete"  # all of it was sent, to an end that is none of the provider's failures
    ERROR = "error"  # ended with an error, as asked
    CUT = "cut"  # broken off, as asked, or because it stalled for too long
    LEFT = "left"  # the client went away before the end
    STOPPED = "stopped"  # the simulator was shut down


@dataclass(slots=True, eq=False)
class RequestRecord:
    """One request, while it runs and afterwards.

    Attributes:
        number: Counts the requests from 1.
        generation: The ``gen-`` id that the client got.
        model: Name of the model.
        is_stream: Whether events were asked for.
        fault: The fault chosen as ``sim.fault``.
        kind: What kind of request it is.
        key: Key under which its attempts are counted; None if the messages are the key.
        attempt: Number of this request for the answer, from 1.
        manners: How it was asked to behave.
        faults: Each fault, with the byte of the text where it shows.
        total_bytes: Bytes of text that this request will send, including the effect of faults.
        total_deltas: The same text in deltas.
        started_s: When it began, on the simulator's monotonic clock.
        sent_bytes: Bytes of text given to the connection; some of them may still be in a buffer.
        sent_deltas: The same in deltas.
        is_text_over: Whether all the text was sent, and its end began.
        wire_bytes: Bytes of the response body, including comments.
        ended_s: When it ended, on the same clock; None while it is open.
        ended: Set at the end, for tests to wait on.
    """

    number: int
    generation: str
    model: str
    is_stream: bool
    fault: Fault | None
    total_bytes: int
    total_deltas: int
    started_s: float
    kind: Kind = Kind.FIRST
    key: str | None = None
    attempt: int = 1
    manners: tuple[Manner, ...] = ()
    faults: tuple[tuple[Fault, int], ...] = ()
    is_text_over: bool = False
    state: RequestState = RequestState.SENDING
    sent_bytes: int = 0
    sent_deltas: int = 0
    wire_bytes: int = 0
    ended_s: float | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def has_client_left(self) -> bool:
        """Whether the client left before the end. ``ended_s`` says when."""
        return self.state is RequestState.LEFT

    @property
    def struck(self) -> list[Fault]:
        """The faults that have shown so far."""
        return [fault for fault, at in self.faults if at < self.sent_bytes or self.is_text_over]

    def end(self, state: RequestState, now_s: float) -> None:
        """Note how it ended. Only the first end counts, because a broken connection also looks like a lost client."""
        if self.ended_s is None:
            self.state, self.ended_s = state, now_s
            self.ended.set()

    def told(self, now_s: float) -> dict[str, Any]:
        """The record for ``GET /v1/sim/requests``, with ages in seconds."""
        ended_age_s = None if self.ended_s is None else now_s - self.ended_s
        return {
            "number": self.number,
            "id": self.generation,
            "model": self.model,
            "stream": self.is_stream,
            "kind": self.kind,
            "key": self.key,
            "attempt": self.attempt,
            "fault": self.fault,
            "faults": [fault for fault, _ in self.faults],
            "struck": self.struck,
            "manners": self.manners,
            "state": self.state,
            "sent_bytes": self.sent_bytes,
            "total_bytes": self.total_bytes,
            "sent_deltas": self.sent_deltas,
            "total_deltas": self.total_deltas,
            "wire_bytes": self.wire_bytes,
            "started_age_s": now_s - self.started_s,
            "ended_age_s": ended_age_s,
            "client_left": self.has_client_left,
            "client_left_age_s": ended_age_s if self.has_client_left else None,
        }
