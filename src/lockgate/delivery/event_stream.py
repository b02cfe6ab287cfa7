"""The face of server-sent events: Durable Streams' ``live=sse``, and what a native EventSource needs besides it.

How it works: the reader registers with the log, reads what is there, writes it in one send, and only then sleeps. A
commit, the heartbeat timer, or the leaving of its client wakes it. A slow reader waits in ``send`` and costs an offset;
what it missed comes later as one larger event.

Every event has an ``id``, which is an offset. That is all a reader needs to go on, here or at another node.

Spec: Durable Streams 5.8; WHATWG HTML 9.2.
"""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from lockgate.delivery.forms import Form
from lockgate.delivery.readers import Pacing, Reader, Readers, Receive, Send, pieces_of
from lockgate.delivery.ropes import Data, Pieces, joined
from lockgate.delivery.views import Item, View, in_turns
from lockgate.errors import StreamUnknown
from lockgate.observe.metrics import Meters
from lockgate.protocol.cursor import cursor_after
from lockgate.protocol.header_names import CONTENT_TYPE, DATA_ENCODING, LIVE, encoded
from lockgate.protocol.offsets import Offset
from lockgate.protocol.sse import encode_comment, encode_event, encode_position, encode_retry
from lockgate.store.base import Page, StreamLog

_HEADERS: Final = {CONTENT_TYPE: "text/event-stream", **LIVE}
#: Reconnection time for a reader that should come back later: an EventSource never tries again after a 503, but it does
#: after an answer that only ends.
LATER_MS: Final = 5000


class Event(NamedTuple):
    """What a page comes to, for all readers that show it alike.

    Attributes:
        data: The events to write; None if there is nothing to show.
        items: How many items are in them.
        position: The last id of a plain event.
        read_s: As the view has it afterwards.
        outcome: As the view has it afterwards.
    """

    data: Data | None
    items: int
    position: Offset | None
    read_s: float
    outcome: str


