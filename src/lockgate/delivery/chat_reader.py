"""The faces of chat requests: one reader of one stream, for clients that know nothing of streams.

How it works: it reads the log from its start like every reader, and writes it in one form (``chat_forms``). The answer
begins with the first thing to show, or after a heartbeat's time; what fails before that is an HTTP error, and what
fails later ends as its form has it, never like a whole answer.
"""

from __future__ import annotations

import math
import time
from typing import Final

import msgspec

from lockgate.delivery.chat_chunks import ChatChunks, ChatFailure, Json
from lockgate.delivery.chat_forms import ChatForm
from lockgate.delivery.readers import Pacing, Reader, Readers, Receive, Send, pieces_of
from lockgate.errors import BAD_GATEWAY, StreamUnknown
from lockgate.observe.metrics import Meters
from lockgate.protocol.header_names import (
    CACHE_CONTROL,
    CONTENT_TYPE,
    RETRY_AFTER,
    SHOULD_RETRY,
    STREAM,
    encoded,
)
from lockgate.protocol.offsets import START
from lockgate.store.base import Page, StreamLog

_JSON: Final = "application/json"
#: OpenAI's names for kinds of errors, by status; other statuses are the caller's fault below 500, else the server's.
_KINDS: Final = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class ChatErrorDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with a request for a chat completion, or with its answer, as OpenAI's SDKs read it.

    Attributes:
        message: One sentence for people: what, where, and what to do.
        code: A code of docs/reference/errors.md, or the reason of the final record.
        type: OpenAI's word for the kind of error.
        param: Is there for OpenAI's SDKs, and says nothing.
        metadata: Under ``lockgate``: stream, state, offset and problems of the stream that failed.
    """

    message: str
    code: str
    type: str = ""
    param: str | None = None
    metadata: Json = {}


class ChatErrorAnswer(msgspec.Struct, frozen=True):
    """The answer to a request for a chat completion that failed before any of it was sent.

    Attributes:
        error: What is wrong.
    """

    error: ChatErrorDetail


def error_body(failure: ChatFailure) -> bytes:
    """A failure as JSON."""
    kind = _KINDS.get(failure.status, "invalid_request_error" if failure.status < 500 else "server_error")
    metadata = {"lockgate": failure.lockgate} if failure.lockgate else {}
    return msgspec.json.encode(ChatErrorAnswer(ChatErrorDetail(failure.message, failure.code, kind, metadata=metadata)))


def error_headers_of(failure: ChatFailure) -> dict[str, str]:
    """What stands beside the status of a failure."""
    headers = {CONTENT_TYPE: _JSON, CACHE_CONTROL: "no-store"}
    if failure.retry_after_s is not None:
        headers[RETRY_AFTER] = str(math.ceil(failure.retry_after_s))
    if not failure.is_recoverable:
        headers[SHOULD_RETRY] = "false"
    return headers


class ChatReader(Reader):
    """One request for an answer.

    Args:
        form: How it is written.
    """

    def __init__(
        self,
        log: StreamLog,
        stream_id: str,
        *,
        chunks: ChatChunks,
        form: ChatForm,
        pacing: Pacing,
        meters: Meters,
        readers: Readers,
    ) -> None:
        super().__init__(log, stream_id, START, readers, stuck_s=pacing.stuck_s)
        self._chunks = chunks
        self._form = form
        self._pacing = pacing
        self._meters = meters
        self._is_begun = False
        self._quiet_since_s = time.monotonic()

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve it."""
        try:
            async with self.connected(receive):
                await self._serve(send)
        except StreamUnknown as gone:
            if not self._is_begun:  # it was deleted; once it began, the connection breaks
                await self._fail(send, ChatFailure(gone.code.status or BAD_GATEWAY, gone.code, str(gone)))

    async def _serve(self, send: Send) -> None:
        while not self.is_over:
            self._news.clear()
            page = await self._log.read(self.stream_id, self._after, max_bytes=self._pacing.max_read_bytes)
            has_more = bool(page.entries)
            if has_more:
                self._after = page.entries[-1].offset
            is_over = page.is_closed and self._after.records == page.tail.records
            data = self._take(page)
            tail = page.tail
            del page  # while the client does not read, only what is to be written is held
            if data:
                await self._say(send, data)
            if is_over:
                await self._conclude(send)
                return
            if not has_more or self._has_all(self._after, tail):
                await self._rest(send)

    async def _rest(self, send: Send) -> None:
        """Wait for more; say after a heartbeat's time that one is still there."""
        left_s = self._quiet_since_s + self._pacing.heartbeat_s - time.monotonic()
        if left_s > 0:
            await self._wait(left_s)
        elif self._form.beat is None:
            self._quiet_since_s = time.monotonic()
        else:
            await self._say(send, self._form.beat)

    def _take(self, page: Page) -> bytes:
        """What a page brings to write."""
        chunks = self._chunks.take(page.entries)
        data = self._form.pieces(chunks)
        if data:
            self._meters.delivered_chunks(len(chunks))
        return data

    async def _conclude(self, send: Send) -> None:
        last = self._chunks.failure or self._form.end()
        if isinstance(last, ChatFailure):
            await self._fail(send, last)
        elif self._is_begun:
            await self._say(send, last)
            await self._end(send)
        else:
            await self._answer(send, 200, dict(self._form.headers), last)

    async def _fail(self, send: Send, failure: ChatFailure) -> None:
        if not self._is_begun:
            await self._answer(send, failure.status, error_headers_of(failure), error_body(failure))
            return
        last = self._form.broken(failure, self._chunks.error_chunk(failure))
        if last is not None:
            await self._say(send, last)
            await self._end(send)
        # Otherwise without the end of the body: the server breaks the connection.

    async def _answer(self, send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
        await self._begin(send, status, headers | {"Content-Length": str(len(body))})
        await self._say(send, body)
        await self._end(send)

    async def _begin(self, send: Send, status: int, headers: dict[str, str]) -> None:
        self._is_begun = True
        headers = headers | {STREAM: self.stream_id}
        await send({"type": "http.response.start", "status": status, "headers": encoded(headers)})

    async def _say(self, send: Send, data: bytes) -> None:
        if not self._is_begun:
            await self._begin(send, 200, dict(self._form.headers))
        await self._write(send, pieces_of(data))
        self._quiet_since_s = time.monotonic()
