"""The workers of a node.

Two queues, of schemas that nobody has seen and of documents that are judged to their end, each with processes of its
own; and processes that each have one heavy schema. A schema that takes its process down with it holds up neither the
other queue nor anybody whose schema is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from lockgate.errors import Busy
from lockgate.workers.process import Worker, WorkerDied

_log: Final = logging.getLogger("lockgate.workers")

#: Calls that wait in one queue at most.
_MAX_WAITING: Final = 256
#: Comparisons that wait at most. One may take some seconds, so the last of them waits for minutes.
_MAX_COMPARISONS: Final = 32


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What workers may take.

    Attributes:
        processes: Most processes for each of the two queues.
        heavy: Most schemas with a process of their own.
        cpu_s: CPU seconds for one call.
        memory_bytes: Memory of one process, with all that is mapped into it.
    """

    processes: int = 2
    heavy: int = 4
    cpu_s: int = 5
    memory_bytes: int = 1024 * 1024 * 1024


class _Seats:
    """Seats that calls take in turn. Who finds none free waits, in order, and not too many wait."""

    def __init__(self, seats: int, max_waiting: int, what: str) -> None:
        self._turns = asyncio.Semaphore(seats)
        self._max_waiting = max_waiting
        self._what = what
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a seat, and have it.

        Raises:
            Busy: too many wait already.
        """
        if self._waiting >= self._max_waiting:
            raise Busy(f"{self._max_waiting} {self._what} wait to be looked at: try again in a moment")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()


class Queue:
    """Workers that are all alike: each call goes to one that is free, or waits for one, in order."""

    def __init__(self, limits: WorkerLimits, what: str) -> None:
        self._limits = limits
        self._what = what
        self._free: list[Worker] = []
        self._seats = _Seats(limits.processes, _MAX_WAITING, what)

    async def warm(self) -> None:
        """Have one process ready."""
        await self.call("is_ready")

    async def call(self, name: str, *args: Any, cpu_s: int | None = None) -> Any:
        """As ``Worker.call``.

        Raises:
            Busy: too many wait already.
            WorkerDied: as there, and because of this call.
        """
        async with self._seats.one():
            while True:
                worker, is_fresh = (self._free.pop(), False) if self._free else (await self._started(), True)
                try:
                    value = await worker.call(name, *args, cpu_s=cpu_s or self._limits.cpu_s)
                except WorkerDied as died:
                    await worker.stop()
                    _log.warning("a worker for %s was ended: it %s", self._what, died)
                    if is_fresh or died.cause == "time":
                        raise
                    # What it did before may have filled it, or it was ended while it waited: a fresh one tells.
                except asyncio.CancelledError:
                    await worker.stop()  # nobody should wait for what it is doing
                    raise
                except Exception:
                    self._free.append(worker)
                    raise
                else:
                    self._free.append(worker)
                    return value

    async def _started(self) -> Worker:
        worker = Worker(self._limits.memory_bytes)
        await worker.start()
        return worker

    async def stop(self) -> None:
        """End the processes."""
        while self._free:
            await self._free.pop().stop()


class WorkerPool:
    """All workers of a node.

    Attributes:
        schemas: The queue of schemas that nobody has seen.
        documents: The queue of documents that are judged to their end.
    """

    def __init__(self, limits: WorkerLimits | None = None) -> None:
        self.limits = limits or WorkerLimits()
        self.schemas = Queue(self.limits, "new schemas")
        self.documents = Queue(self.limits, "long documents")
        # Each takes seconds, so they never have all processes, unless there is only one.
        self._comparisons = _Seats(max(1, self.limits.processes // 2), _MAX_COMPARISONS, "comparisons of schemas")
        self._heavy: OrderedDict[bytes, HeavyWorker] = OrderedDict()

    def comparing(self) -> AbstractAsyncContextManager[None]:
        """Wait for one's turn to compare schemas, and have it: who has it may call ``schemas`` for that.

        Comparisons have half of the processes of that queue at most, so new schemas wait behind none of them, or,
        where there is one process, behind one.

        Raises:
            Busy: too many wait already.
        """
        return self._comparisons.one()

    async def start(self) -> None:
        """Have a worker ready for the first schema. Where that fails, the first schema says so, too."""
        try:
            await self.schemas.warm()
        except (WorkerDied, OSError) as error:
            _log.warning("no worker for new schemas could be started: %s", error)

    def heavy(self, key: bytes) -> HeavyWorker:
        """The worker of a heavy schema.

        Raises:
            Busy: all that there may be are in use. Before that, gates that rest are taken away, the least recently used
                first.
        """
        worker = self._heavy.get(key)
        if worker is None:
            self._make_room()
            worker = self._heavy[key] = HeavyWorker(self.limits)
        self._heavy.move_to_end(key)
        return worker

    def _make_room(self) -> None:
        if len(self._heavy) < self.limits.heavy:
            return
        idle = next((key for key, worker in self._heavy.items() if worker.is_idle), None)
        if idle is None:
            resting = [key for key, worker in self._heavy.items() if worker.is_resting]
            if not resting:
                raise Busy(
                    f"{self.limits.heavy} schemas that are large, or costly to judge by, are in use (workers.heavy): "
                    "try again in a moment"
                )
            idle = min(resting, key=lambda key: self._heavy[key].used)
            self._heavy[idle].take_gates()
        self._heavy.pop(idle).end()

    async def stop(self) -> None:
        """End all processes."""
        for worker in self._heavy.values():
            await worker.stop()
        self._heavy.clear()
        await self.schemas.stop()
        await self.documents.stop()


class HeavyWorker:
    """The process of one heavy schema. It is started when it is first asked, and again after it died.

    Attributes:
        gates: Numbers of the gates that it has for somebody.
        used: When a gate of it was last used: the larger, the later.
    """

    _uses: ClassVar[Iterator[int]] = itertools.count(1)

    def __init__(self, limits: WorkerLimits) -> None:
        self._limits = limits
        self._worker: Worker | None = None
        self._starting = asyncio.Lock()
        self._last_number = 0
        self._calls = 0
        self.gates: set[int] = set()
        self.used = 0
        # Gates that can be taken away, and what is to be called then.
        self._resting: dict[int, Callable[[], None]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nobody would miss it."""
        return not self.gates and not self._calls

    @property
    def is_resting(self) -> bool:
        """Whether those who have a gate could do without it for now."""
        return len(self._resting) == len(self.gates) and not self._calls

    def rest(self, number: int, take: Callable[[], None]) -> None:
        """A gate is not used for now: it may be taken away, until ``wake``.

        Args:
            take: Called when it is: it has to ``drop`` the gate.
        """
        self.used = next(self._uses)
        self._resting[number] = take

    def wake(self, number: int) -> None:
        """A gate is used again."""
        self._resting.pop(number, None)

    def take_gates(self) -> None:
        """Take away all that rest."""
        for take in list(self._resting.values()):
            take()

    def new_number(self) -> int:
        """A number for a gate, which counts as in use from now on."""
        self._last_number += 1
        self.gates.add(self._last_number)
        return self._last_number

    async def worker(self) -> Worker:
        """The process, alive."""
        async with self._starting:
            if self._worker is None or not self._worker.is_alive:
                if self._worker is not None:
                    await self._worker.stop()
                worker = Worker(self._limits.memory_bytes)
                await worker.start()
                self._worker = worker
            return self._worker

    async def call(self, name: str, *args: Any) -> Any:
        """As ``Worker.call``, for what needs no gate."""
        self._calls += 1
        try:
            worker = await self.worker()
            return await worker.call(name, *args, cpu_s=self._limits.cpu_s)
        finally:
            self._calls -= 1

    def drop(self, number: int) -> None:
        """A gate is not used any more."""
        self.gates.discard(number)
        self._resting.pop(number, None)
        if self._worker is not None:
            self._worker.tell("drop", number)

    def end(self) -> None:
        """End the process; nobody waits for it."""
        if self._worker is not None:
            self._worker.end("was not needed any more")

    async def stop(self) -> None:
        """End the process, and wait until it is gone."""
        if self._worker is not None:
            await self._worker.stop()
