"""Keeps the log in order while a node runs: no stream stays open without a pump, and what is over goes in time.

Each round asks the log whose streams are open. A stream of a node that is gone is ended; one of our own without a pump
(its last append failed for too long, or nobody knows whether it was made) is ended, too; and a pump whose stream is not
ours any more is stopped: another node ended it, or somebody deleted it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from lockgate.errors import Code, FencedOut, StoreError, StreamClosed, StreamUnknown
from lockgate.protocol.envelope import encode_record
from lockgate.store.base import StreamLog
from lockgate.streams.ending import abandoned_record

_log: Final = logging.getLogger("lockgate.streams")

#: Pause between two rounds.
ROUND_S: Final = 1.0
#: Streams that are ended in one round; the next round follows in a second.
_A_ROUND: Final = 200
#: Streams that one step of expiry deletes at most. Appends go in between, and so many take about 5 ms.
_A_STEP: Final = 100


class Pumps(Protocol):
    """The streams that a node generates."""

    def running(self) -> set[str]:
        """Those that have a pump."""
        ...

    def known(self) -> set[str]:
        """Those, and those that are being made."""
        ...

    def interrupt(self, stream_id: str, why: Code) -> bool:
        """Stop a pump; False if it is not here."""
        ...


class Keeper:
    """The tasks that keep a log, for one node.

    Args:
        name: The node's name in the log.
        retain_s: How long a closed stream is kept.
    """

    def __init__(self, log: StreamLog, name: str, pumps: Pumps, *, retain_s: float) -> None:
        self._log = log
        self._name = name
        self._pumps = pumps
        self._retain_s = retain_s
        self._tasks: list[asyncio.Task[None]] = []
        #: What went wrong last, by what was being done: each trouble is said once.
        self._troubles: dict[str, str] = {}
        #: Streams that were taken over and are not closed yet: with which epoch, and why. Epochs are not without end.
        self._taken: dict[str, tuple[int, Code]] = {}

    def start(self) -> None:
        jobs = {"sweeping": self._sweep, "expiring": self._expire, "hearing requests": self._listen}
        self._tasks = [asyncio.create_task(self._forever(*job), name=f"keeper: {job[0]}") for job in jobs.items()]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    async def _forever(self, what: str, job: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await job()
                self._well(what)
            except StoreError as error:
                self._tell(what, str(error))
            except Exception:
                # Broad, because a node that stops keeping the log leaves streams open: go on and try again.
                _log.exception("%s failed; trying again in %s s", what, ROUND_S)
            await asyncio.sleep(ROUND_S)

    def _tell(self, what: str, trouble: str) -> None:
        if self._troubles.get(what) != trouble:
            self._troubles[what] = trouble
            _log.warning("%s: %s", what, trouble)

    def _well(self, what: str) -> None:
        self._troubles.pop(what, None)

    # -- no stream without a pump ------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        running = self._pumps.running()
        owned = set(await self._log.owned(self._name))
        self._taken = {stream_id: taken for stream_id, taken in self._taken.items() if stream_id in owned}
        for stream_id in sorted(running - owned):
            # Its next append will be refused; until then upstream would go on for nobody.
            self._pumps.interrupt(stream_id, Code.OWNER_GONE)
        strays = sorted(owned - running - self._pumps.known())
        for stream_id in strays[:_A_ROUND]:
            await self._end(stream_id, Code.LOG_FAILED)
        for stream_id in await self._log.orphans(owner=self._name, limit=_A_ROUND):
            await self._end(stream_id, Code.OWNER_GONE)
        if len(self._troubles) > _A_ROUND:
            self._troubles.clear()  # they may be said again

    async def _end(self, stream_id: str, why: Code) -> None:
        """Close a stream as failed. One that cannot be ended keeps no other from it."""
        what = f"stream {stream_id}: cannot be ended"
        try:
            if stream_id not in self._taken:
                self._taken[stream_id] = await self._log.take_over(stream_id, owner=self._name), why
            epoch, why = self._taken[stream_id]
            record = encode_record(abandoned_record(why))
            await self._log.append(stream_id, [record], epoch=epoch, seq=0, close=True)
            _log.warning("stream %s: closed as failed, %s", stream_id, why)
        except (StreamClosed, StreamUnknown, FencedOut):
            pass  # somebody was first
        except StoreError as error:
            self._tell(what, str(error))
            return
        self._taken.pop(stream_id, None)
        self._well(what)

    # -- requests from other nodes -----------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Stop the streams whose end is asked for, wherever it was asked."""
        async with self._log.listen(self._name) as news:
            while True:
                news.clear()
                for stream_id in await self._log.asked(self._name):
                    self._pumps.interrupt(stream_id, Code.CANCELLED)
                await news.wait()

    # -- expiry ------------------------------------------------------------------------------------------------

    async def _expire(self) -> None:
        """Delete what is due, in short steps with room between them."""
        loop, is_done = asyncio.get_running_loop(), False
        while not is_done:
            begun_s = loop.time()
            _, is_done = await self._log.expire(older_than_s=self._retain_s, limit=_A_STEP)
            # As long as the step took: others have the log half of the time.
            await asyncio.sleep(loop.time() - begun_s)
