"""The streams that this node owns: started, cancelled and drained; and those of dead nodes, ended as failed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from lockgate.errors import Busy, Code, StoreError, StreamClosed
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import encode_record
from lockgate.retry.breaker import Breakers, BreakerState
from lockgate.store.base import StreamLog
from lockgate.streams.ending import owner_gone_record
from lockgate.streams.meta import StreamMeta, encode_meta
from lockgate.streams.plan import Plan
from lockgate.streams.pump import Pump, Trace
from lockgate.upstream.base import Provider

_log: Final = logging.getLogger("lockgate.streams")

#: How long a node counts as alive after its last beat, and how often it beats. Two beats may fail.
LEASE_S: Final = 3.0
BEAT_S: Final = 1.0
#: Streams of dead nodes that are ended in one round; the next round follows in a second.
_ORPHANS_A_ROUND: Final = 200
#: Longest wait for a stream that was cancelled to write its end.
_END_S: Final = 10.0


class StreamOwner:
    """Owns the streams that one node generates.

    Args:
        max_open: Most streams at once.
        abandon_after_s: A stream is cancelled so long after its last reader left; None: never.
        trace: Called with the id and plan of each stream; makes what the pump calls with every piece of text.
        ended: Called with the id of each stream that is over.
        retain_s: How long a closed stream is kept.

    Attributes:
        name: The owner's name in the log; another one for each process.
    """

    def __init__(
        self,
        log: StreamLog,
        provider: Provider,
        meters: Meters,
        *,
        max_open: int,
        breakers: Breakers | None = None,
        abandon_after_s: float | None = None,
        trace: Callable[[str, Plan], Trace | None] = lambda stream_id, plan: None,
        ended: Callable[[str], None] = lambda stream_id: None,
        retain_s: float = 86_400.0,
    ) -> None:
        self.name = secrets.token_hex(8)
        self._log = log
        self._provider = provider
        self._meters = meters
        self._max_open = max_open
        self._breakers = breakers or Breakers()
        self._meters.watch_breakers(self._count_breakers)
        self._abandon_after_s = abandon_after_s
        self._abandoning: dict[str, asyncio.TimerHandle] = {}
        self._trace = trace
        self._ended = ended
        self._retain_s = retain_s
        self._pumps: dict[str, tuple[Pump, asyncio.Task[None]]] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._is_draining = False
        #: When the log last took a write, by the monotonic clock; None before the first.
        self._written_s: float | None = None

    @property
    def open_count(self) -> int:
        return len(self._pumps)

    @property
    def is_draining(self) -> bool:
        return self._is_draining

    @property
    def why_not_ready(self) -> str:
        """Why this node should be sent no new streams; ``""`` if it should.

        Asking costs nothing: the beat of every second is a write, so its success shows that the log takes appends.
        """
        if self._is_draining:
            return "this node is shutting down"
        if self._written_s is None or time.monotonic() - self._written_s > LEASE_S:
            return f"the log of streams has taken no write for more than {LEASE_S:g} s; this node's output says why"
        return ""

    # -- life --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await self._log.open()
        await self._beat()
        self._keeper = asyncio.create_task(self._keep())

    async def drain(self, drain_s: float) -> None:
        """Take nothing new, let open streams finish for ``drain_s``, then end the rest as failed ``owner_gone``."""
        self._is_draining = True
        tasks = [task for _, task in self._pumps.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=drain_s)
        for pump, _ in self._pumps.values():
            pump.interrupt(Code.OWNER_GONE)
        if self._pumps:
            await asyncio.wait([task for _, task in self._pumps.values()], timeout=10)

    async def stop(self) -> None:
        """After ``drain``: release everything. Another node ends the streams that are still open."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper], timeout=5)
        for _, task in list(self._pumps.values()):
            task.cancel()
        if self._pumps:
            await asyncio.wait([task for _, task in self._pumps.values()], timeout=5)
        await self._provider.close()
        await self._log.shut()

    async def _keep(self) -> None:
        """Beat, and end the streams of nodes that do not beat any more."""
        while True:
            try:
                await self._beat()
                for stream_id in await self._log.orphans(limit=_ORPHANS_A_ROUND):
                    await self._end_orphan(stream_id)
                await self._log.expire(older_than_s=self._retain_s, limit=_ORPHANS_A_ROUND)
            except Exception:
                # Whatever went wrong: a node that stops beating loses its streams, so go on and try again.
                _log.exception("keeping the stream log failed; trying again in %s s", BEAT_S)
            await asyncio.sleep(BEAT_S)

    async def _beat(self) -> None:
        await self._log.beat(self.name, ttl_s=LEASE_S)
        self._written_s = time.monotonic()

    async def _end_orphan(self, stream_id: str) -> None:
        with contextlib.suppress(StreamClosed):  # another node was first
            epoch = await self._log.take_over(stream_id, owner=self.name)
            record = owner_gone_record(0)
            await self._log.append(stream_id, [encode_record(record)], epoch=epoch, seq=0, close=True)
            _log.warning("stream %s: its owner is gone; closed as failed", stream_id)

    # -- streams -----------------------------------------------------------------------------------------------

    def refuse_if_draining(self) -> None:
        """Refuse what would begin a stream.

        Raises:
            Busy: this node is going down.
        """
        if self._is_draining:
            raise Busy("this gateway is shutting down: send the request to another node, or again in a moment")

    async def generate(self, stream_id: str, meta: StreamMeta, plan: Plan) -> None:
        """Start a generation.

        Raises:
            Busy: draining, or too many streams are open.
            StoreError: the log does not take it.
        """
        self.refuse_if_draining()
        if len(self._pumps) >= self._max_open:
            raise Busy(f"{self._max_open} streams are open already (server.max_open_streams): try again in a moment")
        epoch = await self._log.create(stream_id, encode_meta(meta), owner=self.name)
        trace = self._trace(stream_id, plan)
        pump = Pump(
            stream_id,
            plan,
            self._provider,
            self._log,
            self._meters,
            epoch=epoch,
            breakers=self._breakers,
            trace=trace,
        )
        self._meters.stream_opened()
        task = asyncio.create_task(self._run(pump), name=f"pump {stream_id}")
        self._pumps[stream_id] = (pump, task)

    async def _run(self, pump: Pump) -> None:
        ended = "lost"
        try:
            ended = str(await pump.run())
        except StoreError:
            _log.exception("stream %s: cannot be written any more", pump.stream_id)
        finally:
            self._pumps.pop(pump.stream_id, None)
            self.reader_came(pump.stream_id)  # nothing is left to abandon
            if pump.failure is not None:
                _log.warning("stream %s: %s: %s", pump.stream_id, pump.failure.code, pump.failure.message)
            self._ended(pump.stream_id)
            self._meters.stream_ended(ended)

    def cancel(self, stream_id: str) -> bool:
        """Ask a stream to stop; False if it is not running here."""
        found = self._pumps.get(stream_id)
        if found is not None:
            found[0].interrupt(Code.CANCELLED)
        return found is not None

    def heard(self, stream_id: str) -> tuple[float, bool] | None:
        """When upstream last said something for a stream, and whether text came; None if it is not running here."""
        found = self._pumps.get(stream_id)
        return found[0].heard if found is not None else None

    async def end(self, stream_id: str) -> bool:
        """Cancel a stream and wait for its end; False if it is not running here, or does not end in time."""
        found = self._pumps.get(stream_id)
        if found is None:
            return False
        found[0].interrupt(Code.CANCELLED)
        done, _ = await asyncio.wait([found[1]], timeout=_END_S)
        return bool(done)

    # -- readers, as far as generations depend on them -----------------------------------------------------------

    def reader_came(self, stream_id: str) -> None:
        """Somebody reads: the stream is not abandoned."""
        handle = self._abandoning.pop(stream_id, None)
        if handle is not None:
            handle.cancel()

    def readers_left(self, stream_id: str) -> None:
        """The last reader left: unless one comes back in time, the generation is cancelled, if the settings say so."""
        found = self._pumps.get(stream_id)
        if found is not None and self._abandon_after_s is not None:
            loop = asyncio.get_running_loop()
            self.reader_came(stream_id)
            self._abandoning[stream_id] = loop.call_later(self._abandon_after_s, found[0].interrupt, Code.ABANDONED)

    # -- circuit breakers --------------------------------------------------------------------------------------

    def _count_breakers(self, state: str) -> int:
        return sum(one == state for _, _, one in self._breakers.states(time.monotonic()))

    def open_breakers(self) -> list[dict[str, Any]]:
        """Those that are not closed, as JSON values; a hundred at most."""
        now_s = time.monotonic()
        found = [
            {"provider": provider, "model": model, "state": str(state)}
            | {"retry_in_s": round(self._breakers.of(provider, model).retry_in_s(now_s), 3)}
            for provider, model, state in self._breakers.states(now_s)
            if state is not BreakerState.CLOSED
        ]
        return found[:100]
