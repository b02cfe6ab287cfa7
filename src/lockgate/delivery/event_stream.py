"""The face of server-sent events: Durable Streams' ``live=sse``, and what a native EventSource needs besides it.

Every event has an ``id``, which is an offset.

Spec: Durable Streams 5.8; WHATWG HTML 9.2.
"""

from __future__ import annotations

import time
from typing import Any, Final

from lockgate.delivery.forms import Form
from lockgate.delivery.live_reader import LiveReader
from lockgate.delivery.readers import Send
from lockgate.delivery.ropes import Data, joined
from lockgate.delivery.views import Item
from lockgate.protocol.cursor import cursor_after
from lockgate.protocol.header_names import CONTENT_TYPE, DATA_ENCODING, LIVE, encoded
from lockgate.protocol.offsets import Offset
from lockgate.protocol.sse import encode_comment, encode_event, encode_placed_event, encode_position, encode_retry

_HEADERS: Final = {CONTENT_TYPE: "text/event-stream", **LIVE}
#: Reconnection time for a reader that should come back later: an EventSource never tries again after a 503, but it does
#: after an answer that only ends.
LATER_MS: Final = 5000


class EventReader(LiveReader):
    """One event stream.

    Args:
        form: How items are encoded.
        is_plain: Events without a name, one item each, and no control events; the stream's final record is its end.
        cursor: The client's cursor.
        served: As ``LiveReader`` has them.
    """

    _items_say_where = True

    def __init__(
        self, *where: Any, form: Form, is_plain: bool = False, cursor: str | None = None, **served: Any
    ) -> None:
        super().__init__(*where, **served)
        self._form = form
        self._is_plain = is_plain
        self._cursor = cursor_after(time.time(), cursor)
        self._manner = ("events", is_plain, self._cursor)
        self._has_said_where = is_plain  # in a control event, if it has any

    async def _begin(self, send: Send) -> None:
        headers = _HEADERS | ({DATA_ENCODING: self._form.encoding} if self._form.encoding is not None else {})
        await send({"type": "http.response.start", "status": 200, "headers": encoded(headers)})
        await self._say(send, encode_retry(self._pacing.retry_ms) + encode_comment("lockgate"))

    def _items(self, items: list[Item], *, up_to_date: bool, is_closed: bool) -> Data:
        """Plain: one event for each item, for ``onmessage``; one without an id does not move the client's position.
        Otherwise one ``data`` event with all items, and the ``control`` event that follows it (Durable Streams 5.8).
        """
        if self._is_plain:
            self._told = next((item.offset for item in reversed(items) if item.offset), self._told)
            return joined(
                [_event(item.data, event_id=str(item.offset) if item.offset is not None else None) for item in items]
            )
        data, offset = self._form.data(items), str(self._after)
        control = self._control(up_to_date=up_to_date, is_closed=is_closed)
        if isinstance(data, bytes):
            return encode_placed_event(data, "data", offset) + control
        return joined([_event(data, event="data", event_id=offset), control])

    def _here(self) -> Data:
        return self._control(up_to_date=True, is_closed=False)

    def _beat(self) -> Data:
        return encode_comment("beat")

    async def _finish(self, send: Send) -> None:
        if self._is_plain:
            if self._told != self._after:  # a view may not show the last record: without its id, a client
                await self._say(send, encode_position(str(self._after)))  # would come back for it again and again
        elif not self._has_said_end:  # otherwise it was sent with the last records
            await self._say(send, self._control(up_to_date=True, is_closed=True))
        await self._end(send)

    async def _send_back(self, send: Send) -> None:
        await self._say(send, encode_retry(self._pacing.retry_ms))
        await self._end(send)

    def _control(self, *, up_to_date: bool, is_closed: bool) -> bytes:
        self._told = self._after
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
    return encode_placed_event(control.encode(), "control", written)
