"""Every exception and every code of the wire, grouped by who must act.

A code is a short name that stands in ``errors[].code`` of an envelope, in metrics and in the documentation; it
never changes meaning. ``docs/reference/errors.md`` lists them all, and a test compares that page with this module.
"""

from __future__ import annotations

from typing import ClassVar, Final


class LockgateError(Exception):
    """Base of everything that can go wrong in use; a bug in the calling code raises :class:`Misuse` instead.

    Data sits in attributes; the sentence is built from it by the raiser and says what, where and what to do.
    """

    code: ClassVar[str] = "error"
    #: Whether trying again, or going on, can help.
    recoverable: ClassVar[bool] = False


# -- whoever registered or sent the schema -----------------------------------------------------------------------


class SchemaError(LockgateError):
    """A JSON Schema that cannot be compiled.

    Attributes:
        pointer: JSON pointer (RFC 6901) to the offending part of the schema, ``""`` for its root.
    """

    code = "schema_error"

    def __init__(self, message: str, *, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


# -- the model ---------------------------------------------------------------------------------------------------


class DocumentError(LockgateError):
    """The model's output is at fault. The gate returns these as ``Violated`` events; it does not raise them."""

    code = "document_error"
    recoverable = True


#: Code of a ``Violated`` event -> what it means. The gate uses no other code.
VIOLATIONS: Final[dict[str, str]] = {
    "invalid_json": "A byte that no JSON text can have here (RFC 8259).",
    "invalid_utf8": "Bytes that are not UTF-8 (RFC 3629).",
    "lone_surrogate": "A \\u escape of half a surrogate pair: not a Unicode character.",
    "duplicate_member": "A member name that this object already has.",
    "number_out_of_range": "A number that over- or underflows a double.",
    "trailing_text": "Text after the end of the document, for example a second document.",
    "schema_violation": "The value cannot satisfy the JSON Schema; schema_path names the keyword.",
    "pattern_undecided": "A pattern hit its backtrack limit, so nobody knows whether the value matches.",
    "authority_disagreement": "Our checks let the value pass, the authoritative validator does not: a bug in lockgate.",
    "truncated": "The text ended, or broke off, before a complete document was proven.",
    "depth_limit": "Nested deeper than max_depth.",
    "document_limit": "Longer than max_document_bytes.",
    "string_limit": "A string longer than max_string_bytes.",
    "number_limit": "A number with more digits than max_number_digits.",
    "members_limit": "An object with more members than max_members.",
    "whitespace_limit": "A run of white space longer than max_whitespace_bytes: the model is looping.",
}


# -- the provider ------------------------------------------------------------------------------------------------


class UpstreamError(LockgateError):
    """The provider failed.

    Attributes:
        status: HTTP status of the answer, or the status that the error object in the stream names; None if neither.
        retry_after_s: What the provider asked to wait, in seconds; None if it did not say.
    """

    code = "upstream_error"

    def __init__(self, message: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class UpstreamRefused(UpstreamError):
    """The provider answered with an HTTP error, before or instead of a stream."""

    code = "upstream_refused"


class UpstreamUnreachable(UpstreamError):
    """No connection to the provider."""

    code = "upstream_unreachable"
    recoverable = True


class UpstreamTimedOut(UpstreamError):
    """No bytes, or no content, for longer than the configured time."""

    code = "upstream_timed_out"
    recoverable = True


class UpstreamTruncated(UpstreamError):
    """The connection broke off, or ended without finish_reason and without ``[DONE]``."""

    code = "upstream_truncated"
    recoverable = True


class UpstreamFailed(UpstreamError):
    """The stream carried an error object."""

    code = "upstream_failed"
    recoverable = True


class UpstreamGarbled(UpstreamError):
    """An event that is not a chat-completion chunk, or larger than the limit."""

    code = "upstream_garbled"
    recoverable = True


class ContinuationRefused(UpstreamError):
    """An answer that was to continue released text does not fit it; nothing of it was released."""

    code = "continuation_refused"
    recoverable = True


class CircuitOpen(UpstreamError):
    """The provider failed so often that it is not asked for a while."""

    code = "circuit_open"
    recoverable = True


class DeadlinePassed(UpstreamError):
    """The stream took longer than its deadline; what was running was cancelled."""

    code = "deadline_passed"
    recoverable = True


# -- the operator ------------------------------------------------------------------------------------------------


class StoreError(LockgateError):
    """The stream log cannot do what was asked."""

    code = "store_error"


class StreamUnknown(StoreError):
    """No stream of this id (never created, or deleted)."""

    code = "stream_unknown"


class StreamExists(StoreError):
    """A stream of this id exists already."""

    code = "stream_exists"


class StreamClosed(StoreError):
    """The stream is closed; nothing can be appended.

    Attributes:
        tail: Offset after the last record; None if the raiser does not know it.
    """

    code = "stream_closed"

    # A protocol.offsets.Offset, named by what it is made of, since this module knows no room.
    def __init__(self, message: str, *, tail: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.tail = tail


class FencedOut(StoreError):
    """Another owner took the stream over; this one must stop writing and cancel its upstream call."""

    code = "fenced_out"


class OffsetGone(StoreError):
    """An offset outside the log: before what is retained, beyond the tail, or beyond the end of its own epoch.

    Attributes:
        start: First offset that can be read from, as written on the wire.
        tail: Offset of the tail, as written on the wire.
    """

    code = "offset_gone"

    def __init__(self, message: str, *, start: str, tail: str) -> None:
        super().__init__(message)
        self.start = start
        self.tail = tail


class OwnerGone(StoreError):
    """The node that wrote this stream died or was shut down before the stream was finished."""

    code = "owner_gone"
    recoverable = True


class InternalError(StoreError):
    """A bug in lockgate, or a machine that is out of something. The log of the gateway has the details."""

    code = "internal_error"


# -- the client --------------------------------------------------------------------------------------------------


class DeliveryError(LockgateError):
    """A reader or caller asked for something that cannot be done."""

    code = "delivery_error"


class BadRequest(DeliveryError):
    """A request that breaks the wire's rules: the message names the part and what to send instead."""

    code = "bad_request"


class Conflict(DeliveryError):
    """The stream is not as the request takes it to be: another content type, other settings, another writer."""

    code = "conflict"


class TooLarge(DeliveryError):
    """A body larger than this gateway takes."""

    code = "too_large"


class NotOffered(DeliveryError):
    """A part of a protocol that this gateway does not have."""

    code = "not_offered"


class ProducerFenced(DeliveryError):
    """Another process pushes under this producer's name with a higher epoch; this one must stop.

    Attributes:
        epoch: The epoch that the producer has now.
    """

    code = "producer_fenced"

    def __init__(self, message: str, *, epoch: int) -> None:
        super().__init__(message)
        self.epoch = epoch


class ProducerGap(DeliveryError):
    """A push whose number is not the producer's next one: push what is missing first, then this again.

    Attributes:
        expected: Number of the next push.
        received: Number that came.
    """

    code = "producer_gap"
    recoverable = True

    def __init__(self, message: str, *, expected: int, received: int) -> None:
        super().__init__(message)
        self.expected = expected
        self.received = received


class TooManyProducers(DeliveryError):
    """A stream remembers so many producers that it takes no new one; those it knows may go on.

    Attributes:
        limit: How many a stream remembers.
    """

    code = "too_many_producers"

    def __init__(self, message: str, *, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class SequenceConflict(DeliveryError):
    """A push whose Stream-Seq is not greater, byte by byte, than the last one: it came late, or twice.

    Attributes:
        last: Stream-Seq of the last push that had one.
        received: Stream-Seq that came.
    """

    code = "sequence_conflict"

    def __init__(self, message: str, *, last: str, received: str) -> None:
        super().__init__(message)
        self.last = last
        self.received = received


class TailMoved(DeliveryError):
    """A push that was meant to follow a certain offset, but others have written since: read on, then decide anew.

    Attributes:
        tail: Offset after the last record.
    """

    code = "tail_moved"
    recoverable = True

    def __init__(self, message: str, *, tail: tuple[int, int]) -> None:
        super().__init__(message)
        self.tail = tail


class Cancelled(DeliveryError):
    """A caller cancelled the stream."""

    code = "cancelled"


class Abandoned(DeliveryError):
    """The last reader left and nobody came back in time; the generation was cancelled."""

    code = "abandoned"
    recoverable = True


class Busy(DeliveryError):
    """A limit of this gateway is reached, or it is shutting down: try again later, or at another node."""

    code = "busy"
    recoverable = True


class Forbidden(DeliveryError):
    """The token is missing or wrong, or the request came under a host name that is not this gateway's."""

    code = "forbidden"


# -- the programmer ----------------------------------------------------------------------------------------------


class Misuse(RuntimeError):
    """A call that is a bug in the calling code, for example ``feed`` after ``close``."""

    code: ClassVar[str] = "misuse"
    recoverable: ClassVar[bool] = False
