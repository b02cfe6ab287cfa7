"""The envelope that every reader sees, and the record that the log keeps.

``StreamResponse = { meta: {schema, sequence, totalChunks, channel, kind, ...}, data: [...], errors?: [...] }``

The log stores :class:`Record`; an envelope is computed from it at read time, by ``delivery``: of a record as it is, of
several deltas in a row, of the elements that ended in them, or of the value so far. Wire names stand here and nowhere
else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from lockgate.protocol.lifecycle import Outcome

#: What lockgate did about a problem.
Action: TypeAlias = Literal["halt", "skip", "patch", "retry", "none"]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of ``errors``.

    Attributes:
        code: A code of ``lockgate.errors``.
        chunk: Sequence of the chunk that it concerns: the next one of its channel when nothing was released for it.
        recoverable: Whether trying again can help.
        action: What lockgate did about it.
        path: JSON pointer to the value at fault; absent where there is none.
        schema_path: JSON pointer into the schema; absent where no keyword is to blame.
        at: Byte of the released text.
        upstream_at: Byte of the upstream text.
        message: One sentence for people.
        rule: Id of the patch rule; only where the action is ``patch``.
        removed: What upstream wrote at ``upstream_at`` and was left out.
        inserted: What stands at ``at`` instead.
        upstream_end: Byte after a value that was skipped.
        hint: A sentence to send back to the model; only for a violation that was not patched.
    """

    code: str
    chunk: int
    recoverable: bool
    action: Action
    message: str
    path: str | None = None
    schema_path: str | None = None
    at: int | None = None
    upstream_at: int | None = None
    rule: str | None = None
    removed: str | None = None
    inserted: str | None = None
    upstream_end: int | None = None
    hint: str | None = None


