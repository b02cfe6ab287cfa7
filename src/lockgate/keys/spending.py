"""What each key has used, by the day: streams, tokens, cost, refusals. Every node on the log adds what it knows.

How it works: a node writes what its streams have used to one stream a day, once a second while there is something to
write, and reads there what others have written. A budget is compared with that sum. So it is exact up to what is under
way: streams that run, and the last second of other nodes. Days are those of UTC.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from lockgate.errors import Busy, Forbidden, QuotaReached, StoreError, StreamExists, StreamUnknown
from lockgate.keys.caller import Caller
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import Lifetime, StreamLog

_log: Final = logging.getLogger("lockgate.keys")

_KEPT_AT: Final = "lockgate/use"
#: So many days are kept, and shown.
DAYS: Final = 31
_DAY_S: Final = 86_400.0
_WRITE_S: Final = 1.0
_READ_BYTES: Final = 1024 * 1024
#: Ended streams whose usage was not looked up yet.
_MAX_ENDED: Final = 100_000


class KeyUse(msgspec.Struct):
    """What a key has used.

    Attributes:
        streams: Streams that it has opened.
        tokens: Tokens of their prompts and answers, as upstream counts them.
        cost_usd: What they cost, as upstream says; nothing where upstream does not say it.
        refused: Requests for a stream that were refused: for a quota, the budget, a model, or a full node.
    """

    streams: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    refused: int = 0

    def add(self, more: KeyUse) -> None:
        self.streams += more.streams
        self.tokens += more.tokens
        self.cost_usd += more.cost_usd
        self.refused += more.refused


_decoder: Final = msgspec.json.Decoder(dict[str, KeyUse])


class _Day:
    """One day, as far as it was read."""

    def __init__(self) -> None:
        self.after: Offset = START
        self.uses: dict[str, KeyUse] = {}

    def add(self, uses: Mapping[str, KeyUse]) -> None:
        for name, use in uses.items():
            self.uses.setdefault(name, KeyUse()).add(use)


class Spending:
    """What the keys of one log have used.

    Args:
        usage_of: Gives upstream's usage object of a stream that has ended; None if there is none.
        counted: Called with the name of a key and what it has used now, for metrics.
        now: Seconds since 1970.
    """

    def __init__(
        self,
        log: StreamLog,
        usage_of: Callable[[str], Awaitable[Mapping[str, Any] | None]] | None = None,
        counted: Callable[[str, KeyUse], None] = lambda name, use: None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._usage_of = usage_of
        self._counted = counted
        self._now = now
        self._days: dict[str, _Day] = {}
        self._new: dict[str, KeyUse] = {}  # not written yet
        self._tenants: dict[str, str] = {}  # of streams that are open here
        self._ended: list[str] = []
        self._read_s = float("-inf")
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="write what keys use")

    async def stop(self) -> None:
        """Write down what is left, and end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=5)
            with contextlib.suppress(StoreError):
                await self._write_down()

    # -- what happens --------------------------------------------------------------------------------------------

    @contextmanager
    def asking(self, caller: Caller) -> Iterator[None]:
        """Count a request for a stream that is refused."""
        try:
            yield
        except (QuotaReached, Forbidden, Busy):
            self._use(caller.tenant, KeyUse(refused=1))
            raise

    async def check(self, caller: Caller) -> None:
        """Refuse a new stream of a key whose budget is spent.

        Raises:
            QuotaReached: it is, until the next day.
            StoreError: nobody knows, since the log cannot be read.
        """
        if caller.budget_usd is None:
            return
        now_s = self._now()
        if time.monotonic() - self._read_s > _WRITE_S:
            await self._read(_day_of(now_s))
            self._read_s = time.monotonic()
        spent_usd = self._spent(_day_of(now_s), caller.tenant)
        if spent_usd >= caller.budget_usd:
            raise QuotaReached(
                f"the key {caller.tenant} has spent {spent_usd:.4f} USD of {caller.budget_usd:g} a day: try again "
                "tomorrow (UTC), or have its budget raised",
                _DAY_S - now_s % _DAY_S,
            )

    def _spent(self, day: str, name: str) -> float:
        uses = self._days[day].uses if day in self._days else {}
        return sum(all_of[name].cost_usd for all_of in (uses, self._new) if name in all_of)

    def opened(self, caller: Caller, stream_id: str) -> None:
        """A stream was opened; what it uses shows at its end."""
        if caller.tenant:
            self._tenants[stream_id] = caller.tenant
            self._use(caller.tenant, KeyUse(streams=1))

    def pushed(self, caller: Caller) -> None:
        """A stream was opened that producers push to: it uses nothing."""
        self._use(caller.tenant, KeyUse(streams=1))

    def ended(self, stream_id: str) -> None:
        """A stream has ended: what it used is in its log."""
        if len(self._ended) >= _MAX_ENDED:  # the log has failed for long, and the count with it
            self._tenants.pop(stream_id, None)
        elif stream_id in self._tenants:
            self._ended.append(stream_id)
            self._news.set()

    def _use(self, name: str, use: KeyUse) -> None:
        if name:
            self._new.setdefault(name, KeyUse()).add(use)
            self._counted(name, use)
            self._news.set()

    # -- writing -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._write_down()
            except StoreError as error:
                _log.warning("what keys have used cannot be written now, and is kept: %s", error)
                self._news.set()
            await asyncio.sleep(_WRITE_S)

    async def _write_down(self) -> None:
        while self._ended:
            stream_id = self._ended[-1]
            usage = await self._usage_of(stream_id) if self._usage_of is not None else None
            self._ended.pop()
            self._use(self._tenants.pop(stream_id, ""), use_of(usage or {}))
        if not self._new:
            return
        day = _day_of(self._now())
        written, self._new = self._new, {}
        try:
            await self._push(day, [msgspec.json.encode(written)])
        except BaseException:
            # Whether it was written is not known then: rather twice than not at all.
            for name, use in written.items():
                self._new.setdefault(name, KeyUse()).add(use)
            raise
        await self._read(day)

    async def _push(self, day: str, payloads: list[bytes]) -> None:
        stream_id = f"{_KEPT_AT}/{day}"
        try:
            await self._log.push(stream_id, payloads)
        except StreamUnknown:
            kept = Lifetime(ttl_s=(DAYS + 1) * _DAY_S)  # after the last that is written, by the clock of the log
            with contextlib.suppress(StreamExists):
                await self._log.create(stream_id, b"{}", owner="", lifetime=kept)
            await self._log.push(stream_id, payloads)

    # -- reading -------------------------------------------------------------------------------------------------

    async def _read(self, day: str) -> _Day:
        """Read on what was written of a day."""
        known = self._days.setdefault(day, _Day())
        for old in sorted(self._days)[:-DAYS]:
            del self._days[old]
        with contextlib.suppress(StreamUnknown):  # nothing was
            while True:
                page = await self._log.read(f"{_KEPT_AT}/{day}", known.after, max_bytes=_READ_BYTES)
                if page.entries and page.entries[-1].offset.records > known.after.records:
                    for entry in page.entries:
                        if entry.offset.records > known.after.records:  # another reader may have been faster
                            known.add(_decoder.decode(entry.payload))
                            known.after = entry.offset
                if not page.entries or known.after.records >= page.tail.records:
                    break
        return known

    async def of_days(self, days: int = 1) -> dict[str, KeyUse]:
        """What each key has used in the last days, today among them."""
        today = datetime.fromtimestamp(self._now(), UTC)
        sums: dict[str, KeyUse] = {}
        for before in range(min(days, DAYS)):
            found = await self._read((today - timedelta(days=before)).date().isoformat())
            for name, use in found.uses.items():
                sums.setdefault(name, KeyUse()).add(use)
        for name, use in self._new.items():
            sums.setdefault(name, KeyUse()).add(use)
        return sums


def _day_of(now_s: float) -> str:
    return datetime.fromtimestamp(now_s, UTC).date().isoformat()


def use_of(usage: Mapping[str, Any]) -> KeyUse:
    """What upstream's usage object comes to; members that are no numbers say nothing."""
    parts = _amount(usage.get("prompt_tokens")) + _amount(usage.get("completion_tokens"))
    return KeyUse(tokens=int(_amount(usage.get("total_tokens")) or parts), cost_usd=_amount(usage.get("cost")))


def _amount(value: Any) -> float:
    """A number that can be meant; what upstream says must not make a sum useless."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < 1e12 else 0.0
