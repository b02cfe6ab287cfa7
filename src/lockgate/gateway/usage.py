"""Measures what a node takes of the disk and the memory, once a second, and not with each request."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from lockgate.errors import StoreError
from lockgate.gateway.allocator import hole_watch
from lockgate.observe.metrics import Meters
from lockgate.observe.resident import resident_bytes
from lockgate.store.base import StreamLog
from lockgate.streams.quotas import QuotaBook

_log: Final = logging.getLogger("lockgate.usage")
_EVERY_S: Final = 1.0


class UsageWatch:
    """Keeps the numbers of the quotas up to date while it runs."""

    def __init__(self, log: StreamLog, quotas: QuotaBook, meters: Meters) -> None:
        self._log = log
        self._quotas = quotas
        self._meters = meters
        self._holes = hole_watch()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="usage")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=5)

    async def _run(self) -> None:
        is_known = True
        while True:
            await asyncio.to_thread(self._holes.trim_if_grown, resident_bytes())
            self._quotas.memory_bytes = resident_bytes()
            try:
                self._quotas.log_bytes = await self._log.size_bytes()
                is_known = True
            except StoreError as error:  # the last number holds
                if is_known:
                    _log.warning("the size of the log is not known: %s", error)
                is_known = False
            self._meters.used(log_bytes=self._quotas.log_bytes, memory_bytes=self._quotas.memory_bytes)
            await asyncio.sleep(_EVERY_S)
