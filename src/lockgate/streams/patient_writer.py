"""Writes the records of one stream, and does not give up while the log is in trouble for a while."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from lockgate.errors import StoreFailing
from lockgate.protocol.offsets import Offset
from lockgate.store.base import Receipt, StreamLog

_log: Final = logging.getLogger("lockgate.streams")

#: First and longest pause between two tries.
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0


class PatientWriter:
    """Appends to one stream, one append after the other.

    An append that failed is sent again with the same number, so it is there once, whether or not the first one was
    committed.

    Args:
        patience_s: How long an append is tried again.
        appended: Called with the position after each append, and how many bytes it had; None: nobody counts them.
    """

    def __init__(
        self,
        log: StreamLog,
        stream_id: str,
        epoch: int,
        patience_s: float,
        appended: Callable[[Offset, int], None] | None = None,
    ) -> None:
        self._log = log
        self._stream_id = stream_id
        self._epoch = epoch
        self._patience_s = patience_s
        self._appended = appended
        self._begun_bytes = 0  # of what was begun last
        self._seq = 0
        #: Since when an append is tried again, in seconds since 1970; None while the log is well.
        self.stuck_since_s: float | None = None

    def begin(self, payloads: Sequence[bytes], receipt: Receipt) -> bool:
        """Append without waiting. Nothing else may be appended before this is known to be committed.

        Args:
            receipt: As the log has it; call ``began_is_committed`` then. After an error the payloads go to ``append``,
                which may be the second time.

        Returns:
            Whether it is committed already.

        Raises:
            StoreError: as ``StreamLog.begin_append``.
        """
        end = self._log.begin_append(self._stream_id, payloads, epoch=self._epoch, seq=self._seq, receipt=receipt)
        if self._appended is not None:
            self._begun_bytes = sum(map(len, payloads))
        if end is None:
            return False
        self.began_is_committed(end)
        return True

    def began_is_committed(self, end: Offset) -> None:
        """What was begun is committed, and ends there."""
        self._seq += 1
        if self._appended is not None:
            self._appended(end, self._begun_bytes)

    async def append(self, payloads: Sequence[bytes], *, close: bool = False) -> Offset:
        """Append, and wait for the log if need be.

        Raises:
            StoreFailing: it took nothing for ``patience_s``.
            StoreError: the stream is not ours any more, or is gone; waiting would not help.
        """
        until_s, pause_s = time.monotonic() + self._patience_s, _FIRST_PAUSE_S
        try:
            while True:
                try:
                    end = await self._log.append(
                        self._stream_id, payloads, epoch=self._epoch, seq=self._seq, close=close
                    )
                except StoreFailing as error:
                    left_s = until_s - time.monotonic()
                    if left_s <= 0:
                        raise
                    if self.stuck_since_s is None:
                        self.stuck_since_s = time.time()
                        _log.info("stream %s: waits for the log: %s", self._stream_id, error)
                    await asyncio.sleep(min(pause_s, left_s))
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                else:
                    self._seq += 1
                    if self._appended is not None:
                        self._appended(end, sum(map(len, payloads)))
                    return end
        finally:
            self.stuck_since_s = None
