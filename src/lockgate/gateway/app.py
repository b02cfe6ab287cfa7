"""The HTTP service: control routes, the faces of the log, and the life of the process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from lockgate import __version__
from lockgate.config import Settings
from lockgate.delivery.readers import Readers
from lockgate.errors import Code, LockgateError, OffsetGone, QuotaReached, SchemaVersionTaken, StreamUnknown
from lockgate.gateway.access import (
    App,
    HostCheck,
    OriginCheck,
    with_cors,
    with_plain_paths,
    with_root_path,
    with_safety,
)
from lockgate.gateway.admission import Connections
from lockgate.gateway.answers import ErrorAnswer, ErrorDetail, NodeHealth, NodeReadiness, OpenBreaker, json_answer
from lockgate.gateway.authentication import Authentication, Guard, StreamFinder, doors_of, stream_named
from lockgate.gateway.callers import Callers, ReaderCount, caller_of, refused_reader
from lockgate.gateway.chat import ChatRoutes
from lockgate.gateway.completions import Completions
from lockgate.gateway.contract import openapi
from lockgate.gateway.control import ControlRoutes
from lockgate.gateway.headers import error_headers
from lockgate.gateway.key_routes import KeyRoutes
from lockgate.gateway.reading import ReadRoutes
from lockgate.gateway.schema_routes import SchemaRoutes
from lockgate.gateway.shutdown import Shutdown
from lockgate.gateway.socket_routes import SocketRoutes
from lockgate.gateway.solution import solution_of
from lockgate.gateway.ui_routes import UIRoutes
from lockgate.gateway.usage import UsageWatch
from lockgate.gateway.ways import ways_of
from lockgate.gateway.wiring import (
    backpressure_of,
    breakers_of,
    defaults_of,
    log_of,
    model_options_of,
    models_of,
    provider_of,
    quotas_of,
    registry_of,
    worker_limits_of,
)
from lockgate.gateway.writing import WriteRoutes
from lockgate.keys.book import KeyBook
from lockgate.keys.spending import KeyUse, Spending
from lockgate.observe.loop_watch import watch_loop
from lockgate.observe.metrics import CONTENT_TYPE, Groups, Meters
from lockgate.pages.playground import UpstreamCopies, playground_routes
from lockgate.protocol import header_names as names
from lockgate.registry.folder import SchemaFolder
from lockgate.store.base import StreamLog
from lockgate.store.memory import MemoryLog
from lockgate.streams.chats import Chats
from lockgate.streams.opening import Opening
from lockgate.streams.owner import StreamOwner
from lockgate.streams.plan import Plan
from lockgate.streams.pushed_streams import PushedStreams
from lockgate.streams.quotas import QuotaBook
from lockgate.streams.schemas import Schemas
from lockgate.streams.status import status_of
from lockgate.upstream.base import Provider
from lockgate.workers.pool import WorkerPool

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

_SWITCH_S: Final = 0.001
#: Objects made until the young ones are looked at, and how often that is done before the older ones are.
_GARBAGE_THRESHOLDS: Final = (20_000, 20, 50)


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
        self.quotas = QuotaBook(self.meters, quotas_of(settings))
        self.copies = UpstreamCopies(MemoryLog())
        self.log = log or log_of(settings)
        self._workers = WorkerPool(worker_limits_of(settings))
        self._schemas = Schemas(self._workers)
        self._registry = registry_of(settings, self.log, self._workers, self._schemas)
        uses = self._registry.uses if self._registry is not None else None
        if uses is not None:
            self.meters.watch_versions(
                streams=uses.streams_opened, generations=uses.generations, pushes=uses.statements
            )
        self.owner = StreamOwner(
            self.log,
            provider or provider_of(settings),
            self.meters,
            breakers=breakers_of(settings),
            abandon_after_s=settings.upstream.abandon_after_s,
            max_open=settings.server.max_open_streams,
            trace=self._trace,
            ended=self._ended,
            generating=uses.running if uses is not None else contextlib.nullcontext,
            retain_s=settings.store.retain_s,
            patience_s=settings.store.patience_s,
            registry=self._registry,
            backpressure=backpressure_of(settings, self.readers, self.meters),
        )
        self._book = KeyBook(self.log)
        self._spending = Spending(self.log, self._usage_of, self._count_use)
        callers = Callers(settings.server.trusted_proxies)
        self._authentication = Authentication(doors_of(settings), self._book, callers)
        self._guard = Guard(self._authentication)
        self._finder = StreamFinder(self.log)
        self._pushed = PushedStreams(self.log, self.meters, self._schemas, self._registry)
        self._opening = Opening(
            self.log,
            self.owner,
            self._pushed,
            self._schemas,
            defaults_of(settings),
            self.quotas,
            self._spending,
            model_options_of(settings),
            self._registry,
        )
        self._control = ControlRoutes(settings, self.log, self._opening, self.owner, self._finder, self.readers)
        self.log.hear_notices(self._control.hear)
        self._keys = KeyRoutes(settings, self._book, self._spending, self._finder)
        completions = Completions(
            settings, self.log, self._opening, self.readers, ReaderCount(self.quotas), self.meters
        )
        self._chat = ChatRoutes(completions, models_of(settings), self._guard)
        self._ui = UIRoutes(completions, Chats(self.log), self._finder, self._guard)
        self._usage = UsageWatch(self.log, self.quotas, self.meters)
        self._connections = Connections(settings.server, max_push_bytes=settings.delivery.max_push_bytes)
        self.app: App = self._make_app()

    def _trace(self, stream_id: str, plan: Plan) -> Any:
        wanted = plan.keep_upstream and self.settings.playground.keep_upstream
        return self.copies.trace(stream_id) if wanted else None

    def _ended(self, stream_id: str) -> None:
        self.copies.ended(stream_id)
        self.quotas.generations.give_back(stream_id)
        self._spending.ended(stream_id)

    async def _usage_of(self, stream_id: str) -> Mapping[str, Any] | None:
        """What upstream says that a stream has used, in all its attempts."""
        try:
            final = (await status_of(self.log, stream_id)).final
        except StreamUnknown:
            return None  # deleted meanwhile
        return final.usage if final is not None else None

    def _count_use(self, name: str, use: KeyUse) -> None:
        self.meters.key_used(name, streams=use.streams, tokens=use.tokens, cost_usd=use.cost_usd, refused=use.refused)

    # -- life --------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        # Work in threads gives way to the event loop after a millisecond, not after five.
        sys.setswitchinterval(_SWITCH_S)
        watch = asyncio.create_task(watch_loop(self.meters), name="watch the event loop")
        # Nobody waits for it: the first schema does, if it comes so soon.
        warming = asyncio.create_task(self._workers.start(), name="start a worker")
        await self.owner.start()
        await self.copies.log.open()
        self._usage.start()
        self._spending.start()
        watching = [asyncio.create_task(work, name=name) for name, work in self._registry_work()]
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
        _settle_garbage()
        try:
            yield
        finally:
            await shutdown.finished()
            self._connections.stop()
            restore()
            await self._usage.stop()
            await self._spending.stop()
            await self.owner.stop()
            self._schemas.stop()
            for task in (warming, *watching):
                task.cancel()
            await asyncio.wait([warming, *watching])
            await self._workers.stop()
            await self.copies.log.shut()
            watch.cancel()
            await asyncio.wait([watch])

    def _registry_work(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What keeps the registered schemas up to date: those of other nodes, and those in files."""
        if self._registry is None:
            return
        yield "follow the registered schemas", self._registry.follow()
        if self.settings.registry.folder is not None:
            folder = SchemaFolder(self.settings.registry.folder, self._registry)
            yield "watch the folder of schemas", folder.watch()

    # -- routes ------------------------------------------------------------------------------------------------

    def _make_app(self) -> App:
        api = Starlette(
            routes=[*self.routes, *self.sockets],
            lifespan=self.lifespan,
            exception_handlers={
                LockgateError: _answer_error,
                HTTPException: _answer_http_error,
                Exception: _answer_internal_error,
            },
        )
        api.router.redirect_slashes = False  # ``with_plain_paths`` answers them
        server = self.settings.server
        app = self._connections.limited(OriginCheck(api, server.cors_origins))
        app = with_cors(app, server.cors_origins, private_network=server.private_network)
        app = with_plain_paths(with_safety(HostCheck(app, server.allowed_hosts)))
        return self._connections.counted(with_root_path(app, server.root_path))

    @cached_property
    def routes(self) -> list[Route]:
        """Every path, with its methods. What ``/openapi.json`` says of them stands in ``gateway.contract``."""
        pages = self._page_routes() if self.settings.playground.enabled else []
        return [
            *self._control_routes(),
            self._stream_route(),
            *self._chat_routes(),
            *self._schema_routes(),
            *self._watch_routes(),
            *pages,
        ]

    @cached_property
    def sockets(self) -> list[WebSocketRoute]:
        """Every path of WebSocket."""
        routes = SocketRoutes(
            self._reading(),
            self._finder,
            self._control,
            self._authentication,
            ReaderCount(self.quotas),
            self.settings.server.head_s,
        )
        return [WebSocketRoute("/v1/stream/{stream_id}/ws", routes.read)]

    def _control_routes(self) -> list[Route]:
        control, keys, guard = self._control, self._keys, self._guard
        return [
            route("/v1/streams", POST=guard.of("create", control.create)),
            route("/v1/stream/{stream_id}/status", GET=guard.of("read", _with_stream(control.status))),
            route("/v1/stream/{stream_id}/cancel", POST=guard.of("cancel", _with_stream(control.cancel))),
            route("/v1/stream/{stream_id}/sign", POST=guard.of("any", _with_stream(keys.sign))),
            route("/v1/stream/{stream_id}/ack", POST=guard.of("read", _with_stream(control.acknowledge))),
            route("/v1/usage", GET=guard.of("any", keys.usage)),
        ]

    def _stream_route(self) -> Route:
        guard = self._guard
        reading = self._reading()
        writing = WriteRoutes(
            self.log,
            self._opening,
            self._pushed,
            self.owner,
            self.quotas,
            self._finder,
            max_push_bytes=self.settings.delivery.max_push_bytes,
        )
        return route(
            "/v1/stream/{stream_id}",
            GET=guard.of("read", self._counted(reading)),
            HEAD=guard.of("read", _with_stream(reading.head)),
            PUT=guard.of("create", _with_stream(writing.put)),
            POST=guard.of("create", _with_stream(writing.post)),
            DELETE=guard.of("cancel", _with_stream(writing.delete)),
        )

    def _reading(self) -> ReadRoutes:
        settings = self.settings.delivery
        return ReadRoutes(
            self.log,
            settings,
            self.readers,
            self.meters,
            self.owner.heard,
            finder=self._finder,
            ways=ways_of(settings),
            registry=self._registry,
        )

    def _chat_routes(self) -> list[Route]:
        return [
            route("/v1/chat/completions", POST=self._chat.create),
            route("/v1/models", GET=self._chat.models),
            route("/v1/models/{model:path}", GET=self._chat.model),  # names of models have slashes
            route("/api/object", POST=self._ui.object),
            route("/api/chat", POST=self._ui.chat),
            route("/api/chat/{chat_id:path}/stream", GET=self._ui.resume),  # pages name their chats as they like
        ]

    def _schema_routes(self) -> list[Route]:
        schemas, guard = SchemaRoutes(self._registry, self.settings.server.max_request_bytes), self._guard
        # What is registered is for all who may ask; to register is for who runs the node: names are not per key.
        read, write = partial(guard.of, "any"), partial(guard.of, "operator")
        version = "/v1/schemas/{name}/versions/{version}"
        return [
            route("/v1/schemas", GET=read(schemas.list)),
            route("/v1/schemas/{name}", GET=read(schemas.get), PUT=write(schemas.set_rule)),
            route("/v1/schemas/{name}/diff", GET=read(schemas.diff)),
            route("/v1/schemas/{name}/uses", GET=write(schemas.uses)),  # of all keys together, as /metrics is
            route(version, GET=read(schemas.version), PUT=write(schemas.register)),
            route(f"{version}/check", POST=read(schemas.check)),
            route(f"{version}/deprecate", POST=write(schemas.deprecate)),
            route(f"{version}/retire", POST=write(schemas.retire)),
            route(f"{version}/activate", POST=write(schemas.activate)),
        ]

    def _counted(self, reading: ReadRoutes) -> Handler:
        """Reads of a stream, each counted for its caller until the end of the answer."""
        readers = ReaderCount(self.quotas)

        async def handler(request: Request) -> Response:
            try:
                reader = readers.begin(request)
            except QuotaReached as refusal:
                return refused_reader(request, refusal)
            try:
                return readers.end_with(reader, await reading.get(stream_of(request), request))
            except BaseException:
                readers.end(reader)
                raise

        return handler

    def _watch_routes(self) -> list[Route]:
        contract = msgspec.json.encode(openapi(self.settings.server.root_path))

        async def document(_request: Request) -> Response:
            return Response(contract, media_type="application/json")

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

        async def system(_request: Request) -> Response:
            return json_answer(solution_of(self.settings, self.meters.all))

        return [
            route("/healthz", GET=health),
            route("/readyz", GET=readiness),
            route("/metrics", GET=self._guard.of("operator", metrics)),
            route("/v1/system", GET=self._guard.of("operator", system)),
            route("/openapi.json", GET=document),
        ]

    def _page_routes(self) -> list[Route]:
        base, page = self.settings.upstream.base_url, self.settings.playground
        finder = StreamFinder(self.copies.log)
        copies = ReadRoutes(self.copies.log, self.settings.delivery, self.readers, self.meters, finder=finder)

        async def copy(request: Request) -> Response:
            await self._finder.find(stream_of(request), caller_of(request))
            return await self._counted(copies)(request)

        pages = [
            route("/playground/api/upstream/{stream_id}", GET=copy),
            *playground_routes(
                self.readers,
                body_of=self._control.body,
                catalogue_url=f"{base}/sim/documents" if page.keep_upstream and not page.model else None,
                model=page.model,
                keeps_upstream=page.keep_upstream,
                is_here=urlsplit(base).hostname in ("127.0.0.1", "::1", "localhost"),
            ),
        ]
        return [Route(one.path, self._guard.of("page", one.endpoint), methods=list(one.methods or ())) for one in pages]


