"""What the routes answer that is not a record of the log: one shape each, in ``/openapi.json`` too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from starlette.responses import Response


class ErrorDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with a request.

    Attributes:
        code: A code of docs/reference/errors.md.
        message: One sentence for people: what, where, and what to do.
        start: Of ``offset_gone``: the first offset that can be read from.
        tail: Of ``offset_gone``: the offset of the tail.
        sha256: Of ``schema_version_taken``: hash of the content that is registered, in hexadecimal.
    """

    code: str
    message: str
    start: str | None = None
    tail: str | None = None
    sha256: str | None = None


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The answer to a request that cannot be served.

    Attributes:
        error: What is wrong with it.
    """

    error: ErrorDetail


class DeliveryRetry(msgspec.Struct, frozen=True):
    """How clients should come back when a connection fails (``delivery.retry``).

    Attributes:
        maxAttempts: How often.
        backoffStrategy: How the wait between two attempts grows.
    """

    maxAttempts: int  # the wire's own spelling
    backoffStrategy: Literal["linear", "exponential"]


class CreatedStream(msgspec.Struct, frozen=True):
    """A stream, for who opened it.

    Attributes:
        id: Its id.
        urls: Where it is read (``stream``; by WebSocket: ``ws``), where its state is (``status``), where readers say
            how far they are (``ack``), and where it is cancelled (``cancel``).
        schema: ``name@version``, or ``inline@sha256:...``; ``""`` where the content is not judged.
        token: Allows to cancel it, to delete it and to push to it. It is stored nowhere; who sends
            the same ``Idempotency-Key`` and body gets it again. ``""`` for who has a key: that allows it.
        expires: When it is deleted at the earliest, in seconds since 1970.
        protocol: How readers should read it first (``delivery.protocol``).
        fallback: What they should try in turn where that does not work (``delivery.fallback``).
        retry: How they should come back.
        lowered: Token limits of the request that ``upstream.retry.max_tokens`` lowered, or added, by name.
    """

    id: str
    urls: dict[str, str]
    schema: str
    token: str
    expires: float
    protocol: str
    fallback: list[str]
    retry: DeliveryRetry
    lowered: dict[str, int]


class CancelledStream(msgspec.Struct, frozen=True):
    """The answer to a cancellation.

    Attributes:
        id: Id of the stream.
        cancelled: Whether it has ended because it was asked to.
        result: ``cancelled``: it has ended because it was asked to; ``already over``: it had ended before, in its own
            way; ``asked``: the node that generates it has not answered within 2 s, and ends it when it does.
    """

    id: str
    cancelled: bool
    result: Literal["cancelled", "already over", "asked"]


class AcknowledgedReaders(msgspec.Struct, frozen=True):
    """The answer to an acknowledgement.

    Attributes:
        readers: How many readers of this name this process serves; 0: it was passed on to the other processes.
    """

    readers: int


class SignedURL(msgspec.Struct, frozen=True):
    """A URL that is good without a key.

    Attributes:
        url: Of the stream. Other parameters may be added.
        access: The parameter that makes it so, also for the paths below the stream's.
        scope: What it allows.
        expires: Until when, in seconds since 1970.
    """

    url: str
    access: str
    scope: str
    expires: int


class KeyUsage(msgspec.Struct, frozen=True):
    """What one key has used.

    Attributes:
        name: Of the key.
        streams: Streams that it has opened.
        tokens: Tokens of their prompts and answers, as upstream counts them.
        cost_usd: What they cost, as far as upstream says so.
        refused: Requests for a stream that were refused.
        budget_usd: What they may cost in a day; null for no limit.
        revoked: Whether the key is good for nothing any more.
    """

    name: str
    streams: int
    tokens: int
    cost_usd: float
    refused: int
    budget_usd: float | None
    revoked: bool


class UsageAnswer(msgspec.Struct, frozen=True):
    """What keys have used.

    Attributes:
        days: In so many days, today among them; days are those of UTC.
        keys: The caller's own; for who runs the node, all.
    """

    days: int
    keys: list[KeyUsage]


class OpenBreaker(msgspec.Struct, frozen=True):
    """A circuit breaker that is not closed.

    Attributes:
        provider: Name of the provider.
        model: The model that it stands before.
        state: ``open``: the model is not asked; ``half_open``: one request probes it.
        retry_in_s: Seconds until the next probe.
    """

    provider: str
    model: str
    state: Literal["open", "half_open"]
    retry_in_s: float


class NodeHealth(msgspec.Struct, frozen=True):
    """Whether this node takes work.

    Attributes:
        status: ``draining``: it shuts down and takes nothing new.
        version: Of lockgate.
        open_streams: Streams that it generates now.
        open_readers: Readers that are connected to it now.
        breakers: Circuit breakers that are not closed; a hundred at most.
    """

    status: Literal["ok", "draining"]
    version: str
    open_streams: int
    open_readers: int
    breakers: list[OpenBreaker]


class NodeReadiness(msgspec.Struct, frozen=True):
    """Whether this node should be sent new streams.

    Attributes:
        ready: Whether it should.
        reason: Why not; ``""`` if it should.
    """

    ready: bool
    reason: str


def json_answer(body: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A shape as an answer."""
    return Response(msgspec.json.encode(body), status, headers, "application/json")
