"""The HTTP service: control routes, the faces of the log, and the life of the process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from types import FrameType
from typing import Any, Final

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from lockgate import Limits, __version__
from lockgate.config import Settings, upstream_key
from lockgate.delivery.durable import EventReader, Pace, Readers, catch_up, where_to_start
from lockgate.delivery.views import DeltaView, RawView, View
from lockgate.errors import (
    BadRequest,
    Busy,
    Forbidden,
    LockgateError,
    OffsetGone,
    StoreError,
    StreamUnknown,
)
from lockgate.gateway.access import App, HostCheck, Receive, Scope, Send, with_cors
from lockgate.gateway.plan import Plan, read_plan
from lockgate.gateway.playground import UpstreamCopies, playground_routes
from lockgate.gateway.streams import Streams
from lockgate.observe.metrics import CONTENT_TYPE, Groups, Meters
from lockgate.protocol.offsets import Offset
from lockgate.store.base import StreamLog
from lockgate.store.memory import MemoryLog
from lockgate.store.sqlite import SqliteLog
from lockgate.upstream.base import Provider
from lockgate.upstream.openai_chat import OpenAIChatProvider

_log: Final = logging.getLogger("lockgate.app")

_STATUS: Final[list[tuple[type[LockgateError], int]]] = [
    (StreamUnknown, 404),
    (OffsetGone, 410),
    (BadRequest, 400),
    (Forbidden, 403),
    (Busy, 503),
    (StoreError, 503),
]


class Gateway:
    """One node, wired from its settings. ``app`` is the ASGI application."""

    def __init__(self, settings: Settings, *, provider: Provider | None = None, log: StreamLog | None = None) -> None:
        self.settings = settings
        self.meters = Meters(
            Groups(
                settings.monitoring.chunk_metrics,
                settings.monitoring.validation_errors,
                settings.monitoring.connection_health,
            )
        )
        self.readers = Readers(self.meters, limit=settings.server.max_readers)
        self.copies = UpstreamCopies(MemoryLog())
        self.log = log or _make_log(settings)
        self.streams = Streams(
            self.log,
            provider or _make_provider(settings),
            self.meters,
            max_open=settings.server.max_open_streams,
            trace=self._trace,
            ended=self.copies.ended,
            retain_s=settings.store.retain_s,
        )
        self._limits = Limits(
            max_depth=settings.validation.max_depth, max_document_bytes=settings.validation.max_document_bytes
        )
        self._pace = Pace(settings.delivery.retry_ms, settings.delivery.heartbeat_s, settings.delivery.max_read_bytes)
        self._drainer: asyncio.Task[None] | None = None
        self.app: App = self._make_app()

    def _trace(self, stream_id: str, plan: Plan) -> Any:
        wanted = plan.keep_upstream and self.settings.playground.keep_upstream
        return self.copies.trace(stream_id) if wanted else None

    # -- life --------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        await self.streams.start()
        await self.copies.log.open()
        restore = self._drain_on_signals()
        try:
            yield
        finally:
            await (self._drainer or self.streams.drain(0))
            restore()
            await self.streams.stop()
            await self.copies.log.shut()

    def _drain_on_signals(self) -> Callable[[], None]:
        """Drain when SIGTERM or Ctrl-C comes: no ASGI server tells its application.

        granian watches the same signals through the event loop's wake-up pipe, which goes on working beside ours:
        it stops accepting at once and waits for the answers that are under way; those end with the streams.
        """
        loop = asyncio.get_running_loop()

        def begin() -> None:
            if self._drainer is None:
                seconds = self.settings.server.drain_s
                _log.info("draining %d open streams for at most %g s", self.streams.open_count, seconds)
                self._drainer = asyncio.create_task(self.streams.drain(seconds))

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(begin)

        try:
            saved = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:
            return lambda: None  # not the main thread: whoever runs us there stops us in his own way

        def restore() -> None:
            for number, handler in saved.items():
                signal.signal(number, handler)

        return restore

    # -- routes ------------------------------------------------------------------------------------------------

    def _make_app(self) -> App:
        api = FastAPI(
            title="lockgate",
            version=__version__,
            description="Structured LLM output, judged byte by byte while it streams.",
            lifespan=self.lifespan,
            docs_url=None,
            redoc_url=None,
        )
        api.add_exception_handler(LockgateError, _answer_error)
        api.add_exception_handler(HTTPException, _answer_http_error)
        self._add_control(api)
        self._add_faces(api)
        self._add_watch(api)
        if self.settings.playground.enabled:
            base = self.settings.upstream.base_url
            catalogue = f"{base}/sim/documents" if self.settings.playground.keep_upstream else None
            api.include_router(playground_routes(self.readers, catalogue_url=catalogue))
        return HostCheck(with_cors(api, self.settings.server.cors_origins), self.settings.server.allowed_hosts)

    def _add_control(self, api: FastAPI) -> None:
        @api.post("/v1/streams", status_code=201)
        async def create(request: Request) -> Response:
            """Start a generation. The body is a chat-completions body with an optional ``lockgate`` section."""
            plan = read_plan(await self._json_body(request), self._limits)
            if plan.keep_upstream and not self.settings.playground.keep_upstream:
                raise BadRequest("lockgate.keep_upstream: this gateway keeps no copies; set playground.keep_upstream")
            await _refuse_unsatisfiable(plan)
            opened = await self.streams.create(plan)
            url = f"/v1/stream/{opened.stream_id}"
            urls = {"stream": url, "status": f"{url}/status", "cancel": f"{url}/cancel"}
            if plan.keep_upstream:
                urls["upstream"] = f"/playground/api/upstream/{opened.stream_id}"
            retry = self.settings.delivery.retry
            body = {
                "id": opened.stream_id,
                "urls": urls,
                "schema": plan.content.id if plan.content is not None else "",
                "token": opened.token,
                "expires": time.time() + self.settings.store.retain_s,
                "protocol": self.settings.delivery.protocol,
                "retry": {"maxAttempts": retry.max_attempts, "backoffStrategy": retry.backoff_strategy},
            }
            return JSONResponse(body, status_code=201, headers={"Location": url})

        @api.get("/v1/stream/{stream_id}/status")
        async def status(stream_id: str) -> Response:
            """State, offset and, once it is over, the final record."""
            return JSONResponse(await self.streams.status(stream_id), headers={"Cache-Control": "no-store"})

        @api.post("/v1/stream/{stream_id}/cancel", status_code=202)
        async def cancel(stream_id: str, request: Request) -> Response:
            """Cancel the generation: upstream is closed, readers get the final record."""
            await self._json_body(request)
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            await self.streams.check_token(stream_id, token if scheme.lower() == "bearer" else "")
            cancelled = self.streams.cancel(stream_id)
            return JSONResponse({"id": stream_id, "cancelled": cancelled}, status_code=202)

    async def _json_body(self, request: Request) -> bytes:
        """The body of a control request. ``application/json`` cannot be sent by a form of another site."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise BadRequest(f"content-type must be application/json, not {kind or 'absent'!r}")
        self._check_origin(request)
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > self.settings.server.max_request_bytes:
                raise BadRequest(f"the body is larger than {self.settings.server.max_request_bytes} bytes")
        return bytes(body)

    def _check_origin(self, request: Request) -> None:
        """Pages of other origins may read; to start or stop a generation, which spends a key, they must be listed."""
        origin = request.headers.get("origin")
        if origin is None or origin in self.settings.server.cors_origins:
            return
        if origin.partition("://")[2] != request.headers.get("host", ""):
            raise Forbidden(f"origin {origin[:100]!r} may not post here; list it in server.cors_origins")

    def _add_faces(self, api: FastAPI) -> None:
        @api.get("/v1/stream/{stream_id}")
        async def read(
            stream_id: str, request: Request, offset: str | None = None, live: str | None = None
        ) -> Response:
            """Read a stream: as server-sent events while it runs (EventSource), or what is there as a JSON array."""
            wants_events = live == "sse" or "text/event-stream" in request.headers.get("accept", "")
            if live not in (None, "sse"):
                raise BadRequest(f"live={live[:20]!r} is not available; use live=sse, or leave it out to catch up")
            return await self._read(self.log, stream_id, request, offset, DeltaView(), as_events=wants_events)

        @api.get("/playground/api/upstream/{stream_id}", include_in_schema=False)
        async def upstream(stream_id: str, request: Request, offset: str | None = None) -> Response:
            return await self._read(self.copies.log, stream_id, request, offset, RawView(), as_events=True)

    async def _read(
        self, log: StreamLog, stream_id: str, request: Request, offset: str | None, view: View, *, as_events: bool
    ) -> Response:
        head = await log.head(stream_id)
        last_event_id = request.headers.get("last-event-id") if as_events else None
        after = where_to_start(head.tail, offset=offset, last_event_id=last_event_id)
        page = await log.read(stream_id, after, max_bytes=1)  # an offset that is gone is said before the answer begins
        if not as_events:
            return await self._catch_up(log, stream_id, after, view)
        if last_event_id and page.is_closed and after.records == page.tail.records:
            return Response(status_code=204)  # the one answer that stops an EventSource for good
        if self.readers.is_full:
            # EventSource gives up for good on 503; an answer that ends at once makes it come back.
            return Response(b"retry: 5000\n\n", media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        reader = EventReader(
            log, stream_id, after, view=view, pace=self._pace, meters=self.meters, readers=self.readers
        )
        return _Streaming(reader)

    async def _catch_up(self, log: StreamLog, stream_id: str, after: Offset, view: View) -> Response:
        body, page = await catch_up(log, stream_id, after, view=view, max_bytes=self._pace.max_read_bytes)
        last = page.entries[-1].offset if page.entries else after
        headers = {"Stream-Next-Offset": str(last), "Cache-Control": "no-store"}
        if last.records == page.tail.records:
            headers["Stream-Up-To-Date"] = "true"
            if page.is_closed:
                headers["Stream-Closed"] = "true"
        return Response(body, media_type="application/json", headers=headers)

    def _add_watch(self, api: FastAPI) -> None:
        @api.get("/healthz")
        async def healthz() -> Response:
            """200 while the node takes work, 503 while it drains."""
            state = "draining" if self.streams.is_draining else "ok"
            body = {
                "status": state,
                "version": __version__,
                "open_streams": self.streams.open_count,
                "open_readers": self.readers.count,
            }
            return JSONResponse(body, status_code=200 if state == "ok" else 503)

        @api.get("/metrics")
        async def metrics() -> Response:
            """Metrics in Prometheus' text format."""
            return Response(self.meters.exposition(), headers={"Content-Type": CONTENT_TYPE})


class _Streaming(Response):
    """Hands the connection to a reader; Starlette's own streaming costs five times as much per event."""

    def __init__(self, reader: EventReader) -> None:
        super().__init__()
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._reader.run(receive, send)


async def _refuse_unsatisfiable(plan: Plan) -> None:
    """A schema that no document can satisfy would cost a generation and halt it. Worked out once for each schema."""
    schema = plan.content
    if schema is not None and await asyncio.to_thread(lambda: schema.satisfiable) == "no":
        raise BadRequest("response_format or lockgate.schema: no document can satisfy this schema")


async def _answer_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, LockgateError)
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    body: dict[str, Any] = {"code": error.code, "message": str(error)}
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, OffsetGone):
        body |= {"start": error.start, "tail": error.tail}
        headers["Stream-Next-Offset"] = error.tail
    if status == 503:
        headers["Retry-After"] = "1"
    return JSONResponse({"error": body}, status_code=status, headers=headers)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """No such route, or not with this method."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path[:200]}: {error.detail}"
    if request.url.path.endswith("/chat/completions"):
        message += "; send the same body to POST /v1/streams, and read the stream that it names"
    body = {"error": {"code": BadRequest.code, "message": message}}
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


def _make_log(settings: Settings) -> StreamLog:
    if settings.store.kind == "memory":
        return MemoryLog()
    return SqliteLog(settings.store.path, synchronous=settings.store.synchronous)


def _make_provider(settings: Settings) -> Provider:
    upstream = settings.upstream
    return OpenAIChatProvider(
        base_url=upstream.base_url,
        name=upstream.name,
        api_key=upstream_key(upstream),
        connect_s=upstream.connect_s,
        idle_bytes_s=upstream.idle_bytes_s,
        idle_content_s=upstream.idle_content_s,
        max_event_bytes=upstream.max_event_bytes,
    )


def make_app(settings: Settings) -> App:
    """The ASGI application of one node."""
    return Gateway(settings).app