def _settle_garbage() -> None:
    """What was made until now stays: the collector need not look at it again and again, up to a tenth of a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)


def route(path: str, **handlers: Handler) -> Route:
    """One path, with what answers each method. HEAD without a handler of its own is answered as GET is."""

    async def endpoint(request: Request) -> Response:
        return await (handlers.get(request.method) or handlers["GET"])(request)

    return Route(path, endpoint, methods=list(handlers))


def _with_stream(handler: Callable[[str, Request], Awaitable[Response]]) -> Handler:
    """The handler, given the stream that the path names."""

    async def named(request: Request) -> Response:
        return await handler(stream_of(request), request)

    return named


def stream_of(request: Request) -> str:
    """The id of the stream that a path names. Who opens a stream is told what an id may be (``writing``).

    Raises:
        StreamUnknown: no stream can have it.
    """
    if request.method == "PUT":
        return str(request.path_params["stream_id"])
    return stream_named(request)


def _refuse(status: int, error: ErrorDetail, headers: Mapping[str, str]) -> Response:
    return json_answer(ErrorAnswer(error), status, headers)


async def _answer_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, LockgateError)
    status = error.code.status or 500
    detail = ErrorDetail(error.code, str(error))
    if isinstance(error, OffsetGone):
        detail = msgspec.structs.replace(detail, start=error.start, tail=error.tail)
    elif isinstance(error, SchemaVersionTaken):
        detail = msgspec.structs.replace(detail, sha256=error.sha256)
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
        message += "; chat completions are at POST /v1/chat/completions"
    return _refuse(error.status_code, ErrorDetail(code, message), error.headers or {})


async def _answer_internal_error(_request: Request, _: Exception) -> Response:
    """A bug here: the server writes down what it was, and the caller learns that it was not the request."""
    detail = ErrorDetail(Code.INTERNAL_ERROR, Code.INTERNAL_ERROR.means)
    return _refuse(500, detail, {names.CACHE_CONTROL: "no-store"})


def make_app(settings: Settings) -> App:
    """The ASGI application of one node."""
    return Gateway(settings).app
