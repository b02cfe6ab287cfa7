"""The HTTP service: control routes, the faces of the log, and the life of the process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockgate import __version__
from lockgate.config import Settings
from lockgate.delivery.readers import Readers
from lockgate.errors import Code, LockgateError, OffsetGone
from lockgate.gateway.access import (
    App,
    HostCheck,
    check_origin,
    with_cors,
    with_plain_paths,
    with_root_path,
    with_safety,
)
from lockgate.gateway.admission import Connections
from lockgate.gateway.answers import ErrorAnswer, ErrorDetail, NodeHealth, NodeReadiness, OpenBreaker, json_answer
from lockgate.gateway.contract import openapi
from lockgate.gateway.control import ControlRoutes
from lockgate.gateway.headers import error_headers
from lockgate.gateway.reading import ReadRoutes
from lockgate.gateway.shutdown import Shutdown
from lockgate.gateway.wiring import breakers_of, defaults_of, log_of, provider_of
from lockgate.gateway.writing import WriteRoutes
from lockgate.observe.metrics import CONTENT_TYPE, Groups, Meters
from lockgate.pages.playground import UpstreamCopies, playground_routes
from lockgate.protocol import header_names as names
from lockgate.store.base import StreamLog
from lockgate.store.memory import MemoryLog
from lockgate.streams.opening import Opening
from lockgate.streams.owner import StreamOwner
from lockgate.streams.plan import Plan
from lockgate.streams.pushed_streams import PushedStreams
from lockgate.upstream.base import Provider

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


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
            came=lambda stream_id: self.owner.reader_came(stream_id),
            emptied=lambda stream_id: self.owner.readers_left(stream_id),
        )
        self.copies = UpstreamCopies(MemoryLog())
        self.log = log or log_of(settings)
        self.owner = StreamOwner(
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
        self._pushed = PushedStreams(self.log, self.meters, self.owner.helper)
        self._opening = Opening(self.log, self.owner, self._pushed, defaults_of(settings))
        self._control = ControlRoutes(settings, self.log, self._opening, self.owner)
        self._connections = Connections(settings.server)
        self.app: App = self._make_app()

    def _trace(self, stream_id: str, plan: Plan) -> Any:
        wanted = plan.keep_upstream and self.settings.playground.keep_upstream
        return self.copies.trace(stream_id) if wanted else None

    # -- life --------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        await self.owner.start()
        await self.copies.log.open()
        shutdown = Shutdown(
            self.owner,
            retire=self.readers.retire,
            readers=lambda: self.readers.count,
            requests=lambda: self._connections.requests,
            close_all=self._connections.close_all,
            drain_s=self.settings.server.drain_s,
        )
        restore = shutdown.on_signals()
        self._connections.watch()
        try:
            yield
        finally:
            await shutdown.finished()
            self._connections.stop()
            restore()
            await self.owner.stop()
            await self.copies.log.shut()

    # -- routes ------------------------------------------------------------------------------------------------

    def _make_app(self) -> App:
        api = Starlette(
            routes=self.routes,
            lifespan=self.lifespan,
            exception_handlers={
                LockgateError: _answer_error,
                HTTPException: _answer_http_error,
                Exception: _answer_internal_error,
            },
        )
        api.router.redirect_slashes = False  # ``with_plain_paths`` answers them
        server = self.settings.server
        app = self._connections.limited(api)
        app = with_cors(app, server.cors_origins, private_network=server.private_network)
        app = with_plain_paths(with_safety(HostCheck(app, server.allowed_hosts)))
        return self._connections.counted(with_root_path(app, server.root_path))

    @cached_property
    def routes(self) -> list[Route]:
        """Every path, with its methods. What ``/openapi.json`` says of them stands in ``gateway.contract``."""
        pages = self._page_routes() if self.settings.playground.enabled else []
        return [*self._control_routes(), self._stream_route(), *self._watch_routes(), *pages]

    def _control_routes(self) -> list[Route]:
        control = self._control
        return [
            route("/v1/streams", POST=control.create),
            route("/v1/stream/{stream_id}/status", GET=lambda request: control.status(stream_of(request))),
            route("/v1/stream/{stream_id}/cancel", POST=lambda request: control.cancel(stream_of(request), request)),
        ]

    def _stream_route(self) -> Route:
        reading = ReadRoutes(self.log, self.settings.delivery, self.readers, self.meters, self.owner.heard)
        writing = WriteRoutes(
            self.log,
            self._opening,
            self._pushed,
            self.owner,
            max_push_bytes=self.settings.delivery.max_push_bytes,
        )
        origins = self.settings.server.cors_origins

        def checked(write: Callable[[str, Request], Awaitable[Response]]) -> Handler:
            async def handler(request: Request) -> Response:
                check_origin(request.headers, origins)
                return await write(stream_of(request), request)

            return handler

        return route(
            "/v1/stream/{stream_id}",
            GET=lambda request: reading.get(stream_of(request), request),
            HEAD=lambda request: reading.head(stream_of(request)),
            PUT=checked(writing.put),
            POST=checked(writing.post),
            DELETE=checked(lambda stream_id, request: writing.delete(stream_id, request.headers)),
        )

    def _watch_routes(self) -> list[Route]:
        contract = openapi(self.settings.server.root_path)

        async def document(_request: Request) -> Response:
            return JSONResponse(contract)

        async def health(_request: Request) -> Response:
            health = NodeHealth(
                "draining" if self.owner.is_draining else "ok",
                __version__,
                self.owner.open_count,
                self.readers.count,
                msgspec.convert(self.owner.open_breakers(), list[OpenBreaker]),
            )
            return json_answer(health, 200 if health.status == "ok" else 503)

        async def readiness(_request: Request) -> Response:
            reason = self.owner.why_not_ready
            return json_answer(NodeReadiness(not reason, reason), 503 if reason else 200)

        async def metrics(_request: Request) -> Response:
            return Response(self.meters.exposition(), headers={names.CONTENT_TYPE: CONTENT_TYPE})

        return [
            route("/healthz", GET=health),
            route("/readyz", GET=readiness),
            route("/metrics", GET=metrics),
            route("/openapi.json", GET=document),
        ]

    def _page_routes(self) -> list[Route]:
        base, page = self.settings.upstream.base_url, self.settings.playground
        copies = ReadRoutes(self.copies.log, self.settings.delivery, self.readers, self.meters)
        return [
            route("/playground/api/upstream/{stream_id}", GET=lambda request: copies.get(stream_of(request), request)),
            *playground_routes(
                self.readers,
                body_of=self._control.body,
                catalogue_url=f"{base}/sim/documents" if page.keep_upstream and not page.model else None,
                model=page.model,
                keeps_upstream=page.keep_upstream,
                is_here=urlsplit(base).hostname in ("127.0.0.1", "::1", "localhost"),
            ),
        ]


def route(path: str, **handlers: Handler) -> Route:
    """One path, with what answers each method. HEAD without a handler of its own is answered as GET is."""

    async def endpoint(request: Request) -> Response:
        return await (handlers.get(request.method) or handlers["GET"])(request)

    return Route(path, endpoint, methods=list(handlers))


def stream_of(request: Request) -> str:
    """The id of the stream that a path names."""
    return str(request.path_params["stream_id"])


def _refuse(status: int, error: ErrorDetail, headers: Mapping[str, str]) -> Response:
    return json_answer(ErrorAnswer(error), status, headers)


async def _answer_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, LockgateError)
    status = error.code.status or 500
    detail = ErrorDetail(error.code, str(error))
    if isinstance(error, OffsetGone):
        detail = msgspec.structs.replace(detail, start=error.start, tail=error.tail)
    headers = error_headers(error)
    if status == 503:
        headers[names.RETRY_AFTER] = "1"
    return _refuse(status, detail, headers)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """No such route, or not with this method."""
    assert isinstance(error, HTTPException)
    code = Code.METHOD_NOT_ALLOWED if error.status_code == Code.METHOD_NOT_ALLOWED.status else Code.NOT_FOUND
    message = f"{request.method} {request.url.path[:200]}: {error.detail}"
    if request.url.path.endswith("/chat/completions"):
        message += "; send the same body to POST /v1/streams, and read the stream that it names"
    return _refuse(error.status_code, ErrorDetail(code, message), error.headers or {})


async def _answer_internal_error(_request: Request, _: Exception) -> Response:
    """A bug here: the server writes down what it was, and the caller learns that it was not the request."""
    detail = ErrorDetail(Code.INTERNAL_ERROR, Code.INTERNAL_ERROR.means)
    return _refuse(500, detail, {names.CACHE_CONTROL: "no-store"})


def make_app(settings: Settings) -> App:
    """The ASGI application of one node."""
    return Gateway(settings).app
