"""GET and HEAD of a stream: which face serves a reader, from where, and with which view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from lockgate.config import Delivery
from lockgate.delivery.ask import Ask, offset_of, read_ask
from lockgate.delivery.durable import Answer, LongPoll, catch_up, progress_headers
from lockgate.delivery.events import EventReader, Pace
from lockgate.delivery.forms import JSON, Form, JsonForm, form_of
from lockgate.delivery.notes import WithNotes
from lockgate.delivery.plain import TextReader
from lockgate.delivery.readers import Readers
from lockgate.delivery.seek import Seeker
from lockgate.delivery.views import DeltaView, ElementsView, RawView, SnapshotView, TextView, View
from lockgate.errors import BadRequest, Busy
from lockgate.gate.partial import PartialValue
from lockgate.gateway.access import Receive, Scope, Send
from lockgate.observe.metrics import Meters
from lockgate.protocol.offsets import Offset
from lockgate.store.base import Head, Page, StreamLog
from lockgate.streams.meta import StreamMeta, decode_meta

_CONTENT: Final = "content"
_MAY_KEEP: Final = "private, max-age=60, stale-while-revalidate=300"


class Running(Response):
    """Hands the connection to a reader; Starlette's own streaming costs five times as much per event."""

    def __init__(self, run: Callable[[Receive, Send], Any]) -> None:
        super().__init__()
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._run(receive, send)


@dataclass(frozen=True, slots=True)
class _Place:
    """What a read begins with: the stream, and where in it."""

    stream_id: str
    ask: Ask
    head: Head
    meta: StreamMeta
    after: Offset
    skip_bytes: int = 0


