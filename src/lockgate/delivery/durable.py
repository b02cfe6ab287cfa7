"""The Durable Streams face for requests that end: catch-up reads and long-polls.

Spec: Durable Streams 5.6, 5.7 and 10.1.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from lockgate.delivery.forms import Form
from lockgate.delivery.readers import Reader, Readers, Receive, Send
from lockgate.delivery.views import Item, View, in_turns
from lockgate.errors import Code, StreamUnknown
from lockgate.protocol import header_names as names
from lockgate.protocol.cursor import cursor_after
from lockgate.protocol.header_names import encoded
from lockgate.protocol.offsets import Offset
from lockgate.store.base import Page, StreamLog


@dataclass(slots=True)
class Answer:
    """What is sent: status, headers, body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def progress_headers(after: Offset, page: Page, *, outcome: str = "") -> dict[str, str]:
    """Headers that say where the reader is after an answer, and whether more can come."""
    headers = {names.NEXT_OFFSET: str(after)}
    if after.records == page.tail.records:
        headers[names.UP_TO_DATE] = names.TRUE
        if page.is_closed:
            headers[names.CLOSED] = names.TRUE
            if outcome:
                headers[names.STATE] = outcome
    return headers


async def catch_up(
    log: StreamLog, stream_id: str, after: Offset, *, view: View, form: Form, max_bytes: int, tag: Sequence[str]
) -> Answer:
    """Answer with what the log has after an offset.

    Args:
        tag: What the answer depends on besides the records; it becomes part of the ETag.

    Raises:
        StoreError: as ``StreamLog.read``.
    """
    page = await log.read(stream_id, after, max_bytes=max_bytes)
    items = await in_turns(view.showing(page.entries)) if page.entries else []
    last = page.entries[-1].offset if page.entries else after
    headers = progress_headers(last, page, outcome=view.outcome)
    # The end of a page moves while the stream grows, and a closed tail gives another answer than an open one.
    parts = [*tag, str(after), str(last), headers.get(names.CLOSED, ""), headers.get(names.UP_TO_DATE, "")]
    headers[names.ETAG] = f'"{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:24]}"'
    return Answer(200, headers, form.body(items))


class LongPoll(Reader):
    """A read that waits until there is something to show. ``run`` answers it.

    Args:
        timeout_s: Longest wait, in seconds; then the answer is 204.
        headers: Headers of every answer.
    """

    def __init__(
        self,
        log: StreamLog,
        stream_id: str,
        after: Offset,
        *,
        view: View,
        form: Form,
        max_bytes: int,
        timeout_s: float,
        readers: Readers,
        cursor: str | None,
        headers: dict[str, str],
    ) -> None:
        super().__init__(log, stream_id, after, readers)
        self._view = view
        self._form = form
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._cursor = cursor
        self._headers = headers

    async def run(self, receive: Receive, send: Send) -> None:
        """Wait and answer."""
        try:
            async with self.connected(receive):
                answer = await self._until(time.monotonic() + self._timeout_s)
        except StreamUnknown:
            answer = Answer(404, {**self._headers, names.CONTENT_TYPE: "application/json"}, _GONE)
        if answer is not None:
            await send_answer(send, answer)

    async def _until(self, deadline_s: float) -> Answer | None:
        """The answer; None if the client is gone."""
        while not self.is_over:
            self._news.clear()
            page = await self._log.read(self.stream_id, self._after, max_bytes=self._max_bytes)
            items = await in_turns(self._view.showing(page.entries)) if page.entries else []
            if page.entries:
                self._after = page.entries[-1].offset
            is_over = page.is_closed and self._after.records == page.tail.records
            left_s = deadline_s - time.monotonic()
            if items or is_over or left_s <= 0 or self._is_retiring:
                return self._answer(page, items)
            if not page.entries:
                await self._wait(left_s)
        return None

    def _answer(self, page: Page, items: list[Item]) -> Answer:
        headers = {**self._headers, **progress_headers(self._after, page, outcome=self._view.outcome)}
        headers[names.CURSOR] = cursor_after(time.time(), self._cursor)
        headers[names.CACHE_CONTROL] = "no-store"
        if not items:
            headers.pop(names.CONTENT_TYPE, None)
            return Answer(204, headers)
        return Answer(200, headers, self._form.body(items))


_GONE: Final = json.dumps(
    {"error": {"code": Code.STREAM_UNKNOWN, "message": "the stream was deleted while this request waited for it"}}
).encode()


async def send_answer(send: Send, answer: Answer) -> None:
    """Write a whole answer."""
    headers = dict(answer.headers)
    if answer.status not in (204, 304):
        headers["Content-Length"] = str(len(answer.body))
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded(headers)})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