class EventReader(Reader):
    """One connection. ``run`` serves it until its client leaves, or the stream is closed and read.

    Args:
        after: Where to begin.
        is_plain: Events without a name, one item each, and no control events; the stream's final record is its end.
        cursor: The client's cursor.
    """

    def __init__(
        self,
        log: StreamLog,
        stream_id: str,
        after: Offset,
        *,
        view: View,
        form: Form,
        pacing: Pacing,
        meters: Meters,
        readers: Readers,
        is_plain: bool = False,
        cursor: str | None = None,
    ) -> None:
        super().__init__(log, stream_id, readers, stuck_s=pacing.stuck_s)
        self._after = after
        self._view = view
        self._form = form
        self._pacing = pacing
        self._meters = meters
        self._is_plain = is_plain
        self._cursor = cursor_after(time.time(), cursor)
        self._quiet_since_s = 0.0
        self._due_s = 0.0  # when something is to be sent, or the view to be asked, if nothing comes
        self._pause_s = min(pacing.heartbeat_s, view.silence_s)
        self._last_data_s = 0.0
        self._begun_s = time.monotonic()
        self._is_live = False  # whether everything before the next record was read
        self._has_said_where = is_plain  # in a control event, if it has any
        self._has_said_end = False
        self._plain_position: Offset | None = None  # the last id of a plain event

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve it."""
        try:
            async with self.connected(receive):
                await self._serve(send)
        except StreamUnknown:
            pass  # the stream was deleted: when the connection breaks, the client asks again and learns it

    async def _serve(self, send: Send) -> None:
        headers = _HEADERS | ({DATA_ENCODING: self._form.encoding} if self._form.encoding is not None else {})
        await send({"type": "http.response.start", "status": 200, "headers": encoded(headers)})
        # First bytes at once, so that the browser's `open` fires before the model's first token.
        await self._say(send, encode_retry(self._pacing.retry_ms) + encode_comment("lockgate"))
        self._meters.shook_hands(time.monotonic() - self._begun_s)
        while not self.is_over:  # after it, no end of the body: the server breaks the connection
            self._news.clear()
            page = await self._log.read(self.stream_id, self._after, max_bytes=self._pacing.max_read_bytes)
            has_more = bool(page.entries)
            event = await self._take(page) if has_more else None
            is_over = page.is_closed and self._after.records == page.tail.records
            tail = page.tail
            del page  # while the client does not read, only what is still to be written is held
            if event is not None and event.data is not None:
                pieces, count = pieces_of(event.data), event.items
                event = None
                await self._deliver(send, pieces, count)
            if is_over:
                await self._finish(send)
                return
            if has_more:
                self._is_live = self._after == tail
                if self._view.pause_s:
                    await self._pause()
                    continue
                if not self._has_all(self._after, tail):
                    continue
            self._is_live = True
            left_s = self._due_s - time.monotonic()
            if left_s > 0 and self._has_said_where:
                await self._wait(left_s)
            else:
                await self._while_silent(send)

    async def _pause(self) -> None:
        """Wait before the next read, for views whose items are large. The wait ends when the client leaves."""
        until_s = self._quiet_since_s + self._view.pause_s
        while not self.is_over and not self._is_retiring and (left_s := until_s - time.monotonic()) > 0:
            self._news.clear()
            await self._news.wait(left_s)

    async def _say(self, send: Send, data: Data) -> None:
        await self._write(send, pieces_of(data))

    async def _write(self, send: Send, pieces: bytes | Pieces, *, kept_bytes: int = 0) -> None:
        if isinstance(pieces, bytes):
            await self._write_piece(send, pieces, len(pieces) + kept_bytes)
        else:
            await super()._write(send, pieces, kept_bytes=kept_bytes)
        self._quiet_since_s = time.monotonic()
        self._due_s = self._quiet_since_s + self._pause_s

    async def _take(self, page: Page) -> Event:
        """What a page brings. Readers that show it alike share it: it is made once for all."""
        view = self._view
        last = page.entries[-1].offset
        self._meters.reader_lag(page.tail.records - last.records)
        name = (view.sharing, self._is_plain, self._cursor)
        shared = page.shared if view.sharing is not None else None
        made: Event | None = shared.get(name) if shared is not None else None
        is_tail = last == page.tail
        is_closed = page.is_closed and is_tail
        if made is not None:
            self._after = last
            view.saw(made.read_s, made.outcome)
            if made.data is not None and not self._is_plain:
                self._has_said_where, self._has_said_end = True, is_closed
            self._plain_position = made.position or self._plain_position
            return made
        items = await in_turns(view.showing(page.entries))
        self._after = last
        data: Data | None = None
        if items:
            data = self._plain(items) if self._is_plain else self._named(items, up_to_date=is_tail, is_closed=is_closed)
        position = self._plain_position if self._is_plain else None
        made = Event(data, len(items), position, view.read_s, view.outcome)
        if shared is not None:
            shared[name] = made
        return made

    async def _deliver(self, send: Send, pieces: bytes | Pieces, count: int) -> None:
        await self._write(send, pieces, kept_bytes=self._view.kept_bytes)
        self._meters.delivered_chunks(count)
        if self._is_live:
            self._measure(self._view.read_s)

    def _measure(self, read_s: float) -> None:
        """Measure latency and gap, for a reader that had read everything before. Replays say nothing about them."""
        now_s = self._quiet_since_s
        gap_s = now_s - self._last_data_s if self._last_data_s else None
        self._meters.delivered(latency_s=time.time() - read_s if read_s else None, gap_s=gap_s)
        self._last_data_s = now_s

    async def _while_silent(self, send: Send) -> None:
        """At the tail: tell the reader once that it is there; then send what silence brings, or a heartbeat."""
        heartbeat_s = self._quiet_since_s + self._pacing.heartbeat_s
        if not self._has_said_where:
            await self._say(send, self._control(up_to_date=True, is_closed=False))
        elif items := self._view.while_silent():
            data = self._plain(items) if self._is_plain else self._named(items, up_to_date=True, is_closed=False)
            await self._say(send, data)
        elif (now_s := time.monotonic()) >= heartbeat_s:
            await self._say(send, encode_comment("beat"))
        else:
            self._due_s = min(heartbeat_s, now_s + self._view.silence_s)

    async def _finish(self, send: Send) -> None:
        if self._is_plain:
            if self._plain_position != self._after:  # a view may not show the last record: without its id, a client
                await self._say(send, encode_position(str(self._after)))  # would come back for it again and again
        elif not self._has_said_end:  # otherwise it was sent with the last records
            await self._say(send, self._control(up_to_date=True, is_closed=True))
        await self._end(send)

    # -- events ----------------------------------------------------------------------------------------------------

    def _named(self, items: list[Item], *, up_to_date: bool, is_closed: bool) -> Data:
        """One ``data`` event with all items, and the ``control`` event that follows it (Durable Streams 5.8)."""
        control = self._control(up_to_date=up_to_date, is_closed=is_closed)
        event = _event(self._form.data(items), event="data", event_id=str(self._after))
        return event + control if isinstance(event, bytes) else joined([event, control])

    def _plain(self, items: list[Item]) -> Data:
        """One event for each item, for ``onmessage``. An event without an id does not move the client's position."""
        self._plain_position = next((item.offset for item in reversed(items) if item.offset), self._plain_position)
        return joined(
            [_event(item.data, event_id=str(item.offset) if item.offset is not None else None) for item in items]
        )

    def _control(self, *, up_to_date: bool, is_closed: bool) -> bytes:
        self._has_said_where, self._has_said_end = True, is_closed
        state = self._view.outcome if is_closed else ""
        return encode_control(self._after, cursor=self._cursor, up_to_date=up_to_date, is_closed=is_closed, state=state)


def _event(data: Data, *, event: str = "", event_id: str | None = None) -> Data:
    """As ``encode_event``."""
    if isinstance(data, bytes):
        return encode_event(data, event=event, event_id=event_id)
    frame = encode_event(b"", event=event, event_id=event_id)  # a rope has no line end inside, and ends with two
    return joined([frame[:-2], data, frame[-2:]])


def encode_control(offset: Offset, *, cursor: str, up_to_date: bool, is_closed: bool, state: str = "") -> bytes:
    """A control event: where the reader is, whether more can come, and the outcome if it is known."""
    written = str(offset)
    up = ',"upToDate":true' if up_to_date else ""
    end = ',"streamClosed":true' if is_closed else f',"streamCursor":"{cursor}"'
    outcome = f',"state":"{state}"' if state else ""
    control = f'{{"streamNextOffset":"{written}"{up}{end}{outcome}}}'
    return encode_event(control.encode(), event="control", event_id=written)
