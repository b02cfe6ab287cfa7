"""The streams that this node owns: started, cancelled and drained. ``keeper`` ends those that nobody writes."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from lockgate.errors import Busy, Code, FencedOut, Forbidden, StoreError, StoreFailing, StreamUnknown
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import WaitingFor
from lockgate.protocol.header_names import UPSTREAM_AUTHORIZATION
from lockgate.registry.registry import SchemaRegistry
from lockgate.retry.breaker import Breakers, BreakerState
from lockgate.retry.ladder import models_of
from lockgate.store.base import StreamLog
from lockgate.streams.backpressure import Backpressure
from lockgate.streams.heart import Heart
from lockgate.streams.keeper import Keeper
from lockgate.streams.meta import StreamMeta, encode_meta
from lockgate.streams.plan import Plan
from lockgate.streams.pump import Pump, Trace
from lockgate.upstream.base import Provider

_log: Final = logging.getLogger("lockgate.streams")

#: How often a node beats. It is gone for another node that beats three times meanwhile (``store.pulses``).
BEAT_S: Final = 1.0
#: A node whose log took no beat for so long is not ready.
_UNREADY_S: Final = 3.0
#: Longest wait for a stream whose end was asked for.
END_S: Final = 2.0


class StreamOwner:
    """Owns the streams that one node generates.

    Args:
        max_open: Most streams at once.
        abandon_after_s: A stream is cancelled so long after its last reader left, if its plan does not say; None:
            never.
        trace: Called with the id and plan of each stream; makes what the pump calls with every piece of text.
        ended: Called with the id of each stream that is over.
        generating: Called with the id of each stream's schema; entered while the stream is generated.
        retain_s: How long a closed stream is kept.
        patience_s: How long an append is tried again that the log does not take.
        registry: As ``Pump`` has it.
        backpressure: Makes that of each stream, from its id.

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
        generating: Callable[[str], AbstractContextManager[object]] = nullcontext,
        retain_s: float = 86_400.0,
        patience_s: float = 60.0,
        registry: SchemaRegistry | None = None,
        backpressure: Callable[[str], Backpressure | None] = lambda stream_id: None,
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
        self._generating = generating
        self._patience_s = patience_s
        self._registry = registry
        self._backpressure = backpressure
        self._pumps: dict[str, tuple[Pump, asyncio.Task[None]]] = {}
        #: Streams that are being made: the log may have them before there is a pump.
        self._making: set[str] = set()
        self._heart = Heart(lambda: log.beat(self.name), BEAT_S)
        self._keeper = Keeper(log, self.name, self, retain_s=retain_s)
        self._is_draining = False

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
        silent_s = self._heart.silent_s
        if silent_s is None or silent_s > _UNREADY_S:
            why = self._heart.trouble or "no answer yet; is its file locked, or does the disk hang?"
            return f"the log of streams has taken no write for more than {_UNREADY_S:g} s: {why}"
        if self._heart.trouble:
            return f"the log of streams has not taken the last write: {self._heart.trouble}"
        return ""

    # -- life --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await self._log.open()
        await asyncio.to_thread(self._heart.start)
        self._keeper.start()

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
        await self._keeper.stop()
        for _, task in list(self._pumps.values()):
            task.cancel()
        if self._pumps:
            await asyncio.wait([task for _, task in self._pumps.values()], timeout=5)
        await self._provider.close()
        await asyncio.to_thread(self._heart.stop, 5.0)
        await self._log.shut()

    # -- streams -----------------------------------------------------------------------------------------------

    def refuse_if_draining(self) -> None:
        """Refuse what would begin a stream.

        Raises:
            Busy: this node is going down.
        """
        if self._is_draining:
            raise Busy("this gateway is shutting down: send the request to another node, or again in a moment")

    def check_models(self, plan: Plan) -> None:
        """Each model of a plan has a provider; it takes the caller's own key, where there is one.

        Raises:
            ModelUnknown: no provider is asked for a model.
            Forbidden: a provider does not take keys of callers.
        """
        for model in models_of(plan.body):
            provider = self._provider.serving(model)
            if plan.authorization is not None and not provider.takes_authorization:
                raise Forbidden(
                    f"{UPSTREAM_AUTHORIZATION}: {provider.name} is not sent keys of callers; its operator may set "
                    "upstream.caller_authorization"
                )

    async def generate(self, stream_id: str, meta: StreamMeta, plan: Plan) -> None:
        """Start a generation.

        Raises:
            Busy: draining, or too many streams are open.
            StoreError: the log does not take it.
        """
        self.refuse_if_draining()
        if len(self._pumps) + len(self._making) >= self._max_open:
            raise Busy(f"{self._max_open} streams are open already (server.max_open_streams): try again in a moment")
        self._making.add(stream_id)
        try:
            epoch = await self._log.create(stream_id, encode_meta(meta), owner=self.name)
            self._begin(stream_id, meta.schema, plan, epoch)
        finally:
            self._making.discard(stream_id)

    def _begin(self, stream_id: str, schema_id: str, plan: Plan, epoch: int) -> None:
        trace = self._trace(stream_id, plan)
        pump = Pump(
            stream_id,
            plan,
            self._provider,
            self._log,
            self._meters,
            epoch=epoch,
            breakers=self._breakers,
            patience_s=self._patience_s,
            trace=trace,
            registry=self._registry,
            backpressure=self._backpressure(stream_id),
        )
        self._meters.stream_opened()
        task = asyncio.create_task(self._run(pump, schema_id), name=f"pump {stream_id}")
        self._pumps[stream_id] = (pump, task)

    async def _run(self, pump: Pump, schema_id: str) -> None:
        ended = "lost"
        try:
            with self._generating(schema_id):
                ended = str(await pump.run())
        except (FencedOut, StreamUnknown):
            _log.warning("stream %s: was ended or deleted elsewhere; upstream is closed", pump.stream_id)
        except StoreFailing as error:
            _log.warning("stream %s: is given up, and ended once the log takes it: %s", pump.stream_id, error)
        except StoreError:
            _log.exception("stream %s: cannot be written any more", pump.stream_id)
        finally:
            self._pumps.pop(pump.stream_id, None)
            self.reader_came(pump.stream_id)  # nothing is left to abandon
            if pump.failure is not None:
                _log.warning("stream %s: %s: %s", pump.stream_id, pump.failure.code, pump.failure.message)
            self._ended(pump.stream_id)
            self._meters.stream_ended(ended)

    def running(self) -> set[str]:
        """The streams that have a pump here."""
        return set(self._pumps)

    def known(self) -> set[str]:
        """Those, and those that are being made."""
        return self._making.union(self._pumps)

    def interrupt(self, stream_id: str, why: Code) -> bool:
        """Stop a stream; False if it is not running here."""
        found = self._pumps.get(stream_id)
        if found is not None:
            found[0].interrupt(why)
        return found is not None

    def heard(self, stream_id: str) -> tuple[float, WaitingFor] | None:
        """Since when a stream waits, in seconds since 1970, and for what; None if it is not running here."""
        found = self._pumps.get(stream_id)
        return found[0].heard if found is not None else None

    async def end(self, stream_id: str) -> bool:
        """Cancel a stream, whichever node generates it, and wait for its end.

        Returns:
            Whether it is closed: at once if it was, False if it does not end within ``END_S``.

        Raises:
            StreamUnknown: there is no such stream.
            StoreFailing: another node generates it, and the log does not take the request to that one.
        """
        if not self.interrupt(stream_id, Code.CANCELLED):
            await self._log.ask_end(stream_id)
        try:
            async with asyncio.timeout(END_S), self._log.watch(stream_id) as news:
                while True:
                    news.clear()
                    if (await self._log.head(stream_id)).is_closed:
                        return True
                    await news.wait()
        except TimeoutError:
            return False

    # -- readers, as far as generations depend on them -----------------------------------------------------------

    def reader_came(self, stream_id: str) -> None:
        """Somebody reads: the stream is not abandoned."""
        handle = self._abandoning.pop(stream_id, None)
        if handle is not None:
            handle.cancel()

    def readers_left(self, stream_id: str) -> None:
        """The last reader left: unless one comes back in time, the generation is cancelled, where that is wanted."""
        found = self._pumps.get(stream_id)
        if found is None:
            return
        after_s = found[0].abandon_after_s
        after_s = self._abandon_after_s if after_s is None else after_s
        if after_s is not None:
            loop = asyncio.get_running_loop()
            self.reader_came(stream_id)
            self._abandoning[stream_id] = loop.call_later(after_s, found[0].interrupt, Code.ABANDONED)

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
