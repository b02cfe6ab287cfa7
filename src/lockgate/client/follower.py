"""Follows one stream over any number of connections: comes back with its offset, and takes another way where one fails.

A way that has brought something is kept. Where something between here and the gateway does not let it through, the next
way is tried at once; after the last one the first again, with a pause. The server's word, ``RetryAdvice-After`` or
``retry``, goes before our own back-off.

How one notices who lets nothing through: the gateway sends what it has without a pause, and says when that is all. So
until then a short silence tells that something holds it, and later one that is longer than between two heartbeats.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import aiohttp

from lockgate.client.faces import FACES, Arrival, ReadPlace, SentAway, WayBlocked
from lockgate.client.reading_errors import ConnectionLost, DeadlinePassed
from lockgate.retry.backoff import Backoff, BackoffPolicy, Strategy, Wait


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what.

    Attributes:
        first_byte_s: For the next bytes of a connection until all that there is has come, the first ones too, in
            seconds; then the next way is tried.
        silence_s: The same from then on: the gateway sends a heartbeat every 10 s (``delivery.heartbeat_s``).
        poll_s: For the answer to a long poll, in seconds; the gateway has one after 20 s (``delivery.long_poll_s``).
        max_attempts: How often in a row to come back although nothing new comes.
        strategy: How the wait between them grows.
        base_s: The longest wait before the first of them, in seconds.
        cap_s: The longest wait of all, in seconds.
        deadline_s: For the end of the stream, in seconds; None waits as long as it takes.
    """

    first_byte_s: float = 5.0
    silence_s: float = 25.0
    poll_s: float = 60.0
    max_attempts: int = 8
    strategy: Strategy = "exponential"
    base_s: float = 0.25
    cap_s: float = 30.0
    deadline_s: float | None = None


class Batch(NamedTuple):
    """Items that are whole: who has them may go on from the offset.

    Attributes:
        items: Of the view.
        offset: The position after them; None if they do not move it, like notes.
        is_over: Whether the stream is.
        state: Its outcome, where that is told.
    """

    items: list[Any]
    offset: str | None
    is_over: bool = False
    state: str = ""


class Follower:
    """One reader of one stream.

    Args:
        ways: Names of those that may be tried, in order.
        offset: What the reader has.
        known: Which way worked last, by the ways that may be tried; readers that share it lose time only once.
        rng: Draws a number from 0 to 1.

    Attributes:
        way: The way that was tried last.
        connections: How many were made.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        place: ReadPlace,
        ways: Sequence[str],
        patience: Patience,
        offset: str,
        *,
        known: dict[tuple[str, ...], str] | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.connections = 0
        self._session = session
        self._place = place
        self._ways = tuple(ways)
        self._known = {} if known is None else known
        self._index = self._ways.index(self._known.get(self._ways, self._ways[0]))
        self._is_open = False  # whether the present connection has brought anything
        self._patience = patience
        self._offset = offset
        self._rng = rng
        self._backoff = self._new_backoff()
        limit_s = patience.deadline_s
        self._deadline_at_s = None if limit_s is None else asyncio.get_running_loop().time() + limit_s

    @property
    def way(self) -> str:
        return self._ways[self._index]

    def _new_backoff(self) -> Backoff:
        patience = self._patience
        policy = BackoffPolicy(patience.max_attempts, patience.strategy, patience.base_s, patience.cap_s, 10.0**9)
        return Backoff(policy, start_s=0.0)

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """What the stream holds after the offset, exactly once and in order, to its end.

        Raises:
            RequestRefused: the gateway refuses it for good.
            ConnectionLost: nothing new came, however often it came back.
            DeadlinePassed: it takes too long.
        """
        while True:
            after_s: float | None = None
            is_blocked = False
            try:
                async with aclosing(self._connection()) as arriving:
                    async for batch in arriving:
                        yield batch
                        if batch.is_over:
                            return
                why = "the connection ended before the stream did"
            except SentAway as sent:
                why, after_s = str(sent), sent.after_s
            except WayBlocked as blocked:
                why, is_blocked = str(blocked), True
            except (aiohttp.ClientError, OSError) as error:
                why = f"the connection was lost: {error or type(error).__name__}"
            if is_blocked or (not self._is_open and after_s is None):
                self._index = (self._index + 1) % len(self._ways)
                if is_blocked and self._index:
                    continue
            await self._pause(why, after_s)

    async def _pause(self, why: str, after_s: float | None) -> None:
        wait = self._backoff.next(0.0, self._rng, after_s)
        if not isinstance(wait, Wait):
            tried = f"nothing new came, and it was tried again {self._backoff.attempts} times"
            if wait.reason == "retry_after":
                tried = f"the gateway asks to come back after {after_s:g} s, which is too long"
            raise ConnectionLost(f"{tried}: {why}", offset=self._offset)
        await self._within(asyncio.sleep(wait.seconds))

    async def _connection(self) -> AsyncGenerator[Batch, None]:
        """One connection. Items that no offset has followed before it ends come again; they are forgotten."""
        waiting: list[Any] = []
        self._is_open = has_all = False
        self.connections += 1
        patience = self._patience
        async with aclosing(FACES[self.way](self._session, self._place, self._offset)) as arriving:
            while True:
                try:
                    limit_s = patience.first_byte_s
                    if has_all:
                        limit_s = patience.silence_s
                    elif self.way == "LongPoll":
                        limit_s = patience.poll_s
                    arrival = await self._within(anext(arriving, None), limit_s)
                except TimeoutError:
                    raise WayBlocked(f"{self.way}: nothing came within {limit_s:g} s") from None
                if arrival is None:
                    return
                # The head of an answer alone does not show that its body comes through.
                if not self._is_open and arrival != _HEAD:
                    self._is_open = True
                    self._known[self._ways] = self.way
                has_all = has_all or arrival.is_all
                for item in arrival.items:
                    if arrival.offset is None and _moves_nothing(item):
                        yield Batch([item], None)
                    else:
                        waiting.append(item)
                if arrival.offset is not None and (waiting or arrival.is_over or arrival.offset != self._offset):
                    if waiting or arrival.is_over:
                        self._backoff = self._new_backoff()
                    self._offset = arrival.offset
                    whole, waiting = waiting, []
                    yield Batch(whole, arrival.offset, arrival.is_over, arrival.state)

    async def _within(self, waited: Any, limit_s: float | None = None) -> Any:
        """Wait for something, at most so long, and not beyond the deadline."""
        now_s = asyncio.get_running_loop().time()
        until_s = None if limit_s is None else now_s + limit_s
        is_last = self._deadline_at_s is not None and (until_s is None or self._deadline_at_s <= until_s)
        try:
            async with asyncio.timeout_at(self._deadline_at_s if is_last else until_s):
                return await waited
        except TimeoutError:
            if is_last:
                raise DeadlinePassed(self._patience.deadline_s or 0.0, offset=self._offset) from None
            raise


_HEAD: Final = Arrival([], None)


def _moves_nothing(item: Any) -> bool:
    """Whether it is feedback, which is no record of the log."""
    if not isinstance(item, dict):
        return False
    meta = item.get("meta", {})
    return meta.get("kind") == "note" and "errors" not in item
