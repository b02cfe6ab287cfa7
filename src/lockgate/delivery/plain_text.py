"""The face of plain text: the released bytes of one channel, unchanged, while they come.

A clean end says that the document is complete. If the stream ends in any other way, the gateway breaks the connection,
because plain text cannot say it otherwise. A reader resumes with the number of bytes that it has (``at``).
"""

from __future__ import annotations

import time
from typing import Final

from lockgate.delivery.readers import Pacing, Reader, Readers, Receive, Send, pieces_of
from lockgate.delivery.ropes import Pieces
from lockgate.errors import StreamUnknown
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Record, decode_record
from lockgate.protocol.header_names import CONTENT_TYPE, LIVE, encoded
from lockgate.protocol.lifecycle import Outcome
from lockgate.protocol.offsets import Offset
from lockgate.store.base import Page, StreamLog

_HEADERS: Final = {CONTENT_TYPE: "text/plain; charset=utf-8", **LIVE}


class TextReader(Reader):
    """One connection.

    Args:
        after: The record before the one that holds the first byte wanted.
        skip_bytes: Bytes of that record's text to leave out.
    """

    def __init__(
        self,
        log: StreamLog,
        stream_id: str,
        after: Offset,
        *,
        channel: str,
        skip_bytes: int,
        pacing: Pacing,
        meters: Meters,
        readers: Readers,
    ) -> None:
        super().__init__(log, stream_id, after, readers, stuck_s=pacing.stuck_s)
        self._channel = channel
        self._skip_bytes = skip_bytes
        self._pacing = pacing
        self._meters = meters
        self._is_taken_back = False
        self._is_complete = False  # whether the last record says so
        self._begun_s = time.monotonic()

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve it."""
        try:
            async with self.connected(receive):
                await self._serve(send)
        except StreamUnknown:
            pass  # the stream was deleted; the client learns it with its next request

    async def _serve(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": encoded(_HEADERS)})
        await self._write(send, pieces_of(b""))
        self._meters.shook_hands(time.monotonic() - self._begun_s)
        while not (self.is_over or self._is_taken_back):
            self._news.clear()
            page = await self._log.read(self.stream_id, self._after, max_bytes=self._pacing.max_read_bytes)
            has_more = bool(page.entries)
            if page.entries:
                self._after = page.entries[-1].offset
            is_over = page.is_closed and self._after.records == page.tail.records
            text = self._take(page)
            tail = page.tail
            del page  # while the client does not read, only the rest of the text itself is held
            if text is not None:
                await self._write(send, text)
                self._meters.delivered_chunks(1)
            if is_over:
                if self._is_complete:
                    await self._end(send)
                return  # otherwise without the end of the body: the server breaks the connection
            if not has_more or self._has_all(self._after, tail):
                await self._wait(self._pacing.heartbeat_s)  # plain text has no heartbeat; only look again

    def _take(self, page: Page) -> bytes | Pieces | None:
        """The text of a page, if it has any."""
        text = bytearray()
        for entry in page.entries:
            record = decode_record(entry.payload)
            self._is_complete = _is_complete(record)
            if record.channel == self._channel:
                if record.kind == "restart":
                    self._is_taken_back = True  # the reader's text no longer counts, and plain text cannot say that
                    break
                text += record.text.encode()
        data = bytes(text[self._skip_bytes :])
        if text:
            self._skip_bytes = 0
        return pieces_of(data) if data else None


def _is_complete(record: Record) -> bool:
    return record.final is not None and record.final.state == Outcome.COMPLETE
