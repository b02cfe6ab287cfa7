"""What a reader asks for: the query and headers of a GET, checked and translated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast, get_args

from lockgate.errors import BadRequest
from lockgate.protocol.header_names import ACCEPT_SCHEMA, IF_NONE_MATCH, LAST_EVENT_ID
from lockgate.protocol.offsets import Offset, parse_offset
from lockgate.protocol.outside_names import check_name, is_name
from lockgate.protocol.server_frames import NDJSON

ViewName: TypeAlias = Literal["delta", "elements", "snapshot", "patch", "text"]
Live: TypeAlias = Literal["no", "long-poll", "sse", "lines"]

#: Parameters that change the answer. Others are ignored, as Durable Streams demands.
_KNOWN: Final = (
    *(
        "offset",
        "channel",
        "sequence",
        "at",
        "live",
        "view",
        "events",
        "notes",
        "sides",
        "cursor",
        "reader",
        "credit",
        "schema",
    ),
)
_EVENTS: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class ReadQuery:
    """One read.

    Attributes:
        offset: As the request has it; None if the request gives another kind of position, or none.
        channel: The only channel wanted, or the one that ``sequence`` and ``at`` count in.
        sequence: Begin at this chunk (with ``view=elements``: this element) of ``channel``.
        at: Begin at this byte of the text; only for plain text.
        accept: Media types that the client takes, as the request has them.
        live: Whether to wait for more, and how what comes is written.
        view: How the log is shown.
        is_plain_text: Answer the text itself instead of JSON.
        is_event_source: Whether a native EventSource could have sent this.
        plain_events: Events without a name, one envelope each, for ``onmessage``.
        notes: Add notes about the progress of judging.
        sides: Show what upstream sent beside the text, too.
        cursor: The client's cursor.
        reader: What the reader calls itself, if it acknowledges what it has.
        credit: Bytes that it takes beyond what it acknowledges, from the first one on; None: what the gateway allows.
        last_event_id: What an EventSource resumes from.
        if_none_match: ETag that the client has.
        schemas: Versions of registered schemas that the client understands; none: whatever there is.
    """

    offset: str | None = None
    channel: str | None = None
    sequence: int | None = None
    at: int | None = None
    accept: str = ""
    live: Live = "no"
    view: ViewName = "delta"
    is_plain_text: bool = False
    is_event_source: bool = False
    plain_events: bool = False
    notes: bool = False
    sides: bool = False
    cursor: str | None = None
    reader: str | None = None
    credit: int | None = None
    last_event_id: str | None = None
    if_none_match: str | None = None
    schemas: tuple[str, ...] = ()


def read_query(pairs: Sequence[tuple[str, str]], headers: Mapping[str, str]) -> ReadQuery:
    """Check the query and headers of a GET.

    Args:
        pairs: Names and values of the query, decoded, in order.
        headers: A mapping that ignores the case of names.

    Raises:
        BadRequest: names the parameter, and what to send instead.
    """
    given = _once(pairs)
    accept = headers.get("accept", "")
    last_event_id = headers.get(LAST_EVENT_ID) or None
    wants_lines = NDJSON in accept and _EVENTS not in accept
    is_event_source = not wants_lines and (_EVENTS in accept or last_event_id is not None)
    live = _live(given.get("live"), wants_events=is_event_source, wants_lines=wants_lines)
    view = _choice(given, "view", get_args(ViewName))
    is_plain_text = view == "text" and live == "no" and "application/json" not in accept
    query = ReadQuery(
        offset=given.get("offset"),
        channel=_channel(given),
        sequence=_count(given, "sequence"),
        at=_count(given, "at"),
        accept=accept,
        live=live,
        view=cast(ViewName, view),
        is_plain_text=is_plain_text,
        is_event_source=is_event_source,
        plain_events=_choice(given, "events", ("named", "plain")) == "plain",
        notes=_choice(given, "notes", ("0", "1")) == "1",
        sides=_choice(given, "sides", ("0", "1")) == "1",
        cursor=check_name(given["cursor"], "cursor") if given.get("cursor") else None,
        reader=check_name(given["reader"], "reader") if given.get("reader") else None,
        credit=_count(given, "credit"),
        last_event_id=last_event_id if live in ("sse", "lines") else None,
        if_none_match=headers.get(IF_NONE_MATCH),
        schemas=_schemas(given.get("schema") or headers.get(ACCEPT_SCHEMA, "")),
    )
    _check_place(query)
    return query


def _schemas(given: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in given.split(","))))


def _once(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in _KNOWN:
            if name in given:
                raise BadRequest(f"{name}: is given twice; send it once")
            given[name] = value
    return given


def _live(given: str | None, *, wants_events: bool, wants_lines: bool) -> Live:
    if given not in (None, "sse", "long-poll"):
        raise BadRequest(f"live={given[:20]!r}: use live=sse or live=long-poll, or leave it out to catch up")
    if given == "long-poll":
        return "long-poll"
    if given == "sse" or wants_events:
        return "sse"
    return "lines" if wants_lines else "no"


def _choice(given: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = given.get(name, choices[0])
    if value not in choices:
        raise BadRequest(f"{name}={value[:20]!r}: use one of {', '.join(choices)}")
    return value


def _channel(given: Mapping[str, str]) -> str | None:
    channel = given.get("channel")
    if channel is not None and not is_name(channel):
        raise BadRequest("channel: must name one, like content, tool/0 or choice/1/content")
    return channel


def _count(given: Mapping[str, str], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 16):
        raise BadRequest(f"{name}={value[:20]!r}: must be a whole number from 0")
    return int(value)


def _check_place(query: ReadQuery) -> None:
    """A request gives one position, and a live read must give one."""
    said = [name for name in ("offset", "sequence", "at") if getattr(query, name) is not None]
    if len(said) > 1:
        raise BadRequest(f"{said[0]} and {said[1]}: both say where to begin; send one of them")
    if query.sequence is not None and query.channel is None:
        raise BadRequest("sequence: counts the chunks of one channel; name it with channel=, like channel=content")
    if query.offset == "":
        raise BadRequest("offset: is empty; leave it out, or send one as the server sent it")
    if query.is_plain_text and query.offset is not None:
        raise BadRequest("offset: plain text is resumed by at=, the bytes that you have; or ask for application/json")
    if query.at is not None and not query.is_plain_text:
        raise BadRequest("at: counts bytes of plain text (view=text); records are resumed by offset")
    if query.live in ("long-poll", "sse") and not said and not query.is_event_source:
        # Durable Streams 5.7 and 5.8. Only an EventSource, which cannot know an offset, may begin without one there.
        raise BadRequest(f"offset: live={query.live} needs one; -1 is the start, now the tail")
    for name in ("notes", "sides"):
        if query.view == "text" and getattr(query, name):
            raise BadRequest(f"{name}=1: needs envelopes, and view=text has none; use view=delta")
    if query.live in ("long-poll", "lines") and query.plain_events:
        raise BadRequest("events=plain: needs live=sse")


def offset_of(query: ReadQuery, tail: Offset) -> Offset:
    """The offset that a read names; the start if none. ``Last-Event-ID`` wins over ``offset``; ``now`` is the tail.

    Raises:
        BadRequest: the offset is malformed.
    """
    written = query.last_event_id or query.offset or "-1"
    if written == "now":
        return tail
    try:
        return parse_offset(written)
    except ValueError as error:
        raise BadRequest(str(error)) from None
