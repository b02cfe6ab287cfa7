"""Commits the steps of all streams: what gathers while one round trip is under way goes with the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from lockgate.errors import LockgateError, Misuse, StoreError, StoreFailing
from lockgate.protocol.offsets import Offset
from lockgate.store.base import Receipt
from lockgate.store.redis import scripts
from lockgate.store.redis.draft import Repeated, StreamDraft, StreamSnapshot
from lockgate.store.redis.layout import KeyLayout, StreamKeys
from lockgate.store.redis.redis_server import RedisServer
from lockgate.store.redis.stored_stream import unpack_producer
from lockgate.store.rows import REPEATS

# Most steps, and bytes, of one round trip: judging and packing so many takes some milliseconds of the event loop.
_ROUND_STEPS: Final = 100
_ROUND_BYTES: Final = 4 * 1024 * 1024
# So often may others be faster before a step is refused. Each time, one of the others has got on.
_TRIES: Final = 100
# Most snapshots to remember; a forgotten one is loaded again. More streams than the gateway writes at once.
_MAX_SNAPSHOTS: Final = 4096


@dataclass(slots=True, eq=False)
class StreamStep:
    """One step of a stream on its way.

    Attributes:
        apply: Makes it part of a draft, or raises.
        done: Gets what ``apply`` returned, when it is committed.
        size: Its size in the queue, in bytes.
        producer: The producer whose last push it must know.
        tries: How often others were faster.
    """

    keys: StreamKeys
    apply: Callable[[StreamDraft], Any]
    done: Receipt | asyncio.Future[Any]
    size: int
    producer: str | None = None
    tries: int = 0


class Committer:
    """Owns the queue, and what is remembered of the streams that this node writes.

    Args:
        sender: Name of this node in news and versions; no other one ever has it.
        every_s: Shortest time between the beginnings of two round trips, while several streams write.
        now: The clock of the log.
        publish: Called with each draft that was committed and changed something, before those who wait for it go on.
    """

    def __init__(
        self,
        server: RedisServer,
        layout: KeyLayout,
        sender: str,
        *,
        every_s: float,
        now: Callable[[], float],
        publish: Callable[[StreamDraft], None],
    ) -> None:
        self._server = server
        self._layout = layout
        self._sender = sender
        self._every_s = every_s
        self._now = now
        self._publish = publish
        self._steps: deque[StreamStep] = deque()
        self._snapshots: dict[str, StreamSnapshot] = {}
        self._versions = count(1)
        self._begun_s = 0.0
        self._last = ""  # the stream that wrote last
        self._news = asyncio.Event()
        #: Set while the queue has room.
        self.room = asyncio.Event()
        #: Bytes of all steps that are not settled.
        self.queued_bytes = 0
        #: Round trips with steps so far.
        self.commits = 0

    def put(self, step: StreamStep) -> None:
        self.queued_bytes += step.size
        self._steps.append(step)
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(0)  # with all that this turn of the loop brings
            while self._steps:
                await self._keep_distance()
                await self._round(self._take())

    async def _keep_distance(self) -> None:
        """As with SQLite: who writes alone need not wait; others than who wrote last are likely to write soon, too."""
        loop = asyncio.get_running_loop()
        left_s = self._begun_s + self._every_s - loop.time()
        if left_s > 0 and self._steps[0].keys.id != self._last and len(self._steps) < _ROUND_STEPS:
            await asyncio.sleep(left_s)
        self._begun_s, self._last = loop.time(), self._steps[-1].keys.id

    def fail_all(self, error: StoreError) -> None:
        """Nobody commits any more."""
        while self._steps:
            self._settle(self._steps.popleft(), error)

    def _take(self) -> list[StreamStep]:
        taken, size = [self._steps.popleft()], 0
        while self._steps and len(taken) < _ROUND_STEPS and size < _ROUND_BYTES:
            taken.append(self._steps.popleft())
            size += taken[-1].size
        return taken

    async def _round(self, steps: list[StreamStep]) -> None:
        streams: dict[str, list[StreamStep]] = {}
        for step in steps:
            streams.setdefault(step.keys.id, []).append(step)
        try:
            await self._load(streams)
            await self._commit(streams)
        except Exception as error:
            # Broad, because those who wait must learn it whatever went wrong, and the next round may succeed.
            for stream_id in streams:
                self._snapshots.pop(stream_id, None)
            refusal = error if isinstance(error, StoreError) else StoreFailing(f"{self._server.name}: {error!r}")
            for step in steps:
                self._settle(step, refusal)
        except asyncio.CancelledError:
            for step in steps:
                self._settle(step, StoreFailing(f"{self._server.name}: the log was shut before the answer came"))
            raise

    async def _load(self, streams: dict[str, list[StreamStep]]) -> None:
        """Make sure that the streams are remembered, with all producers that the steps need."""
        wanted: dict[str, list[str]] = {}
        for stream_id, steps in streams.items():
            names = list(dict.fromkeys(step.producer for step in steps if step.producer is not None))
            known = self._snapshots.get(stream_id)
            if known is None or any(name not in known.producers for name in names):
                wanted[stream_id] = names
        if not wanted:
            return
        if len(self._snapshots) + len(wanted) > _MAX_SNAPSHOTS:
            self._snapshots = {one: self._snapshots[one] for one in streams if one in self._snapshots}
        for stream_id, found in (await load(self._server, self._layout, wanted)).items():
            self._snapshots[stream_id] = found

    async def _commit(self, streams: dict[str, list[StreamStep]]) -> None:
        now_s = self._now()
        drafts: list[StreamDraft] = []
        outcomes: list[list[Any]] = []
        for stream_id, steps in streams.items():
            draft = StreamDraft(steps[0].keys, self._snapshots[stream_id], now_s)
            outcomes.append([self._outcome(draft, step) for step in steps])
            drafts.append(draft)
        self.commits += 1
        answers = await self._server.ask(
            [draft.commit(f"{self._sender}-{next(self._versions)}", self._sender) for draft in drafts]
        )
        for (stream_id, steps), draft, results, answer in zip(streams.items(), drafts, outcomes, answers, strict=True):
            if answer == 1:
                await self._committed(draft, steps, results)
                continue
            self._snapshots.pop(stream_id, None)
            if isinstance(answer, StoreError):
                for step in steps:
                    self._settle(step, answer)
            else:
                self._again(steps)

    def _outcome(self, draft: StreamDraft, step: StreamStep) -> Any:
        try:
            return step.apply(draft)
        except (LockgateError, Misuse) as error:
            return error
        except Exception as error:
            # Broad, because an error in the arguments of one step concerns only its caller.
            return StoreError(f"{self._server.name}: refused: {error!r}")

    async def _committed(self, draft: StreamDraft, steps: list[StreamStep], outcomes: list[Any]) -> None:
        after = draft.committed()
        if after.packed is None:
            self._snapshots.pop(draft.keys.id, None)
        else:
            self._snapshots[draft.keys.id] = after
        if draft.is_changed:
            self._publish(draft)
        repeats = dict.fromkeys(one for one in outcomes if isinstance(one, Repeated))
        if repeats:
            found = await self._find(draft, list(repeats))
            outcomes = [found.get(one, one) if isinstance(one, Repeated) else one for one in outcomes]
        for step, outcome in zip(steps, outcomes, strict=True):
            self._settle(step, outcome)

    async def _find(self, draft: StreamDraft, repeats: Sequence[Repeated]) -> dict[Repeated, Offset | StoreError]:
        """Where appends ended that were committed before."""
        asked = [scripts.FIND.call((draft.keys.records,), one.epoch, one.seq, REPEATS) for one in repeats]
        try:
            answers = await self._server.ask(asked)
        except StoreError as error:
            answers = [error] * len(repeats)
        return {one: _end_of(one, answer) for one, answer in zip(repeats, answers, strict=True)}

    def _again(self, steps: Iterable[StreamStep]) -> None:
        """Somebody else changed the stream meanwhile: judge them once more, before all that came later."""
        for step in reversed(list(steps)):
            step.tries += 1
            if step.tries < _TRIES:
                self._steps.appendleft(step)
            else:
                name = self._server.name
                sentence = f"{name}: others changed stream {step.keys.id} {_TRIES} times meanwhile; try again"
                self._settle(step, StoreFailing(sentence))

    def _settle(self, step: StreamStep, outcome: Any) -> None:
        self.queued_bytes -= step.size
        step.size = 0  # it may be settled again, with all others of its round
        self.room.set()
        if step.done.done():  # cancelled
            return
        if isinstance(outcome, Exception):
            step.done.set_exception(outcome)
        else:
            step.done.set_result(outcome)


def _end_of(one: Repeated, answer: bytes | StoreError | None) -> Offset | StoreError:
    if isinstance(answer, StoreError):
        return answer
    return one.tail if answer is None else Offset(one.epoch, int(answer))


async def load(server: RedisServer, layout: KeyLayout, wanted: dict[str, list[str]]) -> dict[str, StreamSnapshot]:
    """Streams as they are now, each with the producers of these names.

    Raises:
        StoreError: they cannot be read.
    """
    commands = []
    for stream_id, names in wanted.items():
        keys = layout.of(stream_id)
        commands.append(scripts.LOAD.call((keys.state, keys.producers), *names))
    found = {}
    for (stream_id, names), answer in zip(wanted.items(), await server.ask(commands), strict=True):
        if isinstance(answer, StoreError):
            raise answer
        version, packed, producers = answer
        known = {name: unpack_producer(name, one) for name, one in zip(names, producers, strict=True)}
        found[stream_id] = StreamSnapshot(version or b"", packed, known)
    return found