class Reading:
    """Serves readers of one log."""

    def __init__(self, log: StreamLog, delivery: Delivery, readers: Readers, meters: Meters) -> None:
        self._log = log
        self._delivery = delivery
        self._readers = readers
        self._meters = meters
        self._pace = Pace(delivery.retry_ms, delivery.heartbeat_s, delivery.max_read_bytes)

    # -- GET -----------------------------------------------------------------------------------------------------

    async def get(self, stream_id: str, request: Request) -> Response:
        """Whatever the query and headers ask for.

        Raises:
            BadRequest, StreamUnknown, OffsetGone, Busy: see ``gateway.app`` for what each becomes.
        """
        ask = read_ask(request.query_params.multi_items(), request.headers)
        head = await self._log.head(stream_id)
        meta = decode_meta(head.meta)
        if head.lifetime.ttl_s is not None:
            await self._log.touch(stream_id)
        place = await self._place(stream_id, ask, head, meta)
        # An offset that is gone is said before the answer begins.
        page = await self._log.read(stream_id, place.after, max_bytes=1)
        self._count_resumption(place, page)
        if ask.is_plain_text:
            return self._plain_text(place)
        view = self._view(ask, meta)
        await Seeker(self._log, stream_id, head).prepare(view, place.after)
        if ask.live == "sse":
            return self._events(place, view, page)
        if ask.live == "long-poll":
            return self._long_poll(place, view)
        return await self._catch_up(place, view, page)

    async def _place(self, stream_id: str, ask: Ask, head: Head, meta: StreamMeta) -> _Place:
        if meta.kind == "raw":
            if ask.view != "delta" or ask.notes or ask.channel is not None:
                raise BadRequest("view, channel, notes: this stream is raw; it holds what its producers pushed")
            return _Place(stream_id, ask, head, meta, offset_of(ask, head.tail))
        seeker = Seeker(self._log, stream_id, head)
        if ask.is_plain_text:
            after, skip_bytes = await seeker.byte(ask.channel or _CONTENT, ask.at or 0)
            return _Place(stream_id, ask, head, meta, after, skip_bytes)
        if ask.sequence is not None and ask.last_event_id is None:
            seek = seeker.element if ask.view == "elements" else seeker.chunk
            return _Place(stream_id, ask, head, meta, await seek(ask.channel or _CONTENT, ask.sequence))
        return _Place(stream_id, ask, head, meta, offset_of(ask, head.tail))

    def _count_resumption(self, place: _Place, page: Page) -> None:
        """Coming back with a position that one was given is resuming."""
        ask = place.ask
        has_position = ask.last_event_id or ask.at or ask.sequence or ask.offset not in (None, "-1", "now")
        if has_position and ask.live != "long-poll":
            self._meters.reader_resumed(page.tail.records - place.after.records)

    def _view(self, ask: Ask, meta: StreamMeta) -> View:
        if meta.kind == "raw":
            return RawView()
        # With a sequence, the channel says where to begin, not what to show.
        only = ask.channel if ask.sequence is None else None
        view: View
        match ask.view:
            case "elements":
                if not meta.has_elements:
                    raise BadRequest(
                        "view=elements: this stream hands out no elements; create it with lockgate.elements, the JSON "
                        "pointer to their array, or lockgate.framing=ndjson"
                    )
                view = ElementsView(ask.channel or _CONTENT, first=ask.sequence or 0)
            case "snapshot":
                if meta.framing == "ndjson":
                    raise BadRequest("view=snapshot: the lines of NDJSON are no single value; use view=elements")
                delivery = self._delivery
                view = SnapshotView(
                    only, grow=PartialValue, pause_s=delivery.snapshot_s, max_bytes=delivery.max_snapshot_bytes
                )
            case "text":
                view = TextView(ask.channel or _CONTENT)
            case _:
                view = DeltaView(only)
        if ask.notes:
            grow = (lambda: PartialValue(keeps_text=False)) if meta.framing == "json" else None
            view = WithNotes(view, channel=only, grow=grow)
        return view

    def _form(self, meta: StreamMeta) -> Form:
        return form_of(meta.content_type) if meta.kind == "raw" else JsonForm()

    # -- faces ---------------------------------------------------------------------------------------------------

    def _plain_text(self, place: _Place) -> Response:
        self._refuse_if_full()
        reader = TextReader(
            self._log,
            place.stream_id,
            place.after,
            channel=place.ask.channel or _CONTENT,
            skip_bytes=place.skip_bytes,
            pace=self._pace,
            meters=self._meters,
            readers=self._readers,
        )
        return Running(reader.run)

    def _events(self, place: _Place, view: View, page: Page) -> Response:
        ask = place.ask
        if ask.last_event_id and page.is_closed and place.after.records == page.tail.records:
            return Response(status_code=204)  # the one answer that stops an EventSource for good
        if self._readers.is_full:
            if not ask.is_event_source:
                self._refuse_if_full()
            # EventSource gives up for good on 503; an answer that ends at once makes it come back.
            return Response(b"retry: 5000\n\n", media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        form = self._form(place.meta)
        if ask.plain_events and not isinstance(form, JsonForm):
            raise BadRequest("events=plain: is for streams of JSON")
        reader = EventReader(
            self._log,
            place.stream_id,
            place.after,
            view=view,
            form=form,
            pace=self._pace,
            meters=self._meters,
            readers=self._readers,
            is_plain=ask.plain_events,
            cursor=ask.cursor,
        )
        headers = [(b"stream-sse-data-encoding", form.encoding.encode())] if form.encoding else []
        return Running(lambda receive, send: reader.run(receive, send, headers))

    def _long_poll(self, place: _Place, view: View) -> Response:
        self._refuse_if_full()
        poll = LongPoll(
            self._log,
            place.stream_id,
            place.after,
            view=view,
            form=self._form(place.meta),
            max_bytes=self._delivery.max_read_bytes,
            timeout_s=self._delivery.long_poll_s,
            readers=self._readers,
            cursor=place.ask.cursor,
            headers={"content-type": _content_type(place.meta)},
        )
        return Running(poll.run)

    async def _catch_up(self, place: _Place, view: View, page: Page) -> Response:
        ask, meta = place.ask, place.meta
        form = self._form(meta)
        if ask.offset == "now":
            answer = Answer(200, progress_headers(place.after, page) | {"cache-control": "no-store"}, form.body([]))
            return _response(answer, meta)
        tag = (
            *(place.stream_id, repr(place.head.created_s), ask.view, ask.channel or "", str(ask.notes)),
            str(ask.sequence if ask.view == "elements" else ""),
        )
        answer = await catch_up(
            self._log,
            place.stream_id,
            place.after,
            view=view,
            form=form,
            max_bytes=self._delivery.max_read_bytes,
            tag=tag,
        )
        # What was released never changes. But it is one user's, and a raw stream may be deleted and made anew.
        may_keep = meta.kind != "raw" and not ask.notes
        answer.headers["cache-control"] = _MAY_KEEP if may_keep else "private, no-cache"
        answer.headers["vary"] = "Accept"
        if not ask.notes and _matches(ask.if_none_match, answer.headers["etag"]):
            headers = {name: answer.headers[name] for name in ("etag", "cache-control", "vary", "stream-next-offset")}
            return Response(status_code=304, headers=headers)
        return _response(answer, meta)

    def _refuse_if_full(self) -> None:
        if self._readers.is_full:
            raise Busy("as many readers as server.max_readers are connected: try again in a moment")

    # -- HEAD ----------------------------------------------------------------------------------------------------

    async def head(self, stream_id: str) -> Response:
        """The stream without its records; does not renew its lifetime (Durable Streams 5.5)."""
        head = await self._log.head(stream_id)
        meta = decode_meta(head.meta)
        headers = {"cache-control": "no-store", "content-type": meta.content_type, "stream-next-offset": str(head.tail)}
        if head.is_closed:
            headers["stream-closed"] = "true"
        headers |= lifetime_headers(meta, head)
        return Response(status_code=200, headers=headers)


def lifetime_headers(meta: StreamMeta, head: Head) -> dict[str, str]:
    """How long a stream lives, as it was said when it was created."""
    headers = {}
    if head.lifetime.ttl_s is not None:
        headers["stream-ttl"] = str(int(head.lifetime.ttl_s))
    elif "expires_at" in meta.config:
        headers["stream-expires-at"] = meta.config["expires_at"]
    elif head.lifetime.expires_s is not None:
        headers["stream-expires-at"] = datetime.fromtimestamp(head.lifetime.expires_s, UTC).isoformat()
    return headers


def _content_type(meta: StreamMeta) -> str:
    return meta.content_type if meta.kind == "raw" else JSON


def _matches(given: str | None, etag: str) -> bool:
    """RFC 9110 section 13.1.2: any of the list, compared weakly; ``*`` is any."""
    if given is None:
        return False
    tags = [one.strip().removeprefix("W/") for one in given.split(",")]
    return "*" in tags or etag in tags


def _response(answer: Answer, meta: StreamMeta) -> Response:
    headers = {**answer.headers, "content-type": _content_type(meta)}
    return Response(answer.body, status_code=answer.status, headers=headers)
