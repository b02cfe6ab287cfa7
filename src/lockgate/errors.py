"""Every code of the wire, in one table, and the exceptions that carry them.

A code is a short name that stands in ``errors[].code`` of an envelope, in ``error.code`` of an HTTP answer, in metrics
and in the documentation. It never changes meaning. :class:`Code` has one row for each; whatever follows from a code is
read from its row: the HTTP status, whether trying again can help, ``docs/reference/errors.md``, ``/openapi.json``.

An exception class exists only where something raises it. Its ``code`` leads to its row, which says what it means.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, Final, Literal, TypeAlias

#: What a code speaks of: the text of the model (the gate says it), an attempt to generate (what became of the request
#: to the provider), a stream (why it ended), a request (what it is answered with), or a use of the library.
About: TypeAlias = Literal["document", "attempt", "stream", "request", "library"]
#: Who can do something about it. ``caller``: who sent the request or its schema; ``client``: who reads or pushes;
#: ``programmer``: who wrote the code that called; ``maintainer``: it is a bug in lockgate.
Who: TypeAlias = Literal["caller", "model", "provider", "operator", "client", "programmer", "maintainer"]
#: What the circuit breaker learns of the provider: ``failure``, ``success`` (it answers, whatever that says), ``none``.
Lesson: TypeAlias = Literal["failure", "success", "none"]


class Code(StrEnum):
    """A code, which is its name as text, with the row of the table that belongs to it.

    Attributes:
        about: What it speaks of.
        who: Who must act.
        recoverable: Whether trying again, or going on, can help; None where the provider's answer decides.
        status: HTTP status of an answer that has it as ``error.code``; None where it answers no request. A violation
            answers the push that broke the schema.
        breaker: What the circuit breaker learns from an attempt that ends with it; None where no attempt ends with it,
            or where the class of the failure follows from more than the code (``retry/failures.py``).
        means: One sentence for people.
    """

    about: About
    who: Who
    recoverable: bool | None
    status: int | None
    breaker: Lesson | None
    means: str

    def __new__(
        cls,
        name: str,
        about: About,
        who: Who,
        recoverable: bool | None,
        status: int | None,
        breaker: Lesson | None,
        means: str,
    ) -> Code:
        code = str.__new__(cls, name)
        code._value_ = name
        code.about = about
        code.who = who
        code.recoverable = recoverable
        code.status = status
        code.breaker = breaker
        code.means = means
        return code

    def __repr__(self) -> str:
        return str.__repr__(self)

    # fmt: off
    INVALID_JSON = (
        "invalid_json", "document", "model", True, 422, "success",
        "A byte that no JSON text can have here (RFC 8259).")
    INVALID_UTF8 = (
        "invalid_utf8", "document", "model", True, 422, "success",
        "Bytes that are not UTF-8 (RFC 3629).")
    LONE_SURROGATE = (
        "lone_surrogate", "document", "model", True, 422, "success",
        "A \\u escape of half a surrogate pair: not a Unicode character.")
    DUPLICATE_MEMBER = (
        "duplicate_member", "document", "model", True, 422, "success",
        "A member name that this object already has.")
    NUMBER_OUT_OF_RANGE = (
        "number_out_of_range", "document", "model", True, 422, "success",
        "A number that over- or underflows a double.")
    TRAILING_TEXT = (
        "trailing_text", "document", "model", True, 422, "success",
        "Text after the end of the document, for example a second document.")
    SCHEMA_VIOLATION = (
        "schema_violation", "document", "model", True, 422, "success",
        "The value cannot satisfy the JSON Schema; schema_path names the keyword.")
    PATTERN_UNDECIDED = (
        "pattern_undecided", "document", "caller", True, 422, "success",
        "A pattern of the schema reached its backtrack limit, so nobody knows whether the value matches.")
    AUTHORITY_DISAGREEMENT = (
        "authority_disagreement", "document", "maintainer", True, 422, "success",
        "Our checks let the value pass, the authoritative validator does not: a bug in lockgate.")
    TRUNCATED = (
        "truncated", "document", "model", True, 422, None,
        "The text ended, or broke off, before a complete document was proven.")
    DEPTH_LIMIT = (
        "depth_limit", "document", "model", True, 422, "success",
        "Nested deeper than max_depth.")
    DOCUMENT_LIMIT = (
        "document_limit", "document", "model", False, 422, "success",
        "Longer than max_document_bytes.")
    STRING_LIMIT = (
        "string_limit", "document", "model", True, 422, "success",
        "A string longer than max_string_bytes.")
    NUMBER_LIMIT = (
        "number_limit", "document", "model", True, 422, "success",
        "A number with more digits than max_number_digits.")
    MEMBERS_LIMIT = (
        "members_limit", "document", "model", True, 422, "success",
        "An object with more members than max_members.")
    WHITESPACE_LIMIT = (
        "whitespace_limit", "document", "model", True, 422, "success",
        "A run of white space longer than max_whitespace_bytes: the model is looping.")
    REPEAT_LIMIT = (
        "repeat_limit", "document", "model", True, 422, "success",
        "A string or number in which the same few characters repeat for longer than repeat_run: the model is looping.")
    NUL_CHARACTER = (
        "nul_character", "document", "model", True, 422, "success",
        "U+0000 in a string or name, which strip_nul refuses: PostgreSQL and others cannot store it.")

    UPSTREAM_REFUSED = (
        "upstream_refused", "attempt", "provider", None, None, None,
        "The provider answered with an HTTP error, before or instead of a stream.")
    UPSTREAM_FAILED = (
        "upstream_failed", "attempt", "provider", None, None, None,
        "The provider's stream carried an error object.")
    UPSTREAM_UNREACHABLE = (
        "upstream_unreachable", "attempt", "provider", True, None, "failure",
        "No connection to the provider.")
    UPSTREAM_TIMED_OUT = (
        "upstream_timed_out", "attempt", "provider", True, None, "failure",
        "No bytes, or no content, for longer than the settings allow.")
    UPSTREAM_TRUNCATED = (
        "upstream_truncated", "attempt", "provider", True, None, "failure",
        "The connection broke off, or ended with neither a finish_reason nor [DONE].")
    UPSTREAM_GARBLED = (
        "upstream_garbled", "attempt", "provider", None, None, None,
        "An event that is not a chat-completion chunk, or is larger than the limit.")
    UNKNOWN_FINISH = (
        "unknown_finish", "attempt", "provider", False, None, "success",
        "The finish reason is a word that no table knows, so nothing proves that the answer is whole.")
    REFUSAL = (
        "refusal", "attempt", "model", False, None, "success",
        "The model refused; the message has its words.")
    CONTINUATION_REFUSED = (
        "continuation_refused", "attempt", "model", True, None, "none",
        "An answer that was to continue released text does not fit it; nothing of it was released.")
    CIRCUIT_OPEN = (
        "circuit_open", "attempt", "provider", True, None, "none",
        "The provider failed so often that it is not asked for a while.")

    CANCELLED = (
        "cancelled", "stream", "caller", False, None, None,
        "A caller cancelled the stream.")
    ABANDONED = (
        "abandoned", "stream", "client", True, None, None,
        "The last reader left and nobody came back in time; the generation was cancelled.")
    DEADLINE_PASSED = (
        "deadline_passed", "stream", "provider", True, None, None,
        "The stream took longer than its deadline; what was running was cancelled.")
    OWNER_GONE = (
        "owner_gone", "stream", "operator", True, None, None,
        "The node that wrote this stream died or was shut down before the stream was finished.")
    LOG_FAILED = (
        "log_failed", "stream", "operator", True, None, None,
        "The log took no records of this stream for store.patience_s; what upstream sent after the last one is lost.")
    INTERNAL_ERROR = (
        "internal_error", "stream", "operator", False, 500, None,
        "A bug in lockgate, or a machine that ran out of something. The log of the gateway has the details.")

    BAD_REQUEST = (
        "bad_request", "request", "caller", False, 400, None,
        "The request breaks a rule of the wire; the message names the part and what to send instead.")
    UNAUTHORIZED = (
        "unauthorized", "request", "caller", False, 401, None,
        "It takes a key or a signed URL, and there is none that is good: missing, wrong, revoked, or expired.")
    FORBIDDEN = (
        "forbidden", "request", "caller", False, 403, None,
        "The token is missing or wrong, the key may not do this, the origin is not listed, or nobody may write here.")
    NOT_FOUND = (
        "not_found", "request", "caller", False, 404, None,
        "This gateway has no such path.")
    MODEL_UNKNOWN = (
        "model_unknown", "request", "caller", False, 404, None,
        "The provider's list of models has no such model.")
    MODELS_UNKNOWN = (
        "models_unknown", "request", "provider", True, 502, None,
        "The provider does not answer with its list of models, and no earlier one is known.")
    METHOD_NOT_ALLOWED = (
        "method_not_allowed", "request", "caller", False, 405, None,
        "The path exists, but not with this method.")
    TOO_LARGE = (
        "too_large", "request", "caller", False, 413, None,
        "The body is larger than this gateway takes.")
    BODY_TOO_SLOW = (
        "body_too_slow", "request", "caller", True, 408, None,
        "The body took longer to come than this gateway waits (server.body_s).")
    WRONG_HOST = (
        "wrong_host", "request", "caller", False, 421, None,
        "The request came under a host name that is not one of this gateway's (server.allowed_hosts).")
    NOT_OFFERED = (
        "not_offered", "request", "caller", False, 501, None,
        "A part of a protocol that this gateway does not have.")
    BUSY = (
        "busy", "request", "caller", True, 503, None,
        "A limit of this gateway is reached, or it is shutting down: try again later, or at another node.")
    QUOTA_REACHED = (
        "quota_reached", "request", "caller", True, 429, None,
        "The caller has as much of something as one caller may; the message has the quota and its number.")
    STREAM_UNKNOWN = (
        "stream_unknown", "request", "client", False, 404, None,
        "There is no stream of this id: it was never created, or is deleted.")
    STREAM_EXISTS = (
        "stream_exists", "request", "client", False, 409, None,
        "A stream of this id exists already.")
    STREAM_CLOSED = (
        "stream_closed", "request", "client", False, 409, None,
        "The stream is closed; nothing can be appended.")
    CONFLICT = (
        "conflict", "request", "client", False, 409, None,
        "The stream is not as the request takes it to be: another content type, other settings, another writer.")
    KEY_REUSED = (
        "key_reused", "request", "caller", False, 409, None,
        "The Idempotency-Key belongs to a stream that was opened with another body.")
    OFFSET_GONE = (
        "offset_gone", "request", "client", False, 410, None,
        "The log has no such position: it is before what is kept, or beyond the end.")
    PRODUCER_FENCED = (
        "producer_fenced", "request", "client", False, 403, None,
        "Another process pushes under this producer's name with a higher epoch; this one must stop.")
    PRODUCER_GAP = (
        "producer_gap", "request", "client", True, 409, None,
        "The push's number is not the producer's next one: push what is missing first, then this again.")
    SEQUENCE_CONFLICT = (
        "sequence_conflict", "request", "client", False, 409, None,
        "The push's Stream-Seq is not greater, byte by byte, than the last one: it came late, or twice.")
    TOO_MANY_PRODUCERS = (
        "too_many_producers", "request", "client", False, 429, None,
        "The stream remembers so many producers that it takes no new one; those it knows may go on.")
    STORE_ERROR = (
        "store_error", "request", "operator", False, 503, None,
        "The log of streams cannot do what was asked.")
    STORE_FAILING = (
        "store_failing", "request", "operator", True, 503, None,
        "The log of streams cannot do it at present: its file is locked, the disk is full or hangs. Ask again.")
    FENCED_OUT = (
        "fenced_out", "request", "operator", False, 503, None,
        "Another node took the stream over; this one must stop writing and cancel its upstream call.")
    TAIL_MOVED = (
        "tail_moved", "request", "client", True, 409, None,
        "A push was meant to follow a certain offset, but others have written since: read on, then decide anew.")

    UNKNOWN_SCHEMA_VERSION = (
        "unknown_schema_version", "request", "caller", False, 404, None,
        "No schema is registered under this name and version, or it is retired; the message has those that there are.")
    INCOMPATIBLE_SCHEMA_VERSION = (
        "incompatible_schema_version", "request", "caller", False, 409, None,
        "One version of a schema does not take all that the other takes, or nobody can prove that it does; the message "
        "has an example where one was found.")
    SCHEMA_VERSION_TAKEN = (
        "schema_version_taken", "request", "caller", False, 409, None,
        "This version is registered with another content, and never changes; the message has the hash of that.")
    SCHEMA_NOT_ACCEPTABLE = (
        "schema_not_acceptable", "request", "client", False, 406, None,
        "The stream is pinned to a version that the reader's versions do not cover; the message has the pinned one.")
    REGISTRY_FAILING = (
        "registry_failing", "request", "operator", True, 503, None,
        "The registry of schemas does not answer in time. Streams that have their schema go on; ask again later.")
    SCHEMA_TOO_COMPLEX = (
        "schema_too_complex", "request", "caller", False, 400, None,
        "A JSON Schema that would cost more than a limit allows; the message has the number, the limit and its name.")
    SCHEMA_ERROR = (
        "schema_error", "library", "caller", False, None, None,
        "A JSON Schema that cannot be compiled.")
    SETTINGS_ERROR = (
        "settings_error", "library", "operator", False, None, None,
        "A setting that cannot be used. The message is one line that names the key and where it came from.")
    MISUSE = (
        "misuse", "library", "programmer", False, None, None,
        "A call that is a bug in the calling code, for example feed after close.")
    # fmt: on


#: Every code by its name.
CODES: Final[dict[str, Code]] = {str(code): code for code in Code}
#: The codes of ``Violated`` events. The gate uses no other.
VIOLATIONS: Final = frozenset(code for code in Code if code.about == "document")


#: HTTP status of a chat completion that fails before any of it was sent, by what ended it. The provider's own refusal
#: keeps its status where callers can do something about it; all others are ``BAD_GATEWAY``.
FAILED_STATUS: Final[dict[str, int]] = {
    Code.UPSTREAM_TIMED_OUT: 504,
    Code.DEADLINE_PASSED: 504,
    Code.CIRCUIT_OPEN: 503,
    Code.OWNER_GONE: 503,
    Code.LOG_FAILED: 503,
    Code.INTERNAL_ERROR: 500,
    Code.CANCELLED: 409,
    Code.ABANDONED: 409,
}
BAD_GATEWAY: Final = 502
#: What a provider's status means for the caller, too: the request, the key, the credit, the rate.
PASSED_STATUSES: Final = (400, 401, 402, 403, 404, 408, 409, 413, 422, 429)


def failed_status(reason: str, upstream_status: int | None = None) -> int:
    """HTTP status of a chat completion that failed before any of it was sent.

    Args:
        reason: A code, or another word that ended the stream.
        upstream_status: What the provider said.
    """
    if upstream_status in PASSED_STATUSES and reason in (Code.UPSTREAM_REFUSED, Code.UPSTREAM_FAILED):
        return upstream_status
    return FAILED_STATUS.get(reason, BAD_GATEWAY)


class LockgateError(Exception):
    """Base of everything that can go wrong in use; a bug in the calling code raises :class:`Misuse` instead.

    Data sits in attributes; the sentence is built from it by the raiser and says what, where and what to do.
    """

    code: Code

    @property
    def recoverable(self) -> bool:
        """Whether trying again, or going on, can help."""
        return bool(self.code.recoverable)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: the sentence and the data are all there is; they are not made again from arguments."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[LockgateError], args: tuple[Any, ...], data: dict[str, Any]) -> LockgateError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(data)
    return error


class SchemaError(LockgateError):
    """A JSON Schema that cannot be compiled.

    Attributes:
        pointer: JSON pointer (RFC 6901) to the offending part of the schema, ``""`` for its root.
    """

    code = Code.SCHEMA_ERROR

    def __init__(self, message: str, *, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


class SchemaTooComplex(SchemaError):
    """A JSON Schema that would cost more than a limit allows.

    Attributes:
        limit_name: Name of the limit, in ``Limits`` and in the settings.
        found: The number that passed it; the least that it can be where counting stopped there.
        limit: The limit.
    """

    code = Code.SCHEMA_TOO_COMPLEX

    def __init__(
        self, limit_name: str, found: int, limit: int, *, shown: str, is_least: bool = False, factor: int = 1
    ) -> None:
        least = "at least " if is_least else ""
        name = f"{factor} * {limit_name}" if factor > 1 else limit_name
        super().__init__(f"schema: too complex: {least}{found} {shown}; {limit} are allowed ({name})")
        self.limit_name = limit_name
        self.found = found
        self.limit = limit

    def at(self, where: str) -> SchemaTooComplex:
        """The same, with the name of what holds the schema before the sentence."""
        error = SchemaTooComplex.__new__(SchemaTooComplex, f"{where}: {self}")
        error.__dict__.update(self.__dict__)
        return error


# -- an answer, judged in the caller's process ---------------------------------------------------------------------


class ViolationError(LockgateError):
    """The text of a model broke its schema, or is not JSON, and nothing was to be done about it.

    Attributes:
        code: What it broke: one of ``lockgate.errors.VIOLATIONS``.
        path: JSON pointer to the value at fault.
        schema_path: JSON pointer into the schema; ``""`` where no keyword is to blame.
        at: Bytes released before it.
        upstream_at: First byte of the model's text that is at fault; for ``truncated``, its length.
        message: What is wrong.
        channel: Which text of an answer it is: ``content``, ``tool/0``, ``choice/1/content`` and so on.
        released: The text of the channel that was released; of more than 1 MiB, its beginning.
    """

    code = Code.SCHEMA_VIOLATION

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        path: str,
        schema_path: str,
        at: int,
        upstream_at: int,
        channel: str,
        released: str,
    ) -> None:
        super().__init__(f"{channel}, byte {upstream_at}: {message} ({code})")
        self.code = code
        self.message = message
        self.path = path
        self.schema_path = schema_path
        self.at = at
        self.upstream_at = upstream_at
        self.channel = channel
        self.released = released


class IncompleteError(LockgateError):
    """An answer ended, and nothing proves that it is whole: an error in it, no finish reason, no text at all.

    Attributes:
        code: Why: ``upstream_truncated``, ``upstream_failed``, ``unknown_finish`` or another code of an attempt.
        message: The same as a sentence.
        outcome: What became of the answer: ``incomplete`` or ``failed``.
        released: The text of each channel that was released; of more than 1 MiB, its beginning.
    """

    code = Code.UPSTREAM_TRUNCATED

    def __init__(self, code: Code, message: str, *, outcome: str, released: dict[str, str]) -> None:
        super().__init__(f"the answer is not complete: {message} ({code})")
        self.code = code
        self.message = message
        self.outcome = outcome
        self.released = released


# -- requests ------------------------------------------------------------------------------------------------------


class BadRequest(LockgateError):
    code = Code.BAD_REQUEST


class Unauthorized(LockgateError):
    """A request without a key that is good.

    Attributes:
        realm: What a browser is to ask its user a password for; ``""`` if it is not to ask.
    """

    code = Code.UNAUTHORIZED

    def __init__(self, message: str, *, realm: str = "") -> None:
        super().__init__(message)
        self.realm = realm


class Forbidden(LockgateError):
    code = Code.FORBIDDEN


class Conflict(LockgateError):
    code = Code.CONFLICT


class KeyReused(LockgateError):
    code = Code.KEY_REUSED


class TooLarge(LockgateError):
    code = Code.TOO_LARGE


class BodyTooSlow(LockgateError):
    code = Code.BODY_TOO_SLOW


class NotOffered(LockgateError):
    code = Code.NOT_OFFERED


class Busy(LockgateError):
    code = Code.BUSY


class QuotaReached(LockgateError):
    """A caller has as much of something as one caller may.

    Attributes:
        retry_after_s: When to try again, in seconds.
    """

    code = Code.QUOTA_REACHED

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


# -- the log of streams --------------------------------------------------------------------------------------------


class StoreError(LockgateError):
    """The log of streams cannot do what was asked. Base of those below."""

    code = Code.STORE_ERROR


class StoreFailing(StoreError):
    """The log cannot do at present what was asked: the same may be asked again. Whether it happened is not known."""

    code = Code.STORE_FAILING


class StreamUnknown(StoreError):
    code = Code.STREAM_UNKNOWN


class StreamExists(StoreError):
    code = Code.STREAM_EXISTS


class StreamClosed(StoreError):
    """The stream is closed; nothing can be appended.

    Attributes:
        tail: Offset after the last record; None if the raiser does not know it.
    """

    code = Code.STREAM_CLOSED

    # A protocol.offsets.Offset, named by what it is made of, since this module knows no room.
    def __init__(self, message: str, *, tail: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.tail = tail


class FencedOut(StoreError):
    code = Code.FENCED_OUT


class OffsetGone(StoreError):
    """An offset outside the log: before what is retained, beyond the tail, or beyond the end of its own epoch.

    Attributes:
        start: First offset that can be read from, as written on the wire.
        tail: Offset of the tail, as written on the wire.
    """

    code = Code.OFFSET_GONE

    def __init__(self, message: str, *, start: str, tail: str) -> None:
        super().__init__(message)
        self.start = start
        self.tail = tail


# -- registered schemas ---------------------------------------------------------------------------------------------


class UnknownSchemaVersion(LockgateError):
    code = Code.UNKNOWN_SCHEMA_VERSION


class IncompatibleSchemaVersion(LockgateError):
    code = Code.INCOMPATIBLE_SCHEMA_VERSION


class SchemaVersionTaken(LockgateError):
    """A version that is registered with another content.

    Attributes:
        sha256: Hash of what is there, in hexadecimal.
    """

    code = Code.SCHEMA_VERSION_TAKEN

    def __init__(self, message: str, *, sha256: str) -> None:
        super().__init__(message)
        self.sha256 = sha256


class SchemaNotAcceptable(LockgateError):
    code = Code.SCHEMA_NOT_ACCEPTABLE


class RegistryFailing(LockgateError):
    code = Code.REGISTRY_FAILING


# -- producers -----------------------------------------------------------------------------------------------------


class ProducerFenced(LockgateError):
    """Another process pushes under this producer's name with a higher epoch.

    Attributes:
        epoch: The epoch that the producer has now.
    """

    code = Code.PRODUCER_FENCED

    def __init__(self, message: str, *, epoch: int) -> None:
        super().__init__(message)
        self.epoch = epoch


class ProducerGap(LockgateError):
    """A push whose number is not the producer's next one.

    Attributes:
        expected: Number of the next push.
        received: Number that came.
    """

    code = Code.PRODUCER_GAP

    def __init__(self, message: str, *, expected: int, received: int) -> None:
        super().__init__(message)
        self.expected = expected
        self.received = received


class TooManyProducers(LockgateError):
    """A stream remembers so many producers that it takes no new one.

    Attributes:
        limit: How many a stream remembers.
    """

    code = Code.TOO_MANY_PRODUCERS

    def __init__(self, message: str, *, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class SequenceConflict(LockgateError):
    """A push whose Stream-Seq is not greater, byte by byte, than the last one.

    Attributes:
        last: Stream-Seq of the last push that had one.
        received: Stream-Seq that came.
    """

    code = Code.SEQUENCE_CONFLICT

    def __init__(self, message: str, *, last: str, received: str) -> None:
        super().__init__(message)
        self.last = last
        self.received = received


class ModelUnknown(LockgateError):
    """The provider's list of models has no such model."""

    code = Code.MODEL_UNKNOWN


class ModelsUnknown(LockgateError):
    """The provider does not answer with its list of models, and no earlier one is known."""

    code = Code.MODELS_UNKNOWN


class TailMoved(LockgateError):
    """A push that was meant to follow a certain offset, but others have written since.

    Attributes:
        tail: Offset after the last record.
    """

    code = Code.TAIL_MOVED

    def __init__(self, message: str, *, tail: tuple[int, int]) -> None:
        super().__init__(message)
        self.tail = tail


# -- the programmer ------------------------------------------------------------------------------------------------


class Misuse(RuntimeError):
    """A call that is a bug in the calling code, for example ``feed`` after ``close``."""

    code: ClassVar[Code] = Code.MISUSE
