"""A log that fails when a test says so, before or after it did what was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from lockgate.errors import StoreFailing
from lockgate.protocol.offsets import Offset
from lockgate.store.memory import MemoryLog

Trouble = Literal["none", "before", "after"]


class TroubledLog(MemoryLog):
    """Asks ``trouble`` before each append what becomes of it; ``after``: it is committed, and the answer is lost."""

    def __init__(self, trouble: Callable[[], Trouble] = lambda: "none") -> None:
        super().__init__()
        self.trouble = trouble
        self.tried = asyncio.Event()
        self.tries = 0

    async def append(
        self, stream_id: str, payloads: Sequence[bytes], *, epoch: int, seq: int, close: bool = False
    ) -> Offset:
        self.tries += 1
        self.tried.set()
        trouble = self.trouble()
        if trouble == "before":
            raise StoreFailing("the disk is full")
        end = await super().append(stream_id, payloads, epoch=epoch, seq=seq, close=close)
        if trouble == "after":
            raise StoreFailing("no commit in time")
        return end
