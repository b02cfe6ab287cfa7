"""The HTTP service: control routes, the faces of the log, and the life of the process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable
from types import FrameType
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockgate import Limits, __version__
from lockgate.config import Settings
from lockgate.delivery.readers import Readers
from lockgate.errors import Code, LockgateError, OffsetGone
from lockgate.gateway.access import App, HostCheck, with_cors, with_safety
from lockgate.gateway.contract import openapi
from lockgate.gateway.control import Control
from lockgate.gateway.reading import Reading
from lockgate.gateway.wiring import breakers_of, provider_of
from lockgate.gateway.writing import Writing, conflict_headers
from lockgate.observe.metrics import CONTENT_TYPE, Groups, Meters
from lockgate.pages.playground import UpstreamCopies, playground_routes
from lockgate.store.base import StreamLog
from lockgate.store.memory import MemoryLog
from lockgate.store.sqlite.log import SqliteLog
from lockgate.streams.plan import Plan
from lockgate.streams.push import Pushes
from lockgate.streams.streams import Streams
from lockgate.upstream.base import Provider

_log: Final = logging.getLogger("lockgate.app")


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
        self.readers = Readers(
            self.meters,
            limit=settings.server.max_readers,
            came=lambda stream_id: self.streams.reader_came(stream_id),
            emptied=lambda stream_id: self.streams.readers_left(stream_id),
        )
        self.copies = UpstreamCopies(MemoryLog())
        self.log = log or _make_log(settings)
        self.streams = Streams(
            self.log,
            provider or provider_of(settings),
            self.meters,
            breakers=breakers_of(settings),
            abandon_after_s=settings.upstream.abandon_after_s,
            max_open=settings.server.max_open_streams,
            trace=self._trace,
            ended=self.copies.ended,
            retain_s=settings.store.retain_s,
        )
        self._limits = Limits(
            max_depth=settings.validation.max_depth, max_document_bytes=settings.validation.max_document_bytes
        )
        self._control = Control(settings, self.log, self.streams, self._limits)
        self._pushes = Pushes(self.log, self.meters, self.streams.helper, self._limits)
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
        api = FastAPI(title="lockgate", version=__version__, lifespan=self.lifespan, docs_url=None, redoc_url=None)
        self._api = api
        # Said by hand: what matters here stands in headers and streams, which annotations do not say.
        api.openapi = openapi  # type: ignore[method-assign]
        api.add_exception_handler(LockgateError, _answer_error)
        api.add_exception_handler(HTTPException, _answer_http_error)
        self._add_control(api)
        self._add_stream(api)
        self._add_watch(api)
        if self.settings.playground.enabled:
            self._add_playground(api)
        app = with_cors(with_safety(api), self.settings.server.cors_origins)
        return with_safety(HostCheck(app, self.settings.server.allowed_hosts))

    def routes(self) -> list[tuple[str, frozenset[str]]]:
        """Path and methods of every route."""
        return [(route.path, frozenset(route.methods or ())) for route in self._api.routes if isinstance(route, Route)]

    def _add_control(self, api: FastAPI) -> None:
        control = self._control

        @api.post("/v1/streams")
        async def create(request: Request) -> Response:
            return await control.create(request)

        @api.get("/v1/stream/{stream_id}/status")
        async def status(stream_id: str) -> Response:
            return await control.status(stream_id)

        @api.post("/v1/stream/{stream_id}/cancel")
        async def cancel(stream_id: str, request: Request) -> Response:
            return await control.cancel(stream_id, request)

    def _add_stream(self, api: FastAPI) -> None:
        reading = Reading(self.log, self.settings.delivery, self.readers, self.meters)
        writing = Writing(
            self.log, self.settings.delivery, self._pushes, self.streams, retain_s=self.settings.store.retain_s
        )
        check_origin = self._control.check_origin

        @api.get("/v1/stream/{stream_id}")
        async def read(stream_id: str, request: Request) -> Response:
            return await reading.get(stream_id, request)

        @api.head("/v1/stream/{stream_id}")
        async def head(stream_id: str) -> Response:
            return await reading.head(stream_id)

        @api.put("/v1/stream/{stream_id}")
        async def put(stream_id: str, request: Request) -> Response:
            check_origin(request.headers)
            return await writing.put(stream_id, request)

        @api.post("/v1/stream/{stream_id}")
        async def post(stream_id: str, request: Request) -> Response:
            check_origin(request.headers)
            return await writing.post(stream_id, request)

        @api.delete("/v1/stream/{stream_id}")
        async def delete(stream_id: str, request: Request) -> Response:
            check_origin(request.headers)
            return await writing.delete(stream_id, request)

    def _add_playground(self, api: FastAPI) -> None:
        base, page = self.settings.upstream.base_url, self.settings.playground
        catalogue = f"{base}/sim/documents" if page.keep_upstream and not page.model else None
        copies = Reading(self.copies.log, self.settings.delivery, self.readers, self.meters)

        @api.get("/playground/api/upstream/{stream_id}", include_in_schema=False)
        async def upstream(stream_id: str, request: Request) -> Response:
            return await copies.get(stream_id, request)

        api.include_router(
            playground_routes(
                self.readers,
                catalogue_url=catalogue,
                model=page.model,
                keeps_upstream=page.keep_upstream,
                is_here=urlsplit(base).hostname in ("127.0.0.1", "::1", "localhost"),
            )
        )

    def _add_watch(self, api: FastAPI) -> None:
        @api.get("/healthz")
        async def healthz() -> Response:
            state = "draining" if self.streams.is_draining else "ok"
            body = {
                "status": state,
                "version": __version__,
                "open_streams": self.streams.open_count,
                "open_readers": self.readers.count,
                "breakers": self.streams.breakers_told(),
            }
            return JSONResponse(body, status_code=200 if state == "ok" else 503)

        @api.get("/metrics")
        async def metrics() -> Response:
            return Response(self.meters.exposition(), headers={"Content-Type": CONTENT_TYPE})


async def _answer_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, LockgateError)
    status = error.code.status or 500
    body: dict[str, Any] = {"code": error.code, "message": str(error)}
    headers = {"Cache-Control": "no-store", **conflict_headers(error)}
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
    code = Code.METHOD_NOT_ALLOWED if error.status_code == Code.METHOD_NOT_ALLOWED.status else Code.NOT_FOUND
    body = {"error": {"code": code, "message": message}}
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


def _make_log(settings: Settings) -> StreamLog:
    if settings.store.kind == "memory":
        return MemoryLog()
    return SqliteLog(settings.store.path, synchronous=settings.store.synchronous)


def make_app(settings: Settings) -> App:
    """The ASGI application of one node."""
    return Gateway(settings).app
