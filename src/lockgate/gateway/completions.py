"""What all routes that answer a chat request share: the stream is opened, and its answer read by who asked.

Every answer that is an error has the shape that OpenAI's SDKs read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from lockgate.config import Settings
from lockgate.delivery.chat_chunks import ChatChunks, ChatFailure
from lockgate.delivery.chat_forms import ChatForm
from lockgate.delivery.chat_reader import ChatReader, error_body, error_headers_of
from lockgate.delivery.readers import MAX_EVENT_BYTES, Pacing, Readers
from lockgate.errors import Busy, LockgateError
from lockgate.gateway.access import json_body
from lockgate.gateway.callers import ReaderCount, caller_of
from lockgate.gateway.headers import idempotency_key
from lockgate.gateway.reader_response import ReaderResponse
from lockgate.observe.metrics import Meters
from lockgate.protocol import header_names as names
from lockgate.store.base import StreamLog
from lockgate.streams.chat_request import ChatHeaders
from lockgate.streams.opening import Opened, Opening

_Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


class Completions:
    """Opens streams for callers who read them at once.

    Args:
        readers_of: Counts the readers of each caller.

    Attributes:
        max_bytes: Most text of an answer in one object.
    """

    def __init__(
        self,
        settings: Settings,
        log: StreamLog,
        opening: Opening,
        readers: Readers,
        readers_of: ReaderCount,
        meters: Meters,
    ) -> None:
        self._log = log
        self._opening = opening
        self._readers = readers
        self._readers_of = readers_of
        self._meters = meters
        self._max_request_bytes = settings.server.max_request_bytes
        delivery = settings.delivery
        self.max_bytes = delivery.max_completion_bytes
        self._pacing = Pacing(
            delivery.retry_ms,
            delivery.heartbeat_s,
            min(delivery.max_read_bytes, MAX_EVENT_BYTES),
            delivery.stuck_s,
        )

    def counted(self, handler: _Handler) -> _Handler:
        """The handler; whoever asks it counts as a reader until the end of the answer."""

        async def answer(request: Request) -> Response:
            reader = self._readers_of.begin(request)
            try:
                return self._readers_of.end_with(reader, await handler(request))
            except BaseException:
                self._readers_of.end(reader)
                raise

        return answer

    async def body_of(self, request: Request) -> bytes:
        """The body of a request, as it was sent.

        Raises:
            LockgateError: it is not JSON, too long, or too slow.
        """
        return await json_body(request, self._max_request_bytes)

    async def open(self, request: Request, body: bytes, *, can_return: bool = False) -> Opened:
        """Open the stream that answers a chat-completions body.

        Args:
            can_return: Whether a caller who left can come back for the rest.

        Raises:
            LockgateError: as ``Opening.open``.
        """
        self.refuse_if_full()  # before anything is asked for: nobody would read it
        headers = request.headers
        said = ChatHeaders(headers.get(names.CHAT_OPTIONS), headers.get(names.ABANDON_AFTER), can_return)
        return await self._opening.open(caller_of(request), body, idempotency_key(headers), said)

    def refuse_if_full(self) -> None:
        """Refuse one more reader, if there are as many as there may be.

        Raises:
            Busy: there are.
        """
        if self._readers.is_full:
            raise Busy("as many readers as server.max_readers are connected: try again in a moment")

    def shown(self, stream_id: str, chunks: ChatChunks, form: ChatForm) -> Response:
        """The answer: a stream in a form, from its start."""
        reader = ChatReader(
            self._log,
            stream_id,
            chunks=chunks,
            form=form,
            pacing=self._pacing,
            meters=self._meters,
            readers=self._readers,
        )
        return ReaderResponse(reader.run)


def in_openai_words(handler: _Handler) -> _Handler:
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
