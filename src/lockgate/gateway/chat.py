"""The routes of an OpenAI-compatible API: chat completions, and the provider's models.

A completion is a stream like all others: opened by the one ``Opening``, then rendered from its log. Every answer that
is an error has the shape that OpenAI's SDKs read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from lockgate.config import Settings
from lockgate.delivery.chat_chunks import ChatChunks, ChatFailure
from lockgate.delivery.chat_completion import ChatCompletion
from lockgate.delivery.chat_reader import ChatReader, error_body, error_headers_of
from lockgate.delivery.readers import MAX_EVENT_BYTES, Pacing, Readers
from lockgate.errors import Busy, LockgateError
from lockgate.gateway.access import json_body
from lockgate.gateway.authentication import Guard
from lockgate.gateway.callers import ReaderCount, caller_of
from lockgate.gateway.headers import idempotency_key
from lockgate.gateway.reading import ReaderResponse
from lockgate.keys.caller import ANY_MODEL, Caller
from lockgate.observe.metrics import Meters
from lockgate.protocol import header_names as names
from lockgate.store.base import StreamLog
from lockgate.streams.chat_request import ChatHeaders
from lockgate.streams.opening import Opened, Opening
from lockgate.upstream.model_list import ModelDirectory

_Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

_JSON: Final = "application/json"


class ChatRoutes:
    """Serves clients of OpenAI's API.

    Args:
        counted: Counts the readers of each caller.
    """

    def __init__(
        self,
        settings: Settings,
        log: StreamLog,
        opening: Opening,
        readers: Readers,
        counted: ReaderCount,
        meters: Meters,
        models: ModelDirectory,
        guard: Guard,
    ) -> None:
        self._log = log
        self._opening = opening
        self._readers = readers
        self._counted = counted
        self._meters = meters
        self._models = models
        self._max_request_bytes = settings.server.max_request_bytes
        self._max_completion_bytes = settings.delivery.max_completion_bytes
        delivery = settings.delivery
        self._pacing = Pacing(
            delivery.retry_ms,
            delivery.heartbeat_s,
            min(delivery.max_read_bytes, MAX_EVENT_BYTES),
            delivery.stuck_s,
        )
        # Also who is refused at the door is answered in these words.
        self.create = _in_openai_words(guard.of("create", self._create))
        self.models = _in_openai_words(guard.of("any", self._list))
        self.model = _in_openai_words(guard.of("any", self._one))

    async def _create(self, request: Request) -> Response:
        """A completion, counted as a reader until the end of the answer."""
        reader = self._counted.begin(request)
        try:
            return self._counted.end_with(reader, await self._completion(request))
        except BaseException:
            self._counted.end(reader)
            raise

    async def _completion(self, request: Request) -> Response:
        headers = request.headers
        body = await json_body(request, self._max_request_bytes)
        if self._readers.is_full:  # before anything is asked for: nobody would read it
            raise Busy("as many readers as server.max_readers are connected: try again in a moment")
        opened = await self._opening.open(
            caller_of(request),
            body,
            idempotency_key(headers),
            ChatHeaders(headers.get(names.CHAT_OPTIONS), headers.get(names.ABANDON_AFTER)),
        )
        return ReaderResponse(self._reader(opened).run)

    def _reader(self, opened: Opened) -> ChatReader:
        wishes = opened.chat
        assert wishes is not None
        chunks = ChatChunks(
            opened.stream_id, opened.meta.model, opened.created_s, has_usage_chunk=wishes.has_usage_chunk
        )
        return ChatReader(
            self._log,
            opened.stream_id,
            chunks=chunks,
            whole=None if wishes.is_stream else ChatCompletion(self._max_completion_bytes),
            pacing=self._pacing,
            meters=self._meters,
            readers=self._readers,
        )

    async def _list(self, request: Request) -> Response:
        page = await self._models.page(_models_of(caller_of(request)))
        return Response(page.body, media_type=_JSON, headers={names.CACHE_CONTROL: "no-store"})

    async def _one(self, request: Request) -> Response:
        model = await self._models.model(str(request.path_params["model"]), _models_of(caller_of(request)))
        return Response(model, media_type=_JSON, headers={names.CACHE_CONTROL: "no-store"})


def _models_of(caller: Caller) -> Callable[[str], bool] | None:
    """Which models he may ask; None if all."""
    return None if caller.models == ANY_MODEL else caller.may_ask


def _in_openai_words(handler: _Handler) -> _Handler:
    """The handler, whose errors are answered in OpenAI's shape."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except LockgateError as error:
            failure = failure_of(error)
            return Response(error_body(failure), failure.status, error_headers_of(failure))

    return answer


def failure_of(error: LockgateError) -> ChatFailure:
    """An error of the gateway itself."""
    status = error.code.status or 500
    retry_after_s = getattr(error, "retry_after_s", 1.0 if status == 503 else None)
    return ChatFailure(status, error.code, str(error), error.recoverable, retry_after_s)
