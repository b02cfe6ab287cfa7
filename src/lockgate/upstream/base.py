"""What a provider is: one upstream API dialect, turned into the events below.

A provider opens a generation and yields lists of events. Everything that one read of the socket brought is one list, so
that the pump can pass it through the gate, into one record and out in one send. A provider decides nothing about JSON
documents. It never raises for what upstream did; the last event of every generation is ``ConnectionEnded``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import msgspec

from lockgate.protocol.lifecycle import Ended as How

#: Most choices that are waited for; no provider takes a request for more.
MAX_CHOICES: Final = 128


class Delta(msgspec.Struct, frozen=True, gc=False):
    """A fragment of one channel's text, as UTF-8 bytes.

    ``channel`` is ``content`` or ``tool/N`` for choice 0 (N counts the calls of the choice in order of appearance),
    ``choice/C/content`` and ``choice/C/tool/N`` for the others.
    """

    channel: str
    data: bytes


class ToolStarted(msgspec.Struct, frozen=True, gc=False):
    """A tool call begins on ``channel`` (``tool/N``). Comes before its first ``Delta``, also when none follows.

    ``index`` says which call of its choice it is, from 0; ``is_legacy`` that it came as ``function_call``.
    """

    channel: str
    call_id: str
    name: str
    index: int = 0
    is_legacy: bool = False


class Reasoned(msgspec.Struct, frozen=True, gc=False):
    """A fragment of reasoning text. Progress, not content. ``member`` is the name that upstream gave it."""

    choice: int
    data: bytes
    member: str = "reasoning"


class Side(msgspec.Struct, frozen=True, gc=False):
    """Members beside a channel's text, as upstream wrote them: signatures, annotations, images, log probabilities.

    What came in one read may be one event: lists and texts of the same name are joined.
    """

    channel: str
    members: dict[str, Any]


class Refused(msgspec.Struct, frozen=True, gc=False):
    """A fragment of a refusal (``delta.refusal``): the model answered, but refused the request."""

    choice: int
    data: bytes


class Finished(msgspec.Struct, frozen=True, gc=False):
    """A ``finish_reason``. It may come more than once and before the last content: the worst one counts."""

    choice: int
    reason: str
    native_reason: str | None = None


class Told(msgspec.Struct, frozen=True, gc=False):
    """New facts about the generation: who answers, when (seconds since 1970), what it costs (``usage`` as it came).

    ``fingerprint`` and ``tier`` are OpenAI's ``system_fingerprint`` and ``service_tier``.
    """

    upstream_id: str | None = None
    model: str | None = None
    provider: str | None = None
    usage: dict[str, Any] | None = None
    created: int | None = None
    fingerprint: str | None = None
    tier: str | None = None


class Stated(msgspec.Struct, frozen=True, gc=False):
    """Upstream says by which version of a registered schema its text is written: all of it, until it says another one.

    Whoever does not look at versions passes it over.
    """

    version: str


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The stream carried an error, the request was refused, or the connection failed. No content follows.

    Attributes:
        code: A code of ``lockgate.errors`` (``upstream_refused``, ``upstream_failed``, ``upstream_timed_out`` ...).
        message: For people; never holds keys or ``user_id``.
        status: HTTP status of the answer or the numeric code of the error object, if any.
        recoverable: Whether trying again can help.
        retry_after_s: What the provider asked to wait.
        kind: The provider's own word for it (``error_type``, ``type`` or a ``code`` that is a word); for
            ``upstream_timed_out`` which timer ran out: ``first_token``, ``bytes`` or ``content``.
    """

    code: str
    message: str
    status: int | None = None
    recoverable: bool = False
    retry_after_s: float | None = None
    kind: str | None = None


class ConnectionEnded(msgspec.Struct, frozen=True, gc=False):
    """Always the last event, exactly once.

    Attributes:
        how: How the connection ended.
        has_done: Whether ``[DONE]`` came.
        skipped: Events that were no chunk, and were passed over.
    """

    how: How
    has_done: bool = False
    skipped: int = 0


UpstreamEvent: TypeAlias = (
    Delta | ToolStarted | Reasoned | Refused | Side | Finished | Told | Stated | Failed | ConnectionEnded
)


class Generation(Protocol):
    """One request and its answer: a context manager over the lists of events.

    Leaving it closes the upstream connection at once, in any state. That is how a generation is cancelled.
    """

    async def __aenter__(self) -> AsyncIterator[list[UpstreamEvent]]: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> object: ...

    def abort(self) -> None:
        """Close the upstream connection now, even while nobody reads. The iterator then ends."""
        ...


class Flow(Protocol):
    """Text that is handed on by plain calls, one piece after the other."""

    def more(self) -> None:
        """The last piece is dealt with: hand on the next, as soon as it is there."""
        ...

    def stop(self) -> None:
        """Hand on nothing more; the iterator goes on where this ended."""
        ...


@runtime_checkable
class Flowing(Protocol):
    """A generation that can also hand on text by plain calls, while it brings nothing else."""

    def flow(self, take: Callable[[Delta], bool], over: Callable[[], None]) -> Flow | None:
        """Begin with it; nobody may wait for the iterator meanwhile. None: it cannot now.

        Args:
            take: Gets what one read brought, and calls ``more`` when it is dealt with; it must not block. False: the
                iterator is to bring it.
            over: Called when the iterator has something else to bring.
        """
        ...


def choices_of(body: Mapping[str, Any]) -> int:
    """How many choices a request asks for."""
    count = body.get("n")
    return min(count, MAX_CHOICES) if isinstance(count, int) and count > 1 else 1


class Provider(Protocol):
    """One upstream API dialect."""

    #: Name for metrics and records, for example ``openrouter``.
    name: str
    #: Whether upstream itself tries the request's ``models`` in order; if not, the field is not sent.
    routes_models: bool
    #: Whether callers may send it a key of their own.
    takes_authorization: bool

    def serving(self, model: str) -> Provider:
        """The provider that is asked for a model: itself, unless it is several (``upstream.routing``).

        Raises:
            ModelUnknown: nobody is.
        """
        ...

    def open(self, body: Mapping[str, Any], authorization: str | None = None) -> Generation:
        """Start a generation. Nothing is sent before the first list of events is asked for.

        Args:
            body: A chat-completions request body. The provider sets ``stream`` itself and passes the rest on.
            authorization: What the header ``Authorization`` says in place of the provider's key.
        """
        ...

    async def close(self) -> None:
        """Release what the provider holds (connection pools). This breaks off open generations."""
        ...
