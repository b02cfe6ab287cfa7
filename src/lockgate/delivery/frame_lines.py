"""The face of NDJSON: one frame a line, over HTTP/1.1 and HTTP/2 alike. Any program that reads lines can read it.

The last line says that the stream is closed. An end without that line means: come back.
"""

from __future__ import annotations

from typing import Final

from lockgate.delivery.live_reader import LiveReader
from lockgate.delivery.readers import Send
from lockgate.delivery.ropes import Data, joined
from lockgate.delivery.views import Item
from lockgate.protocol.header_names import CONTENT_TYPE, LIVE, encoded
from lockgate.protocol.server_frames import (
    ITEM_END,
    NDJSON,
    ONE_LINE,
    end_frame,
    here_frame,
    item_start,
    ping_frame,
    retry_frame,
)

_HEADERS: Final = {CONTENT_TYPE: NDJSON, **LIVE}


class LineReader(LiveReader):
    """One answer in lines."""

    _manner = "frames"
    _pings = 0

    async def _begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": encoded(_HEADERS)})
        await self._say(send, here_frame(self._after, up_to_date=False))

    def _items(self, items: list[Item], *, up_to_date: bool, is_closed: bool) -> Data:
        """A frame for each; the last one tells that all was read up to ``_after``."""
        self._told = self._after
        lines: list[Data] = []
        for item in items:
            offset = self._after if item is items[-1] else item.offset
            data = item.data.translate(ONE_LINE) if isinstance(item.data, bytes) else item.data
            lines += (item_start(offset), data, ITEM_END)
        return joined(lines)

    def _here(self) -> Data:
        self._told = self._after
        return here_frame(self._after, up_to_date=True)

    def _beat(self) -> Data:
        self._pings += 1
        return ping_frame(self._pings)

    async def _finish(self, send: Send) -> None:
        await self._say(send, end_frame(self._after, self._view.outcome))
        await self._end(send)

    async def _send_back(self, send: Send) -> None:
        await self._say(send, retry_frame(self._told, self._pacing.retry_ms))
        await self._end(send)
