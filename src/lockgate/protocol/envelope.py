"""The envelope that every reader sees, and the record that the log keeps.

``StreamResponse = { meta: {schema, sequence, totalChunks, channel, kind, ...}, data: [...], errors?: [...] }``

The log stores :class:`Record`; an envelope is computed from it at read time, by ``delivery``. Wire names stand here and
nowhere else.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

#: Channel of a record that speaks for the whole stream.
STREAM_CHANNEL: Final = ""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of ``errors``.

    Attributes:
        code: A code of ``lockgate.errors``.
        chunk: Sequence of the chunk that it concerns: the next one of its channel when nothing was released for it.
        recoverable: Whether trying again can help.
        action: What lockgate did about it: ``halt``, ``skip``, ``patch``, ``retry`` or ``none``.
        path: JSON pointer to the value at fault; absent where there is none.
        schema_path: JSON pointer into the schema; absent where no keyword is to blame.
        at: Byte of the released text.
        upstream_at: Byte of the upstream text.
        message: One sentence for people.
    """

    code: str
    chunk: int
    recoverable: bool
    action: str
    message: str
    path: str | None = None
    schema_path: str | None = None
    at: int | None = None
    upstream_at: int | None = None


class ChannelEnd(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one channel ended, inside :class:`StreamEnd`."""

    outcome: str
    chunks: int
    released_bytes: int
    upstream_bytes: int
    sha256: str
    schema: str = ""
    tool: str | None = None
    tool_call_id: str | None = None


class StreamEnd(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of the ``final`` record: what became of the stream.

    Attributes:
        state: An ``Outcome`` of ``protocol.lifecycle``.
        reason: The code of what ended it when it is not complete, else the finish reason.
        authority: Who proved it: ``document`` (the authoritative validator saw the whole document), ``elements`` (it
            saw each element), ``checks`` (the document was too long for it; lockgate's own checks saw all of it),
            ``none`` (nothing was proven), ``passthrough`` (there is no schema).
        finish_reason: Upstream's word, the last that came.
        model, provider, upstream_id: Who answered, as upstream says.
        usage: Upstream's usage object, as it came.
        channels: Outcome and sizes by channel.
    """

    state: str
    reason: str
    authority: Literal["document", "elements", "checks", "none", "passthrough"]
    finish_reason: str | None = None
    model: str | None = None
    provider: str | None = None
    upstream_id: str | None = None
    usage: dict[str, Any] | None = None
    channels: dict[str, ChannelEnd] = {}


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the log, as stored (JSON, by :func:`encode_record`).

    Attributes:
        kind: ``delta`` (released text), ``note`` (errors and feedback) or ``final`` (the last one of a stream).
        channel: Whose text; ``""`` for the whole stream.
        schema: ``name@version`` or ``inline@sha256:...``; ``""`` where there is no schema.
        sequence: Number of this chunk in its channel, from 0 without gaps. ``note`` and ``final`` repeat the number
            that the next chunk would have.
        start_byte: Released bytes of the channel before ``text``.
        text: The released text of a ``delta``.
        ends: Byte after each finished element inside ``text``, counted in released bytes of the channel.
        errors: What went wrong at this point.
        final: Only of kind ``final``.
        read_s: When its last byte was read from upstream, in seconds since 1970, for measuring latency; 0 if unknown.
    """

    kind: Literal["delta", "note", "final"]
    channel: str
    schema: str
    sequence: int
    start_byte: int = 0
    text: str = ""
    ends: list[int] = []
    errors: list[Problem] = []
    final: StreamEnd | None = None
    read_s: float = 0.0


class Meta(msgspec.Struct, frozen=True, omit_defaults=True):
    """``meta`` of an envelope. The first five always stand there; ``at`` is the byte before ``data`` of a delta."""

    schema: str
    sequence: int
    totalChunks: int  # the wire's own spelling
    channel: str
    kind: str
    at: int | None = None


class StreamResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """What every reader sees, whatever the face. ``errors`` is left out where there are none."""

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


def envelope(record: Record) -> bytes:
    """The record as its delta view shows it: one JSON object on one line, without a line end."""
    is_delta = record.kind == "delta"
    if is_delta:
        data: list[Any] = [record.text]
    else:
        data = [record.final] if record.final is not None else []
    # A count is known once the stream is over; the final record carries the sum over all channels.
    total = sum(end.chunks for end in record.final.channels.values()) if record.final is not None else 0
    at = record.start_byte if is_delta else None
    meta = Meta(record.schema, record.sequence, total, record.channel, record.kind, at)
    return _json.encode(StreamResponse(meta, data, record.errors))
