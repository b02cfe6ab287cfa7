"""GET and HEAD of a stream: which face serves a reader, from where, and with which view."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import Response

from lockgate.config import Delivery
from lockgate.config.settings import Way
from lockgate.delivery.durable import Answer, LongPoll, catch_up, progress_headers
from lockgate.delivery.event_stream import LATER_MS, EventReader
from lockgate.delivery.forms import JSON, Form, JsonForm, form_of
from lockgate.delivery.frame_lines import LineReader
from lockgate.delivery.json_patch import PatchView
from lockgate.delivery.notes import WithNotes
from lockgate.delivery.plain_text import TextReader
from lockgate.delivery.read_query import ReadQuery, offset_of, read_query
from lockgate.delivery.readers import MAX_EVENT_BYTES, Pacing, Readers
from lockgate.delivery.ropes import SharedText, SharedTexts
from lockgate.delivery.seek import Seeker
from lockgate.delivery.views import DeltaView, ElementsView, RawView, SnapshotView, TextView, View
from lockgate.errors import BadRequest, Busy, OffsetGone
from lockgate.gate.operations import Operations
from lockgate.gate.partial import PartialValue
from lockgate.gateway.access import Receive, Send
from lockgate.gateway.authentication import StreamFinder
from lockgate.gateway.callers import caller_of
from lockgate.gateway.headers import stream_headers
from lockgate.gateway.reader_response import ReaderResponse
from lockgate.gateway.ways import links_to
from lockgate.keys.caller import Caller
from lockgate.observe.metrics import Meters
from lockgate.protocol import header_names as names
from lockgate.protocol.envelope import WaitingFor
from lockgate.protocol.offsets import START, Offset
from lockgate.protocol.server_frames import NDJSON
from lockgate.protocol.sse import encode_retry
from lockgate.registry.agreement import check_reader
from lockgate.registry.registry import SchemaRegistry
from lockgate.store.base import Head, Page, StreamLog
from lockgate.streams.meta import StreamMeta

_CONTENT: Final = "content"
_MAY_KEEP: Final = "private, max-age=60, stale-while-revalidate=300"


class Connection(Protocol):
    """Serves one client of a live face until it leaves or has all."""

    async def run(self, receive: Receive, send: Send) -> None: ...


@dataclass(frozen=True, slots=True)
class ReadStart:
    """What a read begins with: the stream, and where in it."""

    stream_id: str
    query: ReadQuery
    head: Head
    meta: StreamMeta
    after: Offset
    skip_bytes: int = 0


class ReadRoutes:
    """Serves readers of one log.

    Args:
        heard: Since when a stream waits, and for what; None if it is not running here.
        finder: Shows callers their streams.
        ways: The ways to read that clients are told of; none where streams have no other.
        registry: The registered schemas, of which readers may name some; None where there are none.
    """

    def __init__(
        self,
        log: StreamLog,
        delivery: Delivery,
        readers: Readers,
        meters: Meters,
        heard: Callable[[str], tuple[float, WaitingFor] | None] = lambda stream_id: None,
        *,
        finder: StreamFinder,
        ways: tuple[Way, ...] = (),
        registry: SchemaRegistry | None = None,
    ) -> None:
        self._ways = ways
        self._registry = registry
        self._log = log
        self._finder = finder
        self._heard = heard
        self._delivery = delivery
        self._readers = readers
        self._meters = meters
        self._texts = SharedTexts()
        self._pacing = Pacing(
            delivery.retry_ms,
            delivery.heartbeat_s,
            min(delivery.max_read_bytes, MAX_EVENT_BYTES),
            delivery.stuck_s,
            delivery.window_bytes,
            delivery.slow_s,
        )

    # -- GET -----------------------------------------------------------------------------------------------------

    async def get(self, stream_id: str, request: Request) -> Response:
        """Whatever the query and headers ask for.

        Raises:
            BadRequest, StreamUnknown, OffsetGone, Busy: see ``gateway.app`` for what each becomes.
        """
        query = read_query(request.query_params.multi_items(), request.headers)
        start, page = await self.begin(stream_id, query, caller_of(request))
        face = next(face for face in FACES if face.is_wanted(query))
        answer = await face.serve(self, start, page)
        self._add_links(answer, request, start.meta)
        self._add_schema(answer, start.meta)
        return answer

    def _add_schema(self, answer: Response, meta: StreamMeta) -> None:
        """Which version it is pinned to, and that it should not be used any more, as far as this node knows."""
        status = self._registry.status_of(meta.schema) if self._registry is not None else None
        if status is not None:
            answer.headers[names.SCHEMA] = meta.schema
            if status != "active":
                answer.headers[names.SCHEMA_STATUS] = status

    def _add_links(self, answer: Response, request: Request, meta: StreamMeta) -> None:
        if self._ways:
            path = request.scope["path"]  # with the base path, and without what a client wrote at its end
            answer.headers[names.LINK] = links_to(path, self._ways, is_json=isinstance(self._form(meta), JsonForm))

    async def begin(self, stream_id: str, query: ReadQuery, caller: Caller) -> tuple[ReadStart, Page]:
        """Where a read begins, and what stands there.

        Raises:
            BadRequest, StreamUnknown, OffsetGone: as ``get``.
            SchemaNotAcceptable: the reader does not understand what the stream holds.
        """
        head, meta = await self._finder.find(stream_id, caller)
        if query.schemas and self._registry is not None:
            await check_reader(self._registry, query.schemas, meta.schema)
        if head.lifetime.ttl_s is not None:
            await self._log.touch(stream_id)
        start = await self._start(stream_id, query, head, meta)
        # An offset that is gone is said before the answer begins.
        page = await self._log.read(stream_id, start.after, max_bytes=1)
        self._count_resumption(start, page)
        return start, page

    async def _start(self, stream_id: str, query: ReadQuery, head: Head, meta: StreamMeta) -> ReadStart:
        if meta.kind == "raw":
            if query.view != "delta" or query.notes or query.sides or query.channel is not None:
                raise BadRequest("view, channel, notes, sides: this stream is raw; it holds what its producers pushed")
            return ReadStart(stream_id, query, head, meta, offset_of(query, head.tail))
        seeker = Seeker(self._log, stream_id, head)
        if query.is_plain_text:
            return await self._plain_start(seeker, ReadStart(stream_id, query, head, meta, START))
        if query.sequence is not None and query.last_event_id is None:
            if query.view == "elements" and meta.may_restart and query.sequence:
                await _refuse_if_taken_back(seeker, query, head, f"sequence={query.sequence}")
            seek = seeker.element if query.view == "elements" else seeker.chunk
            return ReadStart(stream_id, query, head, meta, await seek(query.channel or _CONTENT, query.sequence))
        after = offset_of(query, head.tail)
        if query.view == "text" and meta.may_restart:
            after = await seeker.counting(query.channel or _CONTENT, after)
        return ReadStart(stream_id, query, head, meta, after)

    async def _plain_start(self, seeker: Seeker, start: ReadStart) -> ReadStart:
        channel, at = start.query.channel or _CONTENT, start.query.at or 0
        if start.meta.may_restart:
            if not at:
                return replace(start, after=await seeker.counting(channel, START))
            await _refuse_if_taken_back(seeker, start.query, start.head, f"at={at}")
        after, skip_bytes = await seeker.byte(channel, at)
        return replace(start, after=after, skip_bytes=skip_bytes)

    def _count_resumption(self, start: ReadStart, page: Page) -> None:
        """Coming back with a position that one was given is resuming."""
        query = start.query
        has_position = query.last_event_id or query.at or query.sequence or query.offset not in (None, "-1", "now")
        if has_position and query.live != "long-poll":
            self._meters.reader_resumed(page.tail.records - start.after.records)

    async def _prepared_view(self, start: ReadStart) -> View:
        """The view that was asked for, ready to show what comes after the start."""
        view = self._view(start)
        await Seeker(self._log, start.stream_id, start.head).prepare(view, start.after)
        return view

    def _view(self, start: ReadStart) -> View:
        query, meta = start.query, start.meta
        if meta.kind == "raw":
            return RawView()
        # With a sequence, the channel says where to begin, not what to show.
        only = query.channel if query.sequence is None else None
        view: View
        match query.view:
            case "elements":
                if not meta.has_elements:
                    raise BadRequest(
                        "view=elements: this stream hands out no elements; create it with lockgate.elements, the JSON "
                        "pointer to their array, or lockgate.framing=ndjson"
                    )
                view = ElementsView(query.channel or _CONTENT, first=query.sequence or 0, sides=query.sides)
            case "snapshot":
                if meta.framing == "ndjson":
                    raise BadRequest("view=snapshot: the lines of NDJSON are no single value; use view=elements")
                delivery = self._delivery
                view = SnapshotView(
                    only,
                    grow=PartialValue,
                    share=partial(self._text_of, start),
                    pause_s=delivery.snapshot_s,
                    max_bytes=delivery.max_snapshot_bytes,
                    sides=query.sides,
                )
            case "patch":
                if meta.framing == "ndjson":
                    raise BadRequest("view=patch: the lines of NDJSON are no single value; use view=elements")
                view = PatchView(
                    only,
                    follow=Operations,
                    share=partial(self._text_of, start),
                    max_bytes=self._delivery.max_snapshot_bytes,
                    sides=query.sides,
                )
            case "text":
                view = TextView(query.channel or _CONTENT)
            case _:
                view = DeltaView(only, sides=query.sides)
        if query.notes:
            grow = PartialValue if meta.framing == "json" else None
            view = WithNotes(
                view,
                channel=only,
                grow=grow,
                created_s=start.head.created_s,
                silence_s=self._delivery.silence_s,
                heard=lambda: self._heard(start.stream_id),
            )
        return view

    def _text_of(self, start: ReadStart, channel: str, restarts: int) -> SharedText:
        return self._texts.of((start.stream_id, start.head.created_s, start.query.view, channel, restarts))

    def _form(self, meta: StreamMeta) -> Form:
        return form_of(meta.content_type) if meta.kind == "raw" else JsonForm()

    # -- faces ---------------------------------------------------------------------------------------------------

    async def plain_text(self, start: ReadStart, _page: Page) -> Response:
        self._refuse_if_full()
        reader = TextReader(
            self._log,
            start.stream_id,
            start.after,
            channel=start.query.channel or _CONTENT,
            skip_bytes=start.skip_bytes,
            pacing=self._pacing,
            meters=self._meters,
            readers=self._readers,
        )
        return ReaderResponse(reader.run)

    async def events(self, start: ReadStart, page: Page) -> Response:
        query = start.query
        if query.last_event_id and page.is_closed and start.after.records == page.tail.records:
            return Response(status_code=204)  # the one answer that stops an EventSource for good
        if self._readers.is_full:
            if not query.is_event_source:
                self._refuse_if_full()
            # EventSource gives up for good on 503; an answer that ends at once makes it come back.
            headers = {names.CACHE_CONTROL: "no-store"}
            return Response(encode_retry(LATER_MS), media_type="text/event-stream", headers=headers)
        if query.plain_events and not isinstance(self._form(start.meta), JsonForm):
            raise BadRequest("events=plain: is for streams of JSON")
        form = self._form(start.meta)
        options = {"form": form, "is_plain": query.plain_events, "cursor": query.cursor}
        return ReaderResponse((await self._connection(EventReader, start, **options)).run)

    async def lines(self, start: ReadStart, _page: Page) -> Response:
        return ReaderResponse((await self.of_frames(LineReader, start)).run)

    async def of_frames(self, reader: Callable[..., Connection], start: ReadStart, **options: Any) -> Connection:
        """A reader of a face that shows frames.

        Raises:
            BadRequest: the stream is not of JSON.
            Busy: there are too many readers.
        """
        if not isinstance(self._form(start.meta), JsonForm):
            raise BadRequest("frames: are for streams of JSON; read this one with live=sse or live=long-poll")
        return await self._connection(reader, start, **options)

    async def _connection(self, reader: Callable[..., Connection], start: ReadStart, **options: Any) -> Connection:
        """A reader of a live face: a class whose objects are made like a ``LiveReader``."""
        self._refuse_if_full()
        return reader(
            self._log,
            start.stream_id,
            start.after,
            view=await self._prepared_view(start),
            pacing=self._pacing,
            meters=self._meters,
            readers=self._readers,
            name=start.query.reader,
            credit_bytes=start.query.credit,
            **options,
        )

    async def long_poll(self, start: ReadStart, _page: Page) -> Response:
        view = await self._prepared_view(start)
        self._refuse_if_full()
        poll = LongPoll(
            self._log,
            start.stream_id,
            start.after,
            view=view,
            form=self._form(start.meta),
            max_bytes=self._delivery.max_read_bytes,
            timeout_s=self._delivery.long_poll_s,
            readers=self._readers,
            cursor=start.query.cursor,
            headers={names.CONTENT_TYPE: _content_type(start.meta)},
        )
        return ReaderResponse(poll.run)

    async def catch_up(self, start: ReadStart, page: Page) -> Response:
        query, meta, view = start.query, start.meta, await self._prepared_view(start)
        form = self._form(meta)
        if query.offset == "now":
            answer = Answer(200, progress_headers(start.after, page) | {names.CACHE_CONTROL: "no-store"}, form.body([]))
            return _response(answer, meta)
        tag = (
            *(start.stream_id, repr(start.head.created_s), query.view, query.channel or ""),
            *(str(query.notes), str(query.sides)),
            str(query.sequence if query.view == "elements" else ""),
        )
        answer = await catch_up(
            self._log,
            start.stream_id,
            start.after,
            view=view,
            form=form,
            max_bytes=self._delivery.max_read_bytes,
            tag=tag,
        )
        # What was released never changes. But it is one user's, and a stream of a given id may be made anew.
        may_keep = not meta.has_given_id and not query.notes and not meta.tenant  # a key is asked for each time
        answer.headers[names.CACHE_CONTROL] = _MAY_KEEP if may_keep else "private, no-cache"
        answer.headers[names.VARY] = "Accept"
        if not query.notes and _matches(query.if_none_match, answer.headers[names.ETAG]):
            kept = (names.ETAG, names.CACHE_CONTROL, names.VARY, names.NEXT_OFFSET)
            headers = {name: answer.headers[name] for name in kept}
            return Response(status_code=304, headers=headers)
        return _response(answer, meta)

    def _refuse_if_full(self) -> None:
        if self._readers.is_full:
            raise Busy("as many readers as server.max_readers are connected: try again in a moment")

    # -- HEAD ----------------------------------------------------------------------------------------------------

    async def head(self, stream_id: str, request: Request) -> Response:
        """The stream without its records; does not renew its lifetime (Durable Streams 5.5)."""
        head, meta = await self._finder.find(stream_id, caller_of(request))
        answer = Response(status_code=200, headers=stream_headers(meta, head))
        self._add_links(answer, request, meta)
        self._add_schema(answer, meta)
        return answer


class Face(NamedTuple):
    """One way to serve a reader.

    Attributes:
        is_wanted: Whether a request asks for this face.
        serve: Answers the request, given where it starts and the page of the log that begins there.
        content: Media types that it sends, each with its description for ``/openapi.json``.
    """

    is_wanted: Callable[[ReadQuery], bool]
    serve: Callable[[ReadRoutes, ReadStart, Page], Awaitable[Response]]
    content: Mapping[str, Any]


_TEXT: Final = {"text/plain": {"schema": {"type": "string"}}}
_EVENTS: Final = {"text/event-stream": {"itemSchema": {"$ref": "#/components/schemas/Event"}}}
_LINES: Final = {NDJSON: {"itemSchema": {"$ref": "#/components/schemas/Frame"}}}
_PAGE: Final = {
    "application/json": {"schema": {"type": "array", "items": True}},
    "text/plain": {"schema": {"type": "string"}},
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
}

#: The first face that is wanted serves the request. A new live face is one entry more, like that of lines.
FACES: Final[tuple[Face, ...]] = (
    Face(lambda query: query.is_plain_text, ReadRoutes.plain_text, _TEXT),
    Face(lambda query: query.live == "sse", ReadRoutes.events, _EVENTS),
    Face(lambda query: query.live == "lines", ReadRoutes.lines, _LINES),
    Face(lambda query: query.live == "long-poll", ReadRoutes.long_poll, _PAGE),
    Face(lambda query: True, ReadRoutes.catch_up, _PAGE),
)


async def _refuse_if_taken_back(seeker: Seeker, query: ReadQuery, head: Head, place: str) -> None:
    """Of bytes and elements that begin anew at a restart, only the client knows on which side of it they are.

    Raises:
        OffsetGone: there was one.
    """
    if await seeker.counting(query.channel or _CONTENT, START) != START:
        message = f"{place}: the text was taken back once, so this may count in another one; read from the start"
        raise OffsetGone(message, start=str(START), tail=str(head.tail))


def _content_type(meta: StreamMeta) -> str:
    return meta.content_type if meta.kind == "raw" else JSON


def _matches(given: str | None, etag: str) -> bool:
    """RFC 9110 section 13.1.2: any of the list, compared weakly; ``*`` is any."""
    if given is None:
        return False
    tags = [one.strip().removeprefix("W/") for one in given.split(",")]
    return "*" in tags or etag in tags


def _response(answer: Answer, meta: StreamMeta) -> Response:
    headers = {**answer.headers, names.CONTENT_TYPE: _content_type(meta)}
    return Response(answer.body, status_code=answer.status, headers=headers)