class ChannelEnd(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one channel ended.

    Attributes:
        outcome: What became of it.
        chunks: How many chunks it has.
        released_bytes: Bytes of its released text (UTF-8).
        upstream_bytes: Bytes of text that came for it.
        sha256: Of the released text, in hexadecimal.
        schema: ``name@version`` or ``inline@sha256:...``; absent where the text is not judged.
        tool: Name of the function that is called; absent for content.
        tool_call_id: Upstream's id of the call.
        patches: Changes made.
        skips: Values left out.
    """

    outcome: Outcome
    chunks: int
    released_bytes: int
    upstream_bytes: int
    sha256: str
    schema: str = ""
    tool: str | None = None
    tool_call_id: str | None = None
    patches: int = 0
    skips: int = 0


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt to generate: ``data`` of the note with which a further one begins, and a row of the final record.

    Attributes:
        number: From 1.
        step: ``first``, ``retry`` (the same request, nothing was released), a rung of the ladder (``prefill``,
            ``tail``, ``residual``, ``regenerate``), or ``restart`` (what was released does not count any more).
        model: Which model was asked.
        at: The seam: released bytes, of all channels, after which it goes on.
        reason: Class of the failure that made it necessary; empty for the first.
        wait_s: Back-off before it, in seconds.
        result: ``ok``, or the class of its own failure; empty while it runs.
        message: What went wrong with it.
        released_bytes: Text that it brought.
        skipped_bytes: Echo and preface that were taken off its answer.
        tokens: Completion tokens; estimated from the text where upstream did not say.
        is_estimate: Whether they are.
    """

    number: int
    step: str
    model: str
    at: int = 0
    reason: str = ""
    wait_s: float = 0.0
    result: str = ""
    message: str = ""
    released_bytes: int = 0
    skipped_bytes: int = 0
    tokens: int = 0
    is_estimate: bool = False


class Answerer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who answers an attempt, as upstream says.

    Attributes:
        id: Upstream's id of the generation.
        model: The model that answers.
        provider: The provider that answers.
        created: When, in seconds since 1970.
        fingerprint: OpenAI's ``system_fingerprint``.
        tier: OpenAI's ``service_tier``.
    """

    id: str | None = None
    model: str | None = None
    provider: str | None = None
    created: int | None = None
    fingerprint: str | None = None
    tier: str | None = None


class Stopped(msgspec.Struct, frozen=True, omit_defaults=True):
    """What closing the upstream connection early was worth.

    Attributes:
        tokens_spent: Completion tokens until then.
        is_estimate: Whether they are estimated from the text.
        tokens_saved_at_most: What the request's own limit would still have allowed; None where it has none.
        billing: ``stops`` with the connection, ``continues`` at this provider, or ``unknown``.
    """

    tokens_spent: int
    is_estimate: bool
    billing: Literal["stops", "continues", "unknown"]
    tokens_saved_at_most: int | None = None


class StreamEnd(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of the ``final`` record: what became of the stream.

    Attributes:
        state: What became of the stream.
        reason: The code of what ended it when it is not complete, else the finish reason.
        authority: Who proved it: ``document`` (the authoritative validator saw the whole document), ``elements`` (it
            saw each element), ``checks`` (the document was too long for it; lockgate's own checks saw all of it),
            ``none`` (nothing was proven), ``passthrough`` (there is no schema).
        finish_reason: Upstream's word, the last that came.
        finish_reasons: The same by choice, where there are several.
        model: The model that answered, as upstream says.
        provider: The provider that answered, as upstream says.
        upstream_id: Upstream's id of the generation.
        upstream_status: Where upstream failed: the HTTP status, or the one that its error names by a number or a word.
        retry_after_s: Where it failed: how long it asked to wait, in seconds.
        usage: Upstream's usage object, as it came; of several attempts, with its numbers summed.
        channels: Outcome and sizes by channel.
        attempts: All attempts, where there was more than one.
        stopped: Where the upstream connection was closed before its end.
    """

    state: Outcome
    reason: str
    authority: Literal["document", "elements", "checks", "none", "passthrough"]
    finish_reason: str | None = None
    finish_reasons: dict[str, str] = {}
    model: str | None = None
    provider: str | None = None
    upstream_id: str | None = None
    upstream_status: int | None = None
    retry_after_s: float | None = None
    usage: dict[str, Any] | None = None
    channels: dict[str, ChannelEnd] = {}
    attempts: list[Attempt] = []
    stopped: Stopped | None = None


#: How a call is written.
CallKind: TypeAlias = Literal["function", "custom", "function_call"]


class ToolCallStart(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of a ``call`` record: a tool call begins on the record's channel.

    Attributes:
        name: Name of the function.
        id: Upstream's id of the call; empty where it gave none.
        index: Which call of its choice it is, from 0.
        kind: ``custom`` where the arguments are text of any kind (OpenAI's tools of that type); ``function_call``
            where it came under that name, as calls did before ``tool_calls``.
    """

    name: str
    id: str = ""
    index: int = 0
    kind: CallKind = "function"


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the log, as stored (JSON, by :func:`encode_record`).

    Attributes:
        kind: ``delta`` (released text), ``note`` (errors), ``call`` (a tool call begins; comes before the first delta
            of its channel, and again when another attempt makes the call anew), ``side`` (what upstream sent beside
            the text), ``restart`` (what the channel released so far no longer counts, and its bytes are counted from 0
            again; only where the caller allowed it) or ``final`` (the last one of a stream).
        channel: Whose text; ``""`` for the whole stream.
        schema: ``name@version`` or ``inline@sha256:...``; ``""`` where there is no schema.
        sequence: Number of this chunk in its channel, from 0 without gaps. All kinds but ``delta`` repeat the number
            that the next chunk would have.
        start_byte: Released bytes of the channel before ``text``.
        text: The released text of a ``delta``.
        ends: Byte after each element that was finished here, counted in released bytes of the channel.
        starts: First byte of each of them; it may lie in an earlier record.
        first_element: Index of the first of them in its array.
        held_bytes: Bytes that had come from upstream and were not released when this was written.
        pushed: What a producer pushed, where ``text`` is not just that: nobody else has what is still held of it.
        errors: What went wrong at this point.
        attempt: Of the note with which a further attempt begins.
        answerer: Who answers, on the first record that upstream brought since that is known. No view shows it.
        call: Only of kind ``call``.
        members: Only of kind ``side``: the members of upstream's chunks, as they came; of one read, texts and lists of
            the same name are joined. Reasoning, refusals, signatures, images, annotations, log probabilities.
        final: Only of kind ``final``.
        read_s: When its last byte was read from upstream, in seconds since 1970, for measuring latency; 0 if unknown.
    """

    kind: Literal["delta", "note", "call", "side", "restart", "final"]
    channel: str
    schema: str
    sequence: int
    start_byte: int = 0
    text: str = ""
    ends: list[int] = []
    starts: list[int] = []
    first_element: int = 0
    held_bytes: int = 0
    pushed: str = ""
    errors: list[Problem] = []
    attempt: Attempt | None = None
    answerer: Answerer | None = None
    call: ToolCallStart | None = None
    members: dict[str, Any] = {}
    final: StreamEnd | None = None
    read_s: float = 0.0


class Meta(msgspec.Struct, frozen=True, omit_defaults=True):
    """``meta`` of an envelope.

    Attributes:
        schema: ``name@version`` or ``inline@sha256:...``; ``""`` where there is no schema.
        sequence: Number of the first chunk of ``data`` in its channel, from 0 without gaps; of an element, its index.
        totalChunks: 0 until the final record, which has the sum over all channels.
        channel: Whose text; ``""`` for the whole stream.
        kind: What ``data`` is.
        at: Released bytes of the channel before ``data`` of a delta, or of which a snapshot, or the value after a
            patch, is made.
    """

    schema: str
    sequence: int
    totalChunks: int  # the wire's own spelling
    channel: str
    kind: Literal["delta", "element", "snapshot", "patch", "note", "call", "side", "restart", "final"]
    at: int | None = None


class StreamResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """The envelope: what every reader sees, whatever the face.

    Attributes:
        meta: Where it belongs.
        data: By kind: the released texts of a delta, finished elements, the value so far of a snapshot, the operations
            of a patch, the call that begins, the members of a side record, how the stream ended (final), or what a note
            says: the attempt that begins, how judging goes on, or how long upstream says nothing.
        errors: What went wrong at this point; absent where nothing did.
    """

    meta: Meta
    data: list[Any]
    errors: list[Problem] = []


_json: Final = msgspec.json.Encoder()
_record: Final = msgspec.json.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """Serialize a record for the log."""
    return _json.encode(record)


def decode_record(payload: bytes) -> Record:
    """Read a record back.

    Raises:
        msgspec.ValidationError: the payload is not a record (a log of another program, or a damaged one).
    """
    return _record.decode(payload)


def envelope(record: Record, texts: Sequence[str] = ()) -> bytes:
    """The record as the delta view shows it: one JSON object on one line, without a line end.

    Args:
        texts: Of a delta that is shown together with those after it: the texts of all, one string for each. Sequence
            and ``at`` are those of the first.
    """
    is_delta = record.kind == "delta"
    if is_delta:
        data: list[Any] = list(texts) or [record.text]
    else:
        bodies = (record.final, record.attempt, record.call, record.members or None)
        data = [one for one in bodies if one is not None]
    # A count is known once the stream is over; the final record carries the sum over all channels.
    total = sum(end.chunks for end in record.final.channels.values()) if record.final is not None else 0
    at = record.start_byte if is_delta else None
    meta = Meta(record.schema, record.sequence, total, record.channel, record.kind, at)
    return _json.encode(StreamResponse(meta, data, record.errors))


def element_envelope(channel: str, schema: str, index: int, elements: Sequence[bytes]) -> bytes:
    """Finished elements in a row, each as the JSON text that was released; ``sequence`` is the index of the first."""
    meta = Meta(schema, index, 0, channel, "element")
    return _json.encode(StreamResponse(meta, [msgspec.Raw(element) for element in elements]))


def snapshot_envelope(channel: str, schema: str, sequence: int, at: int) -> tuple[bytes, bytes]:
    """What stands before the value so far, and what stands after it.

    Args:
        sequence: Number that the next chunk of the channel will have.
        at: Released bytes that the value was made of.
    """
    meta = Meta(schema, sequence, 0, channel, "snapshot", at)
    whole = _json.encode(StreamResponse(meta, [msgspec.Raw(b"")]))
    middle = whole.rindex(b"]")
    return whole[:middle], whole[middle:]


class PatchOperation(msgspec.Struct, frozen=True):
    """One operation of JSON Patch (RFC 6902): one entry of ``data`` of a ``patch``.

    Attributes:
        op: What is done.
        path: JSON pointer to where.
        value: What is there afterwards.
    """

    op: Literal["add", "replace"]
    path: str
    value: Any


def patch_envelope(channel: str, schema: str, sequence: int, at: int, operations: Sequence[PatchOperation]) -> bytes:
    """Operations that lead from the value before to the value so far; their values may be ``msgspec.Raw``.

    Args:
        sequence: Number that the next chunk of the channel will have.
        at: Released bytes that the value is made of afterwards.
    """
    return _json.encode(StreamResponse(Meta(schema, sequence, 0, channel, "patch", at), [*operations]))


class Feedback(msgspec.Struct, frozen=True, omit_defaults=True):
    """``data`` of a ``note`` that tells how judging goes on, made at read time for readers that ask (``notes=1``).

    Attributes:
        state: ``open``, or the outcome of the stream.
        path: JSON pointer to the value that is being written; absent without a schema.
        members_done: Names of the finished members of the root object, at most the first hundred.
        elements_done: Finished elements of the array that hands them out, or of a root array.
        violations: Errors so far.
        held_bytes: Bytes that came from upstream and are not judged yet.
        piece_records: Records of the log that came to the reader in the piece which this note ends: 1 where it keeps
            up with the stream, more where it lags.
        progress: Chunks and bytes released.
        health: What is known of upstream.
    """

    state: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["open", *Outcome]})]
    progress: Progress
    health: Health
    path: str | None = None
    members_done: list[str] = []
    elements_done: int = 0
    violations: int = 0
    held_bytes: int = 0
    piece_records: int = 0


