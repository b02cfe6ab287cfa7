"""When the next transaction begins, and which writes it takes along.

How it works: one batch of writes is with the writer thread, and what comes meanwhile gathers for the next. So a thread
is woken, and a transaction made, once for what many streams write, and never while an earlier one is under way. An idle
log commits at once; while several streams write, commits keep a distance.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from lockgate.store.sqlite.writer_thread import Append, Job


class CommitPace:
    """Gathers the writes of one log, in their order. Belongs to the event loop.

    Args:
        every_s: Shortest time between the beginnings of two transactions, while several streams write.
        give: Takes a batch to the writer.
    """

    def __init__(self, every_s: float, give: Callable[[list[Job]], None]) -> None:
        self._every_s = every_s
        self._give = give
        self._gathered: list[Job] = []
        self._is_under_way = False
        self._timer: asyncio.Handle | None = None  # set while a batch waits for its time
        self._begun_s = 0.0
        self._last = ""  # the stream that wrote last

    def add(self, job: Job) -> None:
        """Write this with the next transaction."""
        self._gathered.append(job)
        if self._timer is None and not self._is_under_way:
            self._wait()

    def settled(self) -> None:
        """The batch that was with the writer is committed, or has failed."""
        self._is_under_way = False
        if self._gathered and self._timer is None:
            self._wait()

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        first = self._gathered[0]
        left_s = self._begun_s + self._every_s - time.monotonic()
        # Others than who wrote last are likely to write soon, too; who writes alone need not wait for anybody.
        if left_s > 0 and isinstance(first, Append) and first.stream_id != self._last:
            self._timer = loop.call_later(left_s, self.begin)
        else:
            self._timer = loop.call_soon(self.begin)  # with all that this turn of the loop brings

    def begin(self) -> None:
        """Begin a transaction with all that has gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._gathered:
            return
        jobs, self._gathered = self._gathered, []
        self._begun_s = time.monotonic()
        last = jobs[-1]
        self._last = last.stream_id if isinstance(last, Append) else ""
        self._is_under_way = True
        self._give(jobs)
