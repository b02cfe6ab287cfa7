"""Backpressure on upstream: while every reader lags, the pump reads slower, so that the provider has to wait.

How it works: what was appended is counted against how far the foremost reader is, like the window of one that
acknowledges. While that is too much, nothing is read from upstream, whose socket fills and stops the provider. Each
pause has an end, because a reader that never comes on must not hold an answer for ever: then one more piece is read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from lockgate.observe.metrics import Meters
from lockgate.protocol.offsets import Offset
from lockgate.protocol.window import Window

_log: Final = logging.getLogger("lockgate.streams")

#: How often a stream that waits for its readers looks how far they are.
_LOOK_AGAIN_S: Final = 0.02


class Backpressure:
    """That of one stream.

    Args:
        over_bytes: What readers may lag: bytes of records in the log.
        foremost: How far the reader is that is furthest; None while nobody reads, which holds nothing up.
        pause_s: The longest pause, in seconds.

    Attributes:
        paused_since_s: Since when nothing is read from upstream, in seconds since 1970; None while it is read.
    """

    def __init__(
        self, stream_id: str, meters: Meters, *, over_bytes: int, foremost: Callable[[], Offset | None], pause_s: float
    ) -> None:
        self._stream_id = stream_id
        self._meters = meters
        self._appended = Window(over_bytes, is_used=True)
        self._foremost = foremost
        self._pause_s = pause_s
        self._has_said = False
        self.paused_since_s: float | None = None

    def appended(self, end: Offset, count: int) -> None:
        """So many bytes of records were appended, up to a position."""
        self._appended.sent(end, count)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody reads, and all who do lag too much."""
        if not self._appended.is_full:
            return False
        foremost = self._foremost()
        if foremost is None:
            return False
        self._appended.acknowledge(foremost)
        return self._appended.is_full

    async def pause(self) -> None:
        """Wait until it is not wanted any more, but not for too long."""
        begun_s = time.monotonic()
        self.paused_since_s = time.time()
        if not self._has_said:
            self._has_said = True
            lag_bytes = self._appended.under_way_bytes
            _log.info("stream %s: upstream waits: every reader lags by %d bytes or more", self._stream_id, lag_bytes)
        try:
            # Looked at again and again: readers would else have to say at each chunk how far they are.
            while self.is_wanted and time.monotonic() - begun_s < self._pause_s:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_AGAIN_S)
        finally:
            self.paused_since_s = None
            self._meters.upstream_paused(time.monotonic() - begun_s)