class Progress(msgspec.Struct, frozen=True):
    """How much was released.

    Attributes:
        chunks: Chunks of the channel so far.
        released_bytes: Bytes of its text so far (UTF-8).
    """

    chunks: int
    released_bytes: int


class Health(msgspec.Struct, frozen=True):
    """Whether upstream still speaks.

    Attributes:
        upstream: ``silent``: nothing came for a while; ``paused``: it is kept waiting, since every reader lags;
            ``ended``: nothing will come.
        silent_s: Seconds since it was last read from, as far as the log shows.
    """

    upstream: Literal["flowing", "silent", "paused", "ended"]
    silent_s: float


#: What a silent stream waits for: upstream's first text, more of it, the log, which takes no records at present, or its
#: readers, which lag too much.
WaitingFor: TypeAlias = Literal["first token", "next token", "log", "readers"]


class UpstreamSilence(msgspec.Struct, frozen=True):
    """``data`` of a ``note`` of the whole stream that tells a reader how long nothing came, every few seconds.

    It is made for readers that ask (``notes=1``), and is no record.

    Attributes:
        silent_s: Seconds since upstream said something; at a node that does not generate the stream, since text came.
        waiting_for: ``first token`` if no text came so far; ``log`` or ``readers`` if upstream is kept waiting by them.
    """

    silent_s: float
    waiting_for: WaitingFor


def silence_envelope(silence: UpstreamSilence) -> bytes:
    """A note with silence."""
    return _json.encode(StreamResponse(Meta("", 0, 0, "", "note"), [silence]))


def feedback_envelope(channel: str, schema: str, sequence: int, feedback: Feedback) -> bytes:
    """A note with feedback."""
    return _json.encode(StreamResponse(Meta(schema, sequence, 0, channel, "note"), [feedback]))
