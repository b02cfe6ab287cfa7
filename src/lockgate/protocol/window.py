"""Windows: how much a reader may be sent beyond what it says it has.

Buffers between server and page hide megabytes, so neither end sees how far behind a slow page is. A reader that
acknowledges offsets tells it: what was sent beyond the last one is under way, and over the window nothing more is sent.

Whoever acknowledges may be wrong, or lie. So what he says counts at most for what he was told, and only for that: what
comes afterwards is under way again.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from lockgate.protocol.offsets import Offset

#: An acknowledgement is only so exact: what is sent within this part of the window counts as one.
_PARTS: Final = 32
#: Positions that are remembered of a reader that acknowledges none of them, the newest ones.
_MAX_POSITIONS: Final = 256


class Window:
    """That of one reader.

    Args:
        limit_bytes: The most that may be under way.
        is_used: Whether it counts from the first byte; otherwise from the first acknowledgement or credit.
    """

    def __init__(self, limit_bytes: int, *, is_used: bool = False) -> None:
        self._limit_bytes = self._credit_bytes = limit_bytes
        self._is_used = is_used
        self._sent_bytes = 0
        self._acknowledged_bytes = 0
        self._acknowledged: Offset | None = None
        self._told: Offset | None = None
        self._positions: deque[tuple[Offset, int]] = deque(maxlen=_MAX_POSITIONS)

    @property
    def under_way_bytes(self) -> int:
        """Sent beyond what was acknowledged."""
        return self._sent_bytes - self._acknowledged_bytes

    @property
    def is_used(self) -> bool:
        """Whether it counts."""
        return self._is_used

    @property
    def acknowledged(self) -> Offset | None:
        """What the reader has, as it says; None if it said nothing yet."""
        return self._acknowledged

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be sent for now."""
        return self._is_used and self.under_way_bytes >= self._credit_bytes

    def sent(self, told: Offset | None, count: int) -> None:
        """So many bytes were sent.

        Args:
            told: The last position that the reader was told, with these bytes or before them. Bytes before the first
                one do not count: nobody could acknowledge them.
        """
        if told is None:
            return
        self._sent_bytes += count
        self._told = told
        positions = self._positions
        if self._acknowledged is not None and told <= self._acknowledged and not positions:
            self._acknowledged_bytes = self._sent_bytes  # nothing new was in them, only that the connection lives
            return
        if len(positions) > 1 and self._sent_bytes - positions[-2][1] < self._limit_bytes // _PARTS:
            positions.pop()
        positions.append((told, self._sent_bytes))

    def acknowledge(self, offset: Offset) -> None:
        """The reader has all up to a position; one that it was not told yet counts as the last that it was."""
        self._is_used = True
        if self._told is None:
            return
        offset = min(offset, self._told)
        self._acknowledged = max(offset, self._acknowledged or offset)
        while self._positions and self._positions[0][0] <= offset:
            self._acknowledged_bytes = self._positions.popleft()[1]

    def grant(self, credit_bytes: int) -> None:
        """The reader takes at most so many bytes under way, within the limit; 0 stops it."""
        self._is_used = True
        self._credit_bytes = min(credit_bytes, self._limit_bytes)
